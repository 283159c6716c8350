"""Words read into data: what is rendered from it are the same words."""

import math

import pytest

from embodied_r_ros.core.moves import measured, told_moves
from embodied_r_ros.core.phrases import NOTHING_NEW, STILL, write_motion, write_sightings
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting
from embodied_r_ros.evaluation.phrase_reader import from_words, read_motion, read_sightings


@pytest.mark.parametrize(
    'words',
    [
        STILL,
        'moved forward 1.40 m',
        'moved backward 0.60 m, rotated right 90 deg, moved left 0.50 m',
        'moved forward about 0.70 m, rotated left 10 deg',
        'rotated left 20 deg, moved upward 0.50 m, tilted downward 10 deg',
        'moved forward',
        'moved forward, rotated right 12 deg',
        'tilted upward',
        'rotated left, moved forward',
        'walked over to the kitchen',
    ],
)
def test_motion_is_rendered_in_the_words_that_it_was_read_from(words):
    assert write_motion(read_motion(words)) == words


def test_the_name_of_an_action_is_rendered_in_the_past():
    assert write_motion(read_motion('rotate left')) == 'rotated left'


def test_moves_are_read_with_their_signs():
    moves = (('forward', 1.25), ('turn', -45.0), ('left', 0.5), ('forward', -0.75), ('turn', 120.0))
    motion = Motion(name='', moves=tuple(Move(kind=kind, amount=amount) for kind, amount in moves))
    read = told_moves(read_motion(write_motion(motion)))
    assert tuple((move.kind, move.amount) for move in read) == moves


@pytest.mark.parametrize(
    'words',
    [
        STILL,
        'moved upward 1.00 m',
        'tilted downward 10 deg',
        'rotated left',
        'moved forward',
        'moved forward nan m',
        'walked 3 m',
        'rotated left 3 m',
    ],
)
def test_words_without_a_measured_move_in_the_plane_hold_none(words):
    assert measured(told_moves(read_motion(words))) == []


def test_no_words_are_no_motion():
    assert read_motion('') is None


def test_whole_numbers_and_text_around_are_read():
    assert told_moves(read_motion('The agent moved forward 2 m and then rotated right 15 deg.')) == (
        Move(kind='forward', amount=2.0),
        Move(kind='turn', amount=-15.0),
    )


def test_only_a_forward_motion_of_unknown_length_comes_from_images():
    assert read_motion('moved forward').source is MotionSource.IMAGES
    assert read_motion('move forward').source is MotionSource.NONE


@pytest.mark.parametrize(
    ('words', 'bearing_deg', 'distance_m'),
    [
        ('sofa 20 deg left at 3.2 m', 20.0, 3.2),
        ('desk 41 deg right', -41.0, math.nan),
        ('floor lamp straight ahead at 1.0 m', 0.0, 1.0),
        ('tag 7 straight ahead', 0.0, math.nan),
    ],
)
def test_a_sighting_is_read_and_rendered_in_the_same_words(words, bearing_deg, distance_m):
    (sighting,), prose = read_sightings(words)
    assert (sighting.bearing_left_deg, sighting.distance_m) == pytest.approx((bearing_deg, distance_m), nan_ok=True)
    assert (write_sightings([sighting]), prose) == (words, '')


def test_several_sightings_are_read_in_their_order():
    sightings = [
        Sighting.level('first aid kit', 5.0, 2.0, source='text'),
        Sighting.level('x-ray machine', -30.0, 0.9, source='text'),
        Sighting.level('tv stand', 0.0, 6.0, source='text'),
    ]
    assert read_sightings(write_sightings(sightings)) == (tuple(sightings), '')


def test_prose_between_sightings_is_kept_as_prose():
    (sofa,), prose = read_sightings('a large bright room; sofa 20 deg left at 3.2 m; some stairs.')
    assert (sofa.name, prose) == ('sofa', 'a large bright room; some stairs.')


def test_nothing_new_is_neither_a_sighting_nor_prose():
    assert read_sightings(NOTHING_NEW) == ((), '')


def test_an_observation_in_words_is_told_in_the_same_words():
    seen = from_words(0, 3, 17, 'moved forward 1.00 m', 'sofa 20 deg left at 3.2 m')
    assert seen.words == 'moved forward 1.00 m: sofa 20 deg left at 3.2 m'
    assert (seen.index, seen.stamp_ns, len(seen.sightings), len(seen.moves)) == (3, 17, 1, 1)
