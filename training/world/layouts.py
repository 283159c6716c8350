"""Layouts of one's own: rooms given as lists of things, and walks through them that nothing stands in the way of.

A layout is {"scene": {"objects": [{"name", "center_m", "size_m"}, ...]}}, in metres along x, y and z (up). Several
things may bear one name. Where the walls are it does not tell: they stand WALLS_M outside of all things.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import random
from collections.abc import Mapping, Sequence

import numpy as np

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.text import foreign_name
from training.world.path import SHORTEST_M, Box, Leg, Station, make_path
from training.world.scene import TAG_COUNT, Scene, SceneObject, Walk

# Between the middle of the robot and a thing or a wall; what begins higher up than the robot is driven under.
CLEARANCE_M, ROBOT_HEIGHT_M = 0.3, 1.4
WALLS_M = 0.5
LONGEST_SIDE_M, THINNEST_M = 100.0, 0.01
STARTS = 200
LEGS = (8, 11)


class LayoutError(InputError):
    """A layout cannot be used; `reason` says why in a few words, the same for all that fail so."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """A room: its name, things that stand on a floor at height 0, and walls (x_min, y_min, x_max, y_max)."""

    name: str
    objects: tuple[SceneObject, ...]
    bounds_m: Box


def load_layout(path: pathlib.Path, seed: int = 0) -> Walk:
    """A walk through the layout in a file; raises as `read_layout` and `walk_through`."""
    return walk_through(read_layout(path), seed)


def read_layout(path: pathlib.Path) -> Layout:
    """The layout in a file; one with things below height 0 is lifted until the lowest stands there.

    Raises:
        LayoutError: the file is no layout.
    """
    path = pathlib.Path(path)
    try:
        entries = json.loads(path.read_text())['scene']['objects']
        things = [_thing(entry, index) for index, entry in enumerate(entries)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f'{path} is no layout {{"scene": {{"objects": [...]}}}}: {error!r}'
        raise LayoutError('no layout', message) from error
    if not things:
        raise LayoutError('no object', f'{path} holds no object; a layout needs at least one')
    floor_m = min(0.0, *(thing.center_m[2] - thing.size_m[2] / 2 for thing in things))
    objects = tuple(_moved(thing, (0.0, 0.0, floor_m), 0) for thing in things)
    edges = np.array([_edges(thing) for thing in objects])
    x_min, y_min = (edges[:, :2].min(axis=0) - WALLS_M).tolist()
    x_max, y_max = (edges[:, 2:].max(axis=0) + WALLS_M).tolist()
    if max(x_max - x_min, y_max - y_min) > LONGEST_SIDE_M:
        sides = f'{x_max - x_min:.0f} x {y_max - y_min:.0f} m'
        raise LayoutError('too large', f'{path} may be {LONGEST_SIDE_M:.0f} m long and wide, got {sides}; are these m?')
    return Layout(name=path.stem, objects=objects, bounds_m=(x_min, y_min, x_max, y_max))


def _thing(entry: Mapping[str, object], index: int) -> SceneObject:
    told, center, size = entry['name'], entry['center_m'], entry['size_m']
    name = foreign_name(told) if isinstance(told, str) else ''
    if not name:
        raise ValueError(f'object {index} needs a name, got {told!r}')
    if not (isinstance(center, Sequence) and isinstance(size, Sequence) and len(center) == len(size) == 3):
        raise ValueError(f'object {index} needs center_m and size_m of three numbers each, got {center!r} and {size!r}')
    x, y, z = (float(value) for value in center)
    dx, dy, dz = (float(value) for value in size)
    if not all(map(math.isfinite, (x, y, z, dx, dy, dz))) or min(dx, dy, dz) < 0.0:
        raise ValueError(f'object {index} needs finite metres, no size below 0, got {center!r} and {size!r}')
    size_m = (max(dx, THINNEST_M), max(dy, THINNEST_M), max(dz, THINNEST_M))
    return SceneObject(name=name, center_m=(x, y, z), size_m=size_m, tag_id=index % TAG_COUNT)


def walk_through(layout: Layout, seed: int) -> Walk:
    """A random walk through a layout, from anywhere in it, clear of things and walls; the same for the same seed.

    Raises:
        LayoutError: there is no room for one.
    """
    rng = random.Random(f'layout {seed}')
    x_min, y_min, x_max, y_max = layout.bounds_m
    for _ in range(STARTS):
        start_m = (rng.uniform(x_min, x_max), rng.uniform(y_min, y_max), 0.0)
        quarters = rng.randrange(4)
        objects = tuple(_moved(thing, start_m, quarters) for thing in layout.objects)
        one, other = (_turned(x - start_m[0], y - start_m[1], quarters) for x, y in ((x_min, y_min), (x_max, y_max)))
        bounds = (min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1]))
        free = FreeSpace(objects, bounds)
        if free.has_way_out(Station()):
            path = make_path(rng, rng.randint(*LEGS), bounds, clear=free.is_clear)
            scene = Scene(seed=seed, kind='room', objects=objects, bounds_m=bounds, layout=layout.name)
            return Walk(scene=scene, path=path)
    raise LayoutError(
        'no clear walk',
        f'no clear walk was found between the {len(layout.objects)} objects of the layout {layout.name}; '
        'leave more room between them',
    )


class FreeSpace:
    """Where a robot can go: CLEARANCE_M from walls and from all things that it cannot drive under."""

    def __init__(self, objects: Sequence[SceneObject], bounds_m: Box) -> None:
        things = [thing for thing in objects if thing.center_m[2] - thing.size_m[2] / 2 < ROBOT_HEIGHT_M]
        edges = np.array([_edges(thing) for thing in things]).reshape(-1, 4)
        self._low, self._high = edges[:, :2], edges[:, 2:]
        self._corners = edges[:, [[0, 1], [0, 3], [2, 1], [2, 3]]]
        self._walls = np.array(bounds_m) + (CLEARANCE_M, CLEARANCE_M, -CLEARANCE_M, -CLEARANCE_M)

    def is_clear(self, start: Station, end: Station) -> bool:
        """Whether nothing is in the way from one station straight to another."""
        ends = np.array([(start.x_m, start.y_m), (end.x_m, end.y_m)])
        if (ends < self._walls[:2]).any() or (ends > self._walls[2:]).any():
            return False
        from_ends = np.maximum(np.maximum(self._low - ends[:, None], ends[:, None] - self._high), 0.0)
        from_corners = self._corners - ends[0]
        way = ends[1] - ends[0]
        along = np.clip(from_corners @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
        from_corners = from_corners - along[..., None] * way
        near = np.concatenate([from_ends.reshape(-1, 2), from_corners.reshape(-1, 2)])
        if (np.hypot(near[:, 0], near[:, 1]) < CLEARANCE_M).any():
            return False
        # A way through a thing may be far from its corners.
        steps = np.where(np.abs(way) < 1e-9, 1e-9, way)
        one, other = (self._low - ends[0]) / steps, (self._high - ends[0]) / steps
        into, out = np.minimum(one, other).max(axis=1), np.maximum(one, other).min(axis=1)
        return not bool(((into <= out) & (into <= 1.0) & (out >= 0.0)).any())

    def has_way_out(self, station: Station) -> bool:
        """Whether the shortest leg leads anywhere from a station."""
        turned = (station.after(Leg(kind='turn', amount=float(angle))) for angle in range(0, 360, 30))
        return any(self.is_clear(station, way.after(Leg(kind='forward', amount=SHORTEST_M))) for way in turned)


def _edges(thing: SceneObject) -> tuple[float, float, float, float]:
    """Least x and y, most x and y."""
    (x, y, _), (dx, dy, _) = thing.center_m, thing.size_m
    return x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2


def _moved(thing: SceneObject, origin_m: tuple[float, float, float], quarters: int) -> SceneObject:
    """A thing as it is from another origin, from where one looks along x after so many quarter turns to the left."""
    x, y, z = (at - start for at, start in zip(thing.center_m, origin_m))
    dx, dy, dz = thing.size_m
    size_m = (dy, dx, dz) if quarters % 2 else (dx, dy, dz)
    return dataclasses.replace(thing, center_m=(*_turned(x, y, quarters), z), size_m=size_m)


def _turned(x: float, y: float, quarters: int) -> tuple[float, float]:
    for _ in range(quarters):
        x, y = y, -x
    return x, y
