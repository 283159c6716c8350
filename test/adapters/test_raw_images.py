"""Raw images: red stays red in every encoding, and what is broken is named."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from embodied_r_ros.adapters.raw_images import from_raw
from embodied_r_ros.core.errors import InputError

# The left half red, the right half blue, as BGR.
PICTURE = np.zeros((16, 32, 3), np.uint8)
PICTURE[:, :16] = (10, 20, 230)
PICTURE[:, 16:] = (220, 30, 15)
RGB = np.ascontiguousarray(PICTURE[..., ::-1])
OPAQUE = np.full((16, 32, 1), 255, np.uint8)
MONO = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)


def raw(encoding: str, rows: np.ndarray, padding: int = 0, big: bool = False, extra: int = 0) -> np.ndarray:
    flat = rows.reshape(len(rows), -1)
    flat = np.hstack([flat, np.full((len(flat), padding), 99, np.uint8)])
    return from_raw(encoding, 32, 16, flat.shape[1], flat.tobytes() + b'x' * extra, big)


def packed(luma_first: bool) -> np.ndarray:
    """Y0 U Y1 V, or U Y0 V Y1, of each two pixels."""
    y, u, v = planes()
    chroma = np.empty_like(y)
    chroma[:, 0::2], chroma[:, 1::2] = u[:, ::2], v[:, ::2]
    return np.dstack([y, chroma] if luma_first else [chroma, y])


def semi_planar(u_first: bool) -> np.ndarray:
    """The rows of Y, then those of U and V by turns, one pair for four pixels."""
    y, u, v = planes()
    pairs = (u, v) if u_first else (v, u)
    return np.vstack([y, np.dstack([plane[::2, ::2] for plane in pairs]).reshape(8, 32)])


def planes() -> list[np.ndarray]:
    """Y, U and V by ITU-R BT.601 in the range of video."""
    blue, green, red = (PICTURE[..., place].astype(float) for place in range(3))
    y = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return [np.round(plane).astype(np.uint8) for plane in (y, u, v)]


def mosaic(pattern: str) -> np.ndarray:
    """The picture through the filters of a Bayer pattern, such as 'rggb': the first row, then the second."""
    seen = np.zeros((16, 32), np.uint8)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        seen[row::2, column::2] = PICTURE[row::2, column::2, 'bgr'.index(colour)]
    return seen


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
        pytest.param(lambda: raw('RGB8', RGB), 0, id='RGB8 in capitals'),
        pytest.param(lambda: raw('8UC3', PICTURE), 0, id='8UC3'),
        pytest.param(lambda: raw('yuyv', packed(True)), 3, id='yuyv'),
        pytest.param(lambda: raw('yuv422_yuy2', packed(True), padding=4), 3, id='yuv422_yuy2, padded rows'),
        pytest.param(lambda: raw('uyvy', packed(False)), 3, id='uyvy'),
        pytest.param(lambda: raw('yuv422', packed(False), padding=2), 3, id='yuv422, padded rows'),
        pytest.param(lambda: raw('nv12', semi_planar(True)), 3, id='nv12'),
        pytest.param(lambda: raw('nv12', semi_planar(True), padding=32), 3, id='nv12, padded rows'),
        pytest.param(lambda: raw('nv21', semi_planar(False)), 3, id='nv21'),
        pytest.param(lambda: raw('bayer_rggb8', mosaic('rggb')), 0, id='bayer_rggb8'),
        pytest.param(lambda: raw('bayer_bggr8', mosaic('bggr')), 0, id='bayer_bggr8'),
        pytest.param(lambda: raw('bayer_gbrg8', mosaic('gbrg'), padding=3), 0, id='bayer_gbrg8, padded rows'),
        pytest.param(lambda: raw('bayer_grbg8', mosaic('grbg')), 0, id='bayer_grbg8'),
    ],
)
def test_red_stays_red_and_left_stays_left(read, tolerance: int) -> None:
    found = read()
    assert found.shape == PICTURE.shape
    assert found.dtype == np.uint8
    assert np.abs(found[:, 1:14].astype(int) - (10, 20, 230)).max() <= tolerance
    assert np.abs(found[:, 18:31].astype(int) - (220, 30, 15)).max() <= tolerance


LITTLE = np.dstack([np.full_like(MONO, 77), MONO])


@pytest.mark.parametrize(
    'read',
    [
        pytest.param(lambda: raw('mono8', MONO), id='mono8'),
        pytest.param(lambda: raw('mono8', MONO, padding=3), id='mono8, padded rows'),
        pytest.param(lambda: raw('8UC1', MONO), id='8UC1'),
        pytest.param(lambda: raw('mono16', LITTLE, padding=2), id='mono16, the upper byte'),
        pytest.param(lambda: raw('mono16', LITTLE[..., ::-1], big=True), id='mono16, big-endian'),
    ],
)
def test_grey_becomes_grey_in_three_channels(read) -> None:
    assert np.array_equal(read(), cv2.cvtColor(MONO, cv2.COLOR_GRAY2BGR))


def test_raw_pixels_are_a_copy() -> None:
    data = bytearray(PICTURE.tobytes())
    found = from_raw('bgr8', 32, 16, 96, data)
    data[:] = bytes(len(data))
    assert np.array_equal(found, PICTURE)


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_data_may_be_any_buffer(kind) -> None:
    assert np.array_equal(from_raw('bgr8', 32, 16, 96, kind(PICTURE.tobytes())), PICTURE)


@pytest.mark.parametrize(
    'encoding',
    ['rgb8', 'bgra8', 'mono8', 'mono16', 'yuyv', 'uyvy', 'nv12', 'nv21', 'bayer_rggb8', 'bayer_grbg8', '8UC3'],
)
def test_an_image_of_a_few_pixels_is_read_or_refused(encoding: str) -> None:
    for width, height in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 3), (2, 3), (1, 50), (50, 2), (5, 5)]:
        try:
            found = from_raw(encoding, width, height, 4 * width, bytes(6 * width * height))
        except InputError as error:
            assert 'must have an even width' in str(error)
        else:
            assert found.shape == (height, width, 3)


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
            ('bayer_rggb16', 32, 16, 64, b'x' * 1024),
            r"got encoding 'bayer_rggb16'; install cv_bridge",
            id='other encoding',
        ),
        pytest.param(('16UC1', 32, 16, 64, b'x' * 1024), r"got distances \(encoding '16UC1'\); give", id='depth in mm'),
        pytest.param(('32FC1', 32, 16, 128, b'x' * 2048), r"got distances \(encoding '32FC1'\); give", id='depth in m'),
        pytest.param(('yuyv', 31, 16, 64, b'x' * 1024), 'must have an even width, got 31 x 16; set the', id='odd yuyv'),
        pytest.param(
            ('nv12', 32, 15, 32, b'x' * 768), 'must have an even width and height, got 32 x 15', id='odd nv12'
        ),
        pytest.param(('nv12', 32, 16, 32, b'x' * 512), '24 rows of 32 bytes are 768 bytes, got 512', id='no colours'),
        pytest.param(('mono16', 32, 16, 32, b'x' * 512), 'takes 64 bytes, got step 32', id='mono16 step short'),
        pytest.param(('rgb8', 20000, 20000, 60000, b''), 'at most 50000000 pixels, got 20000 x 20000', id='400 MP'),
        pytest.param(('odd', 32, 16, 2**40, b'x'), 'the message is cut short', id='step beyond all'),
        pytest.param(('', 32, 16, 96, b'x' * 1536), r"one of rgb8, bgr8, .* got encoding ''", id='no encoding'),
        pytest.param(('odd', 32, 16, 64, b'x' * 1000), 'the message is cut short', id='other encoding, data short'),
    ],
)
def test_a_bad_raw_image_is_named(arguments: tuple, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(InputError, match=message):
        from_raw(*arguments)


CV_BRIDGE = """
import numpy as np

class CvBridgeError(Exception):
    pass

class CvBridge:
    def imgmsg_to_cv2(self, image, desired_encoding):
        if image.encoding == '32SC1':
            raise CvBridgeError('[32SC1] is not a color format')
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
    assert np.array_equal(from_raw('odd', 32, 16, 64, data)[..., 0], MONO)


@pytest.mark.usefixtures('cv_bridge')
def test_what_cv_bridge_refuses_is_named() -> None:
    with pytest.raises(
        InputError, match=r"got encoding '32SC1', and cv_bridge refuses: .* not a color .*; set the camera"
    ):
        from_raw('32SC1', 32, 16, 64, b'x' * 1024)
