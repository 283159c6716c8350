"""The camera node and transforms: heard late, from several senders, missing, or not to be heard at all."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

import pictures
from cameras import Camera
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.mounting import BODY_IN_OPTICAL
from embodied_r_ros.core.poses import inverse, pose_from_angles
from embodied_r_ros.core.records import Pose
from embodied_r_ros.nodes import qos, transform_topics
from embodied_r_ros.nodes.camera_node import TRANSFORMS_WAIT_S, CameraNode
from embodied_r_ros.nodes.conversions import header

pytestmark = pytest.mark.ros

OPTICAL = inverse(BODY_IN_OPTICAL)


def told(child: str, parent: str, at: Pose, stamp_ns: int = pictures.START_NS):
    one = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    shift, turn = one.transform.translation, one.transform.rotation
    shift.x, shift.y, shift.z = at.x_m, at.y_m, at.z_m
    turn.x, turn.y, turn.z, turn.w = at.qx, at.qy, at.qz, at.qw
    return one


@pytest.fixture
def static(graph):
    """Makes senders of fixed transforms, one each."""
    kinds = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')

    publishers = []

    def send(*transforms):
        sender = graph.node(f'sender_{len(graph.nodes)}')
        publisher = sender.create_publisher(kinds.TFMessage, 'tf_static', qos.FIXED_TRANSFORMS)
        publisher.publish(kinds.TFMessage(transforms=list(transforms)))
        publishers.append(publisher)
        return sender

    def are_heard():
        reached = all(publisher.get_subscription_count() for publisher in publishers)
        return reached and all(publisher.wait_for_all_acked(Duration(seconds=0.1)) for publisher in publishers)

    send.are_heard = are_heard
    return send


def test_the_camera_sits_where_several_senders_of_transforms_say(graph, static):
    static(told('mast', 'base_link', pose_from_angles(0.0, 0.0, 1.2, 0.0, 0.0, 3.0)))
    static(told(pictures.FRAME_ID, 'mast', OPTICAL))
    camera = Camera(graph)
    graph.spin_until(static.are_heard, 'the transforms heard')
    camera.send(pictures.compressed(pictures.START_NS))
    (key,) = camera.wait_for_key_frames(1)
    assert key.has_camera_pose
    assert key.camera_pose.position.z == pytest.approx(1.2)
    assert key.camera_pose.orientation.z == pytest.approx(0.997, abs=0.001)


def test_the_first_image_waits_for_the_transforms_that_are_announced(graph, static):
    static(told('wheel', 'base_link', OPTICAL))
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS))
    assert camera.counters['images_before_transforms'] == 1
    static(told(pictures.FRAME_ID, 'base_link', OPTICAL))
    graph.spin(0.3)
    camera.send(pictures.compressed(pictures.START_NS + 10**8))
    (key,) = camera.wait_for_key_frames(1)
    assert key.has_camera_pose


def test_the_first_image_does_not_wait_for_long(graph, static):
    static(told('wheel', 'base_link', OPTICAL))
    camera = Camera(graph)
    graph.spin(TRANSFORMS_WAIT_S + 0.1)
    camera.send(pictures.compressed(pictures.START_NS))
    (key,) = camera.wait_for_key_frames(1)
    assert not key.has_camera_pose


def test_a_camera_pose_is_passed_on_without_any_transform(graph):
    camera = Camera(graph, camera_pose='0.1 0.2 0.3 0 0 90')
    camera.send(pictures.compressed(pictures.START_NS))
    (key,) = camera.wait_for_key_frames(1)
    assert (key.camera_pose.position.x, key.camera_pose.position.z) == (0.1, 0.3)


def test_a_camera_pose_that_is_none_stops_the_node(graph):
    with pytest.raises(SettingsError, match='camera_pose must be six numbers'):
        graph.make(CameraNode, camera_pose='ahead')


def test_the_node_works_where_tf2_msgs_is_missing(graph, monkeypatch):
    monkeypatch.setattr(transform_topics, 'TFMessage', None)
    camera = Camera(graph)
    camera.send(pictures.compressed(pictures.START_NS))
    (key,) = camera.wait_for_key_frames(1)
    assert not key.has_camera_pose


def test_odometry_of_another_frame_is_brought_to_the_base(graph, static):
    static(told('imu', 'base_link', pose_from_angles(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    static(told(pictures.FRAME_ID, 'base_link', OPTICAL))
    camera = Camera(graph, base_frame='base_link')
    odom = camera.tester.create_publisher(Odometry, 'odom', 100)
    graph.spin_until(odom.get_subscription_count, 'discovery')
    message = pictures.odometry(pictures.START_NS, 5.0)
    message.child_frame_id = 'imu'
    odom.publish(message)
    graph.spin_until(static.are_heard, 'the transforms heard')
    graph.spin(0.3)
    camera.send(pictures.compressed(pictures.START_NS))
    (key,) = camera.wait_for_key_frames(1)
    assert key.pose.position.x == pytest.approx(4.0)


def test_a_jump_of_odometry_is_counted(graph):
    camera = Camera(graph)
    odom = camera.tester.create_publisher(Odometry, 'odom', 100)
    graph.spin_until(odom.get_subscription_count, 'discovery')
    for step in range(4):
        odom.publish(pictures.odometry(pictures.START_NS + step * 10**8, 9.0 * (step > 1)))
    graph.spin_until(lambda: camera.counters['odometry_jumps'] == 1, 'the jump')
