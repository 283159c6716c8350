"""Brings the boxes of yolo_ros, which have messages of their own, to vision_msgs, as the eye `detections` hears them.

python3 examples/yolo_detections.py --ros-args -r yolo_detections:=/yolo/detections
"""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose


class YoloDetections(Node):
    """Publishes each message of yolo_ros as one of vision_msgs."""

    def __init__(self) -> None:
        from yolo_msgs.msg import DetectionArray

        super().__init__('yolo_detections')
        publisher = self.create_publisher(Detection2DArray, 'detections', 10)
        self.create_subscription(
            DetectionArray, 'yolo_detections', lambda told: publisher.publish(converted(told)), qos_profile_sensor_data
        )


def converted(told: Any) -> Detection2DArray:
    """A yolo_msgs/DetectionArray with the stamp and the frame of its image."""
    return Detection2DArray(header=told.header, detections=[_converted(one) for one in told.detections])


def _converted(one: Any) -> Detection2D:
    found, likeliest = Detection2D(id=one.id), ObjectHypothesisWithPose()
    likeliest.hypothesis.class_id, likeliest.hypothesis.score = one.class_name, one.score
    found.results = [likeliest]
    box, at = found.bbox, one.bbox.center
    box.center.position.x, box.center.position.y, box.center.theta = at.position.x, at.position.y, at.theta
    box.size_x, box.size_y = one.bbox.size.x, one.bbox.size.y
    return found


def main() -> int:
    """Convert until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(YoloDetections())
    except KeyboardInterrupt:
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
