"""A recording knows what comes later: images wait for the pose that was measured after them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from embodied_r_ros.core.frames import NS_PER_S, ImageItem, OdometryItem, ReadItem
from embodied_r_ros.core.pose_track import MAX_REACH_NS


class LaterPoses:
    """The items of a recording, each image after the pose that follows it where odometry comes seldom.

    So the pose of an image is interpolated, where live it has to go on at the last rate. Images wait where the last
    pose is older than `pose_max_age_s`, and for no more than 2.5 s.

    Args:
        items: in the order of their stamps.
        pose_max_age_s: as in `KeyFrameSettings`.

    Attributes:
        newest_ns: stamp of the newest image that was read.
    """

    def __init__(self, items: Iterable[ReadItem], pose_max_age_s: float) -> None:
        self._items = items
        self._max_age_ns = int(pose_max_age_s * NS_PER_S)
        self.newest_ns = 0

    def __iter__(self) -> Iterator[ReadItem]:
        held: deque[ImageItem] = deque()
        pose_ns: int | None = None
        for item in self._items:
            if isinstance(item, ImageItem):
                self.newest_ns = item.stamp_ns
                held.append(item)
            else:
                yield item
                pose_ns = item.stamp_ns if isinstance(item, OdometryItem) else pose_ns
            while held and not self._waits(held[0].stamp_ns, pose_ns, self.newest_ns):
                yield held.popleft()
        yield from held

    def _waits(self, image_ns: int, pose_ns: int | None, now_ns: int) -> bool:
        """Whether a pose may follow soon, after one that has become old."""
        if pose_ns is None or not 0 <= now_ns - image_ns <= MAX_REACH_NS:
            return False
        return self._max_age_ns < image_ns - pose_ns <= MAX_REACH_NS
