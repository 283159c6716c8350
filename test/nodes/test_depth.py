"""Depth over real DDS: from the depth camera's topic to the key frame that it goes with."""

import array
import struct

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

import cv2  # noqa: E402
import dummy_backends  # noqa: E402
import pictures  # noqa: E402
from cameras import RELIABLE, Camera, stamps  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402
from fake_models import key_frame  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from embodied_r_ros.adapters.codec import encode_jpeg  # noqa: E402
from embodied_r_ros.adapters.depth_images import encode_depth, read_depth_png  # noqa: E402
from embodied_r_ros.core.depth import DepthMap  # noqa: E402
from embodied_r_ros.core.models import EYES  # noqa: E402
from embodied_r_ros.core.records import EncodedImage  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import header, key_frame_to_message, ns_from_stamp  # noqa: E402
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402

MM = np.full((480, 640), 2500, np.uint16)


def raw_depth(stamp_ns, encoding='16UC1'):
    message = Image(header=header(stamp_ns), width=640, height=480, step=1280, encoding=encoding)
    message.data = array.array('B', MM.tobytes())
    return message


def compressed_depth(stamp_ns):
    message = CompressedImage(header=header(stamp_ns), format='16UC1; compressedDepth png')
    message.data = array.array('B', struct.pack('<iff', 0, 0.0, 0.0) + cv2.imencode('.png', MM)[1].tobytes())
    return message


class DepthCamera(Camera):
    """A camera with depth, and someone who listens to the depth of key frames."""

    def __init__(self, graph, kind=Image, topic='depth/image', **values):
        super().__init__(graph, depth_topic=topic, **values)
        self.depths = []
        self.tester.create_subscription(CompressedImage, 'key_frame_depth', self.depths.append, qos.KEY_FRAMES)
        self.depth = self.tester.create_publisher(kind, topic, RELIABLE)
        graph.spin_until(self.depth.get_subscription_count, 'the camera node at the depth topic')
        graph.spin_until(lambda: self.tester.count_publishers('key_frame_depth'), 'the depth of key frames')


@pytest.mark.parametrize(
    ('kind', 'topic', 'message'),
    [(Image, 'depth/image', raw_depth), (CompressedImage, 'depth/image/compressedDepth', compressed_depth)],
    ids=['raw', 'compressed'],
)
def test_the_depth_of_a_key_frame_is_published_small_with_its_stamp(graph, kind, topic, message):
    camera = DepthCamera(graph, kind, topic)
    first, second = stamps(2)
    camera.send(pictures.compressed(first))
    camera.wait_for_key_frames(1)
    for stamp_ns in (first - 20_000_000, first + 5_000_000, second):
        camera.depth.publish(message(stamp_ns))
    graph.spin_until(lambda: camera.depths, 'the depth of the key frame')
    graph.spin(0.1)
    (depth,) = camera.depths
    assert (ns_from_stamp(depth.header.stamp), depth.header.frame_id) == (first, pictures.FRAME_ID)
    read = read_depth_png(EncodedImage(data=bytes(depth.data)))
    assert read.metres.shape == (240, 320)
    assert np.all(read.metres == 2.5)


def test_depth_that_cannot_be_used_is_told_and_counted_and_key_frames_go_on(graph):
    camera = DepthCamera(graph)
    first, second = stamps(2)
    camera.send(pictures.compressed(first))
    camera.depth.publish(raw_depth(first, encoding='rgb8'))
    graph.spin_until(lambda: camera.counters['bad_depth'] == 1, 'the refusal of its encoding')
    camera.send(pictures.compressed(second, shift_px=300))
    camera.depth.publish(raw_depth(second + 100_000_000))
    graph.spin_until(lambda: camera.counters['bad_depth'] == 2, 'the refusal of its stamp')
    camera.wait_for_key_frames(2)
    assert camera.depths == []


def test_without_a_depth_topic_nothing_is_published_about_depth(graph):
    camera = Camera(graph)
    assert camera.tester.count_publishers('key_frame_depth') == 0


class KeyFrames:
    """Publishes key frames and their depth as camera_node does, and listens to what is written about them."""

    def __init__(self, graph, monkeypatch):
        monkeypatch.setitem(EYES, 'depth', dummy_backends.DEPTH_EYE)
        self.graph = graph
        self.node = graph.node('camera')
        self.frames = self.node.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
        self.depths = self.node.create_publisher(CompressedImage, 'key_frame_depth', qos.KEY_FRAMES)
        self.seen = []
        self.node.create_subscription(messages.Observation, 'observations', self.seen.append, qos.observations(100))

    def frame(self, index):
        picture = encode_jpeg(np.zeros((480, 640, 3), np.uint8))
        sent = key_frame_to_message(key_frame(index))
        sent.image.data = array.array('B', picture.data)
        self.frames.publish(sent)

    def depth(self, index, depth):
        message = CompressedImage(header=header(key_frame(index).stamp_ns), format='16UC1; png')
        message.data = array.array('B', depth)
        self.depths.publish(message)

    def far_m(self, count):
        self.graph.spin_until(lambda: len(self.seen) == count, f'{count} observations')
        return {seen.index: seen.sightings[0].distance_m for seen in self.seen}


def png(rows=240, columns=320, far_m=2.5):
    return encode_depth(DepthMap(np.full((rows, columns), far_m, np.float32))).data


def test_perception_waits_for_the_depth_of_a_key_frame(graph, monkeypatch):
    camera = KeyFrames(graph, monkeypatch)
    graph.start(PerceptionNode, eyes='depth', depth_wait_s=30.0)
    camera.frame(0)
    graph.spin(0.2)
    camera.depth(0, png())
    assert camera.far_m(1) == {0: 2.5}


def test_depth_of_no_use_costs_the_distances_alone_and_is_counted(graph, monkeypatch):
    camera = KeyFrames(graph, monkeypatch)
    node = graph.start(PerceptionNode, eyes='depth', depth_wait_s=30.0)
    for index, depth in enumerate((png(), png(240, 240), png(far_m=0.0), b'no PNG', bytes(2_000_000), png())):
        camera.depth(index, depth)
        graph.spin_until(lambda count=index + 1: node.diagnostics.counters['depth_received'] == count, 'the depth')
        if index != 4:
            camera.frame(index)
    found = camera.far_m(5)
    assert [index for index, far_m in sorted(found.items()) if far_m == 2.5] == [0, 5]
    node.diagnostics.status()
    counters = node.diagnostics.counters
    assert (counters['bad_depth'], counters['bad_depth_message'], counters['described']) == (3, 1, 5)
