"""Images in and out of bytes: red stays red, and what is broken is named."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from builders import frame, texture

from embodied_r_ros.adapters import codec
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Frame
from embodied_r_ros.core.records import EncodedImage

# The left half red, the right half blue, as BGR.
PICTURE = np.zeros((16, 32, 3), np.uint8)
PICTURE[:, :16] = (10, 20, 230)
PICTURE[:, 16:] = (220, 30, 15)
RGB = np.ascontiguousarray(PICTURE[..., ::-1])
OPAQUE = np.full((16, 32, 1), 255, np.uint8)
MONO = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)


def file(suffix: str, picture: np.ndarray = PICTURE, *options: int) -> np.ndarray:
    return codec.decode(codec.from_compressed(cv2.imencode(suffix, picture, list(options))[1].tobytes()))


@pytest.mark.parametrize(
    ('read', 'tolerance'),
    [
        pytest.param(lambda: file('.png'), 0, id='png'),
        pytest.param(lambda: file('.png', np.concatenate([PICTURE, OPAQUE], 2)), 0, id='png with alpha'),
        pytest.param(lambda: file('.jpg', PICTURE, cv2.IMWRITE_JPEG_QUALITY, 95), 12, id='jpeg'),
        pytest.param(
            lambda: file('.jpg', PICTURE, cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 12,
            id='progressive jpeg',
        ),
        pytest.param(lambda: codec.decode(codec.encode_jpeg(PICTURE, 95)), 12, id='our own jpeg'),
        pytest.param(lambda: codec.decode_frame(frame(PICTURE, 0.0, compressed=False)), 0, id='a frame of pixels'),
        pytest.param(lambda: codec.decode_frame(frame(PICTURE, 0.0)), 12, id='a frame of jpeg'),
    ],
)  # fmt: skip
def test_red_stays_red_and_left_stays_left(read, tolerance: int) -> None:
    found = read()
    assert found.shape == PICTURE.shape
    assert found.dtype == np.uint8
    assert np.abs(found[:, 1:14].astype(int) - (10, 20, 230)).max() <= tolerance
    assert np.abs(found[:, 18:31].astype(int) - (220, 30, 15)).max() <= tolerance


@pytest.mark.parametrize(
    'read',
    [
        pytest.param(lambda: file('.png', MONO), id='grey png'),
        pytest.param(lambda: codec.decode_frame(frame(MONO, 0.0, compressed=False)), id='a frame of mono pixels'),
    ],
)
def test_grey_becomes_grey_in_three_channels(read) -> None:
    assert np.array_equal(read(), cv2.cvtColor(MONO, cv2.COLOR_GRAY2BGR))


WHOLE_JPEG = cv2.imencode('.jpg', texture(320, 180))[1].tobytes()
WHOLE_PNG = cv2.imencode('.png', PICTURE)[1].tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG whose EXIF segment holds a whole JPEG, end marker and all."""
    exif = b'Exif\0\0' + cv2.imencode('.jpg', PICTURE)[1].tobytes()
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + data[2:]


def png(width: int, height: int, data: bytes = b'') -> bytes:
    """A PNG whose header claims this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return WHOLE_PNG[:8] + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b'')


def claiming(side_px: int) -> bytes:
    """A JPEG whose header claims to be square."""
    begin = WHOLE_JPEG.index(b'\xff\xc0') + 5
    return WHOLE_JPEG[:begin] + struct.pack('>HH', side_px, side_px) + WHOLE_JPEG[begin + 4 :]


DEPTH = np.full((16, 32), 3000, np.uint16)
DEPTH_PNG = cv2.imencode('.png', DEPTH)[1].tobytes()


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        pytest.param(b'', "must be JPEG or PNG, got bytes that begin b''", id='empty'),
        pytest.param(b'\0' * 100, 'must be JPEG or PNG', id='zeros'),
        pytest.param(b'RIFF....WEBP', r"got bytes that begin b'RIFF.*; set the publisher to jpeg", id='webp'),
        pytest.param(
            b'\0\0\0\x01\x67\x64\0\x1f', r'H\.264 or H\.265 video does; republish it as sensor_msgs/CompressedImage',
            id='h264',
        ),
        pytest.param(DEPTH_PNG, r'must be a picture, got distances \(a PNG of 16-bit grey\); give the topic of',
                     id='depth png'),
        pytest.param(b'\0' * 12 + DEPTH_PNG, r'got distances \(a compressedDepth message\); give the', id='depth'),
        pytest.param(png(20000, 20000), r'at most 50000000 pixels, got 20000 x 20000 \(image/png\); let the',
                     id='png of 400 MP'),
        pytest.param(claiming(30000), r'at most 50000000 pixels, got 30000 x 30000', id='jpeg of 900 MP'),
        pytest.param(claiming(65500), r'at most 50000000 pixels, got 65500 x 65500', id='jpeg of 4 GP'),
        pytest.param(png(2**31 - 1, 2**31 - 1), r'at most 50000000 pixels', id='png of any size'),
        pytest.param(WHOLE_JPEG[: len(WHOLE_JPEG) // 2], r'run to its end marker, got \d+ .* cut short', id='half'),
        pytest.param(WHOLE_JPEG[:-2], 'cut short', id='end marker gone'),
        pytest.param(WHOLE_JPEG[:20], 'cut short', id='header only'),
        pytest.param(with_thumbnail(WHOLE_JPEG)[:-500], 'cut short', id='cut after a thumbnail that is whole'),
        pytest.param(WHOLE_PNG[:-5], 'PNG must run from IHDR to IEND, got .* cut short', id='png cut'),
        pytest.param(png(0, 0), 'must have pixels, got a image/png of 0 x 0', id='png of size zero'),
        pytest.param(
            WHOLE_JPEG.replace(b'\xff\xc0\x00\x11\x08\x00\xb4\x01\x40', b'\xff\xc0\x00\x11\x08\x00\x00\x01\x40'),
            'must have pixels, got a image/jpeg of 320 x 0', id='jpeg of height zero',
        ),
    ],
)  # fmt: skip
def test_a_bad_compressed_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        codec.from_compressed(data)


@pytest.mark.parametrize('extra', [b'\0' * 50, b'\xff\xd9', b'pad'], ids=['zeros', 'another end marker', 'text'])
def test_padding_after_a_jpeg_is_allowed(extra: bytes) -> None:
    assert codec.image_size(codec.from_compressed(WHOLE_JPEG + extra)) == (320, 180)


def test_a_jpeg_with_a_thumbnail_has_its_own_size() -> None:
    assert codec.image_size(codec.from_compressed(with_thumbnail(WHOLE_JPEG))) == (320, 180)


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_data_may_be_any_buffer(kind) -> None:
    assert codec.from_compressed(kind(WHOLE_PNG)).data == WHOLE_PNG


def test_bytes_pass_through_unchanged() -> None:
    assert codec.from_compressed(WHOLE_JPEG).data == WHOLE_JPEG
    assert codec.encode_frame(codec.frame_from_compressed(0, '', WHOLE_PNG)) == EncodedImage(
        data=WHOLE_PNG, mime='image/png'
    )


def test_a_picture_of_sixteen_bits_in_colour_is_a_picture() -> None:
    deep = PICTURE.astype(np.uint16) * 257
    assert np.array_equal(file('.png', deep), PICTURE)


def test_what_only_looks_whole_is_named_when_it_is_decoded() -> None:
    with pytest.raises(InputError, match='must be a decodable image/png, got'):
        codec.decode(EncodedImage(data=WHOLE_PNG[:33] + WHOLE_PNG[-12:], mime='image/png'))


@pytest.mark.parametrize(
    ('kind', 'size_wh', 'small_wh'),
    [('jpeg', (1280, 720), (320, 180)), ('jpeg', (640, 480), (320, 240)), ('jpeg', (720, 1280), (180, 320)),
     ('jpeg', (200, 100), (200, 100)), ('jpeg', (1000, 600), (320, 192)), ('jpeg', (5000, 4), (320, 1)),
     ('png', (640, 480), (320, 240)), ('png', (200, 100), (200, 100)), ('pixels', (1000, 600), (320, 192)),
     ('pixels', (200, 100), (200, 100)), ('mono', (720, 1280), (180, 320)), ('mono', (5000, 4), (320, 1))],
)  # fmt: skip
def test_small_grey_has_320_pixels_on_its_longer_side(kind: str, size_wh: tuple, small_wh: tuple) -> None:
    picture = cv2.resize(texture(160, 90), size_wh)
    if kind == 'png':
        one = codec.frame_from_compressed(0, '', cv2.imencode('.png', picture)[1].tobytes())
    else:
        one = frame(picture if kind != 'mono' else picture[..., 0], 0.0, compressed=kind == 'jpeg')
    grey = codec.small_grey(one)
    assert (grey.shape[1], grey.shape[0]) == small_wh
    assert grey.dtype == np.uint8


def test_small_grey_of_jpeg_and_pixels_agree() -> None:
    picture = cv2.resize(texture(320, 180), (1280, 720))
    from_jpeg, from_pixels = (codec.small_grey(frame(picture, 0.0, compressed)) for compressed in (True, False))
    assert np.abs(from_jpeg.astype(int) - from_pixels).mean() < 3.0


def test_a_rotation_note_in_exif_is_left_alone() -> None:
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    exif = b'Exif\0\0' + tiff
    turned = WHOLE_JPEG[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + WHOLE_JPEG[2:]
    assert codec.decode(codec.from_compressed(turned)).shape == (180, 320, 3)
    assert codec.small_grey(codec.frame_from_compressed(0, '', turned)).shape == (180, 320)


@pytest.mark.parametrize('use', [codec.small_grey, codec.encode_frame, codec.decode_frame])
def test_a_frame_must_hold_something(use) -> None:
    with pytest.raises(InputError, match='must hold an image or pixels, got neither at stamp_ns 7'):
        use(Frame(stamp_ns=7, width=1, height=1))


def test_an_image_too_large_for_jpeg_is_named() -> None:
    with pytest.raises(InputError, match=r'at most 65500 pixels a side, got shape \(1, 70000\)'):
        codec.encode_jpeg(np.zeros((1, 70000), np.uint8))
