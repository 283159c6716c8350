"""Depth in recordings: which topic, and which key frames get it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from builders import pan, recorded_image, write_bag

from embodied_r_ros.adapters.depth_images import read_depth_png
from embodied_r_ros.app.offline import Recording, TopicNames, scan
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.keyframes import KeyFrameSettings

DEPTH = '/camera/aligned_depth_to_color/image_raw'


def recording(path: Path, depth_late_s: float = 0.0, encoding: str = '16UC1') -> Path:
    """A bag of four views that share little, each with depth of as many metres as its second, 1 to 4."""
    messages = []
    for second, view in enumerate(pan(4, 0.6, 160, 120), start=1):
        depth = np.full((120, 160), 1000 * second, np.uint16)
        messages.append(recorded_image(view, float(second)))
        rows = depth.view(np.uint8).reshape(-1)
        messages.append(recorded_image(depth, second + depth_late_s, topic=DEPTH, encoding=encoding, data=rows))
    return write_bag(path / 'walk', messages)


def scanned(bag: Path, depth: str | None = DEPTH) -> Recording:
    return scan(bag, KeyFrameSettings(sample_hz=1.0), keep_last=True, topics=TopicNames(depth=depth))


@pytest.mark.parametrize('depth_late_s', [0.0, 0.04, -0.04])
def test_each_key_frame_gets_the_depth_that_was_taken_with_it(tmp_path: Path, depth_late_s: float) -> None:
    frames = scanned(recording(tmp_path, depth_late_s)).key_frames
    found_m = [None if frame.depth is None else float(read_depth_png(frame.depth).metres[60, 80]) for frame in frames]
    assert found_m == [1.0, 2.0, 3.0, 4.0]


def test_depth_is_read_where_it_is_named_alone(tmp_path: Path) -> None:
    assert {frame.depth for frame in scanned(recording(tmp_path), None).key_frames} == {None}


def test_a_topic_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="topic '/depth' must be one of the recording with images, which depth is"):
        scanned(recording(tmp_path), '/depth')


@pytest.mark.parametrize(
    ('depth_late_s', 'encoding', 'sentence'),
    [
        (0.2, '16UC1', '4 key frames have no depth: none of a stamp within 0.05 s of theirs was recorded'),
        (0.0, 'mono8', 'the depth of key frame 0 is left out: depth must be 16UC1 (mm) or 32FC1 (m), got encoding'),
    ],
    ids=['another time', 'another encoding'],
)
def test_depth_of_no_use_is_told_and_the_key_frames_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, depth_late_s: float, encoding: str, sentence: str
) -> None:
    with caplog.at_level(logging.WARNING):
        frames = scanned(recording(tmp_path, depth_late_s, encoding)).key_frames
    assert [frame.depth for frame in frames] == [None] * 4
    assert any(record.getMessage().startswith(sentence) for record in caplog.records)
