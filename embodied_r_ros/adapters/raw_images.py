"""The pixels of raw Image messages: in the encodings that cameras use by OpenCV, in others by cv_bridge, if there.

Encodings are those of sensor_msgs/image_encodings.hpp, in capitals or not.
"""

from __future__ import annotations

import dataclasses
import importlib

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.codec import Buffer, check_size, no_picture
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import as_pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
    """How an encoding lays out its pixels, and what makes BGR of them.

    Attributes:
        to_bgr: OpenCV's code for it; None where they are BGR as they come.
        pixel_bytes: per pixel of a row.
        rows: rows of data for each two rows of the picture.
        even_wh: whether width and height have to be even.
        top_byte: whether the upper byte of each pair is the pixel.
    """

    to_bgr: int | None
    pixel_bytes: int = 1
    rows: int = 2
    even_wh: tuple[bool, bool] = (False, False)
    top_byte: bool = False


def _packed(to_bgr: int) -> _Layout:
    return _Layout(to_bgr=to_bgr, pixel_bytes=2, even_wh=(True, False))


def _planes(to_bgr: int) -> _Layout:
    return _Layout(to_bgr=to_bgr, rows=3, even_wh=(True, True))


_MONO = _Layout(to_bgr=cv2.COLOR_GRAY2BGR)
_BGR = _Layout(to_bgr=None, pixel_bytes=3)
# OpenCV names a Bayer pattern by the second and third pixel of its second row.
_LAYOUTS = {
    'rgb8': _Layout(to_bgr=cv2.COLOR_RGB2BGR, pixel_bytes=3),
    'bgr8': _BGR,
    'rgba8': _Layout(to_bgr=cv2.COLOR_RGBA2BGR, pixel_bytes=4),
    'bgra8': _Layout(to_bgr=cv2.COLOR_BGRA2BGR, pixel_bytes=4),
    'mono8': _MONO,
    '8uc1': _MONO,
    '8uc3': _BGR,
    'mono16': _Layout(to_bgr=cv2.COLOR_GRAY2BGR, pixel_bytes=2, top_byte=True),
    'yuyv': _packed(cv2.COLOR_YUV2BGR_YUY2),
    'yuv422_yuy2': _packed(cv2.COLOR_YUV2BGR_YUY2),
    'uyvy': _packed(cv2.COLOR_YUV2BGR_UYVY),
    'yuv422': _packed(cv2.COLOR_YUV2BGR_UYVY),
    'nv12': _planes(cv2.COLOR_YUV2BGR_NV12),
    'nv21': _planes(cv2.COLOR_YUV2BGR_NV21),
    'bayer_rggb8': _Layout(to_bgr=cv2.COLOR_BayerBG2BGR),
    'bayer_bggr8': _Layout(to_bgr=cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': _Layout(to_bgr=cv2.COLOR_BayerGR2BGR),
    'bayer_grbg8': _Layout(to_bgr=cv2.COLOR_BayerGB2BGR),
}
_DISTANCES = ('16uc1', '32fc1')


def from_raw(
    encoding: str, width: int, height: int, step: int, data: Buffer, is_bigendian: bool = False
) -> NDArray[np.uint8]:
    """The pixels of a raw Image message, as a copy.

    Of mono16 the upper byte is kept: a sensor of 10 or 12 bits that does not fill the upper bits comes out dark.
    Encodings that are not in the table above are read by cv_bridge where it is installed.

    Args:
        step: bytes per row, padding included.
        data: at least so many bytes as the rows take; nv12 and nv21 have half as many rows more than the picture.
        is_bigendian: which byte of 16 bits is the upper one.

    Returns:
        (height, width, 3) BGR, uint8.

    Raises:
        InputError: size zero, odd where the encoding needs pairs, or above `codec.MAX_PIXELS`; rows or data too short;
            distances (16UC1, 32FC1); or an encoding that nothing here reads.
    """
    if width <= 0 or height <= 0:
        raise InputError(f'an image must have pixels, got width {width!r} and height {height!r}')
    check_size(width, height, encoding)
    if encoding.lower() in _DISTANCES:
        raise InputError(no_picture(f'encoding {encoding!r}'))
    layout = _LAYOUTS.get(encoding.lower())
    if layout is None:
        _rows(data, height, step)
        return _by_cv_bridge(_RawImage(height, width, encoding, int(is_bigendian), step, data))
    if (width % 2 and layout.even_wh[0]) or (height % 2 and layout.even_wh[1]):
        sides = 'width and height' if layout.even_wh[1] else 'width'
        raise InputError(
            f'an image in {encoding} must have an even {sides}, got {width} x {height}; set the camera driver to rgb8'
        )
    row_bytes = width * layout.pixel_bytes
    if step < row_bytes:
        raise InputError(f'a row of {width} {encoding} pixels takes {row_bytes} bytes, got step {step!r}')
    rows = _rows(data, height * layout.rows // 2, step)[:, :row_bytes]
    if layout.top_byte:
        rows = rows[:, 0 if is_bigendian else 1 :: 2]
    elif layout.pixel_bytes > 1:
        rows = rows.reshape(height, width, layout.pixel_bytes)
    if layout.to_bgr is None:
        return np.array(rows, np.uint8)
    return _converted(np.ascontiguousarray(rows), layout.to_bgr, encoding)


def _rows(data: Buffer, count: int, step: int) -> NDArray[np.uint8]:
    flat = np.frombuffer(data, np.uint8)
    if flat.size < step * count:
        wanted = f'{count} rows of {step} bytes are {step * count} bytes'
        raise InputError(f'{wanted}, got {flat.size!r}; the message is cut short')
    return flat[: step * count].reshape(count, step)


def _converted(rows: NDArray[np.uint8], to_bgr: int, encoding: str) -> NDArray[np.uint8]:
    try:
        return np.asarray(cv2.cvtColor(rows, to_bgr), np.uint8)
    except cv2.error as error:
        raise InputError(f'an image in {encoding} cannot be read, got rows of {rows.shape!r}: {error}') from None


@dataclasses.dataclass(frozen=True)
class _RawImage:
    """What cv_bridge reads of a sensor_msgs Image."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Buffer


def _by_cv_bridge(image: _RawImage) -> NDArray[np.uint8]:
    wanted = f'an image must be one of {", ".join(_LAYOUTS)}, jpeg or png, got encoding {image.encoding!r}'
    try:
        cv_bridge = importlib.import_module('cv_bridge')
    except ImportError:
        raise InputError(f'{wanted}; install cv_bridge for more, or set the camera driver to rgb8') from None
    try:
        pixels = cv_bridge.CvBridge().imgmsg_to_cv2(image, desired_encoding='bgr8')
    except (cv_bridge.CvBridgeError, cv2.error, TypeError, ValueError, KeyError) as error:
        raise InputError(f'{wanted}, and cv_bridge refuses: {error}; set the camera driver to rgb8') from None
    return as_pixels(np.asarray(pixels))
