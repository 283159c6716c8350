"""Images in and out of bytes: JPEG and PNG; raw messages are in raw_images.py. In memory an image is BGR, uint8.

What comes as JPEG or PNG stays the bytes that it is, unless its pixels are needed.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Union

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Frame, as_pixels
from embodied_r_ros.core.records import EncodedImage

Buffer = Union[bytes, bytearray, memoryview, NDArray[Any]]  # noqa: UP007 - a runtime alias that Python 3.10 can build

JPEG = 'image/jpeg'
PNG = 'image/png'
JPEG_QUALITY = 85
SMALL_PX = 320
# Two thousand bytes can claim to be gigabytes of pixels, so this is read from the header.
MAX_PIXELS = 50_000_000

_JPEG_START = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
_PNG_START = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'
_PNG_AT_IN_COMPRESSED_DEPTH = 12
_VIDEO_STARTS = (b'\0\0\0\x01', b'\0\0\x01')
_PNG_GREY = 0
_JPEG_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
)


def sniff(data: Buffer) -> str:
    """The kind of image that the bytes hold, by their first bytes: 'image/jpeg' or 'image/png'.

    Raises:
        InputError: neither.
    """
    head = bytes(data[:8])
    if head.startswith(_JPEG_START):
        return JPEG
    if head.startswith(_PNG_START):
        return PNG
    begin = _PNG_AT_IN_COMPRESSED_DEPTH
    if bytes(data[begin : begin + 8]) == _PNG_START:
        raise InputError(no_picture('a compressedDepth message'))
    if head.startswith(_VIDEO_STARTS):
        raise InputError(
            'a compressed image must be JPEG or PNG, got what begins as H.264 or H.265 video does; '
            'republish it as sensor_msgs/CompressedImage in jpeg'
        )
    raise InputError(
        f'a compressed image must be JPEG or PNG, got bytes that begin {head!r}; set the publisher to jpeg'
    )


def from_compressed(data: Buffer) -> EncodedImage:
    """Take the bytes of a compressed image as they are, once they are seen to be whole.

    Padding after a JPEG's end is allowed; some cameras send it.

    Raises:
        InputError: neither JPEG nor PNG, cut short, of size zero, of more than MAX_PIXELS, or of distances.
    """
    image = EncodedImage(data=bytes(data), mime=sniff(data))
    image_size(image)
    return image


def image_size(image: EncodedImage) -> tuple[int, int]:
    """Width and height in pixels, from the header; the image is checked to be whole.

    Raises:
        InputError: the image is cut short, of size zero, of more than MAX_PIXELS, or a PNG of 16-bit grey, which holds
            distances.
    """
    width, height = _png_size(image.data) if image.mime == PNG else _jpeg_size(image.data)
    if not (width and height):
        raise InputError(f'an image must have pixels, got a {image.mime} of {width} x {height}')
    check_size(width, height, image.mime)
    return width, height


def decode(image: EncodedImage) -> NDArray[np.uint8]:
    """Decode into (height, width, 3) BGR, uint8; no rotation by EXIF, so that pixels agree with the calibration.

    Raises:
        InputError: as `image_size`, or the image cannot be decoded.
    """
    image_size(image)
    return _imdecode(image, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def encode_jpeg(bgr: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> EncodedImage:
    """Encode (height, width, 3) BGR or (height, width) mono, uint8, as JPEG.

    Raises:
        InputError: not such an array.
    """
    done, data = cv2.imencode('.jpg', as_pixels(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(f'a JPEG has at most 65500 pixels a side, got shape {bgr.shape!r}; make the image smaller')
    return EncodedImage(data=data.tobytes(), mime=JPEG)


def encode_frame(frame: Frame) -> EncodedImage:
    """The frame's image as bytes: those it came in where it has any, else JPEG.

    Raises:
        InputError: the frame holds neither.
    """
    return frame.image if frame.image is not None else encode_jpeg(_pixels(frame))


def decode_frame(frame: Frame) -> NDArray[np.uint8]:
    """The frame's pixels, (height, width, 3) BGR, uint8.

    Raises:
        InputError: the frame holds no image, or one that cannot be decoded.
    """
    if frame.pixels is None and frame.image is not None:
        return decode(frame.image)
    pixels = _pixels(frame)
    return pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)


def small_grey(frame: Frame) -> NDArray[np.uint8]:
    """The frame in grey, its longer side 320 pixels or less, (height, width) uint8; JPEGs are decoded at reduced size.

    Raises:
        InputError: the frame holds no image, or one that is cut short or cannot be decoded.
    """
    if frame.pixels is None and frame.image is not None:
        longer_px, shorter_px = sorted(image_size(frame.image), reverse=True)
        fitting = [flag for by, flag in _REDUCED if longer_px // by >= SMALL_PX and shorter_px // by > 0]
        flag = fitting[0] if fitting else cv2.IMREAD_GRAYSCALE
        grey = _imdecode(frame.image, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    else:
        grey = _pixels(frame)
    # Halving is what OpenCV shrinks fastest by: 1280x720 in 0.3 ms, where one step takes 0.8 ms for the same pixels.
    while max(grey.shape[:2]) >= 2 * SMALL_PX and not any(side % 2 for side in grey.shape[:2]):
        half_wh = (grey.shape[1] // 2, grey.shape[0] // 2)
        grey = np.asarray(cv2.resize(grey, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = grey.shape[:2]
    scale = SMALL_PX / max(width, height)
    if scale < 1.0:
        size_wh = (max(round(width * scale), 1), max(round(height * scale), 1))
        grey = np.asarray(cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return grey if grey.ndim == 2 else np.asarray(cv2.cvtColor(grey, cv2.COLOR_BGR2GRAY), np.uint8)


def frame_from_compressed(stamp_ns: int, frame_id: str, data: Buffer) -> Frame:
    """A frame from a CompressedImage message; raises InputError as `from_compressed`."""
    image = from_compressed(data)
    width, height = image_size(image)
    return Frame(stamp_ns=stamp_ns, frame_id=frame_id, image=image, width=width, height=height)


def frame_from_pixels(stamp_ns: int, frame_id: str, pixels: NDArray[np.uint8]) -> Frame:
    """A frame from an array as `raw_images.from_raw` returns it; raises InputError where it is no image."""
    height, width = as_pixels(pixels).shape[:2]
    return Frame(stamp_ns=stamp_ns, frame_id=frame_id, pixels=pixels, width=width, height=height)


def check_size(width: int, height: int, kind: str) -> None:
    """Refuse an image of more than MAX_PIXELS with an InputError that names size and limit."""
    if width * height > MAX_PIXELS:
        raise InputError(
            f'an image must have at most {MAX_PIXELS} pixels, got {width} x {height} ({kind}); '
            'let the camera driver send a smaller size'
        )


def no_picture(what: str) -> str:
    """The sentence about an image that holds distances."""
    return f'an image must be a picture, got distances ({what}); give the topic of a colour or grey camera'


def _pixels(frame: Frame) -> NDArray[np.uint8]:
    if frame.pixels is None:
        raise InputError(f'a frame must hold an image or pixels, got neither at stamp_ns {frame.stamp_ns!r}')
    return as_pixels(frame.pixels)


def _imdecode(image: EncodedImage, flags: int) -> NDArray[np.uint8]:
    try:
        decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(f'an image must be a decodable {image.mime}, got {len(image.data)} bytes: {error}') from None
    if decoded is None:
        raise InputError(f'an image must be a decodable {image.mime}, got {len(image.data)} bytes that are not')
    return np.asarray(decoded, np.uint8)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments up to the first scan; the end marker must follow it (one in a thumbnail comes before it)."""
    size, at = (0, 0), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAME_HEADERS and at + 9 <= len(data):
            height, width = struct.unpack_from('>HH', data, at + 5)
            size = (width, height) if width * height >= math.prod(size) else size
        at += 2 + int(struct.unpack_from('>H', data, at + 2)[0])
        if marker == 0xDA:
            if data.rfind(_JPEG_END, at) >= 0:
                return size
            break
    raise InputError(f'a JPEG must run to its end marker, got {len(data)!r} bytes without it; the image is cut short')


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b'IHDR' or _PNG_END not in data[-64:]:
        raise InputError(
            f'a PNG must run from IHDR to IEND, got {len(data)!r} bytes that do not; the image is cut short'
        )
    width, height, bits, colour = struct.unpack_from('>IIBB', data, 16)
    if (bits, colour) == (16, _PNG_GREY):
        raise InputError(no_picture('a PNG of 16-bit grey'))
    return width, height
