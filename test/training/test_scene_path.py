"""Simulated places and walks: a seed gives one walk, and nothing stands in its way."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import random

import pytest

from training.world.nouns import NOUNS
from training.world.path import CLIMB_M_S, PAUSE_S, TURN_DEG_S, WALK_M_S, Leg, Path, Station, make_path
from training.world.scene import (
    MAX_DISTANCE_FROM_WALK_M,
    MIN_GAP_M,
    NEAREST_TO_WALK_M,
    TAG_COUNT,
    make_walk,
)

SEEDS = range(20)


def corner(*amounts):
    """A path of (kind, amount) legs."""
    return Path(tuple(Leg(kind=kind, amount=amount) for kind, amount in amounts))


def near(station, x_m, y_m, z_m=0.0, yaw_deg=0.0):
    found = (station.x_m, station.y_m, station.z_m, math.degrees(station.yaw_rad))
    return found == pytest.approx((x_m, y_m, z_m, yaw_deg), abs=1e-9)


def test_legs_lead_from_station_to_station():
    path = corner(('forward', 2.0), ('turn', 90.0), ('forward', 1.0), ('climb', 0.5), ('turn', -135.0))
    start, walked, turned, on, climbed, end = path.stations
    assert start == Station()
    assert near(walked, 2, 0)
    assert near(turned, 2, 0, 0, 90)
    assert near(on, 2, 1, 0, 90)
    assert near(climbed, 2, 1, 0.5, 90)
    assert near(end, 2, 1, 0.5, -45)


def test_legs_take_the_time_that_the_speeds_say():
    path = corner(('forward', 2.0), ('turn', -90.0), ('climb', -0.5))
    walk_s, turn_s, climb_s = 2.0 / WALK_M_S, 90.0 / TURN_DEG_S, 0.5 / CLIMB_M_S
    assert path.times_s == pytest.approx(
        (PAUSE_S, PAUSE_S + walk_s, PAUSE_S + walk_s + turn_s, PAUSE_S + walk_s + turn_s + climb_s)
    )
    assert path.duration_s == pytest.approx(2 * PAUSE_S + walk_s + turn_s + climb_s)


def test_the_agent_rests_before_and_after_and_is_half_way_in_between():
    path = corner(('forward', 2.0), ('turn', 90.0))
    assert path.station_at(-1.0) == path.station_at(0.0) == Station()
    assert near(path.station_at(PAUSE_S + 1.0 / WALK_M_S), 1, 0)
    assert near(path.station_at(path.times_s[1] + 0.75), 2, 0, 0, 45)
    assert path.station_at(path.duration_s) == path.station_at(1e6) == path.stations[-1]


def test_a_pose_is_the_station_with_its_yaw_as_a_quaternion():
    pose = corner(('forward', 2.0), ('turn', -120.0)).pose_at(1e6)
    assert (pose.x_m, pose.y_m, pose.z_m) == pytest.approx((2, 0, 0))
    assert math.degrees(pose.yaw_rad) == pytest.approx(-120)


def test_a_path_until_a_moment_cuts_the_leg_under_way_and_leaves_out_the_later_ones():
    path = corner(('forward', 2.0), ('turn', 90.0), ('forward', 1.0))
    mid_turn_s = (path.times_s[1] + path.times_s[2]) / 2
    cut = path.until(mid_turn_s)
    assert [(leg.kind, leg.amount) for leg in cut.legs] == [('forward', 2.0), ('turn', pytest.approx(45.0))]
    assert near(cut.stations[-1], 2, 0, 0, 45)
    assert path.until(0.0).legs == ()
    assert path.until(math.inf) == path


def test_a_path_without_legs_stands_still():
    assert Path(()).station_at(5.0) == Station()
    assert Path(()).duration_s == 2 * PAUSE_S


@pytest.mark.parametrize('legs', [1, 2, 9, 15])
def test_random_paths_have_their_legs_and_stay_inside(legs):
    for seed in range(30):
        path = make_path(random.Random(seed), legs, (-2.0, -1.5, 3.0, 2.5), climbs=True)
        assert len(path.legs) == legs
        assert all(-2.0 <= s.x_m <= 3.0 and -1.5 <= s.y_m <= 2.5 and 0.0 <= s.z_m <= 1.0 for s in path.stations)
        assert all(leg.amount % 0.25 == 0 and 0.75 <= leg.amount <= 4 for leg in path.legs if leg.kind == 'forward')
        assert all(leg.amount % 15 == 0 and 0 < abs(leg.amount) <= 180 for leg in path.legs if leg.kind == 'turn')


def test_turns_on_a_path_with_circles_come_to_whole_circles_and_more():
    sums, pieces = collections.Counter(), collections.Counter()
    for seed in range(60):
        legs = make_path(random.Random(seed), 8, (-2.0, -1.5, 3.0, 2.5), circles=1.0).legs
        for kind, group in itertools.groupby(legs, key=lambda leg: leg.kind):
            turns = [leg.amount for leg in group]
            if kind == 'turn':
                sums[abs(sum(turns))] += 1
                pieces[len(turns)] += 1
    assert min(sums[total] for total in (360.0, 450.0, 720.0, 810.0)) > 0
    assert sums[360.0] + sums[720.0] > 0.3 * sums.total()
    assert min(pieces[count] for count in (1, 2, 3, 4, 6)) > 0


def test_a_path_as_far_as_a_moment_ends_where_the_whole_one_then_is():
    path = make_path(random.Random(1), 9, (-2.0, -1.5, 3.0, 2.5))
    for share in (0.0, 0.1, 0.45, 0.9, 1.0):
        moment_s = share * path.duration_s
        end, there = path.until(moment_s).stations[-1], path.station_at(moment_s)
        assert dataclasses.astuple(end) == pytest.approx(dataclasses.astuple(there))
    assert path.until(path.duration_s) == path


def test_a_random_path_goes_only_where_it_is_clear():
    def clear(start, end):
        return min(start.x_m, end.x_m) >= -0.1 and max(start.x_m, end.x_m) <= 0.1

    for seed in range(10):
        path = make_path(random.Random(seed), 8, (-9.0, -9.0, 9.0, 9.0), clear=clear)
        assert len(path.legs) == 8
        assert all(abs(station.x_m) <= 0.1 for station in path.stations)
        assert max(abs(station.y_m) for station in path.stations) >= 0.75


def test_random_paths_climb_only_where_they_may():
    kinds = {
        climbs: {
            leg.kind for seed in range(40) for leg in make_path(random.Random(seed), 12, (-9, -9, 9, 9), climbs).legs
        }
        for climbs in (False, True)
    }
    assert kinds == {False: {'forward', 'turn'}, True: {'forward', 'turn', 'climb'}}


def test_the_same_seed_gives_the_same_walk_and_another_another():
    assert make_walk(5) == make_walk(5)
    assert make_walk(5) != make_walk(6)


def test_walks_have_the_length_and_the_things_that_are_asked_for():
    for seed in SEEDS:
        walk = make_walk(seed)
        assert 15.0 <= walk.path.duration_s <= 20.0
        assert 8 <= len(walk.path.legs) <= 11
        assert 9 <= len(walk.scene.objects) <= 13
    walk = make_walk(1, legs=(2, 3), things=(5, 5), duration_s=(2.0, 60.0))
    assert len(walk.path.legs) in (2, 3)
    assert len(walk.scene.objects) == 5


def test_things_stand_near_the_walk_but_not_in_it_and_apart():
    for walk in map(make_walk, SEEDS):
        x_min, y_min, x_max, y_max = walk.scene.bounds_m
        spots = [walk.path.station_at(walk.path.duration_s * i / 200) for i in range(201)]
        for thing in walk.scene.objects:
            x_m, y_m, z_m = thing.center_m
            away = [math.hypot(x_m - spot.x_m, y_m - spot.y_m) for spot in spots]
            assert NEAREST_TO_WALK_M - 0.1 < min(away) <= MAX_DISTANCE_FROM_WALK_M * math.sqrt(2)
            assert x_min < x_m < x_max and y_min < y_m < y_max
            assert z_m == thing.size_m[2] / 2
        centres = [thing.center_m[:2] for thing in walk.scene.objects]
        assert all(math.dist(a, b) >= MIN_GAP_M for i, a in enumerate(centres) for b in centres[:i])


def test_names_and_tags_in_a_place_differ():
    for walk in map(make_walk, SEEDS):
        things = walk.scene.objects
        assert len({thing.name for thing in things}) == len({thing.tag_id for thing in things}) == len(things)
        assert all(thing.name in NOUNS and 0 <= thing.tag_id < TAG_COUNT for thing in things)


def test_there_are_several_hundred_nouns_of_one_to_three_words():
    assert len(NOUNS) >= 300
    assert len(set(NOUNS)) == len(NOUNS)
    assert {'first aid kit', 'x-ray machine', 'tv stand', 'zebra crossing sign', 'sofa'} <= set(NOUNS)
    assert {len(noun.split()) for noun in NOUNS} == {1, 2, 3}
    assert not {noun.split()[0] for noun in NOUNS if len(noun.split()) > 1} & {
        n for n in NOUNS if n in 'board stop kit lamp'.split()
    }
