"""Video files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import pan

from embodied_r_ros.adapters.video import read_video, told_length_s
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S

pytestmark = pytest.mark.system


def write_video(path: Path, frames: int = 25, rate_hz: float = 10.0, fourcc: str = 'MJPG') -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), rate_hz, (160, 96))
    for view in pan(frames, 0.02, width=160, height=96):
        writer.write(view)
    writer.release()
    return path


@pytest.mark.parametrize(('name', 'fourcc'), [('v.avi', 'MJPG'), ('v.mp4', 'mp4v')])
def test_frames_come_in_order_with_stamps_from_the_container(tmp_path: Path, name: str, fourcc: str) -> None:
    items = list(read_video(write_video(tmp_path / name, fourcc=fourcc)))
    assert [item.number for item in items] == list(range(25))
    assert [item.stamp_ns / NS_PER_S for item in items] == pytest.approx([n / 10 for n in range(25)], abs=0.001)
    assert items[0].frame.stamp_ns == items[0].stamp_ns
    assert (items[0].frame.width, items[0].frame.height) == (160, 96)


def test_frames_are_each_their_own(tmp_path: Path) -> None:
    views = pan(25, 0.02, width=160, height=96)
    nearest = []
    for item in list(read_video(write_video(tmp_path / 'v.avi'))):
        assert item.frame.pixels is not None
        nearest.append(int(np.argmin([np.abs(item.frame.pixels.astype(int) - view).mean() for view in views])))
    assert nearest == list(range(25))


@pytest.mark.parametrize(
    ('rate_hz', 'sample_hz', 'numbers'),
    [
        (10.0, 1.0, [0, 10, 20]),
        (10.0, 4.0, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]),
        (10.0, 60.0, list(range(25))),
        (0.5, 1.0, list(range(25))),
        (0.5, 0.2, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]),
    ],
    ids=['1 Hz', '4 Hz', 'all', 'slower than 1 frame a second', 'slower still'],
)
def test_frames_are_sampled_by_their_stamps(
    tmp_path: Path, rate_hz: float, sample_hz: float, numbers: list[int]
) -> None:
    path = write_video(tmp_path / 'v.avi', rate_hz=rate_hz)
    assert [item.number for item in read_video(path, sample_hz)] == numbers


def test_frames_that_are_due_at_any_of_several_rates_are_taken(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'v.avi', rate_hz=10.0)
    alone = {item.number for rate_hz in (4.0, 3.0) for item in read_video(path, rate_hz)}
    assert [item.number for item in read_video(path, 4.0, 3.0)] == sorted(alone)


def test_a_video_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a file, got '.*none\.mp4', which is none; check the path"):
        read_video(tmp_path / 'none.mp4')


@pytest.mark.parametrize('data', [b'', b'no video at all' * 100], ids=['empty', 'text'])
def test_a_video_that_does_not_open_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'broken.mp4'
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"that OpenCV can decode, got '.*broken\.mp4'; convert it"):
        read_video(path)


def test_a_video_that_breaks_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = write_video(tmp_path / 'v.avi').read_bytes()
    path = tmp_path / 'cut.avi'
    path.write_bytes(whole[: len(whole) // 2])
    assert 5 <= len(list(read_video(path))) < 25


def test_a_file_tells_how_long_it_was_even_where_it_is_cut_off(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'v.avi', frames=60)
    assert told_length_s(path) == pytest.approx(6.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert told_length_s(path) == pytest.approx(6.0)
    assert len(list(read_video(path))) < 40
    path.write_bytes(b'no video')
    assert told_length_s(path) == 0.0
