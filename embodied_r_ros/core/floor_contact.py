"""How far a thing is whose box ends where it stands on the floor: the camera's height tells it, roughly.

It serves where depth tells nothing, and where depth would put a thing below the floor.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence

import numpy as np

from embodied_r_ros.core.boxes import BORDER_PX, MOST_HALF_M, spread_across_m
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.poses import rotation_matrix
from embodied_r_ros.core.records import Pose, Sighting

# Where the lower border of the image cuts a box, its foot lies before the floor there, about at this share of the way.
CUT_SHARE = 0.7
# A foot is taken to be off by this angle, and a thing may hang above the floor: never surer than this share.
FOOT_DEG, LEAST_SHARE = 1.5, 0.3
# The lower edge of a box is not drawn higher or lower than by this share of the box's height.
DRAWN_SHARE = 0.1
# Farther off, the floor is seen too flatly.
FARTHEST_M = 10.0
# Feet seen this little below the horizon tell nothing.
LEAST_DOWN = 0.05
# A camera that is tilted by more than this is not taken to look level.
LEVEL_DEG = 2.0


def camera_height_m(camera_pose: Pose | None, base_height_m: float) -> float:
    """Height of a level camera above the floor; NaN where its place on the base is not known, or it is tilted.

    Args:
        camera_pose: of the camera as a body in the base.
        base_height_m: of the base's origin above the floor.
    """
    if camera_pose is None or rotation_matrix(camera_pose)[2, 2] < math.cos(math.radians(LEVEL_DEG)):
        return math.nan
    return camera_pose.z_m + base_height_m


def with_floor_contact(found: Sequence[Sighting], camera: Camera, height_m: float) -> list[Sighting]:
    """The sightings of a picture; some with the distance at which the lower edge of their box meets the floor.

    Those get it for which depth told no distance. So do those that depth puts below the floor, because it measured what
    is behind them; but only where it puts more of the others onto the floor, because otherwise the camera has another
    height. What hangs seems farther away by its foot than it is, so the spread is wide, and rays that meet count for
    more (`core.landmark_places`). Sightings without a box stay as they are, and so do those whose box does not end on
    the floor within FARTHEST_M.

    Args:
        found: their rays in the axes of the camera as a body, which looks level.
        camera: of the image.
        height_m: of the camera above the floor; NaN where it is not known, which leaves all as they are.
    """
    if not height_m > 0.0:
        return list(found)
    feet = [_foot(seen, camera) for seen in found]
    sides = [_side(seen, foot, height_m) for seen, foot in zip(found, feet)]
    is_floor = sides.count(_Side.ON) > sides.count(_Side.BELOW)
    return [
        _at_contact(seen, foot, camera, height_m)
        if foot and (math.isnan(seen.distance_m) or (is_floor and side is _Side.BELOW))
        else seen
        for seen, foot, side in zip(found, feet, sides)
    ]


class _Side(enum.Enum):
    """Where depth puts the lower edge of a box, seen from the floor."""

    BELOW = enum.auto()
    ON = enum.auto()
    UNKNOWN = enum.auto()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Foot:
    """The lower edge of a box, one metre ahead of the camera.

    Attributes:
        down, aside: metres from the optical axis to its middle, downwards and to the right.
        wide: metres from its left to its right; NaN where the lens model has no ray there.
        off: metres by which it may be drawn too low or too high; NaN likewise.
        is_cut: whether the lower border of the image cuts the box.
    """

    down: float
    aside: float
    wide: float
    off: float
    is_cut: bool


def _foot(seen: Sighting, camera: Camera) -> _Foot | None:
    """None where there is no box, or where its lower edge does not lie clearly below the horizon."""
    if seen.box_px is None:
        return None
    left, upper, right, lower = seen.box_px
    middle = (left + right) / 2
    rays = camera.rays(np.array([(middle, upper), (middle, lower), (left, lower), (right, lower)]))
    if not math.isfinite(float(rays[1].sum())) or rays[1, 2] <= 0.0 or rays[1, 1] / rays[1, 2] < LEAST_DOWN:
        return None
    (_, top), (aside, down), (left_aside, _), (right_aside, _) = (rays[:, :2] / rays[:, 2:]).tolist()
    return _Foot(
        down=down,
        aside=aside,
        wide=abs(right_aside - left_aside),
        off=max(DRAWN_SHARE * (down - top), math.radians(FOOT_DEG)),
        is_cut=lower > camera.height - 1 - BORDER_PX,
    )


def _side(seen: Sighting, foot: _Foot | None, height_m: float) -> _Side:
    if foot is None or not math.isfinite(seen.distance_m + foot.wide + foot.off):
        return _Side.UNKNOWN
    ahead_m = seen.distance_m * seen.ray[0]
    surface_m = ahead_m - min(MOST_HALF_M, ahead_m * foot.wide / (2 + foot.wide))
    if surface_m * (foot.down - foot.off) > height_m:
        return _Side.BELOW
    return _Side.ON if surface_m * (foot.down + foot.off) >= height_m and not foot.is_cut else _Side.UNKNOWN


def _at_contact(seen: Sighting, foot: _Foot, camera: Camera, height_m: float) -> Sighting:
    ahead_m = height_m / foot.down * (CUT_SHARE if foot.is_cut else 1.0)
    if ahead_m > FARTHEST_M or seen.box_px is None:
        return seen
    width_m = ahead_m * foot.wide
    half_m = min(MOST_HALF_M, width_m / 2) if math.isfinite(width_m) else 0.0
    level_m = ahead_m * math.hypot(1.0, foot.aside) + half_m
    distance_m = level_m / max(math.hypot(seen.ray[0], seen.ray[1]), 0.1)
    off_m = (ahead_m**2 / height_m + height_m) * math.radians(FOOT_DEG)
    return dataclasses.replace(
        seen,
        distance_m=distance_m,
        spread_along_m=max(LEAST_SHARE * distance_m, off_m),
        spread_across_m=spread_across_m(seen.box_px, width_m, camera),
    )
