"""What a question is told of the things in key frames: where they are by all that was seen of them until then.

A thing is told where it comes into view, at the bearing and distance that its place has from there. Where that place
lies elsewhere than the key frame showed it, what the key frame showed is told.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from embodied_r_ros.core.landmark_history import Scene
from embodied_r_ros.core.landmark_places import NEAREST_M
from embodied_r_ros.core.landmarks import Thing, View
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Sighting

AGREES_DEG = 10.0


def told(observations: Sequence[Observation], scene: Scene) -> list[Observation]:
    """Observations with the sightings to tell: of things that the one before does not show.

    What no eye measured is told as it is, and so is an observation that the scene does not know.
    """
    rewritten = []
    in_view: frozenset[str] = frozenset()
    for seen in observations:
        shown = scene.shown.get(seen.key)
        if shown is None:
            rewritten.append(seen)
            continue
        rewritten.append(_told(seen, shown, in_view, scene))
        in_view = frozenset(shown)
    return rewritten


def _told(seen: Observation, shown: Sequence[str], in_view: frozenset[str], scene: Scene) -> Observation:
    if not any(shown):
        return seen
    # What a second look added the scene does not know, and what has come since the second look, only the scene knows.
    known = scene.views[seen.key].sightings
    others = [sighting for sighting in seen.sightings if sighting not in known and not sighting.in_view_before]
    placed: dict[str, Sighting] = {}
    for sighting, thing_id in zip(known, shown):
        if not thing_id:
            others.append(sighting)
        elif thing_id in scene.things and thing_id not in in_view and thing_id not in placed:
            moved = _placed(sighting, scene.things[thing_id], scene.views[seen.key])
            placed[thing_id] = dataclasses.replace(moved, name=scene.names[thing_id], in_view_before=False)
    in_order = sorted((*placed.values(), *others), key=lambda sighting: -sighting.bearing_left_deg)
    return dataclasses.replace(seen, sightings=tuple(in_order))


def _placed(sighting: Sighting, thing: Thing, view: View) -> Sighting:
    """A sighting with the bearing and distance that the thing's place has from there."""
    if thing.place is None or thing.stretch != view.stretch:
        return sighting
    way = [end - start for end, start in zip(thing.place.position_m, view.camera_m)]
    distance_m = math.hypot(*way)
    if distance_m < NEAREST_M:
        return sighting
    x, y, z = (sum(part * axis for part, axis in zip(way, axes)) / distance_m for axes in view.base_axes)
    placed = dataclasses.replace(sighting, ray=(x, y, z), distance_m=distance_m)
    off_deg = math.remainder(placed.bearing_left_deg - sighting.bearing_left_deg, 360.0)
    return placed if abs(off_deg) <= AGREES_DEG else sighting
