"""Who looks at recordings, each description made once: a perceiver per recording, and the cache in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import pathlib
from collections.abc import AsyncIterator
from typing import Protocol

import cv2

from embodied_r_ros.adapters import backends, image_budget, perception_openai
from embodied_r_ros.adapters.eye_tags import TagSettings, find_labels
from embodied_r_ros.adapters.looking import NO_HURRY
from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.core import phrases, replies
from embodied_r_ros.core.errors import BackendError, BackendRefused, ReplyError
from embodied_r_ros.core.models import PERCEIVERS, PerceptionModel, ServerSettings, served
from embodied_r_ros.core.prompts import describe_prompt, focus_prompt
from embodied_r_ros.core.records import KeyFrame, Motion, MotionSource
from embodied_r_ros.evaluation.observation_json import data_of, read_data
from embodied_r_ros.evaluation.pair_cache import CODE, PairCache, code_key, key_of, pair_key
from embodied_r_ros.share import share_path

WAITS_S = (0.5, 2.0)

# What asks a model and reads its replies; and a motion of each kind that its prompts tell apart.
MODEL_CODE = tuple(
    pathlib.Path(inspect.getfile(module)) for module in (perception_openai, image_budget, phrases, replies)
)
MOTIONS = (
    None,
    Motion(name='move forward', source=MotionSource.IMAGES),
    Motion(name='move forward', forward_m=1.0, source=MotionSource.ODOMETRY),
)


class PerceiverSource(Protocol):
    """Gives each recording a perceiver, and a key that stands for all that decides what the perceiver finds."""

    def open(self, path: str) -> contextlib.AbstractAsyncContextManager[tuple[Perceiver, str]]:
        """The perceiver of a recording, and its key.

        Raises:
            SettingsError: a file that goes with it cannot be used.
        """


class OwnPerceivers:
    """Perception with a perceiver of its own for each recording: it remembers frames by stamp, which they may share.

    Args:
        model: who looks.
        tag_size_m: of AprilTags.
        labels: the file that names them, '' for none; None takes the one beside each recording.
    """

    def __init__(self, model: PerceptionModel, tag_size_m: float, labels: str | None = None) -> None:
        self._model, self._settings, self._labels = model, TagSettings(tag_size_m=tag_size_m), labels

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[tuple[Perceiver, str]]:
        """Who looks at a recording, and what its words depend on beside the images: eyes, settings, labels, code."""
        labels = str(find_labels(path) or '') if self._labels is None else self._labels
        perceiver = backends.perceiver(self._model, dataclasses.replace(self._settings, labels=labels), NO_HURRY)
        nouns = share_path(labels).read_bytes() if labels else b''
        told = [self._model.backend, self._model.eyes, code_key(CODE), cv2.__version__, repr(self._settings), nouns]
        try:
            yield perceiver, key_of(told)
        finally:
            await perceiver.aclose()


class ServerSource:
    """A vision-language model on a server, the same for all recordings.

    Args:
        perceiver: asks the model; its name is that of the model.
        model: who looks.
        own: gives each recording a perceiver that looks with the model's eyes too; None where it has none.
    """

    def __init__(self, perceiver: Perceiver, model: PerceptionModel, own: PerceiverSource | None = None) -> None:
        prompts = [describe_prompt(False), *(describe_prompt(True, motion) for motion in MOTIONS)]
        prompts += [focus_prompt(has_previous, '?') for has_previous in (False, True)]
        sampling = dataclasses.replace(model, server=ServerSettings())
        self._perceiver, self._own = perceiver, own
        self._key = key_of([perceiver.name, repr(sampling), repr(prompts), code_key(MODEL_CODE)])

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[tuple[Perceiver, str]]:
        """Who looks at a recording, and what its words depend on beside the images: model, prompts, the code, eyes."""
        if self._own is None:
            yield self._perceiver, self._key
            return
        async with self._own.open(path) as (perceiver, key):
            await perceiver.probe()
            yield perceiver, key_of([self._key, key])


@contextlib.asynccontextmanager
async def perceiver_source(
    model: PerceptionModel, tag_size_m: float, labels: str | None = None
) -> AsyncIterator[PerceiverSource]:
    """Who looks: in this process, or the model of a server, which is reached for first.

    Raises:
        SettingsError: a library or a file is missing.
        BackendError: the server is not there.
    """
    own = OwnPerceivers(model, tag_size_m, labels)
    if model.backend not in served(PERCEIVERS):
        yield own
        return
    perceiver = backends.perceiver(model)
    try:
        await perceiver.probe()
        yield ServerSource(perceiver, model, own if model.eyes else None)
    finally:
        await perceiver.aclose()


class Looker:
    """Looks at the key frames of one recording, and never twice with the same perceiver.

    Args:
        perceiver, key: from a `PerceiverSource`.
        cache: of what was described before.
        gate: lets so many descriptions be under way at once.

    Attributes:
        described: descriptions made.
    """

    def __init__(self, perceiver: Perceiver, key: str, cache: PairCache, gate: asyncio.Semaphore) -> None:
        self.described = 0
        self._perceiver, self._key, self._cache, self._gate = perceiver, key, cache, gate

    async def look(self, previous: KeyFrame | None, current: KeyFrame, question: str = '') -> Description:
        """What is found in a pair, or found again with a question in mind.

        Raises:
            InputError, BackendError, ReplyError: as `Perceiver.describe`, where asking again did not help.
        """
        key = pair_key(self._key, previous, current, question)
        known = self._cache.get(key)
        if known is not None:
            motion, sightings, text = read_data(known)
            return Description(motion=motion, sightings=sightings, text=text)
        async with self._gate:
            found = await self._persistently(previous, current, question)
        self._cache.put(key, data_of(found.motion, found.sightings, found.text))
        self.described += 1
        return found

    async def _persistently(self, previous: KeyFrame | None, current: KeyFrame, question: str) -> Description:
        """Ask, and ask again where another time may go better."""
        for wait_s in (*WAITS_S, None):
            try:
                if question:
                    return await self._perceiver.focus(previous, current, question)
                return await self._perceiver.describe(previous, current)
            except (BackendError, ReplyError) as error:
                if wait_s is None or isinstance(error, BackendRefused):
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError('the last try returns or raises')
