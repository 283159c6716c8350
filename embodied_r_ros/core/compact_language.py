"""The compact language: what the embedded reasoner reads and writes, word by word.

    s0 start see n12 o0 right15deg 3m . s1 left 90deg . s2 forward 2m see n40 o2 ahead 4m . where q1 n12 : w4 ?

Step i is tagged s{i}, what is seen after it o{i}; things asked about are tagged q{k}. Names are mapped to name
tokens n{j} and back by program, so any noun will do.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.coarse import ANGLE_DEG, CELL_M, MAX_DISTANCE_CELLS, CoarseLog, CoarseStep, coarse_log
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.question_words import (
    ACTION_GENERATION,
    APPEARANCE_ORDER,
    COUNTERFACTUAL,
    FAMILIES,
    LANDMARK_POSITION,
    LEFT,
    MAX_INSTRUCTIONS,
    PROGRESS_EVALUATION,
    RELATIVE_DIRECTION,
    RELATIVE_DISTANCE,
    RIGHT,
    ROUTE_PLANNING,
)
from embodied_r_ros.core.questions import ParsedQuestion, read_question

MAX_STEPS = 32
MAX_NAMES = 64
MAX_COORDINATE = 80
PAD, BOS, EOS, UNKNOWN = '<pad>', '<s>', '</s>', '<unk>'
# The verdict on a thought that leads to no answer.
NOWHERE = '?'

_WORDS = (
    'start see stay forward left right ahead behind . , ; : ? = - where if go to at facing from nearest of '
    'order first plan now dir dist min rest check given drill'
).split()


def vocabulary() -> list[str]:
    """Every token of the compact language, special tokens first; the position is the token's id."""
    tokens = [PAD, BOS, EOS, UNKNOWN, '<think>', '</think>', '<answer>', '</answer>', *_WORDS]
    tokens += [*FAMILIES, *(word for family in FAMILIES.values() for word in family)]
    tokens += [f'{tag}{index}' for tag in 'sop' for index in range(MAX_STEPS + 1)]
    tokens += [f'q{index}' for index in range(1, 6)] + [f'r{index}' for index in range(1, 6)]
    tokens += [f'i{index}' for index in range(1, MAX_INSTRUCTIONS + 1)]
    tokens += [f'{angle}deg' for angle in range(0, 360, ANGLE_DEG)]
    tokens += [bearing(angle) for angle in range(ANGLE_DEG - 180, 181, ANGLE_DEG)]
    tokens += [metres(cells) for cells in range(MAX_DISTANCE_CELLS + 1)]
    tokens += [str(number) for number in range(-MAX_COORDINATE, 2 * MAX_COORDINATE + 1)]
    tokens += [f'n{index}' for index in range(MAX_NAMES)]
    return list(dict.fromkeys(tokens))


def metres(cells: int) -> str:
    """A distance in cells as its token, '2.5m'."""
    return f'{cells * CELL_M:g}m'


def bearing(angle: int) -> str:
    """A signed bearing as its one token, 'right15deg', so that a name stays near the distance that goes with it."""
    return 'ahead' if angle == 0 else f'{RIGHT if angle > 0 else LEFT}{abs(angle)}deg'


def amount(step: CoarseStep) -> str:
    """A step as its tokens, 'forward 2m', 'left 90deg', 'stay' or 'start'."""
    if step.kind == 'forward':
        return f'forward {metres(step.amount)}'
    return f'{step.kind} {step.amount}deg' if step.kind in (LEFT, RIGHT) else step.kind


@dataclasses.dataclass(frozen=True)
class Ask:
    """A question tied to a log.

    Attributes:
        mirrored: the steps of the turn that a counterfactual puts to the other side.
        late: whether a thing that it is about was seen only after that turn began.
    """

    question: ParsedQuestion
    mirrored: tuple[int, ...] = ()
    late: bool = False


def log_for(question: ParsedQuestion, observations: Sequence[Observation]) -> CoarseLog:
    """What a question is answered from: things at their newest sightings, or at their first where these decide."""
    return coarse_log(observations, first=question.task in (APPEARANCE_ORDER, COUNTERFACTUAL))


def understood(
    text: str, choices: Sequence[str], observations: Sequence[Observation]
) -> tuple[ParsedQuestion, CoarseLog]:
    """A question as it is read, and what it is answered from.

    Raises:
        UnsupportedQuestion: the question is none of the forms.
    """
    parsed = read_question(text, choices, coarse_log(observations).where_seen())
    return parsed, log_for(parsed, observations)


def tie(question: ParsedQuestion, log: CoarseLog) -> Ask:
    """Tie a question to what was seen.

    Raises:
        CannotTell: a thing asked about was never seen, or there was no such turn.
    """
    seen = log.where_seen()
    missing = [name for name in question.objects if name not in seen]
    if missing:
        others = ', '.join(sorted(seen)) or 'nothing'
        raise CannotTell(f'{", ".join(map(repr, missing))} was not seen in the window; seen were: {others}')
    if question.task != COUNTERFACTUAL:
        return Ask(question)
    turns = log.turns()
    index = question.turn - 1 if question.turn > 0 else question.turn
    if not -len(turns) <= index < len(turns):
        raise CannotTell(f'the question is about turn {question.turn}, but the window holds {len(turns)} turns')
    side, steps = turns[index]
    if side == question.side or side == 'both':
        raise CannotTell(f'the question supposes a turn to the {question.side} instead, but that turn went to {side!r}')
    return Ask(question, steps, any(seen[name][0] >= steps[0] for name in question.objects))


def name_tokens(names: Iterable[str]) -> dict[str, str]:
    """A name token for each name: the same for a name whatever else is in the log, as far as they do not collide."""
    tokens: dict[str, str] = {}
    taken: set[int] = set()
    for name in names:
        slot = zlib.crc32(name.encode()) % MAX_NAMES
        while slot in taken:
            slot = (slot + 1) % MAX_NAMES
        taken.add(slot)
        tokens[name] = f'n{slot}'
    return tokens


def write_log(log: CoarseLog, names: dict[str, str]) -> str:
    """The steps and sightings as tokens."""
    parts = []
    for index, step in enumerate(log.steps):
        part = f's{index} {amount(step)}'
        if step.sightings:
            seen = (f'{names[s.name]} o{index} {bearing(s.bearing)} {metres(s.cells)}' for s in step.sightings)
            part += ' see ' + ' , '.join(seen)
        parts.append(part)
    return ' . '.join(parts) + ' .'


def write_ask(ask: Ask, names: dict[str, str]) -> str:
    """The question as tokens."""
    question = ask.question
    tagged = [f'q{index} {names[name]}' for index, name in enumerate(question.objects, start=1)]
    if question.task == LANDMARK_POSITION:
        return f'where {tagged[0]} : {question.family} ?'
    if question.task == COUNTERFACTUAL:
        steps = ' '.join(f's{index}' for index in ask.mirrored)
        late = ' now' if ask.late else ''
        return f'where {tagged[0]}{late} if {steps} {question.side} : {question.family} ?'
    if question.task == ACTION_GENERATION:
        return f'go to {tagged[0]} : {question.family} ?'
    if question.task == RELATIVE_DIRECTION:
        return f'at {tagged[0]} facing {tagged[1]} where {tagged[2]} : {question.family} ?'
    if question.task == ROUTE_PLANNING:
        return f'from {tagged[0]} facing {tagged[1]} to {tagged[2]} to {tagged[3]} ?'
    if question.task == RELATIVE_DISTANCE:
        return f'nearest {tagged[0]} of {" ".join(tagged[1:])} ?'
    if question.task == APPEARANCE_ORDER:
        return f'{question.family} {" ".join(tagged)} ?'
    return f'plan {write_plan(question.plan)} now ?'


def write_plan(plan: Sequence[tuple[str, int]]) -> str:
    """Instructions as tokens, 'i1 forward 3m i2 left 90deg'."""
    return ' '.join(f'i{index} {amount(CoarseStep(kind, size))}' for index, (kind, size) in enumerate(plan, start=1))


def possible_answers(question: ParsedQuestion) -> list[str]:
    """Every answer that a question can have, as tokens."""
    tags = [f'q{index}' for index in range(1, len(question.objects) + 1)]
    if question.task == APPEARANCE_ORDER:
        taken = itertools.permutations(tags, 1 if question.family == 'first' else len(tags))
        return [' '.join(tags) for tags in taken]
    if question.task == RELATIVE_DISTANCE:
        return tags[1:]
    if question.task == ROUTE_PLANNING:
        return [' '.join(pair) for pair in itertools.product(FAMILIES['lrb'], repeat=2)]
    if question.task == PROGRESS_EVALUATION:
        return [f'i{index}' for index in range(1, len(question.plan) + 1)]
    return list(FAMILIES[question.family])


def write_check(ask: Ask, names: dict[str, str], thinking: str) -> str:
    """The consistency question: what was asked, and the thinking without its conclusion."""
    return f'check {write_ask(ask, names)} given {conclusion_cut(ask.question, thinking)} ?'


def conclusion_cut(question: ParsedQuestion, thinking: str) -> str:
    """The thinking up to, but without, the words that state the answer."""
    tokens = thinking.split()
    if question.task == APPEARANCE_ORDER:
        marks = [index for index, token in enumerate(tokens) if token in ('order', 'first')]
        return ' '.join(tokens[: marks[-1]] if marks else tokens)
    if question.task == ROUTE_PLANNING:
        return ' '.join(tokens[:-2])
    return ' '.join(tokens[:-1])
