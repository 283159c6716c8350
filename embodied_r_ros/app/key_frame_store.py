"""The key frames whose images perception_node keeps, for pairs and for a second look."""

from __future__ import annotations

import collections

from embodied_r_ros.core.records import Key, KeyFrame


class KeyFrameStore:
    """Key frames with their images, bounded in bytes; the one that came first goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: collections.OrderedDict[Key, KeyFrame] = collections.OrderedDict()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: KeyFrame) -> None:
        """Keep a key frame; one with the same key is replaced."""
        self._pop(frame.key)
        self._frames[frame.key] = frame
        self.nbytes += frame.nbytes
        while self.nbytes > self._max_bytes and len(self._frames) > 1:
            self._pop(next(iter(self._frames)))

    def get(self, key: Key) -> KeyFrame | None:
        """The key frame, or None when it never came or is no longer held."""
        return self._frames.get(key)

    def before(self, key: Key) -> KeyFrame | None:
        """The key frame before one, as far as it is held."""
        camera, session, index = key
        return self._frames.get((camera, session, index - 1))

    def clear(self) -> None:
        """Let go of everything."""
        self._frames.clear()
        self.nbytes = 0

    def _pop(self, key: Key) -> None:
        frame = self._frames.pop(key, None)
        if frame is not None:
            self.nbytes -= frame.nbytes
