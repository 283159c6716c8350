"""A walk on a coarse grid: motion and sightings rounded to 15 degrees and half metres, without adding up the errors.

Each move is rounded against the true pose that all moves so far add up to, and each sighting against the true place of
its object. On walks whose turns are multiples of 15 degrees a place is off by 0.3 m (median), at arbitrary angles by
about 1 m, which did not grow from 60 to 240 legs. Headings are clockwise degrees from the first heading, positions are
cells to the right and ahead of the start: the way people read a map.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Collection, Sequence

from embodied_r_ros.core.moves import measured
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.phrases import told_sighting
from embodied_r_ros.core.records import Move, Sighting

CELL_M = 0.5
ANGLE_DEG = 15
MAX_DISTANCE_CELLS = 20
MIN_TURN_DEG = 10.0
MIN_WALK_M = 0.35
STRAIGHT_DEG = 22.5
SWAY_DEG = 15

Cells = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class CoarsePose:
    """Heading in clockwise degrees (a multiple of 15 in [0, 360)) and position in cells to the right and ahead."""

    heading: int = 0
    right: int = 0
    ahead: int = 0

    def after(self, kind: str, amount: int) -> CoarsePose:
        """The pose after a step: 'left' or 'right' by degrees, 'forward' by cells, 'start' and 'stay' by nothing."""
        if kind in ('left', 'right'):
            heading = (self.heading + (amount if kind == 'right' else -amount)) % 360
            return CoarsePose(heading, self.right, self.ahead)
        right, ahead = polar(self.heading, amount) if kind == 'forward' else (0, 0)
        return CoarsePose(self.heading, self.right + right, self.ahead + ahead)


@dataclasses.dataclass(frozen=True)
class CoarseSighting:
    """A named object at a bearing (degrees clockwise of the heading, in (-180, 180]) and a distance in cells.

    Attributes:
        frame: position of the observation that reports it.
    """

    name: str
    bearing: int
    cells: int
    frame: int


@dataclasses.dataclass(frozen=True)
class CoarseStep:
    """A step of the walk and what is seen after it; `frames` are the positions of the observations it sums up."""

    kind: str
    amount: int
    sightings: tuple[CoarseSighting, ...] = ()
    frames: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class CoarseLog:
    """A walk as coarse steps; the first step is always 'start'.

    Attributes:
        unplaced: names of things that were seen, but never at a known distance, and so are in no step.
    """

    steps: tuple[CoarseStep, ...]
    unplaced: frozenset[str] = frozenset()

    def poses(self) -> list[CoarsePose]:
        """The pose after each step."""
        steps = ((step.kind, step.amount) for step in self.steps[1:])
        return list(itertools.accumulate(steps, lambda pose, step: pose.after(*step), initial=CoarsePose()))

    def mirrored(self, turned: Collection[int]) -> CoarseLog:
        """The log as it would be with the turns at some steps to the other side, and all seen as it was."""
        other = {'left': 'right', 'right': 'left'}
        kinds = (other.get(s.kind, s.kind) if index in turned else s.kind for index, s in enumerate(self.steps))
        steps = tuple(dataclasses.replace(step, kind=kind) for step, kind in zip(self.steps, kinds))
        return dataclasses.replace(self, steps=steps)

    def where_seen(self) -> dict[str, tuple[int, CoarseSighting]]:
        """For each object, the step after which it is seen, and that sighting."""
        return {s.name: (index, s) for index, step in enumerate(self.steps) for s in step.sightings}

    def turns(self) -> list[tuple[str, tuple[int, ...]]]:
        """The turns on the spot: side ('left', 'right', or 'both' where it swings), and the steps each consists of.

        A turn of no more than SWAY_DEG in all is the sway of a walk and left out; within a turn it tells no side.
        """
        groups: list[list[int]] = []
        turning = False
        for index, step in enumerate(self.steps):
            if step.kind in ('left', 'right'):
                if not turning:
                    groups.append([])
                groups[-1].append(index)
                turning = True
            elif step.kind == 'forward':
                turning = False
        turns = []
        for group in groups:
            amounts = {index: self.steps[index].amount for index in group}
            if sum(amounts.values()) > SWAY_DEG:
                clear = [index for index in group if amounts[index] > SWAY_DEG] or group
                sides = {self.steps[index].kind for index in clear}
                turns.append((sides.pop() if len(sides) == 1 else 'both', tuple(group)))
        return turns


@functools.lru_cache(4096)
def polar(angle: int, cells: int) -> Cells:
    """Cells to the right and ahead that a distance in a direction (clockwise degrees) comes to, each rounded."""
    return round(cells * math.sin(math.radians(angle))), round(cells * math.cos(math.radians(angle)))


def direction(right: int, ahead: int) -> int:
    """The clockwise direction of a displacement in cells, rounded to 15 degrees, in [0, 360)."""
    return round(math.degrees(math.atan2(right, ahead)) / ANGLE_DEG) * ANGLE_DEG % 360


def signed(angle: int) -> int:
    """An angle in degrees as its equal in (-180, 180]."""
    return 180 - (180 - angle) % 360


def coarse_log(observations: Sequence[Observation], *, first: bool = False) -> CoarseLog:
    """Round what perception measured to the coarse grid, by way of the resolution in which words tell it.

    Moves between two frames that show something that counts are summed up. A thing counts once, at its newest measured
    sighting: measured moves drift, and the fewer lie between a thing and the robot, the better its place is known.

    Args:
        observations: oldest first.
        first: a thing counts at its first measured sighting instead.
    """
    counts: dict[str, int] = {}
    for position, observation in enumerate(observations):
        for name in (sighting.name.lower() for sighting in observation.new_sightings if _is_measured(sighting)):
            counts[name] = counts.get(name, position) if first else position
    rounder = _Rounder()
    for position, observation in enumerate(observations):
        moves = measured(observation.moves) if position else []
        fresh = {s.name.lower(): s for s in reversed(observation.new_sightings) if _is_measured(s)}
        rounder.add(position, moves, [s for name, s in reversed(fresh.items()) if counts[name] == position])
    seen = {sighting.name.lower() for observation in observations for sighting in observation.new_sightings}
    return CoarseLog(rounder.finish(), unplaced=frozenset(seen - counts.keys()))


def _is_measured(sighting: Sighting) -> bool:
    return not math.isnan(sighting.distance_m)


@dataclasses.dataclass(frozen=True)
class _Pending:
    """Moves of one kind ('turn' or 'walk') that wait to be rounded: the true heading after them, and the way walked."""

    kind: str
    heading_deg: float
    start_m: tuple[float, float]
    end_m: tuple[float, float]


class _Rounder:
    """Follows the true pose from the moves and the coarse pose from the steps written so far."""

    def __init__(self) -> None:
        self._steps: list[CoarseStep] = [CoarseStep('start', 0)]
        self._coarse = CoarsePose()
        self._turned = 0
        self._heading_deg = self._right_m = self._ahead_m = 0.0
        self._pending: list[_Pending] = []
        self._frames: list[int] = []

    def add(self, position: int, moves: Sequence[Move], fresh: Sequence[Sighting]) -> None:
        for move in moves:
            self._move(move)
        self._frames.append(position)
        if not fresh:
            return
        before = len(self._steps)
        self._flush()
        if len(self._steps) == before and (before > 1 or self._steps[0].sightings):
            self._steps.append(CoarseStep('stay', 0, frames=tuple(self._frames)))
        sightings = tuple(self._place(sighting, position) for sighting in fresh)
        frames = tuple(sorted({*self._steps[-1].frames, *self._frames}))
        self._steps[-1] = dataclasses.replace(self._steps[-1], sightings=sightings, frames=frames)
        self._frames = []

    def finish(self) -> tuple[CoarseStep, ...]:
        self._flush()
        return tuple(self._steps)

    def _move(self, move: Move) -> None:
        start = (self._right_m, self._ahead_m)
        if move.kind == 'turn':
            self._heading_deg -= move.amount
        else:
            way = math.radians(self._heading_deg - (90.0 if move.kind == 'left' else 0.0))
            self._right_m += move.amount * math.sin(way)
            self._ahead_m += move.amount * math.cos(way)
        kind = 'turn' if move.kind == 'turn' else 'walk'
        if self._pending and self._pending[-1].kind == kind:
            start = self._pending.pop().start_m
        self._pending.append(_Pending(kind, self._heading_deg, start, (self._right_m, self._ahead_m)))

    def _flush(self) -> None:
        """Write the pending moves; a walk that is not along the heading becomes a turn, a walk and the turn back."""
        for move in self._pending:
            walked = (move.end_m[0] - move.start_m[0], move.end_m[1] - move.start_m[1])
            way_deg = math.degrees(math.atan2(*walked))
            aside_deg = (way_deg - move.heading_deg + 180.0) % 360.0 - 180.0
            if move.kind == 'turn':
                self._turn_to(move.heading_deg)
            elif abs(aside_deg) <= STRAIGHT_DEG:
                self._walk_to(move.end_m, math.hypot(*walked))
            elif math.hypot(*walked) >= MIN_WALK_M:
                self._turn_to(move.heading_deg + aside_deg)
                self._walk_to(move.end_m, math.hypot(*walked))
                self._turn_to(move.heading_deg)
        self._pending = []

    def _turn_to(self, heading_deg: float) -> None:
        off_deg = heading_deg - self._turned
        amount = round(off_deg / ANGLE_DEG) * ANGLE_DEG
        if abs(off_deg) < MIN_TURN_DEG:
            return
        self._turned += amount
        if amount % 360:
            self._write('right' if amount > 0 else 'left', abs(amount) % 360)

    def _walk_to(self, end_m: tuple[float, float], walked_m: float) -> None:
        """Walk to the reachable cell that is nearest to a place; a walk worth the name is at least one cell long."""
        while True:

            def miss(cells: int) -> float:
                right, ahead = polar(self._coarse.heading, cells)
                return math.dist(
                    (self._coarse.right + right, self._coarse.ahead + ahead), (end_m[0] / CELL_M, end_m[1] / CELL_M)
                )

            cells = min(range(1 if walked_m >= MIN_WALK_M else 0, MAX_DISTANCE_CELLS + 1), key=miss)
            if cells:
                self._write('forward', cells)
            walked_m -= cells * CELL_M
            if cells < MAX_DISTANCE_CELLS:
                return

    def _write(self, kind: str, amount: int) -> None:
        self._coarse = self._coarse.after(kind, amount)
        self._steps.append(CoarseStep(kind, amount, frames=tuple(self._frames)))

    def _place(self, sighting: Sighting, position: int) -> CoarseSighting:
        """The bearing and distance whose cell lies nearest to where the object truly is."""
        bearing_deg, distance_m = told_sighting(sighting)
        way = math.radians(self._heading_deg - bearing_deg)
        right = (self._right_m + distance_m * math.sin(way)) / CELL_M - self._coarse.right
        ahead = (self._ahead_m + distance_m * math.cos(way)) / CELL_M - self._coarse.ahead
        angle, cells = math.degrees(math.atan2(right, ahead)), math.hypot(right, ahead)
        nearest_angle, nearest_cells = round(angle / ANGLE_DEG), round(cells)
        angles = [(nearest_angle + k) * ANGLE_DEG for k in (0, -1, 1)]
        lengths = [c for c in (nearest_cells + k for k in (0, -1, 1)) if 1 <= c <= MAX_DISTANCE_CELLS] or [
            min(max(nearest_cells, 1), MAX_DISTANCE_CELLS)
        ]
        best = min(((a, c) for a in angles for c in lengths), key=lambda pair: math.dist(polar(*pair), (right, ahead)))
        return CoarseSighting(sighting.name.lower(), signed(best[0] - self._coarse.heading), best[1], position)
