"""What is seen, as messages and as records of core: key frames, observations and their parts.

Stamps are integer nanoseconds on core's side. Questions and answers are converted in requests.py. What a peer sends is
checked here by range and size, its text is cleaned, and nothing but InputError is raised about it.
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
from embodied_r_ros.core.moves import KINDS as MEASURED_KINDS
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import (
    Calibration,
    EncodedImage,
    ErrorCode,
    Evidence,
    KeyFrame,
    Motion,
    MotionSource,
    Move,
    Pose,
    Sighting,
)
from embodied_r_ros.core.text import clean

Name = TypeVar('Name')

NS_PER_S = 1_000_000_000
# What tells a key frame from all others, in every message and record that is about one.
KEY_FIELDS = ('camera', 'session', 'index')

_SOURCES = (MotionSource.NONE, MotionSource.ODOMETRY, MotionSource.IMAGES)
_MOTION_NUMBERS = ('forward_m', 'left_m', 'up_m', 'rotate_left_deg', 'tilt_up_deg')
_SIGHTING = (
    'name', 'track_id', 'distance_m', 'spread_along_m', 'spread_across_m', 'confidence', 'source', 'in_view_before',
)  # fmt: skip
_OBSERVATION = (*KEY_FIELDS, 'given_up', 'text', 'source', 'model')
_MIN_NORM = 0.5
# Metres and degrees beyond this are no motion, place or distance of a robot.
_FARTHEST = 1e8
_EVIDENCE = (*KEY_FIELDS, 'text')
_MOST_MOVES, _MOST_SIGHTINGS = 4096, 4096
_MOST_COEFFICIENTS = 64
_LONGEST_NAME, _LONGEST_TEXT = 256, 65536
_LATEST_S = 2**31


def fields_of(source: Any, names: Sequence[str]) -> dict[str, Any]:
    """The fields that message and record have in common, as keywords for the other one; text is cleaned."""
    values = {name: getattr(source, name) for name in names}
    return {name: clean(value) if isinstance(value, str) else value for name, value in values.items()}


def ns_from_stamp(stamp: Time | Duration) -> int:
    """Nanoseconds of a stamp or duration.

    Raises:
        InputError: its nanoseconds are a second or more, so that there is no such time.
    """
    if stamp.nanosec >= NS_PER_S:
        raise InputError(
            f'the nanoseconds of a stamp must be below {NS_PER_S}, got {stamp.nanosec!r}; correct the sender'
        )
    return int(stamp.sec * NS_PER_S + stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """A stamp of so many nanoseconds, 0 to 2^31 seconds; the nearest of these for others."""
    within_ns = min(max(stamp_ns, 0), _LATEST_S * NS_PER_S - 1)
    return Time(sec=within_ns // NS_PER_S, nanosec=within_ns % NS_PER_S)


def error_code(number: int) -> ErrorCode:
    """The code that a peer sent; INTERNAL for one that is not known here, as from a newer peer."""
    return ErrorCode(number) if number in set(ErrorCode) else ErrorCode.INTERNAL


def header(stamp_ns: int, frame_id: str = '') -> Header:
    """A header with this stamp and frame."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=clean(frame_id))


def pose_from_message(message: PoseMessage) -> Pose:
    """A pose with its quaternion brought to unit length.

    Raises:
        InputError: a number is NaN or infinite, or the quaternion is next to zero.
    """
    at, turned = message.position, message.orientation
    numbers = (at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w)
    norm = math.hypot(*numbers[3:])
    # Written so that NaN fails.
    if not (all(abs(number) <= _FARTHEST for number in numbers) and norm >= _MIN_NORM):
        raise InputError(
            f'a pose must be finite with a unit quaternion, within {_FARTHEST:g} m, '
            f'got (x, y, z, qx, qy, qz, qw) = {numbers!r}; correct what the sender publishes'
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


def calibration_from_message(message: CameraInfo) -> Calibration | None:
    """What a camera says of itself; None for a message without a size, which says nothing.

    Raises:
        InputError: it has far too many distortion coefficients.
    """
    if not message.width or not message.height:
        return None
    if len(message.d) > _MOST_COEFFICIENTS:
        raise InputError(
            f'camera_info has at most {_MOST_COEFFICIENTS} distortion coefficients, got {len(message.d)!r}; correct '
            'what the camera driver publishes'
        )
    roi, stamp = message.roi, message.header.stamp
    d, k, r, p = (tuple(map(float, getattr(message, name))) for name in 'dkrp')
    return Calibration(
        width=message.width, height=message.height,
        distortion_model=_short(message.distortion_model), d=d, k=k, r=r, p=p,
        binning_x=message.binning_x, binning_y=message.binning_y,
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height), roi_rectified=roi.do_rectify,
        # Nothing rests on it, so that a strange one is no reason to go without calibration.
        stamp_ns=stamp.sec * NS_PER_S + stamp.nanosec,
        frame_id=_short(message.header.frame_id),
    )  # fmt: skip


def calibration_to_message(calibration: Calibration | None) -> CameraInfo:
    """The camera info message with the same values; width 0 for None."""
    message = CameraInfo()
    if calibration is not None:
        message.header = header(calibration.stamp_ns, calibration.frame_id)
        for name in ('width', 'height', 'binning_x', 'binning_y'):
            setattr(message, name, getattr(calibration, name))
        for name in 'dkrp':
            setattr(message, name, list(getattr(calibration, name)))
        message.distortion_model = clean(calibration.distortion_model)
        message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = calibration.roi
        message.roi.do_rectify = calibration.roi_rectified
    return message


def motion_from_message(message: messages.Motion) -> Motion | None:
    """Motion, or None where nothing is known about it.

    Raises:
        InputError: a number is infinite or far too large, a move is of an unknown kind, or there are too many moves.
    """
    if message.source == messages.Motion.NONE and not message.name and not message.moves:
        return None
    if len(message.moves) > _MOST_MOVES:
        raise InputError(f'a motion has at most {_MOST_MOVES} moves, got {len(message.moves)!r}; send fewer')
    numbers = fields_of(message, _MOTION_NUMBERS)
    for number in (*numbers.values(), *(move.amount for move in message.moves)):
        if abs(number) > _FARTHEST:
            raise InputError(
                f'a motion is at most {_FARTHEST:g} m or degrees, or NaN where it is not known, got {number!r}; '
                'correct what the sender publishes'
            )
    source = known(_SOURCES, message.source, 'motion source')
    return Motion(
        name=_short(message.name), source=source, moves=tuple(map(_move_from_message, message.moves)), **numbers
    )


def _move_from_message(message: messages.Move) -> Move:
    measured = not math.isnan(message.amount)
    if measured and message.kind not in MEASURED_KINDS:
        raise InputError(
            f'a move with an amount must be one of {", ".join(MEASURED_KINDS)}, got {message.kind!r}; '
            'build the sender with the same interfaces'
        )
    return Move(kind=_short(message.kind), amount=message.amount, estimated=message.estimated)


def motion_to_message(motion: Motion | None) -> messages.Motion:
    """A motion message; source NONE, no name and NaN throughout for None."""
    motion = Motion(name='') if motion is None else motion
    numbers = {name: float(getattr(motion, name)) for name in _MOTION_NUMBERS}
    moves = [
        messages.Move(kind=clean(move.kind), amount=float(move.amount), estimated=move.estimated)
        for move in motion.moves
    ]
    return messages.Motion(source=_SOURCES.index(motion.source), name=clean(motion.name), moves=moves, **numbers)


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
        InputError: its stamp, image, pose, motion or reason cannot be used.
    """
    return KeyFrame(
        **fields_of(message, KEY_FIELDS),
        stamp_ns=_stamp_of(message),
        frame_id=clean(message.header.frame_id),
        image=image_from_message(message.image),
        reason=known(REASONS, message.reason, 'key frame reason'),
        overlap=message.overlap,
        calibration=calibration_from_message(message.camera_info),
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
        camera_info=calibration_to_message(frame.calibration),
        has_pose=frame.pose is not None,
        pose=pose_to_message(frame.pose),
        has_camera_pose=frame.camera_pose is not None,
        camera_pose=pose_to_message(frame.camera_pose),
        motion=motion_to_message(frame.motion),
    )


def observation_from_message(message: messages.Observation) -> Observation:
    """An observation.

    Raises:
        InputError: its stamp, a pose, its motion or a sighting cannot be used, or it is too long.
    """
    if len(message.sightings) > _MOST_SIGHTINGS or len(message.text) > _LONGEST_TEXT:
        raise InputError(
            f'an observation has at most {_MOST_SIGHTINGS} sightings and {_LONGEST_TEXT} characters of text, got '
            f'{len(message.sightings)!r} and {len(message.text)!r}; send less'
        )
    return Observation(
        stamp_ns=_stamp_of(message),
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
        words='' if observation.given_up else clean(observation.words),
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
    name = _short(message.name).strip()
    if not name or not _MIN_NORM <= length <= _FARTHEST:
        raise InputError(
            f'a sighting needs a name and a finite unit vector as its ray, got {message.name[:_LONGEST_NAME]!r} and '
            f'{ray!r}; correct what the sender publishes'
        )
    if abs(message.distance_m) > _FARTHEST or message.distance_m < 0.0:
        raise InputError(
            f'the distance of a sighting must lie in [0, {_FARTHEST:g}] m, or be NaN, got {message.distance_m!r}; '
            'correct what the sender publishes'
        )
    left, upper, right, lower = (float(edge) for edge in message.box_px)
    return Sighting(
        ray=(ray[0] / length, ray[1] / length, ray[2] / length),
        box_px=(left, upper, right, lower) if message.has_box else None,
        **{**fields_of(message, _SIGHTING), 'name': name},
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


def evidence_from_message(message: messages.Evidence) -> Evidence:
    """A cited key frame.

    Raises:
        InputError: its stamp or pose cannot be used.
    """
    return Evidence(
        stamp_ns=ns_from_stamp(message.stamp),
        pose=pose_from_message(message.pose) if message.has_pose else None,
        **fields_of(message, _EVIDENCE),
    )


def evidence_to_message(cited: Evidence) -> messages.Evidence:
    """A message of a cited key frame."""
    return messages.Evidence(
        stamp=stamp_from_ns(cited.stamp_ns),
        has_pose=cited.pose is not None,
        pose=pose_to_message(cited.pose),
        **fields_of(cited, _EVIDENCE),
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


def _stamp_of(message: Any) -> int:
    """The stamp of a message's header.

    Raises:
        InputError: it lies before the beginning of time, or there is no such time.
    """
    stamp_ns = ns_from_stamp(message.header.stamp)
    if stamp_ns < 0:
        raise InputError(f'a stamp must not lie before 0, got {stamp_ns!r} ns; correct what the sender fills in')
    return stamp_ns


def _short(name: str) -> str:
    return clean(name[:_LONGEST_NAME])
