"""Whether a thought in the compact language follows its log: the moves and sightings that it writes are those seen."""

from __future__ import annotations

import itertools
import re

from embodied_r_ros.core.asking import Ask
from embodied_r_ros.core.coarse import CoarseLog
from embodied_r_ros.core.compact_words import amount, bearing, metres
from embodied_r_ros.core.question_words import APPEARANCE_ORDER

_MOVE = re.compile(r'\b(s\d{1,3} (?:left|right|forward) [\d.]{1,6}(?:m|deg))(?!\S)')
_SIGHTING = re.compile(r'\b(q\d n\d{1,3} o\d{1,3}(?: (?:ahead|(?:left|right)\d{1,3}deg) [\d.]{1,6}m)?)(?!\S)')


def astray(thinking: str, ask: Ask, log: CoarseLog, names: dict[str, str]) -> str:
    """The first move or sighting that a thought invents or skips, in words; '' where there is none.

    Args:
        thinking: of the model, in the compact language.
        ask: what it was asked.
        log: that it was to follow.
        names: the token of each name.
    """
    for wanted, written in itertools.zip_longest(_moves(ask, log), _MOVE.findall(thinking), fillvalue='nothing'):
        if wanted != written:
            return f'wanted the move {wanted!r}, got {written!r}'
    expected, found = _sightings(ask, log, names), dict.fromkeys(_SIGHTING.findall(thinking))
    invented = next((sighting for sighting in found if sighting not in expected), '')
    skipped = next((sighting for sighting in expected if sighting not in found), '')
    if invented or skipped:
        return f'wanted the sighting {skipped or "nothing"!r}, got {invented or "nothing"!r}'
    return ''


def _moves(ask: Ask, log: CoarseLog) -> list[str]:
    """The moves that a thought writes, in their order; a step without a move, which changes nothing, is none."""
    if ask.question.task == APPEARANCE_ORDER:
        return []
    taken, supposed = (list(enumerate(steps)) for steps in (log.steps, log.mirrored(ask.mirrored).steps))
    moves = taken + supposed[ask.mirrored[0] :] if ask.late else supposed
    return [f's{index} {amount(step)}' for index, step in moves if step.kind not in ('start', 'stay')]


def _sightings(ask: Ask, log: CoarseLog, names: dict[str, str]) -> list[str]:
    """The sightings that a thought looks up, in any order and as often as it likes."""
    seen = log.where_seen()
    tagged = [(f'q{index} {names[name]}', *seen[name]) for index, name in enumerate(ask.question.objects, start=1)]
    if ask.question.task == APPEARANCE_ORDER:
        return [f'{tag} o{step}' for tag, step, _ in tagged]
    return [f'{tag} o{step} {bearing(at.bearing)} {metres(at.cells)}' for tag, step, at in tagged]
