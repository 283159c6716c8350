"""The walks of a simulated agent: straight stretches, turns on the spot and climbs, and the pose at every moment."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
import random
from collections.abc import Callable

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.records import Pose

CAMERA = Camera(width=640, height=480, fx_px=400.0, fy_px=400.0, cx_px=319.5, cy_px=239.5)
# 120 degrees across, where that of the lessons sees 77.
WIDE_CAMERA = Camera(width=1280, height=720, fx_px=369.5, fy_px=369.5, cx_px=639.5, cy_px=359.5)
CAMERAS = {'standard': CAMERA, 'wide': WIDE_CAMERA}
CAMERA_HEIGHT_M = 1.2

WALK_M_S = 1.25
TURN_DEG_S = 60.0
CLIMB_M_S = 0.5
PAUSE_S = 0.3
SHORTEST_M = 0.75

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leg:
    """Part of a walk: 'forward' in metres, 'turn' in degrees (positive left) or 'climb' in metres (positive up)."""

    kind: str
    amount: float

    @property
    def duration_s(self) -> float:
        """Seconds that the leg takes at the agent's constant speeds."""
        speed = {'forward': WALK_M_S, 'turn': TURN_DEG_S, 'climb': CLIMB_M_S}[self.kind]
        return abs(self.amount) / speed


@dataclasses.dataclass(frozen=True)
class Station:
    """Where the agent is: x forward and y left of its start in metres, z up, heading in radians (positive left)."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    yaw_rad: float = 0.0

    @property
    def pose(self) -> Pose:
        """The pose of the agent's base on the floor; the camera sits CAMERA_HEIGHT_M above it and looks along x."""
        qz, qw = math.sin(self.yaw_rad / 2), math.cos(self.yaw_rad / 2)
        return Pose(x_m=self.x_m, y_m=self.y_m, z_m=self.z_m, qx=0.0, qy=0.0, qz=qz, qw=qw)

    def after(self, leg: Leg, share: float = 1.0) -> Station:
        """The station when a share (0 to 1) of the leg is done."""
        amount = leg.amount * share
        if leg.kind == 'turn':
            return Station(self.x_m, self.y_m, self.z_m, self.yaw_rad + math.radians(amount))
        if leg.kind == 'climb':
            return Station(self.x_m, self.y_m, self.z_m + amount, self.yaw_rad)
        x_m, y_m = self.x_m + amount * math.cos(self.yaw_rad), self.y_m + amount * math.sin(self.yaw_rad)
        return Station(x_m, y_m, self.z_m, self.yaw_rad)


@dataclasses.dataclass(frozen=True)
class Path:
    """A walk that starts at the origin, looking along x, and rests for a moment at both ends."""

    legs: tuple[Leg, ...]

    @functools.cached_property
    def stations(self) -> tuple[Station, ...]:
        """The station before each leg and after the last; one more than there are legs."""
        stations = [Station()]
        for leg in self.legs:
            stations.append(stations[-1].after(leg))
        return tuple(stations)

    @functools.cached_property
    def times_s(self) -> tuple[float, ...]:
        """The moment of each station."""
        times = [PAUSE_S]
        for leg in self.legs:
            times.append(times[-1] + leg.duration_s)
        return tuple(times)

    @property
    def duration_s(self) -> float:
        """Seconds from start to end, both rests included."""
        return self.times_s[-1] + PAUSE_S

    def station_at(self, t_s: float) -> Station:
        """The station at a moment; before the start and after the end the agent rests."""
        leg = bisect.bisect_right(self.times_s, t_s) - 1
        if leg < 0:
            return self.stations[0]
        if leg >= len(self.legs):
            return self.stations[-1]
        return self.stations[leg].after(self.legs[leg], (t_s - self.times_s[leg]) / self.legs[leg].duration_s)

    def pose_at(self, t_s: float) -> Pose:
        """The pose of the agent's base at a moment."""
        return self.station_at(t_s).pose

    def until(self, t_s: float) -> Path:
        """The walk as far as a moment; the leg under way then is cut short."""
        legs = []
        for leg, start_s, end_s in zip(self.legs, self.times_s, self.times_s[1:]):
            share = min(1.0, (t_s - start_s) / (end_s - start_s))
            if share > 0.0:
                legs.append(dataclasses.replace(leg, amount=leg.amount * share))
        return Path(tuple(legs))

    def mirrored(self, number: int) -> Path:
        """The walk as it would be with one leg, counted from 0, the other way."""
        leg = dataclasses.replace(self.legs[number], amount=-self.legs[number].amount)
        return Path((*self.legs[:number], leg, *self.legs[number + 1 :]))


def make_path(
    rng: random.Random,
    legs: int,
    bounds_m: Box,
    climbs: bool = False,
    circles: float = 0.0,
    clear: Callable[[Station, Station], bool] = lambda start, end: True,
) -> Path:
    """A random walk of so many legs that stays inside bounds (x_min, y_min, x_max, y_max).

    Straight stretches are 0.75 to 4 m in steps of a quarter metre; turns are multiples of 15 degrees, most often 90.

    Args:
        rng: of everything.
        legs: at least so many.
        bounds_m: of the stations between legs.
        climbs: whether some legs lead up or down.
        circles: share of the turns that are circles on the spot, and on, in one piece or in several.
        clear: whether one can walk straight from one station to another; from the start it must lead somewhere.
    """

    def leads(start: Station, end: Station) -> bool:
        inside = bounds_m[0] <= end.x_m <= bounds_m[2] and bounds_m[1] <= end.y_m <= bounds_m[3]
        return inside and 0.0 <= end.z_m <= 1.0 and clear(start, end)

    path = Path(())
    while len(path.legs) < legs:
        if circles and (not path.legs or path.legs[-1].kind == 'forward') and rng.random() < circles:
            path = Path((*path.legs, *_draw_circle(rng)))
            continue
        leg = _draw_leg(rng, path.legs[-1].kind if path.legs else rng.choice(['forward', 'turn']), climbs)
        here = path.stations[-1]
        if leads(here, here.after(leg)):
            path = Path((*path.legs, leg))
        elif leg.kind == 'forward' and not leads(here, here.after(Leg(kind='forward', amount=SHORTEST_M))):
            path = Path(path.legs[:-1])
    return path


def _draw_leg(rng: random.Random, last_kind: str, climbs: bool) -> Leg:
    if climbs and last_kind == 'forward' and rng.random() < 0.08:
        return Leg(kind='climb', amount=rng.choice([-0.5, 0.5]))
    if last_kind == 'forward':
        size = rng.choice([90.0, 90.0, 90.0, 45.0, 45.0, 135.0, 180.0, 30.0, 60.0, 75.0, 105.0, 120.0, 150.0])
        return Leg(kind='turn', amount=rng.choice([-1.0, 1.0]) * size)
    return Leg(kind='forward', amount=rng.randint(3, 16) / 4.0)


def _draw_circle(rng: random.Random) -> list[Leg]:
    """One or two circles, most often whole; pieces may go to the other side in between."""
    whole = rng.choice([-1.0, 1.0]) * rng.choice([360.0, 360.0, 720.0])
    rest = whole + rng.choice([0.0, 0.0, 0.0, 30.0, 90.0, -45.0, 180.0])
    legs = []
    for _ in range(rng.choice([0, 0, 1, 2, 3, 5])):
        legs.append(
            Leg(kind='turn', amount=rng.choice([-1.0, 1.0, 1.0, 1.0]) * math.copysign(15.0, rest) * rng.randint(2, 12))
        )
        rest -= legs[-1].amount
    return [leg for leg in (*legs, Leg(kind='turn', amount=rest)) if leg.amount]
