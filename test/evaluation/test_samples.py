"""Files of samples: what is written is read back, and a bad line is named with what is wrong about it."""

from __future__ import annotations

import collections
import json

import pytest

from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.evaluation.phrase_reader import from_words
from embodied_r_ros.evaluation.samples import (
    SPLITS,
    from_observations,
    read_samples,
    split_of,
    to_observations,
    write_samples,
)


def sample(number=0, **changes):
    entry = {
        'id': f's{number}',
        'source': 'world',
        'scene': 'world-1',
        'category': 'landmark position',
        'question': 'Where is the sofa now?',
        'choices': ['left', 'right'],
        'answer': 'B',
        'observations': [{'stamp_ns': 5, 'action': '', 'text': 'sofa straight ahead at 2.0 m'}],
    }
    return {**entry, **changes}


def lines(path, *entries):
    path.write_text('\n'.join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries) + '\n')
    return path


def without(name):
    entry = sample()
    del entry[name]
    return entry


def test_samples_are_read_back_as_they_were_written(tmp_path):
    samples = [sample(0), sample(1, question='Wo ist das Sofa – jetzt?')]
    path = tmp_path / 'new' / 'folder' / 'samples.jsonl'
    assert write_samples(path, iter(samples)) == 2
    assert read_samples(path) == samples


def test_blank_lines_are_passed_over(tmp_path):
    assert len(read_samples(lines(tmp_path / 's.jsonl', sample(0), '', sample(1), '   '))) == 2


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"id": ', r's\.jsonl, line 2 is no JSON: '),
        ('[1, 2]', 'line 2 lacks id, source, scene, category, question, choices, answer; a sample has id, '),
        ('"text"', 'line 2 lacks id, '),
        (without('scene'), 'line 2 lacks scene; a sample has id, source, scene, category, question, choices, answer'),
        (sample(1, answer='C'), "line 2: the answer 'C' is none of the letters 'AB' of its 2 choices"),
        (sample(1, answer='b'), "the answer 'b' is none of the letters 'AB'"),
        (sample(1, answer='AB'), "the answer 'AB' is none of the letters 'AB'"),
        (sample(1, choices=['left']), r"line 2: 2 to 26 choices in words, or none for a number, .* got \['left'\]"),
        (sample(1, choices='AB'), "2 to 26 choices in words, or none for a number, are wanted, got 'AB'"),
        (sample(1, choices=[]), r'line 2: a number in words \(as "3.2"\) is wanted where .* no choices, got \'B\''),
        (sample(1, choices=[], answer=3.2), 'is wanted where there are no choices, got 3.2'),
        (sample(1, choices=[], answer='nan'), "is wanted where there are no choices, got 'nan'"),
        (sample(1, split='dev'), "line 2: one of the splits train, validation, test is wanted, got 'dev'"),
        (sample(1, id=7), 'line 2: an id in words is wanted, got 7'),
    ],
    ids=[
        'cut off', 'a list', 'a text', 'a field missing', 'no such letter', 'small letter', 'two letters', 'one choice',
        'choices in one text', 'no choices and a letter', 'a bare number', 'no finite number', 'no such split',
        'a number as id',
    ],
)  # fmt: skip
def test_a_line_that_is_no_sample_is_named(line, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_samples(lines(tmp_path / 's.jsonl', sample(0), line))


def test_an_id_given_twice_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds the id 's7' more than once; ids must differ"):
        read_samples(lines(tmp_path / 's.jsonl', sample(1), sample(7), sample(7)))


@pytest.mark.parametrize('name', ['missing.jsonl', '.'], ids=['missing', 'a folder'])
def test_a_file_that_cannot_be_read_is_named(name, tmp_path):
    with pytest.raises(InputError, match='samples cannot be read from .*: (No such file|Is a directory)'):
        read_samples(tmp_path / name)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = lines(tmp_path / 's.jsonl', sample(0))

    def broken():
        yield sample(1)
        raise RuntimeError('power cut')

    with pytest.raises(RuntimeError, match='power cut'):
        write_samples(path, broken())
    assert [entry['id'] for entry in read_samples(path)] == ['s0']


def test_observations_survive_a_sample():
    observations = [
        from_words(session=0, index=0, stamp_ns=10, action='', text='nothing new'),
        from_words(session=0, index=1, stamp_ns=20, action='moved forward 1.00 m', text='sofa 3 deg left'),
    ]
    assert to_observations(sample(observations=from_observations(observations))) == observations


def test_a_sample_without_observations_says_who_writes_them():
    with pytest.raises(InputError, match="'s0' has no observations; write them with python -m training.perceive"):
        to_observations(without('observations'))


def test_a_question_for_a_number_has_no_choices(tmp_path):
    asked = sample(0, choices=[], answer='3.2')
    assert read_samples(lines(tmp_path / 's.jsonl', asked)) == [asked]


def test_the_samples_of_a_split_are_read_alone(tmp_path):
    path = lines(tmp_path / 's.jsonl', *(sample(n, split=SPLITS[n % 3]) for n in range(6)), sample(6))
    assert [entry['id'] for entry in read_samples(path, split='test')] == ['s2', 's5']
    assert len(read_samples(path)) == 7


@pytest.mark.parametrize(
    ('split', 'error', 'message'),
    [
        ('validation', InputError, "holds no sample of the split 'validation': 1 of its 2 name a split; ask for"),
        ('dev', SettingsError, "one of the splits train, validation, test was wanted, got 'dev'"),
    ],
    ids=['empty', 'unknown'],
)
def test_a_split_that_cannot_be_read_is_told(split, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_samples(lines(tmp_path / 's.jsonl', sample(0, split='train'), sample(1)), split=split)


def test_a_scene_belongs_to_one_split_and_another_seed_deals_anew():
    scenes = [f'scene {number}' for number in range(2000)]
    first = [split_of(scene, 0) for scene in scenes]
    assert first == [split_of(scene, 0) for scene in reversed(scenes)][::-1]
    assert first != [split_of(scene, 1) for scene in scenes]
    shares = collections.Counter(first)
    assert [shares[split] / 2000 for split in SPLITS] == pytest.approx([0.75, 0.05, 0.20], abs=0.03)
    assert {split_of(scene, 0, (0.0, 0.0, 1.0)) for scene in scenes} == {'test'}


@pytest.mark.parametrize('shares', [(0.5, 0.1, 0.1), (1.2, -0.1, -0.1)], ids=['too little', 'below 0'])
def test_shares_that_are_none_are_told(shares):
    with pytest.raises(SettingsError, match='shares of train, validation, test that sum to 1 were wanted, got'):
        split_of('scene', 0, shares)


def test_folds_part_the_scenes_and_the_rest_of_a_fold_is_all_else(tmp_path):
    path = lines(tmp_path / 's.jsonl', *(sample(n, scene=f'scene {n % 30}') for n in range(90)))
    folds = [{entry['id'] for entry in read_samples(path, fold=f'{number}/3')} for number in (1, 2, 3)]
    assert sum(map(len, folds)) == 90
    assert len(set().union(*folds)) == 90
    assert min(map(len, folds)) > 9
    assert {entry['id'] for entry in read_samples(path, without='2/3')} == folds[0] | folds[2]
    of = [{entry['scene'] for entry in read_samples(path, fold=f'{number}/3')} for number in (1, 2, 3)]
    assert not of[0] & of[1]
    assert {entry['id'] for entry in read_samples(path, fold='1/3', seed=1)} != folds[0]


@pytest.mark.parametrize('fold', ['0/5', '6/5', '1', 'one/5', '1/0'])
def test_a_fold_that_is_none_is_told(fold, tmp_path):
    with pytest.raises(SettingsError, match=r"a fold 'I/K' with I from 1 to K was wanted, got .*; 1/5 is the first"):
        read_samples(lines(tmp_path / 's.jsonl', sample(0)), fold=fold)
