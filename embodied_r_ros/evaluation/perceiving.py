"""Recordings as perception sees them: each looked at once and kept, with what a report shows of them."""

from __future__ import annotations

import asyncio
import base64
import bisect
import dataclasses
import logging
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2

from embodied_r_ros.adapters.codec import decode, encode_jpeg, image_size
from embodied_r_ros.adapters.perception import Description, Perceiver
from embodied_r_ros.adapters.side_by_side import all_or_none
from embodied_r_ros.adapters.video import told_length_s
from embodied_r_ros.app import offline
from embodied_r_ros.app.observing import observation_of, pairs
from embodied_r_ros.core.errors import BackendError, InputError, ReplyError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.landmark_history import Scene, scene_of
from embodied_r_ros.core.latest_motion import with_latest_motion
from embodied_r_ros.core.memory import ObservationMemory, Window
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.reasoning import ODOMETRY_FRAME
from embodied_r_ros.core.records import Calibration, KeyFrame, Pose
from embodied_r_ros.evaluation.observation_json import from_entry, to_entry
from embodied_r_ros.evaluation.pair_cache import PairCache, code_key, file_key
from embodied_r_ros.evaluation.perceiver_source import Looker, PerceiverSource

RECORDINGS_AT_ONCE = 4
# What a recording may be shorter than it says, or than a question's second.
SHORT_BY_S = 1.0
PICTURE_WIDTH_PX = 400
PICTURE_QUALITY = 70

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Medium:
    """A recording to be perceived; `odometry` says whether its poses may be used."""

    path: str
    odometry: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """What a report shows of a key frame; the picture is smaller than the image, whose size is told in pixels."""

    index: int
    stamp_ns: int
    overlap: float
    width: int
    height: int
    picture: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Perceived:
    """A recording's last session as the robot would know it.

    Attributes:
        begin_ns, end_ns: of the first image, and of the last image or pose.
        missing_s: so much of a video is missing at its end.
        observations: of its key frames, in their order.
        track: stamps and poses, a few a second.
        frames: the key frames themselves.
        frame_id: of the poses.
    """

    begin_ns: int
    end_ns: int
    missing_s: float
    observations: tuple[Observation, ...]
    track: tuple[tuple[int, Pose], ...]
    frames: tuple[Shown, ...]
    frame_id: str = ODOMETRY_FRAME

    @property
    def length_s(self) -> float:
        """From its first image to its end."""
        return (self.end_ns - self.begin_ns) / NS_PER_S

    def window(self, start_s: float, end_s: float | None) -> Window:
        """What the robot knows when it is asked at a second (None is the end), seen from another one on.

        The way since the last key frame is part of it, as odometry tells it.

        Raises:
            InputError: the recording does not reach so far.
        """
        end_ns = self._asked_at(end_s)
        memory = ObservationMemory(max(1, len(self.observations)))
        for observation in self.observations:
            memory.add(observation)
        seen = memory.window(start_ns=self.begin_ns + round(start_s * NS_PER_S), end_ns=end_ns)
        place = bisect.bisect_right(self.track, end_ns, key=lambda one: one[0]) - 1
        return with_latest_motion(seen, *self.track[place]) if seen and place >= 0 else seen

    def scene(self, end_s: float | None) -> Scene:
        """The things that the robot knew at a second, by all of the session until then; raises as `window`."""
        return scene_of(self.window(0.0, end_s))

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {
            'begin_ns': self.begin_ns,
            'end_ns': self.end_ns,
            'missing_s': self.missing_s,
            'frame_id': self.frame_id,
            'observations': [_observation_json(seen) for seen in self.observations],
            'track': [[stamp_ns, *dataclasses.astuple(pose)] for stamp_ns, pose in self.track],
            'frames': [
                {
                    **dataclasses.asdict(frame),
                    'overlap': None if math.isnan(frame.overlap) else frame.overlap,
                    'picture': base64.b64encode(frame.picture).decode(),
                }
                for frame in self.frames
            ],
        }

    @staticmethod
    def from_json(known: Mapping[str, Any]) -> Perceived:
        """A recording from what `to_json` made."""
        frames = [
            Shown(
                **{
                    **frame,
                    'overlap': math.nan if frame['overlap'] is None else frame['overlap'],
                    'picture': base64.b64decode(frame['picture']),
                }
            )
            for frame in known['frames']
        ]
        return Perceived(
            begin_ns=known['begin_ns'],
            end_ns=known['end_ns'],
            missing_s=known['missing_s'],
            frame_id=known['frame_id'],
            observations=tuple(map(_observation, known['observations'])),
            track=tuple((stamp_ns, _pose(numbers)) for stamp_ns, *numbers in known['track']),
            frames=tuple(frames),
        )

    def _asked_at(self, end_s: float | None) -> int:
        if end_s is None:
            if self.missing_s > 0.0:
                raise InputError(
                    f'it asks at the end, but the video ends early: {self.missing_s:.1f} s are missing; get it anew'
                )
            return self.end_ns
        if end_s > self.length_s + SHORT_BY_S:
            raise InputError(f'it asks at {end_s:g} s, but the recording ends at {self.length_s:.1f} s')
        return self.begin_ns + round(end_s * NS_PER_S)


@dataclasses.dataclass(frozen=True)
class MediaPerceiver:
    """Looks at recordings, several side by side.

    Args:
        source: where the perceiver of each recording comes from.
        cache: of what was described before, single pairs and whole recordings.
        settings: how key frames are picked.
        topics: of bags.
        mounting: where the camera sits, and which frames count.
        requests: descriptions under way at once.
        calibration: of the camera, in place of what bags say.
    """

    source: PerceiverSource
    cache: PairCache
    settings: KeyFrameSettings
    topics: offline.TopicNames
    mounting: MountingSettings
    requests: int = 8
    calibration: Calibration | None = None

    async def perceive(
        self, media: Sequence[Medium], on_done: Callable[[], object]
    ) -> tuple[dict[Medium, Perceived], dict[Medium, str]]:
        """What was perceived of each recording, and why nothing was of the others.

        Raises:
            SettingsError: a file that goes with a recording cannot be used.
            OSError: the cache cannot be written.
        """
        gate, places = asyncio.Semaphore(self.requests), asyncio.Semaphore(RECORDINGS_AT_ONCE)

        async def perceive_one(medium: Medium) -> Perceived | str:
            async with places, self.source.open(medium.path) as (perceiver, key):
                try:
                    return await self._perceived(medium, perceiver, key, Looker(perceiver, key, self.cache, gate))
                except (InputError, BackendError) as error:
                    return str(error)
                finally:
                    on_done()

        found = dict(zip(media, await all_or_none(map(perceive_one, media))))
        good = {medium: one for medium, one in found.items() if isinstance(one, Perceived)}
        return good, {medium: one for medium, one in found.items() if isinstance(one, str)}

    async def _perceived(self, medium: Medium, perceiver: Perceiver, key: str, looker: Looker) -> Perceived:
        settings = repr((medium, self.settings, self.topics, self.mounting, self.calibration))
        told = [key, settings, code_key((pathlib.Path(__file__),))]
        whole = file_key(medium.path, *told)
        known = self.cache.get(whole)
        if known is not None:
            return Perceived.from_json(known)
        recording = await asyncio.to_thread(
            offline.scan,
            medium.path,
            self.settings,
            keep_last=True,
            odometry=medium.odometry,
            topics=None if self.topics == offline.TopicNames() else self.topics,
            mounting=self.mounting,
            calibration=self.calibration,
        )
        last = recording.key_frames[-1].session
        frames = [frame for frame in recording.key_frames if frame.session == last]
        if len(frames) < len(recording.key_frames):
            _logger.warning('%s: time is set back in it, and what comes after counts alone', medium.path)
        looked = await all_or_none(_look(looker, *pair) for pair in pairs(frames))
        seen = [observation_of(frame, one, perceiver) for frame, one in zip(frames, looked) if one is not None]
        perceived = Perceived(
            begin_ns=frames[0].stamp_ns,
            end_ns=recording.end_ns,
            missing_s=_missing_s(medium.path, frames, self.settings.sample_hz),
            observations=tuple(seen),
            track=recording.track,
            frame_id=recording.frame_id or ODOMETRY_FRAME,
            frames=tuple(await asyncio.to_thread(lambda: [shown(frame) for frame in frames])),
        )
        self.cache.put(whole, perceived.to_json())
        return perceived


async def _look(looker: Looker, previous: KeyFrame | None, frame: KeyFrame) -> Description | None:
    """What is found in a pair; None, and a line in the log, where the robot would leave the key frame out."""
    try:
        return await looker.look(previous, frame)
    except (InputError, ReplyError) as error:
        _logger.warning('key frame %d is left out: %s', frame.index, error)
        return None


def _missing_s(path: str, frames: Sequence[KeyFrame], sample_hz: float) -> float:
    """What a video says that it has behind its last image; 0 for a bag."""
    place = pathlib.Path(path)
    if place.is_dir() or place.suffix.lower() in offline.BAG_SUFFIXES:
        return 0.0
    missing_s = told_length_s(path) - (frames[-1].stamp_ns - frames[0].stamp_ns) / NS_PER_S
    return missing_s if missing_s > SHORT_BY_S + 1.0 / sample_hz else 0.0


def shown(frame: KeyFrame) -> Shown:
    """A key frame with a small picture; an empty one where its image cannot be read."""
    try:
        width, height = image_size(frame.image)
        picture = decode(frame.image)
        size_wh = (PICTURE_WIDTH_PX, max(1, round(height * PICTURE_WIDTH_PX / width)))
        small = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) if width > PICTURE_WIDTH_PX else picture
        data = encode_jpeg(small, PICTURE_QUALITY).data
    except InputError:
        width, height, data = 4, 3, b''
    return Shown(
        index=frame.index, stamp_ns=frame.stamp_ns, overlap=frame.overlap, width=width, height=height, picture=data
    )


def _observation_json(seen: Observation) -> dict[str, Any]:
    return {
        **to_entry(seen),
        'session': seen.session,
        'index': seen.index,
        'source': seen.source,
        'model': seen.model,
        'latency_s': seen.latency_s,
    }


def _observation(entry: Mapping[str, Any]) -> Observation:
    return dataclasses.replace(
        from_entry(entry, entry['session'], entry['index']),
        source=entry['source'],
        model=entry['model'],
        latency_s=entry['latency_s'],
    )


def _pose(numbers: Sequence[float]) -> Pose:
    return Pose(**dict(zip((field.name for field in dataclasses.fields(Pose)), numbers)))
