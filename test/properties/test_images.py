"""Whatever bytes and arrays come as images, they are read or refused."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from arbitrary import outcome, share, texts
from builders import jpeg, texture
from fake_models import key_frame
from hypothesis import given
from hypothesis import strategies as st

from embodied_r_ros.adapters import codec, raw_images
from embodied_r_ros.adapters.eye_tags import TagEye, TagSettings
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.frames import Frame
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.records import EncodedImage

pytestmark = pytest.mark.slow

GOOD = jpeg(texture(64, 48)).data
SIZES = st.integers(0, 5) | st.sampled_from([63, 64, 320, 321, 3000])


def png(width, height, depth, colour, rows):
    """A PNG whose header says what it likes."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def resized(width, height):
    """A JPEG whose header says another size than its scan has."""
    at = next(place for place in range(len(GOOD)) if GOOD[place : place + 2] == b'\xff\xc0')
    return GOOD[: at + 5] + struct.pack('>HH', height, width) + GOOD[at + 9 :]


def mutated(changes):
    data = bytearray(GOOD)
    for place, value in changes:
        data[place % len(data)] = value
    return bytes(data)


big_sizes = SIZES | st.sampled_from([20_000, 65_535])
encoded = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda tail: b'\xff\xd8\xff' + tail),
    st.binary(max_size=60).map(lambda tail: b'\x89PNG\r\n\x1a\n' + tail),
    st.builds(
        png,
        big_sizes | st.just(2**32 - 1),
        big_sizes | st.just(2**32 - 1),
        st.sampled_from([0, 1, 8, 16]),
        st.integers(0, 6),
        st.binary(max_size=200),
    ),
    st.builds(resized, SIZES, SIZES),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=6).map(mutated),
    st.integers(0, len(GOOD)).map(lambda end: GOOD[:end]),
    st.integers(0, len(GOOD)).map(lambda end: GOOD[:end] + b'\xff\xd9'),
)
SIDES = st.integers(0, 9) | st.sampled_from([320, 700])


@st.composite
def arrays(draw):
    shape = (draw(SIDES), draw(SIDES), *draw(st.sampled_from([(), (), (1,), (2,), (3,), (3,), (4,)])))
    kind = draw(st.sampled_from([np.uint8, np.uint8, np.uint8, np.uint16, np.float32]))
    return np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, shape).astype(kind)


def check_grey(grey):
    assert grey is None or (grey.ndim == 2 and grey.dtype == np.uint8 and 0 < max(grey.shape) <= codec.SMALL_PX)


@share(4)
@given(encoded)
def test_any_bytes_are_an_image_or_refused(data):
    frame = outcome(codec.frame_from_compressed, 1, '', data)
    if frame is not None:
        check_grey(outcome(codec.small_grey, frame))
        outcome(codec.decode_frame, frame)


ENCODINGS = 'rgb8 bgr8 rgba8 bgra8 mono8 mono16 yuv422 uyvy yuyv nv12 nv21 bayer_rggb8 16UC1 8UC1 8UC3'.split()
SIDE_FIELDS = st.integers(-1, 9) | st.just(2**32 - 1)


@share(3)
@given(
    st.sampled_from(ENCODINGS) | texts, SIDE_FIELDS, SIDE_FIELDS, st.integers(0, 40) | st.just(2**32 - 1),
    st.binary(max_size=200), st.booleans(),
)  # fmt: skip
def test_any_raw_image_is_read_or_refused(encoding, width, height, step, data, is_bigendian):
    pixels = outcome(raw_images.from_raw, encoding, width, height, step, data, is_bigendian)
    if pixels is not None:
        assert pixels.shape == (height, width, 3)


@share(3)
@given(st.lists(arrays(), min_size=1, max_size=4), st.booleans())
def test_arrays_of_any_shape_become_key_frames_or_are_left_out(pictures, compressed):
    framer = KeyFramer(KeyFrameSettings(), codec.small_grey, codec.encode_frame)
    framer.set_calibration(Camera(width=4, height=3, fx_px=3.0, fy_px=3.0, cx_px=2.0, cy_px=1.5).calibration)
    for number, picture in enumerate(pictures):
        frame = outcome(codec.frame_from_pixels, 10**9 * number, '', picture)
        if frame is not None and compressed:
            image = outcome(codec.encode_jpeg, picture)
            frame = image and Frame(stamp_ns=frame.stamp_ns, image=image, width=frame.width, height=frame.height)
        if frame is not None:
            check_grey(outcome(codec.small_grey, frame))
            outcome(framer.push, frame)
            outcome(framer.capture)
    framer.finish()


@share(2)
@given(
    st.lists(encoded | arrays().map(lambda array: outcome(codec.encode_jpeg, array)), min_size=2, max_size=2),
    st.floats(),
    st.integers(0, 10**6),
)
def test_what_opencv_perceives_in_any_image_is_a_description_or_refused(images, focal_px, width):
    perceiver = OpenCVPerceiver([TagEye(TagSettings())])
    known = Camera(width=width, height=3, fx_px=focal_px, fy_px=focal_px, cx_px=2.0, cy_px=1.5)
    frames = []
    for index, image in enumerate(images):
        if isinstance(image, bytes):
            mime = outcome(codec.sniff, image)
            image = mime and EncodedImage(data=image, mime=mime)
        if image is not None:
            frames.append(dataclasses.replace(key_frame(index), image=image, calibration=known.calibration))
    for before, after in zip([None, *frames], frames):
        outcome(perceiver.describe_now, before, after)
