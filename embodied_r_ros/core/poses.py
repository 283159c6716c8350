"""Poses as arithmetic: rotations, chains of poses, and what lies between two of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.records import Pose

Floats = NDArray[np.float64]

ORIGIN = Pose(x_m=0.0, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)


def rotation_matrix(pose: Pose) -> Floats:
    """(3, 3) matrix whose columns are the axes of the pose in the frame that it is told in."""
    x, y, z, w = pose.qx, pose.qy, pose.qz, pose.qw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def position(pose: Pose) -> Floats:
    """Its place in metres, (3,)."""
    return np.array([pose.x_m, pose.y_m, pose.z_m])


def pose_from_angles(x_m: float, y_m: float, z_m: float, roll_rad: float, pitch_rad: float, yaw_rad: float) -> Pose:
    """A pose turned by roll about x, then pitch about y, then yaw about z, all in the frame that it is told in."""
    roll, pitch, yaw = (
        Pose(x_m=0.0, y_m=0.0, z_m=0.0, qx=axis[0], qy=axis[1], qz=axis[2], qw=math.cos(angle_rad / 2))
        for angle_rad, axis in (
            (roll_rad, (math.sin(roll_rad / 2), 0.0, 0.0)),
            (pitch_rad, (0.0, math.sin(pitch_rad / 2), 0.0)),
            (yaw_rad, (0.0, 0.0, math.sin(yaw_rad / 2))),
        )
    )
    turned = chained(chained(yaw, pitch), roll)
    return dataclasses.replace(turned, x_m=x_m, y_m=y_m, z_m=z_m)


def chained(outer: Pose, inner: Pose) -> Pose:
    """What is at `inner` in the frame at `outer`, in the frame that `outer` is told in."""
    x, y, z = position(outer) + rotation_matrix(outer) @ position(inner)
    a, b = outer, inner
    return Pose(
        x_m=float(x),
        y_m=float(y),
        z_m=float(z),
        qx=a.qw * b.qx + a.qx * b.qw + a.qy * b.qz - a.qz * b.qy,
        qy=a.qw * b.qy - a.qx * b.qz + a.qy * b.qw + a.qz * b.qx,
        qz=a.qw * b.qz + a.qx * b.qy - a.qy * b.qx + a.qz * b.qw,
        qw=a.qw * b.qw - a.qx * b.qx - a.qy * b.qy - a.qz * b.qz,
    )


def inverse(pose: Pose) -> Pose:
    """The frame that a pose is told in, as seen from the pose."""
    x, y, z = -rotation_matrix(pose).T @ position(pose)
    return Pose(x_m=float(x), y_m=float(y), z_m=float(z), qx=-pose.qx, qy=-pose.qy, qz=-pose.qz, qw=pose.qw)


def angle_between_rad(one: Pose, other: Pose) -> float:
    """The angle by which one is turned against the other, about whatever axis, 0 to pi."""
    cosine = abs(one.qx * other.qx + one.qy * other.qy + one.qz * other.qz + one.qw * other.qw)
    return 2.0 * math.acos(min(cosine, 1.0))


def sound_pose(pose: Pose) -> Pose | None:
    """The pose with its quaternion brought to length 1; None where a number is not finite or the quaternion is zero."""
    length = math.hypot(pose.qx, pose.qy, pose.qz, pose.qw)
    if not all(map(math.isfinite, (pose.x_m, pose.y_m, pose.z_m, length))) or length < 1e-6:
        return None
    if abs(length - 1.0) < 1e-9:
        return pose
    return dataclasses.replace(pose, qx=pose.qx / length, qy=pose.qy / length, qz=pose.qz / length, qw=pose.qw / length)


def pose_between(before: Pose, after: Pose, share: float) -> Pose:
    """The pose at a share of the way between two; shares above 1 go on beyond the later one at the same rate.

    The position is taken along the line, the orientation along the shorter arc (slerp).
    """
    old = np.array([before.qx, before.qy, before.qz, before.qw])
    new = np.array([after.qx, after.qy, after.qz, after.qw])
    cosine = float(old @ new)
    if cosine < 0.0:
        new, cosine = -new, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = old + share * (new - old)
    else:
        mixed = (math.sin((1.0 - share) * angle) * old + math.sin(share * angle) * new) / math.sin(angle)
    x, y, z, w = (float(part) for part in mixed / np.linalg.norm(mixed))
    return Pose(
        x_m=before.x_m + share * (after.x_m - before.x_m),
        y_m=before.y_m + share * (after.y_m - before.y_m),
        z_m=before.z_m + share * (after.z_m - before.z_m),
        qx=x, qy=y, qz=z, qw=w,
    )  # fmt: skip
