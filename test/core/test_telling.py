"""What a question is told of the things in key frames."""

from __future__ import annotations

import dataclasses
import math

from landmark_scenes import looks, pose, seen, sighting

from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.core.records import Sighting
from embodied_r_ros.core.telling import told


def words(observations):
    return [seen.view for seen in told(observations, scene_of(observations))]


def test_a_thing_is_told_where_it_comes_into_view_by_all_that_was_seen_of_it():
    stands = [pose(0.0), pose(1.0), pose(2.0)]
    observations = looks([('sofa', (5.0, 0.0))], stands)
    far_off = seen(0, stands[0], sighting('sofa', (5.0, 0.0), stands[0], off_m=0.6))
    assert far_off.view == 'sofa straight ahead at 5.6 m'
    assert words([far_off, *observations[1:]])[1:] == ['nothing new', 'nothing new']
    (first, *_) = words([far_off, *observations[1:]])
    assert float(first.split()[-2]) < 5.3


def test_a_thing_that_was_out_of_view_is_told_again():
    stands = [pose(0.0), pose(0.0, heading_deg=180.0), pose(0.0)]
    there, _, again = looks([('sofa', (3.0, 0.0))], stands)
    assert words([there, seen(1, stands[1]), again]) == ['sofa straight ahead at 3.0 m', 'nothing new'] + [
        'sofa straight ahead at 3.0 m'
    ]


def test_in_a_window_that_leaves_key_frames_out_a_thing_is_told_where_it_is_first_shown():
    stands = [pose(0.0), pose(1.0)]
    observations = looks([('sofa', (5.0, 0.0))], stands)
    assert told(observations[1:], scene_of(observations))[0].view == 'sofa straight ahead at 4.0 m'


def test_what_was_seen_elsewhere_than_the_place_is_told_as_it_was_seen():
    stands = [pose(0.0), pose(0.5), pose(1.0), pose(1.5)]
    observations = looks([('sofa', (5.0, 0.0))], stands[:3], track_id='7')
    aside = seen(4, stands[3], sighting('sofa', (5.0, 2.0), stands[3], track_id='7'))
    rewritten = told([*observations, aside], scene_of([*observations, aside]))
    assert rewritten[0].sightings[0].distance_m < 5.2
    alone = told([aside], scene_of([*observations, aside]))[0].sightings[0]
    assert math.isclose(alone.bearing_left_deg, aside.sightings[0].bearing_left_deg)


def test_several_of_a_name_are_told_with_their_numbers():
    at = pose(0.0)
    chairs = [sighting('chair', (4.0, 2.0), at), sighting('chair', (4.0, -2.0), at)]
    assert words([seen(0, at, *chairs)]) == ['chair 1 27 deg left at 4.5 m; chair 2 27 deg right at 4.5 m']


def test_what_no_eye_measured_is_told_as_it_is():
    written = Sighting.level('sofa', 5.0, 2.0, source='text')
    observation = seen(0, pose(0.0), written)
    assert told([observation], scene_of([observation])) == [observation]


def test_what_a_second_look_added_is_told_too():
    at = pose(0.0)
    observation = seen(0, at, sighting('sofa', (4.0, 0.0), at))
    scene = scene_of([observation])
    again = dataclasses.replace(observation, sightings=(*observation.sightings, sighting('lamp', (4.0, 1.0), at)))
    assert told([again], scene)[0].view == 'lamp 14 deg left at 4.1 m; sofa straight ahead at 4.0 m'


def test_a_second_look_and_what_has_come_meanwhile_are_both_told():
    at = pose(0.0)
    sofa, lamp, chair = (
        sighting(name, (4.0, y_m), at) for name, y_m in (('sofa', 0.0), ('lamp', 1.0), ('chair', -1.0))
    )
    scene = scene_of([seen(0, at, sofa, chair)])
    again = seen(0, at, sofa, lamp)
    assert told([again], scene)[0].view == (
        'lamp 14 deg left at 4.1 m; sofa straight ahead at 4.0 m; chair 14 deg right at 4.1 m'
    )


def test_an_observation_that_the_scene_does_not_know_is_told_as_it_is():
    observation = seen(0, pose(0.0), sighting('sofa', (4.0, 0.0), pose(0.0)))
    assert told([observation], scene_of([])) == [observation]
