"""The true answer of a question that has been read, from where things are and how the agent went.

    python -m training.world.truth --samples out/bags.jsonl

This is the second opinion on generated questions: it starts from the words that were asked, not from what was meant.
The program holds the answers of samples about simulated places (scenes 'world-<seed>') against the simulation.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import itertools
import math
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.coarse import CELL_M
from embodied_r_ros.core.errors import CannotTell, EmbodiedRError, InputError
from embodied_r_ros.core.questions import ParsedQuestion, read_question
from embodied_r_ros.evaluation.samples import Sample, read_samples
from training.world.drafts import turn_groups
from training.world.path import CAMERA, CAMERAS, Leg, Path, Station
from training.world.scene import Walk, make_walk
from training.world.thoughts import border_distance, sector
from training.world.views import SAMPLE_S, in_view

BORDER_DEG = 15.0
BORDER_SHARE = 0.2
ORDER_S = 1.0
NEAREST_M = 1.0

Place = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Ground:
    """What is so at a moment, in metres ahead and to the left of the start, as it was faced.

    Attributes:
        places: of things, by their names in lower case.
        here: where the agent is.
        legs: how it got there, the last one perhaps under way; none where its way was no turns and straight walks.
        first_s: when each thing came into view.
    """

    places: Mapping[str, Place]
    here: Station
    legs: tuple[Leg, ...]
    first_s: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The true answer in the words of the compact language, and how far it is from another.

    `clearance` is 1 at `BORDER_DEG` from a border between directions, at a distance or share of the way `BORDER_SHARE`
    from another answer, and where things come into view `ORDER_S` apart; below 1 it is too close to ask.
    """

    answer: str
    clearance: float


def verdict(question: ParsedQuestion, ground: Ground) -> Verdict:
    """The true answer of a question.

    Raises:
        CannotTell: it asks about a thing or turn that there was not.
    """
    missing = [name for name in question.objects if name not in ground.places]
    if missing:
        raise CannotTell(f'{", ".join(missing)} is not among {", ".join(ground.places)}')
    if question.task in (forms.LANDMARK_POSITION, forms.ACTION_GENERATION):
        return _from(ground.here, question, ground)
    if question.task == forms.COUNTERFACTUAL:
        return _from(_supposed(question, ground), question, ground)
    if question.task == forms.RELATIVE_DIRECTION:
        at, faced, sought = (ground.places[name] for name in question.objects)
        return _turned(question.family, [at, faced], [at, sought])
    if question.task == forms.ROUTE_PLANNING:
        stops = [ground.places[name] for name in question.objects]
        turns = [_turned('lrb', stops[k : k + 2], stops[k + 1 : k + 3]) for k in (0, 1)]
        return Verdict(' '.join(turn.answer for turn in turns), min(turn.clearance for turn in turns))
    if question.task == forms.RELATIVE_DISTANCE:
        return _nearest(question, ground)
    if question.task == forms.APPEARANCE_ORDER:
        return _order(question, ground)
    return _progress(question, ground)


def _from(here: Station, question: ParsedQuestion, ground: Ground) -> Verdict:
    x_m, y_m = ground.places[question.objects[0]]
    away = (x_m - here.x_m, y_m - here.y_m)
    found = _word(question.family, math.degrees(here.yaw_rad - math.atan2(away[1], away[0])))
    return dataclasses.replace(found, clearance=min(found.clearance, math.hypot(*away) / NEAREST_M))


def _supposed(question: ParsedQuestion, ground: Ground) -> Station:
    """Where the agent would be, had it turned to the other side once."""
    groups = turn_groups(Path(ground.legs))
    number = question.turn - 1 if question.turn > 0 else len(groups) - 1
    if not 0 <= number < len(groups) or len(groups[number]) > 1:
        raise CannotTell(f'there is no single turn number {question.turn} among {len(groups)}')
    turned = groups[number][0]
    if (ground.legs[turned].amount > 0) == (question.side == forms.LEFT):
        raise CannotTell(f'turn number {question.turn} went to the {question.side} already')
    return Path(ground.legs).mirrored(turned).stations[-1]


def _turned(family: str, before: Sequence[Place], after: Sequence[Place]) -> Verdict:
    ways = [math.degrees(math.atan2(to[1] - at[1], to[0] - at[0])) for at, to in (before, after)]
    found = _word(family, ways[0] - ways[1])
    near_m = min(math.dist(*leg) for leg in (before, after))
    return dataclasses.replace(found, clearance=min(found.clearance, near_m / NEAREST_M))


def _word(family: str, clockwise_deg: float) -> Verdict:
    angle = clockwise_deg % 360.0
    return Verdict(sector(family, angle), border_distance(family, angle) / BORDER_DEG)


def _nearest(question: ParsedQuestion, ground: Ground) -> Verdict:
    anchor, *others = (ground.places[name] for name in question.objects)
    ranked = sorted((math.dist(anchor, other), f'q{index}') for index, other in enumerate(others, start=2))
    return Verdict(ranked[0][1], (ranked[1][0] / max(ranked[0][0], 1e-6) - 1.0) / BORDER_SHARE)


def _order(question: ParsedQuestion, ground: Ground) -> Verdict:
    seen = sorted((ground.first_s.get(name, math.inf), f'q{k}') for k, name in enumerate(question.objects, start=1))
    if math.isinf(seen[-1][0]):
        raise CannotTell(f'not all of {", ".join(question.objects)} came into view')
    count = 1 if question.family == 'first' else len(seen)
    gaps = [after[0] - before[0] for before, after in zip(seen[:count], seen[1:])]
    return Verdict(' '.join(tag for _, tag in seen[:count]), min(gaps) / ORDER_S)


def _progress(question: ParsedQuestion, ground: Ground) -> Verdict:
    """The instruction under way: as many are begun as there are legs, and the last leg is a part of its instruction."""
    legs = [leg for leg in ground.legs if leg.kind != 'climb']
    merged = [sum(leg.amount for leg in group) for _, group in itertools.groupby(legs, key=lambda leg: leg.kind)]
    if not 1 <= len(merged) <= len(question.plan):
        raise CannotTell(f'{len(merged)} legs do not follow a plan of {len(question.plan)}')
    kind, size = question.plan[len(merged) - 1]
    done = abs(merged[-1]) / (size * CELL_M if kind == 'forward' else size)
    return Verdict(f'i{len(merged)}', min(done, 1.0 - done) / BORDER_SHARE)


def ground_of(walk: Walk, now_s: float, camera: Camera = CAMERA) -> Ground:
    """What is so in a walk simulated with a camera, at a moment."""
    first_s: dict[str, float] = {}
    for index in range(int(now_s / SAMPLE_S * 2) + 1):
        for name in in_view(walk.scene, walk.path.station_at(index * SAMPLE_S / 2), camera):
            first_s.setdefault(name.lower(), index * SAMPLE_S / 2)
    places = {thing.name.lower(): (thing.center_m[0], thing.center_m[1]) for thing in walk.scene.objects}
    return Ground(places, walk.path.station_at(now_s), walk.path.until(now_s).legs, first_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, per task, how many answers agree with the simulation; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.world.truth', description='Hold answers against the truth.'
    )
    parser.add_argument(
        '--samples', type=pathlib.Path, required=True, help="Read samples about scenes 'world-<seed>' from this file."
    )
    parser.add_argument('--min-agreement', type=float, default=0.0, help='Exit with 1 where a smaller share agrees.')
    parser.add_argument(
        '--camera', choices=CAMERAS, default='standard', help='Judge as seen with this camera (default: %(default)s).'
    )
    options = parser.parse_args(arguments)
    try:
        agrees = [(sample, agreement(sample, CAMERAS[options.camera])) for sample in read_samples(options.samples)]
    except EmbodiedRError as error:
        print(f'training.world.truth: {error}', file=sys.stderr)
        return 2
    counts = collections.Counter(sample['category'] for sample, _ in agrees)
    right = collections.Counter(sample['category'] for sample, agreed in agrees if agreed)
    for sample, agreed in agrees:
        if not agreed:
            print(f'{sample["id"]}: {sample["question"]} {sample["choices"]} {sample["answer"]}')
    for task, count in counts.items():
        print(f'{task:22} {right[task]:5} of {count:5} agree')
    share = sum(right.values()) / max(1, len(agrees))
    print(f'{"all":22} {sum(right.values()):5} of {len(agrees):5} agree, {share:.2%}')
    return 0 if share >= options.min_agreement else 1


def agreement(sample: Sample, camera: Camera = CAMERA) -> bool:
    """Whether the answer of a sample about a simulated place, seen with a camera, is the true one.

    Raises:
        InputError: its scene is not 'world-<seed>'.
    """
    found = re.fullmatch(r'world-(\d+)', sample['scene'])
    if found is None:
        raise InputError(f"sample {sample['id']!r} must be about a scene 'world-<seed>', got {sample['scene']!r}")
    ground = _ground(int(found[1]), (sample.get('media') or {}).get('end_s'), camera)
    parsed = read_question(sample['question'], sample['choices'], ground.places)
    try:
        told = verdict(parsed, ground).answer
    except CannotTell:
        return False
    return parsed.options.get(told) == sample['choices'][ord(sample['answer']) - ord('A')]


@functools.lru_cache(1024)
def _ground(seed: int, end_s: float | None, camera: Camera) -> Ground:
    walk = make_walk(seed)
    return ground_of(walk, walk.path.duration_s if end_s is None else end_s, camera)


if __name__ == '__main__':
    sys.exit(main())
