"""Connections to one server, each carrying one request at a time.

A request that is cancelled while it connects, or between two steps of the HTTP library's pool, would stay in a shared
pool for good and use it up. So each request has a pool of its own, a lane, which carries another request only after a
complete reply, and is otherwise closed in the background and forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx

KEEP_S = 4.0  # servers close an idle connection after 5 s
CANCEL_S = 0.5

Result = TypeVar('Result')
Exchange = Callable[[httpx.AsyncClient], Awaitable[Result]]


class _Lane:
    """A pool of one connection.

    The pool forgets a connection that is cancelled while its encryption is set up, without closing it; so the lane
    keeps hold of it, by the trace that the library offers.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.http = httpx.AsyncClient(**options, event_hooks={'request': [self._trace]})
        self._stream: Any = None

    async def aclose(self) -> None:
        await self.http.aclose()
        if self._stream is not None:
            await self._stream.aclose()

    async def _trace(self, request: httpx.Request) -> None:
        request.extensions['trace'] = self._note

    async def _note(self, event: str, found: Mapping[str, Any]) -> None:
        if event == 'connection.connect_tcp.complete':
            self._stream = found.get('return_value')


class Lanes:
    """The lanes to one server; used in one event loop.

    Args:
        options: of each `httpx.AsyncClient`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S)
        self._options = {**options, 'limits': limits}
        self._idle: list[tuple[_Lane, float]] = []  # the longest idle first
        self._under_way: set[asyncio.Future[Any]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self.is_closed = False

    async def carry(self, exchange: Exchange[Result], left_s: Callable[[], float]) -> Result:
        """Run an exchange with the server on a lane of its own, until it is done or no time is left to it.

        Args:
            exchange: sends a request and reads the whole response.
            left_s: seconds left to it, asked again when they have passed.

        Raises:
            TimeoutError: no time was left.
            httpx.HTTPError: as the exchange raises it, and when the lanes are closed.
        """
        lane = self._take()
        task = asyncio.ensure_future(exchange(lane.http))
        self._under_way.add(task)
        is_clean = False
        try:
            await until_done(task, left_s)
            if task.cancelled():
                raise httpx.ReadError('it was closed here')
            result = task.result()
            is_clean = not self.is_closed
            return result
        finally:
            task.cancel()
            self._under_way.discard(task)
            if is_clean:
                self._idle.append((lane, time.monotonic()))
            else:
                self._drop(lane, task)

    async def aclose(self) -> None:
        """Close all lanes and end what is under way."""
        self.is_closed = True
        for task in self._under_way:
            task.cancel()
        while self._idle:
            self._drop(self._idle.pop()[0])
        while self._under_way or self._closing:
            await asyncio.wait({*self._under_way, *self._closing})

    def _take(self) -> _Lane:
        """The lane that was used last, if any; those that have been idle for long are closed."""
        while self._idle and time.monotonic() - self._idle[0][1] > KEEP_S:
            self._drop(self._idle.pop(0)[0])
        return self._idle.pop()[0] if self._idle else _Lane(self._options)

    def _drop(self, lane: _Lane, task: asyncio.Future[Any] | None = None) -> None:
        closing = asyncio.ensure_future(_close(lane, task))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def until_done(task: asyncio.Future[Any], left_s: Callable[[], float]) -> None:
    """Wait for a task as long as `left_s` leaves it seconds.

    Raises:
        TimeoutError: no time was left; the task still runs.
    """
    while not task.done():
        wait_s = left_s()
        if wait_s <= 0.0:
            raise asyncio.TimeoutError
        await asyncio.wait({task}, timeout=wait_s)


async def _close(lane: _Lane, task: asyncio.Future[Any] | None) -> None:
    if task is not None:
        while not task.done():
            await asyncio.wait({task}, timeout=CANCEL_S)
            task.cancel()  # again, since a library may swallow it
        if not task.cancelled():
            task.exception()  # told to whoever waited for it, if anybody still does
    await lane.aclose()
