"""Samples from the command line: as many as asked for, the same for the same seed, of walks, layouts and recordings."""

from __future__ import annotations

import collections
import itertools
import json
import random
import re

import pytest

from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.evaluation.samples import SPLITS, read_samples, split_of, to_observations
from training import prepare
from training.prompts import ask_sample
from training.sources import world
from training.world.nouns import NOUNS, UNSEEN_NOUNS
from training.world.truth import agreement
from training.world.views import EXACT, observe

LAST = 'landmark position'  # asked at the end of a walk
LAYOUTS = {
    'flat': ('sofa', 'floor lamp', 'desk', 'door', 'bed', 'stove'),
    'hall': ('piano', 'bench', 'mirror', 'clock', 'statue', 'plant'),
}


def prepared(path, *words):
    """The samples that the command line writes."""
    assert prepare.main(['world', '--out', str(path), *words]) == 0
    return read_samples(path)


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp('world') / 'world.jsonl', '--questions', '64', '--seed', '5')


def test_as_many_samples_as_asked_for_are_written(samples):
    assert len(samples) == 64
    assert len({sample['id'] for sample in samples}) == 64


def test_each_task_has_its_share(samples):
    counts = collections.Counter(sample['category'] for sample in samples)
    assert set(counts) == set(TASKS)
    assert all(4 <= count <= 12 for count in counts.values())


def test_the_walks_of_a_seed_are_its_own(samples, tmp_path):
    scenes = {sample['scene'] for sample in samples}
    assert all(scene.startswith('world-60000') for scene in scenes)
    others = prepared(tmp_path / 'other.jsonl', '--questions', '16', '--seed', '6')
    assert not scenes & {sample['scene'] for sample in others}


def test_observations_end_where_the_question_is_asked(samples):
    for sample in samples:
        observations = to_observations(sample)
        assert observations[0].action == ''
        whole = 1 + 4 * 20  # seconds of the longest walk
        assert (observations[-1].stamp_ns - observations[0].stamp_ns) / 1e9 < whole
    asked_midway = [sample for sample in samples if sample['category'] == 'progress evaluation']
    asked_at_the_end = {sample['scene']: sample for sample in samples if sample['category'] == 'landmark position'}
    pairs = [(sample, asked_at_the_end.get(sample['scene'])) for sample in asked_midway]
    assert all(len(a['observations']) <= len(b['observations']) for a, b in pairs if b)
    assert any(len(a['observations']) < len(b['observations']) for a, b in pairs if b)


def test_questions_can_be_asked_after_some_observations(tmp_path):
    words = ['--questions', '48', '--seed', '5', '--observations', '2', '4']
    cut = prepared(tmp_path / 'cut.jsonl', *words)
    held = [len(sample['observations']) for sample in cut if sample['category'] != 'progress evaluation']
    assert {2, 3, 4} == set(held)
    progress = [len(sample['observations']) for sample in cut if sample['category'] == 'progress evaluation']
    assert progress and max(progress) <= 4
    # The same questions about recordings, which the truth is known of from the simulation itself.
    named = prepared(tmp_path / 'named.jsonl', *words, '--bags', 'bags')
    assert [sample['question'] for sample in named] == [sample['question'] for sample in cut]
    assert all(agreement(sample) for sample in named)


def test_questions_can_be_asked_after_some_moves(tmp_path):
    for moves in (0, 2):
        asked = prepared(tmp_path / 'short.jsonl', '--questions', '12', '--seed', '5', '--moves', str(moves))
        logs = [ask_sample(sample, CompactFormat()).messages[0].content.rpartition(' . ')[0] for sample in asked]
        assert {max(int(step) for step in re.findall(r'\bs(\d+) ', log)) for log in logs} == {moves}


def test_turns_can_be_circles(tmp_path):
    words = ['--questions', '8', '--seed', '5', '--circles', '1', '--seconds', '15', '90']
    whole, *_ = prepared(tmp_path / 'round.jsonl', *words)
    moves = [move for observation in to_observations(whole) for move in observation.moves]
    groups = itertools.groupby(moves, key=lambda move: move.kind)
    turns = [abs(sum(move.amount for move in group)) for kind, group in groups if kind == 'turn']
    assert len(turns) > 1 and max(turns) > 359.0


def test_a_wide_camera_sees_farther_aside(samples, tmp_path):
    wide = prepared(tmp_path / 'wide.jsonl', '--questions', '32', '--seed', '5', '--view-deg', '120')
    aside = [
        max(abs(s.bearing_left_deg) for entry in entries for o in to_observations(entry) for s in o.sightings)
        for entries in (samples, wide)
    ]
    assert aside[0] < 39.0 < 50.0 < aside[1] < 60.0


def test_a_walk_shorter_than_the_observations_asked_for_is_asked_about_at_its_end(tmp_path):
    words = ['--questions', '16', '--seed', '5', '--walks', '1', '2']
    whole = prepared(tmp_path / 'whole.jsonl', *words)
    longest = {sample['scene']: len(sample['observations']) for sample in whole if sample['category'] == LAST}
    cut = prepared(tmp_path / 'cut.jsonl', *words, '--observations', '90', '99')
    assert all(len(sample['observations']) <= longest[sample['scene']] for sample in cut)
    assert any(len(sample['observations']) == longest[sample['scene']] for sample in cut)


def test_the_same_seed_writes_the_same_file(samples, tmp_path):
    again = prepared(tmp_path / 'again.jsonl', '--questions', '64', '--seed', '5')
    assert again == samples


def test_a_summary_is_printed(tmp_path, capsys):
    prepared(tmp_path / 'world.jsonl', '--questions', '8', '--seed', '1')
    printed = capsys.readouterr().out.splitlines()
    assert [line.rsplit(maxsplit=1)[0] for line in printed[:-1]] == list(TASKS)
    assert printed[-1].startswith('8 questions about ')
    assert re.search(r': \d+ train, \d+ validation, \d+ test; dropped: ', printed[-1])


def test_named_walks_are_asked_about_and_no_others(tmp_path):
    samples = prepared(tmp_path / 'w.jsonl', '--questions', '99', '--seed', '0', '--walks', '1', '2', '--per-walk', '8')
    assert {sample['scene'] for sample in samples} == {'world-1', 'world-2'}
    assert len(samples) <= 16


def test_recordings_are_named_in_place_of_observations(tmp_path):
    samples = prepared(tmp_path / 'w.jsonl', '--questions', '8', '--seed', '0', '--walks', '3', '--bags', 'data/bags')
    assert all('observations' not in sample for sample in samples)
    assert {sample['media']['path'] for sample in samples} == {'data/bags/seed3'}
    ends = {sample['category']: sample['media']['end_s'] for sample in samples}
    assert ends.pop('progress evaluation', 1.0) is not None
    assert set(ends.values()) == {None}


def test_longer_walks_have_more_observations(samples, tmp_path):
    far = prepared(
        tmp_path / 'far.jsonl', '--questions', '16', '--seed', '5', '--legs', '16', '22', '--seconds', '25', '45'
    )
    assert mean_length(far) > 1.5 * mean_length(samples)


def mean_length(entries):
    whole = [len(entry['observations']) for entry in entries if entry['category'] != 'progress evaluation']
    return sum(whole) / len(whole)


def test_places_can_hold_more_things(samples, tmp_path):
    full = prepared(tmp_path / 'full.jsonl', '--questions', '16', '--seed', '5', '--things', '18', '26')
    assert mean_sightings(full) > 1.5 * mean_sightings(samples)


def mean_sightings(entries):
    return sum(o['text'].count(' m') for e in entries for o in e['observations']) / len(entries)


def test_things_can_have_names_that_training_lacks(tmp_path):
    other = prepared(tmp_path / 'other.jsonl', '--questions', '16', '--seed', '5', '--nouns', 'unseen')
    seen = [sighting for entry in other for o in to_observations(entry) for sighting in o.sightings]
    assert {sighting.name for sighting in seen} <= set(UNSEEN_NOUNS) - set(NOUNS)
    assert seen


@pytest.fixture
def layouts(tmp_path):
    """Two layout files, of a flat and of a hall, with six things each."""
    spots = [(2, 3), (-1, 0), (4, -2), (5, 2), (0, 5), (-2, 3)]
    paths = []
    for place, things in LAYOUTS.items():
        objects = [{'name': n, 'center_m': [*spot, 0.5], 'size_m': [0.5, 0.5, 1]} for n, spot in zip(things, spots)]
        paths.append(tmp_path / f'{place}.json')
        paths[-1].write_text(json.dumps({'scene': {'objects': objects}}))
    return list(map(str, paths))


def test_a_layout_is_asked_about_by_its_own_names(tmp_path, layouts):
    samples = prepared(tmp_path / 'w.jsonl', '--questions', '24', '--seed', '0', '--layouts', layouts[0])
    assert len(samples) == 24
    asked = ' '.join(sample['question'] for sample in samples)
    assert len({name for name in LAYOUTS['flat'] if name in asked}) >= 4
    assert {sample['id'].rsplit('-', 2)[0] for sample in samples} >= {'world-1000000', 'world-1000001'}
    assert len({sample['id'] for sample in samples}) == 24


def test_all_walks_through_a_layout_are_one_scene(tmp_path, layouts):
    samples = prepared(tmp_path / 'w.jsonl', '--questions', '32', '--seed', '0', '--layouts', *layouts)
    assert {sample['scene'] for sample in samples} == set(LAYOUTS)
    assert len({sample['id'].rsplit('-', 1)[0] for sample in samples}) == 4
    for sample in samples:
        if sample['category'] == 'landmark position':
            assert any(name in sample['question'] for name in LAYOUTS[sample['scene']])


def test_walks_are_split_by_scene(samples):
    assert all(sample['split'] == split_of(sample['scene'], 5) for sample in samples)
    assert {sample['split'] for sample in samples} == set(SPLITS)


def test_a_bad_layout_ends_with_a_sentence(tmp_path, capsys):
    status = prepare.main(
        ['world', '--out', str(tmp_path / 'w'), '--questions', '1', '--seed', '0', '--layouts', 'no.json']
    )
    assert status == 2
    assert capsys.readouterr().err.startswith('training.prepare: no.json is no layout')


def test_a_missing_option_is_told(capsys):
    with pytest.raises(SystemExit):
        prepare.main(['world', '--seed', '1'])
    assert 'the following arguments are required: --questions, --out' in capsys.readouterr().err


@pytest.fixture
def rendered(monkeypatch):
    """Rendering that is quick: notes whose walks it was given, and breaks off after as many as `last` allows."""

    class Rendering:
        seeds, last = [], 99

        def observe(self, walk):
            if len(self.seeds) == self.last:
                raise KeyboardInterrupt
            self.seeds.append(walk.scene.seed)
            return observe(walk, world.RULE, EXACT, random.Random(walk.scene.seed))[:3]

    rendering = Rendering()
    monkeypatch.setattr('training.world.recording.observe', rendering.observe)
    rendering.words = ['--questions', '24', '--seed', '0', '--perception', 'opencv']
    return rendering


def test_the_robots_own_perception_can_write_the_observations(tmp_path, rendered):
    samples = prepared(tmp_path / 'w.jsonl', *rendered.words)
    asked_at_the_end = [sample for sample in samples if sample['category'] != 'progress evaluation']
    assert {len(sample['observations']) for sample in asked_at_the_end} == {3}


def test_rendering_that_was_ended_goes_on_where_it_stood(tmp_path, rendered):
    whole = prepared(tmp_path / 'whole.jsonl', *rendered.words)
    seeds, rendered.seeds, rendered.last = rendered.seeds, [], 2
    path = tmp_path / 'w.jsonl'
    with pytest.raises(KeyboardInterrupt):
        prepare.main(['world', '--out', str(path), *rendered.words])
    assert not path.exists()
    rendered.last = 99
    assert prepared(path, *rendered.words) == whole
    assert rendered.seeds == seeds
    assert [entry.name for entry in tmp_path.iterdir() if 'journal' in entry.name] == []


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--questions', '0', '--seed', '0'], '--questions must be at least 1, got 0'),
        (['--questions', '1', '--seed', '-1'], '--seed must be at least 0, got -1'),
        (['--questions', '1', '--seed', '0', '--per-walk', '0'], '--per-walk must be at least 1, got 0'),
        (
            ['--questions', '1', '--seed', '0', '--legs', '9', '3'],
            '--legs must be two numbers from 1 on',
        ),
        (
            ['--questions', '1', '--seed', '0', '--observations', '0', '3'],
            '--observations must be two numbers from 1 on, the least first, got 0 3',
        ),
        (['--questions', '1', '--seed', '0', '--moves', '-1'], '--moves must be at least 0, got -1'),
        (['--questions', '1', '--seed', '0', '--circles', '1.5'], '--circles must be a share from 0 to 1, got 1.5'),
        (
            ['--questions', '1', '--seed', '0', '--view-deg', '200'],
            '--view-deg must be from 30 to 170 degrees, got 200.0',
        ),
        (
            ['--questions', '1', '--seed', '0', '--view-deg', '120', '--perception', 'opencv'],
            '--view-deg is for exact observations, leave --perception and --bags out',
        ),
    ],
)
def test_an_option_out_of_range_is_told(words, message, tmp_path, capsys):
    assert prepare.main(['world', '--out', str(tmp_path / 'w'), *words]) == 2
    assert message in capsys.readouterr().err


def test_walks_without_a_question_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(world, 'questions_about', lambda *_: [])
    words = ['world', '--out', str(tmp_path / 'w'), '--questions', '1', '--seed', '0', '--walks', '1']
    assert prepare.main(words) == 2
    assert 'the walks [1] give no question; name others' in capsys.readouterr().err
