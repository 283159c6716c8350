"""Which frames are key frames."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from builders import blank, noisy, pan, room, texture, zoom

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.keyframes import KeyFrameDecision, KeyFrameSelector, KeyFrameSettings
from embodied_r_ros.core.matching import Features, Thumbnail, clearest_of, shown_share


def grey(view: np.ndarray) -> np.ndarray:
    return view if view.ndim == 2 else cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)


def select(
    views: list[np.ndarray], noise: float = 2.0, gap_s: float = 0.25, **settings: float
) -> dict[int, KeyFrameDecision]:
    """The decisions by the number of the view."""
    selector, found = KeyFrameSelector(KeyFrameSettings(**settings)), {}
    for number, view in enumerate(views):
        decision = selector.push(noisy(grey(view), noise, number), round(number * gap_s * NS_PER_S))
        if decision is not None:
            found[number] = decision
    return found


@pytest.mark.parametrize(
    ('views', 'step'),
    [
        pytest.param(pan(19, 0.09), 6, id='pan to the right'),
        pytest.param(pan(19, -0.09), 6, id='pan to the left'),
        pytest.param(pan(16, 0.18), 3, id='fast pan'),
        pytest.param(pan(10, 0.35), 2, id='pan by a third of the view'),
        pytest.param(zoom(17, 1.1), 4, id='forward: 1.1 to the 4th is over the square root of 2'),
        pytest.param(zoom(17, 1 / 1.1), 4, id='backward or climbing, which a one-sided overlap never sees'),
        pytest.param(zoom(9, 1.2), 2, id='fast forward'),
        pytest.param(zoom(9, 1 / 1.2), 2, id='fast backward'),
    ],
)
def test_motion_makes_key_frames_evenly(views: list[np.ndarray], step: int) -> None:
    found = select(views)
    assert list(found) == list(range(0, len(views), step))
    assert [one.reason for one in found.values()] == ['first'] + ['overlap'] * (len(found) - 1)
    assert math.isnan(found[0].overlap)
    assert all(one.overlap < 0.5 for number, one in found.items() if number)


@pytest.mark.parametrize(
    ('views', 'step'), [pytest.param(pan(13, 0.09), 6, id='pan'), pytest.param(zoom(9, 1 / 1.1), 4, id='backward')]
)
def test_fog_hides_no_motion(views: list[np.ndarray], step: int) -> None:
    foggy = [(112 + view / 8).astype(np.uint8) for view in views]
    assert list(select(foggy)) == list(range(0, len(views), step))


def test_overlap_is_measured() -> None:
    selector, measured = KeyFrameSelector(KeyFrameSettings(threshold=0.3)), []
    for number, view in enumerate(pan(7, 0.1)):
        selector.push(grey(view), number)
        measured.append(selector.overlap)
    assert measured[1:] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], abs=0.02)


@pytest.mark.parametrize(
    'views',
    [
        pytest.param([texture(320, 180)] * 20, id='static camera'),
        pytest.param([(112 + texture(320, 180) / 8).astype(np.uint8)] * 20, id='static camera in fog'),
        pytest.param([blank(320, 180)] * 10, id='blank wall'),
        pytest.param([noisy(blank(320, 180), 12.0, n) for n in range(10)], id='noisy blank wall'),
        pytest.param([noisy(blank(320, 180), 60.0, n) for n in range(10)], id='nothing but noise'),
        pytest.param([blank(320, 180, 0)] * 10 + [blank(320, 180, 255)] * 10, id='light switched on at a blank wall'),
        pytest.param(
            [np.tile(np.linspace(90, 150, 320)[None, :, None], (180, 1, 3)).astype(np.uint8)] * 10, id='shaded wall'
        ),
        pytest.param(
            [np.clip(texture(320, 180) * (0.6 + 0.4 * np.sin(n / 3)), 0, 255).astype(np.uint8) for n in range(20)],
            id='exposure swings',
        ),
    ],
)
def test_nothing_new_is_no_key_frame_beyond_the_first(views: list[np.ndarray]) -> None:
    assert list(select(views, noise=3.0)) == [0]


def test_a_blank_wall_in_between_is_one_key_frame() -> None:
    views = [texture(320, 180)] * 5 + [blank(320, 180)] * 5 + [texture(320, 180)] * 5
    assert list(select(views)) == [0, 5, 10]


def test_a_cut_to_another_view_is_a_key_frame() -> None:
    found = select([texture(320, 180, seed=1)] * 4 + [texture(320, 180, seed=2)] * 4)
    assert list(found) == [0, 4]
    assert found[4].overlap == 0.0


def test_a_passer_by_is_none() -> None:
    views = []
    scene = texture(320, 180)
    for step in range(20):
        view = scene.copy()
        view[40:180, 15 * step : 15 * step + 70] = (40, 60, 200)
        views.append(view)
    assert list(select(views)) == [0]


@pytest.mark.parametrize('seed', [0, 1])
def test_what_was_lost_behind_a_passer_by_is_found_again(seed: int) -> None:
    away = pan(6, 0.1, seed=seed)
    covered = [away[0].copy() for _ in range(5)]
    for step, view in enumerate(covered, start=1):
        view[:, : 42 * step] = 60
    selector, measured = KeyFrameSelector(KeyFrameSettings(threshold=0.3)), []
    for number, view in enumerate([away[0], *covered, *away]):
        selector.push(noisy(grey(view), 2.0, number), number)
        measured.append(selector.overlap)
    assert measured[-6:] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], abs=0.02)


def test_a_turn_in_a_room_makes_key_frames_every_half_view() -> None:
    found = select([room((0, 0, 1.2), look_left_deg=angle) for angle in range(0, 121, 6)])
    steps_deg = 6 * np.diff(list(found))
    assert np.all((steps_deg >= 25) & (steps_deg <= 40))


def test_backing_out_in_a_room_makes_key_frames() -> None:
    views = [room((-x, 0, 1.2)) for x in np.arange(-2.0, 2.0, 0.25)]
    assert 3 <= len(select(views)) <= 6


def test_max_gap_makes_a_key_frame_of_a_still_view() -> None:
    found = select([texture(320, 180)] * 20, gap_s=1.0, max_gap_s=5.0)
    assert [(number, one.reason) for number, one in found.items()] == [
        (0, 'first'),
        (5, 'max_gap'),
        (10, 'max_gap'),
        (15, 'max_gap'),
    ]
    assert found[5].overlap == pytest.approx(1.0, abs=0.02)


def test_a_change_of_resolution_restarts_the_reference() -> None:
    wide, tall = texture(320, 180), texture(320, 240)
    found = select([wide] * 3 + [tall] * 3 + [wide] * 3)
    assert list(found) == [0, 3, 6]
    assert math.isnan(found[3].overlap)


def test_a_requested_key_frame_is_the_new_reference() -> None:
    selector = KeyFrameSelector(KeyFrameSettings())
    views = [grey(view) for view in pan(9, 0.09)]
    for number in range(3):
        selector.push(views[number], number)
    decision = selector.take(views[3], 3)
    assert decision.reason == 'requested'
    assert decision.overlap == pytest.approx(0.73, abs=0.02)
    assert [number for number in range(4, 9) if selector.push(views[number], number)] == []


def test_a_requested_first_one_is_the_first() -> None:
    selector = KeyFrameSelector(KeyFrameSettings())
    assert selector.take(grey(texture(320, 180)), 0).reason == 'first'


def test_reset_makes_the_next_a_first_one() -> None:
    selector = KeyFrameSelector(KeyFrameSettings())
    selector.push(grey(texture(320, 180)), 0)
    selector.reset()
    decision = selector.push(grey(texture(320, 180)), 1)
    assert decision is not None
    assert decision.reason == 'first'


def test_memory_is_constant() -> None:
    selector = KeyFrameSelector(KeyFrameSettings())
    views = [grey(view) for view in pan(10, 0.2)]
    sizes = []
    tracemalloc.start()
    for number in range(40):
        selector.push(views[number % 10], number)
        if number in (15, 39):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] < sizes[0] + 80_000


@pytest.mark.parametrize(
    ('setting', 'value'), [('threshold', 1.5), ('sample_hz', 0.1), ('sample_hz', 61.0), ('max_gap_s', -1.0)]
)
def test_settings_have_bounds(setting: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f'{setting} must lie in .* got {value}'):
        KeyFrameSettings(**{setting: value})


def test_of_points_that_crowd_the_clearest_is_tracked() -> None:
    points = np.array([[40, 9], [41, 10], [80, 9], [42, 11], [43.5, 8]], np.float32)
    features = Features(points=points, descriptors=np.zeros((5, 32), np.uint8), size_wh=(320, 180))
    assert clearest_of(features).tolist() == [[40, 9], [80, 9]]


@pytest.mark.parametrize(
    ('matrix', 'share'),
    [
        pytest.param([[1, 0, 80], [0, 1, 0], [0, 0, 1]], 0.75, id='shift'),
        pytest.param([[0.5, 0, 80], [0, 0.5, 45], [0, 0, 1]], 0.25, id='smaller'),
        pytest.param([[2, 0, -160], [0, 2, -90], [0, 0, 1]], 1.0, id='larger'),
        pytest.param([[1, 0, 400], [0, 1, 0], [0, 0, 1]], 0.0, id='out of view'),
        pytest.param([[-1, 0, 320], [0, 1, 0], [0, 0, 1]], None, id='mirrored'),
        pytest.param([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]], None, id='beyond the horizon'),
        pytest.param([[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]], None, id='shrunk to a point'),
    ],
)
def test_shown_share(matrix: list[list[float]], share: float | None) -> None:
    found = shown_share(np.array(matrix, float), (320, 180))
    assert found == (None if share is None else pytest.approx(share, abs=0.01))


@pytest.mark.parametrize('scale', [1.0, 0.1, 1e-3, 1e-6, 1e-10])
def test_the_share_is_that_of_the_pixels(scale: float) -> None:
    size_wh = (320, 180)
    pixels = np.stack([*np.meshgrid(np.arange(320) + 0.5, np.arange(180) + 0.5), np.ones((180, 320))], axis=-1)
    spread = np.array([[0.3, 0.3, 60.0], [0.3, 0.3, 60.0], [5e-4, 5e-4, 0.0]])
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(40):
        homography = np.eye(3) + scale * spread * rng.normal(size=(3, 3))
        share = shown_share(homography, size_wh)
        if share is not None:
            told += 1
            x, y, ahead = np.moveaxis(pixels @ np.linalg.inv(homography).T, -1, 0)
            shown = (x / ahead >= 0) & (x / ahead <= 320) & (y / ahead >= 0) & (y / ahead <= 180)
            assert share == pytest.approx(shown.mean(), abs=0.01)
    assert told >= 10


def test_views_without_columns_are_the_same_view() -> None:
    sky = np.vstack([np.full((90, 320), 200, np.uint8), np.full((90, 320), 60, np.uint8)])
    assert Thumbnail.of(sky).same_view(Thumbnail.of(sky))
    assert not Thumbnail.of(sky).same_view(Thumbnail.of(grey(texture(320, 180))))
