"""Rendered views of simulated places."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import pytest

from embodied_r_ros.adapters.apriltags import TagReader
from embodied_r_ros.core.records import Pose
from training.world.path import CAMERA, CAMERA_HEIGHT_M
from training.world.renderer import Renderer, cut
from training.world.scene import Scene, SceneObject
from training.world.surfaces import MIN_TAG_HEIGHT_M, solid
from training.world.textures import TAG_SIZE_M, Texture, bricks, seeded

pytestmark = pytest.mark.system

BOUNDS_M = (-4.0, -5.0, 10.0, 5.0)
SOFA = SceneObject(name='sofa', center_m=(3.0, 0.0, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17)
LAMP = SceneObject(name='lamp', center_m=(5.0, 0.0, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=300)


def place(*objects: SceneObject, kind: str = 'room', seed: int = 1) -> Scene:
    return Scene(seed=seed, kind=kind, objects=objects, bounds_m=BOUNDS_M)


def at(x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0, yaw_deg: float = 0.0, pitch_down_deg: float = 0.0) -> Pose:
    yaw, pitch = math.radians(yaw_deg) / 2, math.radians(pitch_down_deg) / 2
    return Pose(
        x_m=x_m,
        y_m=y_m,
        z_m=z_m,
        qx=-math.sin(yaw) * math.sin(pitch),
        qy=math.cos(yaw) * math.sin(pitch),
        qz=math.sin(yaw) * math.cos(pitch),
        qw=math.cos(yaw) * math.cos(pitch),
    )


@functools.cache
def drawn_by(scene: Scene) -> Renderer:
    """The renderer of a scene: its walls are papered once."""
    return Renderer(scene)


@functools.cache
def tags_seen(scene: Scene, pose: Pose) -> dict[int, np.ndarray]:
    return {tag.id: tag.corners_px for tag in TagReader('36h11', 12.0).read(drawn_by(scene).render(pose))}


def test_a_tag_appears_where_geometry_puts_it() -> None:
    corners = tags_seen(place(SOFA), at())[17]
    half_px = CAMERA.fx_px * TAG_SIZE_M / 2 / (3.0 - 0.25)
    expected = [
        (CAMERA.cx_px + sign_x * half_px, CAMERA.cy_px + sign_y * half_px)
        for sign_x, sign_y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    np.testing.assert_allclose(corners, expected, atol=0.7)


@pytest.mark.parametrize(
    ('pose', 'way'),
    [
        pytest.param(at(yaw_deg=10.0), (1, 0), id='turned left, it lies to the right'),
        pytest.param(at(y_m=0.5), (1, 0), id='moved left, it lies to the right'),
        pytest.param(at(z_m=0.5), (0, 1), id='climbed, it lies lower'),
        pytest.param(at(pitch_down_deg=10.0), (0, -1), id='tilted down, it lies higher'),
    ],
)
def test_a_move_of_the_camera_shifts_the_view_the_other_way(pose: Pose, way: tuple[int, int]) -> None:
    scene = place(SOFA)
    shift = tags_seen(scene, pose)[17].mean(axis=0) - tags_seen(scene, at())[17].mean(axis=0)
    along = shift @ np.array(way)
    assert along > 50
    assert abs(shift).sum() == pytest.approx(along, abs=12)


def test_what_stands_in_front_covers_what_stands_behind() -> None:
    scene = place(SOFA, LAMP)
    assert set(tags_seen(scene, at())) == {17}
    assert set(tags_seen(scene, at(x_m=8.0, yaw_deg=180.0))) == {300}


def test_a_long_thing_in_front_covers_though_its_middle_is_farther() -> None:
    wall = SceneObject(name='wall', center_m=(3.0, 2.5, 1.0), size_m=(0.2, 5.6, 2.0), tag_id=5)
    behind = SceneObject(name='lamp', center_m=(3.6, 0.0, 0.8), size_m=(0.4, 0.4, 1.6), tag_id=300)
    assert 300 in tags_seen(place(behind), at())
    assert 300 not in tags_seen(place(behind, wall), at())
    assert 300 not in tags_seen(place(wall, behind), at())


@pytest.mark.parametrize('kind', ['room', 'street'])
def test_the_same_seed_gives_the_same_view_and_another_a_different_one(kind: str) -> None:
    one, same, other = (Renderer(place(SOFA, kind=kind, seed=seed)).render(at()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.mean(one != other) > 0.3


@pytest.mark.parametrize('kind', ['room', 'street'])
def test_every_view_is_whole_and_has_corners_to_track(kind: str) -> None:
    renderer = drawn_by(place(SOFA, LAMP, kind=kind))
    for yaw_deg in range(0, 360, 60):
        image = renderer.render(at(x_m=1.0, y_m=0.5, yaw_deg=yaw_deg))
        assert image.shape == (CAMERA.height, CAMERA.width, 3)
        assert np.mean((image == (206, 190, 172)).all(axis=2)) < 0.001
        small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (320, 240), interpolation=cv2.INTER_AREA)
        assert len(cv2.goodFeaturesToTrack(small, 200, 0.01, 7)) > 60


@pytest.mark.parametrize(
    'pose',
    [
        pytest.param(at(x_m=2.72), id='against a thing'),
        pytest.param(at(x_m=3.0), id='inside a thing'),
        pytest.param(at(x_m=9.98), id='against a wall'),
        pytest.param(at(x_m=14.0), id='outside'),
        pytest.param(at(pitch_down_deg=89.9), id='straight down'),
        pytest.param(at(pitch_down_deg=-89.9), id='straight up'),
        pytest.param(at(z_m=30.0), id='above the roof'),
    ],
)
def test_no_place_is_too_odd_to_be_drawn(pose: Pose) -> None:
    assert drawn_by(place(SOFA)).render(pose).shape == (CAMERA.height, CAMERA.width, 3)


def test_plates_hang_at_the_height_of_the_camera_where_the_thing_reaches_it_and_never_in_the_floor() -> None:
    def tag_height_m(center_m: float, height_m: float) -> float:
        thing = SceneObject(name='thing', center_m=(0.0, 0.0, center_m), size_m=(1.0, 1.0, height_m), tag_id=1)
        plate = solid(thing, 1).plates[0]
        return float(plate.corner_m[2]) - 0.25

    assert tag_height_m(1.0, 2.0) == pytest.approx(CAMERA_HEIGHT_M)
    assert tag_height_m(0.5, 1.0) == pytest.approx(0.7)
    assert tag_height_m(2.0, 0.4) == pytest.approx(2.0)
    assert tag_height_m(0.1, 0.2) == pytest.approx(MIN_TAG_HEIGHT_M)


def test_cutting_keeps_the_inner_part() -> None:
    square = np.array([[0.0, 0, 1], [2, 0, 1], [2, 2, 1], [0, 2, 1]])
    right_half = cut(square, np.array([[1.0, 0, 0, -1.0]]))
    assert sorted(map(tuple, right_half.tolist())) == [(1, 0, 1), (1, 2, 1), (2, 0, 1), (2, 2, 1)]
    assert len(cut(square, np.array([[1.0, 0, 0, -3.0]]))) == 0
    assert cut(square, np.array([[1.0, 0, 0, 3.0]])) is square


def test_a_far_texture_is_drawn_from_a_coarser_copy() -> None:
    texture = Texture(bricks(seeded('test'), 128, 256, (120, 120, 120), (20, 10), 1))
    assert texture.level(0.5).shape == (128, 256, 3)
    assert texture.level(2.0).shape == (64, 128, 3)
    assert texture.level(1e9).shape == texture.levels[-1].shape
