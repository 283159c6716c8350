"""The boundary around each callback: a bug inside is logged with its place and counted, and the node lives on."""

from __future__ import annotations

import collections
import functools
import inspect
import time
import traceback
from collections.abc import Callable
from typing import Any

from embodied_r_ros.core.records import ErrorCode


class Faults:
    """The bugs that callbacks of a node ran into; the log gets the 1st, 10th, 100th, ... of each place in the code.

    Args:
        log: takes a level and a text.

    Attributes:
        count: all of them.
        latest: the newest one in a sentence; '' for none.
    """

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self.count = 0
        self.latest = ''
        self._log = log
        self._of_place: collections.Counter[str] = collections.Counter()
        self._latest_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds since the newest one."""
        return time.monotonic() - self._latest_s

    def note(self, error: BaseException) -> str:
        """Take in a bug.

        Returns:
            a sentence that names its place, for whoever waits for an answer.
        """
        frames = traceback.extract_tb(error.__traceback__)
        place = f'{frames[-1].filename.rpartition("/")[2]}:{frames[-1].lineno}' if frames else 'an unknown place'
        sentence = f'a fault of this package: {type(error).__name__} at {place}; report it with the log of the node'
        self.count += 1
        self._of_place[place] += 1
        self.latest, self._latest_s = sentence, time.monotonic()
        times = self._of_place[place]
        if str(times).strip('0') == '1':
            trace = ''.join(traceback.format_exception(error))
            self._log('error', f'{sentence} ({times} so far)\n{trace}')
        return sentence


def guarded(
    callback: Callable[..., Any],
    note: Callable[[BaseException], str],
    instead: Callable[[str, tuple[Any, ...]], Any] = lambda sentence, arguments: None,
) -> Callable[..., Any]:
    """The callback with a boundary around it.

    Args:
        callback: a function or a coroutine function.
        note: gets what it raises, and returns a sentence about it.
        instead: makes the result in that case, of this sentence and the callback's arguments.
    """
    if inspect.iscoroutinefunction(callback):

        @functools.wraps(callback)
        async def waiting(*arguments: Any) -> Any:
            try:
                return await callback(*arguments)
            except Exception as error:  # noqa: BLE001 - this is the boundary
                return instead(note(error), arguments)

        return waiting

    @functools.wraps(callback)
    def calling(*arguments: Any) -> Any:
        try:
            return callback(*arguments)
        except Exception as error:  # noqa: BLE001 - this is the boundary
            return instead(note(error), arguments)

    return calling


def internal_response(sentence: str, arguments: tuple[Any, ...]) -> Any:
    """The response of a service whose callback failed: code INTERNAL and the sentence, where it has fields for them."""
    response = type(arguments[1])()
    told = getattr(response, 'answer', response)
    if hasattr(told, 'error_code'):
        told.error_code, told.error_msg = int(ErrorCode.INTERNAL), sentence
    return response
