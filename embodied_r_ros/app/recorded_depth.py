"""The depth that belongs to the key frames of a recording."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable

from embodied_r_ros.adapters.depth_images import encode_depth
from embodied_r_ros.core.depth_pairs import DepthPairs
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import DepthItem
from embodied_r_ros.core.records import EncodedImage, Key, KeyFrame

DEPTH_MAX_AGE_S = 0.05

_logger = logging.getLogger(__name__)


class RecordedDepth:
    """Finds the depth of key frames while a recording is read."""

    def __init__(self) -> None:
        self._pairs: DepthPairs[DepthItem] = DepthPairs(DEPTH_MAX_AGE_S, self._pair)
        self._found: dict[Key, EncodedImage] = {}
        self._came = False

    def take(self, item: DepthItem) -> None:
        """Take a depth image."""
        self._came = True
        self._pairs.push_depth(item.stamp_ns, item)

    def expect(self, keys: Iterable[KeyFrame]) -> None:
        """Take key frames; they get their depth with `with_depth`."""
        for key in keys:
            self._pairs.push_key(key)

    def with_depth(self, keys: Iterable[KeyFrame]) -> tuple[KeyFrame, ...]:
        """The key frames, each with its depth where there is one; the log tells how many have none."""
        self._pairs.finish()
        if self._came and self._pairs.missed:
            _logger.warning(
                '%d key frames have no depth: none of a stamp within %g s of theirs was recorded',
                self._pairs.missed, DEPTH_MAX_AGE_S,
            )  # fmt: skip
        return tuple(dataclasses.replace(key, depth=self._found.get(key.key)) for key in keys)

    def _pair(self, key: KeyFrame, item: DepthItem) -> None:
        try:
            self._found[key.key] = encode_depth(item.read())
        except InputError as error:
            _logger.warning('the depth of key frame %d is left out: %s', key.index, error)
