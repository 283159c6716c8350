"""Motions one after another, and any stretch of them, summed up in one phrase."""

from __future__ import annotations

import math
import random

import pytest
from worked import arrived

from embodied_r_ros.core.moves import MAX_MOVES, MIN_TURN_DEG, add_move, measured, told_moves
from embodied_r_ros.core.phrases import STILL, write_motion
from embodied_r_ros.core.records import Motion
from embodied_r_ros.core.trajectory import Trajectory
from embodied_r_ros.evaluation.phrase_reader import from_words, read_motion


def trajectory(actions):
    return Trajectory([from_words(0, index, index * 10**9, action, '') for index, action in enumerate(actions)])


def joined(actions):
    return trajectory(actions).stretch(0, len(actions))


def moves_in(actions):
    return [move for action in actions if (motion := read_motion(action)) for move in measured(told_moves(motion))]


@pytest.mark.parametrize(
    ('actions', 'words'),
    [
        ([], STILL),
        (['', STILL], STILL),
        (['moved forward 1.00 m', STILL, 'moved forward 0.50 m'], 'moved forward 1.50 m'),
        (
            ['rotated left 30 deg', 'rotated left 40 deg, moved forward 1.00 m'],
            'rotated left 70 deg, moved forward 1.00 m',
        ),
        (['moved forward 1.00 m', 'moved backward 1.00 m'], STILL),
        (['rotated left', 'rotated left', 'moved forward'], 'rotated left, moved forward'),
    ],
    ids=['none', 'still', 'walks', 'turns', 'there and back', 'without amounts'],
)
def test_motions_one_after_another_are_joined(actions, words):
    assert write_motion(joined(actions)) == words


def test_many_motions_are_joined_into_the_way_they_come_to():
    rng = random.Random(1)
    actions = []
    for _ in range(MAX_MOVES):
        actions += [f'moved forward {rng.uniform(0.5, 2):.2f} m', f'rotated left {rng.randint(20, 80)} deg']
    moves = told_moves(joined(actions))
    assert len(moves) <= 3
    told, true = arrived(moves), arrived(moves_in(actions))
    assert math.dist(told[:2], true[:2]) < 0.2
    assert (told[2] - true[2] + 180) % 360 - 180 == pytest.approx(0, abs=1.1)


def some_actions(rng, count):
    """Walks, turns, sidesteps and pauses, as many as one phrase can hold or many more."""
    verbs = ('moved forward {} m', 'moved left {} m', 'rotated right {}0 deg', 'rotated left {}0 deg', STILL, '')
    picked = rng.choices(verbs, k=count)
    return [', '.join(verb.format(rng.randint(1, 8)) for verb in {verb, verbs[0]} if verb) for verb in picked]


@pytest.mark.parametrize('seed', range(20))
def test_a_stretch_is_told_as_if_there_were_nothing_around_it(seed):
    rng = random.Random(seed)
    actions = some_actions(rng, 60)
    start, end = sorted(rng.sample(range(61), 2))
    assert trajectory(actions).stretch(start, end) == joined(actions[start:end])


@pytest.mark.parametrize('seed', range(20))
def test_however_long_a_stretch_is_its_phrase_leads_where_its_moves_lead(seed):
    actions = some_actions(random.Random(seed), 400)
    told = arrived(told_moves(joined(actions)))
    true = arrived(moves_in(actions))
    # The phrase is in whole centimetres, and leaves out what is hardly a turn, before the walk and after it.
    assert math.dist(told[:2], true[:2]) < 0.01 + math.radians(MIN_TURN_DEG) * math.hypot(*true[:2])
    assert (told[2] - true[2] + 180) % 360 - 180 == pytest.approx(0, abs=2 * MIN_TURN_DEG)


@pytest.mark.parametrize('seed', range(5))
def test_few_moves_are_told_one_by_one(seed):
    actions = some_actions(random.Random(seed), MAX_MOVES // 2)
    summed = []
    for move in moves_in(actions):
        add_move(summed, move)
    assert 0 < len(summed) <= MAX_MOVES
    assert write_motion(joined(actions)) == write_motion(Motion(name='', moves=tuple(summed)))


@pytest.mark.parametrize(
    ('start', 'end', 'words'),
    [
        (0, 3, 'rotated left, moved forward'),
        (1, 4, 'rotated left, moved forward, moved left 1.00 m'),
        (3, 5, 'moved left 3.00 m'),
        (2, 2, STILL),
    ],
    ids=['without amounts', 'with and without', 'with amounts', 'nothing'],
)
def test_amounts_are_summed_only_where_all_of_a_stretch_have_them(start, end, words):
    actions = ['rotated left', 'rotated left', 'moved forward', 'moved left 1.00 m', 'moved left 2.00 m']
    assert write_motion(trajectory(actions).stretch(start, end)) == words


def test_of_many_actions_without_amounts_the_last_are_listed():
    actions = [f'tilted {way}' for way in ('upward', 'downward') * MAX_MOVES]
    assert write_motion(joined(actions)).split(', ') == actions[-MAX_MOVES:]


@pytest.mark.parametrize(
    ('before', 'action', 'told'),
    [
        (['moved forward 1.00 m'], 'moved forward', 'moved forward about 1.00 m'),
        (
            ['moved forward 1.00 m'],
            'moved forward, tilted upward 6 deg',
            'moved forward about 1.00 m, tilted upward 6 deg',
        ),
        (['moved forward 1.00 m', 'moved forward 2.00 m', STILL], 'moved forward', 'moved forward about 1.50 m'),
        (['moved forward'], 'moved forward', 'moved forward'),
        (['moved forward 1.00 m'], 'moved left', 'moved left'),
        (['moved forward 0.20 m, rotated left 40 deg'], 'moved forward', 'moved forward'),
    ],
    ids=['a walk', 'with a tilt', 'pauses aside', 'nothing measured', 'sideways', 'no walk by itself'],
)
def test_what_moved_forward_somewhat_went_on_at_the_pace_measured_before(before, action, told):
    after = ['moved forward 9.00 m']
    assert trajectory(['', *before, action, *after]).observations[-2].action == told


@pytest.mark.parametrize(
    ('action', 'told'),
    [
        ('rotated left 30 deg, moved forward', 'rotated left 30 deg, moved forward about 0.50 m'),
        ('moved forward, rotated right 15 deg', 'moved forward about 0.75 m, rotated right 15 deg'),
        (
            'moved forward, rotated left 30 deg, moved forward',
            'moved forward about 0.25 m, rotated left 30 deg, moved forward about 0.25 m',
        ),
        ('rotated left 90 deg, moved forward', 'rotated left 90 deg, moved forward about 0.10 m'),
    ],
    ids=['first', 'last', 'between', 'faster than before'],
)
def test_a_turn_takes_its_time_from_the_walk_beside_it(action, told):
    before = ['moved forward 1.00 m', 'rotated left 60 deg']
    assert trajectory(['', *before, action]).observations[-1].action == told


def test_a_stretch_counts_what_the_pace_comes_to():
    actions = ['', 'moved forward 1.00 m', 'moved forward', 'rotated left 30 deg', 'moved forward']
    told = write_motion(trajectory(actions).stretch(1, 5))
    assert told == 'moved forward 2.00 m, rotated left 30 deg, moved forward 1.00 m'


def test_climbs_and_tilts_of_a_stretch_are_summed_up():
    actions = ['', 'moved forward 1.00 m, moved upward 0.50 m', 'moved upward 0.25 m', 'tilted downward 10 deg']
    told = write_motion(trajectory(actions).stretch(1, 4))
    assert told == 'moved forward 1.00 m, moved upward 0.75 m, tilted downward 10 deg'
