"""From frames and poses to key frames."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from builders import ROOM_CAMERA, blank, drive, frame, jpeg, ns, pan, pose, room, texture

from embodied_r_ros.adapters.codec import encode_frame, frame_from_compressed, small_grey
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, Frame, Transform
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.pose_track import POSES_KEPT
from embodied_r_ros.core.records import EncodedImage, KeyFrame, MotionSource, Pose


def framer(mounting: MountingSettings | None = None, **settings: float) -> KeyFramer:
    return KeyFramer(KeyFrameSettings(**settings), small_grey, encode_frame, mounting)


def push_pan(one: KeyFramer, steps: int = 13, start_s: float = 100.0) -> list[KeyFrame]:
    """Two views a second, each 9 % further to the right; every sixth is a key frame."""
    return [key for step, view in enumerate(pan(steps, 0.09)) for key in one.push(frame(view, start_s + 0.5 * step))]


def test_key_frames_are_numbered_within_their_session() -> None:
    keys = push_pan(framer())
    assert [(key.index, key.stamp_ns) for key in keys] == [(0, ns(100.0)), (1, ns(103.0)), (2, ns(106.0))]
    assert [key.reason for key in keys] == ['first', 'overlap', 'overlap']
    assert {key.session for key in keys} == {ns(100.0)}
    assert keys[0].motion is None
    assert keys[0].frame_id == 'camera'


@pytest.mark.parametrize('rate_hz', [0.2, 1.0, 4.0, 60.0])
def test_frames_are_sampled_by_their_stamps(rate_hz: float) -> None:
    one = framer(sample_hz=rate_hz)
    picture = blank(32, 18)
    for step in range(600):
        one.push(frame(picture, 100.0 + step / 60.0, compressed=False))
    assert one.sampled == pytest.approx(10.0 * rate_hz, abs=1)
    assert one.received == 600


def test_a_jpeg_is_passed_on_as_the_bytes_it_is() -> None:
    image = jpeg(texture(320, 180))
    (key,) = framer().push(Frame(stamp_ns=ns(1), image=image, width=320, height=180))
    assert key.image is image


def test_a_raw_frame_becomes_a_jpeg() -> None:
    (key,) = framer().push(frame(texture(320, 180), 1.0, compressed=False))
    assert key.image.data.startswith(b'\xff\xd8')


@pytest.mark.parametrize(
    'stamp_s', [101.0, 100.5, 100.001], ids=['repeated', 'back by half a second', 'back by almost one']
)
def test_a_frame_out_of_order_is_ignored_and_counted(stamp_s: float) -> None:
    one = framer()
    one.push(frame(texture(320, 180), 100.0))
    one.push(frame(texture(320, 180), 101.0))
    assert one.push(frame(texture(320, 180, seed=5), stamp_s)) == []
    assert one.ignored == 1
    assert one.session == ns(100.0)


def test_a_jump_back_in_time_starts_a_session() -> None:
    one = framer()
    first, second = push_pan(one, steps=2, start_s=100.0), push_pan(one, steps=3, start_s=50.0)
    assert [(key.session, key.index, key.reason) for key in first + second] == [
        (ns(100.0), 0, 'first'),
        (ns(50.0), 0, 'first'),
    ]


def test_a_looped_recording_makes_sessions_of_different_numbers() -> None:
    one = framer()
    keys = [key for _ in range(3) for key in push_pan(one, steps=4)]
    assert [key.session for key in keys] == [ns(100.0), ns(100.0) + 1, ns(100.0) + 2]


def test_a_session_may_be_started_before_its_first_frame() -> None:
    one = framer()
    push_pan(one, steps=2)
    assert one.start_session(ns(200.0)) == ns(200.0)
    (key,) = one.push(frame(texture(320, 180), 201.0))
    assert (key.session, key.index, key.reason) == (ns(200.0), 0, 'first')


@pytest.mark.parametrize('later_s', [60.0, 1e6], ids=['a pause', 'another time base'])
def test_the_first_key_frame_of_a_session_has_the_pose_that_came_with_it(later_s: float) -> None:
    one = framer()
    for start_s in (100.0, 100.0 + later_s):
        one.push_pose(ns(start_s), pose(x_m=start_s))
        one.start_session(ns(start_s))
        (key,) = one.push(frame(texture(320, 180), start_s))
        assert key.pose is not None and key.pose.x_m == start_s


@pytest.mark.parametrize('stamp_ns', [0, -1])
def test_a_frame_without_a_stamp_is_refused(stamp_ns: int) -> None:
    one = framer()
    push_pan(one, steps=2)
    broken = dataclasses.replace(frame(texture(320, 180), 1.0), stamp_ns=stamp_ns)
    with pytest.raises(InputError, match=rf'needs the time .* got stamp_ns {stamp_ns} .* fill header\.stamp'):
        one.push(broken)
    assert one.session == ns(100.0)


def test_a_recording_may_begin_at_zero() -> None:
    assert [key.stamp_ns for key in push_pan(framer(), steps=7, start_s=0.0)] == [0, ns(3.0)]


def test_a_broken_frame_is_refused_and_changes_nothing() -> None:
    one = framer()
    whole = jpeg(texture(320, 180)).data
    with pytest.raises(InputError, match='cut short'):
        one.push(Frame(stamp_ns=ns(100.0), image=EncodedImage(data=whole[:-200]), width=320, height=180))
    assert one.session is None
    (key,) = one.push(frame(texture(320, 180), 100.1))
    assert key.reason == 'first'


def test_a_change_of_resolution_is_a_key_frame_and_the_session_goes_on() -> None:
    one = framer()
    keys = [
        one.push(frame(texture(*size), 100.0 + step))
        for step, size in enumerate([(320, 180), (320, 180), (320, 240), (320, 240), (160, 120)])
    ]
    assert [[(key.index, key.reason) for key in found] for found in keys[:4]] == [
        [(0, 'first')], [], [(1, 'overlap')], [],
    ]  # fmt: skip
    assert keys[2][0].motion is None
    assert one.session == ns(100.0)


def test_max_gap_is_kept_by_stamp() -> None:
    one = framer(max_gap_s=2.0, sample_hz=1.0)
    picture = texture(320, 180)
    keys = [one.push(frame(picture, 100.0 + step)) for step in range(7)]
    reasons = [found[0].reason if found else None for found in keys]
    assert reasons == ['first', None, 'max_gap', None, 'max_gap', None, 'max_gap']


# Poses and motion.


def test_motion_comes_from_odometry_where_both_poses_are_known() -> None:
    one = framer()
    for step in range(100):
        one.push_pose(ns(99.0 + 0.1 * step), pose(x_m=0.1 * step))
    keys = push_pan(one, steps=7)
    assert keys[1].pose is not None
    assert keys[1].pose.x_m == pytest.approx(4.0)
    assert keys[1].motion is not None
    assert keys[1].motion.source is MotionSource.ODOMETRY
    assert keys[1].motion.forward_m == pytest.approx(3.0)
    assert keys[1].motion.name == 'move forward'


def test_motion_comes_from_the_images_otherwise() -> None:
    one = framer()
    one.set_calibration(ROOM_CAMERA.calibration)
    keys = [one.push(frame(room((-1, 0, 1.2), look_left_deg=angle), 100.0 + angle / 10)) for angle in range(0, 45, 11)]
    key = next(found[0] for found in keys[1:] if found)
    assert key.pose is None
    assert key.motion is not None
    assert key.motion.source is MotionSource.IMAGES
    assert key.motion.name == 'rotate left'
    assert key.motion.rotate_left_deg == pytest.approx((key.stamp_ns / NS_PER_S - 100.0) * 10, abs=1.5)


def test_motion_is_none_where_nothing_tells() -> None:
    one = framer()
    one.push(frame(texture(320, 180, seed=1), 100.0))
    (key,) = one.push(frame(texture(320, 180, seed=2), 101.0))
    assert key.motion is None


@pytest.mark.parametrize(
    'bad',
    [
        Pose(x_m=math.nan, y_m=0, z_m=0, qx=0, qy=0, qz=0, qw=1),
        Pose(x_m=0, y_m=math.inf, z_m=0, qx=0, qy=0, qz=0, qw=1),
        Pose(x_m=0, y_m=0, z_m=0, qx=0, qy=0, qz=math.nan, qw=1),
        Pose(x_m=0, y_m=0, z_m=0, qx=0, qy=0, qz=0, qw=0),
    ],
    ids=['NaN position', 'infinite position', 'NaN orientation', 'zero quaternion'],
)
def test_nan_in_odometry_is_ignored_and_counted(bad: Pose) -> None:
    one = framer()
    one.push_pose(ns(100.0), pose(x_m=1.0))
    assert not one.push_pose(ns(100.05), bad)
    assert one.poses.ignored == 1
    keys = push_pan(one, steps=1)
    assert keys[0].pose == pose(x_m=1.0)


@pytest.mark.parametrize(
    ('rate_hz', 'duration_s'), [(1.0, 60.0), (10.0, 25.0), (50.0, 300.0), (200.0, 25.0), (1000.0, 120.0)]
)
def test_the_order_of_moves_is_kept_at_any_rate_over_any_gap(rate_hz: float, duration_s: float) -> None:
    one = framer(pose_max_age_s=0.5 / rate_hz + 0.1, max_gap_s=0.0)
    picture = frame(texture(320, 180), 100.0)
    keys = []
    for stamp_ns, at in drive(rate_hz, duration_s):
        one.push_pose(stamp_ns, at)
        if stamp_ns % ns(5.0) == 0:
            one.push(dataclasses.replace(picture, stamp_ns=stamp_ns))
        if stamp_ns in (ns(100.0), ns(100.0 + duration_s)):
            keys.append(one.capture())
    motion = keys[1].motion
    assert motion is not None
    assert [move.kind for move in motion.moves] == ['forward', 'turn', 'forward', 'turn']
    assert [move.amount for move in motion.moves] == pytest.approx([2.0, 90.0, 3.0, -45.0], abs=0.5)
    assert len(one.poses) < 2 * POSES_KEPT


@pytest.mark.parametrize('jumps', [False, True])
def test_no_motion_is_told_across_a_jump_of_odometry(jumps: bool) -> None:
    one = framer()
    for step in range(70):
        one.push_pose(ns(100.0 + 0.1 * step), pose(x_m=0.1 * step, y_m=4.0 if jumps and step > 45 else 0.0))
    keys = push_pan(one)
    assert [key.pose is not None for key in keys] == [True] * 3
    assert keys[0].motion is None
    assert [key.motion and key.motion.jumped for key in keys[1:]] == [False, jumps]
    assert one.poses.jumps == jumps


def test_odometry_once_a_second_gives_poses_and_metres() -> None:
    one = framer()
    for step in range(8):
        one.push_pose(ns(99.5 + step), pose(x_m=0.5 * step))
    keys = push_pan(one)
    assert [key.pose and key.pose.x_m for key in keys] == pytest.approx([0.25, 1.75, 3.25])
    assert [key.motion and key.motion.forward_m for key in keys[1:]] == pytest.approx([1.5, 1.5])


# How the camera is mounted.


def test_key_frames_carry_the_pose_of_the_camera_and_that_of_the_base() -> None:
    one = framer(MountingSettings(camera_pose='0.1 0 1.2 0 0 180'))
    one.set_calibration(ROOM_CAMERA.calibration)
    (key,) = push_pan(one, steps=1)
    assert key.camera_pose is not None
    assert (key.camera_pose.x_m, key.camera_pose.z_m) == (0.1, 1.2)
    assert math.degrees(key.camera_pose.yaw_rad) == pytest.approx(180.0)
    camera = one.camera_of(frame(texture(320, 180), 100.0))
    assert camera is not None
    assert camera.pose == key.camera_pose


def test_poses_of_another_child_frame_are_those_of_the_base() -> None:
    one = framer(MountingSettings(base_frame='base_link'))
    one.mounting.push(Transform(parent='base_link', child='imu', pose=pose(x_m=-1.0), fixed=True))
    for step in range(5):
        assert one.push_pose(ns(100.0 + 0.1 * step), pose(), 'odom', 'imu')
    (key,) = push_pan(one, steps=1)
    assert key.pose == pose(x_m=1.0)


# Requests and the end of a recording.


def test_capture_takes_the_newest_frame() -> None:
    one = framer(sample_hz=1.0)
    views = pan(4, 0.05)
    for step, view in enumerate(views):
        one.push(frame(view, 100.0 + 0.1 * step))
    key = one.capture()
    assert (key.index, key.reason, key.stamp_ns) == (1, 'requested', ns(100.3))
    assert key.overlap == pytest.approx(0.85, abs=0.02)
    assert one.capture() is key


def test_capture_passes_over_a_broken_frame() -> None:
    one = framer(sample_hz=1.0)
    whole = jpeg(texture(320, 180)).data
    one.push(frame(texture(320, 180), 100.0))
    one.push(frame(texture(320, 180), 100.1))
    one.push(Frame(stamp_ns=ns(100.2), image=EncodedImage(data=whole[:-200]), width=320, height=180))
    assert one.capture().stamp_ns == ns(100.1)


def test_capture_without_a_frame_says_so() -> None:
    with pytest.raises(InputError, match='a capture needs a frame, got none .*; check that the camera publishes'):
        framer().capture()


def test_capture_never_crosses_sessions() -> None:
    one = framer()
    push_pan(one, steps=3)
    one.start_session(ns(500.0))
    with pytest.raises(InputError, match='a capture needs a frame'):
        one.capture()


def test_the_last_sampled_frame_is_kept_where_the_caller_wants_it() -> None:
    one = framer(sample_hz=2.0)
    push_pan(one, steps=10)
    (key,) = one.finish()
    assert (key.index, key.stamp_ns, key.reason) == (2, ns(104.5), 'requested')
    assert one.finish() == []
    assert framer().finish() == []


def test_frames_kept_are_bounded() -> None:
    one = framer(buffer_s=600.0, buffer_mb=1.0)
    for step in range(30):
        one.push(frame(blank(320, 180), 100.0 + step, compressed=False))
    assert one.frames.nbytes <= 1e6
    assert one.frames.dropped == 30 - len(one.frames)


# Calibration.


def test_a_calibration_that_does_not_fit_is_told_and_left_out() -> None:
    one = framer()
    one.set_calibration(dataclasses.replace(ROOM_CAMERA.calibration, k=(0.0,) * 9))
    assert push_pan(one, steps=1)[0].calibration is None
    assert 'K of a calibrated camera' in one.misfit


def test_key_frames_carry_the_calibration() -> None:
    one = framer()
    one.set_calibration(ROOM_CAMERA.calibration)
    assert push_pan(one, steps=1)[0].calibration == ROOM_CAMERA.calibration
    assert one.misfit == ''


# Odd pictures and stamps.

TINY = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (5, 5), (1, 2000), (2000, 1), (3, 640), (31, 31), (64, 12), (320, 180)]


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'pixels'])
def test_images_of_any_size_in_any_order_are_survived(kind: str) -> None:
    random = np.random.default_rng(3)
    one = framer(sample_hz=60.0)
    one.set_calibration(ROOM_CAMERA.calibration)
    for step in range(150):
        width, height = TINY[random.integers(len(TINY))] if step % 3 else TINY[step // 3 % len(TINY)]
        picture = random.integers(0, 255, (height, width, 3), np.uint8)
        taken = frame(picture, 100.0 + step / 10, compressed=False)
        if kind != 'pixels':
            data = cv2.imencode('.jpg' if kind == 'jpeg' else '.png', picture)[1].tobytes()
            taken = frame_from_compressed(taken.stamp_ns, '', data)
        one.push(taken)
        if step % 2:
            one.capture()
    assert one.sampled == 150


def test_one_image_with_a_wrong_stamp_changes_nothing() -> None:
    one, picture = framer(), texture(320, 180)
    for stamp_s in (100.0, 100.25, 86500.0, 100.5, 90.0, 100.75):
        one.push(frame(picture, stamp_s))
    assert (one.session, one.outliers, one.ignored, one.sampled) == (ns(100.0), 2, 0, 4)


def test_a_capture_is_never_of_a_frame_whose_stamp_is_doubtful() -> None:
    one, picture = framer(), texture(320, 180)
    for stamp_s in (100.0, 100.1, 86500.0):
        one.push(frame(picture, stamp_s))
    assert one.capture().stamp_ns == ns(100.1)


def test_a_pause_goes_on_in_its_session_and_loses_no_frame() -> None:
    one = framer(max_gap_s=10.0)
    keys = [key for stamp_s in (100.0, 100.5, 130.0, 130.5) for key in one.push(frame(texture(320, 180), stamp_s))]
    assert [(key.session, key.stamp_ns, key.reason) for key in keys] == [
        (ns(100.0), ns(100.0), 'first'),
        (ns(100.0), ns(130.0), 'max_gap'),
    ]


def test_a_frame_after_a_pause_at_the_end_of_a_recording_counts() -> None:
    one = framer()
    for stamp_s in (100.0, 130.0):
        one.push(frame(texture(320, 180), stamp_s))
    assert [key.stamp_ns for key in one.finish(keep_last=False)] == [ns(130.0)]


def test_a_frame_that_cannot_be_read_does_not_wait() -> None:
    one = framer()
    one.push(frame(texture(320, 180), 100.0))
    broken = EncodedImage(data=jpeg(texture(320, 180)).data[:-200])
    with pytest.raises(InputError, match='cut short'):
        one.push(Frame(stamp_ns=ns(130.0), image=broken, width=320, height=180))
    assert one.push(frame(texture(320, 180), 130.1)) == []
