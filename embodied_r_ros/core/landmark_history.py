"""The things known at a moment: observations in the order of their stamps, whatever order they come in.

What was worked out is kept at intervals, so that a late observation costs the few that follow it, and a question about
the past is answered from what was known then.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.landmarks import RAY_DEG, Association, Thing, View, towards
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Key
from embodied_r_ros.core.stands import Stand, next_stand, view_of

SNAPSHOT_EVERY = 16
# What lies nearer to the border of the view than this need not have been made out.
BORDER_DEG = 5.0
# In front of a thing stands another one that is seen within this angle of it, and nearer by this.
HIDES_DEG, HIDES_M = 6.0, 0.5
# Through a thing one looks when another is seen within this angle of it, and farther by this.
THROUGH_DEG, THROUGH_M = 3.0, 0.7
# A key frame should show what is so near and so far. Farther off nothing speaks against a thing, so one look alone does
# not outweigh a thing of the same name that was seen more often.
SHOWN_FROM_M, SHOWN_TO_M = 1.0, 6.0
# So often at most is a thing seen at wrong distances.
MISTAKEN_MOST = 3


@dataclasses.dataclass(frozen=True)
class Scene:
    """The things at a moment.

    Attributes:
        things: by id, in the order in which they were first seen, without those that negative evidence speaks against.
        numbers: of each thing, among the things of its name, from 1.
        names: of each thing as people are told it: with its number where there are several of its name.
        views: of each key frame.
        stand: of the base at the last key frame; None where there is none.
        shown: the id of the thing that each sighting of a key frame is of; '' for one that was read from words.
    """

    things: dict[str, Thing]
    numbers: dict[str, int]
    names: dict[str, str]
    views: dict[Key, View]
    shown: dict[Key, tuple[str, ...]]
    stand: Stand | None


class LandmarkHistory:
    """Takes in the observations of a session and tells what things there were. It belongs to one thread.

    Args:
        max_observations: so many are kept; what older ones showed stays known.
    """

    def __init__(self, max_observations: int) -> None:
        self._most = max_observations
        self._seen: list[Observation] = []
        self._keys: list[tuple[int, Key]] = []
        # As far as the observations are worked out, in their order; and what was known before every 16th.
        self._views: dict[Key, View] = {}
        self._shown: dict[Key, tuple[str, ...]] = {}
        self._snapshots = [_Known()]
        self._known = _Known()

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, seen: Observation) -> None:
        """Take in an observation; one of a known key frame replaces the older one."""
        known = next((place for place, (_, key) in enumerate(self._keys) if key == seen.key), None)
        if known is not None:
            self._back_to(known)
            del self._seen[known], self._keys[known]
        place = bisect.bisect_left(self._keys, (seen.stamp_ns, seen.key))
        self._back_to(place)
        self._seen.insert(place, seen)
        self._keys.insert(place, (seen.stamp_ns, seen.key))
        if len(self._seen) >= self._most + SNAPSHOT_EVERY:
            self._drop_oldest()

    def at(self, as_of_ns: int | None = None) -> Scene:
        """The things as the observations up to this stamp tell them; None for all of them."""
        self._work_out()
        if as_of_ns is None or not self._keys or as_of_ns >= self._keys[-1][0]:
            return _scene(self._known, self._views.copy(), self._shown.copy())
        count = bisect.bisect_right(self._keys, as_of_ns, key=lambda entry: entry[0])
        known = self._snapshots[count // SNAPSHOT_EVERY].copy()
        for seen in self._seen[count - count % SNAPSHOT_EVERY : count]:
            known.take(seen)
        keys = [key for _, key in self._keys[:count]]
        return _scene(known, {key: self._views[key] for key in keys}, {key: self._shown[key] for key in keys})

    def _drop_oldest(self) -> None:
        self._work_out()
        del self._snapshots[0]
        for _, key in self._keys[:SNAPSHOT_EVERY]:
            del self._views[key], self._shown[key]
        del self._seen[:SNAPSHOT_EVERY], self._keys[:SNAPSHOT_EVERY]

    def _back_to(self, place: int) -> None:
        """Forget what was worked out from the observations at this place and behind it."""
        if place < len(self._shown):
            kept = place // SNAPSHOT_EVERY
            for _, key in self._keys[kept * SNAPSHOT_EVERY : len(self._shown)]:
                del self._views[key], self._shown[key]
            del self._snapshots[kept + 1 :]
            self._known = self._snapshots[kept].copy()

    def _work_out(self) -> None:
        for seen in self._seen[len(self._shown) :]:
            self._views[seen.key], self._shown[seen.key] = self._known.take(seen)
            if len(self._shown) % SNAPSHOT_EVERY == 0:
                self._snapshots.append(self._known.copy())


def scene_of(observations: Iterable[Observation]) -> Scene:
    """The things that observations of one session tell, in the order given."""
    known = _Known()
    views, shown = {}, {}
    for seen in observations:
        views[seen.key], shown[seen.key] = known.take(seen)
    return _scene(known, views, shown)


class _Known:
    """What is known after some observations.

    Attributes:
        things: and which sightings are theirs.
        stand: where the base stands at the last of them; None before the first.
        half_views_rad: how far aside each camera has shown anything.
    """

    def __init__(self) -> None:
        self.things = Association()
        self.stand: Stand | None = None
        self.half_views_rad: dict[str, float] = {}

    def copy(self) -> _Known:
        other = _Known()
        other.things = self.things.copy()
        other.stand = self.stand
        other.half_views_rad = dict(self.half_views_rad)
        return other

    def take(self, seen: Observation) -> tuple[View, tuple[str, ...]]:
        self.stand = next_stand(self.stand, seen)
        view = view_of(seen, self.stand)
        aside_rad = [abs(view.aside_rad(view.glimpse(one).ray)) for one in view.sightings]
        self.half_views_rad[seen.camera] = max([self.half_views_rad.get(seen.camera, 0.0), *aside_rad])
        return view, self.things.take(view)


def _scene(known: _Known, views: dict[Key, View], shown: dict[Key, tuple[str, ...]]) -> Scene:
    """The scene, which takes the two dictionaries over."""
    things = dict(known.things.by_id)
    for ids in known.things.by_name.values():
        if len(ids) < 2:
            continue
        same = [things[thing_id] for thing_id in ids]
        for thing in same:
            other_id = _mistaken_for(thing, [other for other in same if other.id in things])
            if other_id:
                del things[thing.id]
                for key in thing.keys:
                    if key in shown:
                        shown[key] = tuple(other_id if shown_id == thing.id else shown_id for shown_id in shown[key])
        left = [thing for thing in same if thing.id in things]
        for thing in _spoken_against(left, views, known):
            del things[thing.id]
    counts: dict[str, int] = {}
    numbers = {}
    for thing_id, thing in things.items():
        name = thing.name.lower()
        counts[name] = numbers[thing_id] = counts.get(name, 0) + 1
    names = {
        thing_id: f'{thing.name} {numbers[thing_id]}' if counts[thing.name.lower()] > 1 else thing.name
        for thing_id, thing in things.items()
    }
    return Scene(things, numbers, names, views, shown, known.stand)


def _mistaken_for(thing: Thing, same: Sequence[Thing]) -> str:
    """The id of a thing seen more often that all glimpses of another were of, at wrong distances; '' for none."""
    if thing.track_id or thing.sightings > MISTAKEN_MOST:
        return ''
    for other in same:
        apart = other.stretch != thing.stretch or not set(thing.keys).isdisjoint(other.keys)
        if apart or other.sightings <= thing.sightings or other.place is None:
            continue
        if all(towards(glimpse, other.place.position_m)[0] <= RAY_DEG for glimpse in thing.glimpses):
            return other.id
    return ''


def _spoken_against(same: Sequence[Thing], views: dict[Key, View], known: _Known) -> list[Thing]:
    """Those of the things of one name that go: seen once, and spoken against; one thing stays, the surest of them."""
    doubtful = [
        thing
        for thing in same
        if not thing.track_id
        and (thing.place is None or thing.sightings == 1)
        and (_is_vague(thing) or any(_speaks_against(thing, view, known) for view in views.values()))
    ]
    if len(doubtful) < len(same):
        return doubtful
    surest = min(doubtful, key=lambda thing: thing.glimpses[0].along_m, default=None)
    return [thing for thing in doubtful if thing is not surest]


def _is_vague(thing: Thing) -> bool:
    """Whether only directions tell of a thing, or one glimpse from far away."""
    return thing.place is None or thing.glimpses[0].distance_m > SHOWN_TO_M


def _speaks_against(thing: Thing, view: View, known: _Known) -> bool:
    """Whether a view should have shown a thing, and did not."""
    if thing.place is None or view.key in thing.keys or view.stretch != thing.stretch:
        return False
    way = [end - start for end, start in zip(thing.place.position_m, view.camera_m)]
    level_m, aside_rad = math.hypot(way[0], way[1]), view.aside_rad(way)
    border_rad = known.half_views_rad.get(view.key[0], 0.0) - math.radians(BORDER_DEG)
    if level_m < SHOWN_FROM_M or abs(aside_rad) > border_rad:
        return False
    looked_through = False
    for sighting in view.sightings:
        if math.isnan(sighting.distance_m):
            continue
        other_rad = view.aside_rad(view.glimpse(sighting).ray)
        off_deg = math.degrees(abs(math.remainder(other_rad - aside_rad, 2 * math.pi)))
        if off_deg <= HIDES_DEG and sighting.distance_m < level_m - HIDES_M:
            return False
        looked_through |= off_deg <= THROUGH_DEG and sighting.distance_m > level_m + THROUGH_M
    return looked_through or level_m <= SHOWN_TO_M
