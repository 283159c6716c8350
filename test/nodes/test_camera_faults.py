"""What cameras, clocks and drivers get wrong: the camera node says it once, counts it, shows it and lives on."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

import array
import math

import cv2
import numpy as np
import pictures
from builtin_interfaces.msg import Time
from cameras import STEP_NS, Camera, stamps
from diagnostic_msgs.msg import DiagnosticStatus
from embodied_r_interfaces.srv import Capture
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo

pytestmark = pytest.mark.ros

DAY_NS = 86400 * 10**9


def status(camera):
    found = camera.node.diagnostics.status()
    return found.level, found.message


def odometry_of(camera):
    publisher = camera.tester.create_publisher(Odometry, 'odom', 100)
    camera.graph.spin_until(publisher.get_subscription_count, 'discovery')
    return publisher


@pytest.mark.parametrize('wrong_ns', [DAY_NS, -10 * 10**9], ids=['a day ahead', '10 s back'])
def test_one_image_with_a_wrong_stamp_is_left_out_and_the_session_goes_on(graph, warnings, wrong_ns):
    camera = Camera(graph)
    sent = [pictures.compressed(stamp_ns, 60 * number) for number, stamp_ns in enumerate(stamps(9))]
    camera.send(*sent[:4], pictures.compressed(pictures.START_NS + wrong_ns), *sent[4:])
    frames = camera.wait_for_key_frames(3)
    assert {frame.session for frame in frames} == {pictures.START_NS}
    assert (camera.counters['bad_stamp'], camera.counters['time_jumps']) == (1, 0)
    (warning,) = warnings()
    assert 'the stamp of an image must lie near those around it, got' in warning
    assert status(camera)[0] == DiagnosticStatus.WARN


def test_a_capture_does_not_take_an_image_whose_stamp_is_doubtful(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS), pictures.compressed(pictures.START_NS + DAY_NS))
    response = graph.call(Capture, 'capture')
    assert (response.success, response.session, response.index) == (True, pictures.START_NS, 0)


def test_odometry_with_a_wrong_stamp_does_not_end_the_poses(graph, warnings):
    camera = Camera(graph)
    odom = odometry_of(camera)
    for number, stamp_ns in enumerate(stamps(8)):
        odom.publish(pictures.odometry(stamp_ns, 0.5 * number))
        if number == 4:
            odom.publish(pictures.odometry(pictures.START_NS + 10**7 * 10**9, 99.0))
    graph.spin_until(lambda: camera.counters['bad_odometry'], 'the bad pose')
    graph.spin(0.2)
    camera.send(*(pictures.compressed(stamp_ns, 60 * number) for number, stamp_ns in enumerate(stamps(8))))
    assert all(frame.has_pose for frame in camera.wait_for_key_frames(3))
    assert 'the stamp of an odometry message must lie near those around it' in warnings()[0]


def test_clocks_that_differ_are_said_once_with_both_values(graph, warnings):
    camera = Camera(graph, sample_hz=10.0)
    odom = odometry_of(camera)
    for number in range(140):
        stamp_ns = pictures.START_NS + number * 50_000_000
        odom.publish(pictures.odometry(stamp_ns + 12_300_000_000, 0.01 * number))
        camera.send(pictures.compressed(stamp_ns))
        graph.spin(0.05)
        if camera.node.diagnostics.status().message.startswith('odometry'):
            break
    level, sentence = status(camera)
    assert level == DiagnosticStatus.WARN
    assert sentence.startswith('odometry is stamped 12.')
    assert 's ahead of the images (newest stamps 101' in sentence
    assert sentence.endswith('; key frames carry no pose; let both use one clock')
    assert len([line for line in warnings() if 'odometry is stamped' in line]) == 1
    assert camera.counters['clocks_differ'] == 1
    assert not camera.key_frames[0].has_pose


@pytest.mark.parametrize('kind', ['image', 'odometry'])
def test_a_stamp_that_is_no_time_is_bad_input(graph, kind):
    camera = Camera(graph)
    odom = odometry_of(camera)
    camera.send(pictures.compressed(pictures.START_NS))
    for stamp in (Time(sec=2**31 - 1, nanosec=2**32 - 1), Time(sec=-5), Time(sec=5, nanosec=10**9)):
        if kind == 'image':
            message = pictures.compressed(pictures.START_NS)
            message.header.stamp = stamp
            camera.send(message)
        else:
            message = pictures.odometry(pictures.START_NS, 1.0)
            message.header.stamp = stamp
            odom.publish(message)
    graph.spin(0.2)
    camera.send(pictures.compressed(pictures.START_NS + STEP_NS))
    assert camera.counters['bad_frame'] + camera.counters['bad_odometry'] >= 2
    assert (camera.node.faults.count, camera.counters['time_jumps']) == (0, 0)
    camera.wait_for_key_frames(1)


@pytest.mark.parametrize('transport', ['compressed', 'raw'])
def test_images_of_a_few_pixels_are_survived(graph, transport):
    camera = Camera(graph, transport, sample_hz=60.0)
    sizes = [(1, 1), (1, 1), (2, 1), (3, 3), (5, 5), (2000, 1), (1, 2000), (2, 2), (3, 640), (320, 240), (1, 1)]
    for number, (width, height) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
        stamp_ns = pictures.START_NS + number * 100_000_000
        if transport == 'raw':
            message = pictures.raw(stamp_ns, width=width, height=height, step=3 * width)
            message.data = array.array('B', pixels.tobytes())
        else:
            message = pictures.compressed(stamp_ns, data=cv2.imencode('.jpg', pixels)[1].tobytes())
        camera.send(message)
    graph.spin(0.2)
    assert len(camera.key_frames) >= 8
    assert (camera.node.faults.count, camera.counters['bad_frame']) == (0, 0)


@pytest.mark.parametrize(
    ('focal_px', 'centre_px', 'numbers'),
    [
        (math.nan, 160.0, 'nan, nan, 160, 120'),
        (1e308, 1e308, '1e+308, 1e+308, 1e+308, 120'),
        (1e-300, 0.0, '1e-300, 1e-300, 0, 120'),
        (300.0, -1e9, '300, 300, -1e+09, 120'),
    ],
    ids=['NaN', 'huge', 'tiny', 'negative centre'],
)
def test_a_calibration_that_no_camera_has_is_named_and_not_used(graph, warnings, focal_px, centre_px, numbers):
    camera = Camera(graph)
    info = camera.tester.create_publisher(CameraInfo, 'camera_info', 1)
    graph.spin_until(info.get_subscription_count, 'discovery')
    message = pictures.camera_info(pictures.START_NS, focal_px)
    message.k[2] = centre_px
    info.publish(message)
    graph.spin(0.3)
    camera.send(*(pictures.compressed(stamp_ns, 60 * number) for number, stamp_ns in enumerate(stamps(5))))
    assert {frame.camera_info.width for frame in camera.wait_for_key_frames(2)} == {0}
    (warning,) = warnings()
    assert f'got fx, fy, cx, cy = {numbers} for 320 x 240; turns' in warning


def test_a_picture_too_large_and_one_of_distances_are_refused(graph, warnings):
    camera = Camera(graph)
    bomb = cv2.imencode('.png', np.zeros((8000, 8000), np.uint8))[1].tobytes()
    depth = cv2.imencode('.png', np.full((24, 32), 3000, np.uint16))[1].tobytes()
    for number, data in enumerate((bomb, depth)):
        camera.send(pictures.compressed(pictures.START_NS + number * STEP_NS, data=data, kind='png'))
    assert camera.counters['bad_frame'] == 2
    assert ['at most 50000000 pixels, got 8000 x 8000' in line for line in warnings()] == [True, False]
    assert 'got distances' in warnings()[1]


@pytest.mark.parametrize('fault', ['one stamp for all', 'no picture'])
def test_diagnostics_are_an_error_where_images_come_and_none_can_be_used(graph, fault):
    camera = Camera(graph, silence_s=0.5)
    assert status(camera)[0] == DiagnosticStatus.STALE
    camera.send(pictures.compressed(pictures.START_NS))
    assert status(camera)[0] == DiagnosticStatus.OK
    for number in range(15):
        stamp_ns = pictures.START_NS + (0 if fault == 'one stamp for all' else number * STEP_NS)
        camera.send(pictures.compressed(stamp_ns, data=None if fault == 'one stamp for all' else b'x'))
        graph.spin(0.1)
    level, sentence = status(camera)
    assert level == DiagnosticStatus.ERROR
    assert sentence.startswith('images come, but none could be used for ')
    assert ('later than the one before' if fault == 'one stamp for all' else 'JPEG or PNG') in sentence


def test_a_silent_sender_is_listened_to_anew_and_less_and_less_often(graph):
    camera = Camera(graph, silence_s=0.2)
    for _ in range(20):
        graph.spin(0.1)
    assert 2 <= camera.counters['listened_anew'] <= 4
    graph.spin_until(camera.images.get_subscription_count, 'the camera node at the image topic')
    camera.send(pictures.compressed(pictures.START_NS))
    assert len(camera.wait_for_key_frames(1)) == 1
    assert status(camera)[0] == DiagnosticStatus.OK


def test_nothing_is_listened_to_anew_where_nobody_sends(graph):
    camera = Camera(graph, silence_s=0.2)
    topic = camera.images.topic_name
    camera.tester.destroy_publisher(camera.images)
    graph.spin_until(lambda: not camera.node.count_publishers(topic), 'the camera to go')
    before = camera.counters['listened_anew']
    graph.spin(1.0)
    assert camera.counters['listened_anew'] == before
