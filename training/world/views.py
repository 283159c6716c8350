"""What perception would write on a simulated walk, worked out from geometry instead of from pictures."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.moves import add_move
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Motion, MotionSource, Move, Sighting
from training.world.path import CAMERA, Path, Station
from training.world.scene import Scene, SceneObject, Walk

SAMPLE_S = 0.25
NEAREST_M, MAX_DISTANCE_M = 0.8, 6.3
GLIMPSED_FROM_M, GLIMPSED_TO_M, GLIMPSED_ASIDE_DEG = 0.5, 8.0, 42.0
PLATE_HALF_M = 0.25
BLOCKING_M = 0.35
STAMP0_NS = 1_000_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """How imperfect perception is.

    Attributes:
        turn_deg, move_share: standard deviations of a measured turn and of the length of a measured move.
        sway_deg, sway_m: standard deviations of a turn and a walk that are measured per key frame and were none.
        bearing_deg, distance_share: standard deviations of a sighting.
        missed: share of sightings left out.
        false: share of key frames at which something is seen that is not there, under the name of a thing of the place.
        reach_m: things farther off are not seen.
    """

    turn_deg: float = 0.0
    move_share: float = 0.0
    sway_deg: float = 0.0
    sway_m: float = 0.0
    bearing_deg: float = 0.0
    distance_share: float = 0.0
    missed: float = 0.0
    false: float = 0.0
    reach_m: float = MAX_DISTANCE_M


EXACT = Noise()
ROBOT = Noise(turn_deg=0.6, move_share=0.015, bearing_deg=0.8, distance_share=0.025, missed=0.06)
WITHOUT_ODOMETRY = Noise(
    turn_deg=4.0, move_share=0.06, sway_deg=10.0, sway_m=0.25, bearing_deg=0.8, distance_share=0.025, missed=0.06
)
# Eyes that look for things with open names, as a robot with odometry has them.
EYES = Noise(turn_deg=0.6, move_share=0.015, bearing_deg=1.5, distance_share=0.075, missed=0.05, false=0.03)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrameRule:
    """When the simulated camera takes a key frame: after a turn, a distance or a time."""

    turn_deg: float = 40.0
    move_m: float = 1.6
    gap_s: float = 3.0

    @staticmethod
    def draw(rng: random.Random) -> KeyFrameRule:
        """A rule somewhere in the range that real key-frame selection spans."""
        return KeyFrameRule(turn_deg=rng.uniform(22.0, 48.0), move_m=rng.uniform(0.5, 2.6), gap_s=rng.uniform(1.0, 5.0))


def key_stations(walk: Walk, rule: KeyFrameRule) -> list[tuple[float, Station]]:
    """Moment and station of each key frame; the first and the last sampled frame are always kept."""
    count = int(walk.path.duration_s / SAMPLE_S) + 1
    samples = [(index * SAMPLE_S, walk.path.station_at(index * SAMPLE_S)) for index in range(count)]
    kept = [samples[0]]
    for moment, station in samples[1:]:
        last_moment, last = kept[-1]
        turned = abs(math.degrees(station.yaw_rad - last.yaw_rad)) >= rule.turn_deg
        moved = math.dist((station.x_m, station.y_m, station.z_m), (last.x_m, last.y_m, last.z_m)) >= rule.move_m
        if turned or moved or moment - last_moment >= rule.gap_s:
            kept.append((moment, station))
    if kept[-1][0] != samples[-1][0]:
        kept.append(samples[-1])
    return kept


def visible(
    scene: Scene, station: Station, reach_m: float = MAX_DISTANCE_M, half_view_rad: float = CAMERA.half_view_rad
) -> dict[str, Sighting]:
    """The things whose plate is wholly in view, near enough to be read and no part of it behind another thing."""
    seen = {}
    for thing in scene.objects:
        bearing_deg, distance_m = sight(thing, station)
        if not NEAREST_M <= distance_m <= reach_m:
            continue
        margin_rad = half_view_rad - math.atan2(PLATE_HALF_M, distance_m)
        inside = abs(math.radians(bearing_deg)) <= margin_rad
        if inside and not _hidden(thing, scene.objects, station, PLATE_HALF_M):
            seen[thing.name] = Sighting.level(thing.name, bearing_deg, distance_m)
    return seen


def in_view(scene: Scene, station: Station, camera: Camera = CAMERA) -> list[str]:
    """The things whose middle is in the picture, near enough for their tag to be read, and not behind another thing."""
    half_view_deg = math.degrees(camera.half_view_rad)
    seen = ((thing, *sight(thing, station)) for thing in scene.objects)
    return [
        thing.name
        for thing, bearing_deg, distance_m in seen
        if abs(bearing_deg) <= half_view_deg
        and distance_m <= GLIMPSED_TO_M
        and not _hidden(thing, scene.objects, station, 0.0)
    ]


def first_glimpses_s(walk: Walk, aside_deg: float = GLIMPSED_ASIDE_DEG) -> dict[str, float]:
    """For each thing, the first moment at which it might be made out: nearly in view, hidden or not, even far away."""
    glimpses: dict[str, float] = {}
    for index in range(int(walk.path.duration_s / SAMPLE_S) + 1):
        station = walk.path.station_at(index * SAMPLE_S)
        for thing in walk.scene.objects:
            bearing_deg, distance_m = sight(thing, station)
            if GLIMPSED_FROM_M <= distance_m <= GLIMPSED_TO_M and abs(bearing_deg) <= aside_deg:
                glimpses.setdefault(thing.name, index * SAMPLE_S)
    return glimpses


def sight(thing: SceneObject, station: Station) -> tuple[float, float]:
    """Bearing (degrees to the left) and horizontal distance of a thing's centre from a station."""
    dx, dy = thing.center_m[0] - station.x_m, thing.center_m[1] - station.y_m
    bearing_deg = math.degrees(math.atan2(dy, dx) - station.yaw_rad)
    return (bearing_deg + 180.0) % 360.0 - 180.0, math.hypot(dx, dy)


def _hidden(thing: SceneObject, others: Sequence[SceneObject], station: Station, half_m: float) -> bool:
    """Whether another thing stands before the part of a thing that is within `half_m` of its middle."""
    dx, dy = thing.center_m[0] - station.x_m, thing.center_m[1] - station.y_m
    length = math.hypot(dx, dy)
    for other in others:
        ox, oy = other.center_m[0] - station.x_m, other.center_m[1] - station.y_m
        along = (ox * dx + oy * dy) / length
        aside = abs(ox * dy - oy * dx) / length
        if other is not thing and 0.0 < along < length and aside < BLOCKING_M + half_m * along / length:
            return True
    return False


def motion_between(path: Path, start_s: float, end_s: float) -> Motion:
    """The exact motion between two moments of a walk, in the axes of the first, with the moves that it was made of."""
    before, after = path.station_at(start_s), path.station_at(end_s)
    dx, dy = after.x_m - before.x_m, after.y_m - before.y_m
    cos, sin = math.cos(before.yaw_rad), math.sin(before.yaw_rad)
    moves: list[Move] = []
    for leg, leg_start_s, leg_end_s in zip(path.legs, path.times_s, path.times_s[1:]):
        share = (min(end_s, leg_end_s) - max(start_s, leg_start_s)) / leg.duration_s
        if share > 0.0 and leg.kind != 'climb':
            add_move(moves, Move(kind=leg.kind, amount=leg.amount * share))
    return Motion(
        name='',
        forward_m=dx * cos + dy * sin,
        left_m=dy * cos - dx * sin,
        up_m=after.z_m - before.z_m,
        rotate_left_deg=math.degrees(after.yaw_rad - before.yaw_rad),
        tilt_up_deg=0.0,
        source=MotionSource.ODOMETRY,
        moves=tuple(moves),
    )


def observe(
    walk: Walk, rule: KeyFrameRule, noise: Noise, rng: random.Random, half_view_rad: float = CAMERA.half_view_rad
) -> list[Observation]:
    """The observations of a walk: measured motion, and what is in view that was not in view one key frame before."""
    observations: list[Observation] = []
    before_s: float | None = None
    in_view: dict[str, Sighting] = {}
    for index, (moment, station) in enumerate(key_stations(walk, rule)):
        seen = visible(walk.scene, station, noise.reach_m, half_view_rad)
        if noise.false and rng.random() < noise.false:
            seen |= _imagined(walk.scene, noise.reach_m, half_view_rad, rng)
        now = {name: sighting for name, sighting in seen.items() if rng.random() >= noise.missed}
        fresh = tuple(_blurred(s, noise, rng) for name, s in now.items() if name not in in_view)
        motion = None if before_s is None else _jittered(motion_between(walk.path, before_s, moment), noise, rng)
        stamp_ns = STAMP0_NS + round(moment * 1e9)
        observations.append(
            Observation(
                session=STAMP0_NS, index=index, stamp_ns=stamp_ns, motion=motion, sightings=fresh, pose=station.pose
            )
        )
        before_s, in_view = moment, now
    return observations


def _imagined(scene: Scene, reach_m: float, half_view_rad: float, rng: random.Random) -> dict[str, Sighting]:
    """A thing of the place somewhere in view."""
    name = rng.choice(scene.objects).name
    bearing_deg = math.degrees(rng.uniform(-half_view_rad, half_view_rad))
    return {name: Sighting.level(name, bearing_deg, rng.uniform(NEAREST_M, reach_m))}


def _jittered(motion: Motion, noise: Noise, rng: random.Random) -> Motion:
    if noise is EXACT:
        return motion
    stretch = 1.0 + rng.gauss(0.0, noise.move_share)
    moves = tuple(
        dataclasses.replace(
            move, amount=move.amount + rng.gauss(0.0, noise.turn_deg) if move.kind == 'turn' else move.amount * stretch
        )
        for move in motion.moves
    )
    for kind, sway in (('forward', noise.sway_m), ('turn', noise.sway_deg)):
        moves += (Move(kind=kind, amount=rng.gauss(0.0, sway)),) if sway else ()
    return dataclasses.replace(motion, moves=moves)


def _blurred(sighting: Sighting, noise: Noise, rng: random.Random) -> Sighting:
    if noise is EXACT:
        return sighting
    distance_m = sighting.distance_m * (1.0 + rng.gauss(0.0, noise.distance_share))
    bearing_deg = sighting.bearing_left_deg + rng.gauss(0.0, noise.bearing_deg)
    return Sighting.level(sighting.name, bearing_deg, distance_m)
