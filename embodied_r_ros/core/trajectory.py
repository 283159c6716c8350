"""The motion that a row of key frames tells, so laid out that any stretch of it is summed up at once.

A robot that has been at it for hours asks about 36,000 key frames and shows its reasoner 32 of them; the motion between
those is to stay whole, and a question is not to wait for it.

Images alone tell how far a robot went where something of known distance is in both. Where they tell only that it moved
forward, it is taken to have gone on at the pace measured until then, for the time that its turns leave.
"""

from __future__ import annotations

import cmath
import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.memory import move_table
from embodied_r_ros.core.moves import (
    AHEAD,
    AMOUNT,
    ASIDE,
    COS,
    COUNT,
    FIRST,
    FORWARD_UNMEASURED,
    KINDS,
    LAST,
    MAX_MOVES,
    NAMED,
    SIN,
    TURN,
    UP,
    add_move,
    is_forward_unmeasured,
    measured,
    moves_of,
)
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Motion, Move

_FORWARD, _TURN = KINDS.index('forward'), KINDS.index('turn')
# Of the time between two key frames, the least that a walk between them took.
_LEAST_WALKING = 0.1


class Trajectory:
    """The motions of observations one after another; one without a motion counts as still.

    Attributes:
        observations: those given, with the metres of motions forward filled in where they were not measured.
    """

    def __init__(self, observations: Sequence[Observation]) -> None:
        self.observations = list(observations)
        self._table = move_table(observations)
        unmeasured = np.flatnonzero(self._table[:, FORWARD_UNMEASURED])
        if len(unmeasured):
            self._keep_pace(unmeasured, np.array([seen.stamp_ns for seen in self.observations]) / NS_PER_S)

    def _keep_pace(self, unmeasured: NDArray[np.intp], stamps_s: NDArray[np.float64]) -> None:
        """Fill in the metres that the walks measured before come to in the same time."""
        lasted_s = np.diff(stamps_s, prepend=stamps_s[0])
        count, first, amount, turned = (self._table[:, column] for column in (COUNT, FIRST, AMOUNT, TURN))
        alone = (count == 1) & (lasted_s > 0)
        walked_m, walked_s = _so_far(alone & (first == _FORWARD) & (amount > 0), amount, lasted_s)
        turning = alone & (first == _TURN) & (self._table[:, FORWARD_UNMEASURED] == 0)
        turned_deg, turned_s = _so_far(turning, np.abs(amount), lasted_s)
        # A turn on the way takes its time, if it goes on as those on the spot did.
        s_per_deg = np.divide(turned_s, turned_deg, out=np.zeros_like(turned_s), where=turned_deg > 0)
        walking_s = np.clip(lasted_s - np.abs(turned) * s_per_deg, _LEAST_WALKING * lasted_s, None)
        self._table = self._table.copy()
        for place in unmeasured[walked_s[unmeasured] > 0]:
            metres = walking_s[place] * walked_m[place] / walked_s[place]
            filled = _filled(self.observations[place], float(metres))
            self.observations[place] = filled
            self._table[place] = np.frombuffer(filled.move_summary)

    def stretch(self, start: int, end: int) -> Motion:
        """One motion for those of the observations from position `start` up to, but without, `end`.

        Climbs and tilts are summed up, and so are moves of one kind that follow each other; more than `MAX_MOVES` are
        told as the turn and the walk that they come to. Where one has a name alone, those that differ from the one
        before are listed, as many at most.
        """
        table = self._table[start:end]
        up_m, tilt_up_deg = table[:, UP:].sum(axis=0).tolist()
        places = np.flatnonzero(table[:, COUNT])
        moves = self._moves(start + places, table if len(places) == len(table) else table[places])
        return Motion(name='', moves=tuple(moves), up_m=up_m, tilt_up_deg=tilt_up_deg)

    def _moves(self, places: NDArray[np.intp], table: NDArray[np.float64]) -> list[Move]:
        if (table[:, FIRST] == NAMED).any():
            return self._listed(places)
        goes_on = (table[1:, COUNT] == 1) & (table[1:, FIRST] == table[:-1, LAST])
        breaks = np.flatnonzero(~goes_on) + 1
        if len(breaks) >= MAX_MOVES:
            return _straight(table)
        begins = [*range(min(len(places), 1)), *breaks.tolist()]
        moves: list[Move] = []
        for begin, until in zip(begins, [*begins[1:], len(places)]):
            for move in measured(self.observations[places[begin]].moves):
                add_move(moves, move)
            add_move(moves, Move(kind=moves[-1].kind, amount=float(table[begin + 1 : until, AMOUNT].sum())))
        return moves if len(moves) <= MAX_MOVES else _straight(table)

    def _listed(self, places: NDArray[np.intp]) -> list[Move]:
        told = [seen.moves for seen in (self.observations[place] for place in places.tolist())]
        last = [moves for moves, _ in itertools.groupby(told)][-MAX_MOVES:]
        return [move for moves in last for move in moves]


def _so_far(
    chosen: NDArray[np.bool_], amount: NDArray[np.float64], lasted_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the chosen amounts, and the seconds that they took, come to up to each place."""
    return np.cumsum(amount * chosen), np.cumsum(lasted_s * chosen)


def _filled(seen: Observation, metres: float) -> Observation:
    """The observation with so many metres for its move forward."""
    if seen.motion is None:
        return seen
    moves = moves_of(seen.motion)
    forward = Move(kind='forward', amount=metres / sum(map(is_forward_unmeasured, moves)), estimated=True)
    moves = tuple(forward if is_forward_unmeasured(move) else move for move in moves)
    return dataclasses.replace(seen, motion=dataclasses.replace(seen.motion, moves=moves))


def _straight(table: NDArray[np.float64]) -> list[Move]:
    """The turn, the walk and the turn that motions come to."""
    walks, turns = table[:, AHEAD] + 1j * table[:, ASIDE], table[:, COS] + 1j * table[:, SIN]
    # Headings as unit numbers, multiplied up: a sine and a cosine for each of 36,000 key frames would take longer.
    walked_m = complex(walks[0] + walks[1:].dot(turns[:-1].cumprod()))
    direction_deg = math.degrees(cmath.phase(walked_m))
    turned_deg = float(table[:, TURN].sum())
    return [
        Move(kind='turn', amount=direction_deg),
        Move(kind='forward', amount=abs(walked_m)),
        Move(kind='turn', amount=_wrapped(turned_deg - direction_deg)),
    ]


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0
