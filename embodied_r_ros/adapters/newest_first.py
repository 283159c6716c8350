"""A thread for work of which the newest is wanted first, and the oldest may be given up."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar('Result')


class NewestFirst:
    """Runs one piece of work at a time in a thread of its own, of those that wait the one with the latest stamp.

    Who hands in work bounds it: a future that is cancelled before its turn never runs.
    """

    def __init__(self, name: str) -> None:
        """Take a name for the thread; it starts with the first work."""
        self._name = name
        self._waiting: list[tuple[int, concurrent.futures.Future[Any], Callable[[], Any]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, stamp_ns: int, work: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        """Hand in work; after `close` it is cancelled at once."""
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        with self._changed:
            if self._closed:
                future.cancel()
                return future
            self._waiting.append((stamp_ns, future, work))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """Cancel what waits; returns at once, and the thread ends with the work under way."""
        with self._changed:
            self._closed = True
            for _, future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                newest = max(range(len(self._waiting)), key=lambda place: self._waiting[place][0])
                _, future, work = self._waiting.pop(newest)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(result)
