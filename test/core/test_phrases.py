"""Measured motion and sightings in words."""

from __future__ import annotations

import math
import random

import pytest
from worked import arrived

from embodied_r_ros.core.moves import MIN_SPLIT_DEG, told_moves
from embodied_r_ros.core.phrases import NOTHING_NEW, STILL, write_motion, write_sightings
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting


def measured(forward_m=0.0, left_m=0.0, turn_deg=0.0, up_m=0.0, tilt_deg=0.0, moves=(), name='move forward'):
    return Motion(
        name=name,
        forward_m=forward_m,
        left_m=left_m,
        up_m=up_m,
        rotate_left_deg=turn_deg,
        tilt_up_deg=tilt_deg,
        source=MotionSource.ODOMETRY,
        moves=tuple(Move(kind=kind, amount=amount) for kind, amount in moves),
    )


@pytest.mark.parametrize(
    ('motion', 'words'),
    [
        (measured(forward_m=1.4), 'moved forward 1.40 m'),
        (measured(forward_m=-0.6), 'moved backward 0.60 m'),
        (measured(turn_deg=32), 'rotated left 32 deg'),
        (measured(turn_deg=-90), 'rotated right 90 deg'),
        (measured(forward_m=2.0, turn_deg=-90), 'moved forward 2.00 m, rotated right 90 deg'),
        (measured(forward_m=2.0, left_m=3.0, turn_deg=90),
         'moved forward 2.00 m, rotated left 90 deg, moved forward 3.00 m'),
        (measured(forward_m=1.0, left_m=-1.0, turn_deg=-90),
         'moved forward 1.00 m, rotated right 90 deg, moved forward 1.00 m'),
        (measured(forward_m=3**0.5, left_m=1.0, turn_deg=-60),
         'rotated left 30 deg, moved forward 2.00 m, rotated right 90 deg'),
        (measured(forward_m=1.0, left_m=1.0), 'moved forward 1.00 m, moved left 1.00 m'),
        (measured(left_m=0.8), 'moved left 0.80 m'),
        (measured(left_m=-0.8, turn_deg=5), 'moved right 0.80 m, rotated left 5 deg'),
        (measured(forward_m=1.0, up_m=0.5, tilt_deg=-10),
         'moved forward 1.00 m, moved upward 0.50 m, tilted downward 10 deg'),
        (measured(up_m=-0.5), 'moved downward 0.50 m'),
        (measured(forward_m=0.04, turn_deg=1.9), STILL),
        (measured(), STILL),
        (measured(moves=[('turn', 30), ('forward', 1), ('turn', -30)]),
         'rotated left 30 deg, moved forward 1.00 m, rotated right 30 deg'),
        (measured(moves=[('left', -0.5), ('forward', -1)]), 'moved right 0.50 m, moved backward 1.00 m'),
        (measured(forward_m=1.0, turn_deg=math.nan), 'moved forward 1.00 m'),
        (measured(forward_m=1.0, up_m=math.nan, tilt_deg=math.nan), 'moved forward 1.00 m'),
        (Motion(name='rotate left'), 'rotated left'),
        (Motion(name='move upward'), 'moved upward'),
        (Motion(name='tilt downward'), 'tilted downward'),
        (Motion(name='stay'), STILL),
        (Motion(name='rotate left', rotate_left_deg=20.4, tilt_up_deg=3), 'rotated left 20 deg, tilted upward 3 deg'),
        (Motion(name='move forward', rotate_left_deg=-12), 'moved forward, rotated right 12 deg'),
        (Motion(name='stay', rotate_left_deg=1.0, tilt_up_deg=0.0), STILL),
    ],
    ids=[
        'forward', 'backward', 'turn left', 'turn right', 'walk and turn', 'walk, turn, walk', 'walk, turn right, walk',
        'turn, walk, turn', 'askew without a turn', 'strafe', 'strafe with a slight turn', 'climb and tilt', 'down',
        'too little',
        'nothing', 'its own moves', 'its own strafe', 'turn unknown', 'climb unknown', 'images: turn', 'images: climb',
        'images: tilt', 'images: still', 'images with intrinsics', 'images: walk and turn', 'images: too little',
    ],
)  # fmt: skip
def test_a_motion_is_told_in_words(motion, words):
    assert write_motion(motion) == words


def test_the_words_for_any_motion_in_the_plane_lead_to_the_same_place():
    rng = random.Random(0)
    for _ in range(500):
        forward_m, left_m, turn_deg = rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(-170, 170)
        if min(abs(forward_m), abs(left_m)) < 0.1 or abs(turn_deg) < MIN_SPLIT_DEG:
            continue
        told = arrived(told_moves(measured(forward_m, left_m, turn_deg)))
        assert math.dist(told[:2], (forward_m, left_m)) < 0.13
        assert told[2] == pytest.approx(turn_deg, abs=2.1)


def test_moves_are_told_to_the_centimetre_and_degree_and_slight_ones_are_left_out():
    moves = [('forward', 1.254), ('turn', -45.4), ('left', 0.04), ('turn', 1.9), ('forward', -0.749)]
    told = told_moves(measured(moves=moves))
    assert [(move.kind, move.amount) for move in told] == [('forward', 1.25), ('turn', -45.0), ('forward', -0.75)]


@pytest.mark.parametrize(
    ('sighting', 'words'),
    [
        (Sighting.level('sofa', 20.2, 3.21), 'sofa 20 deg left at 3.2 m'),
        (Sighting.level('desk', -41.0), 'desk 41 deg right'),
        (Sighting.level('floor lamp', 0.3, 1.0), 'floor lamp straight ahead at 1.0 m'),
        (Sighting.level('tag 7', -0.4), 'tag 7 straight ahead'),
    ],
    ids=['measured', 'bearing alone', 'ahead', 'ahead, bearing alone'],
)
def test_a_sighting_is_told_in_words(sighting, words):
    assert write_sightings([sighting]) == words


def test_a_distance_is_told_as_it_is_seen_from_above():
    above = Sighting(name='lamp', ray=(0.6, 0.0, 0.8), distance_m=5.0)
    assert write_sightings([above]) == 'lamp straight ahead at 3.0 m'


def test_nothing_in_view_has_words_of_its_own():
    assert write_sightings([]) == NOTHING_NEW
