"""From a box around a thing in an image to a sighting: its ray through the camera, its distance by depth."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import Box, DepthMap
from embodied_r_ros.core.records import Sighting

# One standard deviation of a distance by depth.
DEPTH_SPREAD_SHARE, DEPTH_SPREAD_M = 0.02, 0.02
# Of a thing's middle across the ray, as a share of the box: boxes are not drawn to the pixel, and where a box ends this
# near to the side of the image, more of the thing lies beyond it.
_DRAWN_SHARE, _CUT_SHARE = 0.05, 0.5
BORDER_PX = 3.0
# No more than this lies between the surface of a thing and its middle.
MOST_HALF_M = 0.5
_LEAST_SIDE_PX = 2.0


def cut_to_image(box_px: Box, image_wh: tuple[int, int]) -> Box | None:
    """The part of a box that lies in an image; None where that is next to nothing."""
    left, upper = max(0.0, box_px[0]), max(0.0, box_px[1])
    right, lower = min(image_wh[0] - 1.0, box_px[2]), min(image_wh[1] - 1.0, box_px[3])
    if right - left < _LEAST_SIDE_PX or lower - upper < _LEAST_SIDE_PX:
        return None
    return left, upper, right, lower


def box_sighting(
    name: str, box_px: Box, camera: Camera, depth: DepthMap | None, *, is_flat: bool = False, **details: Any
) -> Sighting | None:
    """The sighting of a thing that a box frames; None where the lens model has no ray for it.

    The ray is in the axes of the camera as a body. Depth measures the surface; the middle of a thing lies half the
    box's width behind it, 0.5 m at most, unless the thing is flat.

    Args:
        box_px: left, upper, right and lower edge.
        camera: of the image.
        depth: registered to the image; None, or nothing measured in the box, leaves the distance NaN.
        is_flat: as a sign.
        details: further fields of the sighting.
    """
    left, upper, right, lower = box_px
    middle_y = (upper + lower) / 2
    points = np.array([((left + right) / 2, middle_y), (left, middle_y), (right, middle_y)])
    (x, y, z), left_ray, right_ray = camera.rays(points)
    if not math.isfinite(x + y + z) or z <= 0.0:
        return None
    ahead_m = math.nan if depth is None else depth.of_box(box_px, (camera.width, camera.height))
    seen = Sighting(name=name, ray=(float(z), float(-x), float(-y)), box_px=box_px, **details)
    if math.isnan(ahead_m):
        return seen
    width_m = float(ahead_m * (right_ray[0] / right_ray[2] - left_ray[0] / left_ray[2]))
    half_m = 0.0 if is_flat or not math.isfinite(width_m) else min(MOST_HALF_M, abs(width_m) / 2)
    surface_m = float(ahead_m / z)
    return dataclasses.replace(
        seen,
        distance_m=surface_m + half_m,
        spread_along_m=math.hypot(DEPTH_SPREAD_SHARE * surface_m + DEPTH_SPREAD_M, half_m / 2),
        spread_across_m=spread_across_m(box_px, width_m, camera),
    )


def spread_across_m(box_px: Box, width_m: float, camera: Camera) -> float:
    """One standard deviation of a thing's middle across its ray; NaN where the width of what its box frames is."""
    if not math.isfinite(width_m):
        return math.nan
    is_cut = box_px[0] < BORDER_PX or box_px[2] > camera.width - 1 - BORDER_PX
    return max(DEPTH_SPREAD_M, (_CUT_SHARE if is_cut else _DRAWN_SHARE) * abs(width_m))
