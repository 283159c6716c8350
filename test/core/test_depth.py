"""How far away a thing is by depth, and which depth image goes with which key frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from embodied_r_ros.core.boxes import box_sighting
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.depth_pairs import DEPTHS_KEPT, DepthPairs
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.records import EncodedImage, KeyFrame

IMAGE_WH = (640, 480)
BOX = (200.0, 120.0, 399.0, 359.0)
CAMERA = Camera(width=640, height=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5)


def depth(shape: tuple[int, int] = (240, 320), background_m: float = 6.0, **things: float) -> DepthMap:
    """Depth with a thing that fills so much of the middle half of BOX, from its left to its right, in metres."""
    metres = np.full(shape, background_m, np.float32)
    scale = shape[1] / IMAGE_WH[0]
    left, right = (round(x * scale) for x in (250, 350))
    rows = slice(round(180 * scale), round(300 * scale))
    for share, far_m in things.values():  # type: ignore[misc]
        metres[rows, left : left + round((right - left) * share)] = far_m
    return DepthMap(metres)


@pytest.mark.parametrize(
    ('things', 'wanted_m'),
    [
        ({}, 6.0),
        ({'thing': (1.0, 2.0)}, 2.0),
        ({'thing': (0.7, 2.0)}, 2.0),
        ({'thing': (0.4, 2.0)}, 2.0),
        ({'thing': (0.2, 2.0)}, 6.0),
        ({'thing': (1.0, 2.0), 'leg': (0.1, 0.5)}, 2.0),
        ({'thing': (1.0, math.nan), 'edge': (0.5, 2.0)}, 2.0),
    ],
    ids=['empty', 'full', 'most', 'under-half', 'a-fifth', 'in-front', 'holes'],
)
def test_the_nearer_distance_that_many_pixels_share_counts(things: dict[str, Any], wanted_m: float) -> None:
    assert depth(**things).of_box(BOX, IMAGE_WH) == pytest.approx(wanted_m, rel=0.01)


def test_noise_and_a_slanted_surface_move_the_distance_little() -> None:
    noise = np.random.default_rng(1).normal(1.0, 0.02, (240, 320))
    slant = np.linspace(1.8, 2.2, 320)[None, :] * noise
    assert DepthMap(slant.astype(np.float32)).of_box((0.0, 0.0, 639.0, 479.0), IMAGE_WH) == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize('value', [math.nan, math.inf], ids=['NaN', 'infinite'])
def test_where_nothing_was_measured_the_distance_is_not_known(value: float) -> None:
    nothing = DepthMap(np.full((240, 320), value, np.float32))
    assert math.isnan(nothing.of_box(BOX, IMAGE_WH))
    assert nothing.is_empty
    nothing.metres[:2, :2] = 2.0
    assert math.isnan(nothing.of_box((0.0, 0.0, 639.0, 479.0), IMAGE_WH))
    assert not nothing.is_empty


@pytest.mark.parametrize(
    'box',
    [(-50.0, -50.0, -10.0, -10.0), (700.0, 500.0, 800.0, 600.0), (5.0, 5.0, 5.0, 5.0), (0.0, 0.0, 639.0, 479.0)],
    ids=['before', 'beyond', 'point', 'whole'],
)
def test_any_box_may_be_asked_about(box: tuple[float, float, float, float]) -> None:
    assert math.isnan(depth().of_box(box, IMAGE_WH)) or depth().of_box(box, IMAGE_WH) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ('shape', 'fits'),
    [
        ((480, 640), True),
        ((240, 320), True),
        ((60, 80), True),
        ((360, 640), False),
        ((480, 480), False),
        ((3, 4), True),
    ],
)
def test_depth_of_other_proportions_than_the_images_is_not_of_that_camera(shape: tuple[int, int], fits: bool) -> None:
    assert DepthMap(np.ones(shape, np.float32)).fits(*IMAGE_WH) == fits


def test_the_middle_of_a_thing_lies_half_its_width_behind_its_surface_and_that_of_a_sign_on_it() -> None:
    flat = DepthMap(np.full((240, 320), 2.0, np.float32))
    box = (269.5, 189.5, 369.5, 289.5)
    thing, sign = (box_sighting('x', box, CAMERA, flat, is_flat=is_flat) for is_flat in (False, True))
    wide = box_sighting('x', (0.0, 0.0, 639.0, 479.0), CAMERA, flat)
    assert thing is not None and sign is not None and wide is not None
    assert (thing.distance_m, sign.distance_m) == pytest.approx((2.2, 2.0), abs=0.01)
    assert wide.distance_m == pytest.approx(2.5, abs=0.01)
    assert thing.spread_along_m > sign.spread_along_m > 0.0


def test_a_box_that_the_side_of_the_image_cuts_is_unsure_across_by_half_its_width() -> None:
    flat = DepthMap(np.full((480, 640), 2.0, np.float32))
    inside, left, right = (
        box_sighting('x', (edge, 139.5, edge + 100, 339.5), CAMERA, flat) for edge in (300.0, 0.0, 539.0)
    )
    assert inside is not None and left is not None and right is not None
    assert inside.spread_across_m == pytest.approx(0.05 * 0.4, abs=0.001)
    assert left.spread_across_m == right.spread_across_m == pytest.approx(0.5 * 0.4, abs=0.001)


def test_a_box_without_depth_is_a_ray() -> None:
    seen = box_sighting('desk', (519.5, 139.5, 619.5, 239.5), CAMERA, None, source='box', confidence=0.5)
    assert seen is not None
    assert (seen.name, seen.source, seen.confidence) == ('desk', 'box', 0.5)
    assert seen.ray == pytest.approx(np.array([500.0, -250.0, 50.0]) / math.hypot(500, 250, 50))
    assert math.isnan(seen.distance_m)


class Pairs:
    """What was paired: the second of the key frame, and the depth."""

    def __init__(self, max_age_s: float = 0.05) -> None:
        self.made: list[tuple[float, str]] = []
        self.pairs: DepthPairs[str] = DepthPairs(
            max_age_s, lambda key, depth: self.made.append((key.stamp_ns / NS_PER_S, depth))
        )

    def key(self, stamp_s: float) -> Pairs:
        image = EncodedImage(data=b'')
        stamp_ns = round(stamp_s * NS_PER_S)
        self.pairs.push_key(
            KeyFrame(session=1, index=round(stamp_s), stamp_ns=stamp_ns, frame_id='', image=image, reason='first')
        )
        return self

    def depth(self, stamp_s: float) -> Pairs:
        self.pairs.push_depth(round(stamp_s * NS_PER_S), f'{stamp_s:g}')
        return self


def test_the_depth_with_the_nearest_stamp_is_taken_whichever_comes_first() -> None:
    assert Pairs().depth(1.0).key(1.0).made == [(1.0, '1')]
    assert Pairs().key(1.0).depth(1.0).made == [(1.0, '1')]
    assert Pairs().depth(0.98).key(1.0).made == []
    assert Pairs().depth(0.98).key(1.0).depth(1.01).made == [(1.0, '1.01')]
    assert Pairs().depth(0.99).key(1.0).depth(1.03).made == [(1.0, '0.99')]


def test_depth_of_another_time_is_not_taken_and_that_is_counted() -> None:
    bench = Pairs().depth(0.9).key(1.0).depth(1.1).key(2.0).depth(2.0)
    assert bench.made == [(2.0, '2')]
    assert bench.pairs.missed == 1


def test_key_frames_without_any_depth_are_bounded_and_counted() -> None:
    bench = Pairs()
    for second in range(100):
        bench.key(float(second))
    assert bench.pairs.missed == 100 - 64
    bench.pairs.finish()
    assert (bench.made, bench.pairs.missed) == ([], 100)


def test_at_the_end_the_last_key_frame_takes_depth_from_before_it() -> None:
    bench = Pairs().depth(0.98).key(1.0)
    bench.pairs.finish()
    assert bench.made == [(1.0, '0.98')]


def test_where_time_is_set_back_depth_from_before_is_forgotten() -> None:
    bench = Pairs().depth(5.0).depth(1.0).key(5.0)
    bench.pairs.finish()
    assert bench.made == []


def test_only_the_latest_depth_images_are_kept() -> None:
    bench = Pairs()
    for number in range(DEPTHS_KEPT + 1):
        bench.depth(10.0 + number)
    bench.key(10.0).key(11.0)
    assert bench.made == [(11.0, '11')]
