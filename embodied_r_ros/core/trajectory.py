"""The motion that a row of key frames tells, so laid out that any stretch of it is summed up at once.

A robot that has been at it for hours asks about 36,000 key frames and shows its reasoner 32 of them; the way between
those is to stay whole, and a question is not to wait for it.

Images alone tell how far a robot went where something of known distance is in both. Where they tell only that it moved
forward, it is taken to have gone on at the pace measured until then.
"""

from __future__ import annotations

import cmath
import itertools
import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.phrases import MAX_MOVES, STILL, add_move, read_motion, write_moves
from embodied_r_ros.core.records import Move, Observation

MAX_TEXTS = 65536
_KINDS = ('forward', 'left', 'turn')
_UNMEASURED = len(_KINDS)

_FORWARD = _KINDS.index('forward')
_SOMEWHAT_FORWARD = re.compile(r'moved forward(?=,|$)')

# What is known of an action: how many moves it tells (0: still), the kinds of the first and the last, the amount where
# it is one, the degrees that they turn, and whether it tells of moving forward without saying how far.
_COUNT, _FIRST, _LAST, _AMOUNT, _TURN, _SOMEWHAT = range(6)


class Trajectory:
    """The motions of observations one after another; actions that say nothing count as still.

    Attributes:
        actions: in the phrases of `core.phrases`, the metres of what moved forward somewhat filled in.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        if len(_ROWS) > max(MAX_TEXTS, 2 * len(observations)):
            _ROWS.clear()
        self.actions = [seen.action for seen in observations]
        self._rows = np.fromiter(map(_ROWS.__getitem__, self.actions), np.intp, len(self.actions))
        somewhat = np.flatnonzero(_ROWS.facts[_SOMEWHAT].take(self._rows))
        if len(somewhat):
            self._keep_pace(somewhat, np.array([seen.stamp_ns for seen in observations]) / NS_PER_S)

    def _keep_pace(self, somewhat: NDArray[np.intp], stamps_s: NDArray[np.float64]) -> None:
        """Fill in the metres that the walks measured before come to in the same time."""
        lasted_s = np.diff(stamps_s, prepend=stamps_s[0])
        count, first, _, amount, *_ = _ROWS.facts.take(self._rows, axis=1)
        walks = (count == 1) & (first == _FORWARD) & (amount > 0) & (lasted_s > 0)
        walked_m, walked_s = np.cumsum(amount * walks), np.cumsum(lasted_s * walks)
        for place in somewhat[walked_s[somewhat] > 0]:
            metres = lasted_s[place] * walked_m[place] / walked_s[place]
            self.actions[place] = _SOMEWHAT_FORWARD.sub(f'moved forward about {metres:.2f} m', self.actions[place])
            self._rows[place] = _ROWS[self.actions[place]]

    def stretch(self, start: int, end: int) -> str:
        """One phrase for the actions from position `start` up to, but without, `end`.

        Moves of one kind that follow each other are summed up; more than `MAX_MOVES` are told as the turn and the walk
        that they come to. Of actions without amounts, those that differ from the one before are listed, as many at
        most.
        """
        rows = self._rows[start:end]
        rows = rows[_ROWS.facts[_COUNT].take(rows) > 0]
        facts = _ROWS.facts.take(rows, axis=1)
        if (facts[_FIRST] == _UNMEASURED).any():
            named = (action for action in self.actions[start:end] if action and action != STILL)
            return ', '.join([name for name, _ in itertools.groupby(named)][-MAX_MOVES:])
        goes_on = (facts[_COUNT, 1:] == 1) & (facts[_FIRST, 1:] == facts[_LAST, :-1])
        breaks = np.flatnonzero(~goes_on) + 1
        if len(breaks) >= MAX_MOVES:
            return _straight(rows)
        begins = [*range(min(len(rows), 1)), *breaks.tolist()]
        moves: list[Move] = []
        for begin, until in zip(begins, [*begins[1:], len(rows)]):
            for move in _ROWS.moves[rows[begin]]:
                add_move(moves, move)
            add_move(moves, Move(kind=moves[-1].kind, amount=float(facts[_AMOUNT, begin + 1 : until].sum())))
        return write_moves(moves) if len(moves) <= MAX_MOVES else _straight(rows)


def _straight(rows: NDArray[np.intp]) -> str:
    """The turn, the walk and the turn that actions come to."""
    walks, turns = _ROWS.steps.take(rows, axis=1)
    # Headings as unit numbers, multiplied up: a sine and a cosine for each of 36,000 key frames would take longer.
    walked_m = complex(walks[0] + walks[1:].dot(turns[:-1].cumprod()))
    way_deg = math.degrees(cmath.phase(walked_m))
    turned_deg = float(_ROWS.facts[_TURN].take(rows).sum())
    return write_moves(
        (
            Move(kind='turn', amount=way_deg),
            Move(kind='forward', amount=abs(walked_m)),
            Move(kind='turn', amount=_wrapped(turned_deg - way_deg)),
        )
    )


def prepare(action: str) -> None:
    """Read an action now, so that no question waits for it."""
    if len(_ROWS) >= MAX_TEXTS:
        _ROWS.clear()
    _ = _ROWS[action]


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0


class _Rows(dict[str, int]):
    """The row of each action in a table of facts, read once.

    Attributes:
        moves: of each row.
        facts: (6, rows or more) float64, see above.
        steps: (2, rows or more) complex128, what the moves come to: metres ahead + 1j left, and the turn as a factor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        super().clear()
        self.moves: list[list[Move]] = []
        self.facts = np.zeros((6, 256))
        self.steps = np.zeros((2, 256), np.complex128)

    def __missing__(self, action: str) -> int:
        row = len(self.moves)
        if row == self.facts.shape[1]:
            self.facts = np.concatenate([self.facts, np.zeros_like(self.facts)], axis=1)
            self.steps = np.concatenate([self.steps, np.zeros_like(self.steps)], axis=1)
        moves = read_motion(action)
        self.moves.append(moves)
        if moves:
            kinds = [_KINDS.index(move.kind) for move in moves]
            amount = moves[0].amount if len(moves) == 1 else 0.0
            walk_m, turn_deg = _come_to(moves)
            self.facts[:_SOMEWHAT, row] = (len(moves), kinds[0], kinds[-1], amount, turn_deg)
            self.steps[:, row] = (walk_m, cmath.rect(1.0, math.radians(turn_deg)))
        elif action and action != STILL:
            self.facts[: _LAST + 1, row] = (1, _UNMEASURED, _UNMEASURED)
        self.facts[_SOMEWHAT, row] = _SOMEWHAT_FORWARD.search(action) is not None
        self[action] = row
        return row


def _come_to(moves: Sequence[Move]) -> tuple[complex, float]:
    """Metres ahead + 1j left, and degrees turned left."""
    walk_m, heading_deg = 0j, 0.0
    for move in moves:
        if move.kind == 'turn':
            heading_deg += move.amount
        else:
            walk_m += cmath.rect(move.amount, math.radians(heading_deg + (90.0 if move.kind == 'left' else 0.0)))
    return walk_m, heading_deg


_ROWS = _Rows()
