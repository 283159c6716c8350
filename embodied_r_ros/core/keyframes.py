"""Which frames show something new (paper, key-frame extractor): streaming, in constant memory.

Corners are tracked from frame to frame and chained back to the last key frame; a homography through them tells how much
of the view the two share. Where the chain tears, features are matched with the last key frame directly; where that
fails too, a coarse look decides between the same view (a blank wall, noise) and a new one.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.matching import (
    LEAST_MATCHES,
    Features,
    Grey,
    Matches,
    Thumbnail,
    View,
    describe,
    find_corners,
    fit_view,
    match_features,
    no_matches,
    whole_shift,
)
from embodied_r_ros.core.settings import check, setting

FIRST = 'first'
OVERLAP = 'overlap'
MAX_GAP = 'max_gap'
REQUESTED = 'requested'
REASONS = (FIRST, OVERLAP, MAX_GAP, REQUESTED)

MOST_CORNERS = 200
# Below this share of the corners that the last detection found, new ones are looked for.
REFILL_SHARE = 0.6
# Tracked points that went astray leave the chain at once, so most of those in it agree.
TRACKED_ITERATIONS = 80

_FLOW_WINDOW_WH = (15, 15)
_FLOW_LEVELS = 3
_FLOW_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrameSettings:
    """How key frames are picked."""

    threshold: float = setting(
        0.5, 'a frame that shares less than this of its view with the last key frame is one', minimum=0.05, maximum=0.95
    )
    max_gap_s: float = setting(
        0.0, 'a key frame at least this often, whatever is seen; 0 is never', unit='s', minimum=0.0, maximum=3600.0
    )
    sample_hz: float = setting(4.0, 'frames looked at per second, by stamp', unit='Hz', minimum=0.2, maximum=60.0)
    pose_max_age_s: float = setting(
        0.2, 'a frame further in time from the nearest pose gets none', unit='s', minimum=0.0, maximum=10.0
    )
    buffer_s: float = setting(2.0, 'seconds of frames kept for requests', unit='s', minimum=0.1, maximum=600.0)
    buffer_mb: float = setting(64.0, 'most memory that those frames take', unit='MB', minimum=1.0, maximum=4096.0)

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrameDecision:
    """A frame was taken as a key frame.

    Attributes:
        reason: 'first', 'overlap', 'max_gap' or 'requested'.
        overlap: with the key frame before, 0 to 1; NaN for the first, and after a change of the image's shape.
        matches: points of the key frame before, found again in this one; None where there are none.
    """

    reason: str
    overlap: float = math.nan
    matches: Matches | None = None


class KeyFrameSelector:
    """Takes small grey images in the order of their stamps and says which are key frames.

    Every image that is pushed is looked at; sampling is the caller's (`StampSampler`).

    Attributes:
        overlap: of the last pushed image with the last key frame; NaN where it could not be measured.
    """

    def __init__(self, settings: KeyFrameSettings) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the last key frame; the next image is a first one."""
        self.overlap = math.nan
        self._stamp_ns = 0
        self._reference: Grey | None = None
        self._reference_features: Features | None = None
        self._last: Grey | None = None
        self._matches = no_matches((0, 0))
        self._detected = 0

    def push(self, small_grey: Grey, stamp_ns: int) -> KeyFrameDecision | None:
        """Look at the next image.

        Args:
            small_grey: (height, width) uint8, about 320 pixels wide; the same array must not be changed afterwards.
            stamp_ns: later than that of the image before.

        Returns:
            The decision when it is a key frame, else None.
        """
        decision = self._look(small_grey, stamp_ns)
        if decision is not None:
            self._refer_to(small_grey, stamp_ns)
        return decision

    def take(self, small_grey: Grey, stamp_ns: int, reason: str = REQUESTED) -> KeyFrameDecision:
        """Make the next image a key frame whatever it shows; the first is still called 'first'."""
        decision = self._look(small_grey, stamp_ns)
        if decision is None or decision.reason != FIRST:
            decision = KeyFrameDecision(reason=reason, overlap=self.overlap, matches=self._matches_or_none())
        self._refer_to(small_grey, stamp_ns)
        return decision

    def _look(self, grey: Grey, stamp_ns: int) -> KeyFrameDecision | None:
        self.overlap = math.nan
        if self._reference is None:
            return KeyFrameDecision(reason=FIRST)
        if grey.shape != self._reference.shape:
            self._matches = no_matches((grey.shape[1], grey.shape[0]))
            return KeyFrameDecision(reason=OVERLAP)
        new_view = self._follow(self._reference, grey)
        self._last = grey
        if new_view:
            return KeyFrameDecision(reason=OVERLAP, overlap=self.overlap, matches=self._matches_or_none())
        max_gap_s = self._settings.max_gap_s
        if max_gap_s and stamp_ns - self._stamp_ns >= max_gap_s * NS_PER_S:
            return KeyFrameDecision(reason=MAX_GAP, overlap=self.overlap, matches=self._matches_or_none())
        return None

    def _follow(self, reference: Grey, grey: Grey) -> bool:
        """Chain the matches on to this image; whether it shows a new view."""
        self._matches = self._tracked(grey)
        view = fit_view(self._matches, TRACKED_ITERATIONS)
        if view is None:
            thumbnail = Thumbnail.of(grey)
            self._detected = 0
            self._matches = no_matches(self._matches.size_wh) if thumbnail.blank else self._matched(reference, grey)
            view = fit_view(self._matches)
            if view is None:
                return self._look_coarsely(reference, thumbnail)
        self._matches = _only(self._matches, view.inliers)
        self.overlap = view.overlap
        if view.overlap < self._settings.threshold:
            return True
        if len(self._matches.after) < REFILL_SHARE * self._detected or not self._detected:
            self._refill(grey, view)
        return False

    def _look_coarsely(self, reference: Grey, thumbnail: Thumbnail) -> bool:
        self._matches = no_matches(self._matches.size_wh)
        if thumbnail.same_view(Thumbnail.of(reference)):
            return False
        self.overlap = 0.0
        return True

    def _matched(self, reference: Grey, grey: Grey) -> Matches:
        if self._reference_features is None:
            self._reference_features = describe(reference)
        return match_features(self._reference_features, describe(grey))

    def _tracked(self, grey: Grey) -> Matches:
        """Follow the points of the image before into this one."""
        if self._last is None or len(self._matches.after) < LEAST_MATCHES:
            return no_matches(self._matches.size_wh)
        points: Any = self._matches.after.reshape(-1, 1, 2)
        guess: Any = points + np.array(whole_shift(self._last, grey), np.float32)
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            self._last, grey, points, guess, winSize=_FLOW_WINDOW_WH, maxLevel=_FLOW_LEVELS, criteria=_FLOW_STOP,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        after: NDArray[np.float32] = np.asarray(moved, np.float32).reshape(-1, 2)
        width, height = self._matches.size_wh
        inside = (after[:, 0] >= 0) & (after[:, 0] < width) & (after[:, 1] >= 0) & (after[:, 1] < height)
        found = inside & (np.asarray(status).ravel() > 0)
        return Matches(before=self._matches.before[found], after=after[found], size_wh=self._matches.size_wh)

    def _refill(self, grey: Grey, view: View) -> None:
        """Look for corners anew, and place them in the last key frame through the homography.

        Only corners that lie in the last key frame are of use.
        """
        corners = find_corners(grey, MOST_CORNERS)
        self._detected = len(corners)
        if not len(corners):
            return
        placed = cv2.perspectiveTransform(corners.reshape(-1, 1, 2), view.to_before).reshape(-1, 2).astype(np.float32)
        width, height = self._matches.size_wh
        inside = (placed[:, 0] >= 0) & (placed[:, 0] < width) & (placed[:, 1] >= 0) & (placed[:, 1] < height)
        self._detected = int(inside.sum())
        if self._detected > len(self._matches.after):
            self._matches = Matches(before=placed[inside], after=corners[inside], size_wh=self._matches.size_wh)

    def _refer_to(self, grey: Grey, stamp_ns: int) -> None:
        corners = find_corners(grey, MOST_CORNERS)
        self._matches = Matches(before=corners, after=corners, size_wh=(grey.shape[1], grey.shape[0]))
        self._detected = len(corners)
        self._reference, self._last, self._stamp_ns = grey, grey, stamp_ns
        self._reference_features = None

    def _matches_or_none(self) -> Matches | None:
        return self._matches if len(self._matches.before) >= LEAST_MATCHES else None


def _only(matches: Matches, chosen: NDArray[np.bool_]) -> Matches:
    return Matches(before=matches.before[chosen], after=matches.after[chosen], size_wh=matches.size_wh)
