"""What an eye is: something that measures which things a picture shows, and where they are.

Each eye is a row of `EYES` in `core/models.py`; a perceiver looks with those that the setting `eyes` names.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.boxes import box_sighting
from embodied_r_ros.core.camera import Camera, assumed_camera
from embodied_r_ros.core.depth import Box, DepthMap
from embodied_r_ros.core.floor_contact import with_floor_contact
from embodied_r_ros.core.records import Sighting

ASSUMED_FOV_DEG = 65.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Something in a picture that could not be used: a sentence about it, and how often it occurred."""

    kind: str
    sentence: str
    count: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """What an eye gets to see of a key frame.

    Attributes:
        image: (height, width) grey or (height, width, 3) BGR, uint8.
        camera: behind images of this size; None where it is not calibrated.
        depth: registered to the image; None where there is none.
        height_m: of the camera above the floor; NaN where it is not known.
        assumed_fov_deg: horizontal field of view of a camera that is not calibrated.
        left_out: what eyes could not use; they add to it.
    """

    image: NDArray[np.uint8]
    camera: Camera | None = None
    depth: DepthMap | None = None
    height_m: float = math.nan
    assumed_fov_deg: float = ASSUMED_FOV_DEG
    left_out: list[LeftOut] = dataclasses.field(default_factory=list)

    @property
    def lens(self) -> Camera:
        """The camera, or a level one of the assumed field of view, which tells bearings alone."""
        height, width = self.image.shape[:2]
        return self.camera or assumed_camera(width, height, self.assumed_fov_deg)

    def boxed(self, name: str, box_px: Box, **details: Any) -> Sighting | None:
        """The sighting of a thing that a box frames, as far away as depth tells, as `core.boxes.box_sighting`.

        A camera that is not calibrated gives no distance.
        """
        return box_sighting(name, box_px, self.lens, self.depth if self.camera else None, **details)

    def on_floor(self, found: Iterable[Sighting | None]) -> tuple[Sighting, ...]:
        """The sightings that there are, with distances by contact with the floor as `core.floor_contact` has them."""
        sightings = [seen for seen in found if seen is not None]
        return tuple(with_floor_contact(sightings, self.camera, self.height_m) if self.camera else sightings)

    def leave_out(self, kind: str, sentence: str, count: int = 1) -> None:
        """Note that something could not be used; it is counted by its kind, and told once per rule."""
        self.left_out.append(LeftOut(kind=kind, sentence=sentence, count=count))


class Eye(Protocol):
    """One way of measuring what is in view. It is used in one thread, one picture at a time.

    Attributes:
        takes_long: a picture takes far longer than the time between key frames may be, so that the eye gets a thread of
            its own, and looks at the newest key frame first.
    """

    takes_long: bool

    @property
    def name(self) -> str:
        """Id of what looks, for `Observation.model`."""

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        """The things in a picture, in any order.

        Their rays are in the axes of the camera as a body (x ahead, y left, z up); who asks the eye turns them into
        those of the base (`core.camera.in_base`). A thing that the eye knows again has the same `source` and `track_id`
        in every picture. What of a picture cannot be used is noted in it. An image that cannot be decoded reaches no
        eye.

        Raises:
            EmbodiedRError: the eye did not do its part, which costs its sightings of this picture.
        """
