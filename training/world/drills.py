"""Drills: the small tables that every worked thought leans on, practised in the thought's own patterns.

What follows from the rest stands in brackets, and it alone is learnt: nothing can tell the dice of the rest.
"""

from __future__ import annotations

import math
import random

from embodied_r_ros.core.coarse import ANGLE_DEG, MAX_DISTANCE_CELLS, CoarseLog, CoarseStep, direction, polar, signed
from embodied_r_ros.core.compact import MAX_NAMES, MAX_STEPS
from embodied_r_ros.core.compact_words import bearing, metres
from embodied_r_ros.core.question_words import FAMILIES, FORWARD, LEFT, PROGRESS_EVALUATION, RIGHT
from embodied_r_ros.core.questions import ParsedQuestion
from training.world.thoughts import sector, sort

MAX_SIGHT_DEG = 75


def drill(rng: random.Random, count: int = 12) -> str:
    """A sequence of `count` random drills, in the words of one family of directions."""
    kinds = 3 * [_angles] + 2 * [_look_up] + [_distance] + 2 * [_towards] + 2 * [_moves] + 2 * [_sort]
    family = rng.choice(list(FAMILIES))
    return f'drill : {family} ? ' + ' . '.join(rng.choice(kinds)(rng, family) for _ in range(count))


def _angle(rng: random.Random) -> int:
    return rng.randrange(0, 360, ANGLE_DEG)


def _place(rng: random.Random) -> tuple[int, int]:
    reach = rng.choice([12, 22, 40])
    return rng.randint(-reach, reach), rng.randint(-reach, reach)


def _angles(rng: random.Random, family: str) -> str:
    """The difference of two angles, and the word for it."""
    end, start = _angle(rng), _angle(rng)
    between = (end - start) % 360
    return f'dir {end}deg - {start}deg = [ {between}deg {sector(family, between)} ]'


def _look_up(rng: random.Random, family: str) -> str:
    """From a sighting and a pose to the place of an object."""
    step, heading, (right, ahead) = rng.randint(0, MAX_STEPS), _angle(rng), _place(rng)
    wide = rng.random() < 0.2
    seen = signed(_angle(rng) if wide else rng.randrange(-MAX_SIGHT_DEG, MAX_SIGHT_DEG + 1, ANGLE_DEG))
    cells = rng.randint(1, MAX_DISTANCE_CELLS)
    way = (heading + seen) % 360
    off = polar(way, cells)
    tag = rng.randint(1, 5)
    return (
        f'q{tag} n{rng.randrange(MAX_NAMES)} o{step} {bearing(seen)} {metres(cells)} [ p{step} ] {heading}deg {right} '
        f'{ahead} = [ {way}deg {off[0]} {off[1]} r{tag} {right + off[0]} {ahead + off[1]} ]'
    )


def _off(rng: random.Random) -> tuple[str, tuple[int, int]]:
    (x, y), (dx, dy) = _place(rng), _place(rng)
    to, start = rng.randint(2, 5), rng.randint(1, 4)
    return f'r{to} {x + dx} {y + dy} - r{start} {x} {y} = [ {dx} {dy} ]', (dx, dy)


def _distance(rng: random.Random, family: str) -> str:
    text, off = _off(rng)
    return f'{text} dist [ {round(math.hypot(*off))} ]'


def _towards(rng: random.Random, family: str) -> str:
    """The direction of a displacement, from a thing or from where one stands."""
    text, off = _off(rng)
    towards = direction(*off)
    if rng.random() < 0.5:
        return f'{text} dir [ {towards}deg ]'
    (x, y), heading, last = _place(rng), _angle(rng), rng.randint(0, MAX_STEPS)
    text = f'r1 {x + off[0]} {y + off[1]} - p{last} {heading}deg {x} {y} = [ {off[0]} {off[1]} ]'
    between = (towards - heading) % 360
    return f'{text} dir [ {towards}deg - {heading}deg = {between}deg {sector(family, between)} ]'


def _moves(rng: random.Random, family: str) -> str:
    """A few steps of the pose track."""
    step, heading, (right, ahead) = rng.randint(0, MAX_STEPS - 3), _angle(rng), _place(rng)
    parts = [f'p{step} {heading}deg {right} {ahead}']
    for index in range(step + 1, step + rng.randint(2, 4)):
        if rng.random() < 0.6:
            cells = rng.randint(1, MAX_DISTANCE_CELLS) if rng.random() < 0.3 else rng.randint(1, 8)
            off = polar(heading, cells)
            right, ahead = right + off[0], ahead + off[1]
            shown = f'forward {metres(cells)} [ {off[0]} {off[1]}'
        else:
            side, amount = rng.choice([LEFT, RIGHT]), rng.randrange(ANGLE_DEG, 360, ANGLE_DEG)
            heading = (heading + (amount if side == RIGHT else -amount)) % 360
            shown = f'{side} {amount}deg ['
        parts.append(f's{index} {shown} p{index} {heading}deg {right} {ahead} ]')
    return ' ; '.join(parts)


def _sort(rng: random.Random, family: str) -> str:
    """The order of a few steps."""
    steps = rng.sample(range(MAX_STEPS + 1), rng.randint(2, 4))
    things = {f'q{index}': (f'n{rng.randrange(MAX_NAMES)}', step) for index, step in enumerate(steps, start=1)}
    rows, order = sort(things, len(steps))
    given, _, derived = rows.partition(' min ')
    return f'{given} [ min {derived} . order {" ".join(order)} ]'


def carried_out(rng: random.Random) -> tuple[CoarseLog, ParsedQuestion]:
    """A short plan and a log of part of it, with sway between and within its instructions."""
    plan, steps, kind = [], [CoarseStep('start', 0)], ''
    for _ in range(rng.randint(2, 4)):
        kind = rng.choice([other for other in (FORWARD, LEFT, RIGHT) if other != kind])
        unit, most = (1, 8) if kind == FORWARD else (ANGLE_DEG, 180)
        size = rng.randrange(unit, most + 1, unit)
        plan.append((kind, size))
        while size > 0:
            done = rng.randrange(unit, size + unit, unit)
            steps.append(CoarseStep(kind, done))
            size -= done if rng.random() < 0.9 else done + unit
            if rng.random() < 0.3:
                sways = [CoarseStep(other, ANGLE_DEG * rng.randint(1, 2)) for other in (LEFT, RIGHT) if other != kind]
                steps.append(rng.choice(sways if kind == FORWARD else [*sways, CoarseStep(FORWARD, 1)]))
    end = rng.randint(1, min(len(steps), MAX_STEPS))
    return CoarseLog(tuple(steps[:end])), ParsedQuestion(task=PROGRESS_EVALUATION, plan=tuple(plan))
