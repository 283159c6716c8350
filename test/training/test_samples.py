"""Files of samples: what is written is read back, and a bad line is named with what is wrong about it."""

from __future__ import annotations

import json

import pytest

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Observation
from training.samples import from_observations, read_samples, to_observations, write_samples


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
        (sample(1, choices=[]), r'line 2: 2 to 26 choices in words are wanted, got \[\]'),
        (sample(1, choices='AB'), "2 to 26 choices in words are wanted, got 'AB'"),
        (sample(1, id=7), 'line 2: an id in words is wanted, got 7'),
    ],
    ids=[
        'cut off', 'a list', 'a text', 'a field missing', 'no such letter', 'small letter', 'two letters', 'no choices',
        'choices in one text', 'a number as id',
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
        Observation(session=0, index=0, stamp_ns=10, action='', text='nothing new'),
        Observation(session=0, index=1, stamp_ns=20, action='moved forward 1.00 m', text='sofa 3 deg left'),
    ]
    assert to_observations(sample(observations=from_observations(observations))) == observations


def test_a_sample_without_observations_says_who_writes_them():
    with pytest.raises(InputError, match="'s0' has no observations; write them with python -m training.perceive"):
        to_observations(without('observations'))
