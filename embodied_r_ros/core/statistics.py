"""What many measurements come to."""

from __future__ import annotations

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of 100 of them do not exceed (nearest rank, not interpolated).

    Args:
        values: in any order and unit.
        percent: in [0, 100]; 0 gives the smallest value, 100 the largest.

    Returns:
        one of the values; NaN where there are none.
    """
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percent / 100.0 * len(ordered)) - 1)]
