"""Poses as arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import pose

from embodied_r_ros.core.poses import (
    ORIGIN,
    chained,
    inverse,
    pose_between,
    pose_from_angles,
    position,
    rotation_matrix,
    sound_pose,
)
from embodied_r_ros.core.records import Pose


def numbers_of(one: Pose) -> np.ndarray:
    """Position and rotation."""
    return np.concatenate([position(one), rotation_matrix(one).ravel()])


SOMEWHERE = pose_from_angles(1.0, -2.0, 0.5, 0.3, -0.7, 2.0)
ELSEWHERE = pose_from_angles(-0.4, 0.1, 2.0, -1.3, 0.2, -0.9)


def test_a_chain_of_poses_is_the_product_of_their_matrices() -> None:
    both = chained(SOMEWHERE, ELSEWHERE)
    assert rotation_matrix(both) == pytest.approx(rotation_matrix(SOMEWHERE) @ rotation_matrix(ELSEWHERE))
    there = position(SOMEWHERE) + rotation_matrix(SOMEWHERE) @ position(ELSEWHERE)
    assert position(both) == pytest.approx(there)


def test_a_pose_and_its_inverse_lead_back() -> None:
    assert numbers_of(chained(SOMEWHERE, inverse(SOMEWHERE))) == pytest.approx(numbers_of(ORIGIN))
    assert numbers_of(chained(inverse(SOMEWHERE), SOMEWHERE)) == pytest.approx(numbers_of(ORIGIN))


@pytest.mark.parametrize(
    ('angles_deg', 'ahead', 'above'),
    [
        ((0, 0, 90), (0, 1, 0), (0, 0, 1)),
        ((0, 90, 0), (0, 0, -1), (1, 0, 0)),
        ((90, 0, 0), (1, 0, 0), (0, -1, 0)),
        ((90, 0, 90), (0, 1, 0), (1, 0, 0)),
        ((180, 0, 180), (-1, 0, 0), (0, 0, -1)),
    ],
    ids=['yaw', 'pitch', 'roll', 'roll then yaw', 'upside down to the rear'],
)
def test_angles_turn_about_fixed_axes(
    angles_deg: tuple[float, float, float], ahead: tuple[float, ...], above: tuple[float, ...]
) -> None:
    axes = rotation_matrix(pose_from_angles(1.0, 2.0, 3.0, *map(math.radians, angles_deg)))
    assert axes[:, 0] == pytest.approx(np.array(ahead, float), abs=1e-12)
    assert axes[:, 2] == pytest.approx(np.array(above, float), abs=1e-12)


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0, 1.5])
def test_poses_are_mixed_across_the_seam_at_180_degrees(share: float) -> None:
    mixed = pose_between(pose(x_m=1.0, yaw_deg=170), pose(x_m=3.0, yaw_deg=-170), share)
    assert math.degrees(mixed.yaw_rad) % 360 == pytest.approx((170 + 20 * share) % 360)
    assert mixed.x_m == pytest.approx(1.0 + 2.0 * share)


def test_poses_are_mixed_whatever_the_sign_of_the_quaternion() -> None:
    after = pose(yaw_deg=20)
    flipped = Pose(x_m=0, y_m=0, z_m=0, qx=-after.qx, qy=-after.qy, qz=-after.qz, qw=-after.qw)
    assert math.degrees(pose_between(pose(), flipped, 0.5).yaw_rad) == pytest.approx(10)


@pytest.mark.parametrize(
    'numbers',
    [(math.nan, 0, 0, 0, 0, 0, 1), (0, 0, math.inf, 0, 0, 0, 1), (0, 0, 0, 0, 0, math.nan, 1), (0, 0, 0, 0, 0, 0, 0)],
    ids=['NaN position', 'infinite position', 'NaN orientation', 'zero quaternion'],
)
def test_an_unsound_pose_is_none(numbers: tuple[float, ...]) -> None:
    names = ('x_m', 'y_m', 'z_m', 'qx', 'qy', 'qz', 'qw')
    assert sound_pose(Pose(**dict(zip(names, numbers)))) is None


def test_a_quaternion_is_brought_to_length_1() -> None:
    sound = sound_pose(Pose(x_m=1, y_m=0, z_m=0, qx=0, qy=0, qz=2, qw=2))
    assert sound is not None
    assert math.degrees(sound.yaw_rad) == pytest.approx(90)
    assert np.linalg.det(rotation_matrix(sound)) == pytest.approx(1.0)
