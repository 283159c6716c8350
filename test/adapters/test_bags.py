"""Recordings through rosbags."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from builders import (
    ROOM_CAMERA,
    TYPES,
    Recorded,
    jpeg,
    pose,
    recorded_camera_info,
    recorded_image,
    recorded_jpeg,
    recorded_odometry,
    write_bag,
)

from embodied_r_ros.adapters.bags import read_messages, read_recording, read_topics
from embodied_r_ros.adapters.codec import decode_frame
from embodied_r_ros.adapters.recorded_topics import COMPRESSED_IMAGE, ODOMETRY
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, CameraInfoItem, ImageItem, OdometryItem, RecordedItem

pytestmark = pytest.mark.system

RED = np.full((24, 32, 3), (10, 20, 230), np.uint8)
JPEG = jpeg(RED).data


def walk(compressed: bool = True) -> list[Recorded]:
    """Three seconds of images at 5 Hz, odometry at 10 Hz that arrives 0.2 s late, and one calibration."""
    messages = [recorded_camera_info(ROOM_CAMERA.calibration, 100.0)]
    for step in range(15):
        stamp_s = 100.0 + 0.2 * step
        messages.append(
            recorded_jpeg(JPEG, stamp_s) if compressed else recorded_image(RED[..., ::-1], stamp_s, encoding='rgb8')
        )
    for step in range(30):
        stamp_s = 100.0 + 0.1 * step
        messages.append(recorded_odometry(pose(x_m=0.1 * step), stamp_s, recorded_s=stamp_s + 0.2))
    return sorted(messages, key=lambda item: item.stamp_ns)


def written(kept_at: Path, compressed: bool = True, mcap: bool = True) -> Path:
    """The walk as a bag that several tests read; written by the first of them."""
    path = kept_at / f'{"compressed" if compressed else "raw"}_{"mcap" if mcap else "sqlite3"}'
    return path if path.exists() else write_bag(path, walk(compressed), mcap)


@pytest.fixture(scope='module')
def kept_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('bags')


def images(items: list[RecordedItem]) -> list[ImageItem]:
    return [item for item in items if isinstance(item, ImageItem)]


@pytest.mark.parametrize(
    ('mcap', 'compressed', 'single_file'),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, False)],
    ids=['mcap, compressed, folder', 'mcap, raw, file', 'sqlite3, compressed, file', 'sqlite3, raw, folder'],
)
def test_a_recording_is_read_in_the_order_of_its_stamps(
    kept_at: Path, mcap: bool, compressed: bool, single_file: bool
) -> None:
    path = written(kept_at, compressed, mcap)
    if single_file:
        path = next(file for file in path.iterdir() if file.suffix in ('.mcap', '.db3'))
    items = list(read_recording(path))
    assert [item.stamp_ns for item in items] == sorted(item.stamp_ns for item in items)
    kinds = [ImageItem, OdometryItem, CameraInfoItem]
    assert [sum(isinstance(item, kind) for item in items) for kind in kinds] == [15, 30, 1]
    assert [item.number for item in images(items)] == list(range(15))
    assert np.abs(decode_frame(images(items)[3].frame).astype(int) - RED).max() <= 12
    assert images(items)[3].frame.frame_id == 'camera'
    assert (images(items)[3].frame.image is not None) == compressed
    poses = [item for item in items if isinstance(item, OdometryItem)]
    assert poses[20].pose.x_m == pytest.approx(2.0)
    known = next(item.calibration for item in items if isinstance(item, CameraInfoItem))
    assert known == dataclasses.replace(ROOM_CAMERA.calibration, stamp_ns=100 * NS_PER_S, frame_id='camera')


def test_a_pose_comes_before_the_image_of_its_stamp(kept_at: Path) -> None:
    items = list(read_recording(written(kept_at)))
    first = next(index for index, item in enumerate(items) if isinstance(item, ImageItem))
    assert any(isinstance(item, OdometryItem) for item in items[:first])


def test_compressed_images_are_the_bytes_they_were(kept_at: Path) -> None:
    item = images(list(read_recording(written(kept_at))))[0]
    assert item.frame.image is not None
    assert item.frame.image.data == JPEG


def test_images_are_sampled_and_keep_their_numbers(kept_at: Path) -> None:
    assert [item.number for item in images(list(read_recording(written(kept_at), sample_hz=1.0)))] == [0, 5, 10]


def test_a_message_without_a_stamp_counts_from_when_it_was_recorded(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', [recorded_jpeg(JPEG, 0.0, recorded_s=100.0 + step) for step in range(3)])
    assert [item.stamp_ns for item in read_recording(path)] == [(100 + step) * NS_PER_S for step in range(3)]


def test_a_looped_recording_stays_in_its_order(tmp_path: Path) -> None:
    stamps_s = [100.0, 101.0, 102.0, 10.0, 11.0, 12.0]
    path = write_bag(
        tmp_path / 'bag', [recorded_jpeg(JPEG, one, recorded_s=500.0 + step) for step, one in enumerate(stamps_s)]
    )
    assert [item.stamp_ns / NS_PER_S for item in read_recording(path)] == stamps_s


def test_a_broken_image_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = dataclasses.replace(recorded_jpeg(JPEG[:-40], 100.1))
    path = write_bag(tmp_path / 'bag', [recorded_jpeg(JPEG, 100.0), broken, recorded_jpeg(JPEG, 100.2)])
    told: list[InputError] = []
    assert [item.number for item in images(list(read_recording(path, on_broken=told.append)))] == [0, 2]
    assert len(told) == 1
    assert 'image 1 of the recording is left out: a JPEG must run to its end marker' in str(told[0])
    with caplog.at_level(logging.WARNING):
        list(read_recording(path))
    assert 'image 1 of the recording is left out' in caplog.text


@pytest.mark.parametrize(
    'broken',
    [
        pytest.param(recorded_jpeg(JPEG[:-40], 100.0), id='truncated jpeg'),
        pytest.param(recorded_image(RED, 100.0, data=RED.reshape(-1)[:-1]), id='data shorter than step x height'),
        pytest.param(recorded_image(RED, 100.0, encoding='bayer_rggb16'), id='unknown encoding'),
        pytest.param(recorded_image(RED[:, :0], 100.0), id='size zero'),
    ],
)
def test_a_recording_of_broken_images_only_is_named(tmp_path: Path, broken: Recorded) -> None:
    path = write_bag(tmp_path / 'bag', [broken])
    with pytest.raises(InputError, match=r"got '.*bag': none of the 1 images on '/camera/image_raw.*' can be read"):
        list(read_recording(path))


# What cannot be read at all.


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a folder or file, got '.*none', which is none; check the path"):
        read_recording(tmp_path / 'none')


@pytest.mark.parametrize('name', ['bag.mcap', 'bag.db3', 'bag.bag', 'bag.txt', 'metadata.yaml'])
def test_a_file_that_is_no_bag_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'this is no bag' * 50)
    with pytest.raises(InputError, match='must be a rosbag2 or ROS 1 bag in one piece, got'):
        read_recording(path)


@pytest.mark.parametrize('text', ['', 'a: [', 'rosbag2_bagfile_information: {}'], ids=['empty', 'no yaml', 'no keys'])
def test_broken_metadata_is_named(tmp_path: Path, text: str) -> None:
    path = write_bag(tmp_path / 'bag', walk()[:3])
    (path / 'metadata.yaml').write_text(text)
    with pytest.raises(InputError, match='in one piece, got'):
        read_recording(path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'it has no metadata\.yaml, and 0 storage files'):
        read_recording(tmp_path)


def test_a_folder_without_metadata_stands_for_its_file(tmp_path: Path, kept_at: Path) -> None:
    path = shutil.copytree(written(kept_at), tmp_path / 'bag')
    (path / 'metadata.yaml').unlink()
    assert len(images(list(read_recording(path)))) == 15


def test_a_database_cut_short_is_named(tmp_path: Path, kept_at: Path) -> None:
    path = shutil.copytree(written(kept_at, mcap=False), tmp_path / 'bag')
    storage = next(path.glob('*.db3'))
    storage.write_bytes(storage.read_bytes()[: storage.stat().st_size // 2])
    with pytest.raises(InputError, match='in one piece, got'):
        list(read_recording(path))


@pytest.mark.parametrize('mcap', [True, False], ids=['mcap', 'sqlite3'])
def test_an_empty_recording_is_named(tmp_path: Path, mcap: bool) -> None:
    with pytest.raises(InputError, match=r"must hold messages, got '.*bag', which is empty; record it anew"):
        read_recording(write_bag(tmp_path / 'bag', [], mcap))


def test_a_recording_without_images_is_named_with_what_it_has(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', [recorded_odometry(pose(), 1.0)])
    with pytest.raises(InputError, match=r'must have images, got topics /odom \(nav_msgs/msg/Odometry, 1\); record'):
        read_recording(path)


# Messages for a player.


@pytest.mark.parametrize('mcap', [True, False], ids=['mcap', 'sqlite3'])
def test_messages_come_as_they_were_recorded(kept_at: Path, mcap: bool) -> None:
    path, recorded = written(kept_at, mcap=mcap), walk()
    found = list(read_messages(path))
    assert [one.stamp_ns for one in found] == [one.stamp_ns for one in recorded]
    assert {(one.topic, one.type) for one in found} == {(one.topic, one.type) for one in recorded}
    image = next(one for one in found if one.type == COMPRESSED_IMAGE)
    assert bytes(TYPES.deserialize_cdr(image.data, image.type).data) == JPEG
    assert read_topics(path)['/odom'] == (ODOMETRY, 30)


def test_messages_of_some_topics(kept_at: Path) -> None:
    path = written(kept_at)
    assert {one.topic for one in read_messages(path, ['/odom'])} == {'/odom'}
    with pytest.raises(
        InputError, match=r"topic '/tf' must be one of the recording with messages: /camera/camera_info"
    ):
        read_messages(path, ['/tf'])


@pytest.mark.parametrize('distro', ['humble', 'unheard_of'])
def test_a_bag_without_definitions_is_read_by_its_distribution(tmp_path: Path, kept_at: Path, distro: str) -> None:
    path = shutil.copytree(written(kept_at, mcap=False), tmp_path / 'bag')
    with sqlite3.connect(next(path.glob('*.db3'))) as database:
        database.execute('DELETE FROM message_definitions')
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('ros_distro: rosbags', f'ros_distro: {distro}'))
    assert len(images(list(read_recording(path)))) == 15
