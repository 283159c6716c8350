"""Level eyes that look at things from known poses, for tests of landmarks."""

from __future__ import annotations

import math

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Pose, Sighting

S = 1_000_000_000


def pose(x_m, y_m=0.0, heading_deg=0.0):
    half = math.radians(heading_deg) / 2
    return Pose(x_m=x_m, y_m=y_m, z_m=0.0, qx=0.0, qy=0.0, qz=math.sin(half), qw=math.cos(half))


def sighting(name, at, stood, distance=True, off_m=0.0, **details):
    """What a level eye at a pose measures of a thing at (x, y)."""
    way = at[0] - stood.x_m, at[1] - stood.y_m
    bearing_deg = math.degrees(math.atan2(way[1], way[0]) - stood.yaw_rad)
    details = {'source': 'box', **details}
    return Sighting.level(name, bearing_deg, math.hypot(*way) + off_m if distance else math.nan, **details)


def seen(index, stood, *sightings, **details):
    return Observation(session=1, index=index, stamp_ns=index * S, pose=stood, sightings=sightings, **details)


def looks(things, stands, **details):
    return [
        seen(i, at, *(sighting(name, place, at, **details) for name, place in things)) for i, at in enumerate(stands)
    ]
