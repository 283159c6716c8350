"""Holds a key frame until its depth has come, on a topic of its own, for a short time at most."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Callable

from embodied_r_ros.core.records import EncodedImage, KeyFrame
from embodied_r_ros.core.settings import Settings, setting

DEPTHS_KEPT = 64
# After so many key frames in a row whose depth did not come none waits, until depth comes again.
PATIENCE = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthWaitSettings(Settings):
    """How key frames wait for depth."""

    depth_wait_s: float = setting(
        0.5,
        'A key frame waits at most this long for its depth, if a camera_node sends depth.',
        unit='s',
        within=(0.0, 60.0),
    )


class DepthWaiting:
    """Passes key frames on in their order, each with its depth or, after a short time, without.

    It belongs to one asyncio loop.

    Args:
        settings: how long.
        add: gets each key frame.

    Attributes:
        missed: key frames that were passed on without depth though somebody sends it.
    """

    def __init__(self, settings: DepthWaitSettings, add: Callable[[KeyFrame], None]) -> None:
        self._wait_s = settings.depth_wait_s
        self._add = add
        self._depths: collections.OrderedDict[int, EncodedImage] = collections.OrderedDict()
        self._held: collections.deque[tuple[KeyFrame, bool, float]] = collections.deque()
        self._missed_in_a_row = 0
        self.missed = 0

    def key_frame(self, frame: KeyFrame, is_depth_sent: bool) -> None:
        """Take a key frame; it waits where somebody sends depth."""
        loop = asyncio.get_running_loop()
        waits = is_depth_sent and self._missed_in_a_row < PATIENCE
        until_s = loop.time() + (self._wait_s if waits else 0.0)
        self._held.append((frame, is_depth_sent, until_s))
        self._pass_on()
        if self._held:
            loop.call_at(until_s, self._pass_on)

    def depth(self, stamp_ns: int, depth: EncodedImage) -> None:
        """Take the depth of the key frame with this stamp."""
        self._missed_in_a_row = 0
        self._depths[stamp_ns] = depth
        while len(self._depths) > DEPTHS_KEPT:
            self._depths.popitem(last=False)
        self._pass_on()

    def _pass_on(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._held:
            frame, is_depth_sent, until_s = self._held[0]
            depth = self._depths.pop(frame.stamp_ns, None)
            if depth is None and now_s < until_s:
                return
            self._held.popleft()
            if depth is None and is_depth_sent:
                self.missed += 1
                self._missed_in_a_row += 1
            self._add(frame if depth is None else dataclasses.replace(frame, depth=depth))
