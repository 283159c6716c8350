"""A language model that takes long to load: loaded by its first probe, in a thread beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from embodied_r_ros.adapters.lm import LanguageModel, OnText
from embodied_r_ros.core.errors import BackendUnavailable
from embodied_r_ros.core.records import Completion, Generation


class LazyLanguageModel:
    """Implements `adapters.lm.LanguageModel` around one that is made later.

    Args:
        name: of the model.
        load: makes it; runs once, in a thread of its own.
    """

    def __init__(self, name: str, load: Callable[[], LanguageModel]) -> None:
        self.name = name
        self._load = load
        self._model: LanguageModel | None = None
        self._loading: asyncio.Future[LanguageModel] | None = None

    async def probe(self) -> None:
        """Load the model, unless it is loaded.

        Raises:
            SettingsError: it cannot be loaded.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        self._model = await asyncio.shield(self._loading)
        await self._model.probe()

    async def ping(self) -> None:
        """See whether the model is loaded and still there.

        Raises:
            BackendError: it is not.
        """
        await self._loaded().ping()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """As the model does.

        Raises:
            BackendUnavailable: it is not loaded yet.
        """
        return await self._loaded().generate(request, on_text)

    async def aclose(self) -> None:
        """Let go of the model."""
        if self._model is not None:
            await self._model.aclose()

    def _loaded(self) -> LanguageModel:
        if self._model is None:
            raise BackendUnavailable(f'{self.name} is not loaded yet; probe it first')
        return self._model
