"""Where a robot without odometry ends up, by its own account."""

from __future__ import annotations

import math

import pytest

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.evaluation.phrase_reader import from_words
from training.world.dead_reckoning import missed, reckoned
from training.world.path import Station


def observed(*actions: str) -> list[Observation]:
    return [from_words(0, index, index * 10**9, action, '') for index, action in enumerate(actions)]


def test_moves_are_summed_up_in_the_heading_that_they_were_made_in() -> None:
    way_m, heading_deg = reckoned(observed('', 'moved forward 1.00 m, rotated left 90 deg', 'moved forward 2.00 m'))
    assert way_m == pytest.approx(1.0 + 2.0j)
    assert heading_deg == pytest.approx(90.0)


def test_the_pace_counts_as_it_is_told() -> None:
    way_m, _ = reckoned(observed('', 'moved forward 1.00 m', 'moved forward'))
    assert way_m == pytest.approx(2.0)


def test_a_miss_is_the_distance_and_the_smaller_angle() -> None:
    miss = missed(observed('', 'rotated left 170 deg'), Station(0.3, 0.4, 0.0, math.radians(-170.0)))
    assert miss.heading_deg == pytest.approx(20.0)
    assert miss.place_m == pytest.approx(0.5)
