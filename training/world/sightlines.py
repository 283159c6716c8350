"""What a level camera sees of a simulated place without pictures: which thing each pixel shows, and how far it is."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.depth import Box
from training.world.path import CAMERA, CAMERA_HEIGHT_M, Station
from training.world.scene import Scene, SceneObject

Floats = NDArray[np.float64]

# One pixel of the depth image is so many of the camera's wide, as on the topic key_frame_depth.
COARSER = 2
ROWS, COLUMNS = CAMERA.height // COARSER, CAMERA.width // COARSER
NEAR_M, DEPTH_REACH_M = 0.05, 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThingInView:
    """A thing of which some pixels show.

    Attributes:
        box_px: around what shows of it, in the camera's image.
        pixels: of the depth image that show it.
        unhidden: share of its pixels in the image that nothing stands before.
        bearing_left_deg, distance_m: of its middle, seen from above.
    """

    thing: SceneObject
    box_px: Box
    pixels: int
    unhidden: float
    bearing_left_deg: float
    distance_m: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sightlines:
    """What the camera sees from a station.

    Attributes:
        things: in view, in the order of the scene.
        owner: (ROWS, COLUMNS) the number of the thing in the scene that each pixel shows, -1 for none.
        depth_m: (ROWS, COLUMNS) metres along the optical axis; NaN beyond DEPTH_REACH_M.
        behind_m: the same with all things away.
    """

    things: tuple[ThingInView, ...]
    owner: NDArray[np.int16]
    depth_m: Floats
    behind_m: Floats


def look(scene: Scene, station: Station) -> Sightlines:
    """Look from a station, ahead and level."""
    eye = np.array([station.x_m, station.y_m, station.z_m + CAMERA_HEIGHT_M])
    steps = _steps(station.yaw_rad)
    behind_m = _background(scene, eye, steps)
    depth_m, owner = behind_m.copy(), np.full((ROWS, COLUMNS), -1, np.int16)
    shown: dict[int, int] = {}
    for number, thing in enumerate(scene.objects):
        window = _window(thing, station, eye)
        if window is None:
            continue
        surface_m = _meet(thing, eye, steps[:, window[0], window[1]])
        hits = np.isfinite(surface_m)
        if hits.any():
            shown[number] = int(hits.sum())
            nearer = surface_m < depth_m[window]
            depth_m[window] = np.where(nearer, surface_m, depth_m[window])
            owner[window] = np.where(nearer, number, owner[window])
    things = tuple(
        found
        for number, count in shown.items()
        if (found := _in_view(scene.objects[number], owner == number, count, station)) is not None
    )
    depth_m[depth_m > DEPTH_REACH_M] = np.nan
    behind_m[behind_m > DEPTH_REACH_M] = np.nan
    return Sightlines(things=things, owner=owner, depth_m=depth_m, behind_m=behind_m)


def pixel_of(point_m: Floats, station: Station) -> tuple[float, float] | None:
    """Where in the camera's image a point shows; None where it lies behind."""
    ahead, left, up = _in_camera(point_m[None], station)[0]
    if ahead < NEAR_M:
        return None
    return CAMERA.cx_px - CAMERA.fx_px * left / ahead, CAMERA.cy_px - CAMERA.fy_px * up / ahead


@functools.cache
def _rays() -> Floats:
    """(3, ROWS, COLUMNS): x ahead, y left, z up, 1 metre ahead."""
    u = (np.arange(COLUMNS) + 0.5) * COARSER - 0.5
    v = (np.arange(ROWS) + 0.5) * COARSER - 0.5
    left, up = np.meshgrid(-(u - CAMERA.cx_px) / CAMERA.fx_px, -(v - CAMERA.cy_px) / CAMERA.fy_px)
    return np.stack([np.ones_like(left), left, up])


def _steps(yaw_rad: float) -> Floats:
    """(3, ROWS, COLUMNS): metres along the optical axis until a ray has gone one metre along x, y and z."""
    rays = np.tensordot(_turn(yaw_rad), _rays(), axes=1)
    steps: Floats = 1.0 / np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    return steps


def _turn(yaw_rad: float) -> Floats:
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _in_camera(points_m: Floats, station: Station) -> Floats:
    eye = np.array([station.x_m, station.y_m, station.z_m + CAMERA_HEIGHT_M])
    seen: Floats = (points_m - eye) @ _turn(station.yaw_rad)
    return seen


def _background(scene: Scene, eye: Floats, steps: Floats) -> Floats:
    """Metres to the floor or a wall."""
    low, high = (*scene.bounds_m[:2], 0.0), (*scene.bounds_m[2:], np.inf)
    _, out = _crossed(low, high, eye, steps)
    return out


def _meet(thing: SceneObject, eye: Floats, steps: Floats) -> Floats:
    """Metres to the surface of a thing; infinite where a ray passes it."""
    centre, half = np.array(thing.center_m), np.array(thing.size_m) / 2
    into, out = _crossed(centre - half, centre + half, eye, steps)
    metres: Floats = np.where((into <= out) & (into > NEAR_M), into, np.inf)
    return metres


def _crossed(
    low: Sequence[float] | Floats, high: Sequence[float] | Floats, eye: Floats, steps: Floats
) -> tuple[Floats, Floats]:
    """Metres until each ray is between all pairs of planes of a box, and until it is no more between one of them."""
    into, out = np.full(steps.shape[1:], -np.inf), np.full(steps.shape[1:], np.inf)
    for axis in range(3):
        one, other = (low[axis] - eye[axis]) * steps[axis], (high[axis] - eye[axis]) * steps[axis]
        np.maximum(into, np.minimum(one, other), out=into)
        np.minimum(out, np.maximum(one, other), out=out)
    return into, out


def corners(thing: SceneObject) -> Floats:
    """The eight corners of a thing, (8, 3)."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    found: Floats = np.array(thing.center_m) + signs * np.array(thing.size_m) / 2
    return found


def _window(thing: SceneObject, station: Station, eye: Floats) -> tuple[slice, slice] | None:
    """The part of the image in which a thing can show."""
    ahead, left, up = _in_camera(corners(thing), station).T
    if ahead.max() < NEAR_M:
        return None
    if ahead.min() < NEAR_M:
        return slice(0, ROWS), slice(0, COLUMNS)
    spans = []
    for middle, focal, aside, most in (
        (CAMERA.cy_px, CAMERA.fy_px, up / ahead, ROWS),
        (CAMERA.cx_px, CAMERA.fx_px, left / ahead, COLUMNS),
    ):
        at = (middle - focal * aside) / COARSER
        first, last = max(0, math.floor(at.min())), min(most, math.ceil(at.max()) + 1)
        if first >= last:
            return None
        spans.append(slice(first, last))
    return spans[0], spans[1]


def _in_view(thing: SceneObject, shows: NDArray[np.bool_], count: int, station: Station) -> ThingInView | None:
    pixels = int(shows.sum())
    if not pixels:
        return None
    rows, columns = np.flatnonzero(shows.any(axis=1)), np.flatnonzero(shows.any(axis=0))
    left, right = columns[0] * COARSER, (columns[-1] + 1) * COARSER - 1
    upper, lower = rows[0] * COARSER, (rows[-1] + 1) * COARSER - 1
    dx, dy = thing.center_m[0] - station.x_m, thing.center_m[1] - station.y_m
    return ThingInView(
        thing=thing,
        box_px=(float(left), float(upper), float(right), float(lower)),
        pixels=pixels,
        unhidden=pixels / count,
        bearing_left_deg=math.degrees(math.remainder(math.atan2(dy, dx) - station.yaw_rad, 2 * math.pi)),
        distance_m=math.hypot(dx, dy),
    )
