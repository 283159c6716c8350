"""Has recordings described by the robot's own perception: side by side, each key-frame pair once, never twice."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.adapters.side_by_side import all_or_none
from embodied_r_ros.adapters.video import told_length_s
from embodied_r_ros.app import focus, offline
from embodied_r_ros.app.observing import looked_again, observation_of, pairs
from embodied_r_ros.core.errors import BackendError, InputError, ReplyError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import KeyFrame, Question
from embodied_r_ros.evaluation.pair_cache import PairCache, code_key, file_key
from embodied_r_ros.evaluation.perceiver_source import Looker, PerceiverSource
from embodied_r_ros.evaluation.samples import Sample, from_observations

RECORDINGS_AT_ONCE = 4
SHORT_BY_S = 1.0

# Observations as samples hold them, by the id of the sample.
Entries = dict[str, list[dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Medium:
    """A part of a recording, in seconds after its first image; `odometry` says whether its poses may be used."""

    path: str
    start_s: float
    end_s: float
    odometry: bool

    @staticmethod
    def of(sample: Sample) -> Medium:
        """What a sample is to be observed from.

        Raises:
            InputError: it names nothing, or no part of a recording.
        """
        media = sample.get('media')
        if not isinstance(media, Mapping) or not isinstance(media.get('path'), str):
            raise InputError(
                f'sample {sample["id"]!r} needs media with a path, got {media!r}; download the media first'
            )
        start_s, end_s = media.get('start_s') or 0.0, media.get('end_s')
        end_s = math.inf if end_s is None else end_s
        if not all(isinstance(s, (int, float)) and s >= 0 for s in (start_s, end_s)) or end_s <= start_s:
            raise InputError(f'sample {sample["id"]!r} needs start_s before end_s, in seconds, got {media!r}')
        return Medium(media['path'], float(start_s), float(end_s), bool(media.get('odometry', True)))

    def key_frames(self, settings: KeyFrameSettings) -> tuple[KeyFrame, ...]:
        """Its key frames, the last image among them.

        Raises:
            InputError: it cannot be read, or ends early.
        """
        scanned = offline.scan(
            self.path, settings, keep_last=True, start_s=self.start_s, end_s=self.end_s, odometry=self.odometry
        )
        frames = scanned.key_frames
        is_bag = pathlib.Path(self.path).is_dir() or pathlib.Path(self.path).suffix.lower() in offline.BAG_SUFFIXES
        wanted_s = self.end_s if math.isfinite(self.end_s) else 0.0 if is_bag else told_length_s(self.path)
        held_s = self.start_s + (frames[-1].stamp_ns - frames[0].stamp_ns) / NS_PER_S
        if held_s < wanted_s - SHORT_BY_S - 1.0 / settings.sample_hz:
            raise InputError(
                f'{self.path!r} ends early: {wanted_s:.1f} s are wanted, the images end at {held_s:.1f} s; get it anew'
            )
        return frames


@dataclasses.dataclass(frozen=True)
class Failure:
    """What could not be observed: a key frame, or a recording as a whole, which has neither index nor stamp."""

    path: str
    error: str
    index: int | None = None
    stamp_ns: int | None = None
    question: str = ''


@dataclasses.dataclass(frozen=True)
class Observed:
    """What was observed for each sample, what could not be, and how many descriptions were made."""

    entries: Entries
    failures: Sequence[Failure]
    described: int


def by_recording(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Those that are still to be observed, by the path of their recording.

    Raises:
        InputError: a sample has neither observations nor media.
    """
    by_path: dict[str, list[Sample]] = {}
    for sample in samples:
        if 'observations' not in sample:
            by_path.setdefault(Medium.of(sample).path, []).append(sample)
    return by_path


class Observer:
    """Observes recordings.

    Args:
        source: where the perceiver of each recording comes from.
        cache: of what was described before.
        settings: how key frames are picked.
        focus: look again with each question in mind, at the frames at which the robot would.
        requests: descriptions under way at once.

    Attributes:
        failures: what could not be observed.
        described: descriptions made.
    """

    def __init__(
        self,
        source: PerceiverSource,
        cache: PairCache,
        settings: KeyFrameSettings,
        *,
        focus: bool = False,
        requests: int = 8,
    ) -> None:
        self._source, self._cache, self._settings, self._focus = source, cache, settings, focus
        self._requests = requests
        self.failures: list[Failure] = []
        self.described = 0

    async def observe(self, by_path: Mapping[str, Sequence[Sample]], on_done: Callable[[], object]) -> Entries:
        """What was observed for each sample, by its id; those that need a failed frame are left out.

        Args:
            by_path: samples by recording, as `by_recording` has them.
            on_done: told when another recording is done.

        Raises:
            SettingsError: a file that goes with a recording cannot be used.
        """
        self._gate, places = asyncio.Semaphore(self._requests), asyncio.Semaphore(RECORDINGS_AT_ONCE)

        async def observe_one(path: str) -> Entries:
            async with places, self._source.open(path) as (perceiver, perceiver_key):
                looker = Looker(perceiver, perceiver_key, self._cache, self._gate)
                found = await self._recording(by_path[path], perceiver, perceiver_key, looker)
            self.described += looker.described
            on_done()
            return found

        parts = await all_or_none([observe_one(path) for path in by_path])
        return {sample_id: seen for part in parts for sample_id, seen in part.items()}

    async def _recording(
        self, samples: Sequence[Sample], perceiver: Perceiver, perceiver_key: str, looker: Looker
    ) -> Entries:
        """Parts of one recording follow each other, since they share key frames."""
        parts: dict[Medium, list[Sample]] = {}
        for sample in samples:
            parts.setdefault(Medium.of(sample), []).append(sample)
        found: Entries = {}
        for medium, asking in parts.items():
            try:
                found |= await self._part(medium, asking, perceiver, perceiver_key, looker)
            except InputError as error:
                self.failures.append(Failure(medium.path, str(error)))
        return found

    async def _part(
        self, medium: Medium, samples: Sequence[Sample], perceiver: Perceiver, perceiver_key: str, looker: Looker
    ) -> Entries:
        told = [perceiver_key, repr((medium, self._settings)), code_key((pathlib.Path(__file__),))]
        asked = {s['id']: repr((s['question'], s['choices'])) if self._focus else '' for s in samples}
        keys = {sample_id: file_key(medium.path, *told, question) for sample_id, question in asked.items()}
        known = {sample_id: self._cache.get(key) for sample_id, key in keys.items()}
        missing = [sample for sample in samples if known[sample['id']] is None]
        if missing:
            frames = await asyncio.to_thread(medium.key_frames, self._settings)
            found = await all_or_none([self._look(medium, looker, *pair) for pair in pairs(frames)])
            for sample in missing:
                seen = await self._seen(sample, medium, perceiver, looker, frames, found)
                if seen is not None:
                    known[sample['id']] = from_observations(seen)
                    self._cache.put(keys[sample['id']], known[sample['id']])
        return {sample_id: seen for sample_id, seen in known.items() if seen is not None}

    async def _seen(
        self,
        sample: Sample,
        medium: Medium,
        perceiver: Perceiver,
        looker: Looker,
        frames: Sequence[KeyFrame],
        found: Sequence[Description | None],
    ) -> list[Observation] | None:
        """The observations that a sample's question is put with; None where one of them failed."""
        seen = [observation_of(frame, one, perceiver) for frame, one in zip(frames, found) if one is not None]
        if len(seen) < len(frames) or not self._focus:
            return seen if len(seen) == len(frames) else None
        question = Question(text=sample['question'], choices=tuple(sample['choices']))
        chosen = focus.promising(question, seen, focus.FOCUS_FRAMES)
        keys = {one.key for one in chosen or focus.likeliest(question, seen, focus.FOCUS_FRAMES)}
        places = [place for place, one in enumerate(seen) if one.key in keys]
        frame_pairs = pairs(frames)
        looks = [self._look(medium, looker, *frame_pairs[place], question.text) for place in places]
        for place, look in zip(places, await all_or_none(looks)):
            if look is None:
                return None
            seen[place] = looked_again(seen[place], look)
        return seen

    async def _look(
        self, medium: Medium, looker: Looker, previous: KeyFrame | None, current: KeyFrame, question: str = ''
    ) -> Description | None:
        """What is found in a pair; None, and a failure, where nothing is."""
        try:
            return await looker.look(previous, current, question)
        except (BackendError, InputError, ReplyError) as error:
            self.failures.append(Failure(medium.path, str(error), current.index, current.stamp_ns, question))
            return None
