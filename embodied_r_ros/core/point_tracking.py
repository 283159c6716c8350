"""Points followed from image to image, and the steps of the camera that they tell.

Corners of a reference image are followed until they have shifted far enough to tell a motion, or too many are lost;
then the step since that image is measured, and the latest image is the next reference. Memory is constant.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.matching import (
    CORNER_QUALITY,
    SHIFT_DIVISOR,
    Grey,
    detect_and_compute_evenly,
    fit_view,
    follow,
    match_closely,
    match_features,
    whole_shift,
)
from embodied_r_ros.core.two_views import Relation, relate

PARTS, POINTS_OF_A_PART = (4, 3), 12
# Nothing is looked for in smaller images.
MIN_SIDE_PX = 40
# Fewer, or a smaller share, found again from one image to the next are found by chance.
MIN_POINTS, MIN_FOUND = 12, 0.25
POINTS_APART_PX = 6.0
# Points that do not come back to where they were, followed backward, went astray.
RETURN_PX = 0.7
# A step ends where the points have shifted by so much, or where fewer than this share of them are left.
STEP_PX = 20.0
MIN_LEFT = 0.6
# The same while the camera stands, before what moves past has covered too much of what is at rest, or noise has
# carried points away.
MIN_LEFT_AT_REST, MOST_IMAGES_AT_REST = 0.9, 10
# Points that shifted less are at rest; half of all points must be, for the camera to stand. The others, where they are
# so many, go one way if their directions have a mean of this length: a car, not a road that spreads.
STILL_PX = 1.0
STILL_SHARE = 0.5
SPREADING_SHARE, ONE_WAY = 0.2, 0.5
# How far a point may lie from where a motion takes it; the second between images that are far apart.
TOLERANCE_PX, FAR_TOLERANCE_PX = 1.0, 2.0
# A shift between two images of so many times what it was before, at least so large, is another motion: a new step.
CHANGE = 3.0
MIN_CHANGE_PX = 4.0

# A swing of the camera by less tells nothing; the second is the cosine of the angle from which on travel is no swing.
MIN_SWING_M, ALONG_SWING = 0.01, 0.9
# Contrast is made the same over windows of this size; a mean difference of so many grey levels is as good as none.
CONTRAST_WINDOW_WH = (41, 41)
MIN_SPREAD = 2.0
CONTRAST, MIDDLE_GREY = 32.0, 128.0

Points = NDArray[np.float32]
Shift = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A short motion of the camera.

    Attributes:
        start_ns, end_ns: stamps of its first and last image.
        relation: what the images tell; None where they do not.
    """

    start_ns: int
    end_ns: int
    relation: Relation | None


STANDING = Relation(rotation=np.eye(3), travel=None, parallax_rad=0.0, agreeing=1.0)


@dataclasses.dataclass
class _Reference:
    """Corners of an image, and where they have got to.

    Attributes:
        then, now: (n, 2), in the reference image and in the latest one.
        at_first: how many there were.
        stamp_ns: of the reference image.
        images: followed through so many.
        camera: behind the images.
    """

    then: Points
    now: Points
    at_first: int
    stamp_ns: int
    camera: Camera
    images: int = 0

    @classmethod
    def of(cls, grey: Grey, stamp_ns: int, camera: Camera) -> _Reference:
        found = even_corners(grey)
        return cls(then=found, now=found, at_first=len(found), stamp_ns=stamp_ns, camera=camera)

    @property
    def shift_px(self) -> float:
        return float(np.median(np.linalg.norm(self.now - self.then, axis=1))) if len(self.now) else 0.0

    @property
    def stands(self) -> bool:
        """Whether the camera does: most points are at rest, and the others do not spread as where it goes ahead."""
        shifts = self.now - self.then
        lengths = np.linalg.norm(shifts, axis=1)
        rest = lengths < STILL_PX
        if int(rest.sum()) < max(STILL_SHARE * self.at_first, MIN_POINTS):
            return False
        if (~rest).sum() < SPREADING_SHARE * len(rest):
            return True
        directions = shifts[~rest] / lengths[~rest, None]
        return bool(np.linalg.norm(directions.mean(axis=0)) >= ONE_WAY)

    @property
    def spent(self) -> bool:
        """Whether the step is to end."""
        if self.shift_px < STILL_PX and self.stands:
            return self.images >= MOST_IMAGES_AT_REST or len(self.now) < MIN_LEFT_AT_REST * self.at_first
        return self.shift_px >= STEP_PX or len(self.now) < MIN_LEFT * self.at_first

    def changes(self, moved: Points, before: Points) -> bool:
        """Whether the points shift in another way from this image on, as where a walk ends and a turn begins."""
        if not self.images or len(moved) < MIN_POINTS:
            return False
        now_px = float(np.median(np.linalg.norm(moved - before, axis=1)))
        low_px, high_px = sorted((now_px, self.shift_px / self.images))
        return high_px >= MIN_CHANGE_PX and high_px > CHANGE * low_px

    def step(self, end_ns: int) -> list[Step]:
        """The step so far; none where no image has come since."""
        if self.stamp_ns == end_ns:
            return []
        relation = STANDING if self.stands else _relation(self.then, self.now, self.camera)
        return [Step(start_ns=self.stamp_ns, end_ns=end_ns, relation=relation)]


class PointTracker:
    """Follows points through small grey images and hands out the steps between them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._last: tuple[Grey, int, _Reference] | None = None
        self._shift: Shift = (0.0, 0.0)

    def push(self, grey: Grey, stamp_ns: int, camera: Camera) -> list[Step]:
        """Look at the next image; returns the steps that ended with it, mostly none.

        Args:
            grey: small, (height, width) uint8.
            stamp_ns: later than that of the image before.
            camera: behind images of this size.
        """
        grey = clear_grey(grey)
        if self._last is None:
            self._last = grey, stamp_ns, _Reference.of(grey, stamp_ns, camera)
            return []
        last, last_ns, reference = self._last
        if camera != reference.camera or grey.shape != last.shape:
            self._last = grey, stamp_ns, _Reference.of(grey, stamp_ns, camera)
            return [*reference.step(last_ns), Step(start_ns=last_ns, end_ns=stamp_ns, relation=None)]
        steps, reference = self._follow(last, last_ns, reference, grey, stamp_ns)
        self._last = grey, stamp_ns, reference
        return steps

    def cut(self) -> list[Step]:
        """End the step under way with the latest image, where it can be told from standing still."""
        if self._last is None or self._last[2].stands:
            return []
        last, last_ns, reference = self._last
        self._last = last, last_ns, _Reference.of(last, last_ns, reference.camera)
        return reference.step(last_ns)

    def _follow(
        self, last: Grey, last_ns: int, reference: _Reference, grey: Grey, stamp_ns: int
    ) -> tuple[list[Step], _Reference]:
        steps: list[Step] = []
        self._shift = likely_shift(last, grey, self._shift)
        moved, found = _there_and_back(last, grey, reference.now, self._shift)
        if reference.changes(moved[found], reference.now[found]):
            steps += reference.step(last_ns)
            reference = _Reference.of(last, last_ns, reference.camera)
            moved, found = _there_and_back(last, grey, reference.now, self._shift)
        if found.sum() < max(MIN_POINTS, MIN_FOUND * len(found)):
            steps += reference.step(last_ns)
            relation = relation_between(last, grey, reference.camera)
            steps.append(Step(start_ns=last_ns, end_ns=stamp_ns, relation=relation))
            return steps, _Reference.of(grey, stamp_ns, reference.camera)
        x, y = np.median(moved[found] - reference.now[found], axis=0)
        self._shift = (float(x), float(y))
        reference.then, reference.now = reference.then[found], moved[found]
        reference.images += 1
        if reference.spent:
            steps += reference.step(stamp_ns)
            reference = _Reference.of(grey, stamp_ns, reference.camera)
        return steps, reference


def relation_between(before: Grey, after: Grey, camera: Camera) -> Relation | None:
    """The motion between two images that may lie far apart, of `clear_grey`; None where they do not tell."""
    features = detect_and_compute_evenly(after)
    view = fit_view(match_features(detect_and_compute_evenly(before), features))
    if view is None:
        return None
    matches = match_closely(before, after, features.points, view.to_before)
    return _relation(matches.before, matches.after, camera, FAR_TOLERANCE_PX)


def _relation(then: Points, now: Points, camera: Camera, tolerance_px: float = TOLERANCE_PX) -> Relation | None:
    before, after = camera.base_rays(then), camera.base_rays(now)
    known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    if known.sum() < MIN_POINTS:
        return None
    relation = relate(before[known], after[known], tolerance_px / camera.fx_px)
    return None if relation is None else _of_base(relation, camera)


def _of_base(relation: Relation, camera: Camera) -> Relation:
    """Without the travel of a camera that swings around the base's origin as the base turns on the spot."""
    swing_m = camera.position_m - relation.rotation @ camera.position_m
    length_m = float(np.linalg.norm(swing_m))
    if relation.travel is None or length_m < MIN_SWING_M or relation.travel @ swing_m < ALONG_SWING * length_m:
        return relation
    return dataclasses.replace(relation, travel=None, parallax_rad=0.0)


def clear_grey(grey: Grey) -> Grey:
    """The image with the same contrast everywhere, so that a dull wall has corners beside a bright floor."""
    mean = cv2.blur(grey, CONTRAST_WINDOW_WH)
    spread = cv2.blur(cv2.absdiff(grey, mean), CONTRAST_WINDOW_WH)
    scaled = cv2.divide(cv2.subtract(grey, mean, dtype=cv2.CV_32F), cv2.add(spread, MIN_SPREAD, dtype=cv2.CV_32F))
    return np.asarray(cv2.addWeighted(scaled, CONTRAST, scaled, 0.0, MIDDLE_GREY, dtype=cv2.CV_8U), np.uint8)


def even_corners(grey: Grey) -> Points:
    """The clearest corners of each part of an image, (n, 2): of a thing that moves past as many as its share of it."""
    height, width = grey.shape
    across, down = PARTS
    found = [np.zeros((0, 2), np.float32)]
    if min(width, height) < MIN_SIDE_PX:
        return found[0]
    for row, column in itertools.product(range(down), range(across)):
        left, top = column * width // across, row * height // down
        part = grey[top : (row + 1) * height // down, left : (column + 1) * width // across]
        corners = cv2.goodFeaturesToTrack(part, POINTS_OF_A_PART, CORNER_QUALITY, POINTS_APART_PX, blockSize=5)
        if corners is not None:
            found.append(np.asarray(corners, np.float32).reshape(-1, 2) + np.array([left, top], np.float32))
    return np.concatenate(found)


def likely_shift(before: Grey, after: Grey, shift_before: Shift) -> Shift:
    """Pixels in x and y by which an image has moved as a whole: as far as stands out, as before, or not at all."""
    if min(before.shape) < MIN_SIDE_PX:
        return 0.0, 0.0
    small_wh = (before.shape[1] // SHIFT_DIVISOR, before.shape[0] // SHIFT_DIVISOR)
    old, new = (cv2.resize(grey, small_wh, interpolation=cv2.INTER_AREA) for grey in (before, after))
    candidates = {whole_shift(before, after), shift_before, (0.0, 0.0)}
    return min(sorted(candidates), key=lambda shift: _unlikeness(old, new, shift))


def _unlikeness(old: Any, new: Any, shift: Shift) -> float:
    """Mean difference of two small images where they overlap, the later one shifted back."""
    height, width = old.shape
    x, y = (round(part / SHIFT_DIVISOR) for part in shift)
    if abs(x) >= width // 2 or abs(y) >= height // 2:
        return math.inf
    there = new[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    here = old[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
    return float(cv2.norm(here, there, cv2.NORM_L1)) / here.size


def _there_and_back(before: Grey, after: Grey, points: Points, shift: Shift) -> tuple[Points, NDArray[np.bool_]]:
    """Where points of an image are in the next one, and which of them lead back to where they were."""
    if not len(points):
        return points, np.zeros(0, bool)
    moved, found = follow(before, after, points, points + np.array(shift, np.float32))
    returned, again = follow(after, before, moved, points, levels=1)
    return moved, found & again & (np.linalg.norm(returned - points, axis=1) < RETURN_PX)
