"""Recordings of walks through simulated places: as ROS 2 bags, or seen at once through the robot's own perception.

    python -m training.world.recording --seeds 1 2 3 --out data/bags --labels data/bags/labels.yaml

The same seed gives the same recording: stamps, odometry with its drift, and images.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import math
import pathlib
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.depth_images import encode_depth
from embodied_r_ros.adapters.eye_tags import TagEye, TagLabel, TagSettings
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.app.observing import observation_of, pairs
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S, CameraInfoItem, Frame, ImageItem, OdometryItem, RecordedItem, Transform
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.keyframing import KeyFramer
from embodied_r_ros.core.mounting import BODY_IN_OPTICAL
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.poses import ORIGIN, chained, inverse
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Pose
from training.world.box_eyes import EyeNoise, noisy_depth
from training.world.layouts import load_layout
from training.world.nouns import NOUNS
from training.world.path import CAMERA, CAMERAS, Path, Station
from training.world.renderer import Renderer
from training.world.scene import Scene, Walk, make_walk
from training.world.sightlines import look
from training.world.textures import PLATE_WIDTH_M, TAG_SIZE_M, seeded

IMAGE_TOPIC = '/camera/image_raw/compressed'
CAMERA_INFO_TOPIC = '/camera/camera_info'
DEPTH_TOPIC = '/camera/depth/image_raw/compressedDepth'
ODOMETRY_TOPIC = '/odom'
CAMERA_FRAME = 'camera_optical'
CAMERA_LINK = 'camera_link'
BASE_FRAME = 'base_link'

IMAGE_HZ = 5.0
ODOMETRY_HZ = 25.0
CAMERA_INFO_HZ = 1.0
JPEG_QUALITY = 60

# Stamps begin here, 100 s apart from seed to seed, so that recordings played one after another go forward in time.
EPOCH_S = 1_750_000_000
SEED_STEP_S = 100

TURN_DRIFT_DEG = 0.2
TURN_SCALE_ERROR = 0.005
WALK_DRIFT_M = 0.005
WALK_SCALE_ERROR = 0.01


def start_ns(seed: int) -> int:
    """Stamp of a recording's first message."""
    return (EPOCH_S + SEED_STEP_S * seed) * NS_PER_S


def station_of(walk: Walk, at_ns: int) -> Station:
    """Where the robot is at a stamp of the walk's recording."""
    return walk.path.station_at((at_ns - start_ns(walk.scene.seed)) / NS_PER_S)


def odometry(path: Path, seed: int) -> Iterator[tuple[float, Pose]]:
    """Moments in seconds and poses as wheels would measure them, ODOMETRY_HZ a second.

    Turns and distances are measured with a constant error of scale (TURN_SCALE_ERROR and WALK_SCALE_ERROR, one standard
    deviation) and one that drifts (TURN_DRIFT_DEG and WALK_DRIFT_M in the first second, growing with the root of time).
    """
    rng = seeded(seed, 'odometry')
    turn_scale, walk_scale = 1 + TURN_SCALE_ERROR * rng.normal(), 1 + WALK_SCALE_ERROR * rng.normal()
    step_s = 1.0 / ODOMETRY_HZ
    turn_noise, walk_noise = math.radians(TURN_DRIFT_DEG) * math.sqrt(step_s), WALK_DRIFT_M * math.sqrt(step_s)
    x_m, y_m, yaw_rad = 0.0, 0.0, 0.0
    before = path.pose_at(0.0)
    for step in range(int(path.duration_s * ODOMETRY_HZ) + 1):
        now = path.pose_at(step * step_s)
        walked_m, sideways_m, turned_rad = _planar_step(before, now)
        if walked_m or sideways_m or turned_rad:
            walked_m = walked_m * walk_scale + walk_noise * rng.normal()
            turned_rad = turned_rad * turn_scale + turn_noise * rng.normal()
        x_m += walked_m * math.cos(yaw_rad) - sideways_m * math.sin(yaw_rad)
        y_m += walked_m * math.sin(yaw_rad) + sideways_m * math.cos(yaw_rad)
        yaw_rad += turned_rad
        half = yaw_rad / 2
        yield step * step_s, Pose(x_m=x_m, y_m=y_m, z_m=now.z_m, qx=0.0, qy=0.0, qz=math.sin(half), qw=math.cos(half))
        before = now


def _planar_step(before: Pose, after: Pose) -> tuple[float, float, float]:
    """Metres ahead and to the left in the earlier pose's axes, and radians turned to the left."""
    x_m, y_m, yaw_rad = after.x_m - before.x_m, after.y_m - before.y_m, before.yaw_rad
    ahead_m = x_m * math.cos(yaw_rad) + y_m * math.sin(yaw_rad)
    left_m = y_m * math.cos(yaw_rad) - x_m * math.sin(yaw_rad)
    return ahead_m, left_m, math.remainder(after.yaw_rad - yaw_rad, 2 * math.pi)


def recorded_items(walk: Walk, camera: Camera = CAMERA) -> Iterator[RecordedItem]:
    """What a robot's recording of the walk holds, in the order of the stamps; images as pixels, drawn in their turn.

    A camera without a pose looks ahead, level, from CAMERA_HEIGHT_M above the base, and no transform says so. Where it
    has one, the recording tells it as transforms, by way of a frame between base and camera.
    """
    seed, duration_s = walk.scene.seed, walk.path.duration_s
    begin_ns = start_ns(seed)

    def stamp_ns(t_s: float) -> int:
        return begin_ns + round(t_s * 1e9)

    def poses() -> Iterator[RecordedItem]:
        for t_s, pose in odometry(walk.path, seed):
            yield OdometryItem(stamp_ns=stamp_ns(t_s), pose=pose, frame_id='odom', child_frame_id=BASE_FRAME)

    def calibrations() -> Iterator[RecordedItem]:
        for number in range(int(duration_s * CAMERA_INFO_HZ) + 1):
            yield CameraInfoItem(stamp_ns=stamp_ns(number / CAMERA_INFO_HZ), calibration=camera.calibration)

    def images() -> Iterator[RecordedItem]:
        renderer = Renderer(walk.scene, camera) if camera.pose is None else Renderer(walk.scene, camera, 0.0)
        for number in range(int(duration_s * IMAGE_HZ) + 1):
            moment_ns = stamp_ns(number / IMAGE_HZ)
            pixels = renderer.render(chained(walk.path.pose_at(number / IMAGE_HZ), camera.pose or ORIGIN))
            frame = codec.frame_from_pixels(moment_ns, CAMERA_FRAME, pixels)
            yield ImageItem(stamp_ns=moment_ns, number=number, frame=frame)

    def mount() -> Iterator[RecordedItem]:
        if camera.pose is not None:
            link = Transform(parent=BASE_FRAME, child=CAMERA_LINK, pose=camera.pose, stamp_ns=begin_ns, fixed=True)
            yield link
            optical = inverse(BODY_IN_OPTICAL)
            yield dataclasses.replace(link, parent=CAMERA_LINK, child=CAMERA_FRAME, pose=optical)

    return heapq.merge(mount(), calibrations(), poses(), images(), key=lambda item: item.stamp_ns)


def write_bag(walk: Walk, folder: pathlib.Path, camera: Camera = CAMERA, with_depth: bool = False) -> int:
    """Write the recording of a walk as an MCAP bag with compressed images; returns the bag's size in bytes.

    Args:
        with_depth: record what a depth camera measures too, with its noise.

    Raises:
        InputError: the folder exists already, or depth is asked for of another camera than the standard one.
    """
    if with_depth and camera != CAMERA:
        raise InputError('depth is simulated for the standard camera alone; leave the other camera or depth out')
    if folder.exists():
        raise InputError(f'a bag needs a new folder, got {str(folder)!r}, which exists; remove it or name another')
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = get_typestore(Stores.ROS2_JAZZY)
    rng = random.Random(f'depth {walk.scene.seed}')
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.set_custom_data('site', walk.scene.site)
        connections = {
            kind: (name, writer.add_connection(topic, name, typestore=store))
            for kind, topic, name in (
                (CameraInfoItem, CAMERA_INFO_TOPIC, 'sensor_msgs/msg/CameraInfo'),
                (OdometryItem, ODOMETRY_TOPIC, 'nav_msgs/msg/Odometry'),
                (ImageItem, IMAGE_TOPIC, 'sensor_msgs/msg/CompressedImage'),
                (Transform, '/tf_static', 'tf2_msgs/msg/TFMessage'),
                (DepthMap, DEPTH_TOPIC, 'sensor_msgs/msg/CompressedImage'),
            )
            if (kind is not Transform or camera.pose is not None) and (kind is not DepthMap or with_depth)
        }
        for item in recorded_items(walk, camera):
            name, connection = connections[type(item)]
            writer.write(connection, item.stamp_ns, store.serialize_cdr(_message(item, store.types), name))
            if with_depth and isinstance(item, ImageItem):
                depth = noisy_depth(look(walk.scene, station_of(walk, item.stamp_ns)), EyeNoise(), rng)
                name, connection = connections[DepthMap]
                message = _depth_message(depth, item.stamp_ns, store.types)
                writer.write(connection, item.stamp_ns, store.serialize_cdr(message, name))
    return sum(file.stat().st_size for file in folder.iterdir())


def _message(item: RecordedItem, types: Any) -> Any:
    if isinstance(item, Transform):
        return _transform_message(item, _header(item.stamp_ns, item.parent, types), types)
    if isinstance(item, OdometryItem):
        return _odometry_message(item.pose, _header(item.stamp_ns, 'odom', types), types)
    header = _header(item.stamp_ns, CAMERA_FRAME, types)
    if isinstance(item, CameraInfoItem):
        return _camera_info_message(item, header, types)
    return types['sensor_msgs/msg/CompressedImage'](header, 'jpeg', np.frombuffer(encoded(item.frame).data, np.uint8))


def _header(stamp_ns: int, frame_id: str, types: Any) -> Any:
    return types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, NS_PER_S)), frame_id)


def _depth_message(depth: DepthMap, stamp_ns: int, types: Any) -> Any:
    """As compressedDepth sends it: a header that counts only for 32FC1, and a PNG."""
    data = bytes(12) + encode_depth(depth).data
    header = _header(stamp_ns, CAMERA_FRAME, types)
    kind = '16UC1; compressedDepth png'
    return types['sensor_msgs/msg/CompressedImage'](header, kind, np.frombuffer(data, np.uint8))


def _odometry_message(pose: Pose, header: Any, types: Any) -> Any:
    """The twist is not measured: the first covariance below zero says so."""
    point = types['geometry_msgs/msg/Point'](pose.x_m, pose.y_m, pose.z_m)
    turn = types['geometry_msgs/msg/Quaternion'](pose.qx, pose.qy, pose.qz, pose.qw)
    zero = types['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
    unknown = np.zeros(36)
    unknown[0] = -1.0
    where = types['geometry_msgs/msg/PoseWithCovariance'](types['geometry_msgs/msg/Pose'](point, turn), np.zeros(36))
    speed = types['geometry_msgs/msg/TwistWithCovariance'](types['geometry_msgs/msg/Twist'](zero, zero), unknown)
    return types['nav_msgs/msg/Odometry'](header, BASE_FRAME, where, speed)


def _transform_message(item: Transform, header: Any, types: Any) -> Any:
    pose = item.pose
    where = types['geometry_msgs/msg/Transform'](
        types['geometry_msgs/msg/Vector3'](pose.x_m, pose.y_m, pose.z_m),
        types['geometry_msgs/msg/Quaternion'](pose.qx, pose.qy, pose.qz, pose.qw),
    )
    return types['tf2_msgs/msg/TFMessage']([types['geometry_msgs/msg/TransformStamped'](header, item.child, where)])


def _camera_info_message(item: CameraInfoItem, header: Any, types: Any) -> Any:
    told = item.calibration
    d, k, r, p = (np.array(getattr(told, name)) for name in 'dkrp')
    region = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return types['sensor_msgs/msg/CameraInfo'](
        header, told.height, told.width, told.distortion_model, d, k, r, p, told.binning_x, told.binning_y, region
    )


def labels_of(scene: Scene) -> dict[int, TagLabel]:
    """What perception is to be told about the tags of a scene; the depth is the mean over an object's sides."""
    labels = {}
    for item in scene.objects:
        depths_m = [max(side_m, PLATE_WIDTH_M) / 2 for side_m in item.size_m[:2]]
        labels[item.tag_id] = TagLabel(name=item.name, depth_m=round(sum(depths_m) / 2, 3))
    return labels


def write_labels(scenes: Iterable[Scene], file: pathlib.Path) -> None:
    """Write one labels file for several scenes; the depth of a thing in two of them is the mean.

    Raises:
        InputError: two scenes give one tag to different things.
    """
    together: dict[int, list[TagLabel]] = {}
    for scene in scenes:
        for tag_id, label in labels_of(scene).items():
            known = together.setdefault(tag_id, [])
            if known and known[0].name != label.name:
                raise InputError(
                    f'a labels file needs each tag on one thing, got {tag_id!r} on {known[0].name!r} and '
                    f'{label.name!r}; choose other seeds, or write a file for each'
                )
            known.append(label)
    lines = ['# What the tags in the sample recordings hang on; depth_m is from the tag to the middle of the thing.']
    for tag_id, labels in sorted(together.items()):
        depth_m = sum(label.depth_m for label in labels) / len(labels)
        lines.append(f'{tag_id}: {{name: {json.dumps(labels[0].name, ensure_ascii=False)}, depth_m: {depth_m:.2f}}}')
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('\n'.join(lines) + '\n')


def with_common_tags(walk: Walk) -> Walk:
    """The walk with the same tag on the same noun in every scene, so that one labels file serves them all."""
    objects = tuple(dataclasses.replace(item, tag_id=NOUNS.index(item.name)) for item in walk.scene.objects)
    return dataclasses.replace(walk, scene=dataclasses.replace(walk.scene, objects=objects))


def observe(
    walk: Walk, settings: KeyFrameSettings | None = None, keep_last: bool = True, odometry: bool = True
) -> list[Observation]:
    """Walk through the scene with the robot's own key framing and OpenCV perception, and return what it wrote."""
    perceiver = OpenCVPerceiver([TagEye(TagSettings(tag_size_m=TAG_SIZE_M), labels_of(walk.scene))])
    keys = key_frames(walk, settings, keep_last, odometry)
    return [observation_of(key, perceiver.describe_now(previous, key), perceiver) for previous, key in pairs(keys)]


def key_frames(
    walk: Walk, settings: KeyFrameSettings | None = None, keep_last: bool = True, odometry: bool = True
) -> list[KeyFrame]:
    """The key frames that the robot's own key framing picks on a walk.

    Args:
        settings: how.
        keep_last: the last frame is a key frame too, as offline; a live camera does not know which is its last.
        odometry: whether it is heard.
    """
    framer = KeyFramer(settings or KeyFrameSettings(), codec.small_grey, encoded)
    keys: list[KeyFrame] = []
    for item in recorded_items(walk):
        if isinstance(item, CameraInfoItem):
            framer.set_calibration(item.calibration)
        elif isinstance(item, OdometryItem):
            if odometry:
                framer.push_pose(item.stamp_ns, item.pose, item.frame_id, item.child_frame_id)
        elif isinstance(item, Transform):
            framer.mounting.push(item)
        else:
            keys += framer.push(item.frame)
    if keep_last:
        keys += framer.finish()
    return keys


def encoded(frame: Frame) -> EncodedImage:
    """A rendered image as it is recorded."""
    return codec.encode_jpeg(codec.decode_frame(frame), JPEG_QUALITY)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write bags, one folder per seed, and the labels file that goes with them."""
    parser = argparse.ArgumentParser(prog='python -m training.world.recording', description=__doc__.split('\n')[0])
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[1, 2, 3], help='Seed the walks with these numbers (default: 1 2 3).'
    )
    parser.add_argument('--layout', type=pathlib.Path, help='Walk through this layout file instead of random places.')
    out, told = pathlib.Path('data/bags'), 'Write the bags to this folder (default: %(default)s).'
    parser.add_argument('--out', type=pathlib.Path, default=out, help=told)
    parser.add_argument('--labels', type=pathlib.Path, help='Write the labels to this file.')
    parser.add_argument(
        '--camera', choices=CAMERAS, default='standard', help='Film with 77 or 120 degrees (default: %(default)s).'
    )
    parser.add_argument('--depth', action='store_true', help='Record depth too.')
    parser.add_argument('--replace', action='store_true', help='Remove bags of the same name first.')
    options = parser.parse_args(arguments)
    walks = [
        load_layout(options.layout, seed) if options.layout else with_common_tags(make_walk(seed))
        for seed in options.seeds
    ]
    for seed, walk in zip(options.seeds, walks):
        folder = options.out / f'seed{seed}'
        if options.replace and (folder / 'metadata.yaml').exists():
            shutil.rmtree(folder)
        size = write_bag(walk, folder, CAMERAS[options.camera], options.depth)
        about = f'{walk.scene.kind}, {walk.path.duration_s:.1f} s, {len(walk.scene.objects)} things'
        print(f'{folder}: {about}, {size / 1e6:.2f} MB')
    if options.labels:
        write_labels([walk.scene for walk in walks], options.labels)


if __name__ == '__main__':
    main()
