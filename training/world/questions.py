"""Questions with checked answers about simulated walks: the eight tasks, their truth from geometry, and no giveaway in the question.

The right answer is drawn first and a question that has it is looked for, so no answer is likelier than another; a question
close to the border between two answers is dropped, and so is one whose coarse text does not lead to the truth.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import random
import string
from collections.abc import Callable, Sequence
from typing import Any

from embodied_r_ros.core import questions as forms
from embodied_r_ros.core.coarse import CoarseLog, coarse_log
from embodied_r_ros.core.compact import MOST_STEPS, name_tokens, tie
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.phrases import read_sightings
from embodied_r_ros.core.questions import FAMILIES, MOST_INSTRUCTIONS, TASKS, read_question
from embodied_r_ros.core.records import Observation
from training.world.path import Path, Station
from training.world.phrasings import ACTIONS, ORDINALS, PHRASINGS, SIDES, TURN_WORDS
from training.world.scene import Walk
from training.world.thoughts import border_distance, sector, think
from training.world.views import SAMPLE_S, first_glimpses_s

ANGLE_MARGIN_DEG = 12.0
NEAREST_ASKED_M = 1.0
DISTANCE_RATIO, DISTANCE_GAP_M = 1.3, 0.75
TRIES = 250
DRAFTS = 6
LONG_STEP = {'forward': 2.0, 'turn': 75.0}
LONGEST_STEP = {'forward': 10.0, 'turn': 330.0}
PROGRESS_SHARE = 0.8

Place = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Draft:
    """A question before it is put into English: slots for the phrasing, choices in words, which is true.

    Attributes:
        target: what was looked for.
        end_s: the moment of the walk at which it is asked; infinite for its end.
    """

    slots: tuple[str, ...]
    choices: tuple[str, ...]
    truth: str
    extra: dict[str, str] = dataclasses.field(default_factory=dict)
    target: tuple[str, ...] = ()
    end_s: float = math.inf


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question in English: its task, text, choices, the true choice, the target looked for, and when it is asked."""

    task: str
    text: str
    choices: tuple[str, ...]
    truth: str
    target: tuple[str, ...]
    end_s: float


class Examiner:
    """Asks about one walk.

    Args:
        walk: the place and the path, for the truth.
        observations: exact observations of it, for what has been seen and when.
        rng: draws things and wordings.
        asked: how often each target was asked for; the rarest is looked for first, so that no answer is likelier than another.
        phrasings: per task, the wordings to draw from.
        families: per task, the families of direction words to draw from.
    """

    def __init__(
        self, walk: Walk, observations: Sequence[Observation], rng: random.Random, asked: collections.Counter[tuple[str, ...]] | None = None,
        phrasings: dict[str, tuple[str, ...]] = PHRASINGS, families: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.walk, self.rng, self.phrasings = walk, rng, phrasings
        self.families = families or FAMILIES_ASKED
        self.asked = collections.Counter() if asked is None else asked
        self.places = {thing.name: thing.center_m[:2] for thing in walk.scene.objects}
        self.first_frame: dict[str, int] = {}
        for position, observation in enumerate(observations):
            for sighting in read_sightings(observation.text):
                self.first_frame.setdefault(sighting.name, position)
        self.stamps_ns = [observation.stamp_ns for observation in observations]
        self.seen = sorted(self.first_frame)
        self.glimpsed_s = first_glimpses_s(walk)
        self.end = walk.path.stations[-1]

    def ask(self, task: str) -> Asked | None:
        """A question of a task; None when the walk has no such question."""
        draft = DRAFTERS[task](self)
        if draft is None:
            return None
        choices = list(draft.choices)
        self.rng.shuffle(choices)
        text = self.rng.choice(self.phrasings[task]).format(*draft.slots, **draft.extra)
        return Asked(task, text, tuple(choices), draft.truth, draft.target, draft.end_s)

    def by_need(self, *targets: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The targets, the least asked for first."""
        return sorted(targets, key=lambda target: (self.asked[target], self.rng.random()))

    def family(self, task: str) -> str:
        return self.rng.choice(self.families[task])

    def direction_from(self, here: Station, name: str) -> tuple[float, float]:
        """Clockwise direction in degrees relative to the heading, and distance in metres, of a thing."""
        x_m, y_m = self.places[name]
        left = math.degrees(math.atan2(y_m - here.y_m, x_m - here.x_m) - here.yaw_rad)
        return -left % 360.0, math.hypot(x_m - here.x_m, y_m - here.y_m)

    def angle_between(self, start: str, end: str) -> float:
        """Clockwise direction from one thing to another, in degrees."""
        (x_m, y_m), (to_x_m, to_y_m) = self.places[start], self.places[end]
        return -math.degrees(math.atan2(to_y_m - y_m, to_x_m - x_m)) % 360.0

    def surely_before(self, earlier: str, later: str) -> bool:
        """Whether a thing was certainly seen a moment before another might have been."""
        seen_s = (self.stamps_ns[self.first_frame[earlier]] - self.stamps_ns[0]) / 1e9
        return seen_s + SAMPLE_S <= self.glimpsed_s[later]

    def apart_m(self, start: str, end: str) -> float:
        return math.dist(self.places[start], self.places[end])


def true_word(family: str, angle: float) -> str | None:
    """The word of a family for a direction, None within ANGLE_MARGIN_DEG of a border (half of it for eight sectors)."""
    margin = ANGLE_MARGIN_DEG / 2 if family == 'w8' else ANGLE_MARGIN_DEG
    if border_distance(family, angle) < margin:
        return None
    if family == 'w8':
        return FAMILIES['w8'][int((angle + 22.5) % 360 // 45)]
    return sector(family, math.floor(angle % 360.0))


FAMILIES_ASKED = {
    forms.LANDMARK_POSITION: ('w4',),
    forms.COUNTERFACTUAL: ('w4',),
    forms.ACTION_GENERATION: ('a4',),
    forms.RELATIVE_DIRECTION: ('q4', 'q4', 'lrb', 'lr'),
}


def _from_here(examiner: Examiner, here: Station, names: Sequence[str], target: str, family: str) -> str | None:
    for name in examiner.rng.sample(list(names), len(names)):
        angle, distance_m = examiner.direction_from(here, name)
        if distance_m >= NEAREST_ASKED_M and true_word(family, angle) == target:
            return name
    return None


def _wording(examiner: Examiner, family: str) -> dict[str, str]:
    if family == 'a4':
        return examiner.rng.choice(ACTIONS)
    sides = examiner.rng.choice(SIDES)
    return {word: sides.get(word, word) for word in FAMILIES[family]}


def _position(examiner: Examiner, task: str) -> Draft | None:
    family = examiner.family(task)
    for target in examiner.by_need(*((task, family, word) for word in FAMILIES[family])):
        name = _from_here(examiner, examiner.end, examiner.seen, target[-1], family)
        if name:
            words = _wording(examiner, family)
            return Draft((name,), tuple(words[word] for word in FAMILIES[family]), words[target[-1]], target=target)
    return None


def turn_groups(path: Path) -> list[list[int]]:
    """Legs that make up each turn: turning legs with nothing but climbs between them."""
    groups: list[list[int]] = []
    turning = False
    for index, leg in enumerate(path.legs):
        if leg.kind == 'turn':
            groups = groups if turning else [*groups, []]
            groups[-1].append(index)
        turning = leg.kind == 'turn' or (turning and leg.kind == 'climb')
    return groups


def _counterfactual(examiner: Examiner) -> Draft | None:
    rng, path = examiner.rng, examiner.walk.path
    groups = turn_groups(path)
    task = forms.COUNTERFACTUAL
    family = examiner.family(task)
    targets = [(task, family, side, word) for side in ('left', 'right') for word in FAMILIES[family]]
    for *_, side, word in examiner.by_need(*targets):
        for number in rng.sample(range(len(groups)), len(groups)):
            leg = path.legs[groups[number][0]]
            if len(groups[number]) > 1 or abs(leg.amount) == 180.0 or (leg.amount > 0) == (side == 'left'):
                continue
            start_ns = path.times_s[groups[number][0]] * 1e9
            known = [n for n in examiner.seen if examiner.stamps_ns[examiner.first_frame[n]] - examiner.stamps_ns[0] <= start_ns]
            mirrored = Path(tuple(
                dataclasses.replace(leg, amount=-leg.amount) if k == groups[number][0] else leg for k, leg in enumerate(path.legs)))
            name = _from_here(examiner, mirrored.stations[-1], known, word, family)
            if name is None:
                continue
            ordinal = 'last' if number == len(groups) - 1 and rng.random() < 0.5 else ORDINALS[number] if number < len(ORDINALS) else ''
            if ordinal:
                words = _wording(examiner, family)
                extra = {'side': side, 'other': 'right' if side == 'left' else 'left', 'ordinal': ordinal}
                return Draft((name,), tuple(words[w] for w in FAMILIES[family]), words[word], extra, (task, family, side, word))
    return None


@dataclasses.dataclass(frozen=True)
class PlanStep:
    """An instruction and the moments between which it is carried out."""

    kind: str
    amount: float
    start_s: float
    end_s: float


def plan_of(path: Path) -> list[PlanStep] | None:
    """The walk as instructions, climbs left out; None when two turns would run into each other."""
    plan: list[PlanStep] = []
    for leg, start_s, end_s in zip(path.legs, path.times_s, path.times_s[1:]):
        if leg.kind == 'climb':
            continue
        step = PlanStep(leg.kind, leg.amount, start_s, end_s)
        if plan and plan[-1].kind == leg.kind:
            if leg.kind == 'turn' and (plan[-1].amount > 0) != (leg.amount > 0):
                return None
            before = plan.pop()
            step = PlanStep(leg.kind, before.amount + leg.amount, before.start_s, end_s)
        plan.append(step)
    return plan


def _progress(examiner: Examiner) -> Draft | None:
    """Ask in the midst of a leg that is long enough to hold a key frame; all choices are such legs, so none is likelier."""
    plan = plan_of(examiner.walk.path)
    if plan is None or not 2 <= len(plan) <= MOST_INSTRUCTIONS or any(abs(step.amount) > LONGEST_STEP[step.kind] for step in plan):
        return None
    long = [number for number, step in enumerate(plan, start=1) if abs(step.amount) >= LONG_STEP[step.kind]]
    if len(long) < 3:
        return None
    now = examiner.rng.choice(long)
    others = examiner.rng.sample([number for number in long if number != now], min(3, len(long) - 1))
    text = '; '.join(f'{number}. {_instruction(step)}' for number, step in enumerate(plan, start=1))
    end_s = plan[now - 1].start_s + PROGRESS_SHARE * (plan[now - 1].end_s - plan[now - 1].start_s)
    return Draft((), tuple(f'step {number}' for number in sorted([now, *others])), f'step {now}', {'plan': text}, end_s=end_s)


def _instruction(step: PlanStep) -> str:
    if step.kind == 'forward':
        return f'go forward {step.amount:g} m'
    return f'turn {"left" if step.amount > 0 else "right"} {abs(step.amount):g} degrees'


def _distance(examiner: Examiner) -> Draft | None:
    for _ in range(TRIES):
        if len(examiner.seen) < 5:
            return None
        anchor, *others = examiner.rng.sample(examiner.seen, 5)
        ranked = sorted(others, key=lambda name: examiner.apart_m(anchor, name))
        nearest_m, next_m = (examiner.apart_m(anchor, name) for name in ranked[:2])
        if next_m >= nearest_m * DISTANCE_RATIO and next_m - nearest_m >= DISTANCE_GAP_M:
            return Draft((anchor,), tuple(f'the {name}' for name in others), f'the {ranked[0]}')
    return None


def _relative_direction(examiner: Examiner) -> Draft | None:
    task = forms.RELATIVE_DIRECTION
    family = examiner.family(task)
    for target in examiner.by_need(*((task, family, word) for word in FAMILIES[family])):
        for _ in range(TRIES):
            if len(examiner.seen) < 3:
                return None
            at, faced, sought = names = examiner.rng.sample(examiner.seen, 3)
            angle = examiner.angle_between(at, sought) - examiner.angle_between(at, faced)
            if min(examiner.apart_m(at, faced), examiner.apart_m(at, sought)) >= NEAREST_ASKED_M and true_word(family, angle) == target[-1]:
                words = _wording(examiner, family)
                return Draft(tuple(names), tuple(words[word] for word in FAMILIES[family]), words[target[-1]], target=target)
    return None


ROUTES = tuple(itertools.product(('left', 'right'), repeat=2))


def _route(examiner: Examiner) -> Draft | None:
    for target in examiner.by_need(*((forms.ROUTE_PLANNING, *route) for route in ROUTES)):
        for _ in range(TRIES):
            if len(examiner.seen) < 4:
                return None
            names = examiner.rng.sample(examiner.seen, 4)
            legs = list(zip(names, names[1:]))
            ways = [examiner.angle_between(*leg) for leg in legs]
            turns = tuple(true_word('lrb', after - before) for before, after in zip(ways, ways[1:]))
            if turns == target[1:] and min(examiner.apart_m(*leg) for leg in legs) >= NEAREST_ASKED_M:
                spoken = {route: ', then '.join(TURN_WORDS[word] for word in route) for route in ROUTES}
                return Draft(tuple(names), tuple(spoken.values()), spoken[target[1:]], target=target)
    return None


def _order(examiner: Examiner) -> Draft | None:
    """Things of which each was certainly seen before the next could have been glimpsed."""
    order: list[str] = []
    for name in examiner.rng.sample(examiner.seen, len(examiner.seen)):
        longer = sorted([*order, name], key=lambda n: examiner.stamps_ns[examiner.first_frame[n]])
        if len(order) < 4 and all(examiner.surely_before(a, b) for a, b in zip(longer, longer[1:])):
            order = longer
    if len(order) < 3:
        return None
    listed = order[:]
    examiner.rng.shuffle(listed)
    orders = [list(o) for o in itertools.permutations(order) if list(o) != order]
    choices = [order, *examiner.rng.sample(orders, 3)]
    spoken = {', '.join(choice): choice for choice in choices}
    text = ', the '.join(listed[:-1]) + f' and the {listed[-1]}'
    return Draft(tuple(listed), tuple(spoken), ', '.join(order), {'list': text})


DRAFTERS: dict[str, Callable[[Examiner], Draft | None]] = {
    forms.LANDMARK_POSITION: lambda examiner: _position(examiner, forms.LANDMARK_POSITION),
    forms.COUNTERFACTUAL: _counterfactual,
    forms.PROGRESS_EVALUATION: _progress,
    forms.ACTION_GENERATION: lambda examiner: _position(examiner, forms.ACTION_GENERATION),
    forms.RELATIVE_DISTANCE: _distance,
    forms.RELATIVE_DIRECTION: _relative_direction,
    forms.ROUTE_PLANNING: _route,
    forms.APPEARANCE_ORDER: _order,
}


@dataclasses.dataclass
class Tally:
    """How many questions were drafted, and why some were dropped."""

    kept: int = 0
    none: int = 0
    coarse: int = 0


def questions_about(
    walk: Walk,
    observations: Sequence[Observation],
    tasks: Sequence[str],
    rng: random.Random,
    asked: collections.Counter[tuple[str, ...]] | None = None,
    tally: Tally | None = None,
    phrasings: dict[str, tuple[str, ...]] = PHRASINGS,
) -> list[dict[str, Any]]:
    """A question of each of the tasks about a walk, no two the same, each with an answer that its exact text leads to.

    Args:
        walk: the place and the path, for the truth.
        observations: exact observations of the walk.
        tasks: what to ask; a task may stand in it more than once.
        rng: draws things and wordings.
        asked: how often each target was asked for on other walks, see `Examiner`.
        tally: counts what was kept and why the rest was not.
        phrasings: the wordings.

    Returns:
        Samples without `id` and what was observed: source, scene, category, question, choices, the letter of the answer, and
        `end_s` where it is asked before the end; fewer than asked for where the walk has no such question.
    """
    tally = tally if tally is not None else Tally()
    examiner = Examiner(walk, observations, rng, asked, phrasings)
    samples: list[dict[str, Any]] = []
    texts: set[str] = set()
    for task in tasks:
        for _ in range(DRAFTS):
            question = examiner.ask(task)
            if question is None:
                tally.none += 1
                break
            if not leads_to(coarse_log(until(observations, question.end_s)), question):
                tally.coarse += 1
            elif question.text not in texts:
                tally.kept += 1
                texts.add(question.text)
                examiner.asked[question.target] += 1
                samples.append(_sample(walk, question))
                break
    return samples


def _sample(walk: Walk, question: Asked) -> dict[str, Any]:
    sample = {
        'source': 'world', 'scene': f'world-{walk.scene.seed}', 'category': question.task, 'question': question.text,
        'choices': list(question.choices), 'answer': string.ascii_uppercase[question.choices.index(question.truth)]}
    return sample | ({'end_s': round(question.end_s, 3)} if math.isfinite(question.end_s) else {})


def until(observations: Sequence[Observation], end_s: float) -> list[Observation]:
    """The observations of the first `end_s` seconds."""
    return [o for o in observations if o.stamp_ns - observations[0].stamp_ns <= end_s * 1e9]


def leads_to(log: CoarseLog, question: Asked) -> bool:
    """Whether the coarse log leads to the true choice of a question."""
    if len(log.steps) > MOST_STEPS:
        return False
    parsed = read_question(question.text, question.choices)
    try:
        worked = think(log, tie(parsed, log), name_tokens(log.first_seen()))
    except CannotTell:
        return False
    return parsed.options.get(worked.answer) == question.truth

