"""The map of a report: the way that odometry tells, key frames on it and things around it, seen from above."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Landmark, Pose

SIZE_PX = 360
MARGIN_PX = 26
POINTS = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """A key frame or a thing at its place in the drawing; `index` is the key frame's, -1 for a thing."""

    x_px: float
    y_px: float
    label: str
    index: int = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class BirdView:
    """A drawing, SIZE_PX wide: x forward of the start is up.

    Attributes:
        path: of the robot, as points of an SVG polyline.
        robot: where it stands at the end, and its heading, in degrees clockwise from up.
        metre_px: how long a metre is.
    """

    height_px: float
    path: str
    frames: tuple[Mark, ...]
    things: tuple[Mark, ...]
    robot: tuple[float, float, float]
    metre_px: float


def bird_view(
    track: Sequence[tuple[int, Pose]], seen: Sequence[Observation], landmarks: Sequence[Landmark], end_ns: int
) -> BirdView | None:
    """The map of what was known at a moment; None where there is no odometry.

    Args:
        track: stamps and poses.
        seen: observations, of which those without pose are left out.
        landmarks: as they were known at the moment, in the frame of the poses.
        end_ns: the moment; the track is drawn up to it.
    """
    posed = [one for one in seen if one.pose is not None]
    poses = [pose for stamp_ns, pose in track if stamp_ns <= end_ns] or [one.pose for one in posed if one.pose]
    if not poses or not posed:
        return None
    things = [(one.position_m[:2], _label(one, landmarks)) for one in landmarks]
    known = [(pose.x_m, pose.y_m) for pose in poses] + [place for place, _ in things]
    known += [(one.pose.x_m, one.pose.y_m) for one in posed if one.pose]
    low, high = np.min(known, axis=0), np.max(known, axis=0)
    metre_px = min((SIZE_PX - 2 * MARGIN_PX) / max(*(high - low), 1.0), 80.0)

    def place(x_m: float, y_m: float) -> tuple[float, float]:
        return (
            round(float((high[1] - y_m) * metre_px) + MARGIN_PX, 1),
            round(float((high[0] - x_m) * metre_px) + MARGIN_PX, 1),
        )

    thinned = [*poses[:: math.ceil(len(poses) / POINTS)], poses[-1]]
    last = poses[-1]
    return BirdView(
        height_px=round(float((high[0] - low[0]) * metre_px) + 2 * MARGIN_PX, 1),
        path=' '.join(f'{x},{y}' for x, y in (place(pose.x_m, pose.y_m) for pose in thinned)),
        frames=tuple(_mark(place(one.pose.x_m, one.pose.y_m), str(one.index), one.index) for one in posed if one.pose),
        things=tuple(_mark(place(*where), name) for where, name in things),
        robot=(*place(last.x_m, last.y_m), round(-math.degrees(last.yaw_rad), 1)),
        metre_px=round(metre_px, 1),
    )


def _mark(place: tuple[float, float], label: str, index: int = -1) -> Mark:
    return Mark(x_px=place[0], y_px=place[1], label=label, index=index)


def _label(landmark: Landmark, landmarks: Sequence[Landmark]) -> str:
    """The thing's name, with its number where there are several of it."""
    alone = sum(other.name == landmark.name for other in landmarks) == 1
    return landmark.name if alone else f'{landmark.name} {landmark.number}'
