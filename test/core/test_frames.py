"""Frames, the ring of the latest, and sampling by stamp."""

from __future__ import annotations

import numpy as np
import pytest
from builders import blank, frame

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, Frame, FrameBuffer, StampSampler, as_pixels
from embodied_r_ros.core.records import EncodedImage


def small(stamp_s: float) -> Frame:
    return frame(blank(10, 10), stamp_s, compressed=False)


def test_nbytes_counts_encoded_and_raw() -> None:
    assert small(0.0).nbytes == 300
    assert Frame(stamp_ns=0, image=EncodedImage(data=b'12345'), width=1, height=1).nbytes == 5
    assert Frame(stamp_ns=0, width=1, height=1).nbytes == 0


def test_buffer_keeps_its_seconds() -> None:
    buffer = FrameBuffer(max_s=1.0, max_bytes=10**9)
    for step in range(100):
        buffer.push(small(step * 0.1))
    stamps_s = [round(one.stamp_ns / NS_PER_S, 1) for one in buffer]
    assert stamps_s == [8.9, 9.0, 9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8, 9.9]
    assert buffer.dropped == 0


def test_buffer_keeps_its_bytes_and_counts_what_went_early() -> None:
    buffer = FrameBuffer(max_s=100.0, max_bytes=900)
    for step in range(10):
        buffer.push(small(step))
        assert buffer.nbytes <= 900
    assert (len(buffer), buffer.dropped) == (3, 7)


def test_buffer_keeps_the_newest_frame_even_when_it_is_too_big() -> None:
    buffer = FrameBuffer(max_s=1.0, max_bytes=10)
    buffer.push(small(0.0))
    buffer.push(small(1.0))
    newest = buffer.newest()
    assert newest is not None
    assert newest.stamp_ns == NS_PER_S
    assert len(buffer) == 1


def test_buffer_finds_the_nearest() -> None:
    buffer = FrameBuffer(max_s=10.0, max_bytes=10**6)
    assert buffer.newest() is None
    assert buffer.nearest(5) is None
    for stamp_s in (1.0, 2.0, 3.0):
        buffer.push(small(stamp_s))
    found = [buffer.nearest(round(stamp_s * NS_PER_S)) for stamp_s in (0.0, 1.4, 1.5, 2.6, 9.0)]
    assert [one.stamp_ns // NS_PER_S for one in found if one] == [1, 1, 2, 3, 3]
    buffer.clear()
    assert (len(buffer), buffer.nbytes) == (0, 0)


@pytest.mark.parametrize('camera_hz', [1.0, 7.0, 29.97, 60.0])
@pytest.mark.parametrize('sample_hz', [0.2, 0.5, 1.0, 4.0, 10.0, 30.0, 60.0])
def test_sampling_holds_its_rate(camera_hz: float, sample_hz: float) -> None:
    sampler, taken = StampSampler(sample_hz), 0
    random = np.random.default_rng(0)
    seconds = 40.0
    for step in range(int(seconds * camera_hz)):
        stamp_ns = round(NS_PER_S * (5.0 + step / camera_hz + random.uniform(-0.0007, 0.0007)))
        if sampler.due(stamp_ns):
            sampler.take(stamp_ns)
            taken += 1
    wanted = seconds * min(sample_hz, camera_hz)
    assert taken == pytest.approx(wanted, rel=0.06, abs=1)


def test_sampling_a_30_hz_video_at_1_hz_takes_every_thirtieth_frame() -> None:
    sampler, taken = StampSampler(1.0), []
    for number in range(100):
        stamp_ns = number * NS_PER_S // 30
        if sampler.due(stamp_ns):
            sampler.take(stamp_ns)
            taken.append(number)
    assert taken == [0, 30, 60, 90]


def test_sampling_gives_up_what_a_gap_passed_over() -> None:
    sampler = StampSampler(1.0)
    sampler.take(0)
    assert sampler.due(10 * NS_PER_S)
    sampler.take(10 * NS_PER_S)
    assert not sampler.due(round(10.5 * NS_PER_S))
    assert sampler.due(11 * NS_PER_S)


@pytest.mark.parametrize('restart_s', [100.0, 50.0])
def test_sampling_starts_anew_when_time_is_set_back(restart_s: float) -> None:
    sampler = StampSampler(1.0)
    for stamp_s in range(100, 110):
        sampler.take(stamp_s * NS_PER_S)
    restart_ns = round(restart_s * NS_PER_S)
    assert sampler.due(restart_ns)
    sampler.take(restart_ns)
    assert not sampler.due(restart_ns + NS_PER_S // 2)
    assert sampler.due(restart_ns + NS_PER_S)


@pytest.mark.parametrize('sample_hz', [0.0, -1.0, float('nan')])
def test_sampling_rate_must_be_positive(sample_hz: float) -> None:
    with pytest.raises(InputError, match=r'must be above 0 Hz, got .*; leave it out'):
        StampSampler(sample_hz)


@pytest.mark.parametrize(
    'array',
    [np.zeros((2, 2), np.uint16), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8), np.zeros(4, np.uint8)],
    ids=['uint16', 'four channels', 'size zero', 'flat'],
)
def test_pixels_must_be_an_image(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r'an image must be a uint8 array .* got .*; convert it first'):
        as_pixels(array)
