"""Recordings through rosbags: rosbag2 in sqlite3 or MCAP, as a folder or a single file, and ROS 1 bags."""

from __future__ import annotations

import dataclasses
import heapq
import logging
import re
import sqlite3
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from embodied_r_ros.adapters.codec import frame_from_compressed, frame_from_pixels
from embodied_r_ros.adapters.raw_images import from_raw
from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.frames import NS_PER_S, CameraInfoItem, ImageItem, OdometryItem, RecordedItem, StampSampler
from embodied_r_ros.core.records import Intrinsics, Pose

# rosbags has no apt package: nodes that read no recording run without it, and whoever reads one is told.
try:
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import ReaderError
    from rosbags.serde import SerdeError
    from rosbags.typesys import Stores, TypesysError, get_typestore
    from rosbags.typesys.store import Typestore
except ImportError as error:
    _missing = str(error)
    _ERRORS_OF_ROSBAGS: tuple[type[Exception], ...] = ()
else:
    _missing = ''
    _ERRORS_OF_ROSBAGS = (AnyReaderError, ReaderError, SerdeError, TypesysError)

RAW_IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
ODOMETRY = 'nav_msgs/msg/Odometry'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

# Odometry and images are written when they arrive; within this time they are put back into the order of their stamps.
HOLD_NS = NS_PER_S // 2
_LOOPED_NS = 5 * NS_PER_S

_UNREADABLE: tuple[type[Exception], ...] = (
    *_ERRORS_OF_ROSBAGS, sqlite3.Error, struct.error,
    OSError, ValueError, KeyError, IndexError, AssertionError, EOFError,
)  # fmt: skip

_DISTRO = re.compile(r'^\s*ros_distro:\s*["\']?(\w+)', re.MULTILINE)

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedTopics:
    """Which topics of a recording are read; None where there is none of the kind."""

    image: str
    odometry: str | None
    camera_info: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawMessage:
    """A recorded message as it was written.

    Attributes:
        type: such as 'sensor_msgs/msg/Image'.
        stamp_ns: when it was recorded.
        data: CDR bytes.
    """

    topic: str
    type: str
    stamp_ns: int
    data: bytes


def read_recording(
    path: str | Path,
    *,
    image_topic: str | None = None,
    odom_topic: str | None = None,
    camera_info_topic: str | None = None,
    sample_hz: float | None = None,
    on_broken: Callable[[InputError], None] | None = None,
) -> Iterator[RecordedItem]:
    """Images, poses and calibrations of a recording, in the order of their header stamps.

    Items are put in order within half a second; a message without a stamp counts from when it was recorded. Topics
    that are not named are found by their type (`choose_topics`).

    Args:
        path: a rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag.
        sample_hz: take images at this rate only, by their stamps; the others are not read. `number` counts all.
        on_broken: told of each image that cannot be read, and is left out; a line in the log by default.

    Raises:
        SettingsError: rosbags is not installed.
        InputError: the recording cannot be read, is empty, has no images, or no topic of a name asked for (by the call
            itself); it breaks off, or none of its images can be read (by the iterator).
    """
    with _opened(path) as reader:
        topics = choose_topics(_topics_of(reader), image_topic, odom_topic, camera_info_topic)
    sampler = None if sample_hz is None else StampSampler(sample_hz)
    return _in_order(_items(Path(path), topics, sampler, on_broken or _log_broken))


def choose_topics(
    topics: dict[str, tuple[str, int]],
    image_topic: str | None = None,
    odom_topic: str | None = None,
    camera_info_topic: str | None = None,
) -> RecordedTopics:
    """Choose what to read by type, where it is not named.

    Of several image topics: none whose name speaks of depth, compressed before raw, then the one with most messages.
    Of several calibrations: the one whose name shares most with the image topic's.

    Args:
        topics: name to type and number of messages.

    Raises:
        InputError: no images, or no topic of the name and type asked for.
    """
    counts = {name: count for name, (_, count) in topics.items() if count}
    images = [name for name in sorted(counts) if topics[name][0] in (COMPRESSED_IMAGE, RAW_IMAGE)]
    image = _named(image_topic, images, 'images')
    if image is None:
        pictures = [name for name in images if 'depth' not in name.lower()]
        if not pictures:
            raise InputError(f'a recording must have images, got topics {_listing(topics)}; record the camera')
        image = min(pictures, key=lambda name: (topics[name][0] == RAW_IMAGE, -counts[name], name))
    odometries = [name for name in sorted(counts) if topics[name][0] == ODOMETRY]
    infos = [name for name in sorted(counts) if topics[name][0] == CAMERA_INFO]
    odometry = _named(odom_topic, odometries, 'odometry')
    info = _named(camera_info_topic, infos, 'camera_info')
    return RecordedTopics(
        image=image,
        odometry=odometry or min(odometries, key=lambda name: (-counts[name], name), default=None),
        camera_info=info or max(infos, key=lambda name: _common_parts(name, image), default=None),
    )


def read_topics(path: str | Path) -> dict[str, tuple[str, int]]:
    """Name of each topic of a recording to its type and number of messages.

    Raises:
        SettingsError: rosbags is not installed.
        InputError: the recording cannot be read or is empty.
    """
    with _opened(path) as reader:
        return _topics_of(reader)


def read_messages(path: str | Path, topics: list[str] | None = None) -> Generator[RawMessage, None, None]:
    """All messages of a rosbag2 recording, or those of some topics, in the order in which they were recorded.

    Raises:
        SettingsError: rosbags is not installed.
        InputError: the recording cannot be read, is empty, is of ROS 1, or lacks a topic asked for (by the call
            itself); it breaks off (by the iterator).
    """
    known = read_topics(path)
    if Path(path).suffix == '.bag':
        raise InputError(f'playing needs a rosbag2 recording, got ROS 1 bag {str(path)!r}; run rosbags-convert on it')
    for topic in topics or ():
        _named(topic, sorted(known), 'messages')
    return _messages(Path(path), topics)


def _messages(path: Path, topics: list[str] | None) -> Generator[RawMessage, None, None]:
    with _opened(path) as reader:
        chosen = [connection for connection in reader.connections if topics is None or connection.topic in topics]
        for connection, stamp_ns, data in _raw_messages(reader, chosen, path):
            yield RawMessage(topic=connection.topic, type=connection.msgtype, stamp_ns=stamp_ns, data=bytes(data))


def _items(
    path: Path, topics: RecordedTopics, sampler: StampSampler | None, on_broken: Callable[[InputError], None]
) -> Iterator[RecordedItem]:
    wanted = {topics.image, topics.odometry, topics.camera_info}
    number, good = 0, 0
    with _opened(path) as reader:
        connections = [connection for connection in reader.connections if connection.topic in wanted]
        for connection, recorded_ns, data in _raw_messages(reader, connections, path):
            try:
                message: Any = reader.deserialize(data, connection.msgtype)
            except _UNREADABLE as error:
                why = f'a {connection.msgtype} on {connection.topic} is broken: {error}'
                raise InputError(_cannot_read(path, why)) from None
            stamp_ns = message.header.stamp.sec * NS_PER_S + message.header.stamp.nanosec or recorded_ns
            if connection.topic == topics.odometry:
                yield OdometryItem(stamp_ns=stamp_ns, pose=_pose(message))
            elif connection.topic == topics.camera_info:
                yield CameraInfoItem(stamp_ns=stamp_ns, intrinsics=_intrinsics(message))
            else:
                item = _image(message, connection.msgtype, stamp_ns, number, sampler, on_broken)
                number += 1
                if item is not None:
                    good += 1
                    yield item
    if not good:
        raise InputError(_cannot_read(path, f'none of the {number} images on {topics.image!r} can be read'))


def _image(
    message: Any,
    kind: str,
    stamp_ns: int,
    number: int,
    sampler: StampSampler | None,
    on_broken: Callable[[InputError], None],
) -> ImageItem | None:
    if sampler is not None and not sampler.due(stamp_ns):
        return None
    frame_id = str(message.header.frame_id)
    try:
        if kind == COMPRESSED_IMAGE:
            frame = frame_from_compressed(stamp_ns, frame_id, np.asarray(message.data, np.uint8))
        else:
            pixels = from_raw(
                message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
            )
            frame = frame_from_pixels(stamp_ns, frame_id, pixels)
    except InputError as error:
        on_broken(InputError(f'image {number} of the recording is left out: {error}'))
        return None
    if sampler is not None:
        sampler.take(stamp_ns)
    return ImageItem(stamp_ns=stamp_ns, number=number, frame=frame)


def _in_order(items: Iterator[RecordedItem]) -> Iterator[RecordedItem]:
    """Put items in the order of their stamps, a pose before an image of one stamp; holds each for half a second."""
    held: list[tuple[int, bool, int, RecordedItem]] = []
    newest_ns = 0
    for count, item in enumerate(items):
        if held and item.stamp_ns < newest_ns - _LOOPED_NS:
            # Time was set back, as where a recording was looped: what came before it stays before it.
            yield from (heapq.heappop(held)[3] for _ in range(len(held)))
            newest_ns = item.stamp_ns
        newest_ns = max(newest_ns, item.stamp_ns)
        heapq.heappush(held, (item.stamp_ns, isinstance(item, ImageItem), count, item))
        while held[0][0] < newest_ns - HOLD_NS:
            yield heapq.heappop(held)[3]
    yield from (heapq.heappop(held)[3] for _ in range(len(held)))


def _opened(path: str | Path) -> Any:
    """An open reader that closes at the end of a `with` block.

    Message definitions come from the recording where it carries them, else from its ROS distribution, else from Kilted:
    the four types read here are the same in all since Humble.
    """
    if _missing:
        raise SettingsError(f'reading {str(path)!r} needs the Python package rosbags: {_missing}; pip install rosbags')
    path = Path(path)
    if not path.exists():
        raise InputError(f'a recording must be a folder or file, got {str(path)!r}, which is none; check the path')
    try:
        reader = AnyReader([_storage(path)], default_typestore=_default_typestore(path))
        reader.open()
    except _UNREADABLE as error:
        raise InputError(_cannot_read(path, str(error) or type(error).__name__)) from None
    if not any(connection.msgcount for connection in reader.connections):
        reader.close()
        raise InputError(f'a recording must hold messages, got {str(path)!r}, which is empty; record it anew')
    return closing(reader)


def _storage(path: Path) -> Path:
    """The folder or file to open; a folder without metadata, as a crash leaves it, stands for its one file."""
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        files = [file for file in sorted(path.iterdir()) if file.suffix in ('.mcap', '.db3')]
        if len(files) != 1:
            raise InputError(_cannot_read(path, f'it has no metadata.yaml, and {len(files)} storage files'))
        return files[0]
    return path


def _default_typestore(path: Path) -> Typestore:
    metadata = path / 'metadata.yaml'
    text = metadata.read_text(errors='replace') if metadata.exists() else ''
    told = _DISTRO.search(text)
    for name in (f'ROS2_{told[1].upper()}' if told else '', 'ROS2_KILTED'):
        if name in Stores.__members__:
            return get_typestore(Stores[name])
    return get_typestore(Stores.LATEST)


def _raw_messages(
    reader: AnyReader, connections: list[Connection], path: Path
) -> Iterator[tuple[Connection, int, bytes]]:
    messages = reader.messages(connections=connections)
    while True:
        try:
            message = next(messages, None)
        except _UNREADABLE as error:
            raise InputError(_cannot_read(path, f'it breaks off: {error}')) from None
        if message is None:
            return
        yield message


def _topics_of(reader: AnyReader) -> dict[str, tuple[str, int]]:
    topics: dict[str, tuple[str, int]] = {}
    for connection in reader.connections:
        count = topics.get(connection.topic, ('', 0))[1]
        topics[connection.topic] = (connection.msgtype, count + connection.msgcount)
    return topics


def _named(name: str | None, known: list[str], what: str) -> str | None:
    if name is not None and name not in known:
        raise InputError(f'topic {name!r} must be one of the recording with {what}: {", ".join(known) or "none"}')
    return name


def _common_parts(name: str, other: str) -> int:
    parts = list(zip(name.split('/'), other.split('/')))
    return next((index for index, (mine, its) in enumerate(parts) if mine != its), len(parts))


def _pose(message: Any) -> Pose:
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    return Pose(
        x_m=float(position.x), y_m=float(position.y), z_m=float(position.z),
        qx=float(orientation.x), qy=float(orientation.y), qz=float(orientation.z), qw=float(orientation.w),
    )  # fmt: skip


def _intrinsics(message: Any) -> Intrinsics:
    matrix = message.k if hasattr(message, 'k') else message.K
    return Intrinsics(
        width=int(message.width), height=int(message.height),
        fx_px=float(matrix[0]), fy_px=float(matrix[4]), cx_px=float(matrix[2]), cy_px=float(matrix[5]),
    )  # fmt: skip


def _listing(topics: dict[str, tuple[str, int]]) -> str:
    return ', '.join(f'{name} ({kind}, {count})' for name, (kind, count) in sorted(topics.items()))


def _cannot_read(path: Path, why: str) -> str:
    return f'a recording must be a rosbag2 or ROS 1 bag in one piece, got {str(path)!r}: {why}; try `ros2 bag reindex`'


def _log_broken(error: InputError) -> None:
    _logger.warning('%s', error)
