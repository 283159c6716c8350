"""Observations that are words only, as in hand-written samples and other people's captions, read into data.

The one place that reads numbers back from words.
"""

from __future__ import annotations

import math
import re
from typing import Any

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.phrases import NOTHING_NEW, STILL
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting

# The words stand between single blanks. A number of more digits measures nothing.
_NUMBER = r'\d{1,6}(?:\.\d{1,6})?'
_MEASURED = re.compile(
    r'(?P<verb>moved|rotated|tilted) (?P<way>forward|backward|left|right|upward|downward) '
    rf'(?P<about>about )?(?P<amount>{_NUMBER}) ?(?P<unit>m|deg)\b'
)
_SIGHTING = re.compile(
    rf'(?P<name>[^;]+?) (?:(?P<ahead>straight ahead)|(?P<degrees>{_NUMBER}) ?deg (?P<side>left|right))'
    rf'(?: at (?P<distance>{_NUMBER}) ?m)?$'
)
# So much is read of words that tell a motion.
MAX_ACTION_CHARS = 16_384
_INFINITIVE = {'moved': 'move', 'rotated': 'rotate', 'tilted': 'tilt'}
_NEGATIVE = ('backward', 'right', 'downward')


def from_words(session: int, index: int, stamp_ns: int, action: str, text: str, **details: Any) -> Observation:
    """An observation from its motion and what is in view, each in words; `details` are further fields of it."""
    sightings, rest = read_sightings(text)
    return Observation(
        session=session,
        index=index,
        stamp_ns=stamp_ns,
        motion=read_motion(action),
        sightings=sightings,
        text=rest,
        **details,
    )


def read_motion(action: str) -> Motion | None:
    """The motion that words tell; None for none.

    What the words measure becomes moves, climbs and tilts; a part that measures nothing is a move by its name. Words
    that tell of having moved forward, without saying how far, are taken to come from images. No more than the first
    16,384 characters are read.
    """
    action = ' '.join(action[:MAX_ACTION_CHARS].split())
    if not action:
        return None
    if action == STILL:
        return Motion(name='stay')
    moves: list[Move] = []
    rest = {'up_m': math.nan, 'tilt_up_deg': math.nan}
    parts = [part for part in action.split(', ') if part.strip(' ,')]
    for part in parts:
        matches = list(_MEASURED.finditer(part))
        for match in matches:
            _take(match, moves, rest)
        if not matches:
            moves.append(Move(kind=_name(part), amount=math.nan))
    unmeasured = 'moved forward' in parts
    source = MotionSource.IMAGES if unmeasured else MotionSource.NONE
    return Motion(name='', moves=tuple(moves), source=source, **rest)


def _take(match: re.Match[str], moves: list[Move], rest: dict[str, float]) -> None:
    amount = float(match['amount']) * (-1.0 if match['way'] in _NEGATIVE else 1.0)
    kind = (match['verb'], match['unit'], 'along' if match['way'] in ('forward', 'backward') else match['way'])
    if kind[:2] == ('rotated', 'deg') and match['way'] in ('left', 'right'):
        moves.append(Move(kind='turn', amount=amount))
    elif kind[:2] == ('moved', 'm') and match['way'] in ('upward', 'downward'):
        rest['up_m'] = amount
    elif kind[:2] == ('tilted', 'deg') and match['way'] in ('upward', 'downward'):
        rest['tilt_up_deg'] = amount
    elif kind[:2] == ('moved', 'm'):
        moves.append(
            Move(kind='forward' if kind[2] == 'along' else 'left', amount=amount, estimated=bool(match['about']))
        )


def _name(words: str) -> str:
    verb, _, rest = words.strip().partition(' ')
    return f'{_INFINITIVE[verb]} {rest}' if verb in _INFINITIVE else words.strip()


def read_sightings(text: str) -> tuple[tuple[Sighting, ...], str]:
    """The measured sightings in a text whose parts stand between semicolons, and the other parts."""
    sightings, rest = [], []
    for part in (part.strip() for part in text.split(';')):
        match = _SIGHTING.match(' '.join(part.rstrip('.').split()))
        if match is None:
            rest.append(part)
            continue
        bearing_deg = 0.0 if match['ahead'] else float(match['degrees']) * (1.0 if match['side'] == 'left' else -1.0)
        distance_m = float(match['distance']) if match['distance'] else math.nan
        sightings.append(Sighting.level(match['name'].strip(), bearing_deg, distance_m, source='text'))
    prose = '; '.join(part for part in rest if part and part != NOTHING_NEW)
    return tuple(sightings), prose
