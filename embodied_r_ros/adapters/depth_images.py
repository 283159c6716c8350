"""Depth images: from what depth cameras publish to metres, and the small PNG that goes with a key frame.

Cameras publish 16UC1 (millimetres), 32FC1 (metres), or either as image_transport's compressedDepth: a header of 12
bytes and a PNG, which holds inverse depth where the camera's was 32FC1. Nothing measured is 0, NaN or infinite.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.codec import PNG, Buffer, check_size
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import EncodedImage

MM, METRES = '16uc1', '32fc1'
SMALL_WIDTH_PX = 320
MAX_BYTES = 100_000
_MM_PER_M = 1000.0
_FARTHEST_MM = 65535
_PIXEL_TYPES = {MM: 'u2', 'mono16': 'u2', METRES: 'f4'}
_PNG_BEGIN = b'\x89PNG'
# Which format it is, and two numbers by which 32FC1 was quantised.
_COMPRESSED_HEADER = struct.Struct('<iff')


def depth_from_raw(
    encoding: str, width: int, height: int, step: int, data: Buffer, is_bigendian: bool = False
) -> DepthMap:
    """The depth in a raw Image message.

    Raises:
        InputError: another encoding, no size, or data that is cut short.
    """
    kind = _PIXEL_TYPES.get(encoding.lower())
    if kind is None:
        raise InputError(
            f'depth must be 16UC1 (mm) or 32FC1 (m), got encoding {encoding!r}; set depth_topic to a depth image'
        )
    if width <= 0 or height <= 0:
        raise InputError(f'depth must have pixels, got width {width!r} and height {height!r}')
    check_size(width, height, encoding)
    pixel = np.dtype(kind).newbyteorder('>' if is_bigendian else '<')
    flat = np.frombuffer(data, np.uint8)
    if step < width * pixel.itemsize or flat.size < step * height:
        raise InputError(
            f'depth of {width} x {height} in {encoding} must have rows of {width * pixel.itemsize} bytes, got step '
            f'{step!r} and {flat.size!r} bytes; the message is cut short'
        )
    rows = flat[: step * height].reshape(height, step)[:, : width * pixel.itemsize]
    return _in_metres(np.ascontiguousarray(rows).view(pixel))


def depth_from_compressed(message_format: str, data: Buffer) -> DepthMap:
    """The depth in a CompressedImage message: compressedDepth as PNG, or a plain PNG of 16 bits.

    Args:
        message_format: such as '16UC1; compressedDepth png'.

    Raises:
        InputError: it is no such PNG, or another kind of compression.
    """
    raw = bytes(data)
    if raw.startswith(_PNG_BEGIN):
        return _in_metres(_png(raw))
    body = raw[_COMPRESSED_HEADER.size :]
    if len(raw) <= _COMPRESSED_HEADER.size or not body.startswith(_PNG_BEGIN):
        raise InputError(
            f'compressed depth must be a PNG, as compressedDepth sends it by default, got {len(raw)!r} bytes of '
            f'format {message_format!r}; set the compression of its publisher to png'
        )
    pixels = _png(body)
    if not message_format.lower().startswith(METRES):
        return _in_metres(pixels)
    _, scale, offset = _COMPRESSED_HEADER.unpack_from(raw)
    metres = np.full(pixels.shape, np.nan, np.float32)
    known = pixels > 0
    with np.errstate(divide='ignore', invalid='ignore'):
        metres[known] = scale / (pixels[known].astype(np.float32) - offset)
    return _in_metres(metres)


def encode_depth(depth: DepthMap, max_width_px: int = SMALL_WIDTH_PX, max_bytes: int = MAX_BYTES) -> EncodedImage:
    """A PNG of 16-bit millimetres, 0 where nothing was measured, shrunk by leaving pixels out.

    Args:
        max_width_px: it is no wider than this.
        max_bytes: it takes no more than this; it is made smaller until it does.
    """
    metres = depth.metres
    with np.errstate(invalid='ignore'):
        mm = np.where(np.isfinite(metres), np.round(metres * _MM_PER_M), 0.0)
    whole = np.where((mm > 0) & (mm <= _FARTHEST_MM), mm, 0).astype(np.uint16)
    width_px = min(max_width_px, whole.shape[1])
    while True:
        height_px = max(1, round(whole.shape[0] * width_px / whole.shape[1]))
        small = cv2.resize(whole, (width_px, height_px), interpolation=cv2.INTER_NEAREST_EXACT)
        data = cv2.imencode('.png', small)[1].tobytes()
        if len(data) <= max_bytes or width_px <= 1:
            return EncodedImage(data=data, mime=PNG)
        width_px = max(1, width_px * 3 // 4)


def read_depth_png(image: EncodedImage) -> DepthMap:
    """The depth that `encode_depth` wrote.

    Raises:
        InputError: it is no PNG of 16-bit grey.
    """
    return _in_metres(_png(image.data))


def _png(data: bytes) -> NDArray[np.uint16]:
    width, height = struct.unpack_from('>II', data, 16) if len(data) >= 24 and data[12:16] == b'IHDR' else (0, 0)
    check_size(width, height, 'depth')
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if width and height else None
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        found = 'bytes that are none' if pixels is None else f'{pixels.dtype} {pixels.shape!r}'
        raise InputError(f'depth must be a whole PNG of 16-bit grey, got {found} ({len(data)} bytes)')
    return np.asarray(pixels, np.uint16)


def _in_metres(pixels: NDArray[np.uint16] | NDArray[np.float32]) -> DepthMap:
    metres = pixels.astype(np.float32)
    if pixels.dtype.kind == 'u':
        metres /= np.float32(_MM_PER_M)
    with np.errstate(invalid='ignore'):
        metres[~(np.isfinite(metres) & (metres > 0.0))] = np.nan
    return DepthMap(metres)
