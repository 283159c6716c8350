"""Where the base stood at each key frame: as odometry says, else where the motion told since then leads from there."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from embodied_r_ros.core.landmarks import Vector, View
from embodied_r_ros.core.moves import STAY, come_to, measured, moves_of
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.poses import ORIGIN, position, rotation_matrix
from embodied_r_ros.core.records import Key, Motion, Pose


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Stand:
    """Where the base stands at a key frame.

    Attributes:
        pose: in the frame of its stretch: that of odometry, or that of the base where the stretch began.
        stretch: counts the times that the motion was not known; poses of different stretches cannot be compared.
        by_odometry: which frame it is.
    """

    key: Key
    pose: Pose
    stretch: int
    by_odometry: bool


def next_stand(last: Stand | None, seen: Observation) -> Stand:
    """Where the base stands at a key frame, after the last one."""
    pose = None if last is None else _pose_after(last, seen)
    if last is None or pose is None:
        stretch = 0 if last is None else last.stretch + 1
        return Stand(key=seen.key, pose=seen.pose or ORIGIN, stretch=stretch, by_odometry=seen.pose is not None)
    return dataclasses.replace(last, key=seen.key, pose=pose)


def _pose_after(last: Stand, seen: Observation) -> Pose | None:
    """The pose in the frame of the last stand; None where nothing tells it, or odometry jumped."""
    if seen.motion is not None and seen.motion.jumped:
        return None
    if seen.pose is not None:
        return seen.pose if last.by_odometry else None
    camera, session, index = seen.key
    if last.key != (camera, session, index - 1) or seen.motion is None:
        return None
    moves = moves_of(seen.motion)
    if len(measured(moves)) < len(moves) or not (moves or seen.motion.name == STAY):
        return None
    return _moved(last.pose, seen.motion)


def view_of(seen: Observation, stand: Stand) -> View:
    """The view of an observation whose base stood there."""
    pose = stand.pose
    axes = rotation_matrix(pose)
    camera = seen.camera_pose or ORIGIN
    camera_m = position(pose) + axes @ position(camera)
    ahead = axes @ rotation_matrix(camera)[:, 0]
    return View(
        key=seen.key,
        stamp_ns=seen.stamp_ns,
        camera_m=_vector(camera_m),
        camera_yaw_rad=math.atan2(ahead[1], ahead[0]),
        base_axes=(_vector(axes[:, 0]), _vector(axes[:, 1]), _vector(axes[:, 2])),
        stretch=stand.stretch,
        sightings=seen.sightings,
    )


def _moved(before: Pose, motion: Motion) -> Pose:
    walk_m, turn_deg = come_to(moves_of(motion))
    up_m = 0.0 if math.isnan(motion.up_m) else motion.up_m
    moved_m = rotation_matrix(before) @ np.array([walk_m.real, walk_m.imag, up_m])
    half_rad = (before.yaw_rad + math.radians(turn_deg)) / 2
    return dataclasses.replace(
        ORIGIN,
        x_m=before.x_m + float(moved_m[0]),
        y_m=before.y_m + float(moved_m[1]),
        z_m=before.z_m + float(moved_m[2]),
        qz=math.sin(half_rad),
        qw=math.cos(half_rad),
    )


def _vector(parts: np.typing.NDArray[np.float64]) -> Vector:
    x, y, z = parts.tolist()
    return x, y, z
