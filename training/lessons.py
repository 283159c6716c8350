"""Token sequences to learn from: questions about simulated walks with worked thoughts, consistency checks, drills."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.asking import Ask, log_for, tie, understood
from embodied_r_ros.core.coarse import ANGLE_DEG, MAX_DISTANCE_CELLS, CoarseLog
from embodied_r_ros.core.compact import (
    BOS,
    EOS,
    MAX_NAMES,
    MAX_STEPS,
    CompactFormat,
    name_tokens,
    vocabulary,
    write_ask,
    write_check,
    write_log,
)
from embodied_r_ros.core.errors import CannotTell, InputError, ReplyError
from embodied_r_ros.core.questions import TASKS, ParsedQuestion, read_question
from embodied_r_ros.core.reasoning import ReasoningSettings, choose
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.evaluation.samples import Sample, to_observations
from training.prompts import ask_sample
from training.world.drafts import FAMILIES_ASKED
from training.world.drills import carried_out, drill
from training.world.nouns import NOUNS
from training.world.questions import Examiner, until
from training.world.scene import Walk, make_walk
from training.world.swaps import swapped, unsupported
from training.world.thoughts import Worked, think
from training.world.views import EXACT, EYES, ROBOT, WITHOUT_ODOMETRY, KeyFrameRule, key_stations, observe

TOKEN_IDS = {token: index for index, token in enumerate(vocabulary())}
QUESTIONS_PER_WALK = 6
DRILL_SHARE, PLAN_SHARE, CHECK_SHARE, NOISY_SHARE, VARIED_SHARE = 0.20, 0.03, 0.20, 0.6, 0.3
# Of the checks; the others show worked thoughts.
SWAPPED_SHARE, UNSUPPORTED_SHARE = 0.4, 0.25
LEGS = ((2, 5), (5, 8), (8, 11), (8, 11), (11, 15), (15, 22))
THINGS = ((5, 14), (5, 14), (14, 24))
REACH_M = (7.0, 8.0)
VIEW_DEG = (60.0, 150.0)
CIRCLING_SHARE, CIRCLES = 0.2, 0.4
ALIKE_SHARE, MOST_ALIKE = 0.3, 4
# Some walks are broken off after so many observations at most, at a number drawn log-uniformly, and some way on.
CUT_SHARE, LONGEST_CUT, STILL = 0.42, 20, 1.5

FAMILIES_TAUGHT = {
    **FAMILIES_ASKED,
    forms.LANDMARK_POSITION: ('w4',) * 6 + ('w8',) * 3 + ('q4', 'lr', 'lrb'),
    forms.COUNTERFACTUAL: ('w4',) * 6 + ('w8',) * 3 + ('q4',),
    forms.RELATIVE_DIRECTION: ('q4',) * 4 + ('lr',) * 2 + ('lrb',) * 2 + ('w4', 'w8'),
}


@dataclasses.dataclass(frozen=True)
class Lesson:
    """Token ids; the first `given` are the prompt, and it is not learnt, nor are the places `dice` behind it."""

    ids: tuple[int, ...]
    given: int
    dice: tuple[int, ...] = ()


def encode(text: str) -> list[int]:
    """Token ids of a text in the compact language.

    Raises:
        KeyError: it holds a word that the language lacks.
    """
    return [TOKEN_IDS[word] for word in text.split()]


def lessons(seed: str) -> Iterator[Lesson]:
    """An endless stream of lessons; their walks have seeds below 0, which no evaluation has."""
    rng = random.Random(seed)
    asked: collections.Counter[tuple[str, ...]] = collections.Counter()
    while True:
        for lesson in _about_one_walk(rng, asked):
            yield lesson
            if rng.random() < DRILL_SHARE:
                with contextlib.suppress(KeyError):  # a place beyond the numbers that the language has
                    yield drilled(drill(rng))
            if rng.random() < PLAN_SHARE:
                yield _lesson(rng, *carried_out(rng), {})


def drilled(text: str) -> Lesson:
    """A lesson of which nothing is learnt but what stands in brackets.

    Raises:
        KeyError: it holds a word that the language lacks.
    """
    ids, dice, derived = [TOKEN_IDS[BOS]], [], False
    for word in text.split():
        if word in ('[', ']'):
            derived = word == '['
            continue
        if not derived:
            dice.append(len(ids))
        ids.append(TOKEN_IDS[word])
    return Lesson((*ids, TOKEN_IDS[EOS]), 2, tuple(dice))


def lessons_of(samples: Sequence[Sample], seed: str) -> Iterator[Lesson]:
    """Lessons about samples, without end, in a new order each time round.

    A sample with `replies` is taught by one of them at a time, another by a worked thought on what was seen. Only
    thoughts that come to the sample's answer are worked out; what was seen wrongly leads others astray.

    Raises:
        InputError: no thought comes to the answer of its sample, and there are no replies that can be taught.
    """
    rng = random.Random(seed)
    makers = [found for found in map(_maker, samples) if found is not None]
    if not makers:
        raise InputError(f'none of {len(samples)} samples can be worked out from its observations; take other ones')
    while True:
        rng.shuffle(makers)
        for make in makers:
            yield make(rng)


def _maker(sample: Sample) -> Callable[[random.Random], Lesson] | None:
    """What makes lessons about a sample; None where there is nothing to teach."""
    if 'replies' in sample:
        replied = _replied(sample)
        return (lambda rng: rng.choice(replied)) if replied else None
    worked = _worked_out(sample)
    if worked is None:
        return None
    log, parsed = worked
    return lambda rng: _lesson(rng, log, parsed, _name_slots(rng, log.where_seen()))


def _replied(sample: Sample) -> list[Lesson]:
    """A lesson for each reply that a sample holds; none where a word is not of the compact language."""
    try:
        given = [TOKEN_IDS[BOS], *encode(ask_sample(sample, CompactFormat()).messages[-1].content)]
        return [Lesson((*given, *encode(reply), TOKEN_IDS[EOS]), len(given)) for reply in sample['replies']]
    except (InputError, KeyError):
        return []


def _worked_out(sample: Sample) -> tuple[CoarseLog, ParsedQuestion] | None:
    """What is needed to teach a sample; None where a worked thought does not come to its answer."""
    question = Question(text=sample['question'], choices=tuple(sample['choices']))
    try:
        seen = choose(question, to_observations(sample), ReasoningSettings().max_observations)
        prompt = CompactFormat().ask(question, seen)
        parsed, log = understood(question.text, question.choices, seen)
        worked = think(log, tie(parsed, log), name_tokens(log.where_seen()))
        encode(worked.thought)
        answer = prompt.read(Completion(text=worked.reply)).answer
    except (InputError, ReplyError, KeyError):
        return None
    right = match_choice(answer, question.choices) == ord(sample['answer']) - ord('A')
    return (log, parsed) if right else None


def _about_one_walk(rng: random.Random, asked: collections.Counter[tuple[str, ...]]) -> Iterator[Lesson]:
    circles = CIRCLES if rng.random() < CIRCLING_SHARE else 0.0
    nouns = _some_alike(rng) if rng.random() < ALIKE_SHARE else NOUNS
    whole = make_walk(-rng.randrange(1, 2**40), rng.choice(LEGS), rng.choice(THINGS), (2.0, 60.0), nouns, circles)
    rule, reach_m = KeyFrameRule.draw(rng), rng.uniform(*REACH_M)
    half_view_rad = math.radians(rng.uniform(*VIEW_DEG)) / 2
    exact = dataclasses.replace(EXACT, reach_m=reach_m)
    walk = _broken_off(rng, whole, rule) if rng.random() < CUT_SHARE else whole
    truth = observe(walk, rule, exact, random.Random(0), half_view_rad)
    noise = dataclasses.replace(rng.choice([ROBOT, EYES, WITHOUT_ODOMETRY]), reach_m=reach_m)
    observations = observe(walk, rule, noise, rng, half_view_rad) if rng.random() < NOISY_SHARE else truth
    examiner = Examiner(walk, truth, rng, asked, FAMILIES_TAUGHT, aside_deg=math.degrees(half_view_rad))
    planner = Examiner(whole, truth, rng, asked)
    names = _name_slots(rng, examiner.places)
    for _ in range(QUESTIONS_PER_WALK):
        task = rng.choice(TASKS)
        question = (planner if task == forms.PROGRESS_EVALUATION else examiner).ask(task)
        if question is None:
            continue
        asked[question.target] += 1
        parsed = read_question(question.text, question.choices, examiner.places)
        log = log_for(parsed, until(observations, question.end_s))
        if len(log.steps) > MAX_STEPS:
            continue
        try:
            parsed = _varied(rng, parsed, log) if rng.random() < VARIED_SHARE else parsed
            yield _lesson(rng, log, parsed, names)
        except (CannotTell, KeyError):  # nothing to ask about, or a place beyond the numbers that the language has
            continue


def _some_alike(rng: random.Random) -> list[str]:
    """Nouns of which some stand for several things, told apart by number."""
    nouns = rng.sample(NOUNS, THINGS[-1][1])
    alike = [(noun, number) for noun in nouns for number in range(1, rng.randint(1, MOST_ALIKE) + 1)]
    return [noun if number == 1 else f'{noun} {number}' for noun, number in alike]


def _broken_off(rng: random.Random, walk: Walk, rule: KeyFrameRule) -> Walk:
    """The walk as far as some moment, most often early."""
    moments_s = [moment_s for moment_s, _ in key_stations(walk, rule)]
    count = min(int(LONGEST_CUT ** rng.random()), len(moments_s) - 1)
    before_s, after_s = moments_s[count - 1 : count + 1]
    on_s = max(0.0, rng.uniform(-STILL, 1.0)) * (after_s - before_s)
    return dataclasses.replace(walk, path=walk.path.until(before_s + on_s))


def _name_slots(rng: random.Random, names: Iterable[str]) -> dict[str, str]:
    listed = list(names)
    return {name: f'n{slot}' for name, slot in zip(listed, rng.sample(range(MAX_NAMES), len(listed)))}


def _lesson(rng: random.Random, log: CoarseLog, parsed: ParsedQuestion, names: dict[str, str]) -> Lesson:
    ask = tie(parsed, log)
    worked = think(log, ask, names)
    if rng.random() < CHECK_SHARE:
        judged = _to_judge(rng, ask, worked)
        prompt, reply = write_check(ask, names, judged.thought), f'<answer> {judged.answer} </answer>'
    else:
        prompt, reply = f'{write_log(log, names)} {write_ask(ask, names)}', worked.reply
    given = [TOKEN_IDS[BOS], *encode(prompt)]
    return Lesson((*given, *encode(reply), TOKEN_IDS[EOS]), len(given))


def _to_judge(rng: random.Random, ask: Ask, worked: Worked) -> Worked:
    """The worked thought, or one changed so that it leads elsewhere or nowhere."""
    drawn = rng.random()
    if drawn < UNSUPPORTED_SHARE:
        return unsupported(rng, ask, worked)
    other = swapped(rng, ask, worked) if drawn < UNSUPPORTED_SHARE + SWAPPED_SHARE else None
    return other or worked


def _varied(rng: random.Random, parsed: ParsedQuestion, log: CoarseLog) -> ParsedQuestion:
    """The same kind of question with fewer things, about which came first, on a plan that was not kept to, or about any
    thing instead of one seen before the turn."""
    if parsed.task == forms.COUNTERFACTUAL:
        return dataclasses.replace(parsed, objects=(_seen_late(rng, log) or parsed.objects[0],))
    if parsed.task == forms.APPEARANCE_ORDER:
        kept = parsed.objects[: rng.randint(2, len(parsed.objects))]
        return dataclasses.replace(parsed, objects=kept, family=rng.choice(['order', 'first']), options={})
    if parsed.task == forms.PROGRESS_EVALUATION:
        return dataclasses.replace(parsed, plan=tuple(_misjudged(rng, kind, size) for kind, size in parsed.plan))
    if parsed.task == forms.RELATIVE_DISTANCE:
        return dataclasses.replace(parsed, objects=parsed.objects[: rng.randint(3, len(parsed.objects))], options={})
    return parsed


def _seen_late(rng: random.Random, log: CoarseLog) -> str:
    """The one of two things that was seen later; '' where none was seen."""
    seen = log.where_seen()
    return max(rng.choices(list(seen), k=2), key=lambda name: seen[name][0]) if seen else ''


def _misjudged(rng: random.Random, kind: str, size: int) -> tuple[str, int]:
    """An instruction with its size off by up to two of the smallest parts that are told apart."""
    unit, most = (1, MAX_DISTANCE_CELLS) if kind == 'forward' else (ANGLE_DEG, 360 - ANGLE_DEG)
    return kind, min(max(size + unit * rng.choice((-2, -1, 0, 0, 1, 2)), unit), most)
