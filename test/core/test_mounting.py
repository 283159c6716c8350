"""Where the camera sits on the base, and where the base is, from transforms and settings."""

from __future__ import annotations

import math

import pytest
from builders import pose

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.frames import NS_PER_S, Transform
from embodied_r_ros.core.mounting import MAX_AGE_S, Mounting, MountingSettings, read_camera_pose
from embodied_r_ros.core.poses import pose_from_angles, position, rotation_matrix
from embodied_r_ros.core.records import Pose

# What a robot's description says of a level camera's optical frame: z ahead, x to the right.
OPTICAL = pose_from_angles(0.0, 0.0, 0.0, -math.pi / 2, 0.0, -math.pi / 2)


def fixed(child: str, parent: str, at: Pose) -> Transform:
    return Transform(parent=parent, child=child, pose=at, fixed=True)


def mounting(*transforms: Transform, **settings: str) -> Mounting:
    one = Mounting(MountingSettings(**settings))
    for transform in transforms:
        one.push(transform)
    return one


def turned(roll_deg: float, pitch_deg: float, yaw_deg: float) -> Pose:
    return pose_from_angles(0.3, -0.5, 1.2, *map(math.radians, (roll_deg, pitch_deg, yaw_deg)))


@pytest.mark.parametrize(
    ('angles_deg', 'ahead'),
    [((0, 0, 0), (1, 0, 0)), ((0, 0, 180), (-1, 0, 0)), ((0, 0, 90), (0, 1, 0)), ((180, 0, 0), (1, 0, 0)),
     ((0, 30, 0), (math.cos(math.pi / 6), 0, -0.5))],
    ids=['ahead', 'rear', 'left', 'upside down', 'tilted'],
)  # fmt: skip
def test_the_camera_sits_where_transforms_say(angles_deg: tuple[float, ...], ahead: tuple[float, ...]) -> None:
    one = mounting(fixed('camera', 'base_link', turned(*angles_deg)), fixed('camera_optical', 'camera', OPTICAL))
    seen = one.camera_pose('camera_optical', 0)
    assert seen is not None
    assert position(seen) == pytest.approx([0.3, -0.5, 1.2])
    assert rotation_matrix(seen)[:, 0] == pytest.approx(ahead, abs=1e-9)
    assert rotation_matrix(seen) == pytest.approx(rotation_matrix(turned(*angles_deg)), abs=1e-9)
    assert one.knows('camera_optical', 0)
    assert one.take_notes() == []


def test_a_setting_counts_more_than_transforms() -> None:
    one = mounting(fixed('camera', 'base_link', OPTICAL), camera_pose='1, 2, 3, 0, 0, 90')
    seen = one.camera_pose('camera', 0)
    assert seen is not None
    assert position(seen).tolist() == [1.0, 2.0, 3.0]
    assert math.degrees(seen.yaw_rad) == pytest.approx(90.0)


@pytest.mark.parametrize('text', ['1 2 3', '1 2 3 4 5 6 7', '1 2 3 4 5 x', '1 2 3 4 5 nan', 'ahead'])
def test_a_camera_pose_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="camera_pose must be six numbers, 'x y z roll pitch yaw' .*, got '"):
        Mounting(MountingSettings(camera_pose=text))


def test_an_empty_camera_pose_is_none() -> None:
    assert read_camera_pose(' ') is None


def test_without_transforms_the_camera_looks_ahead_which_is_said_once() -> None:
    one = mounting()
    assert [one.camera_pose('camera', 0) for _ in range(2)] == [None, None]
    ((sentence, grave),) = one.take_notes()
    assert sentence.startswith(
        'no transforms tell where the camera is on the base, so it is taken to look ahead, level'
    )
    assert not grave
    assert one.take_notes() == []
    assert not one.knows('camera', 0)


def test_transforms_that_do_not_lead_to_the_base_are_said() -> None:
    one = mounting(fixed('camera', 'mast', OPTICAL), fixed('wheel', 'base_link', pose()))
    assert one.camera_pose('camera', 0) is None
    ((note, grave),) = one.take_notes()
    assert grave
    assert "no transforms lead from 'camera' to 'base_link'" in note


def test_the_camera_stays_where_it_was_while_transforms_are_late() -> None:
    one = mounting(Transform(parent='base_link', child='camera', pose=OPTICAL, stamp_ns=10 * NS_PER_S))
    before = one.camera_pose('camera', 10 * NS_PER_S)
    assert before is not None
    assert one.camera_pose('camera', 10 * NS_PER_S + int((MAX_AGE_S + 1.0) * NS_PER_S)) == before
    ((note, grave),) = one.take_notes()
    assert grave
    assert 'taken to be where it was' in note


def test_a_camera_that_turns_is_read_at_the_stamp_of_the_image() -> None:
    one = mounting(fixed('camera', 'head', OPTICAL))
    for step in range(3):
        head = pose(yaw_deg=45.0 * step)
        one.push(Transform(parent='base_link', child='head', pose=head, stamp_ns=10 * NS_PER_S + step * NS_PER_S // 10))
    seen = one.camera_pose('camera', 10 * NS_PER_S + NS_PER_S // 20)
    assert seen is not None
    assert math.degrees(seen.yaw_rad) == pytest.approx(22.5)


def test_images_of_a_frame_that_is_not_optical_are_noticed() -> None:
    one = mounting(fixed('camera_link', 'base_link', pose(z_m=1.0)))
    one.camera_pose('camera_link', 0)
    ((note, grave),) = one.take_notes()
    assert grave
    assert note.startswith("the camera looks straight up, since the images are of frame 'camera_link'")


def test_what_is_wrong_with_transforms_is_said_once() -> None:
    one = mounting(*(fixed('base', 'base', pose()) for _ in range(3)))
    assert one.take_notes() == [("transforms must form a tree, got a loop through frame 'base' in 'base'", True)]


# The base.


def test_the_base_is_the_child_frame_of_odometry() -> None:
    one = mounting(fixed('camera', 'base_link', OPTICAL), fixed('base_link', 'footprint', pose(z_m=0.2)))
    assert one.base_frame == 'base_link'
    one.base_pose(pose(), 'odom', 'footprint', 0)
    assert one.base_frame == 'footprint'
    seen = one.camera_pose('camera', 0)
    assert seen is not None
    assert seen.z_m == pytest.approx(0.2)


def test_odometry_of_another_frame_becomes_that_of_the_base() -> None:
    one = mounting(fixed('imu', 'base_link', pose(1.0, 0.0, yaw_deg=90)), base_frame='base_link')
    placed = one.base_pose(pose(5.0, 1.0, yaw_deg=90), 'odom', 'imu', 0)
    assert placed is not None
    assert position(placed) == pytest.approx([4.0, 1.0, 0.0])
    assert placed.yaw_rad == pytest.approx(0.0)


def test_odometry_is_left_out_where_nothing_leads_to_the_base() -> None:
    one = mounting(base_frame='base_link')
    assert one.base_pose(pose(), 'odom', 'imu', 0) is None
    assert one.base_pose(pose(), 'odom', 'imu', 0) is None
    ((note, grave),) = one.take_notes()
    assert grave
    assert note.startswith("odometry is of 'imu', and its poses are left out: no transforms lead from 'base_link'")


@pytest.mark.parametrize(('frame', 'child'), [('odom', 'base_link'), ('odom', ''), ('', '')])
def test_odometry_of_the_base_or_of_no_name_stays_as_it_is(frame: str, child: str) -> None:
    at = pose(1.0, 2.0, yaw_deg=30)
    assert mounting(base_frame='base_link').base_pose(at, frame, child, 0) is at


def test_poses_are_told_in_the_fixed_frame() -> None:
    one = mounting(fixed('odom', 'map', pose(10.0, 0.0, yaw_deg=90)), fixed_frame='map')
    placed = one.base_pose(pose(1.0, 0.0), 'odom', 'base_link', 0)
    assert placed is not None
    assert position(placed) == pytest.approx([10.0, 1.0, 0.0])
    assert mounting(fixed_frame='map').base_pose(pose(), 'odom', 'base_link', 0) is None


def test_frames_of_odometry_change_with_a_session_only() -> None:
    one = mounting()
    assert one.base_pose(pose(), 'odom', 'base_link', 0) is not None
    assert one.base_pose(pose(), 'vio', 'base_link', 0) is None
    ((note, _),) = one.take_notes()
    assert note == (
        "odometry must keep its frames, got 'vio' to 'base_link' after 'odom' to 'base_link'; such poses are left out"
    )
    one.reset()
    assert one.base_pose(pose(), 'vio', 'base_link', 0) is not None
