"""Observations as JSON: nothing that was measured is lost on the way."""

import dataclasses
import json

import pytest

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.poses import ORIGIN
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting
from embodied_r_ros.evaluation.observation_json import from_entry, to_entry

MOTION = Motion(
    name='rotate left',
    forward_m=0.123456789,
    left_m=0.0,
    rotate_left_deg=33.3333,
    source=MotionSource.ODOMETRY,
    moves=(Move(kind='turn', amount=33.3333), Move(kind='forward', amount=0.123456789)),
)
SOFA = Sighting(
    name='sofa',
    ray=(0.6, 0.0, 0.8),
    distance_m=3.21,
    track_id='17',
    spread_along_m=0.06,
    source='tag',
    box_px=(1.0, 2.0, 30.5, 40.5),
)
_FIELDS = ('x_m', 'y_m', 'z_m', 'qx', 'qy', 'qz', 'qw')
LAMP = Sighting.level('лампа', -12.0, confidence=0.5, source='box')


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'motion': MOTION},
        {'motion': Motion(name='move backward')},
        {'motion': Motion(name='', moves=(Move(kind='move left', amount=float('nan')),))},
        {'sightings': (SOFA, LAMP)},
        {'text': 'A red door; "ajar", 20 deg left at 3.2 m'},
        {'pose': ORIGIN, 'camera_pose': dataclasses.replace(ORIGIN, z_m=1.2)},
        {'motion': MOTION, 'sightings': (SOFA,), 'text': 'prose'},
    ],
    ids=['nothing', 'measured', 'a name', 'a named move', 'sightings', 'prose', 'poses', 'all'],
)
def test_an_observation_survives_json(changes):
    seen = Observation(session=4, index=2, stamp_ns=1_750_000_003_200_000_000, **changes)
    entry = json.loads(json.dumps(to_entry(seen), allow_nan=False))
    read = from_entry(entry, session=4, index=2)
    assert (read.action, read.view, read.stamp_ns) == (seen.action, seen.view, seen.stamp_ns)
    assert json.loads(json.dumps(to_entry(read))) == entry
    assert read.sightings == seen.sightings
    assert (read.pose, read.camera_pose) == (seen.pose, seen.camera_pose)


def test_the_words_are_for_people_and_are_not_read_where_there_is_data():
    entry = to_entry(Observation(session=0, index=0, stamp_ns=1, sightings=(SOFA,))) | {'text': 'an elephant'}
    assert from_entry(entry, session=0, index=0).view == 'sofa straight ahead at 1.9 m'


def test_an_entry_of_words_alone_is_read():
    seen = from_entry({'stamp_ns': 5, 'action': 'rotated left 30 deg', 'text': 'sofa straight ahead'}, 0, 1)
    assert (seen.moves[0].amount, seen.sightings[0].name) == (30.0, 'sofa')


@pytest.mark.parametrize(
    'entry',
    [
        {},
        {'stamp_ns': 1, 'action': 'x'},
        {'stamp_ns': 'soon', 'action': '', 'text': ''},
        {'stamp_ns': 1, 'action': None, 'text': ''},
        {'stamp_ns': 1, 'motion': 'x', 'sightings': []},
        {'stamp_ns': 1, 'motion': {'name': 'x', 'source': 'dreams'}, 'sightings': []},
        {'stamp_ns': 1, 'motion': {'name': 'x', 'speed': 3}, 'sightings': []},
        {'stamp_ns': 1, 'motion': None, 'sightings': [{'name': 'sofa'}]},
        {'stamp_ns': 1, 'motion': None, 'sightings': [{'name': 'sofa', 'ray': [1.0]}]},
        {'stamp_ns': 1, 'motion': None},
        {'stamp_ns': 1, 'motion': None, 'sightings': [], 'pose': {'x_m': 1.0}},
        {'stamp_ns': 1, 'motion': None, 'sightings': [], 'pose': dict.fromkeys(_FIELDS, 0.0)},
    ],
)
def test_an_entry_that_is_no_observation_is_refused(entry):
    with pytest.raises(InputError, match='an observation with stamp_ns, action and text was wanted'):
        from_entry(entry, session=0, index=0)
