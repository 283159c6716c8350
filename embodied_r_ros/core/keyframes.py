"""Which frames show something new (paper, key-frame extractor): streaming, in constant memory.

The ORB features of the last key frame are tracked from frame to frame; a homography through them tells how much of the
view the two share. Where too few agree, features are matched with the last key frame directly; where that fails too, a
coarse look decides between the same view (a blank wall, noise) and a new one.
"""

from __future__ import annotations

import dataclasses
import math

from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.matching import (
    Features,
    Grey,
    Matches,
    Thumbnail,
    View,
    clearest_of,
    detect_and_compute,
    fit_view,
    follow,
    match_features,
    no_matches,
)
from embodied_r_ros.core.settings import Settings, setting

FIRST = 'first'
OVERLAP = 'overlap'
MAX_GAP = 'max_gap'
REQUESTED = 'requested'
REASONS = (FIRST, OVERLAP, MAX_GAP, REQUESTED)

TRACKED_ITERATIONS = 80
# Where a smaller share of the tracked points agrees, or of the corners that should be in view, they went astray.
MIN_TRACKED_SHARE = 0.6
MIN_LEFT_SHARE = 0.4


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrameSettings(Settings):
    """How key frames are picked."""

    threshold: float = setting(
        0.5,
        'A frame becomes a key frame when it shares less than this part of its view with the last one.',
        within=(0.05, 0.95),
    )
    max_gap_s: float = setting(
        30.0,
        'A key frame is taken at least this often, whatever is seen; 0 means no limit.',
        unit='s',
        within=(0.0, 3600.0),
    )
    sample_hz: float = setting(4.0, 'Frames are sampled at this rate by their stamps.', unit='Hz', within=(0.2, 60.0))
    motion_hz: float = setting(
        10.0, 'Without odometry, motion is tracked in the images at this rate.', unit='Hz', within=(0.2, 60.0)
    )
    pose_max_age_s: float = setting(
        0.2, 'A frame gets no pose if the nearest one is farther away in time.', unit='s', within=(0.0, 10.0)
    )
    buffer_s: float = setting(
        2.0, 'The node keeps frames for this long, to capture from.', unit='s', within=(0.1, 600.0)
    )
    buffer_mb: float = setting(64.0, 'The kept frames take at most this much memory.', unit='MB', within=(1.0, 4096.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyFrameDecision:
    """A frame was taken as a key frame.

    Attributes:
        reason: 'first', 'overlap', 'max_gap' or 'requested'.
        overlap: with the key frame before, 0 to 1; NaN for the first, and after a change of the image's shape.
    """

    reason: str
    overlap: float = math.nan


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
        self._features: Features | None = None
        self._last: Grey | None = None
        self._matches = no_matches((0, 0))
        self._corners = 0

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
            decision = KeyFrameDecision(reason=reason, overlap=self.overlap)
        self._refer_to(small_grey, stamp_ns)
        return decision

    def _look(self, grey: Grey, stamp_ns: int) -> KeyFrameDecision | None:
        self.overlap = math.nan
        if self._reference is None or self._features is None or self._last is None:
            return KeyFrameDecision(reason=FIRST)
        if grey.shape != self._reference.shape:
            return KeyFrameDecision(reason=OVERLAP)
        view = self._find(self._features, self._last, grey)
        self._last = grey
        if view is not None:
            self.overlap = view.overlap
        elif not Thumbnail.of(grey).same_view(Thumbnail.of(self._reference)):
            self.overlap = 0.0
        if self.overlap < self._settings.threshold:
            return KeyFrameDecision(reason=OVERLAP, overlap=self.overlap)
        max_gap_s = self._settings.max_gap_s
        if max_gap_s and stamp_ns - self._stamp_ns >= max_gap_s * NS_PER_S:
            return KeyFrameDecision(reason=MAX_GAP, overlap=self.overlap)
        return None

    def _find(self, features: Features, last: Grey, grey: Grey) -> View | None:
        """How this image lies in the last key frame: by the points tracked so far, or else by matching the two."""
        there, found = follow(last, grey, self._matches.after)
        self._matches = dataclasses.replace(self._matches, after=there).only(found)
        view = fit_view(self._matches, TRACKED_ITERATIONS)
        if view is not None and not self._astray(view):
            return view
        direct = (
            no_matches(features.size_wh)
            if Thumbnail.of(grey).blank
            else match_features(features, detect_and_compute(grey))
        )
        matched = fit_view(direct)
        if matched is not None:
            self._matches = direct.only(matched.inliers)
        elif view is None:
            self._matches = no_matches(features.size_wh)
        return matched or view

    def _astray(self, view: View) -> bool:
        agreeing = int(view.inliers.sum())
        expected = max(MIN_TRACKED_SHARE * len(view.inliers), MIN_LEFT_SHARE * view.overlap * self._corners)
        return agreeing < expected

    def _refer_to(self, grey: Grey, stamp_ns: int) -> None:
        self._reference, self._last, self._stamp_ns = grey, grey, stamp_ns
        self._features = detect_and_compute(grey)
        corners = clearest_of(self._features)
        self._matches = Matches(before=corners, after=corners, size_wh=self._features.size_wh)
        self._corners = len(corners)
