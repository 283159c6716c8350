"""What the steps of a camera come to: turns, moves in their order, and the name of the largest."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from embodied_r_ros.core.motion import MIN_STEP_DEG, largest
from embodied_r_ros.core.moves import MAX_MOVES, MIN_TURN_DEG, STAY, add_move
from embodied_r_ros.core.records import Motion, MotionSource, Move
from embodied_r_ros.core.two_views import Floats, Relation

# Where the lens is not known, a turn must look like so many degrees to be one.
MIN_ASSUMED_TURN_DEG = 4.0
# A move that shifts the view by less than this share of those before and after it, which agree, was measured wrong.
SLIP_SHARE = 0.5
# More stretches than this are not told one by one.
_MOST_STRETCHES = 8 * MAX_MOVES


@dataclasses.dataclass
class _Stretch:
    """Steps of one kind that follow each other.

    Attributes:
        turns: whether the camera turned, to the left or right.
        walks: whether it moved.
        turned_deg: to the left.
        way: direction of its moves in the axes of the base, each weighted by the parallax that it brought.
    """

    turns: bool
    walks: bool
    turned_deg: float
    way: Floats

    @property
    def name(self) -> str:
        """The action that its moves come to; '' where it did not move."""
        return _name_of_way(self.way) if self.walks else ''


class StepSum:
    """Sums up steps that follow each other, in constant memory."""

    def __init__(self) -> None:
        self._turned: Floats = np.eye(3)
        self._stretches: list[_Stretch] = []

    def add(self, step: Relation) -> None:
        """Go on with a step, in the axes of the base."""
        self._turned = self._turned @ step.rotation.T
        stretch = _stretch(step)
        last = self._stretches[-1] if self._stretches else None
        if last is not None and (last.turns, last.name) == (stretch.turns, stretch.name):
            last.turned_deg += stretch.turned_deg
            last.way = last.way + stretch.way
        elif (stretch.turns or stretch.walks) and len(self._stretches) < _MOST_STRETCHES:
            self._stretches.append(stretch)

    def motion(self, calibrated: bool) -> Motion:
        """What the steps come to, in the axes of the base at their start: degrees where the lens is known, else names.

        Metres are known where it stood still.
        """
        ahead = self._turned[:, 0]
        left_deg = math.degrees(math.atan2(ahead[1], ahead[0]))
        up_deg = math.degrees(math.asin(min(max(float(ahead[2]), -1.0), 1.0)))
        least_deg = MIN_TURN_DEG if calibrated else MIN_ASSUMED_TURN_DEG
        turns = {('rotate left', 'rotate right'): left_deg, ('tilt upward', 'tilt downward'): up_deg}
        felt = {names: math.radians(turn) for names, turn in turns.items() if abs(turn) >= least_deg}
        if any(stretch.walks for stretch in self._stretches):
            felt.update(_by_axis(sum((stretch.way for stretch in self._stretches), np.zeros(3))))
        name, moves = largest(felt), self._moves(least_deg)
        if not calibrated:
            told = moves if name.startswith(('move', 'rotate')) else ()
            return Motion(name=name, moves=tuple(map(_unmeasured, told)), source=MotionSource.IMAGES)
        still = 0.0 if name == STAY else math.nan
        return Motion(
            name=name, forward_m=still, left_m=still, up_m=still,
            rotate_left_deg=left_deg, tilt_up_deg=up_deg, moves=moves, source=MotionSource.IMAGES,
        )  # fmt: skip

    def _moves(self, least_deg: float) -> tuple[Move, ...]:
        """The elementary moves in the plane in their order; none where there are more than are told."""
        moves: list[Move] = []
        loose_deg = 0.0
        stretches = _without_slips(self._stretches)
        neighbours = [None, *stretches, None]
        for before, stretch, after in zip(neighbours, stretches, neighbours[2:]):
            walk = Move(kind=stretch.name, amount=math.nan)
            turn = Move(kind='turn', amount=stretch.turned_deg)
            if not stretch.turns:
                loose_deg += stretch.turned_deg
                parts = [walk]
            elif not stretch.walks:
                parts = [turn]
            elif after is not None and not after.walks:
                parts = [walk, turn]
            elif before is not None and not before.walks:
                parts = [turn, walk]
            else:
                parts = [walk, turn, walk]
            for part in parts:
                add_move(moves, part)
        _turn_on(moves, loose_deg)
        told: list[Move] = []
        for move in moves:
            if move.kind != 'turn' or abs(move.amount) >= least_deg:
                add_move(told, move)
        return tuple(told) if len(told) <= MAX_MOVES else ()


def _without_slips(stretches: list[_Stretch]) -> list[_Stretch]:
    """The stretches, one that leads another way between two stronger ones of one name as if it led theirs."""
    kept = list(stretches)
    for place in range(1, len(kept) - 1):
        before, slip, after = kept[place - 1 : place + 2]
        strength = float(np.linalg.norm(slip.way))
        weaker = strength < SLIP_SHARE * min(np.linalg.norm(before.way), np.linalg.norm(after.way))
        if slip.walks and before.name == after.name != slip.name and weaker:
            kept[place] = dataclasses.replace(slip, way=before.way * strength / np.linalg.norm(before.way))
    return kept


def _stretch(relation: Relation) -> _Stretch:
    back = relation.rotation.T
    turned_deg = math.degrees(math.atan2(back[1, 0], back[0, 0]))
    if relation.travel is None:
        return _Stretch(turns=bool(turned_deg), walks=False, turned_deg=turned_deg, way=np.zeros(3))
    # In the axes half way through the turn.
    way = relation.travel + back @ relation.travel
    way = way / max(float(np.linalg.norm(way)), 1e-9) * relation.parallax_rad
    return _Stretch(turns=abs(turned_deg) >= MIN_STEP_DEG, walks=True, turned_deg=turned_deg, way=way)


def _by_axis(way: Floats) -> dict[tuple[str, str], float]:
    ahead, left, up = (float(part) for part in way)
    return {
        ('move forward', 'move backward'): ahead,
        ('move left', 'move right'): left,
        ('move upward', 'move downward'): up,
    }


def _name_of_way(way: Floats) -> str:
    return largest(_by_axis(way))


def _turn_on(moves: list[Move], turned_deg: float) -> None:
    """Add to the largest turn what was turned little by little while walking; a turn at the end where there is none."""
    turns = [place for place, move in enumerate(moves) if move.kind == 'turn']
    if not turns:
        moves.append(Move(kind='turn', amount=turned_deg))
        return
    largest_turn = max(turns, key=lambda place: abs(moves[place].amount))
    moves[largest_turn] = Move(kind='turn', amount=moves[largest_turn].amount + turned_deg)


def _unmeasured(move: Move) -> Move:
    """The move without its amount, for a camera that is not calibrated."""
    if move.kind != 'turn':
        return move
    return Move(kind='rotate left' if move.amount > 0 else 'rotate right', amount=math.nan)
