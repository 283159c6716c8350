"""Questions about simulated walks: each answer agrees with plain geometry done here anew, and nothing gives it away."""

from __future__ import annotations

import collections
import math
import random
import re

import pytest

from embodied_r_ros.core.question_words import FAMILIES
from embodied_r_ros.core.questions import TASKS
from training.world.drafts import LONG_STEP, plan_of, true_word, turn_groups
from training.world.path import Leg, Path
from training.world.questions import Examiner, Tally, questions_about, until
from training.world.scene import Scene, Walk, make_walk
from training.world.views import EXACT, KeyFrameRule, observe

RULE = KeyFrameRule()
WALKS = 16
CLEAR_DEG, CLEAR_RATIO, CLEAR_GAP_M = 12.0, 1.3, 0.75


def posed(seeds=range(WALKS), asked=None, tally=None):
    """(walk, observations, sample) of a question of each task about each walk."""
    asked = collections.Counter() if asked is None else asked
    found = []
    for seed in seeds:
        walk = make_walk(seed)
        observations = observe(walk, RULE, EXACT, random.Random(0))
        for entry in questions_about(walk, observations, TASKS, random.Random(f'test {seed}'), asked, tally):
            found.append((walk, observations, entry))
    return found


@pytest.fixture(scope='module')
def exam():
    """The questions about all walks, and how often each target was asked for."""
    asked = collections.Counter()
    return posed(asked=asked), asked


@pytest.fixture(scope='module')
def questions(exam):
    return exam[0]


def about(questions, *tasks):
    chosen = [entry for entry in questions if entry[2]['category'] in tasks]
    assert len(chosen) > WALKS // 2 * len(tasks)
    return chosen


def truth(sample):
    return sample['choices']['ABCDEFGH'.index(sample['answer'])]


def places(walk):
    return {thing.name: complex(*thing.center_m[:2]) for thing in walk.scene.objects}


def named(walk, text):
    """The things of a walk that a text names, in its order."""
    found = {}
    for name in sorted(places(walk), key=len, reverse=True):
        for match in re.finditer(rf'(?<![\w-]){re.escape(name)}(?![\w-])', text):
            found[match.start()] = name
            text = text[: match.start()] + '#' * len(name) + text[match.end() :]
    return list(dict.fromkeys(name for _, name in sorted(found.items())))


def end_of(path, flipped=None):
    """Position and heading (both complex) after a walk, with one leg's turn to the other side."""
    at, way = 0j, 1 + 0j
    for number, leg in enumerate(path.legs):
        if leg.kind == 'turn':
            angle = math.radians(leg.amount)
            way *= complex(math.cos(angle), math.sin(angle) * (-1 if number == flipped else 1))
        elif leg.kind == 'forward':
            at += way * leg.amount
    return at, way


def degrees_right(towards, way):
    """How far to the right of a heading something lies, -180 to 180 degrees."""
    seen = towards / way
    return math.degrees(math.atan2(-seen.imag, seen.real))


def side(towards, way):
    """Which of 'ahead', 'right', 'behind', 'left' something is, and by how many degrees it is clear of the next."""
    angle = degrees_right(towards, way)
    word = 'ahead' if abs(angle) < 45 else 'behind' if abs(angle) > 135 else 'right' if angle > 0 else 'left'
    return word, min(abs(abs(angle) - 45), abs(abs(angle) - 135))


def says(choice):
    """The plain sides that a choice names."""
    words = {'front': 'ahead', 'straight': 'ahead', 'forward': 'ahead', 'back': 'behind', 'around': 'behind'}
    named = {words.get(word, word) for word in re.findall(r'[a-z]+', choice)}
    return named & {'ahead', 'right', 'behind', 'left'}


def test_every_task_is_asked(questions):
    counts = collections.Counter(sample['category'] for _, _, sample in questions)
    assert set(counts) == set(TASKS)
    assert min(counts.values()) > WALKS * 0.7


def test_a_sample_holds_what_a_sample_holds(questions):
    for walk, _, sample in questions:
        assert set(sample) - {'end_s'} == {'source', 'scene', 'category', 'question', 'choices', 'answer'}
        assert sample['scene'] == f'world-{walk.scene.seed}'
        assert len(set(sample['choices'])) == len(sample['choices']) >= 2


def test_what_is_asked_about_was_seen(questions):
    for walk, observations, sample in questions:
        text = '; '.join(observation.view for observation in observations)
        for name in named(walk, sample['question']):
            assert re.search(rf'(^|; ){re.escape(name)} ', text)


def test_a_thing_is_where_the_answer_says(questions):
    for walk, _, sample in about(questions, 'landmark position', 'action generation'):
        (name,) = named(walk, sample['question'])
        at, way = end_of(walk.path)
        word, clear_deg = side(places(walk)[name] - at, way)
        assert says(truth(sample)) == {word}
        assert clear_deg >= CLEAR_DEG - 1e-6
        assert abs(places(walk)[name] - at) >= 1.0


def test_a_turn_to_the_other_side_leads_where_the_answer_says(questions):
    ordinals = dict(zip('first second third fourth fifth sixth seventh eighth'.split(), range(8)))
    for walk, _, sample in about(questions, 'counterfactual'):
        (name,) = named(walk, sample['question'])
        turns = turn_groups(walk.path)
        ordinal = re.search(r'(\w+) turn\b', sample['question'])[1]
        (leg,) = turns[-1 if ordinal == 'last' else ordinals[ordinal]]
        supposed = re.search(r'\b(left|right)\b', sample['question'])[1]
        assert (walk.path.legs[leg].amount > 0) == (supposed == 'right')
        at, way = end_of(walk.path, flipped=leg)
        word, clear_deg = side(places(walk)[name] - at, way)
        assert says(truth(sample)) == {word}
        assert clear_deg >= CLEAR_DEG - 1e-6


def test_what_a_counterfactual_is_about_was_seen_before_the_turn(questions):
    for walk, observations, sample in about(questions, 'counterfactual'):
        (name,) = named(walk, sample['question'])
        turns = turn_groups(walk.path)
        ordinal = re.search(r'(\w+) turn\b', sample['question'])[1]
        number = (
            -1 if ordinal == 'last' else 'first second third fourth fifth sixth seventh eighth'.split().index(ordinal)
        )
        start_s = walk.path.times_s[turns[number][0]]
        seen = until(observations, start_s)
        assert any(re.search(rf'(^|; ){re.escape(name)} ', observation.view) for observation in seen)


def test_the_instruction_under_way_is_the_answer(questions):
    for walk, _, sample in about(questions, 'progress evaluation'):
        merged = []
        for leg, start_s, end_s in zip(walk.path.legs, walk.path.times_s, walk.path.times_s[1:]):
            if leg.kind == 'climb':
                continue
            if merged and merged[-1][0] == leg.kind:
                merged[-1] = (leg.kind, merged[-1][1] + leg.amount, merged[-1][2], end_s)
            else:
                merged.append((leg.kind, leg.amount, start_s, end_s))
        told = re.findall(r'(\d+)\. (go forward|turn left|turn right) ([\d.]+) (?:m|degrees)', sample['question'])
        assert [int(number) for number, _, _ in told] == list(range(1, len(merged) + 1))
        for (_, verb, size), (kind, amount, _, _) in zip(told, merged):
            assert verb == ('go forward' if kind == 'forward' else 'turn left' if amount > 0 else 'turn right')
            assert float(size) == abs(amount)
        (now,) = (n for n, (_, _, start_s, end_s) in enumerate(merged, 1) if start_s < sample['end_s'] <= end_s)
        assert truth(sample) == f'step {now}'


def test_all_choices_of_progress_are_steps_that_might_have_been_asked(questions):
    for walk, _, sample in about(questions, 'progress evaluation'):
        plan = plan_of(walk.path)
        numbers = [int(choice.removeprefix('step ')) for choice in sample['choices']]
        assert all(abs(plan[number - 1].amount) >= LONG_STEP[plan[number - 1].kind] for number in numbers)
        assert 3 <= len(numbers) <= 4


def test_the_nearest_is_nearest_by_a_clear_margin(questions):
    for walk, _, sample in about(questions, 'relative distance'):
        anchor = named(walk, sample['question'])[0]
        away = {c: abs(places(walk)[c.removeprefix('the ')] - places(walk)[anchor]) for c in sample['choices']}
        nearest, second = sorted(away.values())[:2]
        assert away[truth(sample)] == nearest
        assert second >= nearest * CLEAR_RATIO
        assert second - nearest >= CLEAR_GAP_M


def test_a_thing_lies_on_the_answers_side_for_one_who_stands_there(questions):
    for walk, _, sample in about(questions, 'relative direction'):
        at, faced, sought = (places(walk)[name] for name in named(walk, sample['question']))
        angle = degrees_right(sought - at, faced - at)
        words = set().union(*map(says, sample['choices']))
        told = says(truth(sample))
        if len(told) == 2:
            assert told == {'ahead' if abs(angle) < 90 else 'behind', 'right' if angle > 0 else 'left'}
            borders = (0, 90, 180)
        elif words == {'left', 'right'}:
            assert told == {'right' if angle > 0 else 'left'}
            borders = (0, 180)
        else:
            assert told == {'behind' if abs(angle) > 135 else 'right' if angle > 0 else 'left'}
            borders = (0, 135)
        assert min(abs(abs(angle) - border) for border in borders) >= CLEAR_DEG - 1e-6


def test_the_turns_of_a_route_are_the_answer(questions):
    for walk, _, sample in about(questions, 'route planning'):
        a, b, c, d = (places(walk)[name] for name in named(walk, sample['question']))
        turns = [degrees_right(c - b, b - a), degrees_right(d - c, c - b)]
        assert truth(sample) == ', then '.join('right' if turn > 0 else 'left' for turn in turns)
        assert all(CLEAR_DEG - 1e-6 <= abs(turn) <= 135 - CLEAR_DEG + 1e-6 for turn in turns)


def test_things_came_into_view_in_the_order_of_the_answer(questions):
    for walk, observations, sample in about(questions, 'appearance order'):
        first = {}
        for position, observation in enumerate(observations):
            for name in places(walk):
                if re.search(rf'(^|; ){re.escape(name)} ', observation.view):
                    first.setdefault(name, position)
        order = truth(sample).split(', ')
        assert [first[name] for name in order] == sorted({first[name] for name in order})
        assert set(order) == set(named(walk, sample['question']))
        assert all(sorted(choice.split(', ')) == sorted(order) for choice in sample['choices'])


def test_no_answer_is_likelier_than_another(exam):
    questions, asked = exam
    for task in ('landmark position', 'action generation', 'route planning', 'counterfactual'):
        counts = [count for target, count in asked.items() if target[:1] == (task,)]
        assert len(counts) in (4, 8)
        assert max(counts) - min(counts) <= 3
    letters = collections.Counter(sample['answer'] for _, _, sample in questions if len(sample['choices']) == 4)
    assert set(letters) == set('ABCD')
    assert max(letters.values()) < 1.6 * min(letters.values())


def test_the_same_dice_pose_the_same_questions():
    assert [sample for _, _, sample in posed([3, 4])] == [sample for _, _, sample in posed([3, 4])]


def test_no_two_questions_about_a_walk_are_alike():
    walk = make_walk(11)
    observations = observe(walk, RULE, EXACT, random.Random(0))
    texts = [q['question'] for q in questions_about(walk, observations, TASKS * 4, random.Random(1))]
    assert len(set(texts)) == len(texts) > 16


def test_what_was_kept_and_dropped_is_counted():
    tally = Tally()
    kept = posed(range(5), tally=tally)
    assert tally.kept == len(kept)
    assert tally.none >= 5 * len(TASKS) - len(kept)


@pytest.mark.parametrize('task', TASKS)
def test_a_walk_that_shows_nothing_has_no_question(task):
    walk = Walk(
        scene=Scene(seed=0, kind='room', objects=(), bounds_m=(-5, -5, 5, 5)),
        path=Path((Leg(kind='forward', amount=3.0),)),
    )
    observations = observe(walk, RULE, EXACT, random.Random(0))
    assert Examiner(walk, observations, random.Random(0)).ask(task) is None


@pytest.mark.parametrize('family', FAMILIES)
def test_a_direction_near_a_border_has_no_true_word(family):
    margin = CLEAR_DEG / 2 if family == 'w8' else CLEAR_DEG
    words = [true_word(family, angle / 2) for angle in range(720)]
    assert {word for word in words if word} == set(FAMILIES[family])
    edges = [i for i in range(720) if words[i] and words[i - 1] is None]
    assert words.count(None) == pytest.approx(len(edges) * 4 * margin, abs=2 * len(edges))


def test_turns_with_only_a_climb_between_them_are_one():
    legs = [('turn', 90.0), ('climb', 0.5), ('turn', 30.0), ('forward', 1.0), ('turn', -90.0), ('forward', 1.0)]
    assert turn_groups(Path(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs))) == [[0, 2], [4]]


def test_a_plan_leaves_climbs_out_and_sums_up_what_they_parted():
    legs = [('forward', 1.0), ('climb', 0.5), ('forward', 2.0), ('turn', 90.0)]
    plan = plan_of(Path(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs)))
    assert [(step.kind, step.amount) for step in plan] == [('forward', 3.0), ('turn', 90.0)]


def test_a_plan_whose_turns_run_into_each_other_is_none():
    legs = [('turn', 90.0), ('climb', 0.5), ('turn', -30.0)]
    assert plan_of(Path(tuple(Leg(kind=kind, amount=amount) for kind, amount in legs))) is None


def test_observations_are_cut_at_a_moment():
    observations = observe(make_walk(1), RULE, EXACT, random.Random(0))
    start_ns = observations[0].stamp_ns
    assert [o.index for o in until(observations, 5.0)] == [
        o.index for o in observations if o.stamp_ns - start_ns <= 5e9
    ]
    assert until(observations, math.inf) == observations
