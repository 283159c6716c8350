"""Worked thoughts: their arithmetic is right, they lead to the truth, and they say how near to a border they decide."""

from __future__ import annotations

import collections
import dataclasses
import math
import random
import re

import pytest
from worked import AROUND, check_arithmetic, lies_in

from embodied_r_ros.core.asking import Ask, log_for, tie
from embodied_r_ros.core.coarse import CoarseLog, CoarseSighting, CoarseStep
from embodied_r_ros.core.compact import MAX_STEPS, CompactPrompt, name_tokens, vocabulary
from embodied_r_ros.core.question_words import FAMILIES
from embodied_r_ros.core.questions import TASKS, ParsedQuestion, read_question
from embodied_r_ros.core.records import Completion
from training.lessons import FAMILIES_TAUGHT
from training.world.questions import Examiner, until
from training.world.scene import make_walk
from training.world.thoughts import Worked, border_distance, sector, think
from training.world.views import EXACT, KeyFrameRule, observe


@pytest.fixture(scope='module')
def worked():
    """(asked, parsed, log, thought) of questions of all tasks and families, whether or not the coarse log suffices."""
    found = []
    for seed in range(300, 313):
        rng, walk = random.Random(seed), make_walk(seed, legs=(4, 11))
        observations = observe(walk, KeyFrameRule(), EXACT, rng)
        examiner = Examiner(walk, observations, rng, families=FAMILIES_TAUGHT)
        for task in TASKS:
            asked = examiner.ask(task)
            if asked is None:
                continue
            parsed = read_question(asked.text, asked.choices, examiner.places)
            log = log_for(parsed, until(observations, asked.end_s))
            if len(log.steps) <= MAX_STEPS and set(parsed.objects) <= set(log.where_seen()):
                ask = tie(parsed, log)
                found.append((asked, parsed, log, think(log, ask, name_tokens(log.where_seen()))))
    return found


def test_every_sum_in_a_thought_is_right(worked):
    done = collections.Counter()
    for _, parsed, _, thought in worked:
        done += check_arithmetic(thought.thought, [parsed.family] if parsed.family in FAMILIES else AROUND)
    assert set(done) == {'look-up', 'subtraction', 'angles', 'least', 'rest', 'step'}
    assert min(done.values()) > 25


def test_a_thought_looks_up_each_thing_that_is_asked_about(worked):
    for _, parsed, log, thought in worked:
        names = name_tokens(log.where_seen())
        for number, name in enumerate(parsed.objects, start=1):
            step, _ = log.where_seen()[name]
            assert f'q{number} {names[name]} o{step}' in thought.thought


def test_a_thought_follows_the_log_step_by_step(worked):
    for _, parsed, log, thought in worked:
        if parsed.task != 'appearance order':
            moves = [step for step in log.steps[1:] if step.kind != 'stay' or parsed.task != 'progress evaluation']
            assert len(re.findall(r'(?:^|; )s\d+ ', thought.thought)) == len(moves)


def test_a_thought_ends_in_its_answer(worked):
    for _, _, _, thought in worked:
        assert thought.thought.endswith(thought.answer)
        assert thought.reply == f'<think> {thought.thought} </think> <answer> {thought.answer} </answer>'


def test_a_thought_is_told_in_the_language(worked):
    words = set(vocabulary())
    assert all(set(thought.reply.split()) <= words for _, _, _, thought in worked)


def test_thoughts_on_exact_logs_lead_to_the_truth_but_where_the_grid_is_too_coarse(worked):
    right = [parsed.options.get(thought.answer) == asked.truth for asked, parsed, _, thought in worked]
    assert sum(right) / len(right) > 0.9


def test_thoughts_that_decide_far_from_a_border_are_right(worked):
    enough = {'relative distance': 3, 'appearance order': 1}  # cells, steps; degrees for the rest
    sure = [entry for entry in worked if enough.get(entry[1].task, 30) <= entry[3].margin < math.inf]
    assert len(sure) > len(worked) * 0.4
    assert all(parsed.options[thought.answer] == asked.truth for asked, parsed, _, thought in sure)


@pytest.mark.parametrize('family', FAMILIES)
def test_a_sector_holds_the_angles_around_its_middle(family):
    for angle in range(-360, 720):
        assert lies_in(sector(family, angle), angle, [family])
    assert {sector(family, angle) for angle in range(360)} == set(FAMILIES[family])


@pytest.mark.parametrize('family', FAMILIES)
def test_the_distance_to_a_border_is_that_to_the_next_change_of_word(family):
    for angle in range(0, 360, 7):
        away = next(d for d in range(181) for s in (-1, 1) if sector(family, angle + s * d) != sector(family, angle))
        assert border_distance(family, angle) == pytest.approx(away, abs=1.01)


def log_of(*steps):
    """A log of (kind, amount[, name]) steps; each name is seen two metres straight ahead."""
    return CoarseLog(
        tuple(
            CoarseStep(kind, amount, tuple(CoarseSighting(name, 0, 4, number) for name in names), (number,))
            for number, (kind, amount, *names) in enumerate(steps)
        )
    )


def thought_about(log, **question):
    mirrored, late = question.pop('mirrored', ()), question.pop('late', False)
    return think(log, Ask(ParsedQuestion(**question), mirrored, late), name_tokens(log.where_seen()))


def test_a_mirrored_turn_is_told_to_the_other_side_and_carries_on():
    log = log_of(('start', 0, 'sofa'), ('left', 90), ('forward', 4), ('right', 45))
    thought = thought_about(
        log, task='counterfactual', objects=('sofa',), family='w4', turn=1, side='right', mirrored=(1,)
    )
    assert thought.thought.startswith(
        'p0 0deg 0 0 ; s1 right 90deg p1 90deg 0 0 ; s2 forward 2m 4 0 p2 90deg 4 0 ; s3 right 45deg'
    )
    assert thought.answer == 'behind'  # sofa at 0 4, agent at 4 0 facing 135: the way to it is 315
    assert thought.margin == pytest.approx(45)


def test_a_thing_seen_after_the_supposed_turn_is_placed_from_the_way_taken_and_looked_for_from_the_other():
    log = log_of(('start', 0, 'sofa'), ('forward', 2), ('left', 90, 'desk'), ('forward', 4))
    thought = thought_about(
        log, task='counterfactual', objects=('desk',), family='w4', turn=1, side='right', mirrored=(2,), late=True
    )
    track, looked_up, other, *_ = thought.thought.split(' . ')
    assert track.endswith('s3 forward 2m -4 0 p3 270deg -4 2')
    assert looked_up.endswith('o2 ahead 2m p2 270deg 0 2 = 270deg -4 0 r1 -4 2')
    assert other == 'p1 0deg 0 2 ; s2 right 90deg p2 90deg 0 2 ; s3 forward 2m 4 0 p3 90deg 4 2'
    assert thought.answer == 'behind'
    assert check_arithmetic(thought.thought)['step'] == 5


PLAN = (('forward', 4), ('right', 90), ('forward', 6))


@pytest.mark.parametrize(
    ('steps', 'now'),
    [
        ([], 1),
        ([('forward', 2)], 1),
        ([('forward', 4)], 2),
        ([('forward', 2), ('stay', 0), ('forward', 1)], 1),
        ([('forward', 4), ('right', 45)], 2),
        ([('forward', 3), ('right', 45)], 2),
        ([('forward', 4), ('right', 45), ('right', 45)], 3),
        ([('forward', 4), ('right', 90), ('forward', 2)], 3),
        ([('forward', 4), ('right', 90), ('forward', 9)], 3),
        ([('forward', 4), ('right', 90), ('forward', 6), ('left', 15)], 3),
    ],
    ids=[
        'not begun', 'midway', 'just done', 'with a stay', 'turning', 'begun early', 'turned', 'last', 'beyond',
        'after the end',
    ],
)  # fmt: skip
def test_progress_is_counted_instruction_by_instruction(steps, now):
    thought = thought_about(log_of(('start', 0), *steps), task='progress evaluation', plan=PLAN)
    assert thought.answer == f'i{now}'
    check_arithmetic(thought.thought)


def test_the_nearest_is_the_one_of_least_rounded_distance():
    log = log_of(('start', 0, 'sofa'), ('forward', 2, 'desk'), ('forward', 6, 'lamp'))
    thought = thought_about(log, task='relative distance', objects=('sofa', 'desk', 'lamp'))
    assert thought.thought.endswith('r2 0 6 - r1 0 4 = 0 2 dist 2 q2 ; r3 0 12 - r1 0 4 = 0 8 dist 8 q3 . min 2 q2')
    assert (thought.answer, thought.margin) == ('q2', 6)


def test_an_order_is_sorted_by_taking_the_least_of_the_rest():
    log = log_of(('start', 0, 'sofa'), ('forward', 2, 'desk'), ('forward', 6, 'lamp'))
    thought = thought_about(log, task='appearance order', objects=('lamp', 'sofa', 'desk'), family='order')
    assert thought.answer == 'q2 q3 q1'
    assert check_arithmetic(thought.thought)['least'] == 3
    assert thought.margin == 1


def test_what_came_first_needs_one_look_for_the_least():
    log = log_of(('start', 0, 'sofa'), ('forward', 2), ('forward', 6, 'lamp'))
    thought = thought_about(log, task='appearance order', objects=('lamp', 'sofa'), family='first')
    assert (thought.answer, thought.margin) == ('q2', 2)
    assert check_arithmetic(thought.thought)['least'] == 1


def test_every_worked_thought_follows_its_log_and_one_that_ends_early_does_not(worked):
    late = set()
    for _, parsed, log, _ in worked:
        names = name_tokens(log.where_seen())
        others = [(name,) for name in log.where_seen()] if parsed.task == 'counterfactual' else [parsed.objects]
        for objects in others:
            ask = tie(dataclasses.replace(parsed, objects=objects), log)
            thought, prompt = think(log, ask, names), CompactPrompt('', ask, log, names)
            assert prompt.read(Completion(text=thought.reply)).astray == ''
            early = Worked(' '.join(thought.thought.split()[:2]), thought.answer)
            assert bool(prompt.read(Completion(text=early.reply)).astray) == (thought.thought != '. now i1')
            late.add(ask.late)
    assert late == {False, True}
