"""One asyncio loop in one thread beside a node's executor, so that waiting for a model never holds up the node.

    executor thread                         loop thread
    async def callback:
        await bridge.submit(coroutine) ───> task
        <── rclpy Future, executor woken ── result or error
    subscription: bridge.post(f, x) ──────> f(x), in the order posted

What the loop thread owns (memory, queues, HTTP clients) needs no lock: the executor thread only posts to it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from rclpy.node import Node
from rclpy.task import Future

from embodied_r_ros.app.waiting import wait_or_cancel
from embodied_r_ros.core.errors import BackendTimeout, EmbodiedRError


class Cancelled(EmbodiedRError):
    """The work was cancelled by its caller, or its bridge was stopped."""


class AsyncBridge:
    """Runs coroutines for a node.

    Args:
        node: whose executor is woken when a future completes.
        fault: called in the loop thread with a bug in a posted function.
        ended: called in the loop thread with what ended a coroutine of `spawn`.
        name: of the loop's thread.
    """

    def __init__(
        self,
        node: Node,
        fault: Callable[[BaseException], object],
        ended: Callable[[BaseException], object],
        name: str = 'models',
    ) -> None:
        self._node = node
        self._fault = fault
        self._ended = ended
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[Future, asyncio.Task[Any]] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Any], *, report: bool = False) -> Future:
        """Start a coroutine in the loop; await the returned future in an `async def` callback.

        With `report`, what it raises goes to `ended` instead.

        Raises (from the future):
            Cancelled: by `cancel` or `stop`.
        """
        future: Future = Future(executor=self._node.executor)
        if self._stopped:
            work.close()
            self._set_outcome(future, error=Cancelled('nothing can be started any more: the node is shutting down'))
        else:
            self._loop.call_soon_threadsafe(self._start, work, future, report)
        return future

    def cancel(self, future: Future) -> None:
        """Cancel the coroutine behind a future, which raises Cancelled unless the coroutine returns a result."""
        self._call_soon(self._cancel, future)

    def post(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Run a plain function in the loop thread, in the order of the posts; a bug in it goes to `fault`."""
        self._call_soon(callback, *arguments)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Future:
        """Run a coroutine until it ends, is cancelled, or the bridge stops; what it raises goes to `ended`."""
        return self.submit(work, report=True)

    def finish(self, work: Coroutine[Any, Any, Any], timeout_s: float = 1.0) -> bool:
        """Run a short coroutine and block until it ends, at most `timeout_s`; True when it ended. For transitions."""
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            done.result(timeout_s)
        return done.done()

    def end(self, future: Future, timeout_s: float = 1.0) -> bool:
        """Cancel the coroutine behind a future and block until it is gone; False when that took over `timeout_s`."""

        async def gone() -> None:
            task = self._tasks.get(future)
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

        return self.finish(gone(), timeout_s)

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await `close()` in the loop when the bridge stops, all tasks cancelled; last registered, first closed."""
        self._closers.append(close)

    async def ros(self, future: Future, timeout_s: float) -> Any:
        """Await an rclpy future, such as a service response, from a coroutine in the loop.

        Raises:
            BackendTimeout: it did not complete within `timeout_s` wall-clock seconds.
        """
        done = asyncio.Event()
        future.add_done_callback(lambda _: self._call_soon(done.set))
        await wait_or_cancel([asyncio.ensure_future(done.wait())], timeout_s)
        if not future.done():
            raise BackendTimeout(f'no response within {timeout_s:.1f} s; is the other node running?')
        return future.result()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Cancel everything, close what was registered, and end the thread; False when that took over `timeout_s`."""
        if self._stopped:
            return True
        self._stopped = True
        with contextlib.suppress(concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close(timeout_s), self._loop).result(timeout_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._on_loop_error)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so the node is gone and nobody waits
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _start(self, work: Coroutine[Any, Any, Any], future: Future, report: bool) -> None:
        task = self._loop.create_task(work)
        self._tasks[future] = task
        task.add_done_callback(functools.partial(self._on_task_done, future, report))

    def _on_task_done(self, future: Future, report: bool, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(future, None)
        error = Cancelled('cancelled') if task.cancelled() else task.exception()
        if report:  # nobody has to await the future of `spawn`
            self._set_outcome(future)
            if error is not None and not task.cancelled():
                self._ended(error)
        elif error is not None:
            self._set_outcome(future, error=error)
        else:
            self._set_outcome(future, result=task.result())

    def _set_outcome(self, future: Future, result: Any = None, error: BaseException | None = None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
            if isinstance(error, Cancelled):
                # Marks the error as seen: a node that is taken down may never await it, and rclpy would warn.
                future.exception()
        executor = self._node.executor
        if executor is not None:
            executor.wake()  # completing a future from another thread does not resume the callback that awaits it

    def _cancel(self, future: Future) -> None:
        task = self._tasks.get(future)
        if task is not None:
            task.cancel()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what asyncio reports: bugs in posted functions, and warnings of its own."""
        if 'handle' in context and context.get('exception') is not None:
            self._fault(context['exception'])
        else:
            loop.default_exception_handler(context)

    async def _close(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s * 0.8
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s * 0.4)
        for future in list(self._tasks):
            self._set_outcome(future, error=Cancelled('cancelled: the node is shutting down'))
        for close in reversed(self._closers):
            try:
                await asyncio.wait_for(close(), max(0.05, end - time.monotonic()))
            except (asyncio.TimeoutError, EmbodiedRError, OSError) as error:
                self._fault(error)
