"""Questions tied to what was seen: what is asked about, and the log of moves and sightings that it is answered from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from embodied_r_ros.core.coarse import CoarseLog, coarse_log
from embodied_r_ros.core.errors import CannotTell
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.question_words import APPEARANCE_ORDER, COUNTERFACTUAL
from embodied_r_ros.core.questions import ParsedQuestion, read_question


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
        CannotTell: a thing asked about was never seen at a known distance, or there was no such turn.
    """
    seen = log.where_seen()
    missing = [name for name in question.objects if name not in seen]
    unplaced = [name for name in missing if name in log.unplaced]
    if unplaced:
        raise CannotTell(
            f'{", ".join(map(repr, unplaced))} was seen, but at no known distance, which the embedded reasoner needs; '
            'calibrate the camera (camera_info), set the size of the tags, or add depth'
        )
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
