"""What an eye is: something that measures which things an image shows, and where they are.

Each eye is a row of `EYES` in `core/models.py`; the perceiver `opencv` looks with those that the setting `eyes` names.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.records import Sighting


class Eye(Protocol):
    """One way of measuring what is in view. It is used in one thread, one image at a time."""

    @property
    def name(self) -> str:
        """Id of what looks, for `Observation.model`."""

    def look(self, image: NDArray[np.uint8], camera: Camera | None) -> tuple[Sighting, ...]:
        """The things in an image, in any order.

        Their rays are in the axes of the camera as a body (x ahead, y left, z up); who asks the eye turns them into
        those of the base (`core.camera.in_base`). A thing that the eye knows again has the same `source` and `track_id`
        in every image.

        Args:
            image: (height, width) grey or (height, width, 3) BGR, uint8. An image that cannot be decoded reaches no
                eye.
            camera: behind images of this size; None where it is not calibrated.

        Raises:
            EmbodiedRError: the eye did not do its part, which costs its sightings of this image.
        """
