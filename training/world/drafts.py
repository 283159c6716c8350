"""Questions about a simulated walk before they are put into English: the truth from geometry, and no giveaway.

The right answer is drawn first and a question that has it is looked for, so no answer is likelier than another; a
question close to the border between two answers is left out.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Sequence

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.question_words import FAMILIES, MAX_INSTRUCTIONS
from training.world.path import Leg, Path, Station
from training.world.phrasings import ACTIONS, ORDINALS, SIDES, TURN_WORDS
from training.world.scene import Walk
from training.world.thoughts import border_distance, sector
from training.world.views import GLIMPSED_ASIDE_DEG, SAMPLE_S, first_glimpses_s

ANGLE_MARGIN_DEG = 12.0
NEAREST_ASKED_M = 1.0
DISTANCE_RATIO, DISTANCE_GAP_M = 1.3, 0.75
TRIES = 250
LONG_STEP = {'forward': 2.0, 'turn': 75.0}
LONGEST_STEP = {'forward': 10.0, 'turn': 330.0}
PROGRESS_SHARE = 0.8

FAMILIES_ASKED = {
    forms.LANDMARK_POSITION: ('w4',),
    forms.COUNTERFACTUAL: ('w4',),
    forms.ACTION_GENERATION: ('a4',),
    forms.RELATIVE_DIRECTION: ('q4', 'q4', 'lrb', 'lr'),
}


@dataclasses.dataclass(frozen=True)
class Draft:
    """A question before it is put into English: slots for the phrasing, choices in words, which is true.

    Attributes:
        target: what was looked for.
        end_s: the moment of the walk at which it is asked; infinite for when all questions are.
    """

    slots: tuple[str, ...]
    choices: tuple[str, ...]
    truth: str
    extra: dict[str, str] = dataclasses.field(default_factory=dict)
    target: tuple[str, ...] = ()
    end_s: float = math.inf


class Survey:
    """What is known about one walk, and the dice to draw questions about it.

    Args:
        walk: the place and the path, for the truth.
        observations: exact observations of it until the questions are asked, for what has been seen and when.
        rng: draws things and wordings.
        asked: how often each target was asked for; the rarest is looked for first, so that no answer is likelier.
        families: per task, the families of direction words to draw from.
        now_s: the moment of the walk at which the questions are asked, or, about progress, before which.
        aside_deg: no farther aside is anything glimpsed.
    """

    def __init__(
        self,
        walk: Walk,
        observations: Sequence[Observation],
        rng: random.Random,
        asked: collections.Counter[tuple[str, ...]] | None = None,
        families: dict[str, tuple[str, ...]] | None = None,
        now_s: float = math.inf,
        aside_deg: float = GLIMPSED_ASIDE_DEG,
    ) -> None:
        self.walk, self.rng = walk, rng
        self.families = families or FAMILIES_ASKED
        self.asked = collections.Counter() if asked is None else asked
        self.places = {thing.name: thing.center_m[:2] for thing in walk.scene.objects}
        self.first_frame: dict[str, int] = {}
        for position, observation in enumerate(observations):
            for sighting in observation.sightings:
                self.first_frame.setdefault(sighting.name, position)
        self.stamps_ns = [observation.stamp_ns for observation in observations]
        self.seen = sorted(self.first_frame)
        self.glimpsed_s = first_glimpses_s(walk, aside_deg)
        self.now_s, self.path = now_s, walk.path.until(now_s)
        self.end = self.path.stations[-1]

    def by_need(self, *targets: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The targets, the least asked for first."""
        return sorted(targets, key=lambda target: (self.asked[target], self.rng.random()))

    def family(self, task: str) -> str:
        """A family of direction words for a question of a task."""
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
        """Distance between two things, in metres."""
        return math.dist(self.places[start], self.places[end])


def true_word(family: str, angle: float) -> str | None:
    """The word of a family for a direction, None within ANGLE_MARGIN_DEG of a border (half of it for eight sectors)."""
    margin = ANGLE_MARGIN_DEG / 2 if family == 'w8' else ANGLE_MARGIN_DEG
    return None if border_distance(family, angle) < margin else sector(family, angle)


def _from_here(survey: Survey, here: Station, names: Sequence[str], target: str, family: str) -> str | None:
    for name in survey.rng.sample(list(names), len(names)):
        angle, distance_m = survey.direction_from(here, name)
        if distance_m >= NEAREST_ASKED_M and true_word(family, angle) == target:
            return name
    return None


def _in_words(
    survey: Survey, slots: tuple[str, ...], target: tuple[str, ...], extra: dict[str, str] | None = None
) -> Draft:
    """A draft whose choices are the words of a family; a target is task, family, what else decides, true word."""
    words = survey.rng.choice(ACTIONS if target[1] == 'a4' else SIDES)
    choices = {word: words.get(word, word) for word in FAMILIES[target[1]]}
    return Draft(slots, tuple(choices.values()), choices[target[-1]], extra or {}, target)


def _position(survey: Survey, task: str) -> Draft | None:
    family = survey.family(task)
    for target in survey.by_need(*((task, family, word) for word in FAMILIES[family])):
        name = _from_here(survey, survey.end, survey.seen, target[-1], family)
        if name:
            return _in_words(survey, (name,), target)
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


def _counterfactual(survey: Survey) -> Draft | None:
    rng, path, stamps_ns = survey.rng, survey.path, survey.stamps_ns
    groups = turn_groups(path)
    task = forms.COUNTERFACTUAL
    family = survey.family(task)
    targets = [(task, family, side, word) for side in ('left', 'right') for word in FAMILIES[family]]
    for *_, side, word in survey.by_need(*targets):
        for number in rng.sample(range(len(groups)), len(groups)):
            leg = path.legs[groups[number][0]]
            if len(groups[number]) > 1 or abs(leg.amount) == 180.0 or (leg.amount > 0) == (side == 'left'):
                continue
            start_ns = path.times_s[groups[number][0]] * 1e9
            known = [n for n in survey.seen if stamps_ns[survey.first_frame[n]] - stamps_ns[0] <= start_ns]
            name = _from_here(survey, path.mirrored(groups[number][0]).stations[-1], known, word, family)
            if name is None:
                continue
            ordinal = ORDINALS[number] if number < len(ORDINALS) else ''
            if number == len(groups) - 1 and rng.random() < 0.5:
                ordinal = 'last'
            if ordinal:
                extra = {'side': side, 'other': 'right' if side == 'left' else 'left', 'ordinal': ordinal}
                return _in_words(survey, (name,), (task, family, side, word), extra)
    return None


@dataclasses.dataclass(frozen=True)
class PlanStep:
    """An instruction and the moments between which it is carried out."""

    kind: str
    amount: float
    start_s: float
    end_s: float

    def at_s(self, share: float) -> float:
        """The moment at which a share (0 to 1) of it is done."""
        return self.start_s + share * (self.end_s - self.start_s)


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


def _progress(survey: Survey) -> Draft | None:
    """Ask in the midst of a leg long enough to hold a key frame; all choices might be asked, so none is likelier."""
    plan = plan_of(survey.walk.path)
    if plan is None or not 2 <= len(plan) <= MAX_INSTRUCTIONS:
        return None
    long = [number for number, step in enumerate(plan, start=1) if abs(step.amount) >= LONG_STEP[step.kind]]
    if len(long) < 3 or any(abs(step.amount) > LONGEST_STEP[step.kind] for step in plan):
        return None
    asked_s = {number: plan[number - 1].at_s(PROGRESS_SHARE) for number in long}
    candidates = [number for number in long if asked_s[number] <= survey.now_s]
    if len(candidates) < 2:
        return None
    now = survey.rng.choice(candidates)
    others = survey.rng.sample([number for number in candidates if number != now], min(3, len(candidates) - 1))
    text = '; '.join(f'{number}. {instruction(step)}' for number, step in enumerate(plan, start=1))
    choices = tuple(f'step {number}' for number in sorted([now, *others]))
    return Draft((), choices, f'step {now}', {'plan': text}, end_s=asked_s[now])


def instruction(step: PlanStep | Leg) -> str:
    """A walk or a turn as one is told to do it."""
    if step.kind == 'forward':
        return f'go forward {step.amount:g} m'
    return f'turn {"left" if step.amount > 0 else "right"} {abs(step.amount):g} degrees'


def _distance(survey: Survey) -> Draft | None:
    for _ in range(TRIES):
        if len(survey.seen) < 5:
            return None
        anchor, *others = survey.rng.sample(survey.seen, 5)
        ranked = sorted(others, key=lambda name: survey.apart_m(anchor, name))
        nearest_m, next_m = (survey.apart_m(anchor, name) for name in ranked[:2])
        if next_m >= nearest_m * DISTANCE_RATIO and next_m - nearest_m >= DISTANCE_GAP_M:
            return Draft((anchor,), tuple(f'the {name}' for name in others), f'the {ranked[0]}')
    return None


def _relative_direction(survey: Survey) -> Draft | None:
    task = forms.RELATIVE_DIRECTION
    family = survey.family(task)
    for target in survey.by_need(*((task, family, word) for word in FAMILIES[family])):
        for _ in range(TRIES):
            if len(survey.seen) < 3:
                return None
            at, faced, sought = names = survey.rng.sample(survey.seen, 3)
            angle = survey.angle_between(at, sought) - survey.angle_between(at, faced)
            near_m = min(survey.apart_m(at, faced), survey.apart_m(at, sought))
            if near_m >= NEAREST_ASKED_M and true_word(family, angle) == target[-1]:
                return _in_words(survey, tuple(names), target)
    return None


ROUTES = tuple(itertools.product(('left', 'right'), repeat=2))


def _route(survey: Survey) -> Draft | None:
    for target in survey.by_need(*((forms.ROUTE_PLANNING, *route) for route in ROUTES)):
        for _ in range(TRIES):
            if len(survey.seen) < 4:
                return None
            names = survey.rng.sample(survey.seen, 4)
            legs = list(zip(names, names[1:]))
            ways = [survey.angle_between(*leg) for leg in legs]
            turns = tuple(true_word('lrb', after - before) for before, after in zip(ways, ways[1:]))
            if turns == target[1:] and min(survey.apart_m(*leg) for leg in legs) >= NEAREST_ASKED_M:
                spoken = {route: ', then '.join(TURN_WORDS[word] for word in route) for route in ROUTES}
                return Draft(tuple(names), tuple(spoken.values()), spoken[target[1:]], target=target)
    return None


def _order(survey: Survey) -> Draft | None:
    """Things of which each was certainly seen before the next could have been glimpsed."""
    order: list[str] = []
    for name in survey.rng.sample(survey.seen, len(survey.seen)):
        longer = sorted([*order, name], key=lambda n: survey.stamps_ns[survey.first_frame[n]])
        if len(order) < 4 and all(survey.surely_before(a, b) for a, b in zip(longer, longer[1:])):
            order = longer
    if len(order) < 3:
        return None
    listed = order[:]
    survey.rng.shuffle(listed)
    orders = [list(o) for o in itertools.permutations(order) if list(o) != order]
    choices = [order, *survey.rng.sample(orders, 3)]
    spoken = {', '.join(choice): choice for choice in choices}
    text = ', the '.join(listed[:-1]) + f' and the {listed[-1]}'
    return Draft(tuple(listed), tuple(spoken), ', '.join(order), {'list': text})


DRAFTERS: dict[str, Callable[[Survey], Draft | None]] = {
    forms.LANDMARK_POSITION: lambda survey: _position(survey, forms.LANDMARK_POSITION),
    forms.COUNTERFACTUAL: _counterfactual,
    forms.PROGRESS_EVALUATION: _progress,
    forms.ACTION_GENERATION: lambda survey: _position(survey, forms.ACTION_GENERATION),
    forms.RELATIVE_DISTANCE: _distance,
    forms.RELATIVE_DIRECTION: _relative_direction,
    forms.ROUTE_PLANNING: _route,
    forms.APPEARANCE_ORDER: _order,
}
