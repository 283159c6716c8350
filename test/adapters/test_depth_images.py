"""Depth images as cameras publish them, and the small PNG that goes with a key frame."""

from __future__ import annotations

import math
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_r_ros.adapters.depth_images import (
    MAX_BYTES,
    depth_from_compressed,
    depth_from_raw,
    encode_depth,
    read_depth_png,
)
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import EncodedImage

MM = np.array([[0, 1500, 65535], [250, 4000, 1]], np.uint16)
METRES = np.array([[math.nan, 1.5, 65.535], [0.25, 4.0, 0.001]], np.float32)


def png(pixels: NDArray[Any]) -> bytes:
    return cv2.imencode('.png', pixels)[1].tobytes()


def inverse_depth(metres: NDArray[np.float32], scale: float = 100.0, offset: float = 10.0) -> bytes:
    """As compressed_depth_image_transport sends 32FC1."""
    with np.errstate(invalid='ignore'):
        steps = np.nan_to_num(scale / metres + offset).round().astype(np.uint16)
    return struct.pack('<iff', 0, scale, offset) + png(steps)


def padded(pixels: NDArray[Any]) -> bytes:
    return b''.join(row.tobytes() + b'\xff\xff' for row in pixels)


@pytest.mark.parametrize(
    'depth',
    [
        pytest.param(lambda: depth_from_raw('16UC1', 3, 2, 6, MM.tobytes()), id='16UC1'),
        pytest.param(lambda: depth_from_raw('mono16', 3, 2, 6, MM.tobytes()), id='mono16'),
        pytest.param(lambda: depth_from_raw('16UC1', 3, 2, 6, MM.astype('>u2').tobytes(), True), id='big-endian'),
        pytest.param(lambda: depth_from_raw('16UC1', 3, 2, 8, padded(MM)), id='padded'),
        pytest.param(lambda: depth_from_raw('32FC1', 3, 2, 12, METRES.tobytes()), id='32FC1'),
        pytest.param(lambda: depth_from_compressed('16UC1; compressedDepth png', bytes(12) + png(MM)), id='compressed'),
        pytest.param(lambda: depth_from_compressed('16UC1; png compressed ', png(MM)), id='plain-png'),
        pytest.param(lambda: read_depth_png(encode_depth(DepthMap(METRES))), id='ours'),
    ],
)
def test_depth_is_read_in_metres_and_nothing_measured_is_nan(depth: Any) -> None:
    np.testing.assert_allclose(depth().metres, METRES, atol=0.0006)


def test_compressed_metres_are_read_from_inverse_depth() -> None:
    metres = np.array([[math.nan, 0.5, 1.0], [2.0, 4.0, 0.25]], np.float32)
    read = depth_from_compressed('32FC1; compressedDepth png', inverse_depth(metres)).metres
    np.testing.assert_allclose(read, metres, rtol=0.02)


def test_zero_negative_and_infinite_distances_are_none() -> None:
    wrong = np.array([[0.0, -1.0, math.inf], [-math.inf, math.nan, 0.0]], np.float32)
    assert depth_from_raw('32FC1', 3, 2, 12, wrong.tobytes()).is_empty
    assert depth_from_raw('16UC1', 3, 2, 6, bytes(12)).is_empty


@pytest.mark.parametrize(
    ('depth', 'wanted'),
    [
        pytest.param(lambda: depth_from_raw('rgb8', 3, 2, 9, bytes(18)), "16UC1 .* got encoding 'rgb8'", id='encoding'),
        pytest.param(lambda: depth_from_raw('16UC1', 0, 2, 0, b''), 'must have pixels, got width 0', id='no-size'),
        pytest.param(lambda: depth_from_raw('16UC1', 3, 2, 4, bytes(8)), 'rows of 6 bytes, got step 4', id='step'),
        pytest.param(lambda: depth_from_raw('32FC1', 3, 2, 12, bytes(23)), 'got step 12 and 23 bytes', id='cut'),
        pytest.param(lambda: depth_from_compressed('16UC1; compressedDepth rvl', bytes(40)),
                     "must be a PNG.* got 40 bytes of format '16UC1; compressedDepth rvl'; set the", id='rvl'),
        pytest.param(lambda: depth_from_compressed('', b''), 'must be a PNG.* got 0 bytes', id='nothing'),
        pytest.param(lambda: depth_from_compressed('16UC1', bytes(12) + png(MM)[:-20]), 'whole PNG of 16', id='half'),
        pytest.param(lambda: read_depth_png(EncodedImage(data=png(MM.astype(np.uint8)))), 'got uint8', id='8-bit'),
        pytest.param(lambda: read_depth_png(EncodedImage(data=b'\xff\xd8jpeg')), 'got bytes that are none', id='jpeg'),
    ],
)  # fmt: skip
def test_depth_that_cannot_be_read_is_an_input_error(depth: Any, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        depth()


@pytest.mark.parametrize('is_noisy', [False, True], ids=['smooth', 'noise'])
def test_the_depth_of_a_key_frame_is_at_most_320_pixels_wide_and_100_kb(is_noisy: bool) -> None:
    metres = np.tile(np.linspace(0.5, 8.0, 640, dtype=np.float32), (480, 1))
    if is_noisy:
        metres = np.random.default_rng(3).uniform(0.5, 60.0, (480, 640)).astype(np.float32)
    small = encode_depth(DepthMap(metres))
    assert len(small.data) <= MAX_BYTES
    read = read_depth_png(small).metres
    assert read.shape[1] <= 320 and read.shape[0] * 4 == pytest.approx(read.shape[1] * 3, abs=3)
    if not is_noisy:
        assert read.shape == (240, 320)
        np.testing.assert_allclose(read[0], metres[0, 1::2], atol=0.013)


def test_shrinking_makes_no_distances_that_nothing_has() -> None:
    metres = np.where(np.indices((480, 640)).sum(axis=0) % 2, 1.0, 5.0).astype(np.float32)
    assert set(np.unique(read_depth_png(encode_depth(DepthMap(metres), max_width_px=100)).metres)) <= {1.0, 5.0}


def test_what_millimetres_cannot_tell_is_not_known() -> None:
    far = DepthMap(np.array([[65.6, 0.0004, 2.0]], np.float32))
    np.testing.assert_array_equal(read_depth_png(encode_depth(far)).metres, [[math.nan, math.nan, 2.0]])
