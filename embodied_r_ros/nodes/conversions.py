"""What is seen, as messages and as records of core: key frames, observations and their parts.

Stamps are integer nanoseconds on core's side. Questions and answers are converted in requests.py.
"""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from typing import Any, TypeVar

from builtin_interfaces.msg import Duration, Time
from embodied_r_interfaces import msg as messages
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import Vector3
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from embodied_r_ros.adapters import codec
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.keyframes import REASONS
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import EncodedImage, Intrinsics, KeyFrame, Motion, MotionSource, Move, Pose, Sighting

Name = TypeVar('Name')

NS_PER_S = 1_000_000_000
# What tells a key frame from all others, in every message and record that is about one.
KEY_FIELDS = ('camera', 'session', 'index')

_SOURCES = (MotionSource.NONE, MotionSource.ODOMETRY, MotionSource.IMAGES)
_MOTION_NUMBERS = ('forward_m', 'left_m', 'up_m', 'rotate_left_deg', 'tilt_up_deg')
_SIGHTING = ('name', 'track_id', 'distance_m', 'spread_along_m', 'spread_across_m', 'confidence', 'source')
_OBSERVATION = (*KEY_FIELDS, 'given_up', 'text', 'source', 'model')
_MIN_NORM = 0.5


def fields_of(source: Any, names: Sequence[str]) -> dict[str, Any]:
    """The fields that message and record have in common, as keywords for the other one."""
    return {name: getattr(source, name) for name in names}


def ns_from_stamp(stamp: Time | Duration) -> int:
    """Nanoseconds of a stamp or duration."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def stamp_from_ns(stamp_ns: int) -> Time:
    """A stamp of so many nanoseconds, 0 to 2^31 seconds."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def header(stamp_ns: int, frame_id: str = '') -> Header:
    """A header with this stamp and frame."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)


def pose_from_message(message: PoseMessage) -> Pose:
    """A pose with its quaternion brought to unit length.

    Raises:
        InputError: a number is NaN or infinite, or the quaternion is next to zero.
    """
    at, turned = message.position, message.orientation
    numbers = (at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w)
    norm = math.hypot(*numbers[3:])
    if not all(map(math.isfinite, numbers)) or norm < _MIN_NORM:
        raise InputError(
            'a pose must be finite with a unit quaternion, '
            f'got (x, y, z, qx, qy, qz, qw) = {numbers!r}; mend the sender'
        )
    return Pose(
        x_m=at.x, y_m=at.y, z_m=at.z, qx=turned.x / norm, qy=turned.y / norm, qz=turned.z / norm, qw=turned.w / norm
    )


def pose_to_message(pose: Pose | None) -> PoseMessage:
    """A pose message; the identity for None, beside `has_pose` false."""
    message = PoseMessage()
    if pose is not None:
        message.position.x, message.position.y, message.position.z = pose.x_m, pose.y_m, pose.z_m
        turned = message.orientation
        turned.x, turned.y, turned.z, turned.w = pose.qx, pose.qy, pose.qz, pose.qw
    return message


def intrinsics_from_message(message: CameraInfo) -> Intrinsics | None:
    """Intrinsics, or None for the message of an uncalibrated camera (sizes or focal lengths that are not positive)."""
    fx_px, cx_px, fy_px, cy_px = (float(message.k[place]) for place in (0, 2, 4, 5))
    usable = message.width > 0 and message.height > 0 and fx_px > 0.0 and fy_px > 0.0
    if not (usable and all(map(math.isfinite, (fx_px, fy_px, cx_px, cy_px)))):
        return None
    return Intrinsics(width=message.width, height=message.height, fx_px=fx_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)


def intrinsics_to_message(intrinsics: Intrinsics | None, header: Header) -> CameraInfo:
    """A camera info message of an undistorted pinhole camera; width 0 for None."""
    message = CameraInfo(header=header)
    if intrinsics is not None:
        fx, fy, cx, cy = intrinsics.fx_px, intrinsics.fy_px, intrinsics.cx_px, intrinsics.cy_px
        message.width, message.height = intrinsics.width, intrinsics.height
        message.distortion_model = 'plumb_bob'
        message.d = [0.0] * 5
        message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
        message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def motion_from_message(message: messages.Motion) -> Motion | None:
    """Motion, or None where nothing is known about it."""
    if message.source == messages.Motion.NONE and not message.name and not message.moves:
        return None
    moves = tuple(Move(kind=move.kind, amount=move.amount, estimated=move.estimated) for move in message.moves)
    source = known(_SOURCES, message.source, 'motion source')
    return Motion(name=message.name, source=source, moves=moves, **fields_of(message, _MOTION_NUMBERS))


def motion_to_message(motion: Motion | None) -> messages.Motion:
    """A motion message; source NONE, no name and NaN throughout for None."""
    motion = Motion(name='') if motion is None else motion
    numbers = {name: float(getattr(motion, name)) for name in _MOTION_NUMBERS}
    moves = [
        messages.Move(kind=move.kind, amount=float(move.amount), estimated=move.estimated) for move in motion.moves
    ]
    return messages.Motion(source=_SOURCES.index(motion.source), name=motion.name, moves=moves, **numbers)


def image_from_message(message: CompressedImage) -> EncodedImage:
    """The bytes as they came; what they are is read from their beginning, since drivers write `format` in many ways.

    Raises:
        InputError: neither JPEG nor PNG.
    """
    data = bytes(message.data)
    return EncodedImage(data=data, mime=codec.sniff(data))


def image_to_message(image: EncodedImage, header: Header) -> CompressedImage:
    """A compressed image message with the same bytes."""
    message = CompressedImage(header=header, format=image.mime.partition('/')[2])
    # rclpy looks at every element of a bytes object, at none of an array's.
    message.data = array.array('B', image.data)
    return message


def key_frame_from_message(message: messages.KeyFrame) -> KeyFrame:
    """A key frame.

    Raises:
        InputError: its image, pose or reason cannot be used.
    """
    return KeyFrame(
        **fields_of(message, KEY_FIELDS),
        stamp_ns=ns_from_stamp(message.header.stamp),
        frame_id=message.header.frame_id,
        image=image_from_message(message.image),
        reason=known(REASONS, message.reason, 'key frame reason'),
        overlap=message.overlap,
        intrinsics=intrinsics_from_message(message.camera_info),
        pose=pose_from_message(message.pose) if message.has_pose else None,
        camera_pose=pose_from_message(message.camera_pose) if message.has_camera_pose else None,
        motion=motion_from_message(message.motion),
    )


def key_frame_to_message(frame: KeyFrame) -> messages.KeyFrame:
    """A key frame message."""
    head = header(frame.stamp_ns, frame.frame_id)
    return messages.KeyFrame(
        header=head,
        **fields_of(frame, KEY_FIELDS),
        reason=REASONS.index(frame.reason),
        overlap=float(frame.overlap),
        image=image_to_message(frame.image, head),
        camera_info=intrinsics_to_message(frame.intrinsics, head),
        has_pose=frame.pose is not None,
        pose=pose_to_message(frame.pose),
        has_camera_pose=frame.camera_pose is not None,
        camera_pose=pose_to_message(frame.camera_pose),
        motion=motion_to_message(frame.motion),
    )


def observation_from_message(message: messages.Observation) -> Observation:
    """An observation.

    Raises:
        InputError: a pose, its motion or a sighting cannot be used.
    """
    return Observation(
        stamp_ns=ns_from_stamp(message.header.stamp),
        motion=motion_from_message(message.motion),
        sightings=tuple(map(sighting_from_message, message.sightings)),
        latency_s=message.latency_s,
        pose=pose_from_message(message.pose) if message.has_pose else None,
        camera_pose=pose_from_message(message.camera_pose) if message.has_camera_pose else None,
        **fields_of(message, _OBSERVATION),
    )


def observation_to_message(observation: Observation, frame_id: str = '') -> messages.Observation:
    """An observation message; `frame_id` is that of the key frame's image."""
    return messages.Observation(
        header=header(observation.stamp_ns, frame_id),
        motion=motion_to_message(observation.motion),
        sightings=list(map(sighting_to_message, observation.sightings)),
        words='' if observation.given_up else observation.words,
        latency_s=float(observation.latency_s),
        has_pose=observation.pose is not None,
        pose=pose_to_message(observation.pose),
        has_camera_pose=observation.camera_pose is not None,
        camera_pose=pose_to_message(observation.camera_pose),
        **fields_of(observation, _OBSERVATION),
    )


def sighting_from_message(message: messages.Sighting) -> Sighting:
    """A sighting with its ray brought to unit length.

    Raises:
        InputError: it has no name, or its ray is not finite or next to zero.
    """
    ray = (message.ray.x, message.ray.y, message.ray.z)
    length = math.hypot(*ray)
    if not message.name or not math.isfinite(length) or length < _MIN_NORM:
        raise InputError(
            f'a sighting needs a name and a finite unit vector as its ray, got {message.name!r} and {ray!r}; '
            'correct what the sender publishes'
        )
    left, upper, right, lower = (float(edge) for edge in message.box_px)
    return Sighting(
        ray=(ray[0] / length, ray[1] / length, ray[2] / length),
        box_px=(left, upper, right, lower) if message.has_box else None,
        **fields_of(message, _SIGHTING),
    )


def sighting_to_message(sighting: Sighting) -> messages.Sighting:
    """A sighting message."""
    x, y, z = sighting.ray
    return messages.Sighting(
        ray=Vector3(x=x, y=y, z=z),
        has_box=sighting.box_px is not None,
        box_px=sighting.box_px or (0.0,) * 4,
        **fields_of(sighting, _SIGHTING),
    )


def known(names: Sequence[Name], number: int, what: str) -> Name:
    """The name behind a constant of a message.

    Raises:
        InputError: there is no such constant.
    """
    if number >= len(names):
        raise InputError(
            f'{what} must be 0 to {len(names) - 1}, got {number!r}; build the sender with the same interfaces'
        )
    return names[number]
