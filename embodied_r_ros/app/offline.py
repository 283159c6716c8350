"""The whole way from a recording to an answer, without ROS: the parts of the nodes, run one after another."""

from __future__ import annotations

import collections
import dataclasses
import logging
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from embodied_r_ros.adapters.codec import encode_frame, small_grey
from embodied_r_ros.adapters.lm import LanguageModel, OnText, drive
from embodied_r_ros.adapters.perception import Perceiver
from embodied_r_ros.adapters.side_by_side import all_or_none
from embodied_r_ros.adapters.video import read_video
from embodied_r_ros.app.later_poses import LaterPoses
from embodied_r_ros.app.observing import observation_of, pairs
from embodied_r_ros.app.recorded_depth import RecordedDepth
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.errors import BackendError, InputError, ReplyError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.frames import (
    NS_PER_S,
    CameraInfoItem,
    DepthItem,
    Frame,
    ImageItem,
    OdometryItem,
    ReadItem,
    Transform,
)
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.core.landmark_report import landmarks_of
from embodied_r_ros.core.latest_motion import with_latest_motion
from embodied_r_ros.core.memory import ObservationMemory, Window
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, Calibration, KeyFrame, Landmark, Pose, Question
from embodied_r_ros.core.stamps import AGREEING, ClockDifference

Result = TypeVar('Result')

TRACK_HZ = 5.0
BAG_SUFFIXES = ('.mcap', '.db3', '.bag', '.zstd')

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """What of a recording the reasoner's way begins with.

    Attributes:
        key_frames: of all its sessions, in their order.
        numbers: for each key frame, its number among all images of the recording, from 0.
        sampled: images that were looked at.
        selection_s: wall-clock seconds that the choice among them took, decoding and encoding apart.
        end_ns: the newest stamp of an image or pose, of the last session.
        last_pose: stamp and pose of the newest odometry; None without odometry, or where it is not stamped by the clock
            of the images.
        frame_id: of the poses; '' where that is not told.
        track: stamps and poses of the last session, at most TRACK_HZ of them a second; empty where `last_pose` is None.
    """

    key_frames: tuple[KeyFrame, ...]
    numbers: tuple[int, ...]
    sampled: int
    selection_s: float
    end_ns: int
    last_pose: tuple[int, Pose] | None = None
    frame_id: str = ''
    track: tuple[tuple[int, Pose], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopicNames:
    """The topics of a bag that are read; None leaves the choice to `adapters.recorded_topics.choose_topics`.

    Depth is read where it is named, since it has to be registered to the camera.
    """

    image: str | None = None
    odometry: str | None = None
    camera_info: str | None = None
    depth: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfflineAnswer:
    """An answer, the observations that it was drawn from, and all landmarks at the question's time."""

    answer: Answer
    observations: tuple[Observation, ...]
    landmarks: tuple[Landmark, ...] = ()


def key_frames(path: str | pathlib.Path, sample_hz: float = 1.0) -> list[KeyFrame]:
    """The key frames of a bag or video file; raises as `scan`."""
    return list(scan(path, KeyFrameSettings(sample_hz=sample_hz)).key_frames)


def scan(
    path: str | pathlib.Path,
    settings: KeyFrameSettings,
    *,
    keep_last: bool = False,
    start_s: float = 0.0,
    end_s: float = math.inf,
    odometry: bool = True,
    topics: TopicNames | None = None,
    mounting: MountingSettings | None = None,
    calibration: Calibration | None = None,
) -> Recording:
    """Pick the key frames of a bag or video file, as camera_node does.

    Args:
        path: a bag (a folder, .mcap, .db3, .bag) or a video file.
        settings: of the key frames.
        keep_last: make the last sampled image a key frame, as a question with `fresh` makes the newest one.
        start_s, end_s: the part that is looked at, in seconds after the recording's first image, both ends included;
            nothing behind it is read.
        odometry: whether poses are taken from it; without them motion is estimated from the images.
        topics: of a bag.
        mounting: where the camera sits, and which frames count.
        calibration: of the camera, in place of what a bag says.

    Raises:
        InputError: the recording cannot be read, holds no image that can, or lacks a topic that is named.
        SettingsError: a bag cannot be read for want of a library.
    """
    watch = _Watch()
    framer = KeyFramer(settings, watch.apart(small_grey), watch.apart(encode_frame), mounting)
    framer.set_calibration(calibration)
    clocks = ClockDifference(settings.pose_max_age_s)
    found: list[KeyFrame] = []
    numbers: list[int] = []
    depth = RecordedDepth()
    waiting: collections.deque[ImageItem] = collections.deque(maxlen=AGREEING)
    track: list[tuple[int, Pose]] = []
    part = _part(_items(pathlib.Path(path), settings, topics), start_s, end_s)
    items = LaterPoses(part, settings.pose_max_age_s)
    for item in items:
        # Its images are the clock of a recording.
        now_s = max(framer.last_ns or 0, items.newest_ns) / NS_PER_S
        if isinstance(item, CameraInfoItem):
            framer.set_calibration(calibration or item.calibration)
        elif isinstance(item, Transform):
            framer.mounting.push(item)
        elif isinstance(item, OdometryItem):
            if odometry and framer.push_pose(item.stamp_ns, item.pose, item.frame_id, item.child_frame_id):
                clocks.pose(item.stamp_ns, now_s)
                _follow(track, framer.poses.newest)
        elif isinstance(item, DepthItem):
            depth.take(item)
        else:
            waiting.append(item)
            keys = watch.push(framer, item)
            depth.expect(keys)
            found += keys
            numbers += [_number(key, waiting) for key in keys]
            if framer.last_ns == item.stamp_ns:
                clocks.image(item.stamp_ns, item.stamp_ns / NS_PER_S)
    keys = framer.finish(keep_last)
    depth.expect(keys)
    found, numbers = found + keys, numbers + [_number(key, waiting) for key in keys]
    if not found:
        where = '' if (start_s, end_s) == (0.0, math.inf) else f' from {start_s:g} s to {end_s:g} s'
        raise InputError(f'wanted a recording with images, found none in {str(path)!r}{where} that can be read')
    _tell_of_what_is_odd(framer, clocks)
    last_ns = framer.last_ns or 0
    last_pose = framer.poses.newest
    if clocks.sentence() or (last_pose and framer.poses.jumped(found[-1].stamp_ns, last_pose[0])):
        last_pose = None
    return Recording(
        key_frames=depth.with_depth(found),
        numbers=tuple(numbers),
        sampled=framer.sampled,
        selection_s=watch.selection_s,
        end_ns=last_ns if last_pose is None else max(last_ns, last_pose[0]),
        last_pose=last_pose,
        frame_id=framer.mounting.fixed_frame,
        track=tuple(track) if last_pose is not None else (),
    )


def _follow(track: list[tuple[int, Pose]], newest: tuple[int, Pose] | None) -> None:
    """Put the newest pose at a track's end, which begins anew where time was set back."""
    if newest is None:
        return
    if track and newest[0] < track[-1][0]:
        track.clear()
    if not track or newest[0] - track[-1][0] >= NS_PER_S / TRACK_HZ:
        track.append(newest)


def _number(key: KeyFrame, items: Sequence[ImageItem]) -> int:
    """The number of the image that became a key frame, one of the latest."""
    return next((item.number for item in items if item.stamp_ns == key.stamp_ns), items[-1].number)


def _tell_of_what_is_odd(framer: KeyFramer, clocks: ClockDifference) -> None:
    for count, what in ((framer.outliers, 'images'), (framer.poses.outliers, 'poses')):
        if count:
            _logger.warning('%s left out, since their stamps lie far from those around them: %d', what, count)
    if clocks.sentence():
        _logger.warning('%s', clocks.sentence())
    if framer.poses.jumps:
        _logger.warning('odometry jumped %d times; no motion is reported across a jump', framer.poses.jumps)
    if framer.misfit:
        _logger.warning('%s', framer.misfit)
    for note in framer.mounting.take_notes():
        _logger.log(logging.WARNING if note.grave else logging.INFO, '%s', note.sentence)


async def describe(frames: Sequence[KeyFrame], perceiver: Perceiver) -> list[Observation]:
    """What perception writes about key frames, pairs side by side, in their order.

    A key frame that cannot be read, or about which the model says nothing readable, is left out with a line in the log.

    Raises:
        BackendError: the model did not do its part.
    """
    described = await all_or_none(_describe(previous, frame, perceiver) for previous, frame in pairs(frames))
    return [observation for observation in described if observation is not None]


async def answer(
    question: Question,
    recording: Recording,
    perceiver: Perceiver,
    lm: LanguageModel,
    prompt_format: PromptFormat,
    *,
    settings: reasoning.ReasoningSettings | None = None,
    last_s: float | None = None,
    until_s: float | None = None,
    on_text: OnText | None = None,
) -> OfflineAnswer:
    """Answer a question as if it were asked at the end of the recording, or at a moment within it.

    Args:
        question: in words, with its choices.
        recording: from `scan`; of several sessions the last one counts.
        perceiver, lm, prompt_format: who looks, who thinks, and how that one is asked.
        settings: of the reasoning.
        last_s: the window, back from its end; None is all of the session.
        until_s: where the window ends, in seconds after the session's first key frame; None is the recording's end.
        on_text: gets the first thought as it comes.

    Returns:
        the answer; its error_code says what went wrong, if anything did.

    Raises:
        SettingsError: a model that is loaded late cannot be.
    """
    begun_s = time.monotonic()
    spans_s = {'key_frames': recording.selection_s}
    observations: list[Observation] = []
    landmarks: tuple[Landmark, ...] = ()
    try:
        await perceiver.probe()
        observations = await describe(recording.key_frames, perceiver)
        spans_s['describe'] = time.monotonic() - begun_s
        await lm.probe()
        end_ns = _end(observations, recording, until_s)
        seen = _window(observations, recording, last_s, until_s, end_ns)
        scene = scene_of(_window(observations, recording, None, until_s, end_ns))
        frame_id = recording.frame_id or reasoning.ODOMETRY_FRAME
        landmarks = landmarks_of(scene, frame_id)
        settings = settings or reasoning.ReasoningSettings()
        steps = reasoning.answer(question, seen, prompt_format, settings, lm.name, scene=scene, odometry_frame=frame_id)
        found = reasoning.with_age(await drive(steps, lm, on_text), end_ns)
    except (BackendError, InputError, ReplyError) as error:
        seen = Window(observations)
        found = dataclasses.replace(reasoning.failure(error), model=lm.name, prompt_id=prompt_format.id)
    timings_s = {**spans_s, **found.timings_s, 'total': time.monotonic() - begun_s + recording.selection_s}
    answered = dataclasses.replace(found, timings_s=timings_s)
    return OfflineAnswer(answer=answered, observations=tuple(seen), landmarks=landmarks)


def _items(path: pathlib.Path, settings: KeyFrameSettings, topics: TopicNames | None) -> Iterator[ReadItem]:
    topics = topics or TopicNames()
    if path.is_dir() or path.suffix.lower() in BAG_SUFFIXES:
        # Only here: a robot that is asked about video files needs no rosbags.
        from embodied_r_ros.adapters.bags import read_recording

        # All images: where time jumps back, a new session begins, and sampling with it, which the key framer sees to.
        return read_recording(
            path, image_topic=topics.image, odom_topic=topics.odometry, camera_info_topic=topics.camera_info,
            depth_topic=topics.depth,
        )  # fmt: skip
    if topics != TopicNames():
        raise InputError(f'a topic needs a bag, got {topics!r} with {str(path)!r}; leave the names of topics out')
    return read_video(path, settings.sample_hz, settings.motion_hz)


def _part(items: Iterator[ReadItem], start_s: float, end_s: float) -> Iterator[ReadItem]:
    """What was recorded from one moment after the first image to another; poses and calibrations before it too."""
    first_ns: int | None = None
    behind = 0
    for item in items:
        is_image = isinstance(item, ImageItem)
        if is_image and first_ns is None:
            first_ns = item.stamp_ns
        after_s = 0.0 if first_ns is None else (item.stamp_ns - first_ns) / NS_PER_S
        if is_image:
            behind = behind + 1 if after_s > end_s else 0
        # One image can have a wrong stamp.
        if behind == AGREEING:
            return
        # Where time was set back, as in a looped recording, a moment lies before the first.
        if after_s <= end_s and not (is_image and 0.0 <= after_s < start_s):
            yield item


async def _describe(previous: KeyFrame | None, frame: KeyFrame, perceiver: Perceiver) -> Observation | None:
    try:
        description = await perceiver.describe(previous, frame)
    except (InputError, ReplyError) as error:
        _logger.warning('key frame %d is left out: %s', frame.index, error)
        return None
    return observation_of(frame, description, perceiver)


def _end(observations: Sequence[Observation], recording: Recording, until_s: float | None) -> int:
    """The stamp at which the question is asked: the recording's end, or so long after the session's first key frame."""
    session = recording.key_frames[-1].session
    stamps_ns = [seen.stamp_ns for seen in observations if seen.session == session]
    if until_s is None or not stamps_ns:
        return recording.end_ns
    return min(stamps_ns) + round(until_s * NS_PER_S)


def _window(
    observations: Sequence[Observation], recording: Recording, last_s: float | None, until_s: float | None, end_ns: int
) -> Window:
    """The asked part of the last session, and the present where it reaches to the end."""
    if not observations:
        return Window()
    memory = ObservationMemory(len(observations))
    for observation in observations:
        memory.add(observation)
    seen = memory.window(start_ns=None if last_s is None else end_ns - round(last_s * NS_PER_S), end_ns=end_ns)
    at_end = until_s is None and bool(seen) and seen[-1].index == recording.key_frames[-1].index
    if at_end and recording.last_pose is not None:
        return with_latest_motion(seen, *recording.last_pose)
    return seen


class _Watch:
    """Tells the time of choosing key frames from that of decoding and encoding, which happens within."""

    def __init__(self) -> None:
        self.selection_s = 0.0
        self._codec_s = 0.0

    def push(self, framer: KeyFramer, item: ImageItem) -> list[KeyFrame]:
        """Push an image; one that cannot be read is left out with a line in the log."""
        self._codec_s = 0.0
        start_s = time.perf_counter()
        try:
            return framer.push(item.frame)
        except InputError as error:
            _logger.warning('image %d is left out: %s', item.number, error)
            return []
        finally:
            self.selection_s += time.perf_counter() - start_s - self._codec_s

    def apart(self, work: Callable[[Frame], Result]) -> Callable[[Frame], Result]:
        """The work of a codec, which does not count as choosing."""

        def timed(frame: Frame) -> Result:
            start_s = time.perf_counter()
            try:
                return work(frame)
            finally:
                self._codec_s += time.perf_counter() - start_s

        return timed
