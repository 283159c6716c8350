"""A bare subscriber to images that does nothing with them: what receiving alone costs.

python -m benchmarks._listener raw|compressed
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from embodied_r_ros.nodes import qos


def main() -> None:
    """Listen until the process is ended."""
    rclpy.init()
    node = Node('listener')
    topic, kind = {'raw': ('image', Image), 'compressed': ('image/compressed', CompressedImage)}[sys.argv[1]]
    node.create_subscription(kind, topic, lambda message: None, qos.images('best_effort', 5))
    try:
        rclpy.spin(node)
    except (ExternalShutdownException, KeyboardInterrupt):
        return


if __name__ == '__main__':
    main()
