"""Bearing and distance of tags behind distorting lenses, as camera_info tells of them in several ways."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_r_ros.adapters.apriltags import Tag, locate
from embodied_r_ros.core.camera import Camera, fit_camera
from embodied_r_ros.core.records import Calibration

TAG_M = 0.4
PINHOLE = Camera(width=1280, height=720, fx_px=400.0, fy_px=400.0, cx_px=650.0, cy_px=350.0)
LENSES = {
    # Without its second coefficient it would show nothing beyond 46.5 degrees.
    'plumb_bob': (-0.3, 0.055, 0.001, -0.001, 0.0),
    'rational_polynomial': (0.147, 0.0, 0.0005, -0.0005, 0.0, 0.461, 0.0, 0.0),
    'equidistant': (-0.02, 0.005, -0.002, 0.0003),
}
WAYS = {
    'as it is': ((1280, 720), {}),
    'binned': ((640, 360), {'binning_x': 2, 'binning_y': 2}),
    'binned, K divided': ((640, 360), {'binning_x': 2, 'binning_y': 2, 'k': PINHOLE.resized(640, 360).calibration.k}),
    'shrunk': ((640, 360), {}),
    'enlarged': ((1600, 900), {}),
    'region': ((800, 500), {'roi': (400, 100, 800, 500)}),
    'region, binned': ((400, 250), {'roi': (400, 100, 800, 500), 'binning_x': 2, 'binning_y': 2}),
}


def corners_by_opencv(told: Calibration, aside_deg: float, distance_m: float) -> NDArray[np.float64]:
    """The corners of a tag that faces the camera, so far to the right, in the full image."""
    half = TAG_M / 2
    square = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    turn = np.array([0.0, math.radians(aside_deg), 0.0])
    axes, _ = cv2.Rodrigues(turn)
    project: Any = cv2.fisheye.projectPoints if told.distortion_model == 'equidistant' else cv2.projectPoints
    pixels, _ = project(
        square[:, None], turn, axes[:, 2] * distance_m, np.array(told.k).reshape(3, 3), np.array(told.d)
    )
    return np.asarray(pixels, np.float64).reshape(4, 2)


def shown(corners_px: NDArray[np.float64], told: Calibration, size: tuple[int, int]) -> NDArray[np.float64]:
    """Pixels of the full image in the image of a way of telling."""
    left, upper, across, down = told.roi if any(told.roi) else (0, 0, told.width, told.height)
    return (corners_px - (left, upper) + 0.5) * np.array(size) / (across, down) - 0.5


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('model', LENSES)
def test_tags_are_measured_up_to_60_degrees_aside(model: str, way: str) -> None:
    size, changes = WAYS[way]
    full = dataclasses.replace(PINHOLE, model=model, distortion=LENSES[model]).calibration
    told = dataclasses.replace(full, **changes)
    camera, misfit = fit_camera(told, *size)
    assert camera is not None, misfit
    # What a detector is off by, in pixels.
    errors_px = np.random.default_rng(0).normal(0.0, 0.05, (4, 2))
    for aside_deg, distance_m in itertools.product((-60, -45, -20, 0, 35, 50, 60), (1.5, 2.44, 4.0)):
        corners_px = shown(corners_by_opencv(full, aside_deg, distance_m), told, size) + errors_px
        place = locate(Tag(7, corners_px), camera, TAG_M)
        assert place is not None
        assert math.degrees(math.atan2(place[0], place[2])) == pytest.approx(aside_deg, abs=0.5)
        assert float(np.linalg.norm(place)) == pytest.approx(distance_m, rel=0.02)


def test_a_lens_that_is_taken_for_a_pinhole_measures_wrongly() -> None:
    """So that the figures above are due to the lens model."""
    full = dataclasses.replace(PINHOLE, model='plumb_bob', distortion=LENSES['plumb_bob']).calibration
    place = locate(Tag(7, corners_by_opencv(full, 35.0, 2.44)), PINHOLE, TAG_M)
    assert place is not None
    assert math.degrees(math.atan2(place[0], place[2])) < 33.0
