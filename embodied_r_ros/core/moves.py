"""Elementary moves: what a motion is made of, rounded as its words tell it, and what a row of them comes to."""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.records import Motion, MotionSource, Move

STAY = 'stay'
MIN_MOVE_M = 0.05
MIN_TURN_DEG = 2.0
MIN_SPLIT_DEG = 8.0
MAX_DIRECTION_DEG = 75.0
MAX_MOVES = 8

KINDS = ('forward', 'left', 'turn')
NAMED = len(KINDS)

# What is known of a motion, in the columns of a table: how many moves are measured, or 1 where only names are known
# (0: still); the kinds of the first and the last; the amount where it is one; the degrees that they turn; whether the
# images tell of moving forward without saying how far; metres ahead and to the left; cosine and sine of the turn;
# metres upward, and degrees that the camera tilts upward.
COUNT, FIRST, LAST, AMOUNT, TURN, FORWARD_UNMEASURED, AHEAD, ASIDE, COS, SIN, UP, TILT = range(12)
COLUMNS = 12
_ROW = struct.Struct(f'={COLUMNS}d')
_STILL_ROW = _ROW.pack(*(float(column == COS) for column in range(COLUMNS)))


def moves_of(motion: Motion) -> tuple[Move, ...]:
    """The elementary moves of a motion, in their order; the amount is NaN where only the action's name is known."""
    if motion.moves:
        return motion.moves
    turn_known = not math.isnan(motion.rotate_left_deg)
    if not math.isnan(motion.forward_m):
        return planar_moves(motion.forward_m, motion.left_m, motion.rotate_left_deg if turn_known else 0.0)
    is_named = motion.name not in ('', STAY) and (not turn_known or motion.name.startswith('move'))
    named = (Move(kind=motion.name, amount=math.nan),) if is_named else ()
    return named + ((Move(kind='turn', amount=motion.rotate_left_deg),) if turn_known else ())


def told_moves(motion: Motion) -> tuple[Move, ...]:
    """The moves of a motion as words tell them: to the centimetre and degree, without those below 5 cm or 2 degrees."""
    rounded = map(_rounded, moves_of(motion))
    return tuple(move for move in rounded if move is not None)


def measured(moves: Iterable[Move]) -> list[Move]:
    """The moves whose amounts are known."""
    return [move for move in moves if not math.isnan(move.amount)]


def _rounded(move: Move) -> Move | None:
    if math.isnan(move.amount):
        return move
    size, is_turn = abs(move.amount), move.kind == 'turn'
    if size < (MIN_TURN_DEG if is_turn else MIN_MOVE_M) and not move.estimated:
        return None
    amount = math.copysign(float(f'{size:.{0 if is_turn else 2}f}'), move.amount)
    return Move(kind=move.kind, amount=amount, estimated=move.estimated)


def planar_moves(forward_m: float, left_m: float, turn_deg: float) -> tuple[Move, ...]:
    """A translation and a turn as a ground robot would have made them.

    A walk, the turn, and a walk in the new heading, where both walks lead forward; otherwise a turn into the direction
    of the translation, the walk, and the rest of the turn; a translation without a turn in its own parts.
    """
    turn_rad, distance_m = math.radians(turn_deg), math.hypot(forward_m, left_m)
    turning = abs(turn_deg) >= MIN_SPLIT_DEG and distance_m >= MIN_MOVE_M
    direction_deg = math.degrees(math.atan2(left_m, forward_m))
    if turning and abs(math.sin(turn_rad)) > math.sin(math.radians(MIN_SPLIT_DEG)):
        after_m = left_m / math.sin(turn_rad)
        before_m = forward_m - after_m * math.cos(turn_rad)
        if before_m > -MIN_MOVE_M and after_m > -MIN_MOVE_M:
            return _moves(('forward', before_m), ('turn', turn_deg), ('forward', after_m))
    if turning and abs(direction_deg) <= MAX_DIRECTION_DEG:
        return _moves(('turn', direction_deg), ('forward', distance_m), ('turn', turn_deg - direction_deg))
    return _moves(('forward', forward_m), ('left', left_m), ('turn', turn_deg))


def _moves(*parts: tuple[str, float]) -> tuple[Move, ...]:
    return tuple(Move(kind=kind, amount=amount) for kind, amount in parts if amount)


def add_move(moves: list[Move], move: Move) -> None:
    """Go on with a move, summed up with the last one where that is of its kind."""
    before = moves.pop().amount if moves and moves[-1].kind == move.kind else 0.0
    moves.append(Move(kind=move.kind, amount=before + move.amount))


def come_to(moves: Sequence[Move]) -> tuple[complex, float]:
    """Metres ahead + 1j to the left of the start, and degrees turned to the left, of measured moves."""
    walk_m, heading_deg = 0j, 0.0
    for move in moves:
        if move.kind == 'turn':
            heading_deg += move.amount
        else:
            walk_m += cmath.rect(move.amount, math.radians(heading_deg + (90.0 if move.kind == 'left' else 0.0)))
    return walk_m, heading_deg


def summary(motion: Motion | None, moves: Sequence[Move]) -> bytes:
    """The table row of a motion, (COLUMNS,) float64, as bytes: these are joined sooner than numbers are.

    Args:
        moves: as told, see `told_moves`.
    """
    if motion is None:
        return _STILL_ROW
    count, first, last, amount, walk_m, turn_deg = 0, 0, 0, 0.0, 0j, 0.0
    known = measured(moves)
    if known:
        count, first, last = len(known), KINDS.index(known[0].kind), KINDS.index(known[-1].kind)
        amount = known[0].amount if count == 1 else 0.0
        walk_m, turn_deg = come_to(known)
    elif moves:
        count, first, last = 1, NAMED, NAMED
    forward_unmeasured = motion.source is MotionSource.IMAGES and any(map(is_forward_unmeasured, moves))
    turn = cmath.rect(1.0, math.radians(turn_deg))
    climbs = (0.0 if math.isnan(amount) else amount for amount in (motion.up_m, motion.tilt_up_deg))
    way = (walk_m.real, walk_m.imag, turn.real, turn.imag)
    return _ROW.pack(count, first, last, amount, turn_deg, forward_unmeasured, *way, *climbs)


def is_forward_unmeasured(move: Move) -> bool:
    """Whether a move leads forward, nobody knows how far."""
    return move.kind == 'move forward' and math.isnan(move.amount)
