"""The stages of one answer: how long each took, and what is told of them while they last."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable

from embodied_r_ros.core.text import clean

OnProgress = Callable[[str, str], None]

MAX_TOLD_CHARS = 65_536
_MIN_PERIOD_S = 0.1
_TAG = re.compile(r'</?think>')
_ANSWER = '<answer'
# What may still become a tag is held back; a longer text after '<' is none.
_MAX_TAG_CHARS = 16


class Stages:
    """Wall-clock seconds per stage, and progress: the first words of a stage at once, then at most ten times a second.

    Args:
        on_progress: gets the stage and the thinking so far, clean, of a longer one its last 65,536 characters.
        now_s: the steady clock, in seconds.
    """

    def __init__(self, on_progress: OnProgress | None, now_s: Callable[[], float]) -> None:
        self.name = 'window'
        self._on_progress = on_progress
        self._now_s = now_s
        self._spans_s: dict[str, float] = {}
        self._begun_s = self._entered_s = self._now_s()
        self._told_s = 0.0
        self._thinking = _Thinking()

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
        self._thinking = _Thinking()
        self._tell()

    def heard(self, piece: str) -> None:
        """Take in a piece of what the model says."""
        had_words = self._thinking.has_words
        self._thinking.add(piece)
        first_words = self._thinking.has_words and not had_words
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
            self._on_progress(self.name, self._thinking.words())


class _Thinking:
    """The end of what was heard, without tags and answer; each piece costs its own length."""

    def __init__(self) -> None:
        self.has_words = False
        self._pieces: collections.deque[str] = collections.deque()
        self._length = 0
        self._open = ''  # what may become a tag
        self._is_over = False

    def add(self, piece: str) -> None:
        """Take in what was heard next."""
        if self._is_over:
            return
        heard, answer, _ = (self._open + piece).partition(_ANSWER)
        self._is_over = bool(answer)
        begun = -1 if self._is_over else heard.rfind('<', -_MAX_TAG_CHARS)
        is_open = begun >= 0 and '>' not in heard[begun:]
        self._open = heard[begun:] if is_open else ''
        words = _TAG.sub('', heard[:begun] if is_open else heard)[-MAX_TOLD_CHARS:]
        self.has_words = self.has_words or bool(words.strip())
        if self.has_words and words:
            self._pieces.append(words)
            self._length += len(words)
        while self._length - len(self._pieces[0] if self._pieces else '') >= MAX_TOLD_CHARS:
            self._length -= len(self._pieces.popleft())

    def words(self) -> str:
        """All that is kept."""
        return clean(''.join(self._pieces)[-MAX_TOLD_CHARS:]).strip()
