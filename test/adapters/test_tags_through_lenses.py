"""Bearing and distance of tags in images of distorting lenses, as camera_info tells of them in several ways."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_r_ros.adapters.codec import decode, encode_jpeg
from embodied_r_ros.adapters.eye_tags import TagEye, TagSettings
from embodied_r_ros.core.camera import Camera, fit_camera
from embodied_r_ros.core.records import Calibration

pytestmark = pytest.mark.system

TAG_M = 0.4
# Of the paper around the tag, whose black square is 8 of 10 cells wide; 24 pixels a cell.
PAPER_M, PAPER_PX = TAG_M * 10 / 8, 240
GREY = 140.0
SUPERSAMPLED = 2

PINHOLE = Camera(width=1280, height=720, fx_px=400.0, fy_px=400.0, cx_px=650.0, cy_px=350.0)
LENSES = {
    # Without its second coefficient it would show nothing beyond 46.5 degrees.
    'plumb_bob': (-0.3, 0.055, 0.001, -0.001, 0.0),
    'rational_polynomial': (0.147, 0.0, 0.0005, -0.0005, 0.0, 0.461, 0.0, 0.0),
    'equidistant': (-0.02, 0.005, -0.002, 0.0003),
}


def lens(model: str) -> Camera:
    return dataclasses.replace(PINHOLE, model=model, distortion=LENSES[model])


def paper() -> NDArray[np.uint8]:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    edge_px = PAPER_PX // 10
    marker = cv2.aruco.generateImageMarker(dictionary, 7, PAPER_PX - 2 * edge_px)
    return np.pad(marker, edge_px, constant_values=255)


def picture(camera: Camera, aside_deg: float, above_deg: float, distance_m: float) -> NDArray[np.uint8]:
    """A tag that faces the camera, so far to the right and above, as JPEG at quality 80 leaves it."""
    right, _ = cv2.Rodrigues(np.array([0.0, math.radians(aside_deg), 0.0]))
    above, _ = cv2.Rodrigues(np.array([math.radians(above_deg), 0.0, 0.0]))
    axes = right @ above
    (x_px, y_px), reach_px = camera.project(axes[:, 2:].T)[0], 1.6 * camera.fx_px * PAPER_M / distance_m
    left, right_px = max(0, int(x_px - reach_px)), min(camera.width, int(x_px + reach_px))
    upper, lower = max(0, int(y_px - reach_px)), min(camera.height, int(y_px + reach_px))
    columns = (np.arange(left * SUPERSAMPLED, right_px * SUPERSAMPLED) + 0.5) / SUPERSAMPLED - 0.5
    rows = (np.arange(upper * SUPERSAMPLED, lower * SUPERSAMPLED) + 0.5) / SUPERSAMPLED - 0.5
    rays = camera.rays(np.stack(np.meshgrid(columns, rows), axis=-1)) @ axes
    on_paper = rays[:, :2] / rays[:, 2:] * distance_m / PAPER_M * PAPER_PX + PAPER_PX / 2 - 0.5
    across, down = (on_paper[:, side].reshape(len(rows), -1).astype(np.float32) for side in (0, 1))
    drawn = cv2.remap(paper(), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=GREY)
    image = np.full((camera.height, camera.width), GREY)
    image[upper:lower, left:right_px] = cv2.resize(
        drawn, (right_px - left, lower - upper), interpolation=cv2.INTER_AREA
    )
    noise = np.random.default_rng(0).normal(0.0, 2.0, image.shape)
    grey = np.clip(image + noise, 0, 255).astype(np.uint8)
    return decode(encode_jpeg(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), 80))


def assert_measured(image: NDArray[np.uint8], told: Calibration, aside_deg: float, distance_m: float) -> None:
    """Within 0.5 degrees and 2 %."""
    camera, misfit = fit_camera(told, image.shape[1], image.shape[0])
    assert misfit == ''
    (seen,) = TagEye(TagSettings(tag_size_m=TAG_M)).look(image, camera)
    assert seen.bearing_left_deg == pytest.approx(-aside_deg, abs=0.5)
    assert seen.distance_m == pytest.approx(distance_m, rel=0.02)


@pytest.mark.parametrize('distance_m', [2.0, 4.0])
@pytest.mark.parametrize('aside_deg', [-60, -45, -20, 0, 35, 50, 60])
@pytest.mark.parametrize('model', LENSES)
def test_tags_are_measured_up_to_60_degrees_aside(model: str, aside_deg: float, distance_m: float) -> None:
    camera = lens(model)
    assert_measured(picture(camera, aside_deg, 0.0, distance_m), camera.calibration, aside_deg, distance_m)


def halved(camera: Camera) -> Calibration:
    """Told with K, but no other number, of the binned image."""
    return dataclasses.replace(camera.calibration, k=camera.resized(640, 360).calibration.k)


@pytest.mark.parametrize(
    ('shown', 'changes'),
    [
        ((640, 360), {'binning_x': 2, 'binning_y': 2}),
        ((640, 360), {'binning_x': 2, 'binning_y': 2, 'k': halved(PINHOLE).k}),
        ((640, 360), {}),
        ((1600, 900), {}),
    ],
    ids=['binned', 'binned, K divided', 'shrunk', 'enlarged'],
)
@pytest.mark.parametrize('aside_deg', [-40, 60])
def test_tags_are_measured_in_images_of_another_size(
    shown: tuple[int, int], changes: dict[str, Any], aside_deg: float
) -> None:
    camera = lens('equidistant')
    image = cv2.resize(picture(camera, aside_deg, 0.0, 1.5), shown, interpolation=cv2.INTER_AREA)
    assert_measured(image, dataclasses.replace(camera.calibration, **changes), aside_deg, 1.5)


@pytest.mark.parametrize('model', LENSES)
def test_tags_are_measured_in_a_region_of_interest(model: str) -> None:
    camera, roi = lens(model), (900, 200, 380, 300)
    left, upper, across, down = roi
    image = picture(camera, 50.0, 0.0, 1.5)[upper : upper + down, left : left + across]
    assert_measured(image, dataclasses.replace(camera.calibration, roi=roi), 50.0, 1.5)
