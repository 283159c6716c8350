"""How far a thing is whose box ends where it stands on the floor: the camera's height tells it, roughly.

It serves where depth tells nothing, and where depth would put a thing below the floor.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from embodied_r_ros.core.boxes import BORDER_PX, MOST_HALF_M, spread_across_m
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.poses import rotation_matrix
from embodied_r_ros.core.records import Pose, Sighting

# Where the lower border of the image cuts a box, its foot lies before the floor there, about at this share of the way.
CUT_SHARE = 0.7
# A foot is taken to be off by this angle, and a thing may hang above the floor: never surer than this share.
FOOT_DEG, LEAST_SHARE = 1.5, 0.3
# The lower edge of a box is surely not drawn lower than its foot by more than this share of the box's height.
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


def with_floor_contact(seen: Sighting, camera: Camera, height_m: float) -> Sighting:
    """A sighting with the distance at which the lower edge of its box meets the floor, unless depth tells a better one.

    Depth is better unless it puts the thing below the floor: then it measured what stands behind. What hangs seems
    farther away than it is, so the spread is wide, and rays that meet count for more (`core.landmark_places`). The
    sighting is left as it is where it has no box, where the camera's height is not known, and where the box does not
    end on the floor within FARTHEST_M.

    Args:
        seen: its ray in the axes of the camera as a body, which looks level.
        camera: of the image.
        height_m: of the camera above the floor.
    """
    if seen.box_px is None or not height_m > 0.0:
        return seen
    left, upper, right, lower = seen.box_px
    middle = (left + right) / 2
    rays = camera.rays(np.array([(middle, upper), (middle, lower), (left, lower), (right, lower)]))
    if not math.isfinite(float(rays[1].sum())) or rays[1, 2] <= 0.0 or rays[1, 1] / rays[1, 2] < LEAST_DOWN:
        return seen
    (_, top), (aside, down), (left_aside, _), (right_aside, _) = (rays[:, :2] / rays[:, 2:]).tolist()
    is_cut = lower > camera.height - 1 - BORDER_PX
    ahead_m = height_m / down * (CUT_SHARE if is_cut else 1.0)
    width_m = abs(ahead_m * (right_aside - left_aside))
    half_m = min(MOST_HALF_M, width_m / 2) if math.isfinite(width_m) else 0.0
    if not math.isnan(seen.distance_m):
        surely_down = down - max(math.radians(FOOT_DEG), DRAWN_SHARE * (down - top))
        if not (seen.distance_m * seen.ray[0] - half_m) * surely_down > height_m:
            return seen
    if ahead_m > FARTHEST_M:
        return seen
    level_m = ahead_m * math.hypot(1.0, aside) + half_m
    distance_m = level_m / max(math.hypot(seen.ray[0], seen.ray[1]), 0.1)
    off_m = (ahead_m**2 / height_m + height_m) * math.radians(FOOT_DEG)
    return dataclasses.replace(
        seen,
        distance_m=distance_m,
        spread_along_m=max(LEAST_SHARE * distance_m, off_m),
        spread_across_m=spread_across_m(seen.box_px, width_m, camera),
    )
