"""Layouts of one's own: what is one, and walks through rooms that are small, dense, and hold several of a kind."""

from __future__ import annotations

import json
import math
import random
import re

import pytest

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.evaluation.samples import read_samples, to_observations
from training import prepare
from training.sources.world import RULE
from training.world.box_eyes import observe_exactly
from training.world.furnishing import gap_m
from training.world.layouts import CLEARANCE_M, ROBOT_HEIGHT_M, FreeSpace, load_layout
from training.world.path import Station
from training.world.recording import labels_of
from training.world.scene import SceneObject

SOFA = {'name': 'sofa', 'center_m': [1, 2, 0.5], 'size_m': [1, 1, 1]}
FLAT = [
    {'name': 'sofa', 'center_m': [2, 3, 0.5], 'size_m': [1.8, 0.8, 1.0]},
    {'name': 'floor lamp', 'center_m': [-1, 0, 0.8], 'size_m': [0.3, 0.3, 1.6]},
    {'name': 'desk', 'center_m': [4, -2, 0.4], 'size_m': [1.2, 0.6, 0.8]},
]


def thing(name, x, y, dx, dy, dz, low_m=0.0):
    return {'name': name, 'center_m': [x, y, low_m + dz / 2], 'size_m': [dx, dy, dz]}


def holding(*objects):
    return json.dumps({'scene': {'objects': objects}})


def written(folder, name, objects):
    path = folder / f'{name}.json'
    path.write_text(holding(*objects))
    return path


def bathroom(rng):
    """Two metres by two and a half, everything at the walls, a cabinet above the sink."""
    wide, deep = rng.uniform(1.8, 2.2), rng.uniform(2.3, 2.8)
    return [
        thing('bathtub', wide / 2, 0.35, wide, 0.7, 0.6),
        thing('toilet', 0.2, deep - 0.35, 0.4, 0.7, 0.8),
        thing('sink', wide - 0.25, deep - 0.3, 0.5, 0.6, 0.9),
        thing('cabinet', wide - 0.1, deep - 0.3, 0.2, 0.6, 0.6, low_m=1.3),
        thing('towel', 0.02, 1.2, 0.04, 0.4, 0.6, low_m=1.0),
    ]


def dining_room(rng):
    """A table with chairs pushed under it, so that boxes overlap, and a lamp hung over its middle."""
    table = thing('table', 0, 0, rng.uniform(1.4, 2.0), 0.9, 0.75)
    chairs = [thing('chair', x + rng.uniform(-0.1, 0.1), y, 0.45, 0.5, 0.9) for x in (-0.45, 0.45) for y in (-0.5, 0.5)]
    hung = [thing('lamp', 0, 0, 0.4, 0.4, 0.3, low_m=1.7), thing('picture', 0, 2.2, 0.6, 0.03, 0.4, low_m=1.4)]
    return [table, *chairs, *hung, thing('sideboard', -0.5, 1.9, 1.6, 0.45, 0.8), thing('plant', 1.8, 1.8, 0.4, 0.4, 1)]


def office(rng):
    """Desks in two rows, back to back, each with a chair and a monitor on top."""
    desks = [(x, y) for x in (0, 1.7, 3.4) for y in (0, 2.6)]
    things = [thing('desk', x, y, 1.5, 0.8, 0.75) for x, y in desks]
    things += [thing('monitor', x, y, 0.6, 0.2, 0.4, low_m=0.75) for x, y in desks]
    return things + [thing('chair', x + rng.uniform(-0.2, 0.2), y + 0.6, 0.6, 0.6, 1.0) for x, y in desks]


def bedroom(rng):
    """A bed that leaves a lane, with the floor 90 cm below zero, as a hand-held scanner tells it."""
    low_m, lane = -0.9, rng.uniform(0.7, 0.9)
    return [
        thing('bed', 0, 0, 2.0, 1.6, 0.5, low_m),
        thing('nightstand', -0.8, 1.0, 0.4, 0.4, 0.5, low_m),
        thing('nightstand', -0.8, -1.0, 0.4, 0.4, 0.5, low_m),
        thing('wardrobe', 1.0 + lane + 0.3, 0, 0.6, 2.0, 2.1, low_m),
        thing('tv', 1.0 + lane, 0, 0.06, 0.9, 0.5, low_m + 1.0),
        thing('window', 0, 1.25, 1.4, 0.1, 1.2, low_m + 0.9),
    ]


ROOMS = {'bathroom': bathroom, 'dining room': dining_room, 'office': office, 'bedroom': bedroom}


@pytest.fixture
def rooms(tmp_path):
    """Difficult layouts, three of each kind."""
    draws = [
        (f'{kind} {number}', make(random.Random(f'{kind} {number}')))
        for kind, make in ROOMS.items()
        for number in range(3)
    ]
    return [written(tmp_path, name, objects) for name, objects in draws]


def prepared(out, *words):
    assert prepare.main(['world', '--out', str(out), *map(str, words)]) == 0
    return read_samples(out)


def spots(walk):
    return [walk.path.station_at(walk.path.duration_s * moment / 200) for moment in range(201)]


def test_difficult_rooms_are_walked_clear_of_walls_and_things(rooms):
    for path in rooms:
        for seed in range(3):
            walk = load_layout(path, seed)
            x_min, y_min, x_max, y_max = walk.scene.bounds_m
            low = [one for one in walk.scene.objects if one.center_m[2] - one.size_m[2] / 2 < ROBOT_HEIGHT_M]
            for spot in spots(walk):
                assert min(spot.x_m - x_min, x_max - spot.x_m, spot.y_m - y_min, y_max - spot.y_m) >= CLEARANCE_M - 1e-6
                assert all(gap_m(one, (spot.x_m, spot.y_m), (0.0, 0.0)) >= CLEARANCE_M - 1e-6 for one in low)


def test_a_layout_keeps_its_things_where_they_are_to_each_other(tmp_path):
    objects = bedroom(random.Random(1))
    turned = set()
    for seed in range(8):
        walk = load_layout(written(tmp_path, 'bedroom', objects), seed)
        assert [one.name for one in walk.scene.objects] == [entry['name'] for entry in objects]
        for one, entry in zip(walk.scene.objects, objects):
            x, y, z = entry['size_m']
            assert one.size_m in ((x, y, z), (y, x, z))
            turned.add(one.size_m == (x, y, z))
            assert one.center_m[2] == pytest.approx(entry['center_m'][2] + 0.9)
        first, *others = walk.scene.objects
        away = [math.dist(first.center_m, one.center_m) for one in others]
        assert away == pytest.approx([math.dist(objects[0]['center_m'], entry['center_m']) for entry in objects[1:]])
    assert turned == {True, False}


def test_a_layout_gives_the_same_walk_for_the_same_seed_at_one_site(tmp_path):
    path = written(tmp_path, 'flat', FLAT)
    assert load_layout(path, 1) == load_layout(path, 1)
    assert load_layout(path, 1).path != load_layout(path, 2).path
    assert {load_layout(path, seed).scene.site for seed in (1, 2)} == {'flat'}


BLOCKED = SceneObject(name='desk', center_m=(2.0, 0.0, 0.5), size_m=(1.0, 1.0, 1.0), tag_id=0)


@pytest.mark.parametrize(
    ('start', 'end', 'clear'),
    [
        ((0, 0), (1.1, 0), True),
        ((0, 0), (1.3, 0), False),
        ((0, 0), (4, 0), False),
        ((0, 0.9), (4, 0.9), True),
        ((0, 0.7), (4, 0.7), False),
        ((1.2, 0.9), (0.9, 0.2), True),
        ((1.0, 0.3), (1.7, 1.0), False),
        ((-4.6, 0), (-4.8, 0), False),
    ],
    ids=['up to it', 'too near', 'through', 'past', 'past it too near', 'about', 'its corner', 'the wall'],
)
def test_a_way_is_clear_where_a_robot_fits(start, end, clear):
    free = FreeSpace([BLOCKED], (-5.0, -5.0, 5.0, 5.0))
    assert free.is_clear(Station(*start), Station(*end)) is clear


def test_what_hangs_higher_than_the_robot_is_driven_under():
    hung = SceneObject(name='lamp', center_m=(2.0, 0.0, 1.8), size_m=(0.5, 0.5, 0.5), tag_id=0)
    assert FreeSpace([hung], (-5.0, -5.0, 5.0, 5.0)).is_clear(Station(), Station(4.0))


def test_several_of_a_name_are_asked_about_by_number(rooms, tmp_path):
    samples = prepared(tmp_path / 'w.jsonl', '--questions', 96, '--seed', 2, '--layouts', *rooms)
    words = ' '.join(' '.join((sample['question'], *sample['choices'])) for sample in samples)
    assert 'the chair 1' not in words
    for sample in samples:
        seen = [sighting.name for one in to_observations(sample) for sighting in one.sightings]
        for base in ('chair', 'desk', 'monitor', 'nightstand'):
            numbers = list(dict.fromkeys(name for name in seen if name.startswith(base)))
            assert numbers in ([], [base], [f'{base} {number}' for number in range(1, len(numbers) + 1)])
    assert any(f'{base} {number}' in words for base in ('chair', 'desk', 'monitor') for number in (2, 3))


def test_what_eyes_see_is_asked_about_by_the_names_of_the_landmarks(rooms, tmp_path):
    words = ['--eyes', 'boxes', '--noise', 0, 0.3, 0, '--seed', 2, '--questions', 48, '--layouts', *rooms[6:9]]
    asked = set()
    for sample in prepared(tmp_path / 'w.jsonl', *words):
        observations = to_observations(sample)
        assert not any(sighting.name[-1].isdigit() for one in observations for sighting in one.sightings)
        if sample['category'] != 'progress evaluation':
            words = ' '.join((sample['question'], *sample['choices']))
            numbered = set(re.findall(r'(?:chair|desk|monitor) \d+', words))
            assert numbered <= set(scene_of(observations).names.values())
            asked |= numbered
    assert asked


def test_tags_on_several_of_a_name_are_labelled_with_numbers(rooms, tmp_path, monkeypatch):
    walks = []
    monkeypatch.setattr(
        'training.world.recording.observe', lambda walk: walks.append(walk) or observe_exactly(walk, RULE)
    )
    prepared(tmp_path / 'w.jsonl', '--questions', 2, '--seed', 2, '--perception', 'opencv', '--layouts', rooms[6])
    labels = [label.name for label in labels_of(walks[0].scene).values()]
    assert {'chair 1', 'chair 2', 'desk 1', 'desk 2'} <= set(labels)
    assert len(set(labels)) == len(labels) == 18


def test_what_cannot_be_walked_is_left_out_and_named_by_reason(rooms, tmp_path, capsys):
    hall = [thing('hall', 0, 0, 40, 40, 1)]
    kiosk = written(tmp_path, 'kiosk', [thing('shelf', x, y, 0.6, 0.6, 2) for x in range(3) for y in range(3)])
    others = [written(tmp_path, 'hall', hall), written(tmp_path, 'empty', []), tmp_path / 'nowhere.json', kiosk]
    far = written(tmp_path, 'far', [SOFA, {**SOFA, 'center_m': [1e6, 0, 0]}])
    samples = prepared(
        tmp_path / 'w.jsonl', '--questions', 16, '--seed', 1, '--layouts', rooms[0], *others, far, rooms[3]
    )
    assert {sample['scene'] for sample in samples} == {'bathroom 0', 'dining room 0'}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-6:-1] == [
        '2 of 7 layouts walked',
        'left out, no clear walk: 2 (hall, kiosk)',
        'left out, no object: 1 (empty)',
        'left out, no layout: 1 (nowhere)',
        'left out, too large: 1 (far)',
    ]


def test_layouts_of_which_none_can_be_walked_end_with_a_sentence(tmp_path, capsys):
    paths = [written(tmp_path, name, []) for name in ('one', 'two')]
    words = ['--questions', '1', '--seed', '1', '--layouts', *map(str, paths)]
    assert prepare.main(['world', '--out', str(tmp_path / 'w'), *words]) == 2
    assert 'none of 2 layouts can be walked; the first: ' in capsys.readouterr().err


def test_a_layout_that_gives_no_question_is_left_out(tmp_path, capsys):
    path = written(tmp_path, 'flat', FLAT)
    words = ['--questions', '8', '--seed', '1', '--moves', '40', '--layouts', str(path)]
    assert prepare.main(['world', '--out', str(tmp_path / 'w'), *words]) == 2
    assert 'the layouts give no question; name others, or more' in capsys.readouterr().err


BAD_LAYOUTS = {
    'cut off': ('{', r'is no layout \{"scene": \{"objects": \[\.\.\.\]\}\}: JSONDecodeError'),
    'a list': ('[]', 'is no layout .*TypeError'),
    'a number': ('{"scene": 3}', 'is no layout .*TypeError'),
    'no scene': ('{"objects": []}', "is no layout .*KeyError.'scene'"),
    'no object': (holding(), 'holds no object; a layout needs at least one'),
    'no centre': (holding({'name': 'sofa', 'size_m': [1, 1, 1]}), "is no layout .*KeyError.'center_m'"),
    'no name': (holding({'center_m': [1, 2, 3], 'size_m': [1, 1, 1]}), "is no layout .*KeyError.'name'"),
    'an empty name': (holding({**SOFA, 'name': ' \n'}), r"object 0 needs a name, got ' \\+n'"),
    'a name of another kind': (holding({**SOFA, 'name': 7}), 'object 0 needs a name, got 7'),
    'two numbers': (
        holding(SOFA, {**SOFA, 'center_m': [1, 2]}),
        r'object 1 needs center_m and size_m of three numbers each, got \[1, 2\] and \[1, 1, 1\]',
    ),
    'one number': (holding({**SOFA, 'size_m': 3}), 'object 0 needs .* three numbers each, got .* and 3'),
    'a word': (holding({**SOFA, 'center_m': [1, 2, 'x']}), 'is no layout .*could not convert'),
    'names alone': (holding('sofa'), 'is no layout .*TypeError'),
    'no number': (
        holding({**SOFA, 'center_m': [1, 2, math.nan]}),
        'object 0 needs finite metres, no size below 0, got',
    ),
    'a size below zero': (
        holding({**SOFA, 'size_m': [1, -1, 1]}),
        'object 0 needs finite metres, no size below 0, got',
    ),
    'millimetres': (holding(SOFA, {**SOFA, 'center_m': [4000, 0, 0]}), 'may be 100 m long and wide, got 4001 x 4 m'),
}


@pytest.mark.parametrize(('text', 'message'), BAD_LAYOUTS.values(), ids=BAD_LAYOUTS)
def test_a_bad_layout_is_named_with_what_is_wrong(text, message, tmp_path):
    path = tmp_path / 'bad.json'
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_layout(path)


def test_a_layout_without_room_to_walk_says_so(tmp_path):
    path = written(tmp_path, 'full', [thing('hall', 0, 0, 40, 40, 1)])
    with pytest.raises(
        InputError, match='no clear walk was found between the 1 objects of the layout full; leave more'
    ):
        load_layout(path)


def test_a_layout_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r'nowhere\.json is no layout .*FileNotFoundError'):
        load_layout(tmp_path / 'nowhere.json')
