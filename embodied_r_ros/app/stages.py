"""The stages of one answer: how long each took, and what is told of them while they last."""

from __future__ import annotations

import re
from collections.abc import Callable

OnProgress = Callable[[str, str], None]

_MIN_PERIOD_S = 0.1
_TAGS = re.compile(r'</?think>|<[^<>]*$')
_ANSWER = re.compile(r'<answer.*', re.DOTALL)


class Stages:
    """Wall-clock seconds per stage, and progress: the first words of a stage at once, then at most ten times a second.

    Args:
        on_progress: gets the stage and all of the thinking so far.
        now_s: the steady clock, in seconds.
    """

    def __init__(self, on_progress: OnProgress | None, now_s: Callable[[], float]) -> None:
        self.name = 'window'
        self._on_progress = on_progress
        self._now_s = now_s
        self._spans_s: dict[str, float] = {}
        self._begun_s = self._entered_s = self._now_s()
        self._told_s = 0.0
        self._heard = ''
        self._has_words = False

    @property
    def total_s(self) -> float:
        """Seconds since the question came."""
        return self._now_s() - self._begun_s

    @property
    def stage_s(self) -> float:
        """Seconds since the present stage began."""
        return self._now_s() - self._entered_s

    def begin(self, name: str) -> None:
        """Enter a stage; the one before ends."""
        self._leave()
        self.name = name
        self._heard = ''
        self._has_words = False
        self._tell()

    def heard(self, piece: str) -> None:
        """Take in a piece of what the model says."""
        self._heard += piece
        first_words = not self._has_words and bool(self._words())
        self._has_words |= first_words
        if first_words or self._now_s() - self._told_s >= _MIN_PERIOD_S:
            self._tell()

    def finish(self) -> dict[str, float]:
        """Seconds per stage; a stage entered twice counts both times."""
        self._leave()
        return self._spans_s

    def _leave(self) -> None:
        now_s = self._now_s()
        self._spans_s[self.name] = self._spans_s.get(self.name, 0.0) + now_s - self._entered_s
        self._entered_s = now_s

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._told_s = self._now_s()
            self._on_progress(self.name, self._words())

    def _words(self) -> str:
        """What was heard, without tags and answer."""
        return _TAGS.sub('', _ANSWER.sub('', self._heard)).strip()
