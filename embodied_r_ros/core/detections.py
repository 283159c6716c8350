"""What a detector that runs beside this program tells of an image: boxes in it, or places in a frame."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable

from embodied_r_ros.core.depth import Box
from embodied_r_ros.core.poses import ORIGIN
from embodied_r_ros.core.records import Pose
from embodied_r_ros.core.transforms import TransformTree

# Of one image so many are used.
MOST_DETECTIONS = 64

Place = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """A thing that a detector made out; what it says has not been checked.

    Attributes:
        class_id: name or number of its class; '' where the detector tells none.
        confidence: as the detector has it.
        track_id: by which the detector knows the thing again; '' for none.
        box_px: left, upper, right and lower edge in the image; None where the place is told.
        place_m: of its middle, in the frame of the message; None where the box is told.
    """

    class_id: str
    confidence: float = math.nan
    track_id: str = ''
    box_px: Box | None = None
    place_m: Place | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """What a detector told of one image.

    Attributes:
        topic: on which it came; each is heard for itself.
        stamp_ns: of the image.
        frame_id: of boxes that of the image, of places the one that they are in; '' is the camera's.
        found: the surest MOST_DETECTIONS.
        count: how many there were.
        in_camera: the pose of `frame_id` in the camera's optical frame; None where it is not known.
        missing: why it is not known.
    """

    topic: str
    stamp_ns: int
    frame_id: str = ''
    found: tuple[Detection, ...] = ()
    count: int = 0
    in_camera: Pose | None = None
    missing: str = ''


def surest(found: Iterable[Detection]) -> tuple[Detection, ...]:
    """The MOST_DETECTIONS that the detector is surest of, those first."""
    return tuple(
        heapq.nlargest(MOST_DETECTIONS, found, key=lambda one: -1.0 if math.isnan(one.confidence) else one.confidence)
    )


def seen_from(camera_frame: str, told: Detections, transforms: TransformTree) -> Detections:
    """What was told, with where its frame is in the camera's optical frame."""
    frame_id = told.frame_id.lstrip('/')
    if frame_id in ('', camera_frame.lstrip('/')):
        return dataclasses.replace(told, in_camera=ORIGIN)
    if any(one.box_px is not None for one in told.found):
        missing = (
            f'boxes must be in images of the camera, frame {camera_frame!r}, got boxes in frame {told.frame_id!r}; '
            'let the detector look at the images that camera_node gets'
        )
        return dataclasses.replace(told, missing=missing)
    in_camera, why = transforms.find(frame_id, camera_frame, told.stamp_ns)
    missing = '' if in_camera else (
        f'places must be in a frame from which transforms lead to the camera, {camera_frame!r}, got {told.frame_id!r}: '
        f'{why}'
    )  # fmt: skip
    return dataclasses.replace(told, in_camera=in_camera, missing=missing)
