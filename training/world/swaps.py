"""Thoughts that lead elsewhere, or nowhere: what a judge of consistency is taught on, and tried on.

A judge must follow a worked thought whose sides or numbers were changed: one that answers from the question alone, or
from what is usual, does not. It must not follow a thought that claims an answer and holds nothing that it rests on.
"""

from __future__ import annotations

import random
import re

from embodied_r_ros.core.asking import Ask
from embodied_r_ros.core.coarse import ANGLE_DEG
from embodied_r_ros.core.compact import NOWHERE, possible_answers
from embodied_r_ros.core.question_words import APPEARANCE_ORDER, PROGRESS_EVALUATION, RELATIVE_DISTANCE, ROUTE_PLANNING
from training.world.thoughts import Worked, sector, sort

_TURN = re.compile(r'dir \d+deg - (\d+)deg = \d+deg (\S+)')
_DISTANCE = re.compile(r'dist (\d+) (q\d)')
_PLACE_IN_ORDER = re.compile(r'(q\d) (n\d+) o(\d+)')
_INSTRUCTION = re.compile(r'\bi(\d+)\b')
_CLAUSE_END = re.compile(r' [;.] ')
MAX_CLAIMS = 3


def swapped(rng: random.Random, ask: Ask, worked: Worked) -> Worked | None:
    """The thought changed so that it leads to another answer; None where it offers nothing to change."""
    task = ask.question.task
    if task == APPEARANCE_ORDER:
        return _swap_order(rng, ask, worked)
    if task == RELATIVE_DISTANCE:
        return _swap_distances(rng, worked)
    if task == PROGRESS_EVALUATION:
        return _swap_instruction(rng, ask, worked)
    if task == ROUTE_PLANNING:
        return _swap_turns(rng, worked)
    return _swap_direction(rng, ask.question.family, worked)


def _other_angle(rng: random.Random, family: str, word: str) -> tuple[int, str]:
    """A relative direction that another word of the family stands for, and that word."""
    angles = [angle for angle in range(0, 360, ANGLE_DEG) if sector(family, angle) != word]
    angle = rng.choice(angles)
    return angle, sector(family, angle)


def _swap_direction(rng: random.Random, family: str, worked: Worked) -> Worked:
    angle, word = _other_angle(rng, family, worked.answer)
    *_, last = _TURN.finditer(worked.thought)
    base = int(last[1])
    thought = f'{worked.thought[: last.start()]}dir {(base + angle) % 360}deg - {base}deg = {angle}deg {word}'
    return Worked(thought, word)


def _swap_turns(rng: random.Random, worked: Worked) -> Worked:
    words: list[str] = []

    def turn(match: re.Match[str]) -> str:
        angle, word = _other_angle(rng, 'lrb', match[2])
        words.append(word)
        base = int(match[1])
        return f'dir {(base + angle) % 360}deg - {base}deg = {angle}deg {word}'

    rows = _TURN.sub(turn, worked.thought.rpartition(' . ')[0])
    answer = ' '.join(words)
    return Worked(f'{rows} . {answer}', answer)


def _swap_distances(rng: random.Random, worked: Worked) -> Worked | None:
    distances = {tag: int(number) for number, tag in _DISTANCE.findall(worked.thought)}
    least = distances[worked.answer]
    others = [tag for tag, number in distances.items() if number > least]
    if not others:
        return None
    best = rng.choice(others)
    distances[worked.answer], distances[best] = distances[best], least
    if min(distances, key=lambda tag: distances[tag]) != best:
        return None
    rows = _DISTANCE.sub(lambda match: f'dist {distances[match[2]]} {match[2]}', worked.thought.rpartition(' . ')[0])
    return Worked(f'{rows} . min {least} {best}', best)


def _swap_order(rng: random.Random, ask: Ask, worked: Worked) -> Worked | None:
    things = {tag: (name, int(step)) for tag, name, step in _PLACE_IN_ORDER.findall(worked.thought)}
    things = {tag: things[tag] for tag in sorted(things)}
    steps = [step for _, step in things.values()]
    rng.shuffle(steps)
    count = 1 if ask.question.family == 'first' else len(things)
    rows, order = sort({tag: (name, step) for (tag, (name, _)), step in zip(things.items(), steps)}, count)
    answer = ' '.join(order)
    return None if answer == worked.answer else Worked(f'{rows} . {ask.question.family} {answer}', answer)


def _swap_instruction(rng: random.Random, ask: Ask, worked: Worked) -> Worked | None:
    """Count the instructions from a later one on."""
    rows, *_ = worked.thought.rpartition('. now')
    last = max(map(int, _INSTRUCTION.findall(worked.thought)))
    if not rows or last >= len(ask.question.plan):
        return None
    shift = rng.randint(1, len(ask.question.plan) - last)
    thought = _INSTRUCTION.sub(lambda match: f'i{int(match[1]) + shift}', worked.thought)
    return Worked(thought, thought.rpartition(' ')[2])


def unsupported(rng: random.Random, ask: Ask, worked: Worked) -> Worked:
    """A claim drawn at random, with no more of the thought than can be said before the last thing is looked up."""
    claim = rng.choice(possible_answers(ask.question))
    return Worked(claimed(rng, ask, worked, claim), NOWHERE)


def claimed(rng: random.Random, ask: Ask, worked: Worked, claim: str) -> str:
    """A thought that claims an answer, around the beginning of another one that holds no evidence."""
    before, after = rng.randint(0, MAX_CLAIMS - 1), rng.randint(1, MAX_CLAIMS)
    parts = [*[claim] * before, without_evidence(rng, ask, worked), *[claim] * after]
    return ' '.join(filter(None, parts))


def without_evidence(rng: random.Random, ask: Ask, worked: Worked) -> str:
    """The beginning of a thought, up to a place drawn before its last look-up; nothing where each row is evidence."""
    if ask.question.task in (APPEARANCE_ORDER, PROGRESS_EVALUATION):
        return ''
    *_, last = _PLACE_IN_ORDER.finditer(worked.thought)
    ends = [0, *(end.start() for end in _CLAUSE_END.finditer(worked.thought[: last.start()]))]
    return worked.thought[: rng.choice(ends)]
