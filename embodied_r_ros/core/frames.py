"""Frames as they come from a camera or a recording, and a bounded ring of the latest of them."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Calibration, EncodedImage, Pose

NS_PER_S = 1_000_000_000
MAX_EARLY_NS = 5_000_000
# Stamps that fall back by less than this are frames out of order; by more, time has been set back.
TIME_JUMP_NS = NS_PER_S


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
    """One image, either as the bytes of a file or as pixels.

    Attributes:
        stamp_ns: from the message header.
        image: JPEG or PNG bytes as they came, or None.
        pixels: (height, width, 3) BGR or (height, width) mono, uint8, or None.
        width, height: in pixels.
    """

    stamp_ns: int
    frame_id: str = ''
    image: EncodedImage | None = None
    pixels: NDArray[np.uint8] | None = None
    width: int
    height: int

    @property
    def nbytes(self) -> int:
        """Bytes of image data that the frame holds."""
        encoded = 0 if self.image is None else len(self.image.data)
        return encoded + (0 if self.pixels is None else int(self.pixels.nbytes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageItem:
    """A recording's image; `number` counts the images of the recording from 0, whether they could be read or not."""

    stamp_ns: int
    number: int
    frame: Frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class OdometryItem:
    """A recording's pose, of `child_frame_id` in `frame_id`; '' where these are not told."""

    stamp_ns: int
    pose: Pose
    frame_id: str = ''
    child_frame_id: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraInfoItem:
    """A recording's camera calibration."""

    stamp_ns: int
    calibration: Calibration


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transform:
    """Where a frame is, live or in a recording.

    Attributes:
        pose: of `child` in `parent`.
        fixed: it holds at any time, as on /tf_static; `stamp_ns` says nothing then.
    """

    parent: str
    child: str
    pose: Pose
    stamp_ns: int = 0
    fixed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthItem:
    """A recording's depth image; `read` decodes it, and raises InputError where it cannot be used."""

    stamp_ns: int
    read: Callable[[], DepthMap]


# Runtime aliases that Python 3.10 can build
RecordedItem = Union[ImageItem, OdometryItem, CameraInfoItem, Transform]  # noqa: UP007
ReadItem = Union[RecordedItem, DepthItem]  # noqa: UP007


class FrameBuffer:
    """The latest frames, bounded in seconds and bytes; the oldest goes first, the newest always stays.

    Attributes:
        dropped: frames that had to go before their seconds were over, because the bytes were used up.
    """

    def __init__(self, max_s: float, max_bytes: int) -> None:
        self._max_ns = int(max_s * NS_PER_S)
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._nbytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        """From the oldest to the newest."""
        return iter(self._frames)

    def __reversed__(self) -> Iterator[Frame]:
        return reversed(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes of image data held."""
        return self._nbytes

    def push(self, frame: Frame) -> None:
        """Add the newest frame, and let go of what is too old or too much."""
        self._frames.append(frame)
        self._nbytes += frame.nbytes
        while len(self._frames) > 1 and frame.stamp_ns - self._frames[0].stamp_ns > self._max_ns:
            self._drop_oldest()
        while len(self._frames) > 1 and self._nbytes > self._max_bytes:
            self._drop_oldest()
            self.dropped += 1

    def newest(self) -> Frame | None:
        """The frame that came last; None while there is none."""
        return self._frames[-1] if self._frames else None

    def nearest(self, stamp_ns: int) -> Frame | None:
        """The frame whose stamp lies nearest; the newer one of two at the same distance."""
        return min(reversed(self._frames), key=lambda frame: abs(frame.stamp_ns - stamp_ns), default=None)

    def clear(self) -> None:
        """Forget all frames; the count of drops stays."""
        self._frames.clear()
        self._nbytes = 0

    def _drop_oldest(self) -> None:
        self._nbytes -= self._frames.popleft().nbytes


class StampSampler:
    """Picks frames at a rate by their stamps, on a grid that starts with the first frame.

    A frame counts for a grid point from a tenth of the period, at most 5 ms, before it: a camera that runs at just the
    wanted rate with some jitter is not halved. A stamp more than a second before that of the last frame taken starts a
    new grid.

    Args:
        sample_hz: wanted rate, above 0.
    """

    def __init__(self, sample_hz: float) -> None:
        if not sample_hz > 0.0:
            raise InputError(f'a sampling rate must be above 0 Hz, got {sample_hz!r}; leave it out to take every frame')
        self._period_ns = NS_PER_S / sample_hz
        self._early_ns = min(0.1 * self._period_ns, MAX_EARLY_NS)
        self.reset()

    def reset(self) -> None:
        """Start a new grid with the next frame."""
        self._start_ns: int | None = None
        self._last_ns = 0
        self._taken = 0

    def due(self, stamp_ns: int) -> bool:
        """Whether a frame of this stamp is to be taken; changes nothing."""
        if self._start_ns is None or stamp_ns < self._last_ns - TIME_JUMP_NS:
            return True
        return stamp_ns + self._early_ns >= self._start_ns + self._taken * self._period_ns

    def take(self, stamp_ns: int) -> None:
        """Note that a frame was taken; the grid points that it passed over are given up."""
        if self._start_ns is None or stamp_ns < self._last_ns - TIME_JUMP_NS:
            self._start_ns = stamp_ns
        self._last_ns = stamp_ns
        self._taken = int((stamp_ns + self._early_ns - self._start_ns) // self._period_ns) + 1


def as_pixels(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Check that an array is an image: (height, width) or (height, width, 3), uint8, not empty.

    Raises:
        InputError: it is not.
    """
    good_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not good_shape or not array.size:
        raise InputError(
            f'an image must be a uint8 array of shape (height, width) or (height, width, 3), none of them 0, '
            f'got {array.dtype} {array.shape!r}; convert it first'
        )
    return array
