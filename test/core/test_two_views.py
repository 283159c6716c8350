"""How a camera moved between two views, from rays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embodied_r_ros.core.two_views import fit_rotation, relate, rotation_by

TOLERANCE_RAD = 0.004
Floats = np.ndarray


def unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def things(count: int = 120, seed: int = 0) -> Floats:
    """Places before a camera, 2 to 10 m ahead; x ahead, y left, z up."""
    rng = np.random.default_rng(seed)
    ahead = rng.uniform(2.0, 10.0, count)
    return np.column_stack([ahead, ahead * rng.uniform(-0.7, 0.7, count), ahead * rng.uniform(-0.5, 0.5, count)])


def seen(places: Floats, way: Floats, rotation: Floats, seed: int = 1) -> tuple[Floats, Floats]:
    """Rays to places before and after the camera went along a way and then turned, with noise of a fifth of a pixel."""
    noise = np.random.default_rng(seed).normal(0.0, 0.001, (2, *places.shape))
    return unit(unit(places) + noise[0]), unit(unit((places - way) @ rotation.T) + noise[1])


@pytest.mark.parametrize(
    'way', [(0.5, 0, 0), (-0.5, 0, 0), (0, 0.3, 0), (0, -0.3, 0), (0, 0, 0.3), (0.4, 0.2, 0)],
    ids=['ahead', 'back', 'left', 'right', 'up', 'aslant'],
)  # fmt: skip
@pytest.mark.parametrize('turn_deg', [0.0, 5.0, -12.0])
def test_travel_and_turn_are_told_apart(way: tuple[float, float, float], turn_deg: float) -> None:
    rotation = rotation_by(np.array([0.0, 0.0, -math.radians(turn_deg)]))
    relation = relate(*seen(things(), np.array(way), rotation), TOLERANCE_RAD)
    assert relation is not None
    assert relation.rotation == pytest.approx(rotation, abs=0.01)
    assert relation.travel is not None
    wanted = rotation @ (np.array(way) / np.linalg.norm(way))
    assert float(relation.travel @ wanted) > math.cos(math.radians(6.0))
    assert relation.parallax_rad > TOLERANCE_RAD


@pytest.mark.parametrize('turn_deg', [0.0, 10.0, -40.0])
def test_a_turn_alone_has_no_travel(turn_deg: float) -> None:
    rotation = rotation_by(np.array([0.0, 0.0, -math.radians(turn_deg)]))
    relation = relate(*seen(things(), np.zeros(3), rotation), TOLERANCE_RAD)
    assert relation is not None
    assert (relation.travel, relation.parallax_rad) == (None, 0.0)
    assert relation.rotation == pytest.approx(rotation, abs=0.003)


@pytest.mark.parametrize('share', [0.1, 0.2])
def test_what_moves_by_itself_is_left_out(share: float) -> None:
    places = things()
    rotation = rotation_by(np.array([0.0, 0.0, -math.radians(8.0)]))
    before, after = seen(places, np.array([0.5, 0.0, 0.0]), rotation)
    moving = np.arange(len(places)) < share * len(places)
    after[moving] = unit((places[moving] + (0.0, 1.5, 0.0)) @ rotation.T)
    relation = relate(before, after, TOLERANCE_RAD)
    assert relation is not None
    assert relation.rotation == pytest.approx(rotation, abs=0.02)
    assert relation.travel is not None
    assert relation.travel[0] > 0.9
    assert relation.agreeing == pytest.approx(1.0 - share, abs=0.15)


def test_points_that_do_not_agree_tell_nothing() -> None:
    assert relate(unit(things(seed=3)), unit(things(seed=4)), TOLERANCE_RAD) is None


def test_a_rotation_is_fitted_to_most_rays() -> None:
    rotation = rotation_by(np.array([0.1, -0.2, 0.3]))
    before = unit(things())
    after = before @ rotation.T
    after[:40] = unit(things(40, seed=9))
    found, fits = fit_rotation(before, after, TOLERANCE_RAD)
    assert found == pytest.approx(rotation, abs=1e-9)
    assert fits[40:].all()
    assert fits[:40].sum() < 5
