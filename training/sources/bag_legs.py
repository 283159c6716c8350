"""A robot's way as straight walks and turns on the spot, where it was made of these."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

from embodied_r_ros.core.motion import MIN_STEP_DEG, MIN_STEP_M
from training.sources.bag_run import Run
from training.world.path import Leg, Path, Station

STEP_S = 0.2
# Longer stretches of turning and walking at once are curves.
MAX_MIXED = 2
MIN_TURN_DEG, MIN_WALK_M = 20.0, 0.5
MAX_ASIDE_DEG = 10.0
HALF_TURN_DEG = 165.0


@dataclasses.dataclass(frozen=True)
class MeasuredPath(Path):
    """Legs that were driven, and when each of them began; the last moment is the end of the last."""

    moments_s: tuple[float, ...] = ()

    @functools.cached_property
    def times_s(self) -> tuple[float, ...]:
        """The moment of each station."""
        return self.moments_s

    @property
    def last_kind(self) -> str:
        """Of the leg that may be under way still; '' where there is none."""
        return self.legs[-1].kind if self.legs else ''


@dataclasses.dataclass(frozen=True)
class _Stretch:
    kind: str
    first: int
    last: int


def measured_path(run: Run) -> MeasuredPath | None:
    """The legs of a run; None where its way has curves, stretches aside or backward, or turns too slight to count."""
    count = max(int(run.length_s / STEP_S), 1)
    moments_s = [index * STEP_S for index in range(count + 1)]
    stations = [*(run.at(moment_s) for moment_s in moments_s[:-1]), run.stations[-1]]
    stretches = _stretches(stations)
    if stretches is None:
        return None
    # Where a turn stands still and a walk keeps its heading, the middle of one tells the ends of the other.
    middles = [stations[(stretch.first + stretch.last) // 2] for stretch in stretches]
    legs = []
    for index, stretch in enumerate(stretches):
        before = middles[index - 1] if index else stations[0]
        after = middles[index + 1] if index + 1 < len(stretches) else stations[-1]
        straight = stretch.kind != 'forward' or _ahead(stations[stretch.first], stations[stretch.last])
        leg = _leg(stretch.kind, before, after)
        slight = abs(leg.amount) < (MIN_WALK_M if leg.kind == 'forward' else MIN_TURN_DEG)
        if not straight or (slight and index + 1 < len(stretches)):
            return None
        legs.append(leg)
    begun = [moments_s[stretch.first] for stretch in stretches]
    return MeasuredPath(tuple(legs), (*begun, moments_s[stretches[-1].last] if stretches else 0.0))


def _stretches(stations: list[Station]) -> list[_Stretch] | None:
    """Stretches of one kind, walks and turns by turns; None where the robot curves or swings."""
    kinds = [_kind(before, after) for before, after in zip(stations, stations[1:])]
    found: list[_Stretch] = []
    place = 0
    for kind, group in itertools.groupby(kinds):
        first, place = place, place + len(list(group))
        if kind == 'mixed' and place - first > MAX_MIXED:
            return None
        if kind in ('rest', 'mixed'):
            continue
        if found and found[-1].kind == kind:
            found[-1] = _Stretch(kind, found[-1].first, place)
        elif found and found[-1].kind != 'forward' and kind != 'forward':
            return None
        else:
            found.append(_Stretch(kind, first, place))
    return found


def _kind(before: Station, after: Station) -> str:
    walks = math.hypot(after.x_m - before.x_m, after.y_m - before.y_m) >= MIN_STEP_M
    turned_deg = math.degrees(after.yaw_rad - before.yaw_rad)
    if abs(turned_deg) >= MIN_STEP_DEG:
        return 'mixed' if walks else 'left' if turned_deg > 0 else 'right'
    return 'forward' if walks else 'rest'


def _leg(kind: str, before: Station, after: Station) -> Leg:
    if kind != 'forward':
        return Leg(kind='turn', amount=math.degrees(after.yaw_rad - before.yaw_rad))
    return Leg(kind='forward', amount=math.hypot(after.x_m - before.x_m, after.y_m - before.y_m))


def _ahead(before: Station, after: Station) -> bool:
    """Whether a stretch leads the way that the robot looks, and it goes on looking there."""
    way_rad = math.atan2(after.y_m - before.y_m, after.x_m - before.x_m)
    aside_rad = math.remainder(way_rad - before.yaw_rad, 2 * math.pi)
    return math.degrees(max(abs(aside_rad), abs(after.yaw_rad - before.yaw_rad))) <= MAX_ASIDE_DEG
