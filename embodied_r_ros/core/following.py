"""Whether a thought in the compact language follows its log: the moves and sightings that it writes are those seen."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

_MOVE = re.compile(r'\b(s\d{1,3} (?:(?:left|right|forward) [\d.]{1,6}(?:m|deg)|stay|start))(?!\S)')
_SIGHTING = re.compile(r'\b(q\d n\d{1,3} o\d{1,3}(?: (?:ahead|(?:left|right)\d{1,3}deg) [\d.]{1,6}m)?)(?!\S)')


def astray(thinking: str, moves: Sequence[str], sightings: Iterable[str]) -> str:
    """The first move or sighting that a thought invents or skips, in words; '' where there is none.

    Args:
        thinking: of the model, in the compact language.
        moves: all that it must write, in this order: 's1 left 90deg', 's2 stay'.
        sightings: each of which it must write, in any order and as often as it likes: 'q1 n7 o3 ahead 2m', 'q1 n7 o3'.
    """
    for wanted, written in itertools.zip_longest(moves, _MOVE.findall(thinking), fillvalue='nothing'):
        if wanted != written:
            return f'{wanted!r} was to follow, {written!r} came'
    expected, found = dict.fromkeys(sightings), dict.fromkeys(_SIGHTING.findall(thinking))
    invented = next((sighting for sighting in found if sighting not in expected), '')
    skipped = next((sighting for sighting in expected if sighting not in found), '')
    if invented or skipped:
        return f'{skipped or "nothing"!r} was to be looked up, {invented or "nothing"!r} was'
    return ''
