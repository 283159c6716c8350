"""Lessons in the paper's format: readable by the robot's own reader, right by geometry, in English, of any sample."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from embodied_r_ros.core.citations import cited_frames
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.core.replies import read_thought
from embodied_r_ros.evaluation.samples import from_observations
from training.paper_lessons import PARAPHRASES, in_english, paper_lessons, paper_lessons_of
from training.world.phrasings import PHRASINGS
from training.world.questions import questions_about
from training.world.scene import make_walk
from training.world.views import EXACT, KeyFrameRule, observe

COUNT = 80


@pytest.fixture(scope='module')
def lessons():
    return list(itertools.islice(paper_lessons('a'), COUNT))


@pytest.fixture(scope='module')
def samples():
    walk = make_walk(3)
    seen = observe(walk, KeyFrameRule(), EXACT, random.Random(0))
    asked = [entry for entry in questions_about(walk, seen, TASKS, random.Random(3)) if 'end_s' not in entry]
    return [{'id': str(number), **entry, 'observations': from_observations(seen)} for number, entry in enumerate(asked)]


def question_of(lesson):
    return lesson.prompt[-1].content.partition('Question: ')[2]


def choices_of(lesson):
    return dict(re.findall(r'^([A-Z])\. (.+)$', question_of(lesson), re.MULTILINE))


def test_the_robots_own_reader_finds_a_thought_and_its_conclusion_as_the_answer(lessons):
    for lesson in lessons:
        thinking, answer = read_thought(lesson.reply)
        conclusion = re.search(r'So it is: (.+)\.$', thinking)[1]
        assert choices_of(lesson).get(answer, answer) == conclusion
        assert answer in choices_of(lesson) or not choices_of(lesson)


def test_thoughts_cite_frames_and_keep_no_tag_of_the_compact_language(lessons):
    thoughts = [read_thought(lesson.reply)[0] for lesson in lessons]
    assert not [thought for thought in thoughts if re.search(r'\b[sopqri]\d+\b|\d(deg|m)\b', thought)]
    counts = [lesson.prompt[-1].content.count('\nFrame ') for lesson in lessons]
    citing = [bool(cited_frames(thought, count)) for thought, count in zip(thoughts, counts)]
    assert sum(citing) > 0.8 * COUNT  # progress is counted without a look at frames


def test_questions_are_asked_in_many_words_with_choices_in_any_order_and_without(lessons):
    openings = {' '.join(question_of(lesson).split()[:3]) for lesson in lessons}
    assert len(openings) > 20
    assert {read_thought(lesson.reply)[1] for lesson in lessons} > set('ABCD')
    assert 0 < sum(not choices_of(lesson) for lesson in lessons) < COUNT / 4


def test_logs_are_short_and_long(lessons):
    counts = sorted(lesson.prompt[-1].content.count('\nFrame ') for lesson in lessons)
    assert counts[0] <= 4 and counts[-1] >= 12


def test_a_seed_gives_the_same_lessons_again(lessons):
    assert list(itertools.islice(paper_lessons('a'), 5)) == lessons[:5]
    assert list(itertools.islice(paper_lessons('b'), 5)) != lessons[:5]


@pytest.mark.parametrize('task', TASKS)
def test_a_paraphrase_has_the_slots_of_the_phrasings(task):
    slots = {frozenset(re.findall(r'{(\w+)}', text)) for text in PHRASINGS[task]}
    assert {frozenset(re.findall(r'{(\w+)}', text)) for text in PARAPHRASES[task]} <= slots
    assert not {*PARAPHRASES[task]} & {*PHRASINGS[task]}


def test_samples_are_taught_with_their_answers_whatever_the_order_of_their_choices(samples):
    truths = {entry['question']: entry['choices']['ABCD'.index(entry['answer'])] for entry in samples}
    rounds = list(itertools.islice(paper_lessons_of(samples, 'a'), 3 * len(samples)))
    letters = set()
    for lesson in rounds:
        answer = read_thought(lesson.reply)[1]
        letters.add((question_of(lesson).partition('\n')[0], answer))
        assert choices_of(lesson)[answer] == truths[question_of(lesson).partition('\n')[0]]
    assert {question for question, _ in letters} == {*truths}
    assert len(letters) > len(truths)


def test_samples_whose_answers_do_not_follow_are_left_out(samples):
    wrong = [entry | {'answer': 'ABCD'[('ABCD'.index(entry['answer']) + 1) % 3]} for entry in samples]
    told = [f'{entry["question"]}' for entry in samples[:1]]
    kept = list(itertools.islice(paper_lessons_of([samples[0], *wrong[1:]], 'a'), 6))
    assert [question_of(lesson).partition('\n')[0] for lesson in kept] == told * 6


def test_samples_of_which_none_can_be_worked_out_are_refused(samples):
    odd = samples[0] | {'question': 'Why is the sky blue?'}
    with pytest.raises(InputError, match='none of 1 samples can be worked out from its observations'):
        next(paper_lessons_of([odd], 'a'))


def test_a_thought_is_spelt_out():
    compact = (
        'p0 0deg 0 0 ; s1 forward 2m 0 4 p1 0deg 0 4 ; s2 left 45deg p2 315deg 0 4 . q1 lamp (Frame 0) ahead 3.5m p0 '
        '0deg 0 0 = 0deg 0 7 r1 0 7 . r1 0 7 - p2 315deg 0 4 = 0 3 dir 0deg - 315deg = 45deg ahead'
    )
    assert in_english(compact, ['lamp']) == (
        'Start at (0, 0) facing 0 deg; step 1 forward 2 m by (0, 4) to (0, 4) facing 0 deg; step 2 left 45 deg at (0, '
        '4) facing 315 deg. Lamp (Frame 0) ahead 3.5 m from (0, 0) facing 0 deg = 0 deg, off by (0, 7), so at (0, 7). '
        '(0, 7) - (0, 4) facing 315 deg = (0, 3), direction 0 deg - 315 deg = 45 deg, ahead.'
    )
