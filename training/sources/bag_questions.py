"""Questions made from a robot's own run: labels from odometry and triangulated things, nothing after the moment asked.

Odometry makes the label of every task but the order of appearance, so the observations that go with the others are to
be perceived without it (`media.odometry`).
"""

from __future__ import annotations

import collections
import dataclasses
import math
import random
import string

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.errors import CannotTell, UnsupportedQuestion
from embodied_r_ros.core.questions import TASKS, read_question
from embodied_r_ros.evaluation.samples import Sample
from training.sources.bag_legs import HALF_TURN_DEG, MeasuredPath, measured_path
from training.sources.bag_run import Run, glimpses_s, triangulate
from training.world.drafts import FAMILIES_ASKED, LONG_STEP, Draft, instruction
from training.world.path import Leg
from training.world.questions import Asked, Examiner
from training.world.scene import Scene, Walk
from training.world.truth import ORDER_S, Ground, verdict

# A robot is asked where it is while it stands or goes straight: its last key frame may be a little older than that.
CALM_S, CALM_DEG = 0.5, 3.0
EARLIEST_SHARE = 0.35
MOMENTS, MOMENTS_APART_S = 4, 1.0
TRIES = 12

LONG_STEPS = 4
UNDER_WAY = (0.35, 0.65)
INSTRUCTED_M = tuple(number / 4 for number in range(3, 17))
INSTRUCTED_DEG = (30, 45, 45, 60, 75, 90, 90, 90, 90, 105, 120, 135, 135, 150)

Counts = collections.Counter[tuple[str, ...]]


class BagExaminer(Examiner):
    """Asks about a run as far as it had come.

    Args:
        run: cut off at the moment at which it is asked about.
        path: the legs of its way; None where it was not made of legs.
        rng: draws things and wordings.
        asked: how often each target was asked for; the rarest is looked for first.
    """

    def __init__(self, run: Run, path: MeasuredPath | None, rng: random.Random, asked: Counts) -> None:
        self.measured, self.rng, self.asked, self.families = path, rng, asked, FAMILIES_ASKED
        scene = Scene(seed=0, kind='bag', objects=(), bounds_m=(0.0, 0.0, 0.0, 0.0))
        self.path = path or MeasuredPath(())
        self.walk = Walk(scene=scene, path=self.path)
        self.places, self.left_out = triangulate(run.detections)
        self.seen = sorted(self.places)
        self.first_s = {one.name: one.t_s for one in reversed(run.detections) if one.name in self.places}
        self.glimpsed_s = glimpses_s(run, self.places)
        moments_s = sorted({0.0, *self.first_s.values()})
        self.stamps_ns = [round(moment_s * 1e9) for moment_s in moments_s]
        self.first_frame = {name: moments_s.index(first_s) for name, first_s in self.first_s.items()}
        self.now_s, self.path, self.end = run.length_s, self.walk.path, run.stations[-1]
        self.ground = Ground(
            places={name.lower(): place for name, place in self.places.items()},
            here=self.end,
            legs=self.walk.path.legs,
            first_s={name.lower(): first_s for name, first_s in self.first_s.items()},
        )

    def surely_before(self, earlier: str, later: str) -> bool:
        """Whether one thing was seen well before another might have been."""
        return self.glimpsed_s.get(later, 0.0) - self.first_s[earlier] >= ORDER_S

    def draft(self, task: str) -> Draft | None:
        """As for a simulated walk, but for what the legs must be."""
        path = self.measured
        if task == forms.PROGRESS_EVALUATION:
            return None if path is None else _progress(self, path)
        turning = path is None or path.last_kind == 'turn' or any(abs(leg.amount) > HALF_TURN_DEG for leg in path.legs)
        return None if task == forms.COUNTERFACTUAL and turning else super().draft(task)

    def is_clear(self, question: Asked) -> bool:
        """Whether the answer is that of the words that are asked, and far enough from any other."""
        try:
            parsed = read_question(question.text, question.choices, self.ground.places)
            found = verdict(parsed, self.ground)
        except (UnsupportedQuestion, CannotTell):
            return False
        return found.clearance >= 1.0 and parsed.options.get(found.answer) == question.truth


def _progress(examiner: BagExaminer, path: MeasuredPath) -> Draft | None:
    """A plan whose beginning was driven, whose step under way is longer than what was driven of it, and whose rest is
    made up: what came later is not known at that moment. All choices are long steps, so that none is likelier."""
    if not path.legs:
        return None
    rng = examiner.rng
    steps = [_rounded(leg) for leg in path.legs]
    last = path.legs[-1]
    steps[-1] = _rounded(dataclasses.replace(last, amount=last.amount / rng.uniform(*UNDER_WAY)))
    now, long = len(steps), [n for n, step in enumerate(steps, start=1) if _is_long(step)]
    if now not in long or len(long) > LONG_STEPS:
        return None
    while len(long) < LONG_STEPS:
        kind = 'forward' if steps[-1].kind == 'turn' else 'turn'
        size = rng.choice(INSTRUCTED_M) if kind == 'forward' else rng.choice((-1, 1)) * rng.choice(INSTRUCTED_DEG)
        steps.append(Leg(kind=kind, amount=float(size)))
        long += [len(steps)] if _is_long(steps[-1]) else []
    text = '; '.join(f'{number}. {instruction(step)}' for number, step in enumerate(steps, start=1))
    target = (forms.PROGRESS_EVALUATION, str(long.index(now)))
    return Draft((), tuple(f'step {number}' for number in long), f'step {now}', {'plan': text}, target)


def _rounded(leg: Leg) -> Leg:
    """A leg as one would be told to go it."""
    step = 0.25 if leg.kind == 'forward' else 15.0
    return Leg(kind=leg.kind, amount=round(leg.amount / step) * step)


def _is_long(leg: Leg) -> bool:
    return abs(leg.amount) >= LONG_STEP[leg.kind]


def questions_of(run: Run, wanted: int, rng: random.Random, asked: Counts, tally: Counts) -> list[Sample]:
    """Questions about a run at several moments of it, no two alike.

    Args:
        run: all of it.
        wanted: most questions; each task gets as many of them as another, where the run has them.
        rng: draws moments, things and wordings.
        asked: how often each target and letter was asked for in other runs; the rarest is looked for first.
        tally: counts, for each task, what was 'kept' and why the rest was not.

    Returns:
        Samples without id, source, scene and split; none where no thing was seen often enough.
    """
    path = measured_path(run)
    calm = [_examiner(run, moment_s, rng, asked) for moment_s in calm_moments(run, rng)]
    samples: list[Sample] = []
    known: set[tuple[str, float]] = set()
    for number in range(wanted):
        task = TASKS[number % len(TASKS)]
        for _ in range(TRIES):
            examiners = _under_way(run, path, rng, asked) if task == forms.PROGRESS_EVALUATION else calm
            examiner = rng.choice(examiners) if examiners else None
            question = examiner.ask(task) if examiner else None
            if examiner is None or question is None:
                reason = 'not there'
            elif not examiner.is_clear(question):
                reason = 'near a border'
            elif (question.text, examiner.now_s) in known:
                reason = 'asked before'
            else:
                reason = 'kept'
                known.add((question.text, examiner.now_s))
                samples.append(_sample(run, question, examiner.now_s, rng, asked))
            tally[task, reason] += 1
            if reason == 'kept':
                break
    return samples


def calm_moments(run: Run, rng: random.Random) -> list[float]:
    """Moments at which the robot stands or goes straight, some seconds apart, in their order."""
    grid = [index * CALM_S / 2 for index in range(int(run.length_s / CALM_S * 2) + 1)]
    calm = [moment_s for moment_s in grid if moment_s >= EARLIEST_SHARE * run.length_s and _is_calm(run, moment_s)]
    kept: list[float] = []
    for moment_s in rng.sample(calm, len(calm)):
        if len(kept) < MOMENTS and all(abs(moment_s - other) >= MOMENTS_APART_S for other in kept):
            kept.append(moment_s)
    return sorted(kept)


def _is_calm(run: Run, moment_s: float) -> bool:
    turned_rad = run.at(moment_s).yaw_rad - run.at(moment_s - CALM_S).yaw_rad
    return abs(math.degrees(turned_rad)) <= CALM_DEG


def _under_way(run: Run, path: MeasuredPath | None, rng: random.Random, asked: Counts) -> list[BagExaminer]:
    """An examiner in the midst of a long leg, whose place among the long ones was asked for least; none without one."""
    legs = [] if path is None else [k for k, leg in enumerate(path.legs) if _is_long(leg)][:LONG_STEPS]
    if path is None or not legs:
        return []
    rank = min(range(len(legs)), key=lambda k: (asked[forms.PROGRESS_EVALUATION, str(k)], rng.random()))
    start_s, end_s = path.times_s[legs[rank] : legs[rank] + 2]
    return [_examiner(run, round(start_s + rng.uniform(0.45, 0.85) * (end_s - start_s), 2), rng, asked)]


def _examiner(run: Run, now_s: float, rng: random.Random, asked: Counts) -> BagExaminer:
    known = run.until(now_s)
    return BagExaminer(known, measured_path(known), rng, asked)


def _sample(run: Run, question: Asked, now_s: float, rng: random.Random, asked: Counts) -> Sample:
    """The question with its answer at the letter that such questions were given least."""
    asked[question.target] += 1
    letters = string.ascii_uppercase[: len(question.choices)]
    answer = min(letters, key=lambda letter: (asked[question.task, letters, letter], rng.random()))
    asked[question.task, letters, answer] += 1
    choices = [choice for choice in question.choices if choice != question.truth]
    choices.insert(letters.index(answer), question.truth)
    by_odometry = question.task != forms.APPEARANCE_ORDER
    return {
        'category': question.task,
        'question': question.text,
        'choices': choices,
        'answer': answer,
        'media': {'path': str(run.path), 'start_s': 0.0, 'end_s': now_s, 'odometry': not by_odometry},
    }
