"""AprilTags: which tag, where in the image, and where in front of the camera."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters import tag_detectors
from embodied_r_ros.core.camera import Camera

FAMILIES = tuple(tag_detectors.MAX_WRONG_BITS)

_WELL_FITTED_PX = 1.0
# No tag fits into a smaller image, and AprilTag 3 reads beyond the edge of one of fewer than 4 pixels.
_SMALLEST_PX = 16

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Tag:
    """A tag in an image.

    Attributes:
        corners_px: (4, 2), clockwise in the tag's own view, beginning with its upper left corner.
    """

    id: int
    corners_px: Floats

    @property
    def side_px(self) -> float:
        """Length of its longest side in the image."""
        return float(np.linalg.norm(self.corners_px - np.roll(self.corners_px, 1, axis=0), axis=1).max())


class TagReader:
    """Finds the tags of one family.

    Args:
        family: one of FAMILIES.
        min_side_px: shorter tags are left out.

    Raises:
        SettingsError: there is no library that reads tags.
    """

    def __init__(self, family: str, min_side_px: float) -> None:
        self._detect = tag_detectors.detector(family, min_side_px)
        self._min_side_px = min_side_px

    def read(self, image: NDArray[np.uint8]) -> list[Tag]:
        """The tags in an image, (height, width) grey or (height, width, 3) BGR, uint8."""
        if min(image.shape[:2]) < _SMALLEST_PX:
            return []
        grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        found = (Tag(tag_id, corners_px) for tag_id, corners_px in self._detect(grey))
        return [tag for tag in found if tag.side_px >= self._min_side_px]


def locate(tag: Tag, camera: Camera, size_m: float, depth_m: float = 0.0) -> Floats | None:
    """Where the tag is, in the camera's optical axes (x right, y down, z ahead), metres, (3,).

    Args:
        size_m: side of the tag's black square.
        depth_m: the point wanted lies this far behind the tag, such as the middle of the thing that carries it.

    Returns:
        None where the corners allow no pose in front of the camera, or the lens model has no ray for one.
    """
    half = size_m / 2
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    rays = camera.rays(tag.corners_px)
    if not np.isfinite(rays).all():
        return None
    corners = (rays[:, :2] / rays[:, 2:]).reshape(4, 1, 2)
    found: list[tuple[float, Floats, Floats]] = []
    # Where the upper and lower edge mirror each other, as of a tag at the height of a level camera, IPPE may give NaN
    # or a rotation that is none; the other method, slower and sure, then fits far better.
    for method in (cv2.SOLVEPNP_IPPE_SQUARE, cv2.SOLVEPNP_ITERATIVE):
        solved: Any = cv2.solvePnPGeneric(square, corners, np.eye(3), None, flags=method)
        for turn, shift, miss in zip(*solved[1:]):
            place: Floats = np.asarray(shift, np.float64).ravel()
            if np.isfinite(place).all() and np.isfinite(turn).all() and place[2] > 0:
                facing: Floats = np.asarray(cv2.Rodrigues(turn)[0], np.float64)[:, 2]
                found.append((float(miss.item()) * camera.fx_px, place, facing))
        if found and min(miss_px for miss_px, _, _ in found) < _WELL_FITTED_PX:
            break
    if not found:
        return None
    _, middle, facing = min(found, key=lambda fit: fit[0])
    return middle - facing * depth_m
