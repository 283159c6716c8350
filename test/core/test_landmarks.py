"""Which sightings are of which thing, where it is, and what speaks against it."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from landmark_scenes import S, looks, pose, seen, sighting

from embodied_r_ros.core.landmark_history import LandmarkHistory, scene_of
from embodied_r_ros.core.landmark_places import Glimpse, place_of
from embodied_r_ros.core.landmarks import MAX_GLIMPSES
from embodied_r_ros.core.records import Motion, MotionSource, Sighting


def places(scene):
    """Name with number, and place rounded to decimetres, of each thing; None where it is not known."""
    found = {}
    for thing_id, thing in scene.things.items():
        at = None if thing.place is None else tuple(round(part, 1) + 0.0 for part in thing.place.position_m[:2])
        found[scene.names[thing_id]] = at
    return found


def test_a_thing_seen_twice_is_one_thing_at_the_mean_of_its_sightings():
    stands = [pose(0.0), pose(1.0)]
    first = seen(0, stands[0], sighting('chair', (4.0, 1.0), stands[0], off_m=0.1))
    second = seen(1, stands[1], sighting('chair', (4.0, 1.0), stands[1], off_m=-0.1))
    (thing,) = scene_of([first, second]).things.values()
    assert (thing.sightings, thing.first_seen_ns, thing.last_seen_ns) == (2, 0, S)
    assert math.dist(thing.place.position_m[:2], (4.0, 1.0)) < 0.05


def test_things_of_one_name_farther_apart_than_the_gate_stay_apart_and_get_numbers():
    things = [('chair', (4.0, 2.0)), ('chair', (4.0, -2.0)), ('sofa', (6.0, 0.0))]
    scene = scene_of(looks(things, [pose(0.0), pose(1.0)]))
    assert places(scene) == {'chair 1': (4.0, 2.0), 'chair 2': (4.0, -2.0), 'sofa': (6.0, 0.0)}


def test_a_track_id_tells_things_apart_that_stand_side_by_side_and_joins_what_lies_far_apart():
    at = pose(0.0)
    side_by_side = seen(
        0, at, sighting('box', (3.0, 0.0), at, track_id='7'), sighting('box', (3.0, 0.2), at, track_id='8')
    )
    far = seen(1, at, sighting('box', (3.0, 4.0), at, track_id='7'))
    assert sorted(thing.track_id for thing in scene_of([side_by_side, far]).things.values()) == ['7', '8']


def test_rays_alone_make_a_place_once_they_differ_by_five_degrees():
    stands = [pose(0.0, 0.0), pose(0.0, 0.1), pose(0.0, 2.0)]
    observations = looks([('door', (4.0, 1.0))], stands, distance=False)
    assert places(scene_of(observations[:2])) == {'door': None}
    assert places(scene_of(observations)) == {'door': (4.0, 1.0)}


def test_one_wrong_ray_does_not_draw_a_place_away():
    right = [Glimpse(origin_m=(0.0, y, 0.0), ray=ray((4.0, 1.0 - y)), distance_m=math.nan, along_m=math.inf,
                     across_m=0.03) for y in (0.0, 0.5, 1.0, 2.0)]  # fmt: skip
    wrong = dataclasses.replace(right[0], origin_m=(0.0, -1.0, 0.0), ray=ray((1.0, 3.0)))
    place = place_of((*right, wrong))
    assert math.dist(place.position_m, (4.0, 1.0, 0.0)) < 0.02


def ray(way):
    length = math.hypot(*way)
    return way[0] / length, way[1] / length, 0.0


def test_of_two_sightings_that_differ_the_surer_one_tells_the_place():
    wrong = Glimpse(origin_m=(0.0, 0.0, 0.0), ray=(1.0, 0.0, 0.0), distance_m=9.0, along_m=0.4, across_m=0.2)
    right = Glimpse(origin_m=(4.0, 0.0, 0.0), ray=(1.0, 0.0, 0.0), distance_m=2.0, along_m=0.1, across_m=0.05)
    assert place_of([wrong, right]).position_m[0] == pytest.approx(6.0, abs=0.1)


def test_of_two_distances_that_are_unsure_by_the_same_share_neither_draws_the_place_its_way():
    near, far = (
        Glimpse(origin_m=(0, 0, 0), ray=(1, 0, 0), distance_m=metres, along_m=0.3 * metres, across_m=0.03 * metres)
        for metres in (4.0, 5.0)
    )
    assert place_of((near, far)).position_m[0] == pytest.approx(4.5, abs=0.01)


def foot(origin_m, thing_m, distance_m):
    """A glimpse whose distance, by a foot on the floor, is unsure."""
    way = [end - start for end, start in zip(thing_m, origin_m)]
    length = math.hypot(*way)
    ray = way[0] / length, way[1] / length, way[2] / length
    return Glimpse(origin_m=origin_m, ray=ray, distance_m=distance_m, along_m=0.3 * distance_m, across_m=0.1)


def test_rays_that_meet_outweigh_unsure_distances():
    hung = (3.0, 3.0, 0.4)
    glimpses = [foot((x_m, 0.0, 0.0), hung, 2.5 * math.dist((x_m, 0.0, 0.0), hung)) for x_m in (0.0, 2.0, 4.0)]
    assert place_of(glimpses).position_m == pytest.approx(hung, abs=0.05)


def test_unsure_distances_tell_a_place_where_no_rays_meet():
    glimpses = [foot((0.0, 0.0, 0.0), (4.0, 0.0, 0.0), 4.4), foot((1.0, 0.0, 0.0), (4.0, 0.0, 0.0), 2.9)]
    assert place_of(glimpses).position_m[0] == pytest.approx(4.1, abs=0.2)


def test_two_rays_a_degree_wrong_do_not_outweigh_distances_by_the_floor():
    stands = [pose(0.0, 0.0), pose(0.0, 0.6)]
    unsure = {'spread_along_m': 1.5, 'spread_across_m': 0.02}
    first, second = (sighting('bin', (5.0, 0.0), at, **unsure) for at in stands)
    turned = Sighting.level('bin', second.bearing_left_deg + 1.5, second.distance_m, source='box', **unsure)
    (thing,) = scene_of([seen(0, stands[0], first), seen(1, stands[1], turned)]).things.values()
    assert math.dist(thing.place.position_m[:2], (5.0, 0.0)) < 0.8


def test_a_thing_with_unsure_distances_is_one_thing():
    stands = [pose(0.0), pose(2.0)]
    wide = [
        dataclasses.replace(sighting('clock', (3.0, 3.0), at), distance_m=distance_m, spread_along_m=0.3 * distance_m)
        for at, distance_m in zip(stands, (10.0, 4.0))
    ]
    scene = scene_of([seen(i, at, one) for i, (at, one) in enumerate(zip(stands, wide))])
    (thing,) = scene.things.values()
    assert math.dist(thing.place.position_m, (3.0, 3.0, 0.0)) < 0.6


def test_a_single_sighting_on_the_ray_of_a_known_thing_joins_it_and_does_not_move_it():
    stands = [pose(0.0), pose(0.5), pose(1.0)]
    near = looks([('sofa', (3.0, 0.0))], stands[:2])
    through = seen(2, stands[2], sighting('sofa', (3.0, 0.0), stands[2], off_m=3.0))
    (thing,) = scene_of([*near, through]).things.values()
    assert thing.sightings == 3
    assert math.dist(thing.place.position_m[:2], (3.0, 0.0)) < 0.01


def test_a_lone_thing_that_another_key_frame_should_have_shown_goes_where_another_bears_its_name():
    stands = [pose(0.0), pose(0.5), pose(1.0)]
    real = [('lamp', (4.0, 1.0)), ('desk', (4.0, -2.0))]
    observations = looks(real, stands)
    ghost = sighting('lamp', (4.0, -1.0), stands[1])
    with_ghost = [observations[0], seen(1, stands[1], *observations[1].sightings, ghost), observations[2]]
    assert places(scene_of(with_ghost)) == {'lamp': (4.0, 1.0), 'desk': (4.0, -2.0)}


def test_of_two_lone_things_the_one_that_was_not_shown_again_goes():
    stands = [pose(0.0), pose(1.0), pose(1.0, heading_deg=90.0)]
    wrong = seen(0, stands[0], sighting('cot', (5.0, 0.0), stands[0]), sighting('sofa', (5.0, 2.0), stands[0]))
    again = seen(1, stands[1], sighting('sofa', (5.0, 2.0), stands[1]), sighting('bin', (5.0, -2.0), stands[1]))
    right = seen(2, stands[2], sighting('cot', (1.0, 3.0), stands[2]))
    things = scene_of([wrong, again, right]).things.values()
    assert [thing.place.position_m[:2] for thing in things if thing.name == 'cot'] == [pytest.approx((1.0, 3.0))]


def test_a_thing_told_twice_too_far_away_is_the_one_on_its_rays():
    stands = [pose(0.0), pose(0.5), pose(1.0), pose(1.5), pose(2.0)]
    offs_m = (0.0, 2.0, 2.0, 0.0, 0.0)
    window = (6.0, 0.5)
    pairs = zip(stands, offs_m)
    looked = [seen(i, at, sighting('window', window, at, off_m=off_m)) for i, (at, off_m) in enumerate(pairs)]
    scene = scene_of(looked)
    (thing,) = scene.things.values()
    assert thing.place.position_m[:2] == pytest.approx(window, abs=0.1)
    assert set(scene.shown.values()) == {(thing.id,)}


def test_a_lone_direction_is_no_second_thing_beside_one_that_was_seen_more_often():
    stands = [pose(0.0), pose(1.0), pose(2.0)]
    observations = looks([('broom', (5.0, 0.0))], stands)
    glimpsed = sighting('broom', (5.0, 4.0), pose(3.0), distance=False)
    scene = scene_of([*observations, seen(3, pose(3.0), glimpsed)])
    assert list(scene.names.values()) == ['broom']


def test_one_look_from_far_away_does_not_outweigh_a_thing_that_was_seen_more_often():
    observations = looks([('cot', (5.0, 0.0))], [pose(0.0), pose(1.0)])
    far = seen(2, pose(1.0, heading_deg=180.0), sighting('cot', (-6.0, 1.0), pose(1.0, heading_deg=180.0)))
    near = seen(2, pose(1.0, heading_deg=180.0), sighting('cot', (-4.0, 1.0), pose(1.0, heading_deg=180.0)))
    assert len(scene_of([*observations, far]).things) == 1
    assert len(scene_of([*observations, near]).things) == 2


def test_a_lone_thing_stays_where_nothing_else_bears_its_name():
    stands = [pose(0.0), pose(0.5), pose(1.0)]
    observations = looks([('desk', (4.0, -2.0))], stands)
    once = seen(1, stands[1], *observations[1].sightings, sighting('lamp', (4.0, -1.0), stands[1]))
    assert 'lamp' in places(scene_of([observations[0], once, observations[2]]))


def test_what_stands_behind_another_thing_need_not_have_been_shown():
    stands = [pose(0.0), pose(0.5), pose(1.0)]
    things = [('lamp', (4.0, 2.0)), ('wardrobe', (3.0, 0.0)), ('shelf', (2.0, -1.5))]
    observations = looks(things, stands)
    beside = pose(0.5, 1.0, -15.0)
    hidden = seen(3, beside, sighting('lamp', (5.0, 0.0), beside))
    assert places(scene_of([*observations, hidden]))['lamp 2'] == (5.0, 0.0)


def test_without_odometry_places_are_told_from_where_the_session_began():
    turn = Motion(name='rotate left', rotate_left_deg=90.0, forward_m=0.0, left_m=0.0, source=MotionSource.IMAGES)
    first = seen(0, None, Sighting.level('sofa', 0.0, 2.0, source='box'))
    second = seen(1, None, Sighting.level('lamp', 0.0, 3.0, source='box'), motion=turn)
    assert places(scene_of([first, second])) == {'sofa': (2.0, 0.0), 'lamp': (0.0, 3.0)}


@pytest.mark.parametrize(
    'motion',
    [
        pytest.param(None, id='none'),
        pytest.param(Motion(name='move forward', source=MotionSource.IMAGES), id='without-metres'),
        pytest.param(Motion(name='', source=MotionSource.NONE), id='unknown'),
    ],
)
def test_across_a_motion_that_is_not_known_nothing_is_put_together_by_place(motion):
    first = seen(0, None, *(Sighting.level('chair', bearing, 3.0, source='box') for bearing in (30.0, -30.0)))
    second = seen(1, None, Sighting.level('chair', 30.0, 3.0, source='box'), motion=motion)
    scene = scene_of([first, second])
    assert [thing.stretch for thing in scene.things.values()] == [0, 0, 1]
    assert scene.stand.stretch == 1


def test_where_odometry_jumps_places_begin_anew():
    things = [('chair', (3.0, 1.0, 0.5))]
    jumped = Motion(name='', source=MotionSource.ODOMETRY)
    before, after = looks(things, [pose(0, 0), pose(1, 0)])
    scene = scene_of([before, dataclasses.replace(after, motion=jumped)])
    assert scene.stand.stretch == 1
    assert scene_of([before, after]).stand.stretch == 0


def test_across_a_motion_that_is_not_known_a_name_that_one_thing_bears_tells_it():
    first = seen(0, None, Sighting.level('sofa', 30.0, 3.0, source='box'))
    second = seen(1, None, Sighting.level('sofa', -20.0, 2.0, source='box'))
    (thing,) = scene_of([first, second]).things.values()
    assert (thing.sightings, len(thing.glimpses), thing.stretch) == (2, 1, 1)


def test_ten_thousand_sightings_of_one_thing_are_one_thing_of_bounded_size():
    at = pose(0.0)
    scene = scene_of(seen(i, at, sighting('sofa', (3.0, 0.0), at)) for i in range(10_000))
    (thing,) = scene.things.values()
    assert thing.sightings == 10_000
    assert len(thing.glimpses) <= MAX_GLIMPSES
    assert len(thing.keys) <= MAX_GLIMPSES


def test_what_was_read_from_words_is_no_landmark():
    assert scene_of([seen(0, pose(0.0), Sighting.level('sofa', 0.0, 2.0, source='text'))]).things == {}


def walk(rng, count):
    """Observations of a random walk among things, three names for nine of them."""
    things = [(name, (rng.uniform(-4, 4), rng.uniform(-4, 4))) for name in ('chair', 'lamp', 'door') * 3]
    stands = [pose(rng.uniform(-2, 2), rng.uniform(-2, 2), rng.uniform(-180, 180)) for _ in range(count)]
    found = []
    for index, at in enumerate(stands):
        all_seen = [sighting(name, place, at, off_m=rng.gauss(0, 0.1)) for name, place in things]
        found.append(seen(index, at, *(one for one in all_seen if abs(one.bearing_left_deg) < 40)))
    return found


@pytest.mark.parametrize('seed', range(5))
def test_things_do_not_depend_on_the_order_in_which_observations_come(seed):
    rng = random.Random(seed)
    observations = walk(rng, 70)
    shuffled = rng.sample(observations, len(observations))
    history = LandmarkHistory(1000)
    for place, observation in enumerate(shuffled):
        history.note(observation)
        if place % 9 == 0:
            history.at()
    assert history.at() == scene_of(observations)


@pytest.mark.parametrize('count', [0, 1, 15, 16, 17, 40, 70])
def test_the_past_is_told_as_it_was_known_then(count):
    observations = walk(random.Random(1), 70)
    history = LandmarkHistory(1000)
    for observation in observations:
        history.note(observation)
    assert history.at(count * S - 1) == scene_of(observations[:count])


def test_an_observation_that_comes_again_replaces_the_one_before():
    observations = walk(random.Random(2), 40)
    history = LandmarkHistory(1000)
    for observation in [*observations, dataclasses.replace(observations[7], sightings=())]:
        history.note(observation)
    observations[7] = dataclasses.replace(observations[7], sightings=())
    assert history.at() == scene_of(observations)


def test_things_stay_known_when_the_observations_that_showed_them_are_dropped():
    at = pose(0.0)
    history = LandmarkHistory(32)
    history.note(seen(0, at, sighting('sofa', (3.0, 0.0), at)))
    for index in range(1, 200):
        history.note(seen(index, at))
    assert len(history) < 32 + 16
    assert places(history.at()) == {'sofa': (3.0, 0.0)}
