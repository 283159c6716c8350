"""The phrases in which measured motion and measured sightings are told.

    motion     moved forward 1.42 m, rotated left 32 deg
    sightings  sofa 20 deg left at 3.2 m; sign "Room 12" straight ahead at 1.0 m; desk 41 deg right

Every prompt format tells numbers to the resolution of these phrases, since reasoners are taught with it: moves to
0.01 m, distances of sightings to 0.1 m, angles to one degree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from embodied_r_ros.core.moves import MIN_MOVE_M, MIN_TURN_DEG, told_moves
from embodied_r_ros.core.records import Motion, Move, Sighting

STILL = 'stayed still'
NOTHING_NEW = 'nothing new'
# The source of sightings that are signs, which were read.
SIGN = 'sign'

_PAST = {'move': 'moved', 'rotate': 'rotated', 'tilt': 'tilted'}


def write_motion(motion: Motion) -> str:
    """A motion in words, its moves in their order; 'stayed still' where they come to nothing.

    Without amounts (motion from images without calibration) the action's name stands alone: 'rotated left'.
    """
    return write_moves(told_moves(motion), motion.up_m, motion.tilt_up_deg)


def write_moves(moves: Iterable[Move], up_m: float = math.nan, tilt_up_deg: float = math.nan) -> str:
    """Told moves, a climb and a tilt in words."""
    rest = _amount('moved', up_m, 'upward', 'downward', 'm', MIN_MOVE_M)
    rest += _amount('tilted', tilt_up_deg, 'upward', 'downward', 'deg', MIN_TURN_DEG)
    return ', '.join([*map(_write_move, moves), *rest]) or STILL


def _write_move(move: Move) -> str:
    if math.isnan(move.amount):
        verb, _, rest = move.kind.partition(' ')
        return f'{_PAST[verb]} {rest}' if verb in _PAST else move.kind
    size, positive = abs(move.amount), move.amount > 0
    if move.kind == 'turn':
        return f'rotated {"left" if positive else "right"} {size:.0f} deg'
    ways = ('forward', 'backward') if move.kind == 'forward' else ('left', 'right')
    return f'moved {ways[0] if positive else ways[1]} {"about " * move.estimated}{size:.2f} m'


def told_sighting(sighting: Sighting) -> tuple[float, float]:
    """Bearing in whole degrees to the left and level distance to 0.1 m (NaN where not known), as words tell them."""
    bearing_deg = math.copysign(round(abs(sighting.bearing_left_deg)), sighting.bearing_left_deg)
    return bearing_deg, float(f'{sighting.level_distance_m:.1f}')


def write_sightings(sightings: Iterable[Sighting]) -> str:
    """What is newly in view; 'nothing new' for none."""
    return '; '.join(map(_write_sighting, sightings)) or NOTHING_NEW


def _write_sighting(sighting: Sighting) -> str:
    bearing_deg, distance_m = told_sighting(sighting)
    side = 'left' if bearing_deg > 0 else 'right'
    where = f'{abs(bearing_deg):.0f} deg {side}' if bearing_deg else 'straight ahead'
    return f'{_name(sighting)} {where}' + ('' if math.isnan(distance_m) else f' at {distance_m:.1f} m')


def _name(sighting: Sighting) -> str:
    """What a sign says stands in quotes: anybody may have written it."""
    return f'sign "{sighting.name}"' if sighting.source == SIGN else sighting.name


def _amount(verb: str, amount: float, positive: str, negative: str, unit: str, minimum: float) -> list[str]:
    if math.isnan(amount) or abs(amount) < minimum:
        return []
    digits = 2 if unit == 'm' else 0
    return [f'{verb} {positive if amount > 0 else negative} {abs(amount):.{digits}f} {unit}']
