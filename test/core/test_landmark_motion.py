"""Ego-motion from things that are in two key frames."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from embodied_r_ros.core.landmark_motion import motion_from_sightings
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting

PLACES = {1: (4.0, 1.0), 2: (3.0, -1.5), 3: (5.0, 0.2)}
TURN = Motion(name='rotate left', rotate_left_deg=30.0, tilt_up_deg=1.0, source=MotionSource.IMAGES)


def tracked(key: int, bearing_left_deg: float, distance_m: float = math.nan, **details: Any) -> Sighting:
    """A thing that is known again by its key."""
    values = {'track_id': str(key), 'source': 'tag', 'spread_along_m': 0.1, **details}
    return Sighting.level(f'thing {key}', bearing_left_deg, distance_m, **values)


def seen_from(x_m: float = 0.0, y_m: float = 0.0, left_deg: float = 0.0, *keys: int) -> list[Sighting]:
    """What a camera at a place, turned to the left, sees of the things of these keys."""
    found = []
    for key in keys or PLACES:
        ahead_m, aside_m = PLACES[key][0] - x_m, PLACES[key][1] - y_m
        bearing = math.degrees(math.atan2(aside_m, ahead_m)) - left_deg
        found.append(tracked(key, bearing, math.hypot(ahead_m, aside_m)))
    return found


@pytest.mark.parametrize(
    ('x_m', 'y_m', 'left_deg'),
    [(1.2, 0.0, 0.0), (-0.5, 0.0, 0.0), (0.0, 0.4, 0.0), (0.8, -0.3, 25.0), (0.3, 0.1, -40.0), (0.0, 0.0, 0.0)],
    ids=['forward', 'backward', 'left', 'forward and left', 'a turn to the right', 'standing'],
)
@pytest.mark.parametrize('keys', [(1, 2), (1, 2, 3)], ids=['two things', 'three things'])
def test_things_tell_the_whole_motion(x_m: float, y_m: float, left_deg: float, keys: tuple[int, ...]) -> None:
    motion = motion_from_sightings(seen_from(0.0, 0.0, 0.0, *keys), seen_from(x_m, y_m, left_deg, *keys), None)
    assert motion is not None
    assert (motion.forward_m, motion.left_m) == (pytest.approx(x_m, abs=1e-6), pytest.approx(y_m, abs=1e-6))
    assert motion.rotate_left_deg == pytest.approx(left_deg, abs=1e-6)
    assert motion.source is MotionSource.IMAGES
    assert math.isnan(motion.up_m)


def test_one_thing_and_the_turn_of_the_images_tell_the_way() -> None:
    motion = motion_from_sightings(seen_from(0.0, 0.0, 0.0, 1), seen_from(0.8, 0.2, 30.0, 1), TURN)
    assert motion is not None
    assert (motion.forward_m, motion.left_m) == (pytest.approx(0.8), pytest.approx(0.2))
    assert (motion.rotate_left_deg, motion.tilt_up_deg) == (pytest.approx(30.0), 1.0)


def test_the_name_is_that_of_the_larger_part() -> None:
    walked = motion_from_sightings(seen_from(), seen_from(1.0), None)
    turned = motion_from_sightings(seen_from(), seen_from(0.1, 0.0, -20.0), None)
    assert (walked is not None and walked.name, turned is not None and turned.name) == ('move forward', 'rotate right')


def test_things_and_images_that_differ_about_the_turn_meet_between() -> None:
    motion = motion_from_sightings(seen_from(), seen_from(0.5, 0.0, 26.0), TURN)
    assert motion is not None
    assert 26.0 < motion.rotate_left_deg < 30.0


@pytest.mark.parametrize(
    ('before', 'after', 'told'),
    [
        (seen_from(0.0, 0.0, 0.0, 1), seen_from(0.5, 0.0, 0.0, 2), TURN),
        (seen_from(0.0, 0.0, 0.0, 1), seen_from(0.5, 0.0, 0.0, 1), None),
        (seen_from(0.0, 0.0, 0.0, 1), seen_from(0.5, 0.0, 0.0, 1), Motion(name='move forward')),
        ([tracked(1, 0.0)], seen_from(0.5, 0.0, 0.0, 1), TURN),
        ([tracked(1, 0.0, 4.0, spread_along_m=math.nan)], seen_from(0.5, 0.0, 0.0, 1), TURN),
        ([tracked(1, 0.0, 4.0, spread_along_m=0.0)], [tracked(1, 0.0, 3.0, spread_along_m=0.0)], TURN),
        ([tracked(1, 0.0, 4.0, track_id='')], [tracked(1, 0.0, 3.0, track_id='')], TURN),
        ([tracked(1, 0.0, 4.0, source='box')], [tracked(1, 0.0, 3.0)], TURN),
        ([], [], None),
    ],
    ids=[
        'nothing in both',
        'one thing alone',
        'one thing and no angle',
        'a thing without distance',
        'no spread',
        'a spread of nothing',
        'no track',
        'the track of another source',
        'nothing at all',
    ],
)
def test_what_the_images_tell_stays_where_things_tell_no_more(
    before: list[Sighting], after: list[Sighting], told: Motion | None
) -> None:
    assert motion_from_sightings(before, after, told) is told


def test_a_near_thing_counts_more_than_a_far_one() -> None:
    near, far = (tracked(1, 0.0, 2.0, spread_along_m=0.02 * 2.0), tracked(2, 0.0, 8.0, spread_along_m=0.02 * 8.0))
    closer = [dataclasses.replace(near, distance_m=1.0), dataclasses.replace(far, distance_m=7.5)]
    motion = motion_from_sightings([near, far], closer, dataclasses.replace(TURN, rotate_left_deg=0.0))
    assert motion is not None
    assert 0.9 < motion.forward_m < 1.0


def followed(turn_deg: float, *kinds: str) -> Motion:
    """A motion that was followed through the images: names without metres, 'turn' where it turned."""
    amounts = {'turn': turn_deg}
    moves = tuple(Move(kind=kind, amount=amounts.get(kind, math.nan)) for kind in kinds)
    return Motion(
        name='move forward', rotate_left_deg=turn_deg, tilt_up_deg=0.0, moves=moves, source=MotionSource.IMAGES
    )


@pytest.mark.parametrize(
    ('seen', 'place', 'moves'),
    [
        (
            followed(90.0, 'move forward', 'turn', 'move forward'),
            (1.0, 0.5),
            [('forward', 1.0), ('turn', 90.0), ('forward', 0.5)],
        ),
        (followed(30.0, 'move forward', 'turn'), (0.8, 0.05), [('forward', 0.8), ('turn', 30.0)]),
        (followed(-90.0, 'turn', 'move forward'), (0.05, -0.7), [('turn', -90.0), ('forward', 0.7)]),
        (followed(0.0, 'move backward'), (-0.6, 0.04), [('forward', -0.6)]),
        (followed(0.0, 'move right'), (0.03, -0.4), [('left', -0.4)]),
        (followed(40.0, 'turn'), (0.1, 0.1), [('turn', 40.0)]),
        (followed(4.0, 'move forward', 'turn', 'move forward'), (1.0, 0.0), None),
    ],
    ids=['round a corner', 'then a turn', 'a turn first', 'backward', 'aside', 'on the spot', 'nearly straight on'],
)
def test_things_tell_how_far_each_move_led(
    seen: Motion, place: tuple[float, float], moves: list[tuple[str, float]] | None
) -> None:
    motion = motion_from_sightings(seen_from(), seen_from(*place, seen.rotate_left_deg), seen)
    assert motion is not None
    found = [(move.kind, pytest.approx(move.amount, abs=0.03)) for move in motion.moves]
    if moves is None:
        walks = [move.amount for move in motion.moves if move.kind == 'forward']
        assert (min(walks) > 0.3, sum(walks)) == (True, pytest.approx(1.0, abs=0.01))
    else:
        assert moves == found
    assert not math.isnan(motion.forward_m)


def test_moves_that_do_not_lead_where_the_things_say_are_not_believed() -> None:
    motion = motion_from_sightings(seen_from(), seen_from(0.0, 1.0, 40.0), followed(40.0, 'turn'))
    assert motion is not None
    assert (motion.left_m, motion.moves) == (pytest.approx(1.0, abs=0.05), ())
