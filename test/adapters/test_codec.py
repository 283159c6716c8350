"""Images in and out of bytes: red stays red, and what is broken is named."""

from __future__ import annotations

import struct
import sys
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


def raw(encoding: str, rows: np.ndarray, padding: int = 0, big: bool = False, extra: int = 0) -> np.ndarray:
    flat = rows.reshape(16, -1)
    flat = np.hstack([flat, np.full((16, padding), 99, np.uint8)])
    data = flat.tobytes() + b'x' * extra
    return codec.from_raw(encoding, 32, 16, flat.shape[1], data, big)


def file(suffix: str, picture: np.ndarray = PICTURE, *options: int) -> np.ndarray:
    return codec.decode(codec.from_compressed(cv2.imencode(suffix, picture, list(options))[1].tobytes()))


@pytest.mark.parametrize(
    ('read', 'tolerance'),
    [
        pytest.param(lambda: raw('rgb8', RGB), 0, id='rgb8'),
        pytest.param(lambda: raw('bgr8', PICTURE), 0, id='bgr8'),
        pytest.param(lambda: raw('rgba8', np.concatenate([RGB, OPAQUE], 2)), 0, id='rgba8'),
        pytest.param(lambda: raw('bgra8', np.concatenate([PICTURE, OPAQUE], 2)), 0, id='bgra8'),
        pytest.param(lambda: raw('rgb8', RGB, padding=7), 0, id='rgb8, padded rows'),
        pytest.param(lambda: raw('bgr8', PICTURE, padding=5), 0, id='bgr8, padded rows'),
        pytest.param(lambda: raw('rgba8', np.concatenate([RGB, OPAQUE], 2), padding=3), 0, id='rgba8, padded rows'),
        pytest.param(lambda: raw('bgra8', np.concatenate([PICTURE, OPAQUE], 2), padding=1), 0, id='bgra8, padded rows'),
        pytest.param(lambda: raw('rgb8', RGB, big=True), 0, id='rgb8, big-endian'),
        pytest.param(lambda: raw('rgb8', RGB, extra=10), 0, id='rgb8, more data than rows'),
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
        pytest.param(lambda: raw('mono8', MONO), id='mono8'),
        pytest.param(lambda: raw('mono8', MONO, padding=3), id='mono8, padded rows'),
        pytest.param(lambda: file('.png', MONO), id='grey png'),
        pytest.param(lambda: codec.decode_frame(frame(MONO, 0.0, compressed=False)), id='a frame of mono pixels'),
    ],
)
def test_grey_becomes_grey_in_three_channels(read) -> None:
    assert np.array_equal(read(), cv2.cvtColor(MONO, cv2.COLOR_GRAY2BGR))


def test_raw_pixels_are_a_copy() -> None:
    data = bytearray(PICTURE.tobytes())
    found = codec.from_raw('bgr8', 32, 16, 96, data)
    data[:] = bytes(len(data))
    assert np.array_equal(found, PICTURE)


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_data_may_be_any_buffer(kind) -> None:
    assert np.array_equal(codec.from_raw('bgr8', 32, 16, 96, kind(PICTURE.tobytes())), PICTURE)
    whole = cv2.imencode('.png', PICTURE)[1].tobytes()
    assert codec.from_compressed(kind(whole)).data == whole


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param(('rgb8', 0, 16, 0, b''), 'must have pixels, got width 0 and height 16', id='zero width'),
        pytest.param(('rgb8', 32, 0, 96, b''), 'must have pixels, got width 32 and height 0', id='zero height'),
        pytest.param(
            ('rgb8', 32, 16, 96, b'x' * 1535), 'are 1536 bytes, got 1535; the message is cut short', id='data short'
        ),
        pytest.param(('rgb8', 32, 16, 95, b'x' * 1600), r'takes 96 bytes, got step 95', id='step short'),
        pytest.param(('mono8', 32, 16, 31, b'x' * 1600), r'takes 32 bytes, got step 31', id='mono step short'),
        pytest.param(
            ('bayer_rggb8', 32, 16, 32, b'x' * 512),
            r"got encoding 'bayer_rggb8'; install cv_bridge",
            id='other encoding',
        ),
        pytest.param(('16UC1', 32, 16, 64, b'x' * 1024), r"got encoding '16UC1'; install cv_bridge", id='depth'),
        pytest.param(('', 32, 16, 96, b'x' * 1536), r"one of rgb8, bgr8, .* got encoding ''", id='no encoding'),
        pytest.param(('16UC1', 32, 16, 64, b'x' * 1000), 'the message is cut short', id='other encoding, data short'),
    ],
)
def test_a_bad_raw_image_is_named(arguments: tuple, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(InputError, match=message):
        codec.from_raw(*arguments)


CV_BRIDGE = """
import numpy as np

class CvBridgeError(Exception):
    pass

class CvBridge:
    def imgmsg_to_cv2(self, image, desired_encoding):
        if image.encoding == '16UC1':
            raise CvBridgeError('[16UC1] is not a color format')
        assert (desired_encoding, image.step, image.is_bigendian) == ('bgr8', 64, 0)
        grey = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)[:, : 2 * image.width : 2]
        return np.repeat(grey[..., None], 3, 2)
"""


@pytest.fixture
def cv_bridge(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the ROS package of the name, which is not on the Python index."""
    (tmp_path / 'cv_bridge.py').write_text(CV_BRIDGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    yield
    sys.modules.pop('cv_bridge', None)


@pytest.mark.usefixtures('cv_bridge')
def test_other_encodings_go_through_cv_bridge() -> None:
    data = np.stack([MONO, np.full_like(MONO, 128)], 2).tobytes()
    assert np.array_equal(codec.from_raw('yuv422_yuy2', 32, 16, 64, data)[..., 0], MONO)


@pytest.mark.usefixtures('cv_bridge')
def test_what_cv_bridge_refuses_is_named() -> None:
    with pytest.raises(
        InputError, match=r"got encoding '16UC1', and cv_bridge refuses: .* not a color .*; set the camera"
    ):
        codec.from_raw('16UC1', 32, 16, 64, b'x' * 1024)


WHOLE_JPEG = cv2.imencode('.jpg', texture(320, 180))[1].tobytes()
WHOLE_PNG = cv2.imencode('.png', PICTURE)[1].tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG whose EXIF segment holds a whole JPEG, end marker and all."""
    exif = b'Exif\0\0' + cv2.imencode('.jpg', PICTURE)[1].tobytes()
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + data[2:]


def sizeless_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', 0, 0, 8, 2, 0, 0, 0)
    return WHOLE_PNG[:8] + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        pytest.param(b'', "must be JPEG or PNG, got bytes that begin b''", id='empty'),
        pytest.param(b'\0' * 100, 'must be JPEG or PNG', id='zeros'),
        pytest.param(b'RIFF....WEBP', r"got bytes that begin b'RIFF.*; set the publisher to jpeg", id='webp'),
        pytest.param(WHOLE_JPEG[: len(WHOLE_JPEG) // 2], r'run to its end marker, got \d+ .* cut short', id='half'),
        pytest.param(WHOLE_JPEG[:-2], 'cut short', id='end marker gone'),
        pytest.param(WHOLE_JPEG[:20], 'cut short', id='header only'),
        pytest.param(with_thumbnail(WHOLE_JPEG)[:-500], 'cut short', id='cut after a thumbnail that is whole'),
        pytest.param(WHOLE_PNG[:-5], 'PNG must run from IHDR to IEND, got .* cut short', id='png cut'),
        pytest.param(sizeless_png(), 'must have pixels, got a image/png of 0 x 0', id='png of size zero'),
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


def test_bytes_pass_through_unchanged() -> None:
    assert codec.from_compressed(WHOLE_JPEG).data == WHOLE_JPEG
    assert codec.encode_frame(codec.frame_from_compressed(0, '', WHOLE_PNG)) == EncodedImage(
        data=WHOLE_PNG, mime='image/png'
    )


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
