"""Simulated places: a room or a street with named things in it, each carrying AprilTags."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import random
from collections.abc import Callable, Sequence

from embodied_r_ros.core.errors import InputError
from training.world.nouns import NOUNS
from training.world.path import Box, Path, make_path

TAG_COUNT = 587
MIN_GAP_M = 1.0
NEAREST_TO_WALK_M = 1.1
MAX_DISTANCE_FROM_WALK_M = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneObject:
    """A thing with a name: its centre and size along x, y, z in metres, the id of the AprilTag on its four sides."""

    name: str
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    tag_id: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A place.

    Attributes:
        seed: of its textures.
        kind: 'room' or 'street'.
        bounds_m: its walls, (x_min, y_min, x_max, y_max).
        layout: the name of the layout that it was read from; '' where it is made up.
    """

    seed: int
    kind: str
    objects: tuple[SceneObject, ...]
    bounds_m: Box
    layout: str = ''

    @property
    def site(self) -> str:
        """The place by name: all walks through one layout are at one site, every made-up place is one of its own."""
        return self.layout or f'world-{self.seed}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
    """A scene and a path through it: one recording to be."""

    scene: Scene
    path: Path


Placer = Callable[[random.Random, Path, int, Box, Sequence[str]], tuple[SceneObject, ...] | None]


def make_walk(
    seed: int,
    legs: tuple[int, int] = (8, 11),
    things: tuple[int, int] = (9, 13),
    duration_s: tuple[float, float] = (15.0, 20.0),
    nouns: Sequence[str] = NOUNS,
    circles: float = 0.0,
    place: Placer | None = None,
) -> Walk:
    """A random place and a walk through it; the same seed gives the same walk.

    Args:
        seed: of everything.
        legs: least and most legs of the walk.
        things: least and most named things.
        duration_s: least and most seconds of the walk.
        nouns: that things are named with.
        circles: share of the turns that are circles.
        place: sets the things down; `place_objects` without.
    """
    rng = random.Random(f'walk {seed}')
    place = place or place_objects
    while True:
        kind = rng.choice(['room', 'street'])
        width_m = rng.uniform(5.0, 8.0) if kind == 'room' else rng.uniform(3.0, 4.5)
        length_m = rng.uniform(5.0, 8.0) if kind == 'room' else rng.uniform(9.0, 14.0)
        ahead_m = rng.uniform(0.3, 0.8) * length_m
        inner = (ahead_m - length_m, -width_m * rng.uniform(0.3, 0.7), ahead_m, 0.0)
        inner = (inner[0], inner[1], inner[2], inner[1] + width_m)
        path = make_path(rng, rng.randint(*legs), inner, climbs=True, circles=circles)
        if not duration_s[0] <= path.duration_s <= duration_s[1]:
            continue
        bounds = (inner[0] - 3.5, inner[1] - 3.5, inner[2] + 3.5, inner[3] + 3.5)
        objects = place(rng, path, rng.randint(*things), bounds, nouns)
        if objects is not None:
            return Walk(scene=Scene(seed=seed, kind=kind, objects=objects, bounds_m=bounds), path=path)


def place_objects(
    rng: random.Random, path: Path, count: int, bounds_m: Box, nouns: Sequence[str] = NOUNS
) -> tuple[SceneObject, ...] | None:
    """Set things down along a walk, none in its way and no two close together; None when there is no room for them."""
    names, tags = rng.sample(nouns, count), rng.sample(range(TAG_COUNT), count)
    walked = [path.station_at(path.duration_s * i / 60.0) for i in range(61)]
    objects: list[SceneObject] = []
    for _ in range(60 * count):
        if len(objects) == count:
            break
        near = rng.choice(walked)
        x_m = near.x_m + rng.uniform(-1, 1) * MAX_DISTANCE_FROM_WALK_M
        y_m = near.y_m + rng.uniform(-1, 1) * MAX_DISTANCE_FROM_WALK_M
        inside = bounds_m[0] + 0.5 < x_m < bounds_m[2] - 0.5 and bounds_m[1] + 0.5 < y_m < bounds_m[3] - 0.5
        clear = all(math.hypot(x_m - spot.x_m, y_m - spot.y_m) >= NEAREST_TO_WALK_M for spot in walked)
        apart = all(math.hypot(x_m - o.center_m[0], y_m - o.center_m[1]) >= MIN_GAP_M for o in objects)
        if inside and clear and apart:
            side, height = rng.uniform(0.46, 0.6), rng.uniform(1.45, 1.7)
            k = len(objects)
            objects.append(
                SceneObject(name=names[k], center_m=(x_m, y_m, height / 2), size_m=(side, side, height), tag_id=tags[k])
            )
    return tuple(objects) if len(objects) == count else None


def load_layout(path: pathlib.Path, seed: int = 0) -> Walk:
    """A walk through a layout of one's own: {"scene": {"objects": [{"name", "center_m", "size_m"}, ...]}}, in metres.

    Raises:
        InputError: the file is no such layout.
    """
    try:
        entries = json.loads(pathlib.Path(path).read_text())['scene']['objects']
        objects = tuple(_layout_object(entry, index) for index, entry in enumerate(entries))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} is no layout {{"scene": {{"objects": [...]}}}}: {error!r}') from error
    if not objects:
        raise InputError(f'{path} holds no object; a layout needs at least one')
    names = [thing.name.lower() for thing in objects]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'{path} names {", ".join(twice)} more than once; give each thing a name of its own')
    return _walk_through(objects, seed, pathlib.Path(path).stem)


def _layout_object(entry: dict[str, object], index: int) -> SceneObject:
    center, size = entry['center_m'], entry['size_m']
    if not (isinstance(center, Sequence) and isinstance(size, Sequence) and len(center) == len(size) == 3):
        raise ValueError(f'object {index} needs center_m and size_m of three numbers each, got {center!r} and {size!r}')
    x, y, z = (float(value) for value in center)
    dx, dy, dz = (float(value) for value in size)
    return SceneObject(name=str(entry['name']), center_m=(x, y, z), size_m=(dx, dy, dz), tag_id=index % TAG_COUNT)


def _walk_through(objects: tuple[SceneObject, ...], seed: int, layout: str) -> Walk:
    xs, ys = [o.center_m[0] for o in objects], [o.center_m[1] for o in objects]
    bounds = (min(xs) - 3.0, min(ys) - 3.0, max(xs) + 3.0, max(ys) + 3.0)
    middle = ((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
    moved = tuple(
        dataclasses.replace(o, center_m=(o.center_m[0] - middle[0], o.center_m[1] - middle[1], o.center_m[2]))
        for o in objects
    )
    box = (bounds[0] - middle[0], bounds[1] - middle[1], bounds[2] - middle[0], bounds[3] - middle[1])
    rng = random.Random(f'layout {seed}')
    for _ in range(2000):
        path = make_path(rng, rng.randint(8, 11), (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1))
        walked = [path.station_at(path.duration_s * i / 60.0) for i in range(61)]
        reach = [max(o.size_m[0], o.size_m[1]) / 2 + 0.4 for o in moved]
        if all(
            math.hypot(o.center_m[0] - s.x_m, o.center_m[1] - s.y_m) > r for o, r in zip(moved, reach) for s in walked
        ):
            scene = Scene(seed=seed, kind='room', objects=moved, bounds_m=box, layout=layout)
            return Walk(scene=scene, path=path)
    raise InputError(
        f'no clear walk was found between the {len(objects)} objects of the layout; leave more room between them'
    )
