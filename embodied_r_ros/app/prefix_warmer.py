"""Has a reasoner in this process read what was observed while the robot moves, so that a question finds it read."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.app.session_landmarks import SessionLandmarks
from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.memory import ObservationMemory
from embodied_r_ros.core.reasoning import as_told


@runtime_checkable
class SupportsPrefill(Protocol):
    """A language model that can be shown the beginning of a prompt before the rest is known."""

    async def prefill(self, text: str) -> None:
        """Read the beginning of the next prompt.

        Raises:
            BackendError: the model was closed.
        """


class PrefixWarmer:
    """Shows the model the present session whenever something new was observed; a burst is shown once.

    A model behind a server keeps its own prefixes, and is left alone.

    Args:
        lm: who thinks.
        prompt_format: how it is asked.
        memory: what was observed.
        landmarks: the things in it.
        most: observations put before the reasoner at most; of more, each question chooses its own.
    """

    def __init__(
        self,
        lm: LanguageModel,
        prompt_format: PromptFormat,
        memory: ObservationMemory,
        landmarks: SessionLandmarks,
        most: int,
    ) -> None:
        self._lm = lm
        self._format = prompt_format
        self._memory = memory
        self._landmarks = landmarks
        self._most = most
        self._news = asyncio.Event()

    def note(self) -> None:
        """Something was observed, or a question has made the model read something else."""
        self._news.set()

    async def run(self) -> None:
        """Read ahead until cancelled; returns at once where the model cannot."""
        if not isinstance(self._lm, SupportsPrefill):
            return
        while True:
            await self._news.wait()
            self._news.clear()
            window = self._memory.window()
            few = 0 < len(window) <= self._most
            scene = self._landmarks.at(self._memory.latest_session) if few else None
            text = self._format.opening(as_told(window, range(len(window)), scene)) if few else ''
            if text:
                try:
                    await self._lm.prefill(text)
                except EmbodiedRError:
                    return
