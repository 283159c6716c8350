"""The camera node over real DDS: key frames from good images, a warning and nothing worse from bad ones."""

from __future__ import annotations

import array
import importlib.metadata
import math

import pytest

pytest.importorskip('rclpy')

import cv2
import numpy as np
import pictures
from cameras import RELIABLE, STEP_NS, Camera, stamps
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from embodied_r_interfaces.msg import KeyFrame
from embodied_r_interfaces.srv import Capture
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.camera_node import CameraNode
from embodied_r_ros.nodes.conversions import ns_from_stamp
from embodied_r_ros.nodes.image_topic import SequenceGaps
from embodied_r_ros.ros_client.graph import Graph

pytestmark = pytest.mark.ros

# Since Kilted, whose rclpy is version 9.
SENDERS_ARE_NAMED = int(importlib.metadata.version('rclpy').partition('.')[0]) >= 9


def numbered(number, sender=b'a'):
    """What the middleware tells of a message."""
    return {'publication_sequence_number': number, 'publisher_gid': {'data': sender}}


def panning(count):
    return [pictures.compressed(stamp_ns, 60 * number) for number, stamp_ns in enumerate(stamps(count))]


def test_a_pan_yields_key_frames_with_the_bytes_as_they_came(graph):
    camera = Camera(graph)
    sent = panning(9)
    camera.send(*sent)
    frames = camera.wait_for_key_frames(3)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.session for frame in frames} == {pictures.START_NS}
    assert [frame.reason for frame in frames] == [KeyFrame.FIRST, KeyFrame.OVERLAP, KeyFrame.OVERLAP]
    assert math.isnan(frames[0].overlap)
    assert 0.0 < frames[1].overlap < 0.5
    assert frames[0].image.data == sent[0].data
    assert frames[0].header.frame_id == pictures.FRAME_ID
    assert frames[0].image.header.stamp == frames[0].header.stamp
    assert frames[1].motion.source == frames[1].motion.IMAGES


def test_images_that_come_faster_than_they_are_taken_are_counted_as_lost(graph):
    camera = Camera(graph)
    first, *others = panning(12)
    camera.send(first)
    for message in others:
        camera.images.publish(message)
    camera.send(pictures.compressed(pictures.START_NS + 100 * STEP_NS))
    graph.spin(0.2)
    lost = next(pair.value for pair in camera.node.diagnostics.status().values if pair.key == 'images_lost')
    if SENDERS_ARE_NAMED:
        assert int(lost) > 0
        assert camera.counters['images_received'] + int(lost) == 13
    else:
        assert lost == 'not known'


@pytest.mark.parametrize(
    ('numbered', 'lost'),
    [
        ([], None),
        ([{}], None),
        ([{'publication_sequence_number': 3}, {'publication_sequence_number': 9}], None),
        ([numbered(None), numbered(None)], None),
        ([numbered(0), numbered(0)], None),
        ([numbered(7)], 0),
        ([numbered(7), numbered(8)], 0),
        ([numbered(7), numbered(11), numbered(12)], 3),
        ([numbered(7), numbered(90, b'b'), numbered(9), numbered(92, b'b')], 2),
        ([numbered(7), numbered(9), numbered(8), numbered(10)], 1),
    ],
    ids=[
        'nothing came',
        'nothing told',
        'no sender, as on Jazzy',
        'no number',
        'a number left empty',
        'the first',
        'the next',
        'a gap',
        'two senders',
        'out of order',
    ],
)
def test_a_gap_in_the_numbers_of_one_sender_is_what_was_lost(numbered, lost):
    gaps = SequenceGaps()
    for info in numbered:
        gaps.note(info)
    assert gaps.lost == lost


def test_what_was_sent_while_nobody_listened_is_not_lost():
    gaps = SequenceGaps()
    gaps.note(numbered(1))
    gaps.note(numbered(3))
    gaps.restart()
    gaps.note(numbered(90))
    assert gaps.lost == 1


def test_raw_images_become_jpegs_with_red_still_red(graph):
    camera = Camera(graph, 'raw')
    red_rgb = array.array('B', [255, 0, 0] * (pictures.WIDTH * pictures.HEIGHT))
    camera.send(pictures.raw(pictures.START_NS, encoding='rgb8', data=red_rgb))
    frame = camera.wait_for_key_frames(1)[0]
    blue, green, red = cv2.imdecode(np.frombuffer(frame.image.data, np.uint8), cv2.IMREAD_COLOR).mean(axis=(0, 1))
    assert red > 240
    assert max(blue, green) < 15


def test_odometry_and_calibration_go_with_the_key_frames(graph):
    camera = Camera(graph)
    odom = camera.tester.create_publisher(Odometry, 'odom', 100)
    info = camera.tester.create_publisher(CameraInfo, 'camera_info', 1)
    graph.spin_until(lambda: odom.get_subscription_count() and info.get_subscription_count(), 'discovery')
    told = pictures.camera_info(pictures.START_NS)
    told.distortion_model, told.d = 'plumb_bob', [-0.3, 0.1, 0.0, 0.0, 0.0]
    info.publish(told)
    for number, stamp_ns in enumerate(stamps(12)):
        odom.publish(pictures.odometry(stamp_ns, 0.5 * number))
    graph.spin(0.3)
    camera.send(*panning(7))
    first, second, _ = camera.wait_for_key_frames(3)
    assert first.camera_info == told
    assert (first.has_pose, first.pose.position.x) == (True, 0.0)
    walked_m = 0.5 * (ns_from_stamp(second.header.stamp) - pictures.START_NS) / STEP_NS
    assert second.pose.position.x == pytest.approx(walked_m)
    assert second.motion.source == second.motion.ODOMETRY
    assert second.motion.forward_m == pytest.approx(walked_m)


def test_odometry_that_waits_is_taken_before_the_images_that_wait(graph):
    camera = Camera(graph)
    odom = camera.tester.create_publisher(Odometry, 'odom', 100)
    graph.spin_until(odom.get_subscription_count, 'discovery')
    for number in range(50):
        odom.publish(pictures.odometry(pictures.START_NS + number * STEP_NS // 10, 0.001 * number**2))
    for message in panning(5):
        camera.images.publish(message)
    assert camera.images.wait_for_all_acked(Duration(seconds=10.0))
    *_, last = camera.wait_for_key_frames(2)
    steps = (ns_from_stamp(last.header.stamp) - pictures.START_NS) / STEP_NS
    assert steps >= 2
    assert last.pose.position.x == pytest.approx(0.001 * (10 * steps) ** 2)


def test_a_late_listener_gets_the_key_frames_so_far(graph):
    camera = Camera(graph)
    camera.send(*panning(9))
    camera.wait_for_key_frames(3)
    late = []
    graph.node('late').create_subscription(KeyFrame, 'key_frames', late.append, qos.KEY_FRAMES)
    graph.spin_until(lambda: len(late) == 3, 'the history')
    assert [frame.index for frame in late] == [0, 1, 2]


def test_images_above_the_sampling_rate_are_not_looked_at(graph):
    camera = Camera(graph, sample_hz=1.0)
    camera.send(*panning(9))
    assert [ns_from_stamp(frame.header.stamp) for frame in camera.wait_for_key_frames(3)] == stamps(9)[::4]


def bad_frames():
    """One bad image of each kind: transport, message, and a part of the warning."""
    after = pictures.START_NS + STEP_NS
    whole = pictures.jpeg(pictures.view())
    return {
        'unknown encoding': ('raw', pictures.raw(after, encoding='yuv9'), 'image must be one of rgb8'),
        'data shorter than step x height': ('raw', pictures.raw(after, data=[1, 2, 3]), 'rows of 960 bytes'),
        'step shorter than a row': ('raw', pictures.raw(after, step=10), 'a row of 320 bgr8 pixels'),
        'zero-sized image': ('raw', pictures.raw(after, width=0, height=0), 'an image must have pixels'),
        'truncated JPEG': ('compressed', pictures.compressed(after, data=whole[: len(whole) // 2]), 'end marker'),
        'empty JPEG': ('compressed', pictures.compressed(after, data=b''), 'must be JPEG or PNG'),
        'no JPEG': ('compressed', pictures.compressed(after, data=b'RIFFxxxxWEBP'), 'must be JPEG or PNG'),
        'zero stamp': ('compressed', pictures.compressed(0), 'stamp above 0'),
        'repeated stamp': ('compressed', pictures.compressed(pictures.START_NS), 'later than the one before'),
        'stamp a little late': ('compressed', pictures.compressed(pictures.START_NS - 10**8), 'later than the one'),
    }


@pytest.mark.parametrize('name', bad_frames())
def test_a_bad_frame_is_counted_warned_of_once_and_survived(graph, warnings, name):
    transport, bad, rule = bad_frames()[name]
    make = pictures.raw if transport == 'raw' else pictures.compressed
    camera = Camera(graph, transport)
    camera.send(make(pictures.START_NS), bad, bad, make(pictures.START_NS + 4 * STEP_NS, 240))
    frames = camera.wait_for_key_frames(2)
    assert frames[1].index == 1
    assert camera.counters['bad_frame'] + camera.counters['bad_stamp'] == 2
    (warning,) = warnings()
    assert rule in warning
    assert camera.node.diagnostics.status().level == DiagnosticStatus.WARN


def test_a_bad_first_frame_starts_no_session(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(0), pictures.compressed(pictures.START_NS, data=b'x'))
    camera.send(pictures.compressed(pictures.START_NS + STEP_NS))
    assert camera.wait_for_key_frames(1)[0].session == pictures.START_NS + STEP_NS


@pytest.mark.parametrize('change', ['resolution', 'encoding'])
def test_a_change_in_mid_run_is_survived(graph, warnings, change):
    camera = Camera(graph, 'raw')
    first, second, third = stamps(3)
    camera.send(pictures.raw(first))
    if change == 'resolution':
        half = pictures.view(0, pictures.WIDTH // 2)
        for stamp_ns in (second, third):
            message = pictures.raw(stamp_ns, width=pictures.WIDTH // 2, step=3 * pictures.WIDTH // 2)
            message.data = array.array('B', half.tobytes())
            camera.send(message)
        frames = camera.wait_for_key_frames(2)
        assert [frame.reason for frame in frames] == [KeyFrame.FIRST, KeyFrame.OVERLAP]
    else:
        camera.send(pictures.raw(second, encoding='rgb8'), pictures.raw(third, encoding='rgb8'))
        assert camera.counters['bad_frame'] == 0
    assert camera.counters['format_changes'] == 1
    assert len(warnings()) == 1


def test_stamps_that_go_back_begin_a_new_session(graph):
    camera = Camera(graph)
    camera.send(*panning(5))
    camera.send(*(pictures.compressed(stamp_ns) for stamp_ns in stamps(3, pictures.START_NS - 60 * 10**9)))
    frames = camera.wait_for_key_frames(3)
    assert frames[-1].session == pictures.START_NS - 60 * 10**9
    assert (frames[-1].index, frames[-1].reason) == (0, KeyFrame.FIRST)
    assert camera.counters['time_jumps'] == 1


def test_a_recording_that_starts_over_gets_a_session_of_its_own(graph):
    camera = Camera(graph)
    camera.send(*panning(9), *panning(9))
    frames = camera.wait_for_key_frames(6)
    assert len({(frame.session, frame.index) for frame in frames}) == 6


def test_nan_in_odometry_is_left_out(graph, warnings):
    camera = Camera(graph)
    odom = camera.tester.create_publisher(Odometry, 'odom', 100)
    graph.spin_until(odom.get_subscription_count, 'discovery')
    odom.publish(pictures.odometry(pictures.START_NS, math.nan))
    graph.spin_until(lambda: camera.counters['bad_odometry'], 'the bad pose')
    camera.send(pictures.compressed(pictures.START_NS))
    assert not camera.wait_for_key_frames(1)[0].has_pose
    assert 'a pose must be finite' in warnings()[0]


def test_an_uncalibrated_camera_is_no_error(graph, warnings):
    camera = Camera(graph)
    info = camera.tester.create_publisher(CameraInfo, 'camera_info', 1)
    graph.spin_until(info.get_subscription_count, 'discovery')
    info.publish(pictures.camera_info(pictures.START_NS, 0.0))
    graph.spin(0.3)
    camera.send(pictures.compressed(pictures.START_NS))
    assert camera.wait_for_key_frames(1)[0].camera_info.width == 0
    assert len(warnings()) == 1


def test_capture_publishes_the_newest_frame(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS), pictures.compressed(pictures.START_NS + 10**7))
    response = graph.call(Capture, 'capture')
    assert (response.success, response.error_code, response.error_msg) == (True, 0, '')
    assert (response.session, response.index) == (pictures.START_NS, 1)
    frame = camera.wait_for_key_frames(2)[-1]
    assert (frame.reason, frame.index, frame.header.stamp) == (KeyFrame.REQUESTED, 1, response.stamp)


def test_a_second_capture_of_the_same_frame_publishes_nothing_new(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS))
    responses = [graph.call(Capture, 'capture') for _ in range(3)]
    assert [(response.success, response.index) for response in responses] == [(True, 0)] * 3
    camera.wait_for_key_frames(1)


def test_capture_without_a_camera_says_where_it_listens(graph):
    camera = Camera(graph)
    response = graph.call(Capture, 'capture')
    assert (response.success, response.error_code) == (False, 3)
    assert f'got none since activation on {graph.namespace}/image/compressed' in response.error_msg
    assert camera.key_frames == []


def test_an_inactive_node_has_no_subscription_and_refuses_captures(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS))
    camera.node.trigger_deactivate()
    graph.spin_until(lambda: not camera.images.get_subscription_count(), 'the end of the subscription')
    response = graph.call(Capture, 'capture')
    assert (response.success, response.error_code) == (False, 1)
    assert 'activate it' in response.error_msg


def test_each_activation_is_a_session(graph):
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS))
    for trigger in (camera.node.trigger_deactivate, camera.node.trigger_activate):
        trigger()
    assert not graph.call(Capture, 'capture').success
    graph.spin_until(camera.images.get_subscription_count, 'the camera node at the image topic')
    camera.send(pictures.compressed(pictures.START_NS + STEP_NS))
    first, second = camera.wait_for_key_frames(2)
    assert (second.session, second.index) == (pictures.START_NS + STEP_NS, 0)
    assert first.session != second.session


@pytest.mark.parametrize(
    ('kind', 'topic', 'profile', 'sentence'),
    [
        (None, None, None, 'nobody sends'),
        (Image, 'camera/image_raw', RELIABLE, 'image_raw (sensor_msgs/msg/Image); remap image/compressed to one'),
        (CompressedImage, 'image/compressed', RELIABLE, 'is the camera or the bag paused?'),
        (CompressedImage, 'image/compressed', qos.images('best_effort', 5), 'set image_reliability to best_effort'),
    ],
    ids=['no camera yet', 'camera elsewhere', 'camera is silent', 'incompatible QoS'],
)
def test_silence_is_explained_in_the_log(kind, topic, profile, sentence):
    where = 'on /image/compressed (sensor_msgs/msg/CompressedImage, reliable)'
    with Graph({'camera_node': {'image_reliability': 'reliable', 'silence_s': 1.0}}) as graph:
        log = graph.processes.logs / 'camera_node.log'

        def told():
            lines = log.read_text().splitlines()
            return [line for line in lines if 'no image for' in line and where in line and sentence in line]

        if kind is not None:
            graph.node.create_publisher(kind, topic, profile)
        graph.spin_until(told, 'the reason')
        graph.spin(0.7)
        assert len(told()) == 1


def test_a_paused_clock_does_not_freeze_the_warning():
    with Graph({'camera_node': {'use_sim_time': True, 'silence_s': 1.0}}) as graph:
        log = graph.processes.logs / 'camera_node.log'
        graph.spin_until(lambda: 'no image for' in log.read_text(), 'the warning')


def test_diagnostics_are_stale_without_images_and_ok_with(graph):
    statuses = []
    camera = Camera(graph, silence_s=0.3)
    camera.tester.create_subscription(DiagnosticArray, '/diagnostics', lambda m: statuses.extend(m.status), 10)
    ours = f'{graph.namespace}/camera_node: status'
    levels = lambda: [status.level for status in statuses if status.name == ours]  # noqa: E731
    graph.spin_until(lambda: b'\x03' in levels(), 'STALE')
    for number in range(60):
        camera.send(pictures.compressed(pictures.START_NS + number * 10**8))
        graph.spin(0.05)
        if levels()[-1] == b'\x00':
            break
    assert levels()[-1] == b'\x00'
    values = {pair.key: pair.value for pair in statuses[-1].values}
    assert values['key_frames'] == '1'
    assert float(values['sampled_image_p95_s']) > 0.0
    assert (values['motions_unknown'], values['steps_lost']) == ('0', '0')


def test_an_out_of_range_value_is_refused_by_name(graph):
    from embodied_r_ros.core.errors import SettingsError

    with pytest.raises(SettingsError, match=r'image_depth must lie in \[1, 100\], got 101'):
        graph.make(CameraNode, image_depth=101)
    with pytest.raises(SettingsError, match="image_transport must be one of compressed, raw, got 'theora'"):
        CameraNode(namespace=graph.namespace, parameter_overrides=[Parameter('image_transport', value='theora')])
