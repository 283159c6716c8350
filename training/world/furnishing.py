"""Things as rooms hold them: of several sizes and heights, hung and standing, and several of a kind."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from training.world.nouns import NOUNS
from training.world.path import Box, Path
from training.world.scene import MAX_DISTANCE_FROM_WALK_M, TAG_COUNT, SceneObject

# Between the walk and the surface of a thing, and between the surfaces of two.
CLEAR_OF_WALK_M, CLEAR_OF_OTHERS_M = 0.7, 0.3
TRIES = 120

Size = tuple[float, float, float]


def furnish(
    rng: random.Random,
    path: Path,
    count: int,
    bounds_m: Box,
    nouns: Sequence[str] = NOUNS,
    most_of_a_kind: int = 1,
) -> tuple[SceneObject, ...] | None:
    """Set things down along a walk, none in its way and none in another; None when there is no room for them.

    Args:
        most_of_a_kind: things of one name; a third of the names are borne by several where it is more than one.
    """
    names, tags = _names(rng, count, nouns, most_of_a_kind), rng.sample(range(TAG_COUNT), count)
    kinds: dict[str, tuple[Size, float]] = {}
    walked = [path.station_at(path.duration_s * i / 60.0) for i in range(61)]
    objects: list[SceneObject] = []
    for _ in range(TRIES * count):
        if len(objects) == count:
            return tuple(objects)
        near, name = rng.choice(walked), names[len(objects)]
        size, low_m = kinds.setdefault(name, _size(rng))
        if rng.random() < 0.5:
            size = size[1], size[0], size[2]
        x_m = near.x_m + rng.uniform(-1, 1) * MAX_DISTANCE_FROM_WALK_M
        y_m = near.y_m + rng.uniform(-1, 1) * MAX_DISTANCE_FROM_WALK_M
        thing = SceneObject(name=name, center_m=(x_m, y_m, low_m + size[2] / 2), size_m=size, tag_id=tags[len(objects)])
        inside = (
            bounds_m[0] + 0.1 < x_m - size[0] / 2
            and x_m + size[0] / 2 < bounds_m[2] - 0.1
            and bounds_m[1] + 0.1 < y_m - size[1] / 2
            and y_m + size[1] / 2 < bounds_m[3] - 0.1
        )
        clear = all(gap_m(thing, (spot.x_m, spot.y_m), (0.0, 0.0)) >= CLEAR_OF_WALK_M for spot in walked)
        if inside and clear and all(gap_m(thing, o.center_m, o.size_m) >= CLEAR_OF_OTHERS_M for o in objects):
            objects.append(thing)
    return tuple(objects) if len(objects) == count else None


def _names(rng: random.Random, count: int, nouns: Sequence[str], most: int) -> list[str]:
    drawn = iter(rng.sample(nouns, count))
    names: list[str] = []
    while len(names) < count:
        several = rng.randint(2, most) if most > 1 and rng.random() < 1 / 3 else 1
        names += [next(drawn)] * several
    return names[:count]


def _size(rng: random.Random) -> tuple[Size, float]:
    """Width, depth and height, and how high above the floor the thing begins."""
    kind = rng.choice(['small', 'tall', 'wide', 'hung'])
    if kind == 'small':
        return (rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.9)), 0.0
    if kind == 'tall':
        return (rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.7), rng.uniform(1.2, 2.0)), 0.0
    if kind == 'wide':
        return (rng.uniform(1.0, 2.0), rng.uniform(0.5, 0.9), rng.uniform(0.7, 1.2)), 0.0
    return (rng.uniform(0.3, 0.9), rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.7)), rng.uniform(0.9, 1.6)


def gap_m(thing: SceneObject, at_m: Sequence[float], size_m: Sequence[float]) -> float:
    """Metres between the sides of a thing and of another, seen from above; below 0 where they cross."""
    gaps = [abs(thing.center_m[k] - at_m[k]) - (thing.size_m[k] + size_m[k]) / 2 for k in (0, 1)]
    return math.hypot(*gaps) if min(gaps) > 0.0 else max(gaps)
