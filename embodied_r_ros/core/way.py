"""The motion that a row of key frames tells, so laid out that any stretch of it is summed up at once.

A robot that has been at it for hours asks about 36,000 key frames and shows its reasoner 32 of them; the way between
those is to stay whole, and a question is not to wait for it.
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.phrases import MOST_MOVES, STILL, add_move, read_motion, write_moves
from embodied_r_ros.core.records import Move

MOST_TEXTS = 65536
_KINDS = ('forward', 'left', 'turn')
_UNMEASURED = len(_KINDS)

# What is known of an action: how many moves it tells (0: still), the kinds of the first and the last, the amount where
# it is one, and what they come to.
_COUNT, _FIRST, _LAST, _AMOUNT, _FORWARD, _LEFT, _TURN = range(7)


class Way:
    """Motions one after another, in the phrases of `core.phrases`; actions that say nothing count as still."""

    def __init__(self, actions: Sequence[str]) -> None:
        if len(_ROWS) > max(MOST_TEXTS, 2 * len(actions)):
            _ROWS.clear()
        self._actions = actions
        self._rows = np.fromiter(map(_ROWS.__getitem__, actions), np.intp, len(actions))

    def stretch(self, start: int, end: int) -> str:
        """One phrase for the actions from position `start` up to, but without, `end`.

        Moves of one kind that follow each other are summed up; more than `MOST_MOVES` are told as the turn and the walk
        that they come to. Of actions without amounts, those that differ from the one before are listed, as many at
        most.
        """
        rows = self._rows[start:end]
        rows = rows[_ROWS.facts[_COUNT, rows] > 0]
        facts = _ROWS.facts[:, rows]
        if np.any(facts[_FIRST] == _UNMEASURED):
            named = (action for action in self._actions[start:end] if action and action != STILL)
            return ', '.join([name for name, _ in itertools.groupby(named)][-MOST_MOVES:])
        goes_on = (facts[_COUNT, 1:] == 1) & (facts[_FIRST, 1:] == facts[_LAST, :-1])
        breaks = np.flatnonzero(~goes_on) + 1
        if len(breaks) >= MOST_MOVES:
            return _straight(facts)
        begins = [*range(min(len(rows), 1)), *breaks.tolist()]
        moves: list[Move] = []
        for begin, until in zip(begins, [*begins[1:], len(rows)]):
            for move in _ROWS.moves[rows[begin]]:
                add_move(moves, move)
            add_move(moves, Move(kind=moves[-1].kind, amount=float(facts[_AMOUNT, begin + 1 : until].sum())))
        return write_moves(moves) if len(moves) <= MOST_MOVES else _straight(facts)


def _straight(facts: NDArray[np.float64]) -> str:
    """The turn, the walk and the turn that actions come to."""
    headings_deg = np.cumsum(facts[_TURN])
    before_rad = np.radians(headings_deg - facts[_TURN])
    walked_m = complex(((facts[_FORWARD] + 1j * facts[_LEFT]) * np.exp(1j * before_rad)).sum())
    way_deg = math.degrees(cmath.phase(walked_m))
    return write_moves(
        (
            Move(kind='turn', amount=way_deg),
            Move(kind='forward', amount=abs(walked_m)),
            Move(kind='turn', amount=_wrapped(float(headings_deg[-1]) - way_deg)),
        )
    )


def prepare(action: str) -> None:
    """Read an action now, so that no question waits for it."""
    if len(_ROWS) >= MOST_TEXTS:
        _ROWS.clear()
    _ = _ROWS[action]


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0


class _Rows(dict[str, int]):
    """The row of each action in a table of facts, read once.

    Attributes:
        moves: of each row.
        facts: (7, rows or more) float64, see above.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        super().clear()
        self.moves: list[list[Move]] = []
        self.facts = np.zeros((7, 256))

    def __missing__(self, action: str) -> int:
        row = len(self.moves)
        if row == self.facts.shape[1]:
            self.facts = np.concatenate([self.facts, np.zeros_like(self.facts)], axis=1)
        moves = read_motion(action)
        self.moves.append(moves)
        if moves:
            kinds = [_KINDS.index(move.kind) for move in moves]
            amount = moves[0].amount if len(moves) == 1 else 0.0
            self.facts[:, row] = (len(moves), kinds[0], kinds[-1], amount, *_come_to(moves))
        elif action and action != STILL:
            self.facts[: _LAST + 1, row] = (1, _UNMEASURED, _UNMEASURED)
        self[action] = row
        return row


def _come_to(moves: Sequence[Move]) -> tuple[float, float, float]:
    """Metres forward and left, and degrees turned left."""
    forward_m = left_m = heading_deg = 0.0
    for move in moves:
        way_rad = math.radians(heading_deg + (90.0 if move.kind == 'left' else 0.0))
        if move.kind == 'turn':
            heading_deg += move.amount
        else:
            forward_m += move.amount * math.cos(way_rad)
            left_m += move.amount * math.sin(way_rad)
    return forward_m, left_m, heading_deg


_ROWS = _Rows()
