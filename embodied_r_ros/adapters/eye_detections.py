"""The eye that takes what a detector tells which runs beside this program; perception_node hears it.

A file of labels (YAML) gives the detector's classes other names; what it maps to nothing is left out:

    56: chair
    tvmonitor: monitor
    person:
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.core.boxes import DEPTH_SPREAD_M, DEPTH_SPREAD_SHARE, cut_to_image
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import Box
from embodied_r_ros.core.detections import MOST_DETECTIONS, Detection, Detections
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.poses import position, rotation_matrix
from embodied_r_ros.core.records import Pose, Sighting
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.text import LONGEST_NAME, clean, foreign_name
from embodied_r_ros.core.yaml_file import read_mapping
from embodied_r_ros.share import share_path

SOURCE = 'detection'
# What is left out, by kinds that /diagnostics counts.
DETECTION, FRAME, OUTSIDE, UNNAMED = 'detection', 'detection_frame', 'detection_outside', 'detection_unnamed'
_FARTHEST_M = 1000.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionSettings(Settings):
    """What a detector's classes and ids mean."""

    detection_labels: str = setting(
        '', "This YAML file renames a detector's classes, and leaves out those that it maps to nothing."
    )
    detection_ids: bool = setting(False, 'The detector gives each thing an id of its own that never changes.')


class DetectionEye:
    """Makes sightings of what a detector told of an image.

    Args:
        settings: what its classes and ids mean.

    Raises:
        SettingsError: the labels cannot be used.
    """

    name = 'detections'

    def __init__(self, settings: DetectionSettings | None = None) -> None:
        self._settings = settings or DetectionSettings()
        path = self._settings.detection_labels
        self._names = read_names(share_path(path)) if path else {}

    def sightings(self, told: Detections, picture: Picture) -> tuple[Sighting, ...]:
        """The things that were told, from left to right, rays in the axes of the camera as a body.

        The picture gets what is wrong; its image is not looked at.
        """
        if told.in_camera is None:
            picture.leave_out(FRAME, told.missing, told.count)
            return ()
        if told.count > len(told.found):
            sentence = f'at most {MOST_DETECTIONS} detections of an image are used, the surest, got {told.count!r}'
            picture.leave_out(DETECTION, sentence, told.count - len(told.found))
        found = picture.on_floor(self._sighting(one, picture, told.in_camera) for one in told.found)
        return tuple(sorted(found, key=lambda seen: -seen.bearing_left_deg))

    def _sighting(self, one: Detection, picture: Picture, in_camera: Pose) -> Sighting | None:
        name = self._names.get(one.class_id, one.class_id)
        if name is None:
            return None
        if name.isdecimal():
            sentence = f'classes that are numbers need detection_labels, else they are their names, got {name[:80]!r}'
            picture.leave_out(UNNAMED, sentence)
            name = f'class {name}'
        name = foreign_name(name)
        if not any(map(str.isalnum, name)):
            shown = clean(repr(one.class_id[:80]))
            picture.leave_out(DETECTION, f'a detection needs a class with a name, got {shown}; see the detector')
            return None
        details = {
            'source': SOURCE,
            'track_id': one.track_id[:LONGEST_NAME] if self._settings.detection_ids else '',
            'confidence': one.confidence if 0.0 <= one.confidence <= 1.0 else math.nan,
        }
        if one.box_px is not None:
            return _boxed(name, one.box_px, picture, details)
        return _placed(name, one.place_m or (), picture, in_camera, details)


def _boxed(name: str, box_px: Box, picture: Picture, details: dict[str, Any]) -> Sighting | None:
    left, upper, right, lower = box_px
    # Written so that NaN fails.
    if not (left < right and upper < lower) or not all(map(math.isfinite, box_px)):
        sentence = f'a box must have a finite middle and sides above 0, got {_shown(box_px)} of {name!r}'
        picture.leave_out(DETECTION, f'{sentence}; see the detector')
        return None
    lens = picture.lens
    box = cut_to_image(box_px, (lens.width, lens.height))
    if box is None:
        picture.leave_out(
            DETECTION,
            f'a box must lie in the image, {lens.width} x {lens.height}, got {_shown(box_px)} of {name!r}; let the '
            'detector look at the images that camera_node gets',
        )
        return None
    return picture.boxed(name, box, **details)


def _placed(
    name: str, place_m: Sequence[float], picture: Picture, in_camera: Pose, details: dict[str, Any]
) -> Sighting | None:
    x, y, z = (float(part) for part in rotation_matrix(in_camera) @ place_m + position(in_camera))
    distance_m = math.hypot(x, y, z)
    if not distance_m <= _FARTHEST_M:
        sentence = f'a place must be finite and within {_FARTHEST_M:g} m, got {_shown(place_m)} of {name!r}'
        picture.leave_out(DETECTION, f'{sentence}; see the detector')
        return None
    if not _in_view(np.array([x, y, z]), picture.camera):
        # A lidar sees all round: what the camera does not show speaks for nothing that the camera shows.
        picture.leave_out(
            OUTSIDE, f'places are told of what the camera shows, got {_shown((x, y, z))} of {name!r} in its frame'
        )
        return None
    return Sighting(
        name=name,
        ray=(z / distance_m, -x / distance_m, -y / distance_m),
        distance_m=distance_m,
        spread_along_m=DEPTH_SPREAD_SHARE * distance_m + DEPTH_SPREAD_M,
        **details,
    )


def _in_view(place: NDArray[np.float64], camera: Camera | None) -> bool:
    """Whether an image shows a place, (3,) in its axes; of a camera that is not calibrated, whether it lies ahead."""
    if place[2] <= 0.0 or camera is None:
        return bool(place[2] > 0.0)
    ((across, down),) = camera.project(place)
    return bool(-0.5 <= across < camera.width - 0.5 and -0.5 <= down < camera.height - 0.5)


def _shown(numbers: Sequence[float]) -> str:
    return f'({", ".join(f"{number:.6g}" for number in numbers)})'


def read_names(path: str | pathlib.Path) -> dict[str, str | None]:
    """Read a file of labels: the name of each class, None for one to leave out.

    Raises:
        SettingsError: the file cannot be read, or holds something else.
    """
    content = read_mapping(path, 'detection_labels', "classes to names, as in '56: chair'")
    # What stands in the file is not shown: a wrong path may lead to one with secrets.
    for number, (key, name) in enumerate(content.items(), 1):
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            raise SettingsError(f'{path}: entry {number}: a class must be a number or text, got {type(key).__name__}')
        if name is not None and not (isinstance(name, str) and foreign_name(name)):
            raise SettingsError(f'{path}: entry {number} needs a name, or nothing; got {type(name).__name__}')
    return {str(key): name for key, name in content.items()}
