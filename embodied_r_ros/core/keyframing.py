"""From frames and poses to key frames: everything that the camera node does without ROS, and offline the same."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable

from embodied_r_ros.core.camera import Camera, fit_camera
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Frame, FrameBuffer, StampSampler
from embodied_r_ros.core.keyframes import REQUESTED, KeyFrameDecision, KeyFrameSelector, KeyFrameSettings
from embodied_r_ros.core.matching import Grey
from embodied_r_ros.core.motion import motion_from_poses, moves_along
from embodied_r_ros.core.mounting import Mounting, MountingSettings
from embodied_r_ros.core.pose_track import PoseTrack
from embodied_r_ros.core.records import Calibration, EncodedImage, KeyFrame, Motion, MotionSource, Pose
from embodied_r_ros.core.stamps import StampGate
from embodied_r_ros.core.visual_odometry import VisualOdometry, motion_between

_SESSIONS_KEPT = 64


class KeyFramer:
    """Takes frames, poses and the calibration as they come, and returns key frames.

    Args:
        settings: how key frames are picked.
        shrink: makes the small grey image of a frame (`adapters.codec.small_grey`); raises InputError on a broken one.
        encode: the frame's image as bytes, those it came in where it has any (`adapters.codec.encode_frame`).
        mounting: how the camera sits on the base, and which frames count.

    Attributes:
        session: start stamp of the session; None before its first frame.
        frames: the latest frames, for requests.
        poses: the latest poses, of the base in the fixed frame.
        mounting: the transforms that were told.
        received: frames pushed.
        sampled: frames looked at.
        ignored: frames left out, because their stamp was not later than that of the frame before.
        odometry: from the images, where there are no poses.
        unknown: key frames of which neither poses nor images tell the motion since the one before.
        misfit: why the calibration does not fit the latest key frame; '' where it does, and where there is none.
    """

    def __init__(
        self,
        settings: KeyFrameSettings,
        shrink: Callable[[Frame], Grey],
        encode: Callable[[Frame], EncodedImage],
        mounting: MountingSettings | None = None,
    ) -> None:
        self._settings = settings
        self._shrink = shrink
        self._encode = encode
        self._selector = KeyFrameSelector(settings)
        self._sampler = StampSampler(settings.sample_hz)
        self._calibration: Calibration | None = None
        self._sessions: deque[int] = deque(maxlen=_SESSIONS_KEPT)
        self.frames = FrameBuffer(settings.buffer_s, int(settings.buffer_mb * 1e6))
        self.mounting = Mounting(mounting or MountingSettings())
        limits = self.mounting.settings
        self.poses = PoseTrack(settings.pose_max_age_s, limits.max_speed_m_s, limits.max_turn_deg_s)
        self.received = self.sampled = self.ignored = 0
        self.session: int | None = None
        self.misfit = ''
        self.odometry = VisualOdometry(settings.motion_hz)
        self.unknown = 0
        self._stamps: StampGate[tuple[Frame, Grey | None, bool]] = StampGate()
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
        self.odometry.reset()
        self.frames.clear()
        self.mounting.reset()
        self.poses.confirm(stamp_ns)
        while stamp_ns in self._sessions:
            stamp_ns += 1
        self._sessions.append(stamp_ns)
        self.session = stamp_ns
        return stamp_ns

    def push_pose(self, stamp_ns: int, pose: Pose, frame_id: str = '', child_frame_id: str = '') -> bool:
        """Take a pose of odometry; False where it is ignored (see `PoseTrack`, `Mounting.base_pose`)."""
        placed = self.mounting.base_pose(pose, frame_id, child_frame_id, stamp_ns)
        return placed is not None and self.poses.push(stamp_ns, placed)

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Take what the camera says of itself; whether it fits shows with the next key frame (`misfit`)."""
        self._calibration = calibration

    def camera_of(self, frame: Frame) -> Camera | None:
        """The camera behind a frame; None where it is not calibrated, or where that does not fit."""
        camera, self.misfit = (None, '')
        if self._calibration is not None:
            mounted = self.mounting.camera_pose(frame.frame_id, frame.stamp_ns)
            camera, self.misfit = fit_camera(self._calibration, frame.width, frame.height, mounted)
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
        sampled = self._sampler.due(stamp_ns) or not self._stamps.follows(stamp_ns)
        tracked = self.odometry.due(stamp_ns) and self.poses.at(stamp_ns) is None
        grey = self._shrink(frame) if sampled else self._shrink_or_none(frame) if tracked else None
        return self._take_all(self._stamps.push(stamp_ns, (frame, grey, sampled)))

    def _shrink_or_none(self, frame: Frame) -> Grey | None:
        """A frame that is looked at only for motion, and cannot be read, is as none."""
        try:
            return self._shrink(frame)
        except InputError:
            return None

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

    def _take_all(self, frames: list[tuple[Frame, Grey | None, bool]]) -> list[KeyFrame]:
        if frames and (self._stamps.jumped or self.session is None):
            self._start_session(frames[0][0].stamp_ns)
        keys = []
        for frame, grey, sampled in frames:
            self.frames.push(frame)
            if grey is not None:
                self._track(frame, grey)
            if grey is None or not sampled:
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
        self._track(frame, grey)
        return self._key_frame(frame, grey, self._selector.take(grey, frame.stamp_ns, REQUESTED))

    def _track(self, frame: Frame, grey: Grey) -> None:
        if self.poses.at(frame.stamp_ns) is None:
            self.odometry.push(grey, frame.stamp_ns, self.camera_of(frame))
        else:
            self.odometry.reset()

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
            camera_pose=self.mounting.camera_pose(frame.frame_id, frame.stamp_ns),
            motion=self._motion(pose, frame.stamp_ns, camera, grey),
        )
        self._last_key, self._last_grey = key, grey
        self.poses.keep_from(key.stamp_ns)
        return key

    def _motion(self, pose: Pose | None, stamp_ns: int, camera: Camera | None, grey: Grey) -> Motion | None:
        if self._last_key is None:
            return None
        seen = self.odometry.take(self._last_key.stamp_ns)
        if pose is not None and self._last_key.pose is not None:
            return self._motion_of_poses(self._last_key.stamp_ns, stamp_ns)
        if seen is None and self._last_grey is not None and self._last_grey.shape == grey.shape:
            seen = motion_between(self._last_grey, grey, camera)
        self.unknown += seen is None
        return seen

    def _motion_of_poses(self, start_ns: int, end_ns: int) -> Motion:
        """The motion; one that is `jumped` where odometry jumped in between."""
        way = self.poses.between(start_ns, end_ns)
        if not way or self.poses.jumped(start_ns, end_ns):
            return Motion(name='', source=MotionSource.ODOMETRY)
        return dataclasses.replace(motion_from_poses(way[0], way[-1]), moves=moves_along(way))
