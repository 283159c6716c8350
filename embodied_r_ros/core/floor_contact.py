"""How far a thing is whose box ends where it stands on the floor: the camera's height tells it, roughly."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from embodied_r_ros.core.boxes import MOST_HALF_M
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.poses import rotation_matrix
from embodied_r_ros.core.records import Pose, Sighting

# A box that ends this near to the lower border of the image is cut by it: its foot lies before the floor there, about
# at this share of the way.
BORDER_PX, CUT_SHARE = 3.0, 0.7
# A foot is taken to be off by this angle, and a thing may hang above the floor: never surer than this share.
FOOT_DEG, LEAST_SHARE = 1.5, 0.3
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
    """A sighting without distance, with the distance at which the lower edge of its box meets the floor.

    Left as it is where it has a distance or no box, and where the camera's height is not known. What hangs seems
    farther away than it is, so the spread is wide, and rays that meet count for more (`core.landmark_places`).

    Args:
        seen: its ray in the axes of the camera as a body, which looks level.
        camera: of the image.
        height_m: of the camera above the floor.
    """
    if not math.isnan(seen.distance_m) or seen.box_px is None or not height_m > 0.0:
        return seen
    left, _, right, lower = seen.box_px
    middle = (left + right) / 2
    foot, left_ray, right_ray = camera.rays(np.array([(middle, lower), (left, lower), (right, lower)]))
    if not math.isfinite(float(foot.sum())) or foot[2] <= 0.0 or foot[1] / foot[2] < LEAST_DOWN:
        return seen
    ahead_m = height_m * float(foot[2] / foot[1])
    if lower > camera.height - 1 - BORDER_PX:
        ahead_m *= CUT_SHARE
    if ahead_m > FARTHEST_M:
        return seen
    width_m = ahead_m * float(right_ray[0] / right_ray[2] - left_ray[0] / left_ray[2])
    half_m = min(MOST_HALF_M, abs(width_m) / 2) if math.isfinite(width_m) else 0.0
    level_m = ahead_m * math.hypot(1.0, float(foot[0] / foot[2])) + half_m
    distance_m = level_m / max(math.hypot(seen.ray[0], seen.ray[1]), 0.1)
    off_m = (ahead_m**2 / height_m + height_m) * math.radians(FOOT_DEG)
    return dataclasses.replace(
        seen,
        distance_m=distance_m,
        spread_along_m=max(LEAST_SHARE * distance_m, off_m),
        spread_across_m=max(0.02, 0.05 * abs(width_m)) if math.isfinite(width_m) else math.nan,
    )
