"""The phrases in which measured motion and measured sightings are written, and read back.

    motion     moved forward 1.42 m, rotated left 32 deg
    sightings  sofa 20 deg left at 3.2 m; floor lamp straight ahead at 1.0 m; desk 41 deg right

A person, a language model and the compact prompt format read the same words.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable

from embodied_r_ros.core.records import Motion, Move

STILL = 'stayed still'
NOTHING_NEW = 'nothing new'

MIN_MOVE_M = 0.05
MIN_TURN_DEG = 2.0
MIN_SPLIT_DEG = 8.0
MAX_DIRECTION_DEG = 75.0
MAX_MOVES = 8

_MOVE = re.compile(
    r'(?P<verb>moved|rotated|tilted)\s+(?P<way>forward|backward|left|right|upward|downward)\s+'
    r'(?:about\s+)?(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>m|deg)\b'
)
_SIGHTING = re.compile(
    r'(?P<name>[^;]+?)\s+(?:(?P<ahead>straight ahead)|(?P<degrees>\d+(?:\.\d+)?)\s*deg\s+(?P<side>left|right))'
    r'(?:\s+at\s+(?P<distance>\d+(?:\.\d+)?)\s*m)?\s*$'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sighting:
    """An object in view: bearing in degrees (positive left of the optical axis), horizontal distance in m or None."""

    name: str
    bearing_left_deg: float
    distance_m: float | None = None


def write_motion(motion: Motion) -> str:
    """Write measured motion in words, its parts in the order in which they explain it best.

    What was walked in the old direction comes before the turn, what was walked in the new direction after it. Without
    amounts (motion from images without intrinsics) the action's name stands alone: 'rotated left'.
    """
    if math.isnan(motion.forward_m) and math.isnan(motion.rotate_left_deg):
        return STILL if motion.name == 'stay' else _bare(motion.name)
    if math.isnan(motion.forward_m):
        turn = _amount('rotated', motion.rotate_left_deg, 'left', 'right', 'deg', MIN_TURN_DEG)
        tilt = _amount('tilted', motion.tilt_up_deg, 'upward', 'downward', 'deg', MIN_TURN_DEG)
        walk = [_bare(motion.name)] if motion.name.startswith('move') else []
        return ', '.join(walk + turn + tilt) or STILL
    turn_deg = 0.0 if math.isnan(motion.rotate_left_deg) else motion.rotate_left_deg
    rest = _amount('moved', motion.up_m, 'upward', 'downward', 'm', MIN_MOVE_M)
    rest += _amount('tilted', motion.tilt_up_deg, 'upward', 'downward', 'deg', MIN_TURN_DEG)
    moves = motion.moves or planar_moves(motion.forward_m, motion.left_m, turn_deg)
    return ', '.join([part for move in moves for part in _write_move(move)] + rest) or STILL


def write_moves(moves: Iterable[Move]) -> str:
    """Write elementary moves in words; 'stayed still' where they come to nothing."""
    return ', '.join(part for move in moves for part in _write_move(move)) or STILL


def _write_move(move: Move) -> list[str]:
    if move.kind == 'turn':
        return _turn(move.amount)
    return _walk(move.amount, 0.0) if move.kind == 'forward' else _walk(0.0, move.amount)


def planar_moves(forward_m: float, left_m: float, turn_deg: float) -> tuple[Move, ...]:
    """A translation and a turn as a ground robot would have made them.

    A walk, the turn, and a walk in the new heading, where both walks lead forward; otherwise a turn into the direction
    of the translation, the walk, and the rest of the turn; a translation without a turn in its own parts.
    """
    turn_rad, distance_m = math.radians(turn_deg), math.hypot(forward_m, left_m)
    turning = abs(turn_deg) >= MIN_SPLIT_DEG and distance_m >= MIN_MOVE_M
    way_deg = math.degrees(math.atan2(left_m, forward_m))
    if turning and abs(math.sin(turn_rad)) > math.sin(math.radians(MIN_SPLIT_DEG)):
        after_m = left_m / math.sin(turn_rad)
        before_m = forward_m - after_m * math.cos(turn_rad)
        if before_m > -MIN_MOVE_M and after_m > -MIN_MOVE_M:
            return _moves(('forward', before_m), ('turn', turn_deg), ('forward', after_m))
    if turning and abs(way_deg) <= MAX_DIRECTION_DEG:
        return _moves(('turn', way_deg), ('forward', distance_m), ('turn', turn_deg - way_deg))
    return _moves(('forward', forward_m), ('left', left_m), ('turn', turn_deg))


def _moves(*parts: tuple[str, float]) -> tuple[Move, ...]:
    return tuple(Move(kind=kind, amount=amount) for kind, amount in parts if amount)


def _turn(turn_deg: float) -> list[str]:
    return _amount('rotated', turn_deg, 'left', 'right', 'deg', MIN_TURN_DEG)


def _walk(forward_m: float, left_m: float) -> list[str]:
    forward = _amount('moved', forward_m, 'forward', 'backward', 'm', MIN_MOVE_M)
    return forward + _amount('moved', left_m, 'left', 'right', 'm', MIN_MOVE_M)


def read_motion(text: str) -> list[Move]:
    """The elementary moves in the plane that a motion phrase names; climbs and tilts are left out."""
    moves = []
    for match in _MOVE.finditer(text):
        amount = float(match['amount'])
        sign = -1.0 if match['way'] in ('backward', 'right') else 1.0
        if match['verb'] == 'rotated' and match['unit'] == 'deg':
            moves.append(Move(kind='turn', amount=sign * amount))
        elif match['verb'] == 'moved' and match['way'] in ('forward', 'backward', 'left', 'right'):
            kind = 'forward' if match['way'] in ('forward', 'backward') else 'left'
            moves.append(Move(kind=kind, amount=sign * amount))
    return moves


def add_move(moves: list[Move], move: Move) -> None:
    """Go on with a move, summed up with the last one where that is of its kind."""
    before = moves.pop().amount if moves and moves[-1].kind == move.kind else 0.0
    moves.append(Move(kind=move.kind, amount=before + move.amount))


def write_sightings(sightings: Iterable[Sighting]) -> str:
    """Write what is newly in view; 'nothing new' for none."""
    return '; '.join(map(_write_sighting, sightings)) or NOTHING_NEW


def read_sightings(text: str) -> list[Sighting]:
    """The measured sightings in a text; parts that are not sightings are passed over."""
    sightings = []
    for part in text.split(';'):
        match = _SIGHTING.match(part.strip().rstrip('.'))
        if match is None:
            continue
        bearing = 0.0 if match['ahead'] else float(match['degrees']) * (1.0 if match['side'] == 'left' else -1.0)
        distance = float(match['distance']) if match['distance'] else None
        sightings.append(Sighting(name=match['name'].strip(), bearing_left_deg=bearing, distance_m=distance))
    return sightings


def _write_sighting(sighting: Sighting) -> str:
    degrees = round(abs(sighting.bearing_left_deg))
    side = 'left' if sighting.bearing_left_deg > 0 else 'right'
    where = f'{degrees} deg {side}' if degrees else 'straight ahead'
    distance = '' if sighting.distance_m is None else f' at {sighting.distance_m:.1f} m'
    return f'{sighting.name} {where}{distance}'


def _amount(verb: str, amount: float, positive: str, negative: str, unit: str, least: float) -> list[str]:
    if math.isnan(amount) or abs(amount) < least:
        return []
    digits = 2 if unit == 'm' else 0
    return [f'{verb} {positive if amount > 0 else negative} {abs(amount):.{digits}f} {unit}']


def _bare(name: str) -> str:
    verb, _, way = name.partition(' ')
    return {'move': 'moved', 'rotate': 'rotated', 'tilt': 'tilted'}[verb] + ' ' + way
