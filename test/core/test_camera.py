"""Pixels to rays and back through each lens model, and the camera behind a camera_info."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import cv2
import numpy as np
import pytest

from embodied_r_ros.core.camera import Camera, fit_camera, in_base
from embodied_r_ros.core.poses import pose_from_angles
from embodied_r_ros.core.records import Calibration, Sighting

PINHOLE = Camera(width=640, height=480, fx_px=400.0, fy_px=410.0, cx_px=325.0, cy_px=235.0)
BARREL = dataclasses.replace(PINHOLE, model='plumb_bob', distortion=(-0.3, 0.1, 0.001, -0.002, 0.0))
LENSES = {
    'none': PINHOLE,
    'plumb_bob of 4': dataclasses.replace(BARREL, distortion=(-0.3, 0.1, 0.001, -0.002)),
    'plumb_bob of 5': BARREL,
    'rational of 8': dataclasses.replace(
        PINHOLE, model='rational_polynomial', distortion=(0.5, -0.1, 1e-3, 1e-3, 0.01, 0.8, 0.0, 0.0)
    ),
    'rational of 12': dataclasses.replace(
        PINHOLE,
        model='rational_polynomial',
        distortion=(0.5, -0.1, 0, 0, 0.01, 0.8, 0, 0, 1e-3, 1e-3, 1e-3, 1e-3),
    ),
    'equidistant': dataclasses.replace(PINHOLE, model='equidistant', distortion=(-0.02, 0.01, -0.003, 0.0005)),
}


def ray(right_deg: float, down_deg: float = 0.0) -> np.ndarray:
    """Unit vector so far to the right of the optical axis, turned downward about it."""
    right, down = math.radians(right_deg), math.radians(down_deg)
    return np.array([math.sin(right) * math.cos(down), math.sin(right) * math.sin(down), math.cos(right)])


def angles_deg(rays: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.linalg.norm(rays - others, axis=1) / 2))


@pytest.mark.parametrize('name', LENSES)
def test_what_a_ray_projects_to_leads_back_along_it(name: str) -> None:
    rays = np.array([ray(aside, turned) for aside in (0, 5, 20, 35, 42) for turned in range(0, 360, 45)])
    pixels = LENSES[name].project(rays)
    assert np.isfinite(pixels).all()
    assert angles_deg(LENSES[name].rays(pixels), rays).max() < 0.01


@pytest.mark.parametrize(
    ('name', 'tangent'),
    [('none', lambda angle: math.tan(angle)),
     ('plumb_bob', lambda angle: math.tan(angle) * (1 - 0.3 * math.tan(angle) ** 2)),
     ('rational_polynomial', lambda angle: math.tan(angle) / (1 + 0.3 * math.tan(angle) ** 2)),
     ('equidistant', lambda angle: angle)],
)  # fmt: skip
def test_rays_follow_the_formula_of_the_lens(name: str, tangent: Any) -> None:
    distortion = {
        'none': (), 'plumb_bob': (-0.3, 0.0, 0.0, 0.0), 'rational_polynomial': (0.0,) * 5 + (0.3, 0.0, 0.0),
        'equidistant': (1e-12, 0.0, 0.0, 0.0),
    }[name]  # fmt: skip
    lens = dataclasses.replace(PINHOLE, model=name, distortion=distortion)
    for aside_deg in (10.0, 25.0, 40.0):
        pixel = [[325.0 + 400.0 * tangent(math.radians(aside_deg)), 235.0]]
        assert angles_deg(lens.rays(np.array(pixel)), ray(aside_deg)[None])[0] < 0.01
        assert lens.project(ray(aside_deg)[None]) == pytest.approx(np.array(pixel), abs=0.01)


@pytest.mark.parametrize('name', [name for name in LENSES if name != 'none'])
def test_pixels_are_those_of_opencv(name: str) -> None:
    lens = LENSES[name]
    rays = np.array([ray(aside, turned) for aside in (0, 10, 30, 42) for turned in range(0, 360, 30)])
    project: Any = cv2.fisheye.projectPoints if lens.model == 'equidistant' else cv2.projectPoints
    matrix = np.array(lens.calibration.k).reshape(3, 3)
    theirs, _ = project(rays[:, None], np.zeros(3), np.zeros(3), matrix, np.array(lens.distortion))
    assert lens.project(rays) == pytest.approx(theirs.reshape(-1, 2), abs=1e-6)


@pytest.mark.parametrize('second', [0.04, 0.055, 0.1])
def test_a_strong_barrel_has_rays_for_all_that_it_shows(second: float) -> None:
    """OpenCV 5.0 finds none for some pixels about 57 degrees aside, where the curve is flat."""
    lens = dataclasses.replace(PINHOLE, model='plumb_bob', distortion=(-0.3, second, 0.001, -0.001, 0.0))
    rays = np.array([ray(aside / 4.0) for aside in range(260)])
    pixels = lens.project(rays)
    shown = np.isfinite(pixels).all(axis=1)
    assert shown[: 4 * 46].all()
    # Where the curve turns, two rays lead to nearly the same pixel.
    clear = np.flatnonzero(shown)[:-8]
    assert angles_deg(lens.rays(pixels[clear]), rays[clear]).max() < 0.01


def test_where_the_lens_model_folds_over_there_is_no_ray_and_no_pixel() -> None:
    lens = dataclasses.replace(PINHOLE, model='plumb_bob', distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    # Its polynomial has its largest value, 0.7028, at 46.5 degrees.
    pixels = np.array([[325.0 + 400.0 * share, 235.0] for share in (0.69, 0.71, 1.5)])
    assert np.isfinite(lens.rays(pixels)).all(axis=1).tolist() == [True, False, False]
    rays = np.array([ray(aside) for aside in (45, 50, 60, 89, 91, 180)])
    assert np.isfinite(lens.project(rays)).all(axis=1).tolist() == [True, False, False, False, False, False]


def test_a_fisheye_sees_farther_to_the_side_than_a_flat_image_can_show() -> None:
    lens = dataclasses.replace(LENSES['equidistant'], fx_px=200.0, fy_px=200.0)
    assert angles_deg(lens.rays(lens.project(ray(80.0)[None])), ray(80.0)[None])[0] < 0.05
    assert np.isnan(lens.rays(np.array([[325.0 + 200.0 * math.radians(100), 235.0]]))).all()


@pytest.mark.parametrize('name', LENSES)
def test_no_points_are_no_rays(name: str) -> None:
    assert LENSES[name].rays(np.empty((0, 2))).shape == (0, 3)
    assert LENSES[name].project(np.empty((0, 3))).shape == (0, 2)


def test_a_pinhole_sees_to_its_edge_and_a_barrel_as_far_as_it_has_rays() -> None:
    middle = dataclasses.replace(PINHOLE, cx_px=319.5)
    assert middle.half_view_rad == pytest.approx(math.atan2(320, 400))
    assert dataclasses.replace(BARREL, cx_px=319.5).half_view_rad > middle.half_view_rad


REAR = pose_from_angles(-0.3, 0.0, 0.5, 0.0, 0.0, math.pi)
MOUNTED = {
    'ahead': (None, (1, 0, 0), (0, 0, 1)),
    'to the left': (pose_from_angles(0, 0, 0, 0, 0, math.pi / 2), (0, 1, 0), (0, 0, 1)),
    'to the rear': (REAR, (-1, 0, 0), (0, 0, 1)),
    'upside down': (pose_from_angles(0, 0, 0, math.pi, 0, 0), (1, 0, 0), (0, 0, -1)),
    'on its side': (pose_from_angles(0, 0, 0, math.pi / 2, 0, 0), (1, 0, 0), (0, -1, 0)),
    'down': (pose_from_angles(0, 0, 0, 0, math.pi / 2, 0), (0, 0, -1), (1, 0, 0)),
}


@pytest.mark.parametrize('name', MOUNTED)
def test_rays_in_the_base_go_by_how_the_camera_is_mounted(name: str) -> None:
    mounted, ahead, above = MOUNTED[name]
    camera = dataclasses.replace(PINHOLE, pose=mounted)
    pixels = camera.project(np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 20.0]]))
    middle, upper = camera.base_rays(pixels)
    assert middle == pytest.approx(np.array(ahead), abs=1e-9)
    assert (upper - middle) @ np.array(above) > 0.04
    (seen,) = in_base([Sighting(name='door', ray=(1.0, 0.0, 0.0))], mounted)
    assert seen.ray == pytest.approx(ahead, abs=1e-9)


def test_the_camera_knows_its_place_on_the_base() -> None:
    assert dataclasses.replace(PINHOLE, pose=REAR).position_m.tolist() == [-0.3, 0.0, 0.5]
    assert PINHOLE.position_m.tolist() == [0.0, 0.0, 0.0]


# What camera_info tells.


def told(camera: Camera = PINHOLE, **changes: Any) -> Calibration:
    return dataclasses.replace(camera.calibration, **changes)


def matrix(fx_px: float, fy_px: float, cx_px: float, cy_px: float) -> tuple[float, ...]:
    return (fx_px, 0.0, cx_px, 0.0, fy_px, cy_px, 0.0, 0.0, 1.0)


@pytest.mark.parametrize('name', LENSES)
def test_a_camera_is_what_its_camera_info_tells(name: str) -> None:
    assert fit_camera(LENSES[name].calibration, 640, 480) == (LENSES[name], '')


@pytest.mark.parametrize(
    'changes',
    [{'distortion_model': ''}, {'distortion_model': 'thin_prism', 'd': (0.0,) * 7}, {'d': ()},
     {'distortion_model': 'equidistant', 'd': (0.0,) * 5}],
    ids=['no model', 'unknown model of zeros', 'no coefficients', 'zeros of a wrong length'],
)  # fmt: skip
def test_no_distortion_is_none_whatever_the_model(changes: dict[str, Any]) -> None:
    assert fit_camera(told(**changes), 640, 480) == (PINHOLE, '')


@pytest.mark.parametrize(
    ('model', 'd', 'kept'),
    [('equidistant', (0.1, 0.2, 0.3, 0.4, 0.0), 4), ('plumb_bob', (0.1,) * 5 + (0.0,) * 3, 5)],
)
def test_coefficients_may_be_followed_by_zeros(model: str, d: tuple[float, ...], kept: int) -> None:
    camera, misfit = fit_camera(told(distortion_model=model, d=d), 640, 480)
    assert (camera and camera.distortion, misfit) == (d[:kept], '')


FULL = Calibration(width=640, height=480, k=matrix(500.0, 500.0, 300.0, 260.0))
HALVED = matrix(250.0, 250.0, 149.75, 129.75)


@pytest.mark.parametrize(
    ('changes', 'size', 'numbers'),
    [
        ({}, (640, 480), (500, 300, 260)),
        ({'binning_x': 1, 'binning_y': 1}, (640, 480), (500, 300, 260)),
        ({}, (320, 240), (250, 149.75, 129.75)),
        ({}, (1280, 960), (1000, 600.5, 520.5)),
        ({'binning_x': 2, 'binning_y': 2}, (320, 240), (250, 149.75, 129.75)),
        ({'binning_x': 2, 'binning_y': 2, 'k': HALVED}, (320, 240), (250, 149.75, 129.75)),
        ({'binning_x': 2, 'binning_y': 2, 'k': HALVED, 'width': 320, 'height': 240}, (320, 240), (250, 149.75, 129.75)),
        ({'binning_x': 2, 'binning_y': 2, 'width': 320, 'height': 240}, (320, 240), (250, 149.75, 129.75)),
        ({'binning_x': 2, 'binning_y': 2}, (160, 120), (125, 74.625, 64.625)),
        ({'binning_x': 2, 'binning_y': 2}, (640, 480), (500, 300, 260)),
        ({'roi': (160, 120, 320, 240)}, (320, 240), (500, 140, 140)),
        ({'roi': (160, 120, 320, 240)}, (640, 480), (500, 300, 260)),
        ({'roi': (160, 80, 320, 400)}, (160, 200), (250, 69.75, 89.75)),
        ({'roi': (160, 120, 320, 240), 'binning_x': 2, 'binning_y': 2}, (160, 120), (250, 69.75, 69.75)),
        ({'roi': (160, 120, 320, 240), 'binning_x': 2, 'binning_y': 2, 'k': HALVED}, (160, 120), (250, 69.75, 69.75)),
        ({'roi': (0, 0, 640, 480)}, (640, 480), (500, 300, 260)),
        ({'roi': (0, 0, 800, 600)}, (320, 240), (250, 149.75, 129.75)),
    ],
    ids=[
        'as it is', 'binning of one', 'shrunk', 'enlarged', 'binned', 'binned, K divided', 'binned, all divided',
        'binned, K alone is full', 'binned and shrunk', 'binning is not in the image', 'region', 'region not in it',
        'region, shrunk', 'region, binned', 'region, binned, K divided', 'the whole as region', 'a region beyond all',
    ],
)  # fmt: skip
def test_the_camera_of_a_part_or_another_size(
    changes: dict[str, Any], size: tuple[int, int], numbers: tuple[float, ...]
) -> None:
    camera, misfit = fit_camera(dataclasses.replace(FULL, **changes), *size)
    assert misfit == ''
    assert camera is not None
    assert (camera.width, camera.height) == size
    assert (camera.fx_px, camera.cx_px, camera.cy_px) == pytest.approx(numbers)


def test_binning_may_differ_across_and_down() -> None:
    camera, _ = fit_camera(dataclasses.replace(FULL, binning_x=2), 320, 480)
    assert camera is not None
    assert (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px) == pytest.approx((250.0, 500.0, 149.75, 260.0))


@pytest.mark.parametrize(
    ('changes', 'size', 'sentence'),
    [
        ({'width': 0}, (640, 480), 'camera_info must give the size of the calibrated images, got 0 x 480'),
        ({'k': (0.0,) * 9}, (640, 480), 'K of a calibrated camera, got fx, fy, cx, cy = 0, 0, 0, 0 for 640 x 480'),
        ({'k': matrix(math.nan, 500, 300, 260)}, (640, 480), 'got fx, fy, cx, cy = nan, 500, 300, 260'),
        ({'k': matrix(500, 500, math.nan, 260)}, (640, 480), 'K of a calibrated camera'),
        ({'k': matrix(math.inf, 500, 300, 260)}, (640, 480), 'K of a calibrated camera'),
        ({'k': matrix(-500, 500, 300, 260)}, (640, 480), 'K of a calibrated camera'),
        ({'k': matrix(1e308, 1e308, 1e308, 260)}, (640, 480), 'K of a calibrated camera'),
        ({'k': matrix(1e-3, 1e-3, 300, 260)}, (640, 480), 'K of a calibrated camera'),
        ({'k': HALVED}, (640, 480), 'the K of camera_info cannot belong to its size, got fx, fy, cx, cy = 250, 250'),
        ({'width': 320, 'height': 240}, (320, 240), 'cannot belong to its size, got .* for 320 x 240'),
        ({'d': (0.1, math.nan, 0.0, 0.0)}, (640, 480), 'must be finite, got .0.1, nan, 0.0, 0.0.'),
        ({'d': (0.1, 0.1, 0.0), 'distortion_model': 'plumb_bob'}, (640, 480), 'plumb_bob .* has 4 or 5 .*, got 3'),
        ({'d': (0.1,) * 5, 'distortion_model': 'equidistant'}, (640, 480), 'equidistant .* has 4 coefficients, got 5'),
        ({'d': (0.1,) * 4, 'distortion_model': 'thin_prism'}, (640, 480),
         "one of plumb_bob, rational_polynomial, equidistant, got 'thin_prism'"),
        ({'roi': (400, 0, 320, 240)}, (320, 240), 'must lie within its 640 x 480, got 320 x 240 at .400, 0.'),
        ({}, (640, 360), 'must show what camera_info describes, 640 x 480, got 640 x 360'),
        ({}, (480, 640), 'got 480 x 640'),
        ({'roi': (160, 120, 320, 240)}, (160, 120), '640 x 480 with a region of 320 x 240, got 160 x 120'),
        ({'binning_x': 2}, (320, 240), '640 x 480 and binning 2 x 1, got 320 x 240'),
    ],
    ids=[
        'no size', 'zeros', 'NaN', 'NaN centre', 'infinite', 'negative', 'huge', 'tiny', 'K of half the size',
        'K of twice the size', 'NaN distortion', 'too few coefficients', 'too many coefficients', 'unknown model',
        'region beyond the image', 'cropped', 'turned', 'region or whole', 'other binning',
    ],
)  # fmt: skip
def test_what_does_not_fit_is_no_camera_and_one_sentence(
    changes: dict[str, Any], size: tuple[int, int], sentence: str
) -> None:
    camera, misfit = fit_camera(dataclasses.replace(FULL, **changes), *size)
    assert camera is None
    assert re.search(sentence, misfit), misfit
    assert misfit.endswith('; turns have no degrees, and tags no distance')


def test_the_pose_goes_with_the_camera() -> None:
    camera, _ = fit_camera(FULL, 320, 240, REAR)
    assert camera is not None
    assert camera.pose == REAR


def test_a_shrunk_image_shows_the_same_along_the_same_rays() -> None:
    """Each pixel of the smaller image is the mean of four."""
    spot = np.zeros((480, 640), np.float32)
    spot[100:104, 500:504] = 1.0
    small = cv2.resize(spot, (320, 240), interpolation=cv2.INTER_AREA)
    middles = [np.argwhere(image > 0.5).mean(axis=0)[::-1] for image in (spot, small)]
    full, shrunk = BARREL.rays(middles[0]), BARREL.resized(320, 240).rays(middles[1])
    assert angles_deg(full, shrunk)[0] < 1e-6
