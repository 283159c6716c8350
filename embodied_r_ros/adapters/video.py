"""Video files through OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from embodied_r_ros.adapters.codec import frame_from_pixels
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, ImageItem, StampSampler

_LIKELY_HZ = 30.0


def read_video(path: str | Path, *rates_hz: float) -> Iterator[ImageItem]:
    """The frames of a video file in their order.

    Stamps come from the container, in nanoseconds from its start; where they do not rise, the frame rate fills in.

    Args:
        path: of the file.
        rates_hz: take frames that are due at any of these rates, by their stamps; the others are not converted. None
            is all frames. `number` counts all.

    Raises:
        InputError: there is no such file, it does not open, or holds no frame. Raised by the call itself.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'a video must be a file, got {str(path)!r}, which is none; check the path')
    samplers = [StampSampler(rate_hz) for rate_hz in rates_hz]
    capture: Any = cv2.VideoCapture(str(path))
    if not capture.isOpened() or not capture.grab():
        capture.release()
        raise InputError(f'a video must be one that OpenCV can decode, got {str(path)!r}; convert it to H.264 in MP4')
    return _frames(capture, samplers)


def told_length_s(path: str | Path) -> float:
    """How long the file says that it is; 0.0 where it does not say.

    A file that was cut off can hold less than that.
    """
    capture: Any = cv2.VideoCapture(str(path))
    frames, rate_hz = float(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return frames / rate_hz if math.isfinite(frames) and frames > 0.0 and 0.0 < rate_hz < math.inf else 0.0


def _frames(capture: Any, samplers: Sequence[StampSampler]) -> Iterator[ImageItem]:
    """The frames from the one that is grabbed already."""
    rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
    period_ns = round(NS_PER_S / (rate_hz if math.isfinite(rate_hz) and rate_hz > 0.0 else _LIKELY_HZ))
    number, stamp_ns = 0, -1
    try:
        while True:
            told_ns = round(float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e6)
            stamp_ns = told_ns if told_ns > stamp_ns and told_ns >= 0 else max(stamp_ns + period_ns, 0)
            due = [sampler for sampler in samplers if sampler.due(stamp_ns)]
            if due or not samplers:
                good, pixels = capture.retrieve()
                if good and pixels is not None:
                    for sampler in due:
                        sampler.take(stamp_ns)
                    frame = frame_from_pixels(stamp_ns, '', np.ascontiguousarray(pixels, np.uint8))
                    yield ImageItem(stamp_ns=stamp_ns, number=number, frame=frame)
            number += 1
            if not capture.grab():
                return
    finally:
        capture.release()
