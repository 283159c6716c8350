"""What recordings hold: rosbag2 in sqlite3 or MCAP, as a folder or a single file, and ROS 1 bags."""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from embodied_r_ros.adapters.bag_files import (
    UNREADABLE,
    cannot_read,
    opened,
    plain,
    raw_messages,
)
from embodied_r_ros.adapters.codec import frame_from_compressed, frame_from_pixels
from embodied_r_ros.adapters.depth_images import depth_from_compressed, depth_from_raw
from embodied_r_ros.adapters.raw_images import from_raw
from embodied_r_ros.adapters.recorded_topics import (
    COMPRESSED_IMAGE,
    RAW_IMAGE,
    RecordedTopics,
    choose_topics,
)
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import (
    NS_PER_S,
    CameraInfoItem,
    DepthItem,
    ImageItem,
    OdometryItem,
    ReadItem,
    StampSampler,
    Transform,
)
from embodied_r_ros.core.records import Calibration, Pose

# Odometry and images are written when they arrive; within this time they are put back into the order of their stamps.
HOLD_NS = NS_PER_S // 2
_LOOPED_NS = 5 * NS_PER_S
_TRANSFORMS = ('tf2_msgs/msg/TFMessage', 'tf/msg/tfMessage')

_logger = logging.getLogger(__name__)


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
    depth_topic: str | None = None,
    sample_hz: float | None = None,
    on_broken: Callable[[InputError], None] | None = None,
) -> Iterator[ReadItem]:
    """Images, poses, calibrations, transforms and depth of a recording, in the order of their header stamps.

    Fixed transforms come first, whenever they were recorded.
    Items are put in order within half a second; a message without a stamp counts from when it was recorded. Topics
    that are not named are found by their type (`choose_topics`), depth apart, which is read where it is named.

    Args:
        path: a rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag.
        sample_hz: take images at this rate only, by their stamps; the others are not read. `number` counts all.
        on_broken: told of each message that cannot be read, and is left out; a line in the log by default.

    Raises:
        SettingsError: neither rosbags nor rosbag2_py is installed.
        InputError: the recording cannot be read, is empty, has no images, or no topic of a name asked for (by the call
            itself); it breaks off, or none of its images can be read (by the iterator).
    """
    topics = find_topics(path, image_topic, odom_topic, camera_info_topic, depth_topic)
    sampler = None if sample_hz is None else StampSampler(sample_hz)
    tell = on_broken or _log_broken
    return itertools.chain(_fixed_transforms(Path(path), tell), _in_order(_items(Path(path), topics, sampler, tell)))


def find_topics(
    path: str | Path,
    image_topic: str | None = None,
    odom_topic: str | None = None,
    camera_info_topic: str | None = None,
    depth_topic: str | None = None,
) -> RecordedTopics:
    """The topics of a recording that `read_recording` reads, see `choose_topics`; raises as the call of that."""
    with opened(path) as reader:
        topics = _topics_of(reader)
        encodings = {} if image_topic else _encodings(reader, topics)
        return choose_topics(topics, image_topic, odom_topic, camera_info_topic, encodings, depth_topic)


def _encodings(reader: Any, topics: dict[str, tuple[str, int]]) -> dict[str, str]:
    """What the first image of each image topic says of its encoding, where there are several topics."""
    images = [name for name, (kind, count) in topics.items() if count and kind in (RAW_IMAGE, COMPRESSED_IMAGE)]
    found: dict[str, str] = {}
    for name in images if len(images) > 1 else ():
        connections = [connection for connection in reader.connections if connection.topic == name]
        try:
            first = next(reader.messages(connections=connections), None)
            if first is None:
                continue
            connection, _, data = first
            message: Any = reader.deserialize(plain(data), connection.msgtype)
            found[name] = str(message.encoding if connection.msgtype == RAW_IMAGE else message.format)
        except UNREADABLE:
            continue
    return found


def read_topics(path: str | Path) -> dict[str, tuple[str, int]]:
    """Name of each topic of a recording to its type and number of messages.

    Raises:
        SettingsError: neither rosbags nor rosbag2_py is installed.
        InputError: the recording cannot be read or is empty.
    """
    with opened(path) as reader:
        return _topics_of(reader)


def read_messages(path: str | Path, topics: list[str] | None = None) -> Generator[RawMessage, None, None]:
    """All messages of a rosbag2 recording, or those of some topics, in the order in which they were recorded.

    Raises:
        SettingsError: neither rosbags nor rosbag2_py is installed.
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
    with opened(path) as reader:
        chosen = [connection for connection in reader.connections if topics is None or connection.topic in topics]
        for connection, stamp_ns, data in raw_messages(reader, chosen, path):
            yield RawMessage(topic=connection.topic, type=connection.msgtype, stamp_ns=stamp_ns, data=bytes(data))


def _items(
    path: Path, topics: RecordedTopics, sampler: StampSampler | None, on_broken: Callable[[InputError], None]
) -> Iterator[ReadItem]:
    wanted = {topics.image, topics.odometry, topics.camera_info, topics.depth}
    number, good, broken = 0, 0, 0
    with opened(path) as reader:
        connections = [
            connection
            for connection in reader.connections
            if connection.topic in wanted or (_tells_transforms(connection) and not _is_fixed(connection))
        ]
        for connection, recorded_ns, data in raw_messages(reader, connections, path):
            what = f'image {number}' if connection.topic == topics.image else f'a message on {connection.topic}'
            number += connection.topic == topics.image
            try:
                message = _message(reader, connection, data)
                if _tells_transforms(connection):
                    yield from _transforms(message, fixed=False)
                    continue
                item = _item(message, recorded_ns, topics, connection, number - 1, sampler)
            except InputError as error:
                broken += 1
                on_broken(InputError(f'{what} of the recording is left out: {error}'))
                continue
            if item is not None:
                good += isinstance(item, ImageItem)
                yield item
    if not good:
        raise InputError(cannot_read(path, f'none of the {number} images on {topics.image!r} can be read'))


def _fixed_transforms(path: Path, on_broken: Callable[[InputError], None]) -> Iterator[ReadItem]:
    with opened(path) as reader:
        connections = [one for one in reader.connections if _tells_transforms(one) and _is_fixed(one)]
        for connection, _, data in raw_messages(reader, connections, path) if connections else ():
            try:
                yield from _transforms(_message(reader, connection, data), fixed=True)
            except InputError as error:
                on_broken(InputError(f'a message on {connection.topic} of the recording is left out: {error}'))


def _tells_transforms(connection: Any) -> bool:
    return connection.msgtype in _TRANSFORMS


def _is_fixed(connection: Any) -> bool:
    return str(connection.topic).endswith('tf_static')


def _transforms(message: Any, fixed: bool) -> Iterator[Transform]:
    for told in message.transforms:
        shift, turn = told.transform.translation, told.transform.rotation
        yield Transform(
            parent=str(told.header.frame_id),
            child=str(told.child_frame_id),
            pose=_pose_of(shift, turn),
            stamp_ns=_stamp_ns(told.header.stamp),
            fixed=fixed,
        )


def _message(reader: Any, connection: Any, data: bytes) -> Any:
    try:
        return reader.deserialize(data, connection.msgtype)
    except UNREADABLE as error:
        why = str(error) or type(error).__name__
        raise InputError(f'a {connection.msgtype} must be whole, got {len(data)} bytes that are not: {why}') from None


def _item(
    message: Any,
    recorded_ns: int,
    topics: RecordedTopics,
    connection: Any,
    number: int,
    sampler: StampSampler | None,
) -> ReadItem | None:
    """The item in a message; None for an image that is not sampled."""
    stamp_ns = _stamp_ns(message.header.stamp) or recorded_ns
    if connection.topic == topics.odometry:
        at = message.pose.pose
        return OdometryItem(
            stamp_ns=stamp_ns,
            pose=_pose_of(at.position, at.orientation),
            frame_id=str(message.header.frame_id),
            child_frame_id=str(message.child_frame_id),
        )
    if connection.topic == topics.camera_info:
        return CameraInfoItem(stamp_ns=stamp_ns, calibration=_calibration(message, stamp_ns))
    if connection.topic == topics.depth:
        return DepthItem(stamp_ns=stamp_ns, read=functools.partial(_depth, message, connection.msgtype))
    return _image(message, connection.msgtype, stamp_ns, number, sampler)


def _image(message: Any, kind: str, stamp_ns: int, number: int, sampler: StampSampler | None) -> ImageItem | None:
    if sampler is not None and not sampler.due(stamp_ns):
        return None
    frame_id = str(message.header.frame_id)
    if kind == COMPRESSED_IMAGE:
        frame = frame_from_compressed(stamp_ns, frame_id, np.asarray(message.data, np.uint8))
    else:
        pixels = from_raw(
            message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
        )
        frame = frame_from_pixels(stamp_ns, frame_id, pixels)
    if sampler is not None:
        sampler.take(stamp_ns)
    return ImageItem(stamp_ns=stamp_ns, number=number, frame=frame)


def _depth(message: Any, kind: str) -> DepthMap:
    if kind == COMPRESSED_IMAGE:
        return depth_from_compressed(str(message.format), np.asarray(message.data, np.uint8))
    return depth_from_raw(
        message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
    )


def _in_order(items: Iterator[ReadItem]) -> Iterator[ReadItem]:
    """Put items in the order of their stamps, a pose before an image of one stamp; holds each for half a second."""
    held: list[tuple[int, bool, int, ReadItem]] = []
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


def _topics_of(reader: Any) -> dict[str, tuple[str, int]]:
    topics: dict[str, tuple[str, int]] = {}
    for connection in reader.connections:
        count = topics.get(connection.topic, ('', 0))[1]
        topics[connection.topic] = (connection.msgtype, count + connection.msgcount)
    return topics


def _named(name: str | None, known: list[str], what: str) -> str | None:
    if name is not None and name not in known:
        raise InputError(f'topic {name!r} must be one of the recording with {what}: {", ".join(known) or "none"}')
    return name


def _stamp_ns(stamp: Any) -> int:
    if stamp.sec < 0 or not 0 <= stamp.nanosec < NS_PER_S:
        raise InputError(f'a stamp must be sec >= 0 and nanosec below 1e9, got {stamp.sec!r} and {stamp.nanosec!r}')
    return int(stamp.sec * NS_PER_S + stamp.nanosec)


def _pose_of(position: Any, orientation: Any) -> Pose:
    return Pose(
        x_m=float(position.x), y_m=float(position.y), z_m=float(position.z),
        qx=float(orientation.x), qy=float(orientation.y), qz=float(orientation.z), qw=float(orientation.w),
    )  # fmt: skip


def _calibration(message: Any, stamp_ns: int) -> Calibration:
    """A camera_info of ROS 2, or of ROS 1, where the matrices have capital letters."""
    d, k, r, p = (
        tuple(map(float, getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())))
        for name in 'dkrp'
    )
    roi = message.roi
    return Calibration(
        width=int(message.width), height=int(message.height),
        distortion_model=str(message.distortion_model), d=d, k=k, r=r, p=p,
        binning_x=int(message.binning_x), binning_y=int(message.binning_y),
        roi=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        roi_rectified=bool(roi.do_rectify),
        stamp_ns=stamp_ns, frame_id=str(message.header.frame_id),
    )  # fmt: skip


def _log_broken(error: InputError) -> None:
    _logger.warning('%s', error)
