"""How far the reader of questions reaches beyond the phrasings it was written from."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

import yaml

from embodied_r_ros.core.errors import UnsupportedQuestion
from embodied_r_ros.core.question_words import (
    ACTION_GENERATION,
    APPEARANCE_ORDER,
    COUNTERFACTUAL,
    LANDMARK_POSITION,
    PROGRESS_EVALUATION,
    RELATIVE_DIRECTION,
    RELATIVE_DISTANCE,
    ROUTE_PLANNING,
)
from embodied_r_ros.core.questions import ParsedQuestion, read_question

_FILE = yaml.safe_load(pathlib.Path(__file__).with_name('other_phrasings.yaml').read_text())
OTHERS, HELD_OUT = _FILE['others'], _FILE['held_out']
THINGS = (
    ('sofa', 'floor lamp', 'water cooler', 'first aid kit'),
    ('vending machine', 'tv stand', 'pine tree', 'bench'),
)
PLAN = '1. go forward 3 m; 2. turn right 90 degrees; 3. go forward 2.5 m; 4. turn left 45 degrees'
SIDES = ('ahead', 'to the right', 'behind', 'to the left')
ORDINALS = {'first': 1, 'second': 2, 'third': 3, 'last': -1}


def choices(task: str, things: tuple[str, ...]) -> tuple[str, ...]:
    return {
        PROGRESS_EVALUATION: ('step 1', 'step 2', 'step 3', 'step 4'),
        ACTION_GENERATION: ('move forward', 'turn left', 'turn right', 'turn around'),
        RELATIVE_DISTANCE: ('the oven', 'the urn', 'the van'),
        ROUTE_PLANNING: ('left, then right', 'right, then left', 'left, then left', 'right, then right'),
        APPEARANCE_ORDER: (', '.join(things), ', '.join(things[::-1])),
    }.get(task, SIDES)


def readings(phrasings: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, str, bool | None]]:
    """Task, question, and whether it was read right; None where the reader declined."""
    for task, templates in phrasings.items():
        for template in templates:
            for things in THINGS:
                rng = random.Random(template)
                side, other = rng.choice([('left', 'right'), ('right', 'left')])
                ordinal = rng.choice(list(ORDINALS))
                listed = ', the '.join(things[:-1]) + f' and the {things[-1]}'
                text = template.format(*things, side=side, other=other, ordinal=ordinal, plan=PLAN, list=listed)
                try:
                    parsed = read_question(text, choices(task, things), things)
                except UnsupportedQuestion:
                    yield task, text, None
                else:
                    yield task, text, is_right(parsed, task, things, side, ORDINALS[ordinal])


def is_right(parsed: ParsedQuestion, task: str, things: tuple[str, ...], side: str, turn: int) -> bool:
    wanted = {
        LANDMARK_POSITION: things[:1],
        COUNTERFACTUAL: things[:1],
        PROGRESS_EVALUATION: (),
        ACTION_GENERATION: things[:1],
        RELATIVE_DISTANCE: (things[0], 'oven', 'urn', 'van'),
        RELATIVE_DIRECTION: things[:3],
        ROUTE_PLANNING: things,
        APPEARANCE_ORDER: things,
    }[task]
    turned = task != COUNTERFACTUAL or (parsed.side, parsed.turn) == (side, turn)
    planned = task != PROGRESS_EVALUATION or len(parsed.plan) == 4
    return parsed.task == task and parsed.objects == wanted and turned and planned


def test_phrasings_of_others_are_read() -> None:
    found = [right for _, _, right in readings(OTHERS)]
    assert sum(right is True for right in found) / len(found) >= 0.95


def test_held_out_phrasings_are_read_or_declined() -> None:
    found = [right for _, _, right in readings(HELD_OUT)]
    assert sum(right is True for right in found) / len(found) >= 0.8


def test_no_phrasing_is_mistaken_for_another_question() -> None:
    mistaken = [text for phrasings in (OTHERS, HELD_OUT) for _, text, right in readings(phrasings) if right is False]
    assert mistaken == []
