"""Questions with checked answers about simulated walks, in English: the eight tasks, with no giveaway.

A question whose coarse text does not lead to the truth is dropped.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import random
import string
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.core.asking import tie, understood
from embodied_r_ros.core.compact import MAX_STEPS, name_tokens
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.questions import TASKS
from training.world.drafts import DRAFTERS, Draft, Survey
from training.world.phrasings import PHRASINGS
from training.world.scene import Walk
from training.world.thoughts import think
from training.world.views import GLIMPSED_ASIDE_DEG

DRAFTS = 6


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question in English: its task, text, choices, the true choice, the target looked for, and when it is asked."""

    task: str
    text: str
    choices: tuple[str, ...]
    truth: str
    target: tuple[str, ...]
    end_s: float


class Examiner(Survey):
    """Asks about one walk."""

    def ask(self, task: str) -> Asked | None:
        """A question of a task; None when the walk has no such question."""
        draft = self.draft(task)
        if draft is None:
            return None
        choices = list(map(self._spoken, draft.choices))
        self.rng.shuffle(choices)
        text = self._spoken(self.rng.choice(PHRASINGS[task]).format(*draft.slots, **draft.extra))
        return Asked(task, text, tuple(choices), self._spoken(draft.truth), draft.target, min(draft.end_s, self.now_s))

    def draft(self, task: str) -> Draft | None:
        """A question of a task before it is put into English; None when the walk has no such question."""
        return DRAFTERS[task](self)

    def _spoken(self, text: str) -> str:
        """The text without articles before names with a number: 'where is chair 2?'."""
        for name in self.places:
            if name[-1].isdigit():
                text = text.replace(f'the {name}', name)
        return text


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
    counts: Sequence[int] = (),
    moves: int | None = None,
    aside_deg: float = GLIMPSED_ASIDE_DEG,
) -> list[dict[str, Any]]:
    """A question of each of the tasks about a walk, no two alike, each with an answer that its exact text leads to.

    Args:
        walk: the place and the path, for the truth.
        observations: exact observations of the walk.
        tasks: what to ask; a task may stand in it more than once.
        rng: draws things and wordings.
        asked: how often each target was asked for on other walks, see `Examiner`.
        tally: counts what was kept and why the rest was not.
        counts: each question is asked after one of these numbers of observations, drawn among those that there is such
            a question after; without any, after all.
        moves: each question is answered from so many; from any number without it.
        aside_deg: no farther aside is anything glimpsed.

    Returns:
        Samples without `id` and what was observed: source, scene, category, question, choices, the letter of the
        answer, and `end_s` where it is asked before the end; a walk without a question of one task is asked one of
        another.
    """
    tally = tally if tally is not None else Tally()
    asked = collections.Counter() if asked is None else asked
    moments_s = [(observations[count - 1].stamp_ns - observations[0].stamp_ns) / 1e9 for count in counts] or [math.inf]
    examiners = [
        Examiner(walk, until(observations, now_s), rng, asked, now_s=now_s, aside_deg=aside_deg) for now_s in moments_s
    ]
    questions: list[Asked] = []
    for task in [*tasks, *TASKS]:
        if len(questions) == len(tasks):
            break
        rng.shuffle(examiners)
        new = (_new_question(examiner, task, observations, questions, tally, moves) for examiner in examiners)
        question = next((found for found in new if found is not None), None)
        if question is None:
            tally.none += 1
            continue
        tally.kept += 1
        asked[question.target] += 1
        questions.append(question)
    return [_sample(walk, question) for question in questions]


def _new_question(
    examiner: Examiner,
    task: str,
    observations: Sequence[Observation],
    others: Sequence[Asked],
    tally: Tally,
    moves: int | None,
) -> Asked | None:
    """A question of a task whose exact text leads to its answer, by so many moves if that is asked for, and whose words
    none of the others has."""
    for _ in range(DRAFTS):
        question = examiner.ask(task)
        if question is None:
            return None
        held = until(observations, question.end_s)
        if moves is not None and len(understood(question.text, question.choices, held)[1].steps) != moves + 1:
            continue
        if not leads_to(held, question):
            tally.coarse += 1
        elif question.text not in [other.text for other in others]:
            return question
    return None


def _sample(walk: Walk, question: Asked) -> dict[str, Any]:
    sample = {
        'source': 'world',
        'scene': walk.scene.site,
        'category': question.task,
        'question': question.text,
        'choices': list(question.choices),
        'answer': string.ascii_uppercase[question.choices.index(question.truth)],
    }
    return sample | ({'end_s': round(question.end_s, 3)} if math.isfinite(question.end_s) else {})


def until(observations: Sequence[Observation], end_s: float) -> list[Observation]:
    """The observations of the first `end_s` seconds."""
    return [o for o in observations if o.stamp_ns - observations[0].stamp_ns <= end_s * 1e9]


def leads_to(observations: Sequence[Observation], question: Asked) -> bool:
    """Whether observations, on the coarse grid, lead to the true choice of a question."""
    parsed, log = understood(question.text, question.choices, observations)
    if len(log.steps) > MAX_STEPS:
        return False
    try:
        worked = think(log, tie(parsed, log), name_tokens(log.where_seen()))
    except CannotTell:
        return False
    return parsed.options.get(worked.answer) == question.truth
