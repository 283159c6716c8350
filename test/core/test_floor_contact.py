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


def standing(ahead_m, width_m=0.5, top_m=1.6, foot_m=0.0):
    """The sighting of a thing whose front is so far ahead."""
    half, scale = width_m / 2, 400.0 / ahead_m
    box = (320 - half * scale, 240 + (HEIGHT_M - top_m) * scale, 320 + half * scale, 240 + (HEIGHT_M - foot_m) * scale)
    return box_sighting('bin', box, CAMERA, None)


@pytest.mark.parametrize('ahead_m', [2.5, 4.0, 7.0])
def test_the_middle_of_a_thing_lies_half_its_width_behind_its_foot(ahead_m):
    seen = with_floor_contact(standing(ahead_m), CAMERA, HEIGHT_M)
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
    assert math.isnan(with_floor_contact(seen, CAMERA, HEIGHT_M).distance_m)


def test_a_foot_below_the_image_is_nearer_than_the_floor_that_is_seen():
    left, upper, right, _ = standing(1.5).box_px
    cut = box_sighting('bin', (left, upper, right, 479.0), CAMERA, None)
    seen = with_floor_contact(cut, CAMERA, HEIGHT_M)
    assert seen.level_distance_m == pytest.approx(1.5, abs=2 * seen.spread_along_m)
    assert seen.level_distance_m < 2.1


@pytest.mark.parametrize('height_m', [HEIGHT_M, 0.3])
@pytest.mark.parametrize('ahead_m', [2.5, 4.0, 7.0])
def test_depth_counts_unless_it_puts_a_thing_below_the_floor(ahead_m, height_m):
    half, scale = 0.25, 400.0 / ahead_m
    box = (320 - half * scale, 240 + (height_m - 1.6) * scale, 320 + half * scale, 240 + height_m * scale)
    measured, mixed = (
        box_sighting('bin', box, CAMERA, DepthMap(np.full((240, 320), depth_m, np.float32)))
        for depth_m in (1.05 * ahead_m, 3.0 * ahead_m)
    )
    assert with_floor_contact(measured, CAMERA, height_m) == measured
    told = with_floor_contact(mixed, CAMERA, height_m)
    if ahead_m * math.tan(math.radians(4.0)) < height_m:
        assert told.level_distance_m == pytest.approx(ahead_m + 0.25, abs=0.01)
        assert told.spread_along_m >= 0.3 * told.distance_m
    else:
        assert told == mixed, 'the floor is seen too flatly'


def test_a_thing_that_hangs_is_as_far_as_depth_tells():
    box = standing(3.0, foot_m=1.0, top_m=1.5).box_px
    seen = box_sighting('lamp', box, CAMERA, DepthMap(np.full((240, 320), 3.0, np.float32)))
    assert with_floor_contact(seen, CAMERA, HEIGHT_M) == seen


def test_where_depth_measured_nothing_the_floor_tells():
    seen = box_sighting('bin', standing(4.0).box_px, CAMERA, DepthMap(np.full((240, 320), np.nan, np.float32)))
    assert with_floor_contact(seen, CAMERA, HEIGHT_M).level_distance_m == pytest.approx(4.25, abs=0.01)


def test_without_the_height_of_the_camera_nothing_is_told():
    seen = standing(4.0)
    assert with_floor_contact(seen, CAMERA, 0.0) == with_floor_contact(seen, CAMERA, math.nan) == seen


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
