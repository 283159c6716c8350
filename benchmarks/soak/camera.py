"""A robot that pans along a wall at 30 Hz with odometry at 50 Hz, as a program that is told which fault to have.

python -m benchmarks.soak.camera

It takes the names of its faults as strings on `camera_fault`, '' for none. Its listeners may be killed, so it has the
large shared memory of config/fastdds_large_images.xml.
"""

from __future__ import annotations

import array
import dataclasses
import itertools
import math
import os
import pathlib
import time

import cv2
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import String

from benchmarks._pictures import jpeg, pan
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S, calibration_to_message, header

FAULT_TOPIC = 'camera_fault'
IMAGE_HZ, ODOMETRY_HZ = 30.0, 50.0
WIDTH, HEIGHT, STEPS, STEP_PX = 640, 480, 120, 12
# A fault lasts until it is ended; those of ONCE affect the next message alone.
FAULTS = ('broken_jpeg', 'day_ahead', 'seconds_back', 'odometry_ahead', 'pause', 'other_size')
ONCE = {'day_ahead', 'seconds_back', 'odometry_ahead'}
_PROFILES = pathlib.Path(__file__).parents[2] / 'config' / 'fastdds_large_images.xml'
_AHEAD_NS = {'day_ahead': 86_400 * NS_PER_S, 'seconds_back': -10 * NS_PER_S}


class CameraDriver(Node):
    """Publishes images, odometry and calibration."""

    def __init__(self) -> None:
        super().__init__('camera', start_parameter_services=False)
        self._images = self.create_publisher(CompressedImage, 'image/compressed', qos.images('reliable', 5))
        self._odometry = self.create_publisher(Odometry, 'odom', 50)
        self._info = self.create_publisher(CameraInfo, 'camera_info', 1)
        views = pan(STEPS, STEP_PX, WIDTH, HEIGHT, seed=0)
        there = [jpeg(view) for view in views]
        self._pictures = itertools.cycle(there + there[::-1])
        self._small = jpeg(cv2.resize(views[0], (320, 240)))
        lens = Camera(width=WIDTH, height=HEIGHT, fx_px=500.0, fy_px=500.0, cx_px=320.0, cy_px=240.0)
        self._calibration = lens.calibration
        self._fault = ''
        self._begun_s = time.monotonic()
        self.create_subscription(String, FAULT_TOPIC, self._on_fault, 10)
        self.create_timer(1 / IMAGE_HZ, self._on_image)
        self.create_timer(1 / ODOMETRY_HZ, self._on_odometry)
        self.create_timer(1.0, self._on_info)

    def _on_fault(self, message: String) -> None:
        self._fault = message.data

    def _on_image(self) -> None:
        picture, fault = next(self._pictures), self._fault
        if fault == 'pause':
            return
        if fault == 'broken_jpeg':
            picture = picture[: len(picture) // 3]
        elif fault == 'other_size':
            picture = self._small
        stamp_ns = time.time_ns() + _AHEAD_NS.get(fault, 0)
        message = CompressedImage(format='jpeg', header=header(stamp_ns, 'camera'))
        message.data = array.array('B', picture)
        self._images.publish(message)
        if fault in _AHEAD_NS:
            self._fault = ''

    def _on_odometry(self) -> None:
        ahead_ns = 60 * NS_PER_S if self._fault == 'odometry_ahead' else 0
        message = Odometry(header=header(time.time_ns() + ahead_ns, 'odom'))
        message.pose.pose.position.y = math.sin(time.monotonic() - self._begun_s)
        self._odometry.publish(message)
        if ahead_ns:
            self._fault = ''

    def _on_info(self) -> None:
        self._info.publish(
            calibration_to_message(dataclasses.replace(self._calibration, stamp_ns=time.time_ns(), frame_id='camera'))
        )


def main() -> None:
    """Publish until the process is ended."""
    for variable in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        os.environ.setdefault(variable, str(_PROFILES))
    rclpy.init()
    try:
        rclpy.spin(CameraDriver())
    except (ExternalShutdownException, KeyboardInterrupt):
        return


if __name__ == '__main__':
    main()
