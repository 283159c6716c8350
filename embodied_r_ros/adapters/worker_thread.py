"""One worker thread for a model in this process, with a cancel that the work itself looks at."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

from embodied_r_ros.core.errors import BackendUnavailable

Result = TypeVar('Result')


class WorkerThread:
    """Runs one piece of work at a time, in the order in which it came, beside the asyncio loop."""

    def __init__(self, name: str) -> None:
        """Take a name for the thread; it starts with the first work."""
        self._name = name
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._closed = threading.Event()

    async def run(self, work: Callable[[Callable[[], bool]], Result]) -> Result:
        """Run `work(cancelled)` in the thread and wait for it.

        When the waiting task is cancelled, or the thread is closed, `cancelled()` turns true, and the work is to return
        soon, whatever it returns. Work that has not begun by then never does.

        Raises:
            BackendUnavailable: the thread was closed.
        """
        given_up = threading.Event()

        def begin() -> Result:
            if given_up.is_set() or self._closed.is_set():
                raise self._gone()
            result = work(lambda: given_up.is_set() or self._closed.is_set())
            if self._closed.is_set():
                raise self._gone()
            return result

        if self._closed.is_set():
            raise self._gone()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, begin)
        except asyncio.CancelledError:
            given_up.set()
            raise

    def close(self) -> None:
        """Cancel what runs and what waits; returns at once."""
        self._closed.set()
        self._pool.shutdown(wait=False)

    def _gone(self) -> BackendUnavailable:
        return BackendUnavailable(f'the {self._name} must be open to answer, it was closed; start it again')


def in_this_loop(on_text: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """A callback that the worker thread may call, and that runs in the event loop of the caller."""
    if on_text is None:
        return None
    loop, deliver = asyncio.get_running_loop(), on_text

    def hand_over(text: str) -> None:
        loop.call_soon_threadsafe(deliver, text)

    return hand_over
