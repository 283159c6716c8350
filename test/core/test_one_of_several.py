"""'The chair' where several chairs were seen, and 'chair 2'."""

from __future__ import annotations

import pytest
from landmark_scenes import looks, pose

from embodied_r_ros.core.coarse import coarse_log
from embodied_r_ros.core.compact import CompactFormat, name_tokens
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.landmark_history import scene_of
from embodied_r_ros.core.one_of_several import meant
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.core.telling import told

THINGS = [('chair', (6.0, 2.0)), ('chair', (2.5, -1.5)), ('sofa', (5.0, 0.0))]
SIDES = ('to my left', 'to my right')


@pytest.fixture(scope='module')
def observations():
    seen = looks(THINGS, [pose(0.0), pose(1.0)])
    return told(seen, scene_of(seen))


@pytest.fixture(scope='module')
def log(observations):
    return coarse_log(observations)


@pytest.mark.parametrize(
    ('text', 'read'),
    [
        ('Where is the chair?', 'Where is the chair 2?'),
        ('Where is the Chair now?', 'Where is the chair 2 now?'),
        ('Where is chair 1?', 'Where is chair 1?'),
        ('Where is the armchair?', 'Where is the armchair?'),
        ('Where is the chair-lift?', 'Where is the chair-lift?'),
        ('Where is the sofa?', 'Where is the sofa?'),
    ],
)
def test_a_name_that_several_things_bear_means_the_nearest(log, text, read):
    (asked,), note = meant([text], log)
    assert asked == read
    assert note == ('' if read == text else 'chair means chair 2, the nearest of 2; ')


@pytest.mark.parametrize(
    ('name', 'text'), [('chair lift', 'Where is the chair lift?'), ('high chair', 'Is it a high chair?')]
)
def test_a_longer_name_with_that_name_in_it_means_another_thing(name, text):
    seen = looks([*THINGS, (name, (3.0, 3.0))], [pose(0.0), pose(1.0)])
    assert meant([text], coarse_log(told(seen, scene_of(seen)))) == ([text], '')


def test_a_number_in_the_name_of_a_single_thing_means_nothing_more():
    seen = looks([('room 12', (4.0, 0.0))], [pose(0.0)])
    assert meant(['Where is the room?'], coarse_log(seen)) == (['Where is the room?'], '')


@pytest.mark.parametrize('name', ['chair 1', 'the chair 1', 'Chair 1'])
def test_a_question_names_one_of_several_by_its_number(observations, name):
    prompt = CompactFormat().ask(Question(text=f'Where is {name} now?', choices=SIDES), observations)
    token = name_tokens(['chair 1', 'chair 2', 'sofa'])['chair 1']
    assert f'where q1 {token} :' in prompt.messages[0].content


def test_the_thought_says_which_of_several_is_meant(observations):
    prompt = CompactFormat().ask(Question(text='Where is the chair now?', choices=SIDES), observations)
    thought = prompt.read(Completion(text='<think> hm </think> <answer> right </answer>'))
    assert thought.thinking.startswith('chair means chair 2, the nearest of 2; ')
    assert thought.answer == 'to my right'


def test_choices_keep_their_words(observations):
    question = Question(text='Which is closest to the sofa: the chair or the door?', choices=('the chair', 'the door'))
    seen = [*observations, *looks([('door', (0.5, 3.0))], [pose(1.0)])]
    prompt = CompactFormat().ask(question, seen)
    assert prompt.read(Completion(text='<think> hm </think> <answer> q2 </answer>')).answer == 'the chair'


@pytest.mark.parametrize(
    'text',
    [
        'Where is chair 7 now?',
        'Where is the chair 7 now?',
        'Where must I look for sofa 2?',
        'I want chair 7. Where is it?',
    ],
)
def test_a_number_that_no_thing_has_is_told_with_what_there_is(observations, text):
    with pytest.raises(
        CannotTell, match=r"'(?:chair 7|sofa 2)' was not seen in the window; seen were: chair 1, chair 2"
    ):
        CompactFormat().ask(Question(text=text, choices=SIDES), observations)
