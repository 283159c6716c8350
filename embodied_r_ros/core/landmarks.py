"""Things with places, put together from what several key frames show.

The sightings of a key frame are matched to the things known by then: by track id, else by name and place within a gate
that grows with the way, since odometry drifts; a sighting that fits none of them, but lies within 4 degrees of a thing
that others support, is one more look at that thing, whose distance was wrong. What fits nothing is a new thing. Support
competes and nothing is demanded: a thing that was seen once counts (waiting for a second look lost a quarter of the
answers in trials), unless another key frame should have shown it and did not, and another thing bears its name.

The things are a function of the sightings up to a stamp, in whatever order these came.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.landmark_places import (
    ACROSS_SHARE,
    ALONG_SHARE,
    FARTHEST_M,
    MIN_SPREAD_M,
    NEAREST_M,
    Glimpse,
    Place,
    place_of,
    rays_meet,
)
from embodied_r_ros.core.records import Key, Sighting

GATE_M = 1.0
RAY_DEG = 4.0
# Odometry is off by this share of the way.
DRIFT = 0.02
MAX_GLIMPSES = 48
_RAY_COST = 10.0
# The eyes whose sightings have places.
MEASURED = frozenset(('tag', 'box', 'detection', 'sign'))

Vector = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A key frame's sightings, with where its camera stood.

    Attributes:
        camera_m, camera_yaw_rad: of the camera in the fixed frame.
        base_axes: forward, left and up of the base, in the fixed frame.
        stretch: counts the times that the motion was not known: places of different stretches cannot be compared.
        sightings: what the eyes made out, rays in the axes of the base.
    """

    key: Key
    stamp_ns: int
    camera_m: Vector
    camera_yaw_rad: float
    base_axes: tuple[Vector, Vector, Vector]
    stretch: int
    sightings: tuple[Sighting, ...]

    def aside_rad(self, way: Sequence[float]) -> float:
        """The direction of a way in the fixed frame, seen from above, to the left of where the camera looks."""
        return math.remainder(math.atan2(way[1], way[0]) - self.camera_yaw_rad, 2 * math.pi)

    def glimpse(self, sighting: Sighting) -> Glimpse:
        """A sighting of the view in the fixed frame."""
        forward, left, up = self.base_axes
        x, y, z = (
            sighting.ray[0] * ahead + sighting.ray[1] * aside + sighting.ray[2] * above
            for ahead, aside, above in zip(forward, left, up)
        )
        distance_m = sighting.distance_m
        known = math.isfinite(distance_m)
        along_m = sighting.spread_along_m if math.isfinite(sighting.spread_along_m) else ALONG_SHARE * distance_m
        across_m = ACROSS_SHARE * (distance_m if known else 1.0)
        if math.isfinite(sighting.spread_across_m):
            across_m = max(across_m, sighting.spread_across_m)
        return Glimpse(
            origin_m=self.camera_m,
            ray=(x, y, z),
            distance_m=distance_m,
            along_m=max(along_m, MIN_SPREAD_M) if known else math.inf,
            across_m=max(across_m, MIN_SPREAD_M),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """A thing, as the sightings so far tell it.

    Attributes:
        id: of the sighting that it began with.
        glimpses: those that its place rests on, at most MAX_GLIMPSES.
        place: None while only rays are known that do not meet.
        sightings: how many there were.
        stretch: in which its glimpses and its place are; see `View`.
        way_m: how far the robot had gone when it was seen last.
        keys: the key frames that show it, at most MAX_GLIMPSES, oldest first.
    """

    id: str
    name: str
    track_id: str
    glimpses: tuple[Glimpse, ...]
    place: Place | None
    first_seen_ns: int
    last_seen_ns: int
    sightings: int
    stretch: int
    way_m: float
    keys: tuple[Key, ...]


class Association:
    """Which sightings are of which thing.

    Attributes:
        by_id: the things, in the order in which they were first seen.
        by_name: their ids, by their names in small letters.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Thing] = {}
        self.by_name: dict[str, tuple[str, ...]] = {}
        self.way_m = 0.0
        self.stood_m: Vector | None = None
        self.stretch = 0

    def copy(self) -> Association:
        """What is known now, to go on from later."""
        other = Association()
        other.by_id, other.by_name = dict(self.by_id), dict(self.by_name)
        other.way_m, other.stood_m, other.stretch = self.way_m, self.stood_m, self.stretch
        return other

    def take(self, view: View) -> tuple[str, ...]:
        """Take in a view, later than those before.

        Returns:
            the id of the thing that each sighting is of; '' for one that no eye measured.
        """
        if self.stood_m is not None and view.stretch == self.stretch:
            self.way_m += math.dist(self.stood_m, view.camera_m)
        self.stood_m, self.stretch = view.camera_m, view.stretch
        glimpses = [view.glimpse(sighting) for sighting in view.sightings]
        found = {place: '' for place, sighting in enumerate(view.sightings) if sighting.source not in MEASURED}
        taken: set[str] = set()
        costs = sorted(self._costs(view, glimpses))
        for cost, place, thing_id in costs:
            if place not in found and thing_id not in taken:
                found[place] = thing_id
                taken.add(thing_id)
                self._join(thing_id, glimpses[place], view, moves=cost < _RAY_COST)
        for place, sighting in enumerate(view.sightings):
            if place not in found:
                found[place] = self._begin(sighting, glimpses[place], view, place)
        return tuple(found[place] for place in range(len(view.sightings)))

    def _costs(self, view: View, glimpses: Sequence[Glimpse]) -> Iterable[tuple[float, int, str]]:
        for place, (sighting, glimpse) in enumerate(zip(view.sightings, glimpses)):
            if sighting.source not in MEASURED:
                continue
            same = self.by_name.get(sighting.name.lower(), ())
            for thing_id in same:
                cost = self._cost(sighting, glimpse, self.by_id[thing_id], is_only=len(same) == 1)
                if cost is not None:
                    yield cost, place, thing_id

    def _cost(self, sighting: Sighting, glimpse: Glimpse, thing: Thing, is_only: bool) -> float | None:
        """How badly a sighting fits a thing; None where it does not, _RAY_COST and more where its ray alone does."""
        if sighting.track_id and thing.track_id:
            return -1.0 if sighting.track_id == thing.track_id else None
        if thing.stretch != self.stretch:
            return 1.0 if is_only else None
        gate_m = GATE_M + DRIFT * (self.way_m - thing.way_m)
        if thing.place is None:
            return _of_rays(glimpse, thing.glimpses[-1], gate_m)
        angle_deg, distance_m = towards(glimpse, thing.place.position_m)
        if not math.isnan(glimpse.distance_m):
            along_m = abs(distance_m - glimpse.distance_m) * gate_m / (gate_m + 2.0 * glimpse.along_m)
            cost = math.hypot(along_m, distance_m * math.radians(min(angle_deg, 60.0)))
            if cost <= gate_m:
                return cost / gate_m
            if glimpse.is_wide or thing.glimpses[-1].is_wide:
                met = _of_meeting(glimpse, thing.glimpses[-1], gate_m)
                return None if met is None else 1.0 + met
            if thing.sightings < 2:
                return None
        elif angle_deg <= RAY_DEG:
            return angle_deg / RAY_DEG
        return _RAY_COST + angle_deg if angle_deg <= RAY_DEG else None

    def _join(self, thing_id: str, glimpse: Glimpse, view: View, moves: bool) -> None:
        thing = self.by_id[thing_id]
        glimpses, place = thing.glimpses, thing.place
        if thing.stretch != view.stretch:
            glimpses, place = (glimpse,), place_of((glimpse,))
        elif moves:
            glimpses = _thinned((*glimpses, glimpse))
            place = place_of(glimpses)
        self.by_id[thing_id] = dataclasses.replace(
            thing,
            glimpses=glimpses,
            place=place,
            last_seen_ns=view.stamp_ns,
            sightings=thing.sightings + 1,
            stretch=view.stretch,
            way_m=self.way_m,
            keys=_thinned((*thing.keys, view.key)),
        )

    def _begin(self, sighting: Sighting, glimpse: Glimpse, view: View, place: int) -> str:
        name = sighting.name.lower()
        camera, _, index = view.key
        thing_id = f'{name}@{":".join(str(part) for part in (camera, index, place) if part != "")}'
        self.by_id[thing_id] = Thing(
            id=thing_id,
            name=sighting.name,
            track_id=sighting.track_id,
            glimpses=(glimpse,),
            place=place_of((glimpse,)),
            first_seen_ns=view.stamp_ns,
            last_seen_ns=view.stamp_ns,
            sightings=1,
            stretch=view.stretch,
            way_m=self.way_m,
            keys=(view.key,),
        )
        self.by_name[name] = (*self.by_name.get(name, ()), thing_id)
        return thing_id


def _of_rays(glimpse: Glimpse, last: Glimpse, gate_m: float) -> float | None:
    """How badly a glimpse fits a thing of which only rays are known."""
    point_m = glimpse.point_m
    if point_m is not None:
        angle_deg, _ = towards(last, point_m)
        return angle_deg / RAY_DEG if angle_deg <= RAY_DEG else None
    return _of_meeting(glimpse, last, gate_m)


def _of_meeting(glimpse: Glimpse, last: Glimpse, gate_m: float) -> float | None:
    """How far two rays pass each other, in gates; None where it is farther than one, or not where a thing can be."""
    gap_m, along_m, last_along_m = rays_meet(glimpse, last)
    if gap_m > gate_m or min(along_m, last_along_m) < NEAREST_M or max(along_m, last_along_m) > FARTHEST_M:
        return None
    return gap_m / gate_m


def towards(glimpse: Glimpse, position_m: Vector) -> tuple[float, float]:
    """Degrees between a glimpse's ray and the way to a position, and the metres to it."""
    way = tuple(end - start for end, start in zip(position_m, glimpse.origin_m))
    distance_m = math.hypot(*way)
    if distance_m < 1e-9:
        return 0.0, 0.0
    cosine = sum(part * ray for part, ray in zip(way, glimpse.ray)) / distance_m
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), distance_m


def _thinned(items: tuple) -> tuple:  # type: ignore[type-arg]
    """At most MAX_GLIMPSES: above that every second of the older half goes."""
    if len(items) <= MAX_GLIMPSES:
        return items
    half = MAX_GLIMPSES // 2
    return (*items[:half:2], *items[half:])
