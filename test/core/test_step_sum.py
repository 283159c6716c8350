"""What steps come to, in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embodied_r_ros.core.moves import MAX_MOVES
from embodied_r_ros.core.records import Motion
from embodied_r_ros.core.step_sum import StepSum
from embodied_r_ros.core.two_views import Relation, rotation_by

WAYS = {'ahead': (1, 0, 0), 'back': (-1, 0, 0), 'left': (0, 1, 0), 'right': (0, -1, 0), 'up': (0, 0, 1)}


def step(way: str = '', turn_left_deg: float = 0.0, parallax_rad: float = 0.05) -> Relation:
    travel = np.array(WAYS[way], float) if way else None
    rotation = rotation_by(np.array([0.0, 0.0, -math.radians(turn_left_deg)]))
    return Relation(rotation=rotation, travel=travel, parallax_rad=parallax_rad if way else 0.0, agreeing=1.0)


def motion(*steps: Relation, calibrated: bool = True) -> Motion:
    one = StepSum()
    for each in steps:
        one.add(each)
    return one.motion(calibrated)


def told(*steps: Relation, calibrated: bool = True) -> list[str]:
    moves = motion(*steps, calibrated=calibrated).moves
    return [move.kind if math.isnan(move.amount) else f'{move.kind} {move.amount:.0f}' for move in moves]


@pytest.mark.parametrize(
    ('steps', 'moves'),
    [
        ([step('ahead'), step('ahead')], ['move forward']),
        ([step(turn_left_deg=10.0), step(turn_left_deg=15.0)], ['turn 25']),
        ([step('ahead'), step(turn_left_deg=-30.0), step('ahead')], ['move forward', 'turn -30', 'move forward']),
        ([step('ahead', 8.0), step(turn_left_deg=20.0)], ['move forward', 'turn 28']),
        ([step(turn_left_deg=20.0), step('ahead', 8.0)], ['turn 28', 'move forward']),
        ([step('ahead', 8.0)] * 4, ['move forward', 'turn 32', 'move forward']),
        ([step('ahead', 1.0)] * 5, ['move forward', 'turn 5']),
        ([step('ahead'), step(turn_left_deg=1.0), step('ahead')], ['move forward']),
        ([step('ahead'), step('left', parallax_rad=0.01), step('ahead')], ['move forward']),
        ([step('ahead'), step('left'), step('ahead')], ['move forward', 'move left', 'move forward']),
        ([step('back'), step('right')], ['move backward', 'move right']),
        ([step()], []),
    ],
    ids=[
        'a walk', 'a turn', 'round a corner', 'into a turn', 'out of a turn', 'an arc', 'little by little',
        'a slight turn', 'a slip', 'aside', 'back and aside', 'at rest',
    ],
)  # fmt: skip
def test_moves_come_in_their_order(steps: list[Relation], moves: list[str]) -> None:
    assert told(*steps) == moves


@pytest.mark.parametrize(
    ('steps', 'name'),
    [
        ([step('ahead')], 'move forward'),
        ([step('ahead', parallax_rad=0.05), step(turn_left_deg=40.0)], 'rotate left'),
        ([step('ahead', parallax_rad=1.0), step(turn_left_deg=-20.0)], 'move forward'),
        ([step('up')], 'move upward'),
        ([step(turn_left_deg=1.0)], 'stay'),
        ([], 'stay'),
    ],
)
def test_the_name_is_that_of_what_shifted_the_view_most(steps: list[Relation], name: str) -> None:
    assert motion(*steps).name == name


def test_degrees_are_those_of_all_steps() -> None:
    total = motion(*[step('ahead', 12.0)] * 5, *[step(turn_left_deg=-3.0)] * 10)
    assert total.rotate_left_deg == pytest.approx(30.0)
    assert math.isnan(total.forward_m)


def test_metres_are_known_at_rest() -> None:
    at_rest = motion(step())
    assert (at_rest.forward_m, at_rest.left_m, at_rest.up_m) == (0.0, 0.0, 0.0)


def test_without_calibration_no_degrees_are_told() -> None:
    steps = [step('ahead'), step(turn_left_deg=-30.0), step(turn_left_deg=3.0)]
    assert told(*steps, calibrated=False) == ['move forward', 'rotate right']
    assert math.isnan(motion(*steps, calibrated=False).rotate_left_deg)


def test_more_moves_than_are_told_come_to_a_turn_and_a_name() -> None:
    total = motion(*[step('ahead'), step(turn_left_deg=10.0)] * MAX_MOVES)
    assert total.moves == ()
    assert total.rotate_left_deg == pytest.approx(10.0 * MAX_MOVES)
