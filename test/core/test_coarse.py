"""The coarse grid: errors do not add up, things are where they were seen, moves are summed up and taken apart."""

from __future__ import annotations

import math
import random

import pytest

from embodied_r_ros.core.coarse import (
    CELL_M,
    MAX_DISTANCE_CELLS,
    CoarseLog,
    CoarsePose,
    CoarseSighting,
    CoarseStep,
    coarse_log,
    direction,
    polar,
    signed,
)
from embodied_r_ros.core.phrases import NOTHING_NEW, write_sightings
from embodied_r_ros.core.records import Sighting
from embodied_r_ros.evaluation.phrase_reader import from_words


def seen(*entries):
    """Observations of (action, text) pairs."""
    return [
        from_words(session=1, index=index, stamp_ns=index, action=action, text=text)
        for index, (action, text) in enumerate(entries)
    ]


def log_of(*entries):
    return coarse_log(seen(*entries))


def moves_of(log):
    return [(step.kind, step.amount) for step in log.steps]


def place_of(log, name):
    """Metres right and ahead of the start at which the log has a thing."""
    step, seen = log.where_seen()[name]
    pose = log.poses()[step]
    right, ahead = polar(pose.heading + seen.bearing, seen.cells)
    return (pose.right + right) * CELL_M, (pose.ahead + ahead) * CELL_M


def wander(seed, legs, turns_deg, lengths_m):
    """Observations of a random walk, its true end (right, ahead, clockwise degrees), and where what was seen is."""
    rng = random.Random(seed)
    right = ahead = heading = 0.0
    entries, places = [], {}
    for number in range(legs):
        turn, length = rng.choice([-1, 1]) * turns_deg(rng), lengths_m(rng)
        heading += math.radians(turn)
        right, ahead = right + length * math.sin(heading), ahead + length * math.cos(heading)
        action = f'rotated {"right" if turn > 0 else "left"} {abs(turn)} deg, moved forward {length:.2f} m'
        bearing, distance = rng.randint(-38, 38), rng.randint(8, 62) / 10
        way = heading - math.radians(bearing)
        places[f'thing {number}'] = right + distance * math.sin(way), ahead + distance * math.cos(way)
        sighting = Sighting.level(f'thing {number}', bearing, distance)
        entries.append((action, write_sightings([sighting]) if rng.random() < 0.7 else NOTHING_NEW))
    return [('', NOTHING_NEW), *entries], (right, ahead, math.degrees(heading)), places


def errors(entries, end, places):
    """Metres off at the end, degrees off at the end, and metres by which each thing is off."""
    log = log_of(*entries)
    pose = log.poses()[-1]
    off_m = math.dist((pose.right * CELL_M, pose.ahead * CELL_M), end[:2])
    off_deg = abs((pose.heading - end[2] + 180) % 360 - 180)
    return off_m, off_deg, [math.dist(place_of(log, name), places[name]) for name in log.where_seen()]


def square(rng):
    return rng.choice([30, 45, 60, 90, 135])


def quarters(rng):
    return rng.randint(2, 16) / 4


@pytest.mark.parametrize('legs', [10, 40, 80])
def test_errors_do_not_add_up_however_long_a_walk_of_right_and_half_angles_is(legs):
    found = [errors(*wander(seed, legs, square, quarters)) for seed in range(10 if legs < 80 else 5)]
    assert max(off_m for off_m, _, _ in found) < 1.0
    assert sorted(off_m for off_m, _, _ in found)[len(found) // 2] < 0.5
    assert all(off_deg == pytest.approx(0, abs=1e-6) for _, off_deg, _ in found)


@pytest.mark.parametrize('legs', [40, 100])
def test_the_heading_stays_within_ten_degrees_and_the_place_near_where_angles_are_arbitrary(legs):
    found = [
        errors(*wander(seed, legs, lambda rng: rng.randint(15, 150), lambda rng: rng.uniform(0.5, 4)))
        for seed in range(4)
    ]
    assert max(off_deg for _, off_deg, _ in found) < 10.0
    assert max(off_m for off_m, _, _ in found) < 2.5


def test_things_are_placed_to_half_a_metre_or_so():
    off_m = [off for seed in range(10) for off in errors(*wander(seed, 40, square, quarters))[2]]
    assert sorted(off_m)[len(off_m) // 2] < 0.5
    assert sorted(off_m)[len(off_m) * 9 // 10] < 0.75
    assert max(off_m) < 1.25


@pytest.mark.parametrize(
    ('action', 'steps'),
    [
        ('moved forward 1.10 m', [('forward', 2)]),
        ('moved forward 0.20 m', []),
        ('rotated left 92 deg', [('left', 90)]),
        ('rotated right 8 deg', []),
        ('rotated left 375 deg', [('left', 15)]),
        ('rotated right 360 deg', []),
        ('moved forward 1.00 m, rotated right 44 deg, moved forward 2.00 m', [('forward', 2), ('right', 45),
         ('forward', 4)]),
        ('moved left 1.00 m', [('left', 90), ('forward', 2), ('right', 90)]),
        ('moved right 1.50 m', [('right', 90), ('forward', 3), ('left', 90)]),
        ('moved left 0.20 m', []),
        ('moved backward 1.00 m', [('right', 180), ('forward', 2), ('left', 180)]),
        ('moved forward 1.00 m, moved left 1.00 m', [('left', 45), ('forward', 3), ('right', 45)]),
        ('moved forward 2.00 m, moved left 0.30 m', [('forward', 4)]),
        ('moved forward 13.00 m', [('forward', 20), ('forward', 6)]),
        ('moved upward 2.00 m', []),
        ('rotated left', []),
    ],
    ids=[
        'rounded', 'too short', 'turn', 'slight turn', 'more than a round', 'a full round', 'three moves', 'strafe',
        'strafe right', 'short strafe', 'backward', 'askew', 'slightly askew', 'longer than a token', 'climb',
        'without amount',
    ],
)  # fmt: skip
def test_a_motion_becomes_coarse_steps(action, steps):
    log = log_of(('', NOTHING_NEW), (action, NOTHING_NEW))
    assert moves_of(log)[0] == ('start', 0)
    if action == 'moved backward 1.00 m':  # either way round is the same turn
        assert [amount for _, amount in moves_of(log)[1:]] == [amount for _, amount in steps]
        assert log.poses()[-1] == CoarsePose(0, 0, -2)
    else:
        assert moves_of(log)[1:] == steps


def test_slight_turns_that_add_up_are_not_lost():
    log = log_of(('', NOTHING_NEW), *[('rotated left 6 deg', 'sofa straight ahead at 2.0 m')] * 5)
    assert log.poses()[-1].heading == 330


def test_the_action_of_the_first_observation_does_not_count():
    assert moves_of(log_of(('moved forward 3.00 m', NOTHING_NEW))) == [('start', 0)]


def test_moves_between_frames_that_show_nothing_new_are_summed_up():
    log = log_of(
        ('', NOTHING_NEW),
        *[('moved forward 0.70 m', NOTHING_NEW)] * 2,
        ('moved forward 0.60 m', 'sofa 15 deg right at 2.0 m'),
    )
    (start, step) = log.steps
    assert start.sightings == ()
    assert (step.kind, step.amount, step.frames) == ('forward', 4, (0, 1, 2, 3))
    assert step.sightings == (CoarseSighting('sofa', 15, 4, 3),)


def test_what_is_seen_before_any_move_belongs_to_the_start():
    log = log_of(('', NOTHING_NEW), ('stayed still', 'sofa straight ahead at 2.0 m'))
    assert moves_of(log) == [('start', 0)]
    assert log.steps[0].sightings == (CoarseSighting('sofa', 0, 4, 1),)


def test_something_new_without_a_move_is_a_stay():
    log = log_of(('', 'sofa straight ahead at 2.0 m'), ('stayed still', 'lamp straight ahead at 3.0 m'))
    assert moves_of(log) == [('start', 0), ('stay', 0)]
    assert log.poses() == [CoarsePose(), CoarsePose()]


SEEN_AGAIN = (
    ('', 'sofa 20 deg left'),
    ('moved forward 1.00 m', 'Sofa straight ahead at 2.0 m; sofa straight ahead at 4.0 m'),
    ('moved forward 1.00 m', 'sofa straight ahead at 1.0 m; lamp straight ahead at 3.0 m'),
    ('moved forward 1.00 m', 'sofa 10 deg right'),
)


def test_a_thing_counts_once_at_its_newest_sighting_with_a_distance():
    log = log_of(*SEEN_AGAIN)
    assert moves_of(log) == [('start', 0), ('forward', 4), ('forward', 2)]
    assert log.where_seen() == {
        'sofa': (1, CoarseSighting('sofa', 0, 2, 2)),
        'lamp': (1, CoarseSighting('lamp', 0, 6, 2)),
    }


def test_a_thing_counts_at_its_first_sighting_with_a_distance_where_that_is_asked_for():
    log = coarse_log(seen(*SEEN_AGAIN), first=True)
    assert moves_of(log) == [('start', 0), ('forward', 2), ('forward', 2), ('forward', 2)]
    assert log.where_seen() == {
        'sofa': (1, CoarseSighting('sofa', 0, 4, 1)),
        'lamp': (2, CoarseSighting('lamp', 0, 6, 2)),
    }


def test_a_thing_farther_than_the_grid_reaches_is_put_at_its_edge():
    log = log_of(('', 'tower straight ahead at 40.0 m; mat straight ahead at 0.1 m'))
    assert [seen.cells for seen in log.steps[0].sightings] == [MAX_DISTANCE_CELLS, 1]


def test_turns_are_grouped_by_the_walks_between_them():
    seen = iter(f'thing {number} straight ahead at 2.0 m' for number in range(20))
    log = log_of(
        ('', NOTHING_NEW),
        ('rotated left 45 deg', next(seen)),
        ('rotated left 45 deg', next(seen)),
        ('moved forward 1.00 m', next(seen)),
        ('rotated right 90 deg', next(seen)),
        ('stayed still', next(seen)),
        ('rotated left 30 deg', next(seen)),
        ('moved forward 1.00 m', next(seen)),
        ('rotated right 60 deg', NOTHING_NEW),
    )
    assert log.turns() == [('left', (1, 2)), ('both', (4, 6)), ('right', (8,))]


def test_the_sway_of_a_walk_is_no_turn_and_tells_no_side():
    swaying = (('forward', 2), ('right', 15), ('forward', 2), ('left', 90), ('right', 15), ('forward', 2), ('left', 30))
    log = CoarseLog(tuple(CoarseStep(kind, amount) for kind, amount in (('start', 0), *swaying)))
    assert log.turns() == [('left', (4, 5)), ('left', (7,))]


def test_mirrored_turns_go_to_the_other_side_and_carry_what_follows():
    log = CoarseLog((CoarseStep('start', 0), CoarseStep('left', 90), CoarseStep('forward', 4), CoarseStep('right', 45)))
    assert log.poses()[-1] == CoarsePose(315, -4, 0)
    assert log.mirrored({1}).poses()[-1] == CoarsePose(135, 4, 0)
    assert log.mirrored((1, 3)).poses()[-1] == CoarsePose(45, 4, 0)


@pytest.mark.parametrize(
    ('right', 'ahead', 'angle'),
    [(0, 3, 0), (3, 3, 45), (3, 0, 90), (0, -3, 180), (-3, 0, 270), (-1, 10, 0 - 6), (1, -10, 174), (0, 0, 0)],
)
def test_a_direction_is_rounded_to_fifteen_clockwise_degrees(right, ahead, angle):
    assert direction(right, ahead) == round(angle / 15) * 15 % 360


def test_a_distance_in_a_direction_is_rounded_in_each_part():
    assert polar(90, 4) == (4, 0)
    assert polar(225, 3) == (-2, -2)


@pytest.mark.parametrize(('angle', 'expected'), [(0, 0), (180, 180), (181, -179), (-180, 180), (359, -1), (540, 180)])
def test_an_angle_is_told_by_the_shorter_way_round(angle, expected):
    assert signed(angle) == expected
