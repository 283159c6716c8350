"""Eyes with noise on a simulated walk, without pictures: boxes and signs as perception would tell them.

What is in view, what hides it and how far it is follow from geometry; a sighting is made of a box and depth by the
function that the robot's own eyes use.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Sequence

import numpy as np

from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.adapters.perception import marked
from embodied_r_ros.core.boxes import box_sighting
from embodied_r_ros.core.depth import Box, DepthMap
from embodied_r_ros.core.motion import motion_from_poses, moves_along
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.pose_track import PoseTrack
from embodied_r_ros.core.poses import ORIGIN
from embodied_r_ros.core.records import Motion, Pose, Sighting
from training.world.path import CAMERA, CAMERA_HEIGHT_M, Path, Station
from training.world.scene import Scene, SceneObject, Walk
from training.world.sightlines import Sightlines, look, pixel_of
from training.world.views import (
    GLIMPSED_TO_M,
    MAX_DISTANCE_M,
    NEAREST_M,
    STAMP0_NS,
    KeyFrameRule,
    key_stations,
    motion_between,
)

BOXES, SIGNS = 'boxes', 'signs'
EYES = (BOXES, SIGNS)
# A box is drawn around a thing of which this much shows, in pixels of the depth image and as a share.
FEWEST_PX, LEAST_UNHIDDEN = 20, 0.5
# Surely in view is what shows wholly; in a crowded room, what shows for the most part.
SURELY_UNHIDDEN, CROWDED_UNHIDDEN = 0.95, 0.7
# Letters of 12 cm are read from so near and far, and so far aside of their front: 116 of 120 by rapidocr.
SIGN_HEIGHT_M, SIGN_WIDTH_M = 0.12, 0.5
SIGN_FROM_M, SIGN_TO_M, SIGN_ASIDE_DEG = 0.8, 6.0, 50.0
SIGN_MIDDLE_M = 1.2
POSE_HZ = 25
CAMERA_POSE = dataclasses.replace(ORIGIN, z_m=CAMERA_HEIGHT_M)
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EyeNoise:
    """How imperfect eyes are.

    Attributes:
        jitter: one standard deviation of an edge of a box, as a share of its side.
        missed: share of the things in view that are not told.
        false: for each thing in view, the share of key frames that show a box, with the name of another, anywhere.
        has_depth: a depth camera is there; else a box is as far as its foot on the floor tells.
        depth_share, depth_m: standard deviation of the depth of a thing in one key frame.
        mixed: share of the things whose depth in a key frame is mixed with that of what stands behind.
    """

    jitter: float = 0.0
    missed: float = 0.0
    false: float = 0.0
    has_depth: bool = True
    depth_share: float = 0.02
    depth_m: float = 0.02
    mixed: float = 0.1


def observe(
    walk: Walk,
    rule: KeyFrameRule,
    eyes: Sequence[str],
    noise: EyeNoise,
    rng: random.Random,
    poses: Iterator[tuple[float, Pose]] | None = None,
) -> list[Observation]:
    """The observations of a walk as eyes with noise tell it, at the moments of `views.observe`.

    Args:
        eyes: some of EYES.
        poses: moments in seconds and poses as odometry tells them; where the robot is, without.
    """
    track = PoseTrack(max_age_s=1.0)
    for moment_s, pose in true_poses(walk.path) if poses is None else poses:
        track.push(STAMP0_NS + round(moment_s * 1e9), pose)
    observations: list[Observation] = []
    before: tuple[Sighting, ...] = ()
    before_ns = STAMP0_NS
    for index, (moment_s, station) in enumerate(key_stations(walk, rule)):
        stamp_ns = STAMP0_NS + round(moment_s * 1e9)
        seen = _sightings(walk.scene, station, eyes, noise, rng)
        observations.append(
            Observation(
                session=STAMP0_NS,
                index=index,
                stamp_ns=stamp_ns,
                motion=_motion(track, before_ns, stamp_ns) if index else None,
                sightings=marked(before, seen),
                pose=track.at(stamp_ns),
                camera_pose=CAMERA_POSE,
            )
        )
        before, before_ns = seen, stamp_ns
    return observations


def observe_exactly(walk: Walk, rule: KeyFrameRule, least_unhidden: float = SURELY_UNHIDDEN) -> list[Observation]:
    """What is surely in view, however large and high it is, where it is: for questions about it."""
    observations: list[Observation] = []
    before: set[str] = set()
    before_s: float | None = None
    for index, (moment_s, station) in enumerate(key_stations(walk, rule)):
        surely = [
            seen
            for seen in look(walk.scene, station).things
            if seen.unhidden >= least_unhidden
            and NEAREST_M <= seen.distance_m <= MAX_DISTANCE_M
            and seen.box_px[0] > 0.0
            and seen.box_px[2] < CAMERA.width - 1
        ]
        surely.sort(key=lambda seen: -seen.bearing_left_deg)
        fresh = [seen for seen in surely if seen.thing.name not in before]
        observations.append(
            Observation(
                session=STAMP0_NS,
                index=index,
                stamp_ns=STAMP0_NS + round(moment_s * 1e9),
                motion=None if before_s is None else motion_between(walk.path, before_s, moment_s),
                sightings=tuple(
                    Sighting.level(seen.thing.name, seen.bearing_left_deg, seen.distance_m) for seen in fresh
                ),
                pose=station.pose,
            )
        )
        before, before_s = {seen.thing.name for seen in surely}, moment_s
    return observations


def true_poses(path: Path) -> Iterator[tuple[float, Pose]]:
    """Moments in seconds and where the base is, as often as odometry tells it."""
    for step in range(int(path.duration_s * POSE_HZ) + 1):
        yield step / POSE_HZ, path.pose_at(step / POSE_HZ)


def _motion(track: PoseTrack, start_ns: int, end_ns: int) -> Motion | None:
    way = track.between(start_ns, end_ns)
    return dataclasses.replace(motion_from_poses(way[0], way[-1]), moves=moves_along(way)) if way else None


def _sightings(
    scene: Scene, station: Station, eyes: Sequence[str], noise: EyeNoise, rng: random.Random
) -> tuple[Sighting, ...]:
    view = look(scene, station)
    depth = noisy_depth(view, noise, rng) if noise.has_depth else None
    found: list[Sighting | None] = []
    if BOXES in eyes:
        black = np.broadcast_to(np.uint8(0), (CAMERA.height, CAMERA.width))
        height_m = station.z_m + CAMERA_HEIGHT_M
        picture = Picture(image=black, camera=CAMERA, depth=depth, height_m=height_m)
        boxes = drawn_boxes(scene, view, noise, rng)
        found += picture.on_floor(picture.boxed(name, box_px, source='box') for name, box_px in boxes)
    if SIGNS in eyes:
        for name, box_px in _signs(scene, view, station, noise, rng):
            found.append(box_sighting(name, box_px, CAMERA, depth, is_flat=True, source='sign'))
    return tuple(sorted((seen for seen in found if seen is not None), key=lambda seen: -seen.bearing_left_deg))


def noisy_depth(view: Sightlines, noise: EyeNoise, rng: random.Random) -> DepthMap:
    """What a depth camera measures."""
    depth_m = view.depth_m.copy()
    for number in np.unique(view.owner[view.owner >= 0]):
        of = view.owner == number
        off = 1.0 + rng.gauss(0.0, noise.depth_share)
        depth_m[of] = depth_m[of] * off + rng.gauss(0.0, noise.depth_m)
        if rng.random() < noise.mixed:
            behind_m = np.where(np.isnan(view.behind_m[of]), depth_m[of], view.behind_m[of])
            depth_m[of] += rng.uniform(0.2, 0.8) * (behind_m - depth_m[of])
    return DepthMap(depth_m.astype(np.float32))


def drawn_boxes(scene: Scene, view: Sightlines, noise: EyeNoise, rng: random.Random) -> Iterator[tuple[str, Box]]:
    """Names and boxes that an eye for boxes tells."""
    half_view_deg = math.degrees(CAMERA.half_view_rad)
    for seen in view.things:
        drawn = seen.pixels >= FEWEST_PX and seen.unhidden >= LEAST_UNHIDDEN
        if not drawn or seen.distance_m > GLIMPSED_TO_M or abs(seen.bearing_left_deg) > half_view_deg:
            continue
        if rng.random() >= noise.missed:
            yield seen.thing.name, _jittered(seen.box_px, noise, rng)
        if rng.random() < noise.false:
            others = [thing.name for thing in scene.objects if thing.name != seen.thing.name]
            if others:
                yield rng.choice(others), _anywhere(rng)


def _signs(
    scene: Scene, view: Sightlines, station: Station, noise: EyeNoise, rng: random.Random
) -> Iterator[tuple[str, Box]]:
    for number, thing in enumerate(scene.objects):
        for side in _SIDES:
            box_px = _sign_box(thing, number, side, view, station)
            if box_px is not None and rng.random() >= noise.missed:
                yield thing.name, _jittered(box_px, noise, rng)


def _sign_box(thing: SceneObject, number: int, side: tuple[int, int], view: Sightlines, station: Station) -> Box | None:
    """Around the letters on a side of a thing; None where they cannot be read."""
    centre, half = np.array(thing.center_m), np.array(thing.size_m) / 2
    outward, along = np.array([*side, 0.0]), np.array([-side[1], side[0], 0.0])
    middle = centre + outward * half
    reach_m = max(0.0, half[2] - SIGN_HEIGHT_M / 2)
    middle[2] = min(max(SIGN_MIDDLE_M, centre[2] - reach_m), centre[2] + reach_m)
    to_eye = np.array([station.x_m, station.y_m, station.z_m + CAMERA_HEIGHT_M]) - middle
    distance_m = float(np.linalg.norm(to_eye))
    aside_deg = math.degrees(math.acos(min(1.0, max(-1.0, float(to_eye @ outward) / distance_m))))
    width_m = min(SIGN_WIDTH_M, 2 * float(np.abs(along) @ half))
    if not SIGN_FROM_M <= distance_m <= SIGN_TO_M or aside_deg > SIGN_ASIDE_DEG or width_m < SIGN_WIDTH_M / 2:
        return None
    up = np.array([0.0, 0.0, SIGN_HEIGHT_M / 2])
    edges = [middle + across * along * width_m * 0.48 + high * up for across in (-1, 1) for high in (-0.9, 0.9)]
    points = [pixel_of(edge, station) for edge in edges]
    if not all(point is not None and _shows(point, number, view) for point in points):
        return None
    across, down = zip(*(point for point in points if point is not None))
    return min(across), min(down), max(across), max(down)


def _shows(point_px: tuple[float, float], number: int, view: Sightlines) -> bool:
    """Whether nothing stands before a point of a thing; beside its edge the pixel around it may show what is behind."""
    rows, columns = view.owner.shape
    column, row = math.floor(point_px[0] * columns / CAMERA.width), math.floor(point_px[1] * rows / CAMERA.height)
    return 0 <= row < rows and 0 <= column < columns and view.owner[row, column] in (number, -1)


def _jittered(box_px: Box, noise: EyeNoise, rng: random.Random) -> Box:
    left, upper, right, lower = box_px
    width, height = noise.jitter * (right - left), noise.jitter * (lower - upper)
    xs = sorted(min(max(edge + rng.gauss(0.0, width), 0.0), CAMERA.width - 1.0) for edge in (left, right))
    ys = sorted(min(max(edge + rng.gauss(0.0, height), 0.0), CAMERA.height - 1.0) for edge in (upper, lower))
    return xs[0], ys[0], xs[1], ys[1]


def _anywhere(rng: random.Random) -> Box:
    """A box such as a thing some metres off has, somewhere in the image."""
    width, height = rng.uniform(0.05, 0.25) * CAMERA.width, rng.uniform(0.2, 0.6) * CAMERA.height
    left, upper = rng.uniform(0.0, CAMERA.width - 1 - width), rng.uniform(0.2, 0.5) * (CAMERA.height - 1 - height)
    return left, upper, left + width, upper + height
