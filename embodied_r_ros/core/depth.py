"""Distances that a depth camera measured, registered to a camera's images, and how far away what a box frames is."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]

# The middle of a box counts, this share of it to each side: its border shows what stands behind.
_MIDDLE = 0.5
# Fewer measured pixels, or a smaller share of the middle, tell nothing.
_FEWEST_PX, _LEAST_SHARE = 4, 0.1
# What lies within this of a distance is at that distance.
_ALIKE_M, _ALIKE_SHARE = 0.1, 0.07
# A distance is a mode where this share of the pixels agrees that agrees with the best one.
_MODE_SHARE = 0.5
_PROPOSALS = 33
# A depth image of other proportions cannot be registered to the camera; rounding may change a side by a pixel.
_SIDE_PX = 1.5


@dataclasses.dataclass(frozen=True)
class DepthMap:
    """A depth image.

    Attributes:
        metres: (height, width) along the optical axis; NaN where nothing was measured.
    """

    metres: NDArray[np.float32]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured anywhere."""
        return not np.isfinite(self.metres).any()

    def fits(self, width: int, height: int) -> bool:
        """Whether it can be registered to images of a size: it has their proportions."""
        rows, columns = self.metres.shape
        return abs(columns * height - rows * width) <= _SIDE_PX * max(width, height)

    def of_box(self, box_px: Box, image_wh: tuple[int, int]) -> float:
        """Metres along the optical axis to the thing that a box frames; NaN where too little was measured.

        In the middle of the box the nearer of the distances that many pixels share counts, so that neither what stands
        behind the thing nor a few wrong pixels move it.

        Args:
            box_px: left, upper, right and lower edge in the image.
            image_wh: of the image.
        """
        values = self._middle(box_px, image_wh)
        measured = np.sort(values[np.isfinite(values)])
        if len(measured) < max(_FEWEST_PX, _LEAST_SHARE * values.size):
            return math.nan
        proposals = measured[np.linspace(0, len(measured) - 1, _PROPOSALS).round().astype(int)]
        reach = np.maximum(_ALIKE_M, _ALIKE_SHARE * proposals)
        agreeing = np.searchsorted(measured, proposals + reach) - np.searchsorted(measured, proposals - reach)
        nearest = int(np.argmax(agreeing >= _MODE_SHARE * agreeing.max()))
        # The nearest proposal with support lies at the near edge of its mode; the best one around it is its middle.
        around = np.flatnonzero(np.abs(proposals - proposals[nearest]) <= reach[nearest])
        best = around[int(np.argmax(agreeing[around]))]
        return float(np.median(measured[np.abs(measured - proposals[best]) <= reach[best]]))

    def _middle(self, box_px: Box, image_wh: tuple[int, int]) -> NDArray[np.float32]:
        """The pixels of the middle of a box, at least one."""
        rows, columns = self.metres.shape
        spans = []
        for low, high, size, of in ((1, 3, image_wh[1], rows), (0, 2, image_wh[0], columns)):
            middle, half = (box_px[low] + box_px[high] + 1) / 2, _MIDDLE * (box_px[high] - box_px[low]) / 2
            first = min(max(math.floor((middle - half) * of / size), 0), of - 1)
            spans.append(slice(first, max(first + 1, min(math.ceil((middle + half) * of / size), of))))
        return self.metres[spans[0], spans[1]]
