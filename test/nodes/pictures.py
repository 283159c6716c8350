"""Views of one wide textured wall, as messages of every kind, and recordings of them."""

from __future__ import annotations

import array

import cv2
import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion
from nav_msgs.msg import Odometry
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from embodied_r_ros.nodes.conversions import header

WIDTH, HEIGHT = 320, 240
START_NS = 1_000 * 10**9
FRAME_ID = 'camera_optical'


def _wall():
    noise = np.random.default_rng(7).integers(0, 255, (HEIGHT // 8, 400, 3), dtype=np.uint8)
    return cv2.resize(noise, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)


WALL = _wall()


def view(shift_px=0, width=WIDTH):
    """BGR pixels of the wall, seen so far to the right."""
    return np.ascontiguousarray(WALL[:, shift_px : shift_px + width])


def jpeg(pixels):
    return cv2.imencode('.jpg', pixels)[1].tobytes()


def compressed(stamp_ns, shift_px=0, data=None, kind='jpeg'):
    message = CompressedImage(header=header(stamp_ns, FRAME_ID), format=kind)
    message.data = array.array('B', jpeg(view(shift_px)) if data is None else data)
    return message


def raw(stamp_ns, shift_px=0, encoding='bgr8', **changes):
    pixels = view(shift_px)
    message = Image(header=header(stamp_ns, FRAME_ID), width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding=encoding)
    message.data = array.array('B', pixels.tobytes())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def odometry(stamp_ns, x_m):
    pose = Pose(position=Point(x=x_m), orientation=Quaternion(w=1.0))
    return Odometry(header=header(stamp_ns, 'odom'), pose=PoseWithCovariance(pose=pose))


def camera_info(stamp_ns, focal_px=300.0):
    matrix = [focal_px, 0.0, WIDTH / 2, 0.0, focal_px, HEIGHT / 2, 0.0, 0.0, 1.0]
    return CameraInfo(header=header(stamp_ns, FRAME_ID), width=WIDTH, height=HEIGHT, k=matrix)


def record(path, duration_s=1.0, hz=20.0, topic='/camera/compressed'):
    """Write an MCAP recording of a camera that pans along the wall."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds = store.types
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection(topic, 'sensor_msgs/msg/CompressedImage', typestore=store)
        for number in range(round(duration_s * hz)):
            stamp_ns = START_NS + round(number / hz * 1e9)
            stamp = kinds['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
            head = kinds['std_msgs/msg/Header'](stamp=stamp, frame_id=FRAME_ID)
            data = np.frombuffer(jpeg(view(number * 8 % 2000)), np.uint8)
            image = kinds['sensor_msgs/msg/CompressedImage'](header=head, format='jpeg', data=data)
            writer.write(images, stamp_ns, store.serialize_cdr(image, 'sensor_msgs/msg/CompressedImage'))
    return str(path)
