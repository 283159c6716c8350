"""Distances by where a box meets the floor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embodied_r_ros.core.boxes import box_sighting
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.floor_contact import camera_height_m, with_floor_contact
from embodied_r_ros.core.poses import pose_from_angles

CAMERA = Camera(width=640, height=480, fx_px=400.0, fy_px=400.0, cx_px=320.0, cy_px=240.0)
HEIGHT_M = 1.2


def standing(ahead_m, top_m=1.6, foot_m=0.0, height_m=HEIGHT_M, depth_m=None):
    """The sighting of a thing half a metre wide whose front is so far ahead, with this depth all over its box."""
    half, scale = 0.25, 400.0 / ahead_m
    box = (320 - half * scale, 240 + (height_m - top_m) * scale, 320 + half * scale, 240 + (height_m - foot_m) * scale)
    depth = None if depth_m is None else DepthMap(np.full((240, 320), depth_m, np.float32))
    return box_sighting('bin', box, CAMERA, depth)


def alone(seen, height_m=HEIGHT_M):
    (told,) = with_floor_contact([seen], CAMERA, height_m)
    return told


@pytest.mark.parametrize('ahead_m', [2.5, 4.0, 7.0])
def test_the_middle_of_a_thing_lies_half_its_width_behind_its_foot(ahead_m):
    seen = alone(standing(ahead_m))
    assert seen.level_distance_m == pytest.approx(ahead_m + 0.25, abs=0.01)
    assert seen.spread_along_m >= 0.3 * seen.distance_m


@pytest.mark.parametrize(
    'seen',
    [
        pytest.param(standing(4.0, foot_m=1.3, top_m=1.9), id='it hangs above the horizon'),
        pytest.param(standing(4.0, foot_m=0.9, top_m=1.5), id='it would stand too far away'),
    ],
)
def test_what_shows_no_foot_on_the_floor_has_no_distance(seen):
    assert math.isnan(alone(seen).distance_m)


def test_a_foot_below_the_image_is_nearer_than_the_floor_that_is_seen():
    left, upper, right, _ = standing(1.5).box_px
    cut = box_sighting('bin', (left, upper, right, 479.0), CAMERA, None)
    seen = alone(cut)
    assert seen.level_distance_m == pytest.approx(1.5, abs=2 * seen.spread_along_m)
    assert seen.level_distance_m < 2.1


@pytest.mark.parametrize('ahead_m', [2.5, 4.0, 7.0])
def test_a_thing_that_depth_puts_below_the_floor_is_where_its_foot_meets_it(ahead_m):
    right = [standing(3.0, depth_m=3.1), standing(5.0, depth_m=4.9)]
    wrong = standing(ahead_m, depth_m=3.0 * ahead_m)
    *kept, mended = with_floor_contact([*right, wrong], CAMERA, HEIGHT_M)
    assert kept == right
    assert mended.level_distance_m == pytest.approx(ahead_m + 0.25, abs=0.01)
    assert mended.spread_along_m >= 0.3 * mended.distance_m


@pytest.mark.parametrize(
    ('others', 'height_m'),
    [
        pytest.param([], HEIGHT_M, id='there is no other'),
        pytest.param([standing(3.0, depth_m=3.0)], HEIGHT_M, id='one stands against one'),
        pytest.param([standing(3.0, foot_m=0.6, depth_m=3.0)], HEIGHT_M, id='the other one hangs'),
        pytest.param(
            [standing(ahead_m, depth_m=ahead_m) for ahead_m in (2.5, 4.0, 5.0)],
            0.8,
            id='the camera is higher than told',
        ),
    ],
)
def test_depth_is_believed_where_it_puts_no_more_things_onto_the_floor(others, height_m):
    found = [*others, standing(4.0, depth_m=6.0)]
    assert with_floor_contact(found, CAMERA, height_m) == found


def test_depth_is_believed_where_the_floor_is_seen_flatly():
    found = [standing(ahead_m, height_m=0.3, depth_m=depth_m) for ahead_m, depth_m in ((2.0, 2.0), (4.0, 5.0))]
    assert with_floor_contact(found, CAMERA, 0.3) == found


def test_where_depth_measured_nothing_the_floor_tells():
    assert alone(standing(4.0, depth_m=np.nan)).level_distance_m == pytest.approx(4.25, abs=0.01)


def test_without_the_height_of_the_camera_nothing_is_told():
    seen = standing(4.0)
    assert alone(seen, 0.0) == alone(seen, math.nan) == seen


@pytest.mark.parametrize(
    ('camera_pose', 'height_m'),
    [
        pytest.param(pose_from_angles(0.1, 0.0, 1.1, 0.0, 0.0, 1.6), 1.2, id='level, to the side'),
        pytest.param(pose_from_angles(0.1, 0.0, 1.1, 0.0, 0.03, 0.0), 1.2, id='nearly level'),
        pytest.param(pose_from_angles(0.1, 0.0, 1.1, 0.0, 0.2, 0.0), math.nan, id='it looks down'),
        pytest.param(pose_from_angles(0.1, 0.0, 1.1, math.pi, 0.0, 0.0), math.nan, id='upside down'),
        pytest.param(None, math.nan, id='its place is not known'),
    ],
)
def test_the_height_of_a_camera_is_known_where_it_looks_level(camera_pose, height_m):
    assert camera_height_m(camera_pose, 0.1) == pytest.approx(height_m, nan_ok=True)
