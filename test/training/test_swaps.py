"""Swapped thoughts: only their sides or numbers differ, and they lead where a stranger's reading of them leads."""

from __future__ import annotations

import collections
import random

import pytest

from embodied_r_ros.core.asking import log_for, tie
from embodied_r_ros.core.compact import NOWHERE, conclusion_cut, name_tokens, possible_answers
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.question_words import PROGRESS_EVALUATION, RELATIVE_DISTANCE, ROUTE_PLANNING
from embodied_r_ros.core.questions import TASKS, read_question
from training.lessons import FAMILIES_TAUGHT, encode
from training.world.questions import Examiner, until
from training.world.scene import make_walk
from training.world.swaps import swapped, unsupported
from training.world.thoughts import sector, think
from training.world.views import EXACT, KeyFrameRule, observe


@pytest.fixture(scope='module')
def pairs():
    """(ask, worked, swapped) of questions of all tasks about a few walks."""
    found = []
    for seed in range(400, 410):
        rng, walk = random.Random(seed), make_walk(seed)
        seen = observe(walk, KeyFrameRule(), EXACT, rng)
        examiner = Examiner(walk, seen, rng, families=FAMILIES_TAUGHT)
        for task in TASKS:
            asked = examiner.ask(task)
            if asked is None:
                continue
            parsed = read_question(asked.text, asked.choices, examiner.places)
            log = log_for(parsed, until(seen, asked.end_s))
            try:
                ask = tie(parsed, log)
            except CannotTell:
                continue
            worked = think(log, ask, name_tokens(log.where_seen()))
            found.append((ask, worked, swapped(rng, ask, worked)))
    return found


def changed(pairs, *tasks):
    return [(ask, worked, other) for ask, worked, other in pairs if other and (ask.question.task in tasks or not tasks)]


def test_nearly_every_thought_can_be_swapped(pairs):
    done = collections.Counter(ask.question.task for ask, _, _ in changed(pairs))
    asked = collections.Counter(ask.question.task for ask, _, _ in pairs)
    assert set(done) == set(TASKS)
    assert all(done[task] >= 0.7 * asked[task] for task in TASKS)


def test_a_swapped_thought_ends_in_another_answer_and_is_of_the_language(pairs):
    for _, worked, other in changed(pairs):
        assert other.answer != worked.answer
        assert other.thought.endswith(other.answer)
        assert encode(other.thought)


def test_what_the_judge_is_given_differs(pairs):
    for ask, worked, other in changed(pairs):
        assert conclusion_cut(ask.question, worked.thought) != conclusion_cut(ask.question, other.thought)


def test_a_swapped_direction_is_the_word_for_its_last_angle(pairs):
    for ask, _, other in changed(pairs):
        if ask.question.family in ('w4', 'w8', 'q4', 'lr', 'lrb', 'a4') and ask.question.task != ROUTE_PLANNING:
            angle, word = other.thought.split()[-2:]
            assert sector(ask.question.family, int(angle.removesuffix('deg'))) == word == other.answer


def test_a_swapped_nearest_is_the_one_with_the_least_distance(pairs):
    for _, _, other in changed(pairs, RELATIVE_DISTANCE):
        words = other.thought.split()
        distances = {words[at + 2]: int(words[at + 1]) for at, word in enumerate(words) if word == 'dist'}
        assert min(distances.values()) == distances[other.answer] == int(words[-2])


def test_a_swapped_instruction_lies_within_the_plan(pairs):
    for ask, _, other in changed(pairs, PROGRESS_EVALUATION):
        assert 1 <= int(other.answer.removeprefix('i')) <= len(ask.question.plan)


def test_an_unsupported_thought_claims_an_answer_and_lacks_what_it_would_rest_on(pairs):
    rng = random.Random(0)
    claimed = collections.Counter()
    for ask, worked, _ in pairs:
        for _ in range(20):
            other = unsupported(rng, ask, worked)
            claims = [answer for answer in possible_answers(ask.question) if other.thought.endswith(answer)]
            kept = other.thought.replace(claims[0], '')
            assert other.answer == NOWHERE and encode(other.thought)
            assert f' q{len(ask.question.objects)} ' not in kept and ' dist ' not in kept and ' rest ' not in kept
            claimed[claims[0] == worked.answer] += 1
    assert 0.1 < claimed[True] / claimed.total() < 0.4


def test_an_unsupported_thought_may_go_as_far_as_the_look_up_before_the_last(pairs):
    rng = random.Random(0)
    thoughts = [unsupported(rng, ask, worked).thought for ask, worked, _ in pairs for _ in range(20)]
    assert any(' r2 ' in thought for thought in thoughts)
    assert any('p0 ' not in thought for thought in thoughts)
