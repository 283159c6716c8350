"""Textured pictures of any size, for cameras that pan along them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def strip(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """A wide picture with structure at every scale, (height, width, 3) BGR."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cell in (96, 48, 24, 12, 6):
        coarse = rng.uniform(-1, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 60 * picture, 0, 255).astype(np.uint8)


def pan(steps: int, step_px: float, width: int, height: int, seed: int) -> list[NDArray[np.uint8]]:
    """Views along a strip, each so many pixels further to the right, as contiguous copies."""
    lefts = [round(step * step_px) for step in range(steps)]
    wall = strip(lefts[-1] + width, height, seed)
    return [np.ascontiguousarray(wall[:, left : left + width]) for left in lefts]


def jpeg(picture: NDArray[np.uint8], quality: int = 85) -> bytes:
    """The picture as a camera driver would send it."""
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
