"""Worked thoughts: the line of reasoning, in the compact language, that leads from a log to the answer of a question.

Every look-up writes its key first and its value right after it; the pose is tracked step by step; each conclusion
states the numbers that it rests on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.asking import Ask
from embodied_r_ros.core.coarse import CoarseLog, CoarsePose, direction, polar
from embodied_r_ros.core.compact_words import amount, bearing, metres


@dataclasses.dataclass(frozen=True)
class Worked:
    """A thought and the answer it leads to, both in tokens; `margin` is how far the decision is from its border.

    For directions the margin is in degrees, for distances in cells; infinite where there is no border.
    """

    thought: str
    answer: str
    margin: float = math.inf

    @property
    def reply(self) -> str:
        """The whole reply that the reasoner is taught."""
        return f'<think> {self.thought} </think> <answer> {self.answer} </answer>'


def sector(family: str, angle: float) -> str:
    """The word of a family for a direction, clockwise degrees from the one faced; borders belong to the later one."""
    words, whole = forms.FAMILIES[family], math.floor(angle % 360) % 360
    if family == 'lrb':
        return 'behind' if 135 <= whole <= 225 else words[0] if whole < 180 else words[2]
    if family in ('w4', 'a4'):
        return words[(whole + 45) % 360 // 90]
    if family == 'w8':
        return words[int((angle + 22.5) % 360 // 45)]
    return words[whole // 90 if family == 'q4' else whole // 180]


def border_distance(family: str, angle: float) -> float:
    """Degrees from a direction to the nearest border between two words of a family."""
    borders = {
        'lr': (0, 180),
        'lrb': (0, 135, 225),
        'q4': (0, 90, 180, 270),
        'w4': (45, 135, 225, 315),
        'a4': (45, 135, 225, 315),
        'w8': tuple(22.5 + 45 * k for k in range(8)),
    }[family]
    return min(abs((angle - border + 180) % 360 - 180) for border in borders)


def think(log: CoarseLog, ask: Ask, names: dict[str, str]) -> Worked:
    """Work out the answer to a question from a log, in the compact language."""
    task = ask.question.task
    if task == forms.PROGRESS_EVALUATION:
        return _progress(log, ask)
    if task == forms.APPEARANCE_ORDER:
        return _order(log, ask, names)
    scribe = _Scribe(log, ask, names)
    if task in (forms.LANDMARK_POSITION, forms.COUNTERFACTUAL, forms.ACTION_GENERATION):
        return scribe.from_here()
    if task == forms.RELATIVE_DIRECTION:
        return scribe.relative_direction()
    if task == forms.RELATIVE_DISTANCE:
        return scribe.relative_distance()
    return scribe.route()


class _Scribe:
    """Writes the thoughts that rest on where things are."""

    def __init__(self, log: CoarseLog, ask: Ask, names: dict[str, str]) -> None:
        self.log, self.ask, self.names = log, ask, names
        self.places: list[tuple[int, int]] = []
        supposed = log.mirrored(ask.mirrored)
        followed = log if ask.late else supposed
        self.poses = followed.poses()
        self.parts = [track(followed, self.poses)]
        looks = [self._look_up(index, name) for index, name in enumerate(ask.question.objects, start=1)]
        self.parts.append(' ; '.join(looks) + ' .')
        if ask.late:  # the thing was seen on the way that was taken: the other way is told from the turn on
            self.poses = supposed.poses()
            self.parts.append(track(supposed, self.poses, ask.mirrored[0] - 1))

    def from_here(self) -> Worked:
        here, (right, ahead) = self.poses[-1], self.places[0]
        off = (right - here.right, ahead - here.ahead)
        towards = direction(*off)
        relative = (towards - here.heading) % 360
        word = sector(self.ask.question.family, relative)
        last = len(self.poses) - 1
        self.parts.append(
            f'r1 {right} {ahead} - p{last} {here.heading}deg {here.right} {here.ahead} = {off[0]} {off[1]} '
            f'dir {towards}deg - {here.heading}deg = {relative}deg {word}'
        )
        return self._done(word, self._margin(off, here.heading))

    def relative_direction(self) -> Worked:
        (faced, first), (sought, second) = self._leg(1, 2), self._leg(1, 3)
        relative = (sought - faced) % 360
        word = sector(self.ask.question.family, relative)
        self.parts.append(f'{first} dir {faced}deg ; {second} dir {sought}deg - {faced}deg = {relative}deg {word}')
        exact = self._angle(1, 3) - self._angle(1, 2)
        return self._done(word, border_distance(self.ask.question.family, exact))

    def route(self) -> Worked:
        directions: list[int] = []
        words, margins, lines = [], [], []
        for index in (1, 2, 3):
            towards, line = self._leg(index, index + 1)
            line += f' dir {towards}deg'
            if directions:
                turn = (towards - directions[-1]) % 360
                words.append(sector('lrb', turn))
                line += f' - {directions[-1]}deg = {turn}deg {words[-1]}'
                exact = self._angle(index, index + 1) - self._angle(index - 1, index)
                margins.append(border_distance('lrb', exact))
            directions.append(towards)
            lines.append(line)
        self.parts.append(' ; '.join(lines) + f' . {" ".join(words)}')
        return self._done(' '.join(words), min(margins))

    def relative_distance(self) -> Worked:
        lines, distances = [], {}
        for index in range(2, len(self.places) + 1):
            right, ahead = self._off(1, index)
            distances[f'q{index}'] = round(math.hypot(right, ahead))
            lines.append(f'{self._subtraction(1, index)} dist {distances[f"q{index}"]} q{index}')
        best = min(distances, key=lambda tag: distances[tag])
        self.parts.append(' ; '.join(lines) + f' . min {distances[best]} {best}')
        ranked = sorted(math.hypot(*self._off(1, index)) for index in range(2, len(self.places) + 1))
        return self._done(best, ranked[1] - ranked[0])

    def _look_up(self, index: int, name: str) -> str:
        step, seen = self.log.where_seen()[name]
        pose = self.poses[step]
        way = (pose.heading + seen.bearing) % 360
        right, ahead = polar(way, seen.cells)
        place = (pose.right + right, pose.ahead + ahead)
        self.places.append(place)
        return (
            f'q{index} {self.names[name]} o{step} {bearing(seen.bearing)} {metres(seen.cells)} '
            f'p{step} {pose.heading}deg {pose.right} {pose.ahead} '
            f'= {way}deg {right} {ahead} r{index} {place[0]} {place[1]}'
        )

    def _off(self, start: int, end: int) -> tuple[int, int]:
        (x, y), (to_x, to_y) = self.places[start - 1], self.places[end - 1]
        return to_x - x, to_y - y

    def _angle(self, start: int, end: int) -> float:
        return math.degrees(math.atan2(*self._off(start, end)))

    def _subtraction(self, start: int, end: int) -> str:
        (x, y), (to_x, to_y) = self.places[start - 1], self.places[end - 1]
        return f'r{end} {to_x} {to_y} - r{start} {x} {y} = {to_x - x} {to_y - y}'

    def _leg(self, start: int, end: int) -> tuple[int, str]:
        return direction(*self._off(start, end)), self._subtraction(start, end)

    def _margin(self, off: tuple[int, int], heading: int) -> float:
        return border_distance(self.ask.question.family, math.degrees(math.atan2(*off)) - heading)

    def _done(self, answer: str, margin: float) -> Worked:
        return Worked(' '.join(self.parts), answer, margin)


def track(log: CoarseLog, poses: Sequence[CoarsePose], start: int = 0) -> str:
    """The pose after each step, from one of them on."""
    parts = [f'p{start} {poses[start].heading}deg {poses[start].right} {poses[start].ahead}']
    for index, (step, pose) in enumerate(zip(log.steps[start + 1 :], poses[start + 1 :]), start=start + 1):
        moved = ''
        if step.kind == 'forward':
            right, ahead = polar(pose.heading, step.amount)
            moved = f' {right} {ahead}'
        parts.append(f's{index} {amount(step)}{moved} p{index} {pose.heading}deg {pose.right} {pose.ahead}')
    return ' ; '.join(parts) + ' .'


def _order(log: CoarseLog, ask: Ask, names: dict[str, str]) -> Worked:
    """Look up when each thing was first seen, and sort."""
    seen, question = log.where_seen(), ask.question
    things = {f'q{index}': (names[name], seen[name][0]) for index, name in enumerate(question.objects, start=1)}
    rows, order = sort(things, 1 if question.family == 'first' else len(things))
    answer = ' '.join(order)
    steps = sorted(step for _, step in things.values())
    margin = min(b - a for a, b in zip(steps, steps[1:])) if question.family == 'order' else steps[1] - steps[0]
    return Worked(f'{rows} . {question.family} {answer}', answer, margin)


def sort(things: dict[str, tuple[str, int]], count: int) -> tuple[str, list[str]]:
    """Take the earliest of the rest `count` times, listing the rest anew each time.

    Args:
        things: name token and step of each tag.
        count: how many are taken.

    Returns:
        the rows, and the tags in the order in which they were taken.
    """
    rest, rows, order = dict(things), [], []
    for _ in range(count):
        earliest = min(rest, key=lambda tag: rest[tag][1])
        listed = ' '.join(f'{tag} {name} o{step}' for tag, (name, step) in rest.items())
        name, step = rest.pop(earliest)
        rows.append(f'{listed} min {earliest} {name} o{step}')
        order.append(earliest)
    return ' ; '.join(rows), order


def _progress(log: CoarseLog, ask: Ask) -> Worked:
    """Count each step against the instruction under way.

    A step begins the next instruction where it is of that one's kind and at least half of the present one is done;
    other steps of another kind are the sway of a robot that measures its way badly.
    """
    plan = ask.question.plan
    parts: list[str] = []
    index, rest = -1, 0
    for number, step in enumerate(log.steps[1:], start=1):
        if step.kind == 'stay':
            continue
        if index < 0 or _begins_next(plan, index, rest, step.kind):
            index += 1
            rest = plan[index][1]
            head = f'i{index + 1} {_quantity(*plan[index])}'
        else:
            head = f'i{index + 1} rest {_size(plan[index][0], rest)}'
        part = f's{number} {amount(step)} {head}'
        if plan[index][0] == step.kind:
            rest = max(0, rest - step.amount)
            part += f' - {_size(step.kind, step.amount)} = {_size(step.kind, rest)}'
        parts.append(part)
    now = index + 2 if rest == 0 and 0 <= index < len(plan) - 1 else max(index, 0) + 1
    return Worked(f'{" ; ".join(parts)} . now i{now}'.strip(), f'i{now}')


def _begins_next(plan: Sequence[tuple[str, int]], index: int, rest: int, kind: str) -> bool:
    if index + 1 == len(plan) or kind == plan[index][0]:
        return False
    return kind == plan[index + 1][0] and 2 * rest <= plan[index][1]


def _size(kind: str, size: int) -> str:
    return metres(size) if kind == 'forward' else f'{size}deg'


def _quantity(kind: str, size: int) -> str:
    return f'{kind} {_size(kind, size)}'
