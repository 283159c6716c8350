"""Adds what a detector tells to observations, which wait for it a short time and are told again where it is late."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Callable

from embodied_r_ros.adapters.eye_detections import DetectionEye
from embodied_r_ros.adapters.eyes import LeftOut
from embodied_r_ros.adapters.looking import Looking
from embodied_r_ros.adapters.perception import marked
from embodied_r_ros.core.camera import in_base
from embodied_r_ros.core.detections import Detections, seen_from
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, TIME_JUMP_NS, Transform
from embodied_r_ros.core.mounting import MAX_AGE_S
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import EncodedImage, Key, KeyFrame, Sighting
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.transforms import TransformTree

LATE, MISSED, TRANSFORM = 'detection_late', 'detection_missed', 'transform'
# Messages kept of each topic for key frames that come after them, and key frames kept for messages.
_TOLD_KEPT, _KEY_FRAMES_KEPT = 64, 256
# After so many key frames in a row without detections in time none waits, until some come in time again.
PATIENCE = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionWaitSettings(Settings):
    """How detections and key frames come together."""

    detection_max_age_s: float = setting(
        0.1, 'Detections belong to a key frame if their stamps differ by at most this.', unit='s', within=(0.0, 1.0)
    )
    detection_wait_s: float = setting(
        0.5,
        'An observation waits at most this long for detections, if they usually come in time.',
        unit='s',
        within=(0.0, 60.0),
    )
    # What is told of transforms that move is kept for 10 s.
    detection_latest_s: float = setting(
        5.0, 'Detections that come later than this after their key frame are left out.', unit='s', within=(0.0, 8.0)
    )


@dataclasses.dataclass
class _Awaited:
    """A key frame, with what has come about it.

    Attributes:
        frame: without its image.
        told: what the detector told, by topic; None where that is of no use.
        observation: None until it is described.
        sightings: of `told`, by topic.
        is_published: whether the observation was passed on.
    """

    frame: KeyFrame
    came_s: float
    told: dict[str, Detections | None] = dataclasses.field(default_factory=dict)
    observation: Observation | None = None
    sightings: dict[str, tuple[Sighting, ...]] = dataclasses.field(default_factory=dict)
    is_published: bool = False


@dataclasses.dataclass
class _Topic:
    """What is known of a topic: `began_s` is when its first message came."""

    began_s: float
    told: collections.deque[Detections] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=_TOLD_KEPT)
    )
    late_in_a_row: int = PATIENCE


class DetectionWaiting:
    """Brings key frames, their observations and a detector's messages together by their stamps.

    Of each topic the message nearest to a key frame counts, once one has come that is not older, or the wait is over.
    It belongs to one asyncio loop.

    Args:
        settings: how.
        eye: makes sightings of detections.
        looking: tells the camera and the depth of a key frame, and counts what is left out.
        held: the key frame of a key with its depth; None where it is no longer held.
        publish: gets each observation; once more where detections come after it was passed on.

    Attributes:
        left_out: how much of what kind could not be used; the log has told what.
    """

    def __init__(
        self,
        settings: DetectionWaitSettings,
        eye: DetectionEye,
        looking: Looking,
        held: Callable[[Key], KeyFrame | None],
        publish: Callable[[Observation, KeyFrame], None],
    ) -> None:
        self.left_out: collections.Counter[str] = collections.Counter()
        self._settings = settings
        self._eye = eye
        self._looking = looking
        self._held = held
        self._transforms = TransformTree(MAX_AGE_S)
        self._publish = publish
        self._topics: dict[str, _Topic] = {}
        self._awaited: collections.OrderedDict[Key, _Awaited] = collections.OrderedDict()

    def transform(self, transform: Transform) -> None:
        """Take a transform; they lead from the detector's frames to the camera's."""
        problem = self._transforms.push(transform)
        if problem:
            self._leave_out(TRANSFORM, problem)

    def key_frame(self, frame: KeyFrame) -> None:
        """Take a key frame, before it is described."""
        known = self._awaited.get(frame.key)
        if known is not None and known.frame.stamp_ns == frame.stamp_ns:
            return
        light = dataclasses.replace(frame, image=EncodedImage(data=b''), depth=None)
        awaited = self._awaited[frame.key] = _Awaited(light, asyncio.get_running_loop().time())
        while len(self._awaited) > _KEY_FRAMES_KEPT:
            self._awaited.popitem(last=False)
        for name, topic in self._topics.items():
            if topic.told[-1].stamp_ns >= frame.stamp_ns and self._nearest(awaited, topic) is not None:
                self._match(awaited, name)

    def observed(self, observation: Observation, frame: KeyFrame) -> None:
        """Take what a key frame shows; it is passed on at once where no detections are expected in time."""
        awaited = self._awaited.get(frame.key)
        if awaited is None or observation.given_up:
            self._publish(observation, frame)
            return
        awaited.observation = observation
        loop = asyncio.get_running_loop()
        until_s = awaited.came_s + self._settings.detection_wait_s
        if loop.time() < until_s and self._is_lacking(awaited):
            loop.call_at(until_s, self._end_wait, frame.key)
        else:
            self._end_wait(frame.key)

    def detections(self, told: Detections) -> None:
        """Take what a detector told of an image, whether that is a key frame or not."""
        newest = next(reversed(self._awaited.values()), None)
        behind_s = 0.0 if newest is None else (newest.frame.stamp_ns - told.stamp_ns) / NS_PER_S
        if behind_s > self._settings.detection_latest_s:
            self._tell_late(behind_s)
            return
        topic = self._topics.setdefault(told.topic, _Topic(asyncio.get_running_loop().time()))
        if topic.told and told.stamp_ns < topic.told[-1].stamp_ns - TIME_JUMP_NS:
            topic.told.clear()
        topic.told.append(told)
        for awaited in self._awaited.values():
            if told.topic not in awaited.told and awaited.frame.stamp_ns <= told.stamp_ns:
                self._match(awaited, told.topic)
                if awaited.is_published or not self._is_lacking(awaited):
                    self._tell(awaited)

    def _is_lacking(self, awaited: _Awaited) -> bool:
        """Whether detections that come in time as a rule have not come yet."""
        return any(topic.late_in_a_row < PATIENCE for name, topic in self._topics.items() if name not in awaited.told)

    def _end_wait(self, key: Key) -> None:
        """Pass an observation on, if it was not, with the detections that are there."""
        awaited = self._awaited.get(key)
        if awaited is None or awaited.is_published:
            return
        for name, topic in self._topics.items():
            if name in awaited.told:
                continue
            if self._nearest(awaited, topic) is None:
                topic.late_in_a_row += 1
            else:
                self._match(awaited, name)
        self._tell(awaited)

    def _match(self, awaited: _Awaited, name: str) -> None:
        """Give a key frame the message that is nearest to it, where that is near enough and not late."""
        topic = self._topics[name]
        nearest = self._nearest(awaited, topic)
        late_s = asyncio.get_running_loop().time() - awaited.came_s
        awaited.told[name] = None
        if nearest is None:
            if awaited.came_s >= topic.began_s:
                self._tell_missed()
        elif late_s > self._settings.detection_latest_s:
            self._tell_late(late_s)
        else:
            awaited.told[name] = seen_from(awaited.frame.frame_id, nearest, self._transforms)
            if late_s <= self._settings.detection_wait_s:
                topic.late_in_a_row = 0

    def _nearest(self, awaited: _Awaited, topic: _Topic) -> Detections | None:
        """The message of a topic that belongs to a key frame, as far as they have come."""
        nearest = min(topic.told, key=lambda told: abs(told.stamp_ns - awaited.frame.stamp_ns), default=None)
        if nearest is None:
            return None
        away_ns = abs(nearest.stamp_ns - awaited.frame.stamp_ns)
        return nearest if away_ns <= self._settings.detection_max_age_s * NS_PER_S else None

    def _tell(self, awaited: _Awaited) -> None:
        """Publish an observation, for the first time or once more where there are new sightings."""
        seen = awaited.observation
        if seen is None:
            return
        new: list[Sighting] = []
        for name, told in awaited.told.items():
            if name not in awaited.sightings:
                awaited.sightings[name] = () if told is None else self._sightings(awaited, told)
                new += awaited.sightings[name]
        if awaited.is_published and not new:
            return
        # Behind the others, whenever they come: landmarks are called after the places of their first sightings.
        awaited.observation = dataclasses.replace(seen, sightings=(*seen.sightings, *new))
        awaited.is_published = True
        self._publish(awaited.observation, awaited.frame)

    def _sightings(self, awaited: _Awaited, told: Detections) -> tuple[Sighting, ...]:
        frame = self._held(awaited.frame.key)
        if frame is None or frame.stamp_ns != awaited.frame.stamp_ns:
            self._leave_out(LATE, 'detections must come while their image is held, got some after it; raise held_mb')
            return ()
        try:
            picture = self._looking.outline_now(frame)
        except InputError:  # of the image, which the log has told when it was described
            return ()
        picture.left_out.clear()
        found = in_base(self._eye.sightings(told, picture), frame.camera_pose)
        self.left_out += self._looking.count(picture.left_out)
        camera, session, index = frame.key
        before = self._awaited.get((camera, session, index - 1))
        return marked(before.sightings.get(told.topic, ()) if before else (), found)

    def _tell_missed(self) -> None:
        self._leave_out(
            MISSED,
            f'detections must have the stamps of the images, within {self._settings.detection_max_age_s:g} s, got '
            'none for a key frame; let the detector copy them, or raise detection_max_age_s',
        )

    def _tell_late(self, late_s: float) -> None:
        self._leave_out(
            LATE,
            f'detections must come within {self._settings.detection_latest_s:g} s and have the stamps of their images, '
            f'got some {late_s:.1f} s late; make the detector faster, or raise detection_latest_s',
        )

    def _leave_out(self, kind: str, sentence: str) -> None:
        self.left_out += self._looking.count([LeftOut(kind=kind, sentence=sentence)])
