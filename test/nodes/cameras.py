"""A camera for the camera node, and someone who listens to that."""

import pictures
from embodied_r_interfaces.msg import KeyFrame
from sensor_msgs.msg import CompressedImage, Image

from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.camera_node import CameraNode

STEP_NS = 250_000_000
RELIABLE = qos.images('reliable', 5)


def stamps(count, start_ns=pictures.START_NS):
    return [start_ns + number * STEP_NS for number in range(count)]


class Camera:
    """A camera, and someone who listens to the camera node."""

    def __init__(self, graph, transport='compressed', **values):
        self.graph = graph
        self.tester = graph.node()
        self.key_frames = []
        self.tester.create_subscription(KeyFrame, 'key_frames', self.key_frames.append, qos.KEY_FRAMES)
        kind, topic = (Image, 'image') if transport == 'raw' else (CompressedImage, 'image/compressed')
        self.images = self.tester.create_publisher(kind, topic, RELIABLE)
        self.node = graph.start(
            CameraNode, image_transport=transport, image_reliability='reliable', image_depth=5, **values
        )
        self.counters = self.node.diagnostics.counters
        graph.spin_until(self.images.get_subscription_count, 'the camera node at the image topic')
        graph.spin_until(lambda: self.tester.count_publishers('key_frames'), 'the key frames')

    def send(self, *messages):
        """Send images one by one, each after the node has taken the one before."""
        for message in messages:
            wanted = self.counters['images_received'] + 1
            self.images.publish(message)
            self.graph.spin_until(lambda: self.counters['images_received'] >= wanted, 'the image')

    def wait_for_key_frames(self, count):
        self.graph.spin_until(lambda: len(self.key_frames) >= count, f'{count} key frames')
        self.graph.spin(0.1)
        assert len(self.key_frames) == count
        return self.key_frames
