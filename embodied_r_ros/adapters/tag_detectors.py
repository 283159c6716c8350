"""Which library finds AprilTags in an image: AprilTag 3, or else OpenCV, which misses more of them.

AprilTag 3 comes as pupil-apriltags (pip), or as the module `apriltag` of its authors (python3-apriltag, or the ROS
package apriltag). It counts pixels from the corner of the first one, OpenCV and calibrations from its middle, as what
leaves here does.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import SettingsError

# Bits of a tag that may be read wrong: a family tells more codes apart the more bits they differ in.
MAX_WRONG_BITS = {'36h11': 2, '36h10': 2, '25h9': 1, '16h5': 0}

# Twice the width of a cell at middle distance; a share of the image's longer side, so that large images read alike.
_THRESHOLD_WINDOW_SHARE = 23 / 640
# Grey levels below the surroundings from which a pixel is black: well below a tag's contrast, above most textures'.
_THRESHOLD_CONTRAST = 14
_REFINE_WINDOW_PX = 2
# AprilTag begins at the lower left corner and goes round the other way; OpenCV draws the same tags upside down.
_AS_OPENCV = [1, 0, 3, 2]
_TO_MIDDLE_PX = 0.5

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]
# Ids with their corners, (4, 2) in pixels, clockwise.
Detect = Callable[[Grey], list[tuple[int, Floats]]]

_logger = logging.getLogger(__name__)


def detector(family: str, min_side_px: float) -> Detect:
    """What finds the tags of a family in a grey image, with the best library that is there.

    Args:
        family: a key of MAX_WRONG_BITS.
        min_side_px: shorter tags may be passed over.

    Raises:
        SettingsError: neither library is there, and this build of OpenCV has no `cv2.aruco`.
    """
    found = _by_pupil(family) or _by_apriltag(family)
    if found is not None:
        return found
    if not hasattr(cv2, 'aruco'):
        raise SettingsError(
            f'reading AprilTags of family {family} needs pupil-apriltags (pip), python3-apriltag (apt) or cv2.aruco, '
            f'got OpenCV {cv2.__version__!r} without it; install one of them'
        )
    _logger.warning(
        'AprilTags of family %s are read by OpenCV, which misses small and oblique ones; '
        'install pupil-apriltags (pip) or python3-apriltag (apt) for AprilTag 3',
        family,
    )
    return _ByOpenCV(family, min_side_px)


def _by_pupil(family: str) -> Detect | None:
    pupil = _imported('pupil_apriltags')
    if pupil is None or family == '36h10':  # which it lacks
        return None
    reader = pupil.Detector(families=f'tag{family}', nthreads=1, quad_decimate=1.0)
    # It frees families before the detector that still uses them; one that knows of none frees the detector alone.
    reader.tag_families = {}

    def detect(grey: Grey) -> list[tuple[int, Floats]]:
        tags = reader.detect(np.ascontiguousarray(grey))
        return [(tag.tag_id, _corners(tag.corners)) for tag in tags if tag.hamming <= MAX_WRONG_BITS[family]]

    return detect


def _by_apriltag(family: str) -> Detect | None:
    make = getattr(_imported('apriltag'), 'apriltag', None)  # another package of this name has none
    if make is None:
        return None
    reader = make(f'tag{family}', threads=1, maxhamming=MAX_WRONG_BITS[family], decimate=1.0)

    def detect(grey: Grey) -> list[tuple[int, Floats]]:
        return [(tag['id'], _corners(tag['lb-rb-rt-lt'])) for tag in reader.detect(np.ascontiguousarray(grey))]

    return detect


def _imported(module: str) -> Any:
    """A library; None where it is missing or does not fit this Python or numpy."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError):
        return None


def _corners(corners: Any) -> Floats:
    return np.asarray(corners, np.float64)[_AS_OPENCV] - _TO_MIDDLE_PX


class _ByOpenCV:
    """The plain ArUco detector with corners refined to parts of a pixel, which reads small and oblique tags better than
    OpenCV's AprilTag quad detector, and sooner. `cv2.aruco` changed its interface with OpenCV 4.7; both are served.
    """

    def __init__(self, family: str, min_side_px: float) -> None:
        self._aruco: Any = cv2.aruco
        self._family = int(getattr(self._aruco, f'DICT_APRILTAG_{family}'))
        self._min_side_px = min_side_px
        self._detect: Any = None
        self._detects_hw: tuple[int, ...] = ()

    def __call__(self, grey: Grey) -> list[tuple[int, Floats]]:
        if grey.shape != self._detects_hw:
            self._detect, self._detects_hw = self._detector(max(grey.shape)), grey.shape
        corners, ids, _ = self._detect(grey)
        if ids is None:
            return []
        return [(int(tag_id), np.asarray(quad, np.float64).reshape(4, 2)) for quad, tag_id in zip(corners, ids.ravel())]

    def _detector(self, longer_px: int) -> Any:
        aruco = self._aruco
        modern = hasattr(aruco, 'ArucoDetector')
        parameters = aruco.DetectorParameters() if modern else aruco.DetectorParameters_create()
        window = max(3, round(_THRESHOLD_WINDOW_SHARE * longer_px) | 1)
        parameters.adaptiveThreshWinSizeMin = parameters.adaptiveThreshWinSizeMax = window
        parameters.adaptiveThreshConstant = _THRESHOLD_CONTRAST
        parameters.minMarkerPerimeterRate = 4 * 0.7 * self._min_side_px / longer_px
        parameters.cornerRefinementMethod = aruco.CORNER_REFINE_SUBPIX
        parameters.cornerRefinementWinSize = _REFINE_WINDOW_PX
        if modern:
            return aruco.ArucoDetector(aruco.getPredefinedDictionary(self._family), parameters).detectMarkers
        dictionary = aruco.Dictionary_get(self._family)
        return lambda image: aruco.detectMarkers(image, dictionary, parameters=parameters)
