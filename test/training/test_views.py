"""What perception would write on a simulated walk: what is in view, when key frames come, the motion, the noise."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest

from embodied_r_ros.core.phrases import NOTHING_NEW
from training.world.path import Leg, Path, Station
from training.world.scene import Scene, SceneObject, Walk, make_walk
from training.world.views import (
    EXACT,
    MAX_DISTANCE_M,
    NEAREST_M,
    ROBOT,
    SAMPLE_S,
    STAMP0_NS,
    KeyFrameRule,
    Noise,
    first_glimpses_s,
    key_stations,
    motion_between,
    observe,
    sight,
    visible,
)

RULE = KeyFrameRule()


def thing(name, x_m, y_m):
    return SceneObject(name=name, center_m=(x_m, y_m, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=0)


def place(*things):
    return Scene(seed=0, kind='room', objects=things, bounds_m=(-9.0, -9.0, 9.0, 9.0))


def walking(things, *legs):
    return Walk(scene=place(*things), path=Path(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs)))


def in_view(*things, at=None):
    return sorted(visible(place(*things), at or Station()))


@pytest.mark.parametrize(
    ('x_m', 'y_m', 'seen'),
    [
        (3.0, 0.0, True),
        (NEAREST_M - 0.1, 0.0, False),
        (MAX_DISTANCE_M - 0.1, 0.0, True),
        (MAX_DISTANCE_M + 0.1, 0.0, False),
        (-3.0, 0.0, False),
        (3.0, 3.0 * math.tan(math.radians(30)), True),
        (3.0, 3.0 * math.tan(math.radians(37)), False),
        (3.0, -3.0 * math.tan(math.radians(37)), False),
        (1.0, 1.0 * math.tan(math.radians(28)), False),
    ],
    ids=['ahead', 'too near', 'far', 'too far', 'behind', 'aside', 'cut off left', 'cut off right', 'near and cut off'],
)
def test_a_thing_is_in_view_when_its_plate_is_wholly_so(x_m, y_m, seen):
    assert (in_view(thing('sofa', x_m, y_m)) == ['sofa']) is seen


def test_a_thing_partly_behind_another_is_hidden_and_one_beside_it_is_not():
    assert in_view(thing('sofa', 4.0, 0.0), thing('lamp', 2.0, 0.1)) == ['lamp']
    assert in_view(thing('sofa', 4.0, 0.0), thing('lamp', 2.0, 0.4)) == ['lamp']
    assert in_view(thing('sofa', 4.0, 0.0), thing('lamp', 2.0, 0.5)) == ['lamp', 'sofa']


@pytest.mark.parametrize(
    ('yaw_deg', 'bearing_deg'),
    [(0, 90), (90, 0), (45, 45), (-135, -135), (180, -90), (450, 0)],
)
def test_a_bearing_is_positive_to_the_left_and_wraps(yaw_deg, bearing_deg):
    seen = sight(thing('sofa', 0.0, 2.0), Station(yaw_rad=math.radians(yaw_deg)))
    assert seen == (pytest.approx(bearing_deg, abs=1e-9), pytest.approx(2.0))


def test_the_first_and_the_last_frame_are_always_kept():
    walk = walking([], ('forward', 0.5))
    moments = [moment for moment, _ in key_stations(walk, RULE)]
    assert moments[0] == 0.0
    assert walk.path.duration_s - SAMPLE_S < moments[-1] <= walk.path.duration_s


def test_a_key_frame_is_taken_after_a_turn_a_distance_or_a_time():
    turning = [s.yaw_rad for _, s in key_stations(walking([], ('turn', 180.0)), RULE)]
    assert [round(math.degrees(b - a)) for a, b in zip(turning, turning[1:])][1:3] == [45, 45]
    walked = [s.x_m for _, s in key_stations(walking([], ('forward', 8.0)), RULE)]
    assert all(RULE.move_m <= b - a < RULE.move_m + 0.32 for a, b in list(zip(walked, walked[1:]))[:-1])
    slow = dataclasses.replace(RULE, turn_deg=999.0, move_m=999.0, gap_s=1.5)
    times = [moment for moment, _ in key_stations(walking([], ('forward', 8.0)), slow)]
    assert {b - a for a, b in zip(times[:-1], times[1:-1])} == {1.5}


def test_drawn_rules_lie_in_their_range():
    for seed in range(50):
        rule = KeyFrameRule.draw(random.Random(seed))
        assert 22 <= rule.turn_deg <= 48 and 0.5 <= rule.move_m <= 2.6 and 1 <= rule.gap_s <= 5


def test_motion_between_two_moments_holds_the_moves_it_was_made_of():
    path = walking([], ('forward', 2.0), ('climb', 0.5), ('forward', 1.0), ('turn', 90.0), ('forward', 1.0)).path
    motion = motion_between(path, 0.0, path.duration_s)
    assert [m.kind for m in motion.moves] == ['forward', 'turn', 'forward']
    assert [m.amount for m in motion.moves] == pytest.approx([3.0, 90.0, 1.0])
    assert (motion.forward_m, motion.left_m, motion.up_m, motion.rotate_left_deg) == pytest.approx((3, 1, 0.5, 90))
    half = motion_between(path, path.times_s[0], (path.times_s[0] + path.times_s[1]) / 2)
    assert [(m.kind, m.amount) for m in half.moves] == [('forward', pytest.approx(1.0))]


def test_motion_is_told_in_the_axes_of_the_earlier_moment():
    path = walking([], ('turn', 90.0), ('forward', 2.0)).path
    motion = motion_between(path, path.times_s[1], path.duration_s)
    assert (motion.forward_m, motion.left_m) == pytest.approx((2, 0))


def followed(observations):
    """Where the written actions lead: metres along x and y, and radians."""
    x_m = y_m = yaw = 0.0
    for observation in observations:
        for move in observation.moves:
            if move.kind == 'turn':
                yaw += math.radians(move.amount)
            else:
                x_m, y_m = x_m + move.amount * math.cos(yaw), y_m + move.amount * math.sin(yaw)
    return x_m, y_m, yaw


@pytest.mark.parametrize('seed', range(5))
def test_exact_observations_lead_to_the_end_of_the_walk(seed):
    walk = make_walk(seed)
    observations = observe(walk, RULE, EXACT, random.Random(0))
    x_m, y_m, yaw = followed(observations)
    end = walk.path.stations[-1]
    assert math.dist((x_m, y_m), (end.x_m, end.y_m)) < 0.35
    assert math.degrees(yaw) == pytest.approx(math.degrees(end.yaw_rad), abs=6)
    assert observations[-1].pose.x_m == pytest.approx(end.x_m)
    assert observations[-1].pose.yaw_rad == pytest.approx(math.remainder(end.yaw_rad, math.tau), abs=1e-9)


@pytest.mark.parametrize('seed', range(5))
def test_a_sighting_is_what_came_into_view_since_the_key_frame_before(seed):
    walk = make_walk(seed)
    observations = observe(walk, RULE, EXACT, random.Random(0))
    before = set()
    for observation, (_, station) in zip(observations, key_stations(walk, RULE)):
        now = visible(walk.scene, station)
        told = {sighting.name: sighting for sighting in observation.sightings}
        assert set(told) == set(now) - before
        for name, sighting in told.items():
            assert sighting.bearing_left_deg == pytest.approx(now[name].bearing_left_deg, abs=0.51)
            assert sighting.distance_m == pytest.approx(now[name].distance_m, abs=0.051)
        before = set(now)


def test_observations_are_stamped_in_order_and_the_first_has_no_action():
    observations = observe(make_walk(2), RULE, EXACT, random.Random(0))
    assert observations[0].stamp_ns == STAMP0_NS
    assert observations[0].action == ''
    assert [o.index for o in observations] == list(range(len(observations)))
    assert all(a.stamp_ns < b.stamp_ns for a, b in zip(observations, observations[1:]))


def test_an_empty_place_shows_nothing_new():
    observations = observe(walking([], ('forward', 3.0)), RULE, EXACT, random.Random(0))
    assert {observation.view for observation in observations} == {NOTHING_NEW}


def test_exact_observations_do_not_hang_on_the_dice():
    walk = make_walk(4)
    assert observe(walk, RULE, EXACT, random.Random(1)) == observe(walk, RULE, EXACT, random.Random(2))


def test_noise_blurs_and_misses_as_much_as_it_says():
    rng, missed, shown, turns_deg, shares = random.Random(0), 0, 0, [], []
    for seed in range(25):
        walk = make_walk(seed)
        exact, noisy = observe(walk, RULE, EXACT, random.Random(0)), observe(walk, RULE, ROBOT, rng)
        for truth, told in zip(exact, noisy):
            names = {s.name: s for s in told.sightings}
            for sighting in truth.sightings:
                shown += 1
                missed += sighting.name not in names
                if sighting.name in names:
                    shares.append(names[sighting.name].distance_m / sighting.distance_m - 1)
            for a, b in zip(truth.moves, told.moves):
                if a.kind == b.kind == 'turn':
                    turns_deg.append(b.amount - a.amount)
    assert missed / shown == pytest.approx(ROBOT.missed, abs=0.04)
    assert math.sqrt(sum(turn**2 for turn in turns_deg) / len(turns_deg)) == pytest.approx(ROBOT.turn_deg, rel=0.5)
    assert math.sqrt(sum(share**2 for share in shares) / len(shares)) == pytest.approx(ROBOT.distance_share, rel=0.4)


def test_noise_is_the_same_for_the_same_dice():
    walk = make_walk(4)
    assert observe(walk, RULE, ROBOT, random.Random(7)) == observe(walk, RULE, ROBOT, random.Random(7))


@pytest.mark.parametrize('seed', range(5))
def test_nothing_is_seen_before_it_might_have_been_glimpsed(seed):
    walk = make_walk(seed)
    glimpsed_s = first_glimpses_s(walk)
    for observation in observe(walk, RULE, EXACT, random.Random(0)):
        for sighting in observation.sightings:
            assert glimpsed_s[sighting.name] <= (observation.stamp_ns - STAMP0_NS) / 1e9


def test_a_hidden_or_distant_thing_might_be_glimpsed():
    walk = walking([thing('sofa', 7.5, 0.0), thing('lamp', 3.0, 0.0), thing('bin', -3.0, 0.0)], ('forward', 0.5))
    assert first_glimpses_s(walk) == {'sofa': 0.0, 'lamp': 0.0}
    assert in_view(*walk.scene.objects) == ['lamp']


def test_what_lies_beyond_the_reach_is_not_seen():
    walk = make_walk(3)
    near, far = (
        {
            s.name: s
            for o in observe(walk, KeyFrameRule(), Noise(reach_m=reach_m), random.Random(0))
            for s in o.sightings
        }
        for reach_m in (4.0, 9.0)
    )
    assert max(s.distance_m for s in near.values()) <= 4.0 < max(s.distance_m for s in far.values())
    assert set(near) < set(far)
