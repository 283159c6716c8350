"""From frames and poses to key frames: everything that the camera node does without ROS, and offline the same."""

from __future__ import annotations

import bisect
import dataclasses
from collections import deque
from collections.abc import Callable

from embodied_r_ros.core.camera import Camera, fit_camera
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, Frame, FrameBuffer, StampSampler
from embodied_r_ros.core.keyframes import REQUESTED, KeyFrameDecision, KeyFrameSelector, KeyFrameSettings
from embodied_r_ros.core.matching import Grey
from embodied_r_ros.core.motion import EgoMotionEstimator, motion_from_poses, moves_along
from embodied_r_ros.core.poses import pose_between, sound_pose
from embodied_r_ros.core.records import Calibration, EncodedImage, KeyFrame, Motion, MotionSource, Pose
from embodied_r_ros.core.stamps import StampGate

POSES_KEPT = 2048
WAY_STEP_S = 0.2
_SESSIONS_KEPT = 64


class PoseTrack:
    """The latest poses, and the way since the last key frame, read at any stamp; bounded in number.

    The latest `POSES_KEPT` poses stay as they came. Of the older ones those stay that `between` takes from the stamp of
    `keep_from` on; fewer, further apart in time, where even these are too many.

    A frame often comes before the pose that was measured just after it. Nothing waits for that pose: up to `max_age_s`
    beyond the last one the pose goes on at the rate of the last two.

    A pose whose stamp leaps waits for the next ones (`StampGate`); where the time base is a new one, the track begins
    anew.

    Attributes:
        ignored: poses left out: a number was not finite, the quaternion zero, the stamp not later than the last, or
            wrong.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_ns = int(max_age_s * NS_PER_S)
        self._kept_from_ns: int | None = None
        self._unusable = 0
        self._gate: StampGate[tuple[int, Pose]] = StampGate()
        self.clear()

    def __len__(self) -> int:
        return len(self._poses)

    @property
    def outliers(self) -> int:
        """Poses left out because a single stamp was wrong."""
        return self._gate.outliers

    @property
    def wrong_ns(self) -> int | None:
        """The stamp of the latest of these."""
        return self._gate.wrong_ns

    @property
    def ignored(self) -> int:
        """Poses left out, outliers among them."""
        return self._unusable + self._gate.outliers

    @property
    def newest(self) -> tuple[int, Pose] | None:
        """Stamp and pose of the newest one; None while there is none."""
        return (self._stamps_ns[-1], self._poses[-1]) if self._poses else None

    def clear(self) -> None:
        """Forget all poses; the counts of those left out stay."""
        self._gate.reset()
        self._forget()

    def push(self, stamp_ns: int, pose: Pose) -> bool:
        """Add a pose; False where it is left out, or waits for the stamps of the next ones."""
        sound = sound_pose(pose)
        if sound is None or self._gate.late(stamp_ns):
            self._unusable += 1
            return False
        taken = self._gate.push(stamp_ns, (stamp_ns, sound))
        if self._gate.jumped:
            self._forget()
        for taken_ns, pose in taken:
            self._stamps_ns.append(taken_ns)
            self._poses.append(pose)
        if len(self._poses) >= 2 * POSES_KEPT:
            self._thin()
        return bool(taken)

    def _forget(self) -> None:
        self._stamps_ns: list[int] = []
        self._poses: list[Pose] = []

    def keep_from(self, stamp_ns: int) -> None:
        """Keep the way from this stamp on, until the next call."""
        self._kept_from_ns = stamp_ns

    def at(self, stamp_ns: int) -> Pose | None:
        """The pose at a stamp; None where the nearest measured pose is more than `max_age_s` away."""
        after = bisect.bisect_left(self._stamps_ns, stamp_ns)
        if after < len(self._stamps_ns) and self._stamps_ns[after] == stamp_ns:
            return self._poses[after]
        if after == 0:
            near = bool(self._poses) and self._stamps_ns[0] - stamp_ns <= self._max_age_ns
            return self._poses[0] if near else None
        if after == len(self._poses):
            return self._beyond(stamp_ns)
        old_ns, new_ns = self._stamps_ns[after - 1], self._stamps_ns[after]
        if min(stamp_ns - old_ns, new_ns - stamp_ns) > self._max_age_ns:
            return None
        return pose_between(self._poses[after - 1], self._poses[after], (stamp_ns - old_ns) / (new_ns - old_ns))

    def between(self, start_ns: int, end_ns: int) -> list[Pose]:
        """The poses from one stamp to another, at least `WAY_STEP_S` apart; empty where an end has none."""
        ends = self.at(start_ns), self.at(end_ns)
        if ends[0] is None or ends[1] is None:
            return []
        places = self._apart(start_ns, bisect.bisect_left(self._stamps_ns, end_ns), WAY_STEP_S)
        return [ends[0], *(self._poses[place] for place in places), ends[1]]

    def _apart(self, start_ns: int, end: int, step_s: float) -> list[int]:
        """The places, before `end`, of the poses that come at least a step after `start_ns` and after each other."""
        places, last_ns = [], start_ns
        for place in range(bisect.bisect_right(self._stamps_ns, start_ns), end):
            if self._stamps_ns[place] - last_ns >= step_s * NS_PER_S:
                places.append(place)
                last_ns = self._stamps_ns[place]
        return places

    def _thin(self) -> None:
        """Thin out the older half: to nothing, or to the way that is kept and the poses around its start."""
        places: list[int] = []
        start_ns, step_s = self._kept_from_ns, WAY_STEP_S
        if start_ns is not None:
            places = self._apart(start_ns, POSES_KEPT, step_s)
            while len(places) > POSES_KEPT // 2:
                step_s *= 2.0
                places = self._apart(start_ns, POSES_KEPT, step_s)
            after = bisect.bisect_right(self._stamps_ns, start_ns)
            places = sorted({*places, *range(max(after - 1, 0), min(after + 1, POSES_KEPT))})
        self._stamps_ns[:POSES_KEPT] = [self._stamps_ns[place] for place in places]
        self._poses[:POSES_KEPT] = [self._poses[place] for place in places]

    def _beyond(self, stamp_ns: int) -> Pose | None:
        if stamp_ns - self._stamps_ns[-1] > self._max_age_ns:
            return None
        if len(self._poses) == 1:
            return self._poses[-1]
        old_ns, new_ns = self._stamps_ns[-2:]
        if new_ns - old_ns > self._max_age_ns:
            return self._poses[-1]
        return pose_between(self._poses[-2], self._poses[-1], (stamp_ns - old_ns) / (new_ns - old_ns))


class KeyFramer:
    """Takes frames, poses and the calibration as they come, and returns key frames.

    Args:
        settings: how key frames are picked.
        shrink: makes the small grey image of a frame (`adapters.codec.small_grey`); raises InputError on a broken one.
        encode: the frame's image as bytes, those it came in where it has any (`adapters.codec.encode_frame`).

    Attributes:
        session: start stamp of the session; None before its first frame.
        frames: the latest frames, for requests.
        poses: the latest poses.
        received: frames pushed.
        sampled: frames looked at.
        ignored: frames left out, because their stamp was not later than that of the frame before.
        misfit: why the calibration does not fit the latest key frame; '' where it does, and where there is none.
    """

    def __init__(
        self, settings: KeyFrameSettings, shrink: Callable[[Frame], Grey], encode: Callable[[Frame], EncodedImage]
    ) -> None:
        self._settings = settings
        self._shrink = shrink
        self._encode = encode
        self._selector = KeyFrameSelector(settings)
        self._sampler = StampSampler(settings.sample_hz)
        self._calibration: Calibration | None = None
        self._sessions: deque[int] = deque(maxlen=_SESSIONS_KEPT)
        self.frames = FrameBuffer(settings.buffer_s, int(settings.buffer_mb * 1e6))
        self.poses = PoseTrack(settings.pose_max_age_s)
        self.received = self.sampled = self.ignored = 0
        self.session: int | None = None
        self.misfit = ''
        self._stamps: StampGate[tuple[Frame, Grey | None]] = StampGate()
        self._last_sampled: Frame | None = None
        self._last_key: KeyFrame | None = None
        self._last_grey: Grey | None = None

    @property
    def overlap(self) -> float:
        """Of the last frame looked at with the last key frame; NaN where it could not be measured."""
        return self._selector.overlap

    @property
    def outliers(self) -> int:
        """Frames left out because a single stamp was wrong."""
        return self._stamps.outliers

    @property
    def wrong_ns(self) -> int | None:
        """The stamp of the latest of these."""
        return self._stamps.wrong_ns

    @property
    def last_ns(self) -> int | None:
        """The newest sound stamp of the session; None before its first frame."""
        return self._stamps.last_ns

    def start_session(self, stamp_ns: int) -> int:
        """Start a session: the next frame is its first key frame.

        Returns:
            The session's number: its start stamp, or the next number that none of the last 64 sessions has, since a
            looped recording starts at the same stamp again.
        """
        self._stamps.reset()
        return self._start_session(stamp_ns)

    def _start_session(self, stamp_ns: int) -> int:
        self._last_sampled = self._last_key = self._last_grey = None
        self._selector.reset()
        self._sampler.reset()
        self.frames.clear()
        while stamp_ns in self._sessions:
            stamp_ns += 1
        self._sessions.append(stamp_ns)
        self.session = stamp_ns
        return stamp_ns

    def push_pose(self, stamp_ns: int, pose: Pose) -> bool:
        """Take a pose; False where it is ignored (see `PoseTrack`)."""
        return self.poses.push(stamp_ns, pose)

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Take what the camera says of itself; whether it fits shows with the next key frame (`misfit`)."""
        self._calibration = calibration

    def camera_of(self, frame: Frame) -> Camera | None:
        """The camera behind a frame; None where it is not calibrated, or where that does not fit."""
        camera, self.misfit = (None, '')
        if self._calibration is not None:
            camera, self.misfit = fit_camera(self._calibration, frame.width, frame.height)
        return camera

    def push(self, frame: Frame) -> list[KeyFrame]:
        """Take the next frame.

        A stamp that is repeated or falls back by less than a second is ignored. A frame whose stamp leaps waits for the
        next ones: they refute it, or they show that the camera had paused, or that its clock was set; then a new
        session begins with it (`StampGate`).

        Returns:
            The key frames: mostly none or one; more where frames waited.

        Raises:
            InputError: the frame has no stamp or cannot be read. It is left out, and nothing else changes.
        """
        self.received += 1
        stamp_ns, last_ns = frame.stamp_ns, self._stamps.last_ns
        if stamp_ns < 0 or (stamp_ns == 0 and last_ns is not None and last_ns > 0):
            raise InputError(
                f'a frame needs the time at which it was taken, got stamp_ns {stamp_ns!r} after {last_ns!r}; '
                'let the camera driver fill header.stamp'
            )
        if self._stamps.late(stamp_ns):
            self.ignored += 1
            return []
        # A frame that has to wait is seen to be readable before it does.
        wanted = self._sampler.due(stamp_ns) or not self._stamps.follows(stamp_ns)
        grey = self._shrink(frame) if wanted else None
        return self._take_all(self._stamps.push(stamp_ns, (frame, grey)))

    def capture(self) -> KeyFrame:
        """Make the newest frame that can be read a key frame, reason 'requested'.

        Returns:
            The key frame; the last one once more, the same object, where no newer frame has come.

        Raises:
            InputError: no frame has come yet, or none that can be read.
        """
        for frame in reversed(self.frames):
            if self._last_key is not None and frame.stamp_ns <= self._last_key.stamp_ns:
                return self._last_key
            try:
                return self._take(frame)
            except InputError:
                continue
        if self._last_key is not None:
            return self._last_key
        raise InputError('a capture needs a frame, got none that can be read so far; check that the camera publishes')

    def finish(self, keep_last: bool = True) -> list[KeyFrame]:
        """The end of a recording.

        A frame that waits counts where its stamp tells of a pause, and is left out where it tells of another time.

        Args:
            keep_last: make the last sampled frame a key frame, unless it is one already (paper's code).
        """
        keys = self._take_all(self._stamps.finish())
        frame = self._last_sampled if keep_last else None
        if frame is None or (self._last_key is not None and frame.stamp_ns <= self._last_key.stamp_ns):
            return keys
        return [*keys, self._take(frame)]

    def _take_all(self, frames: list[tuple[Frame, Grey | None]]) -> list[KeyFrame]:
        if frames and (self._stamps.jumped or self.session is None):
            self._start_session(frames[0][0].stamp_ns)
        keys = []
        for frame, grey in frames:
            self.frames.push(frame)
            if grey is None:
                continue
            self._sampler.take(frame.stamp_ns)
            self.sampled += 1
            self._last_sampled = frame
            decision = self._selector.push(grey, frame.stamp_ns)
            if decision is not None:
                keys.append(self._key_frame(frame, grey, decision))
        return keys

    def _take(self, frame: Frame) -> KeyFrame:
        grey = self._shrink(frame)
        return self._key_frame(frame, grey, self._selector.take(grey, frame.stamp_ns, REQUESTED))

    def _key_frame(self, frame: Frame, grey: Grey, decision: KeyFrameDecision) -> KeyFrame:
        pose = self.poses.at(frame.stamp_ns)
        camera = self.camera_of(frame)
        key = KeyFrame(
            session=0 if self.session is None else self.session,
            index=0 if self._last_key is None else self._last_key.index + 1,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            image=self._encode(frame),
            reason=decision.reason,
            overlap=decision.overlap,
            calibration=None if camera is None else self._calibration,
            pose=pose,
            motion=self._motion(pose, frame.stamp_ns, camera, grey),
        )
        self._last_key, self._last_grey = key, grey
        self.poses.keep_from(key.stamp_ns)
        return key

    def _motion(self, pose: Pose | None, stamp_ns: int, camera: Camera | None, grey: Grey) -> Motion | None:
        if self._last_key is None:
            return None
        if pose is not None and self._last_key.pose is not None:
            moves = moves_along(self.poses.between(self._last_key.stamp_ns, stamp_ns))
            return dataclasses.replace(motion_from_poses(self._last_key.pose, pose), moves=moves)
        if self._last_grey is None or self._last_grey.shape != grey.shape:
            return None
        motion = EgoMotionEstimator(camera).estimate(self._last_grey, grey)
        return None if motion.source is MotionSource.NONE else motion
