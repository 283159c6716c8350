"""Transforms, frames of odometry and calibrations as recordings hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import (
    ROOM_CAMERA,
    Recorded,
    jpeg,
    ns,
    pose,
    recorded_camera_info,
    recorded_jpeg,
    recorded_odometry,
    recorded_transforms,
    texture,
    write_bag,
)

from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.app import offline
from embodied_r_ros.core.frames import ImageItem, OdometryItem, RecordedItem, Transform
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.mounting import BODY_IN_OPTICAL, MountingSettings
from embodied_r_ros.core.poses import inverse

pytestmark = pytest.mark.system

MAST = Transform(parent='base_link', child='mast', pose=pose(z_m=1.0), stamp_ns=ns(50.0), fixed=True)
CAMERA = Transform(parent='mast', child='camera', pose=inverse(BODY_IN_OPTICAL), stamp_ns=ns(9000.0), fixed=True)
HEAD = [
    Transform(parent='base_link', child='head', pose=pose(yaw_deg=45.0 * step), stamp_ns=ns(100.0 + 0.2 * step))
    for step in range(5)
]


def camera(images: int = 5) -> list[Recorded]:
    view = jpeg(texture(320, 180)).data
    return [recorded_jpeg(view, 100.0 + 0.2 * step) for step in range(images)]


def recording(folder: Path, *messages: Recorded) -> Path:
    return write_bag(folder / 'bag', sorted([*camera(), *messages], key=lambda item: item.stamp_ns))


def transforms(items: list[RecordedItem]) -> list[Transform]:
    return [item for item in items if isinstance(item, Transform)]


def test_fixed_transforms_come_first_whenever_and_by_whomever_they_were_recorded(tmp_path: Path) -> None:
    bag = recording(
        tmp_path, recorded_transforms(MAST, recorded_s=100.05), recorded_transforms(CAMERA, recorded_s=100.9)
    )
    items = list(read_recording(bag))
    assert items[:2] == [MAST, CAMERA]
    assert sum(isinstance(item, ImageItem) for item in items) == 5


def test_moving_transforms_come_in_their_order_among_the_images(tmp_path: Path) -> None:
    bag = recording(tmp_path, *(recorded_transforms(head, recorded_s=head.stamp_ns / 1e9 + 0.1) for head in HEAD))
    items = list(read_recording(bag))
    assert transforms(items) == HEAD
    assert [item.stamp_ns for item in items] == sorted(item.stamp_ns for item in items)


def test_odometry_tells_its_frames(tmp_path: Path) -> None:
    items = read_recording(recording(tmp_path, recorded_odometry(pose(), 100.0)))
    (at,) = [item for item in items if isinstance(item, OdometryItem)]
    assert (at.frame_id, at.child_frame_id) == ('odom', 'base_link')


def test_key_frames_of_a_recording_know_where_the_camera_was(tmp_path: Path) -> None:
    bag = recording(
        tmp_path,
        recorded_camera_info(ROOM_CAMERA.calibration, 100.0),
        recorded_odometry(pose(), 100.0),
        recorded_transforms(MAST, CAMERA, recorded_s=100.7),
    )
    told = offline.scan(bag, KeyFrameSettings())
    assert told.frame_id == 'odom'
    assert told.key_frames[0].camera_pose is not None
    assert told.key_frames[0].camera_pose.z_m == pytest.approx(1.0)
    given = offline.scan(bag, KeyFrameSettings(), mounting=MountingSettings(camera_pose='0 0 2 0 0 0'))
    assert given.key_frames[0].camera_pose == pose(z_m=2.0)


def test_a_head_that_turns_is_read_at_the_stamp_of_each_image(tmp_path: Path) -> None:
    eye = Transform(parent='head', child='camera', pose=inverse(BODY_IN_OPTICAL), fixed=True)
    bag = recording(tmp_path, recorded_transforms(eye), *(recorded_transforms(head) for head in HEAD))
    last = offline.scan(bag, KeyFrameSettings(), keep_last=True).key_frames[-1]
    assert last.stamp_ns == ns(100.8)
    assert last.camera_pose is not None
    assert last.camera_pose.yaw_rad == pytest.approx(HEAD[-1].pose.yaw_rad)


def test_odometry_once_a_second_is_interpolated(tmp_path: Path) -> None:
    bag = recording(tmp_path, *(recorded_odometry(pose(x_m=float(second)), 99.5 + second) for second in range(3)))
    recorded = offline.scan(bag, KeyFrameSettings(), keep_last=True)
    assert [key.pose and key.pose.x_m for key in recorded.key_frames] == pytest.approx([0.5, 1.3])


def test_what_is_odd_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loop = Transform(parent='camera', child='base_link', pose=pose(), fixed=True)
    bag = recording(
        tmp_path,
        recorded_camera_info(ROOM_CAMERA.resized(200, 200).calibration, 100.0),
        recorded_transforms(MAST, CAMERA, loop, loop),
        *(recorded_odometry(pose(x_m=50.0 * (step > 2)), 100.0 + 0.1 * step) for step in range(5)),
    )
    offline.scan(bag, KeyFrameSettings())
    told = caplog.messages
    assert sum('transforms must form a tree' in line for line in told) == 1
    assert sum('odometry jumped 1 times' in line for line in told) == 1
    assert sum('the images must show what camera_info describes' in line for line in told) == 1
