"""How the camera sits on the base, and the base where odometry says, as transforms tell or settings do."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.frames import Transform
from embodied_r_ros.core.poses import chained, inverse, pose_from_angles, rotation_matrix
from embodied_r_ros.core.records import Pose
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.transforms import TransformTree

# A transform counts for so long before the first and after the last time that it was told.
MAX_AGE_S = 1.0
USUAL_BASES = ('base_link', 'base_footprint')
# The axes of a camera as a body (x ahead, y left, z up) in its optical frame (x right, y down, z ahead).
BODY_IN_OPTICAL = inverse(pose_from_angles(0.0, 0.0, 0.0, -math.pi / 2, 0.0, -math.pi / 2))
_ASSUMED = 'taken to look ahead, level, from its origin; camera_pose or /tf_static tells otherwise'
LOOKS_UP = math.cos(math.radians(15.0))


class Note(NamedTuple):
    """What is to be said once; `grave` where something is wrong."""

    sentence: str
    grave: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameSettings(Settings):
    """Which frames positions are in, and which odometry is trusted."""

    base_frame: str = setting(
        '', "'Ahead' and 'left' belong to this frame; '' means the child frame of odometry, otherwise base_link."
    )
    fixed_frame: str = setting(
        '', "Poses and landmarks are in this frame; '' means the frame of odometry. /tf must connect the two."
    )
    max_speed_m_s: float = setting(
        20.0,
        'Odometry that moves faster has jumped; no motion is reported across a jump.',
        unit='m/s',
        within=(0.01, 1e4),
    )
    max_turn_deg_s: float = setting(
        720.0,
        'Odometry that turns faster has jumped; no motion is reported across a jump.',
        unit='deg/s',
        within=(0.1, 1e5),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MountingSettings(FrameSettings):
    """Where the camera is mounted, which frames positions are in, and which odometry is trusted."""

    camera_pose: str = setting(
        '',
        "The camera's body (x ahead, y left, z up) has this pose in the base frame: 'x y z roll pitch yaw' in metres "
        "and degrees; '' takes it from /tf, or assumes that the camera looks straight ahead from the base's origin.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        read_camera_pose(self.camera_pose)


class Mounting:
    """Places the camera on the base, and poses of odometry in the fixed frame.

    Attributes:
        transforms: all that were told.
        settings: as given.
    """

    def __init__(self, settings: MountingSettings) -> None:
        self.settings = settings
        self.transforms = TransformTree(MAX_AGE_S)
        self._told = read_camera_pose(settings.camera_pose)
        self._notes: list[Note] = []
        self._noted: set[str] = set()
        self._odometry_frames: tuple[str, str] | None = None
        self._frames_may_change = True
        self._last_camera: dict[tuple[str, str], Pose] = {}
        self._last_offset: Pose | None = None

    def reset(self) -> None:
        """A new session: odometry may have other frames from now on."""
        self._frames_may_change = True

    def push(self, transform: Transform) -> None:
        """Take a transform."""
        problem = self.transforms.push(transform)
        if problem:
            # The part before ', got' names the rule that was broken.
            self._note(problem, problem.partition(', got ')[0])

    def take_notes(self) -> list[Note]:
        """What is to be said since the last call; each thing once."""
        notes, self._notes = self._notes, []
        return notes

    @property
    def base_frame(self) -> str:
        """The frame of the base; '' while none is known."""
        if self.settings.base_frame:
            return self.settings.base_frame
        if self._odometry_frames is not None and self._odometry_frames[1]:
            return self._odometry_frames[1]
        return next((name for name in USUAL_BASES if name in self.transforms), '')

    @property
    def fixed_frame(self) -> str:
        """The frame that poses are in; '' while none is known."""
        return self.settings.fixed_frame or ('' if self._odometry_frames is None else self._odometry_frames[0])

    def knows(self, frame_id: str, stamp_ns: int) -> bool:
        """Whether it is told where the camera with this optical frame sits."""
        if self._told is not None:
            return True
        return bool(self.base_frame) and self.transforms.find(frame_id, self.base_frame, stamp_ns)[0] is not None

    def camera_pose(self, frame_id: str, stamp_ns: int) -> Pose | None:
        """The pose of the camera, as a body, in the base.

        Where transforms end for a while, the camera is taken to stay where it was.

        Returns:
            None where nothing tells it: then it is taken to look ahead, level, from the base's origin.
        """
        if self._told is not None:
            return self._told
        base = self.base_frame
        if not len(self.transforms):
            self._note('no transforms tell where the camera is on the base, so it is ' + _ASSUMED, grave=False)
            return None
        found, missing = (
            self.transforms.find(frame_id, base, stamp_ns) if base else (None, f'got no frame {USUAL_BASES[0]!r}')
        )
        if found is not None:
            pose = self._last_camera[frame_id, base] = chained(found, BODY_IN_OPTICAL)
            if rotation_matrix(pose)[2, 0] > LOOKS_UP and 'optical' not in frame_id:
                self._note(
                    f'the camera looks straight up, since the images are of frame {frame_id!r}, whose z axis should be '
                    'the way it looks; let the driver name the optical frame, or set camera_pose'
                )
            return pose
        known = self._last_camera.get((frame_id, base))
        so = _ASSUMED if known is None else 'taken to be where it was'
        self._note(f'transforms do not tell where the camera is on the base, so it is {so}: {missing}', so)
        return known

    def base_pose(self, pose: Pose, frame_id: str, child_frame_id: str, stamp_ns: int) -> Pose | None:
        """A pose of odometry as the pose of the base in the fixed frame; None where transforms do not lead there."""
        frames = (frame_id.lstrip('/'), child_frame_id.lstrip('/'))
        if self._frames_may_change or self._odometry_frames is None:
            self._odometry_frames, self._frames_may_change = frames, False
        elif self._odometry_frames != frames:
            was, now = (' to '.join(map(repr, pair)) for pair in (self._odometry_frames, frames))
            self._note(f'odometry must keep its frames, got {now} after {was}; such poses are left out', 'frames')
            return None
        frame, child = frames
        base, fixed = self.settings.base_frame.lstrip('/'), self.settings.fixed_frame.lstrip('/')
        if base and child and base != child:
            offset, missing = self.transforms.find(base, child, stamp_ns)
            self._last_offset = offset = offset or self._last_offset
            if offset is None:
                self._note(f'odometry is of {child!r}, and its poses are left out: {missing}', 'base of odometry')
                return None
            pose = chained(pose, offset)
        if fixed and frame and fixed != frame:
            outer, missing = self.transforms.find(frame, fixed, stamp_ns)
            if outer is None:
                self._note(f'odometry is in {frame!r}, and its poses are left out: {missing}', 'fixed frame')
                return None
            pose = chained(outer, pose)
        return pose

    def _note(self, sentence: str, kind: str = '', *, grave: bool = True) -> None:
        kind = kind or sentence
        if kind not in self._noted:
            self._noted.add(kind)
            self._notes.append(Note(sentence, grave))


def read_camera_pose(text: str) -> Pose | None:
    """'x y z roll pitch yaw' in metres and degrees as a pose; None for ''.

    Raises:
        SettingsError: it is anything else.
    """
    if not text.strip():
        return None
    try:
        numbers = [float(part) for part in text.replace(',', ' ').split()]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise SettingsError(
            f"camera_pose must be six numbers, 'x y z roll pitch yaw' in metres and degrees, got {text!r}"
        )
    return pose_from_angles(*numbers[:3], *map(math.radians, numbers[3:]))
