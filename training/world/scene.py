"""Simulated places: a room or a street with named things in it, each carrying AprilTags."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence

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
