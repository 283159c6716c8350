"""Eyes with noise on simulated walks, furnished places, and the figures of landmarks on them."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest

from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.evaluation.samples import read_samples, to_observations
from training import prepare
from training.world import landmark_figures
from training.world.box_eyes import BOXES, SIGNS, EyeNoise, observe, observe_exactly
from training.world.furnishing import furnish
from training.world.path import CAMERA, CAMERA_HEIGHT_M, Leg, Path, Station
from training.world.scene import Scene, SceneObject, Walk
from training.world.sightlines import look
from training.world.views import KeyFrameRule

RULE = KeyFrameRule()
SHARP = EyeNoise(depth_share=0.0, depth_m=0.0, mixed=0.0)
COLUMN = SceneObject(name='sofa', center_m=(4.0, 1.0, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=1)
BOUNDS = (-6.0, -6.0, 8.0, 6.0)


def walk_among(*things):
    return Walk(
        scene=Scene(seed=1, kind='room', objects=things, bounds_m=BOUNDS), path=Path((Leg(kind='forward', amount=2.0),))
    )


def sightings(walk, noise=SHARP, eyes=(BOXES,), seed=0):
    return [seen.sightings for seen in observe(walk, RULE, eyes, noise, random.Random(seed))]


def test_a_thing_in_view_is_where_it_stands():
    (first, *_) = sightings(walk_among(COLUMN))
    (seen,) = first
    assert (seen.name, seen.source) == ('sofa', 'box')
    assert seen.bearing_left_deg == pytest.approx(math.degrees(math.atan2(1.0, 4.0)), abs=1.0)
    assert seen.level_distance_m == pytest.approx(math.hypot(4.0, 1.0), abs=0.15)


def test_a_thing_behind_another_is_not_told():
    behind = dataclasses.replace(COLUMN, name='bin', center_m=(6.0, 1.5, 0.4), size_m=(0.4, 0.4, 0.8))
    (first, *_) = sightings(walk_among(COLUMN, behind))
    assert [seen.name for seen in first] == ['sofa']


def test_over_a_low_thing_one_sees_what_stands_behind():
    low = dataclasses.replace(COLUMN, name='bin', center_m=(2.5, 0.6, 0.2), size_m=(0.4, 0.4, 0.4))
    (first, *_) = sightings(walk_among(COLUMN, low))
    assert {seen.name for seen in first} == {'sofa', 'bin'}


def test_what_the_key_frame_before_shows_is_in_view_before():
    first, *_, last = sightings(walk_among(COLUMN))
    assert not first[0].in_view_before
    assert last[0].in_view_before


def test_observations_carry_poses_and_motion():
    *_, last = observe(walk_among(COLUMN), RULE, (BOXES,), SHARP, random.Random(0))
    assert last.pose.x_m == pytest.approx(2.0, abs=0.01)
    assert last.camera_pose.z_m == CAMERA_HEIGHT_M
    assert last.motion is not None


def test_missed_and_false_boxes_come_as_often_as_said():
    other = dataclasses.replace(COLUMN, name='bin', center_m=(4.0, -1.5, 0.8))
    walk = walk_among(COLUMN, other)
    assert not any(sightings(walk, dataclasses.replace(SHARP, missed=1.0)))
    (first, *_) = sightings(walk, dataclasses.replace(SHARP, false=1.0))
    assert len(first) == 4


def test_without_depth_a_foot_on_the_floor_tells_a_rough_distance():
    (first, *_) = sightings(walk_among(COLUMN), dataclasses.replace(SHARP, has_depth=False))
    assert first[0].level_distance_m == pytest.approx(math.hypot(4.0, 1.0), abs=0.4)
    assert first[0].spread_along_m > 1.0


@pytest.mark.parametrize(('center_m', 'count'), [((4.0, 0.5, 0.8), 1), ((3.0, 2.4, 0.8), 0), ((7.5, 0.0, 0.8), 0)])
def test_signs_are_read_near_and_from_ahead(center_m, count):
    (first, *_) = sightings(walk_among(dataclasses.replace(COLUMN, center_m=center_m)), eyes=(SIGNS,))
    assert [seen.source for seen in first] == ['sign'] * count


def test_signs_as_wide_as_the_thing_are_read_wherever_it_stands():
    column = dataclasses.replace(COLUMN, size_m=(0.46, 0.46, 1.6))
    places = [(5.5, y_dm / 10, 0.8) for y_dm in range(-20, 21)]
    read = [sightings(walk_among(dataclasses.replace(column, center_m=place)), eyes=(SIGNS,))[0] for place in places]
    assert [len(signs) for signs in read] == [1] * len(places)


def test_the_depth_image_shows_floor_things_and_wall():
    view = look(walk_among(COLUMN).scene, Station())
    row, column = CAMERA.height // 4 + 10, CAMERA.width // 4
    assert view.depth_m[row, column] == pytest.approx(8.0, abs=0.1)
    assert view.depth_m[-1, 0] == pytest.approx(CAMERA_HEIGHT_M / (239.5 / 400), abs=0.1)
    of_column_m = view.depth_m[view.owner == 0]
    assert (of_column_m.min(), of_column_m.max()) == (pytest.approx(3.75), pytest.approx(4.25, abs=0.1))


def test_furnished_places_have_things_of_several_heights_and_several_of_a_kind():
    path = Path((Leg(kind='forward', amount=3.0),))
    places = [furnish(random.Random(seed), path, 12, BOUNDS, most_of_a_kind=4) for seed in range(5)]
    things = [thing for place in places for thing in place or ()]
    assert any(place and len({thing.name for thing in place}) < 12 for place in places)
    lows = [thing.center_m[2] - thing.size_m[2] / 2 for thing in things]
    assert (min(lows), max(lows) > 0.8) == (pytest.approx(0.0), True)
    assert max(thing.size_m[2] for thing in things) > 2 * min(thing.size_m[2] for thing in things)


def test_exact_observations_tell_where_things_of_any_height_are():
    hung = SceneObject(name='clock', center_m=(4.0, 0.0, 1.6), size_m=(0.1, 0.5, 0.5), tag_id=2)
    first, *_ = observe_exactly(walk_among(hung), RULE)
    assert [(seen.name, seen.level_distance_m) for seen in first.sightings] == [('clock', pytest.approx(4.0))]


def test_samples_hold_what_the_eyes_saw(tmp_path):
    out = tmp_path / 'world.jsonl'
    words = ['--questions', '8', '--seed', '3', '--furnished', '--of-a-kind', '3', '--eyes', 'boxes', '--out', str(out)]
    assert prepare.main(['world', *words]) == 0
    samples = read_samples(out)
    observations = to_observations(samples[0])
    assert all(seen.pose is not None and seen.camera_pose is not None for seen in observations)
    assert scene_of(observations).things
    assert samples[0]['scene'].startswith('furnished-')


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--noise', '0.1', '2', '0'], '--noise must be three shares'),
        (['--of-a-kind', '3'], 'add --furnished'),
        (['--of-a-kind', '0', '--furnished'], '--of-a-kind must be from 1'),
        (['--furnished', '--perception', 'opencv'], 'do without pictures'),
        (['--furnished', '--layouts', 'x.json'], 'leave --layouts out'),
    ],
)
def test_options_that_do_not_go_together_are_told(words, sentence, tmp_path, capsys):
    asked = ['world', '--questions', '1', '--seed', '1', '--out', str(tmp_path / 'w'), *words]
    assert prepare.main(asked) == 2
    assert sentence in capsys.readouterr().err


def test_landmarks_seen_sharply_are_where_things_are(capsys):
    words = ['--walks', '1', '--seed', '3', '--eyes', 'boxes', '--noise', '0', '0', '0', '--odometry', 'true']
    assert landmark_figures.main(words) == 0
    figures = dict(line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines() if '[' not in line)
    assert float(figures['median m']) < 0.2
    assert int(figures['landmarks']) >= int(figures['names']) > 0


def test_landmark_figures_need_an_eye(capsys):
    assert landmark_figures.main(['--walks', '1']) == 2
    assert 'one of --eyes' in capsys.readouterr().err
