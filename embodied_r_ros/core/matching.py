"""Points found again from one small grey image in another, the homography between the two, and how much both show."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]

MIN_MATCHES = 12
MIN_INLIER_SHARE = 0.3
# The paper's 5 pixels, halved as images of twice the size are.
RANSAC_PX = 2.5
RANSAC_ITERATIONS = 200
MIN_SHARE_OF_AREA = 0.01

ORB_FEATURES = 300
# Grey levels by which a corner stands out; the second where the first finds too few, as in fog or in the dark.
FAST_THRESHOLDS = (20, 5)
ENOUGH_FEATURES = 200
PATCH_PX, PATCH_BORDER_PX = 21, 15
CELL_PX = 4
MAX_CORNERS = 600
CORNER_QUALITY = 0.003
CORNERS_APART_PX = 4.0
FLOW_WINDOW_WH = (15, 15)
FLOW_LEVELS = 3
FLOW_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
SHIFT_DIVISOR = 4
MIN_SHIFT_RESPONSE = 0.2
THUMBNAIL_WH = (32, 18)
BLANK_STD = 3.0
SAME_VIEW_CORRELATION = 0.9
_RIPPLE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matches:
    """Points of an earlier image and where they are in a later one.

    Attributes:
        before, after: (n, 2) float32, x and y in pixels.
        size_wh: width and height of both images in pixels.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    size_wh: tuple[int, int]

    def only(self, chosen: NDArray[np.bool_]) -> Matches:
        """Those chosen by (n,) bool."""
        return Matches(before=self.before[chosen], after=self.after[chosen], size_wh=self.size_wh)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """Points of an image that can be recognised in another one.

    Attributes:
        points: (n, 2) float32, x and y in pixels, the clearest first.
        descriptors: (n, 32) uint8, their ORB descriptors.
        size_wh: width and height of the image in pixels.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    size_wh: tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """How a later image lies in an earlier one.

    Attributes:
        to_before: (3, 3) homography from the later to the earlier image, in pixels.
        inliers: (n,) bool over the matches.
        overlap: 0 to 1, the smaller of the shares that each image shows of the other.
    """

    to_before: Floats
    inliers: NDArray[np.bool_]
    overlap: float


def detect_and_compute(grey: Grey) -> Features:
    """Find and describe ORB features (paper, key-frame extractor, step 1)."""
    if _too_small(grey):
        return _features([], None, grey)
    for threshold in FAST_THRESHOLDS:
        orb = cv2.ORB_create(ORB_FEATURES, edgeThreshold=PATCH_BORDER_PX, patchSize=PATCH_PX, fastThreshold=threshold)
        found, descriptors = orb.detectAndCompute(grey, None)
        if len(found) >= ENOUGH_FEATURES:
            break
    return _features(found, descriptors, grey)


def detect_and_compute_evenly(grey: Grey) -> Features:
    """Describe corners spread over the image, taken to be upright in both images.

    Of the clearest features most are on few things; of these, more are still in view after a wide turn.
    """
    if _too_small(grey):
        return _features([], None, grey)
    found = cv2.goodFeaturesToTrack(grey, MAX_CORNERS, CORNER_QUALITY, CORNERS_APART_PX, blockSize=5)
    places = [] if found is None else found.reshape(-1, 2).tolist()
    corners: Any = [cv2.KeyPoint(x, y, PATCH_PX, 0.0) for x, y in places]
    described, descriptors = cv2.ORB_create(edgeThreshold=PATCH_BORDER_PX, patchSize=PATCH_PX).compute(grey, corners)
    return _features(described, descriptors, grey)


def _too_small(grey: Grey) -> bool:
    """No patch fits between the borders; OpenCV raises where the smallest level of its pyramid has no pixels."""
    return min(grey.shape) <= 2 * PATCH_BORDER_PX


def _features(found: Sequence[cv2.KeyPoint], descriptors: Any, grey: Grey) -> Features:
    size_wh = (grey.shape[1], grey.shape[0])
    if descriptors is None:
        return Features(points=np.zeros((0, 2), np.float32), descriptors=np.zeros((0, 32), np.uint8), size_wh=size_wh)
    order = np.argsort([-point.response for point in found], kind='stable')
    points = np.array([found[place].pt for place in order], np.float32)
    return Features(points=points, descriptors=np.asarray(descriptors, np.uint8)[order], size_wh=size_wh)


def clearest_of(features: Features) -> NDArray[np.float32]:
    """The clearest point of each cell of the image, (n, 2) float32; ORB finds most corners several times."""
    cells = (features.points // CELL_PX).astype(np.int64)
    _, clearest = np.unique(cells[:, 1] * features.size_wh[0] + cells[:, 0], return_index=True)
    return features.points[clearest]


def follow(
    before: Grey,
    after: Grey,
    points: NDArray[np.float32],
    expected: NDArray[np.float32] | None = None,
    levels: int = FLOW_LEVELS,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points of an image, (n, 2), are in another one, and which of them were found in it, (n,) bool.

    Args:
        expected: (n, 2), about where they are; None takes them to have moved as the image as a whole has.
        levels: the image is halved so often; fewer are needed where `expected` is nearer.
    """
    if not len(points):
        return points, np.zeros(0, bool)
    if expected is None:
        expected = points + np.array(whole_shift(before, after), np.float32)
    guess: Any = expected.reshape(-1, 1, 2).copy()
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points.reshape(-1, 1, 2), guess, winSize=FLOW_WINDOW_WH, maxLevel=levels,
        criteria=FLOW_STOP, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    there: NDArray[np.float32] = np.asarray(moved, np.float32).reshape(-1, 2)
    return there, (np.asarray(status).ravel() > 0) & _inside(there, after)


def match_closely(before: Grey, after: Grey, points: NDArray[np.float32], to_before: Floats) -> Matches:
    """Find points of an image, (n, 2), in an earlier one, once the homography between the two is known.

    It tells where to look for a point, not where the point is: what lies nearer or farther than the rest has shifted by
    another amount, which tells moving from turning.
    """
    size_wh = (after.shape[1], after.shape[0])
    if not len(points):
        return no_matches(size_wh)
    expected = cv2.perspectiveTransform(points.reshape(-1, 1, 2), to_before).reshape(-1, 2).astype(np.float32)
    there, found = follow(after, before, points, expected)
    return Matches(before=there[found], after=points[found], size_wh=size_wh)


def match_features(before: Features, after: Features) -> Matches:
    """Match the features of two images of the same size; each is the other's nearest."""
    if not len(before.points) or not len(after.points):
        return no_matches(after.size_wh)
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(before.descriptors, after.descriptors)
    old, new = [pair.queryIdx for pair in pairs], [pair.trainIdx for pair in pairs]
    return Matches(before=before.points[old], after=after.points[new], size_wh=after.size_wh)


def no_matches(size_wh: tuple[int, int]) -> Matches:
    """Nothing was found again."""
    return Matches(before=np.zeros((0, 2), np.float32), after=np.zeros((0, 2), np.float32), size_wh=size_wh)


def fit_view(matches: Matches, iterations: int = RANSAC_ITERATIONS) -> View | None:
    """Fit the homography from the later to the earlier image, and measure the overlap with it.

    The overlap is symmetric: moving backward and climbing show the earlier image whole, but less and less of the later
    one was in it.

    Returns:
        None where too few matches agree on one homography, or where it turns the image over.
    """
    fitted = _fit_homography(matches, iterations)
    if fitted is None:
        return None
    homography, inliers = fitted
    forward = shown_share(homography, matches.size_wh)
    backward = shown_share(np.asarray(np.linalg.inv(homography), np.float64), matches.size_wh)
    if forward is None or backward is None:
        return None
    return View(to_before=homography, inliers=inliers, overlap=min(forward, backward))


def _fit_homography(matches: Matches, iterations: int) -> tuple[Floats, NDArray[np.bool_]] | None:
    if len(matches.before) < MIN_MATCHES:
        return None
    fitted, mask = cv2.findHomography(
        matches.after, matches.before, cv2.RANSAC, RANSAC_PX, maxIters=iterations, confidence=0.99
    )
    if fitted is None or mask is None:
        return None
    homography: Floats = np.asarray(fitted, np.float64)
    inliers: NDArray[np.bool_] = np.asarray(mask, bool).ravel()
    count = int(inliers.sum())
    if count < MIN_MATCHES or count < MIN_INLIER_SHARE * len(inliers) or not np.all(np.isfinite(homography)):
        return None
    return None if abs(float(np.linalg.det(homography))) < 1e-9 else (homography, inliers)


def _inside(points: NDArray[np.float32], grey: Grey) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.all((points >= 0) & (points < (grey.shape[1], grey.shape[0])), axis=1)
    return inside


def shown_share(homography: Floats, size_wh: tuple[int, int]) -> float | None:
    """Share of an image that another one of the same size covers, once a homography has moved its corners there.

    Returns:
        0 to 1, or None where the moved corners are no sound view: beyond the horizon, turned over, not convex.
    """
    width, height = float(size_wh[0]), float(size_wh[1])
    corners = np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    moved = np.hstack([corners, np.ones((4, 1))]) @ np.asarray(homography, np.float64).T
    moved = moved if moved[:, 2].sum() > 0.0 else -moved
    if np.any(moved[:, 2] < 1e-6):
        return None
    quad = (moved[:, :2] / moved[:, 2:]).astype(np.float32)
    if cv2.contourArea(quad, True) < MIN_SHARE_OF_AREA * width * height or not cv2.isContourConvex(quad):
        return None
    return min(_area_within(quad.tolist(), width, height) / (width * height), 1.0)


def _area_within(polygon: Sequence[tuple[float, float]], width: float, height: float) -> float:
    """Area of the part of a convex polygon that lies in (0, 0) to (width, height), by Sutherland and Hodgman.

    OpenCV's `intersectConvexConvex` gives a fraction of it where two edges nearly coincide, as with a camera at rest.
    """
    for axis, sign, border in ((0, 1.0, 0.0), (0, -1.0, -width), (1, 1.0, 0.0), (1, -1.0, -height)):
        clipped: list[tuple[float, float]] = []
        for here, there in zip(polygon, [*polygon[1:], *polygon[:1]]):
            inside, next_inside = sign * here[axis] - border, sign * there[axis] - border
            if inside >= 0.0:
                clipped.append(here)
            if inside * next_inside < 0.0:
                share = inside / (inside - next_inside)
                clipped.append((here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])))
        polygon = clipped
    return abs(sum(x * there[1] - there[0] * y for (x, y), there in zip(polygon, [*polygon[1:], *polygon[:1]]))) / 2.0


def whole_shift(before: Grey, after: Grey) -> tuple[float, float]:
    """Pixels in x and y by which an image has moved as a whole; 0, 0 where no shift stands out (phase correlation)."""
    size_wh = (before.shape[1] // SHIFT_DIVISOR, before.shape[0] // SHIFT_DIVISOR)
    if min(size_wh) < 8:
        return 0.0, 0.0
    old, new = (cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) for grey in (before, after))
    (x, y), response = cv2.phaseCorrelate(old, new, _hanning(size_wh))
    if not response > MIN_SHIFT_RESPONSE:
        return 0.0, 0.0
    return x * before.shape[1] / size_wh[0], y * before.shape[0] / size_wh[1]


@functools.lru_cache(8)
def _hanning(size_wh: tuple[int, int]) -> Any:
    return cv2.createHanningWindow(size_wh, cv2.CV_32F)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """An image in so few pixels that noise and small things are gone.

    Attributes:
        pixels: (18, 32) float32.
        noise_std: grey levels that the image's noise leaves in them.
    """

    pixels: NDArray[np.float32]
    noise_std: float

    @classmethod
    def of(cls, grey: Grey) -> Thumbnail:
        """Shrink an image, and estimate its noise (Immerkaer 1996)."""
        small: NDArray[Any] = cv2.resize(grey, THUMBNAIL_WH, interpolation=cv2.INTER_AREA)
        ripple = cv2.filter2D(grey, cv2.CV_32F, _RIPPLE)
        noise_std = math.sqrt(math.pi / 2.0) / 6.0 * float(np.abs(ripple).mean())
        averaged = math.sqrt(max(grey.size / small.size, 1.0))
        return cls(pixels=small.astype(np.float32), noise_std=noise_std / averaged)

    @property
    def blank(self) -> bool:
        """No structure that the noise does not explain: a wall, the dark, a covered lens."""
        return self._no_structure(self.pixels)

    def same_view(self, other: Thumbnail) -> bool:
        """Whether two thumbnails show the same, brightness and contrast apart; both blank counts as the same.

        Each row's mean is taken off first: sky above and floor below look alike from anywhere.
        """
        if self.blank or other.blank:
            return self.blank and other.blank
        mine = self.pixels - self.pixels.mean(axis=1, keepdims=True)
        its = other.pixels - other.pixels.mean(axis=1, keepdims=True)
        if self._no_structure(mine) or other._no_structure(its):
            return self._no_structure(mine) and other._no_structure(its)
        return float(np.corrcoef(mine.ravel(), its.ravel())[0, 1]) > SAME_VIEW_CORRELATION

    def _no_structure(self, pixels: NDArray[np.float32]) -> bool:
        return float(pixels.std()) < max(BLANK_STD, 2.0 * self.noise_std)
