"""Small pictures, camera paths and recordings for tests."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.frames import NS_PER_S, Frame, Transform
from embodied_r_ros.core.records import Calibration, EncodedImage, Pose

TYPES = get_typestore(Stores.ROS2_KILTED)


def texture(
    width: int, height: int, seed: int = 0, left_px: float = 0.0, top_px: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    """A cut-out of an endless picture with structure at every scale, (height, width, 3) uint8.

    `left_px` and `top_px` say where it begins, in pixels of scale 1; `scale` above 1 enlarges.
    """
    return _cut_out(width, height, seed, left_px, top_px, scale).copy()


@functools.lru_cache(64)
def _cut_out(width: int, height: int, seed: int, left_px: float, top_px: float, scale: float) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.float32)
    total = 0.0
    for octave in range(-6, 14):
        seen_px = 2.0**octave * scale
        weight = np.exp(-(((np.log2(seen_px) - 4.0) / 2.0) ** 2))
        if seen_px < 3.0 or weight < 0.01:
            continue
        left, top = left_px / 2.0**octave % 128, top_px / 2.0**octave % 128
        whence = np.array([[1 / seen_px, 0.0, left], [0.0, 1 / seen_px, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(_lattice(seed, octave), whence, (width, height), flags=flags, borderMode=cv2.BORDER_WRAP)
        cv2.scaleAdd(drawn, weight, picture, dst=picture)
        total += weight**2
    return np.clip(128 + 110 * picture / np.sqrt(total), 0, 255).astype(np.uint8)


@functools.lru_cache(128)
def _lattice(seed: int, octave: int) -> np.ndarray:
    return np.random.default_rng([seed, octave + 6]).uniform(-1, 1, (128, 128, 3)).astype(np.float32)


def noisy(picture: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """The picture with Gaussian noise, in grey levels."""
    return np.clip(picture + sigma * _noise(picture.shape, seed), 0, 255).astype(np.uint8)


@functools.lru_cache(64)
def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def blank(width: int, height: int, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def pan(steps: int, shift_share: float, width: int = 320, height: int = 180, seed: int = 0) -> list[np.ndarray]:
    """Views that each lie `shift_share` of their width further to the right (the camera turns or moves right)."""
    lefts = [round(step * shift_share * width) for step in range(steps)]
    strip = texture(max(lefts) - min(lefts) + width, height, seed, left_px=min(lefts))
    return [strip[:, left - min(lefts) :][:, :width].copy() for left in lefts]


def zoom(steps: int, factor: float, width: int = 320, height: int = 180, seed: int = 0) -> list[np.ndarray]:
    """Views that each show the one before enlarged by `factor`: above 1 forward, below 1 backward."""
    scales = [factor**step for step in range(steps)]
    return [texture(width, height, seed, -width / 2 / scale, -height / 2 / scale, scale) for scale in scales]


def room(
    position: Sequence[float],
    look_left_deg: float = 0.0,
    look_up_deg: float = 0.0,
    width: int = 320,
    height: int = 180,
    fx_px: float = 250.0,
    size_m: tuple[float, float, float] = (8.0, 6.0, 3.0),
) -> np.ndarray:
    """A view of a textured box room, (height, width) uint8 grey.

    The camera stands at `position` (x forward, y left, z up, metres; the room's floor centre is 0, 0, 0).
    """
    left, up = np.radians(look_left_deg), np.radians(look_up_deg)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    right = (columns - width / 2) / fx_px
    down = (rows - height / 2) / fx_px
    ahead = np.cos(up) + down * np.sin(up)
    rise = np.sin(up) - down * np.cos(up)
    ray = np.stack([ahead * np.cos(left) + right * np.sin(left), ahead * np.sin(left) - right * np.cos(left), rise])
    ray = ray.astype(np.float32)
    stand = np.array(position, np.float32)[:, None, None]
    half = np.array([size_m[0] / 2, size_m[1] / 2, size_m[2] / 2], np.float32)[:, None, None]
    middle = np.array([0.0, 0.0, size_m[2] / 2], np.float32)[:, None, None]
    with np.errstate(divide='ignore'):
        reach = (np.copysign(half, ray) + middle - stand) / ray
    reach[ray == 0.0] = np.inf
    axis = reach.argmin(0)
    hit = ray * reach.min(0) + stand
    view = np.zeros((height, width), np.uint8)
    for wall in range(3):
        for side in (-1, 1):
            across = [0, 1, 2][:wall] + [0, 1, 2][wall + 1 :]
            here = (axis == wall) & (np.sign(ray[wall]) == side)
            if not here.any():
                continue
            u, v = (hit[index] * 60.0 + 256.0 for index in across)
            drawn = cv2.remap(_paper(10 * wall + side + 1), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            view[here] = drawn[here]
    return view


@functools.lru_cache
def _paper(seed: int) -> np.ndarray:
    return cv2.cvtColor(texture(512, 512, seed), cv2.COLOR_BGR2GRAY)


ROOM_CAMERA = Camera(width=320, height=180, fx_px=250.0, fy_px=250.0, cx_px=160.0, cy_px=90.0)


def jpeg(picture: np.ndarray, quality: int = 90) -> EncodedImage:
    return encode_jpeg(picture, quality)


def frame(picture: np.ndarray, stamp_s: float, compressed: bool = True) -> Frame:
    """A frame of a picture, as JPEG or as pixels."""
    height, width = picture.shape[:2]
    return Frame(
        stamp_ns=round(stamp_s * NS_PER_S),
        frame_id='camera',
        image=jpeg(picture) if compressed else None,
        pixels=None if compressed else picture,
        width=width,
        height=height,
    )


def pose(x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0, yaw_deg: float = 0.0, pitch_up_deg: float = 0.0) -> Pose:
    """A pose turned left by yaw, then nose up by pitch."""
    yaw, pitch = np.radians(yaw_deg) / 2, -np.radians(pitch_up_deg) / 2
    return Pose(
        x_m=x_m, y_m=y_m, z_m=z_m,
        qx=float(-np.sin(yaw) * np.sin(pitch)), qy=float(np.cos(yaw) * np.sin(pitch)),
        qz=float(np.sin(yaw) * np.cos(pitch)), qw=float(np.cos(yaw) * np.cos(pitch)),
    )  # fmt: skip


def ns(stamp_s: float) -> int:
    """A stamp in nanoseconds."""
    return round(stamp_s * NS_PER_S)


def drive(rate_hz: float, duration_s: float) -> Iterator[tuple[int, Pose]]:
    """Stamps and poses of a robot that goes 2 m ahead, turns left by 90 degrees, goes 3 m ahead and turns right by 45.

    Each of the four takes 4 s and begins a quarter of the time after the one before.
    """
    for step in range(round(rate_hz * duration_s) + 1):
        begun_s = [step / rate_hz - leg * duration_s / 4.0 for leg in range(4)]
        ahead, left, after, right = (min(max(leg_s / 4.0, 0.0), 1.0) for leg_s in begun_s)
        yield ns(100.0 + step / rate_hz), pose(x_m=2.0 * ahead, y_m=3.0 * after, yaw_deg=90.0 * left - 45.0 * right)


@dataclasses.dataclass
class Recorded:
    """One message for `write_bag`: its topic, type, message, and when it was recorded."""

    topic: str
    type: str
    message: Any
    stamp_ns: int


def write_bag(path: Path, messages: Iterable[Recorded], mcap: bool = True, compressed: str = '') -> Path:
    """Write messages as a rosbag2 folder; `compressed` by 'FILE', 'MESSAGE' or 'STORAGE', with zstd."""
    plugin = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
    writer = Writer(path, version=9, storage_plugin=plugin)
    if compressed:
        writer.set_compression(CompressionMode[compressed], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for item in messages:
            if item.topic not in connections:
                definition, digest = _definition(item.type)
                connections[item.topic] = writer.add_connection(item.topic, item.type, msgdef=definition, rihs01=digest)
            data = TYPES.serialize_cdr(item.message, item.type)
            writer.write(connections[item.topic], item.stamp_ns, data)
    return path


@functools.cache
def _definition(kind: str) -> tuple[str, str]:
    """What a bag keeps of a message type: its definition with those it is made of, and their hash."""
    return TYPES.generate_msgdef(kind, ros_version=2)[0], TYPES.hash_rihs01(kind)


def recorded_image(
    picture: np.ndarray,
    stamp_s: float,
    topic: str = '/camera/image_raw',
    encoding: str = 'bgr8',
    recorded_s: float | None = None,
    data: np.ndarray | None = None,
) -> Recorded:
    """A raw image message; `data` replaces the picture's bytes."""
    height, width = picture.shape[:2]
    message = TYPES.types['sensor_msgs/msg/Image'](
        header=header(stamp_s),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=picture.nbytes // height,
        data=picture.reshape(-1) if data is None else data,
    )
    return Recorded(topic, 'sensor_msgs/msg/Image', message, _ns(stamp_s if recorded_s is None else recorded_s))


def recorded_jpeg(
    data: bytes, stamp_s: float, topic: str = '/camera/image_raw/compressed', recorded_s: float | None = None
) -> Recorded:
    """A compressed image message."""
    message = TYPES.types['sensor_msgs/msg/CompressedImage'](
        header=header(stamp_s), format='jpeg', data=np.frombuffer(data, np.uint8)
    )
    kind = 'sensor_msgs/msg/CompressedImage'
    return Recorded(topic, kind, message, _ns(stamp_s if recorded_s is None else recorded_s))


def recorded_odometry(where: Pose, stamp_s: float, topic: str = '/odom', recorded_s: float | None = None) -> Recorded:
    """An odometry message."""
    types = TYPES.types
    zeros = np.zeros(36)
    vector = types['geometry_msgs/msg/Vector3'](x=0.0, y=0.0, z=0.0)
    posed = types['geometry_msgs/msg/Pose'](
        position=types['geometry_msgs/msg/Point'](x=where.x_m, y=where.y_m, z=where.z_m),
        orientation=types['geometry_msgs/msg/Quaternion'](x=where.qx, y=where.qy, z=where.qz, w=where.qw),
    )
    message = types['nav_msgs/msg/Odometry'](
        header=header(stamp_s, 'odom'),
        child_frame_id='base_link',
        pose=types['geometry_msgs/msg/PoseWithCovariance'](pose=posed, covariance=zeros),
        twist=types['geometry_msgs/msg/TwistWithCovariance'](
            twist=types['geometry_msgs/msg/Twist'](linear=vector, angular=vector), covariance=zeros
        ),
    )
    return Recorded(topic, 'nav_msgs/msg/Odometry', message, _ns(stamp_s if recorded_s is None else recorded_s))


def recorded_transforms(*told: Transform, recorded_s: float = 100.0, topic: str = '') -> Recorded:
    """A message on /tf_static or /tf, as the first transform is fixed or not."""
    types = TYPES.types
    messages = []
    for one in told:
        at = one.pose
        messages.append(
            types['geometry_msgs/msg/TransformStamped'](
                header=header(one.stamp_ns / NS_PER_S, one.parent),
                child_frame_id=one.child,
                transform=types['geometry_msgs/msg/Transform'](
                    translation=types['geometry_msgs/msg/Vector3'](at.x_m, at.y_m, at.z_m),
                    rotation=types['geometry_msgs/msg/Quaternion'](at.qx, at.qy, at.qz, at.qw),
                ),
            )
        )
    topic = topic or ('/tf_static' if told[0].fixed else '/tf')
    kind = 'tf2_msgs/msg/TFMessage'
    return Recorded(topic, kind, types[kind](messages), _ns(recorded_s))


def recorded_camera_info(known: Calibration, stamp_s: float, topic: str = '/camera/camera_info') -> Recorded:
    """A camera_info message."""
    types = TYPES.types
    d, k, r, p = (np.array(getattr(known, name)) for name in 'dkrp')
    left, upper, width, height = known.roi
    message = types['sensor_msgs/msg/CameraInfo'](
        header=header(stamp_s), height=known.height, width=known.width, distortion_model=known.distortion_model, d=d,
        k=k, r=r, p=p, binning_x=known.binning_x, binning_y=known.binning_y,
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=left, y_offset=upper, height=height, width=width, do_rectify=known.roi_rectified
        ),
    )  # fmt: skip
    return Recorded(topic, 'sensor_msgs/msg/CameraInfo', message, _ns(stamp_s))


def header(stamp_s: float, frame_id: str = 'camera') -> Any:
    """A message header."""
    seconds, nanoseconds = divmod(_ns(stamp_s), NS_PER_S)
    stamp = TYPES.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def _ns(stamp_s: float) -> int:
    return round(stamp_s * NS_PER_S)
