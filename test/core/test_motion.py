"""Ego-motion from odometry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from builders import pose

from embodied_r_ros.core.motion import ACTIONS, motion_from_poses, moves_along
from embodied_r_ros.core.moves import MAX_MOVES
from embodied_r_ros.core.records import MotionSource, Move, Pose

STILL = pose(1.0, 2.0, 0.0, yaw_deg=30.0)


def test_there_are_ten_actions() -> None:
    assert len(set(ACTIONS)) == 10


@pytest.mark.parametrize(
    ('before', 'after', 'name', 'expected'),
    [
        pytest.param(pose(), pose(x_m=1.4), 'move forward', (1.4, 0, 0, 0, 0), id='forward'),
        pytest.param(pose(), pose(x_m=-0.5), 'move backward', (-0.5, 0, 0, 0, 0), id='backward'),
        pytest.param(pose(), pose(y_m=0.5), 'move left', (0, 0.5, 0, 0, 0), id='left'),
        pytest.param(pose(), pose(y_m=-0.5), 'move right', (0, -0.5, 0, 0, 0), id='right'),
        pytest.param(pose(), pose(z_m=2.0), 'move upward', (0, 0, 2, 0, 0), id='climb'),
        pytest.param(pose(z_m=2.0), pose(), 'move downward', (0, 0, -2, 0, 0), id='sink'),
        pytest.param(pose(), pose(yaw_deg=32), 'rotate left', (0, 0, 0, 32, 0), id='turn left'),
        pytest.param(pose(), pose(yaw_deg=-90), 'rotate right', (0, 0, 0, -90, 0), id='turn right'),
        pytest.param(pose(), pose(pitch_up_deg=15), 'tilt upward', (0, 0, 0, 0, 15), id='nose up'),
        pytest.param(pose(), pose(pitch_up_deg=-15), 'tilt downward', (0, 0, 0, 0, -15), id='nose down'),
        pytest.param(STILL, STILL, 'stay', (0, 0, 0, 0, 0), id='still'),
        pytest.param(pose(), pose(x_m=0.04, yaw_deg=1.9), 'stay', (0.04, 0, 0, 1.9, 0), id='less than counts'),
        pytest.param(
            pose(3, 4, yaw_deg=90),
            pose(3, 6, yaw_deg=90),
            'move forward',
            (2, 0, 0, 0, 0),
            id='in the axes of the earlier',
        ),
        pytest.param(
            pose(yaw_deg=170), pose(yaw_deg=-170), 'rotate left', (0, 0, 0, 20, 0), id='across the seam at 180 degrees'
        ),
        pytest.param(pose(), pose(x_m=1.0, yaw_deg=40), 'rotate left', (1, 0, 0, 40, 0), id='turn outweighs 1 m'),
        pytest.param(pose(), pose(x_m=3.0, yaw_deg=40), 'move forward', (3, 0, 0, 40, 0), id='3 m outweigh the turn'),
        pytest.param(
            pose(yaw_deg=60), pose(yaw_deg=60, pitch_up_deg=10), 'tilt upward', (0, 0, 0, 0, 10), id='pitch after yaw'
        ),
    ],
)
def test_motion_from_poses(before: Pose, after: Pose, name: str, expected: tuple[float, ...]) -> None:
    motion = motion_from_poses(before, after)
    found = (motion.forward_m, motion.left_m, motion.up_m, motion.rotate_left_deg, motion.tilt_up_deg)
    assert found == pytest.approx(expected, abs=1e-6)
    assert motion.name == name
    assert motion.source is MotionSource.ODOMETRY


def walked(*legs: tuple[str, float]) -> list[Pose]:
    """Poses every 10 cm or 5 degrees along a way: 'forward' and 'left' by metres, 'turn' by degrees to the left."""
    x_m = y_m = yaw_deg = 0.0
    poses = [pose()]
    for kind, amount in legs:
        steps = math.ceil(abs(amount) / (5.0 if kind == 'turn' else 0.1))
        for _ in range(steps):
            way = math.radians(yaw_deg + (90.0 if kind == 'left' else 0.0))
            if kind == 'turn':
                yaw_deg += amount / steps
            else:
                x_m, y_m = x_m + amount / steps * math.cos(way), y_m + amount / steps * math.sin(way)
            poses.append(pose(x_m, y_m, yaw_deg=yaw_deg))
    return poses


def arc(radius_m: float, turn_deg: float, steps: int) -> list[Pose]:
    """Poses along a circle to the left."""
    turns = [math.radians(turn_deg) * step / steps for step in range(steps + 1)]
    return [
        pose(radius_m * math.sin(turn), radius_m * (1 - math.cos(turn)), yaw_deg=math.degrees(turn)) for turn in turns
    ]


def told(poses: list[Pose]) -> list[tuple[str, float]]:
    return [(move.kind, round(move.amount, 3)) for move in moves_along(poses)]


@pytest.mark.parametrize(
    'legs',
    [
        pytest.param([('turn', 90.0)], id='turn on the spot'),
        pytest.param([('turn', -170.0)], id='turn on the spot to the right'),
        pytest.param([('turn', 120.0), ('forward', 1.0), ('turn', 120.0)], id='beyond the seam at 180 degrees'),
        pytest.param([('forward', 2.0)], id='straight on'),
        pytest.param([('forward', -1.0)], id='backward'),
        pytest.param([('left', -0.7)], id='aside'),
        pytest.param([('forward', 2.0), ('turn', 90.0), ('forward', 1.0)], id='round a corner'),
        pytest.param([('forward', 1.0), ('turn', 180.0), ('forward', 1.0)], id='there and back'),
        pytest.param([('forward', 0.5), ('turn', 30.0)] * (MAX_MOVES // 2), id='as many moves as are told'),
    ],
)
def test_a_way_is_told_move_by_move(legs: list[tuple[str, float]]) -> None:
    assert told(walked(*legs)) == legs


def test_a_look_aside_and_back_is_no_move() -> None:
    assert told(walked(('turn', 90.0), ('turn', -90.0))) == []


def test_an_arc_is_told_as_the_moves_that_lead_to_its_end() -> None:
    moves = moves_along(arc(2.0, 90.0, 30))
    assert [move.kind for move in moves] == ['forward', 'turn', 'forward']
    assert [move.amount for move in moves] == pytest.approx([2.0, 90.0, 2.0], abs=1e-6)


def test_a_turn_while_walking_is_told_between_the_walks() -> None:
    bend = arc(1.0, 90.0, 15)
    poses = walked(('forward', 1.0))[:-1] + [
        pose(one.x_m + 1.0, one.y_m, yaw_deg=math.degrees(one.yaw_rad)) for one in bend
    ]
    assert told(poses) == [('forward', 2.0), ('turn', 90.0), ('forward', 1.0)]


def test_noise_at_rest_is_no_move() -> None:
    rng = np.random.default_rng(3)
    poses = [
        pose(*rng.normal(0.0, 0.005, 2), yaw_deg=40.0 + rng.normal(0.0, 0.2), pitch_up_deg=rng.normal(0.0, 0.2))
        for _ in range(300)
    ]
    assert moves_along(poses) == ()


def test_noise_does_not_cut_a_way_into_pieces() -> None:
    rng = np.random.default_rng(4)
    poses = [
        dataclasses.replace(one, x_m=one.x_m + rng.normal(0.0, 0.003), y_m=one.y_m + rng.normal(0.0, 0.003))
        for one in walked(('forward', 2.0), ('turn', -90.0), ('forward', 1.0))
    ]
    moves = moves_along(poses)
    assert [move.kind for move in moves] == ['forward', 'turn', 'forward']
    assert [move.amount for move in moves] == pytest.approx([2.0, -90.0, 1.0], abs=0.05)


def test_a_climb_and_a_tilt_are_no_moves_in_the_plane() -> None:
    assert moves_along([pose(z_m=0.1 * step) for step in range(30)]) == ()
    assert moves_along([pose(pitch_up_deg=step) for step in range(30)]) == ()


def test_a_climb_leaves_the_walk_beside_it() -> None:
    poses = [pose(x_m=0.1 * step, z_m=0.1 * step) for step in range(11)]
    assert moves_along(poses) == (Move(kind='forward', amount=pytest.approx(1.0)),)


def test_a_way_of_too_many_moves_is_left_to_its_net_motion() -> None:
    assert moves_along(walked(*[('forward', 0.5), ('turn', 30.0)] * (MAX_MOVES // 2), ('forward', 0.5))) == ()


@pytest.mark.parametrize('count', [0, 1])
def test_too_few_poses_tell_no_move(count: int) -> None:
    assert moves_along([pose()] * count) == ()
