"""Which stamps are sound: one wrong stamp is left out, and a clock that was set for good begins a new time base."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from embodied_r_ros.core.frames import NS_PER_S, TIME_JUMP_NS

Item = TypeVar('Item')

# A stamp this far ahead is used once the next one confirms it; a slow sender's step may be a few times the last one.
LEAP_NS = 5 * NS_PER_S
LEAP_STEPS = 3
# Up to this the sender may have paused; beyond it, or back, its clock was set or the stamp is wrong.
MAX_PAUSE_NS = 3600 * NS_PER_S
AGREEING = 3

# Clocks that differ by this for so long are told of, while both senders go on without a break as long as the last.
CLOCKS_APART_S = 1.0
_APART_FOR_S = 5.0
_PRESENT_S = 3.0


class StampGate(Generic[Item]):
    """Lets items through in the order of their stamps, and holds one whose stamp leaps until the next ones show why.

    A stamp that leaps ahead by up to an hour is sound once a stamp at or after it follows: the sender had paused. One
    that leaps farther, or back by more than a second, begins a new time base once three such stamps follow each other.
    Where a stamp that fits the old ones follows instead, those held were wrong.

    Attributes:
        outliers: items left out because their stamps were wrong.
        wrong_ns: the latest of these stamps; None while there is none.
        jumped: whether the last push began a new time base.
    """

    def __init__(self) -> None:
        self.outliers = 0
        self.wrong_ns: int | None = None
        self.reset()

    def reset(self) -> None:
        """Take the next stamp as the first; the count of outliers stays."""
        self.jumped = False
        self._last_ns: int | None = None
        self._step_ns = 0
        self._held: list[tuple[int, Item]] = []

    @property
    def last_ns(self) -> int | None:
        """The newest sound stamp; None before the first."""
        return self._last_ns

    @property
    def held(self) -> int:
        """Items that wait for the next stamps."""
        return len(self._held)

    def late(self, stamp_ns: int) -> bool:
        """Whether a stamp is repeated, or falls back by a second or less: a message out of order, and no more."""
        if self.follows(stamp_ns) or (self._held and self._goes_on(stamp_ns)):
            return False
        newest_ns = [self._last_ns, self._held[-1][0] if self._held else None]
        return any(0 <= before_ns - stamp_ns <= TIME_JUMP_NS for before_ns in newest_ns if before_ns is not None)

    def follows(self, stamp_ns: int) -> bool:
        """Whether a stamp fits to the sound ones without a leap."""
        return self._last_ns is None or 0 < stamp_ns - self._last_ns <= self._reach_ns(self._step_ns)

    def push(self, stamp_ns: int, item: Item) -> list[Item]:
        """Take an item whose stamp is not `late`.

        Returns:
            The items that are sound now, the oldest first.
        """
        self.jumped = False
        if self.follows(stamp_ns):
            self._refute()
            self._accept(stamp_ns)
            return [item]
        if self._held and not self._goes_on(stamp_ns):
            self._refute()
        self._held.append((stamp_ns, item))
        return self._confirmed()

    def finish(self) -> list[Item]:
        """The end of a recording: the items held after a pause, which nothing can refute any more; others are wrong."""
        paused = self._paused()
        held = [item for _, item in self._held]
        if paused:
            self._last_ns = self._held[-1][0]
            self._held.clear()
        self._refute()
        return held if paused else []

    def confirm(self, stamp_ns: int) -> list[Item]:
        """The items held, where their stamps lie within a second of one that is known to be sound."""
        self.jumped = False
        near = bool(self._held) and abs(self._held[-1][0] - stamp_ns) <= TIME_JUMP_NS
        return self._let_go(self._paused()) if near else []

    def _confirmed(self) -> list[Item]:
        paused = self._paused()
        return [] if len(self._held) < (2 if paused else AGREEING) else self._let_go(paused)

    def _let_go(self, paused: bool) -> list[Item]:
        held, self._held = self._held, []
        self.jumped = not paused
        if self.jumped:
            self._last_ns = None
        for stamp_ns, _ in held:
            self._accept(stamp_ns)
        return [item for _, item in held]

    def _goes_on(self, stamp_ns: int) -> bool:
        """Whether a stamp fits to those held."""
        before_ns, step_ns = self._held[-1][0], self._step_ns
        if len(self._held) > 1:
            step_ns = before_ns - self._held[-2][0]
        elif self._last_ns is not None and self._paused():
            # A sender of one message in ten seconds has leapt as well.
            step_ns = before_ns - self._last_ns
        return 0 < stamp_ns - before_ns <= self._reach_ns(step_ns)

    def _paused(self) -> bool:
        """Whether the first stamp held is ahead by no more than a pause."""
        return bool(self._held) and self._last_ns is not None and 0 < self._held[0][0] - self._last_ns <= MAX_PAUSE_NS

    def _reach_ns(self, step_ns: int) -> int:
        return max(LEAP_NS, min(LEAP_STEPS * step_ns, MAX_PAUSE_NS))

    def _accept(self, stamp_ns: int) -> None:
        self._step_ns = 0 if self._last_ns is None else stamp_ns - self._last_ns
        self._last_ns = stamp_ns

    def _refute(self) -> None:
        if self._held:
            self.outliers += len(self._held)
            self.wrong_ns = self._held[-1][0]
            self._held.clear()


class ClockDifference:
    """Notices that odometry and images are not stamped by one clock, though both keep coming.

    Each clock is taken to read its newest stamp and the time since that came.

    Args:
        pose_max_age_s: up to this far from an image a pose is used, so such a difference does not matter.

    Attributes:
        odometry_ahead_s: the difference, negative where odometry is behind; NaN while the clocks agree, and in the
            first 5 s in which they do not.
    """

    def __init__(self, pose_max_age_s: float) -> None:
        self._apart_s = max(CLOCKS_APART_S, pose_max_age_s)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.odometry_ahead_s = math.nan
        self._image = self._pose = (0, -math.inf)
        self._since_s: float | None = None

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Take in the stamp of an image, and when it came, on a steady clock."""
        self._image = (stamp_ns, now_s)
        self._compare(now_s)

    def pose(self, stamp_ns: int, now_s: float) -> None:
        """Take in the stamp of a pose, and when it came, on the same clock."""
        self._pose = (stamp_ns, now_s)
        self._compare(now_s)

    def sentence(self) -> str:
        """What is wrong and what to do; '' while the clocks agree."""
        if math.isnan(self.odometry_ahead_s):
            return ''
        side = 'ahead of' if self.odometry_ahead_s > 0.0 else 'behind'
        pose_s, image_s = self._pose[0] / NS_PER_S, self._image[0] / NS_PER_S
        return (
            f'odometry is stamped {abs(self.odometry_ahead_s):.1f} s {side} the images (newest stamps {pose_s:.1f} s '
            f'and {image_s:.1f} s); key frames carry no pose; let both use one clock'
        )

    def _compare(self, now_s: float) -> None:
        (image_ns, image_s), (pose_ns, pose_s) = self._image, self._pose
        ahead_s = (pose_ns - image_ns) / NS_PER_S + image_s - pose_s
        if now_s - min(image_s, pose_s) > _PRESENT_S or abs(ahead_s) <= self._apart_s:
            self._since_s, self.odometry_ahead_s = None, math.nan
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s >= _APART_FOR_S:
            self.odometry_ahead_s = ahead_s
