"""Which depth image belongs to which key frame: the one whose stamp is nearest, before it or after it."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Generic, TypeVar

from embodied_r_ros.core.frames import NS_PER_S, TIME_JUMP_NS
from embodied_r_ros.core.records import KeyFrame

Depth = TypeVar('Depth')

DEPTHS_KEPT = 16
_KEYS_KEPT = 64


class DepthPairs(Generic[Depth]):
    """Pairs key frames and depth images as they come, each in the order of its stamps; bounded in number.

    Args:
        max_age_s: the stamps of the two differ by no more than this.
        pair: gets each key frame with its depth, once.

    Attributes:
        missed: key frames that no depth came for in time.
    """

    def __init__(self, max_age_s: float, pair: Callable[[KeyFrame, Depth], None]) -> None:
        self._max_age_ns = int(max_age_s * NS_PER_S)
        self._pair = pair
        self._depths: collections.deque[tuple[int, Depth]] = collections.deque(maxlen=DEPTHS_KEPT)
        self._keys: collections.deque[KeyFrame] = collections.deque()
        self.missed = 0

    def push_depth(self, stamp_ns: int, depth: Depth) -> None:
        """Take a depth image; where time was set back, as in a looped recording, those before it go."""
        if self._depths and stamp_ns < self._depths[-1][0] - TIME_JUMP_NS:
            self._depths.clear()
        self._depths.append((stamp_ns, depth))
        self._settle(stamp_ns)

    def push_key(self, key: KeyFrame) -> None:
        """Take a key frame; it waits for the first depth image that is not older."""
        self._keys.append(key)
        if self._depths:
            self._settle(self._depths[-1][0])
        while len(self._keys) > _KEYS_KEPT:
            self._keys.popleft()
            self.missed += 1

    def finish(self) -> None:
        """No more depth comes."""
        self._settle(None)

    def _settle(self, until_ns: int | None) -> None:
        """Pair the key frames up to a stamp; None pairs all."""
        waiting = [key for key in self._keys if until_ns is not None and key.stamp_ns > until_ns]
        settled = [key for key in self._keys if until_ns is None or key.stamp_ns <= until_ns]
        self._keys = collections.deque(waiting)
        for key in settled:
            stamp_ns, depth = self._nearest(key.stamp_ns)
            if depth is not None and abs(stamp_ns - key.stamp_ns) <= self._max_age_ns:
                self._pair(key, depth)
            else:
                self.missed += 1

    def _nearest(self, stamp_ns: int) -> tuple[int, Depth | None]:
        return min(self._depths, key=lambda one: abs(one[0] - stamp_ns), default=(0, None))
