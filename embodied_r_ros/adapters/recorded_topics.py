"""Which topics of a recording are read: by name, or by type and by what the names say."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence

from embodied_r_ros.core.errors import InputError

RAW_IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
ODOMETRY = 'nav_msgs/msg/Odometry'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
VIDEO = ('foxglove_msgs/msg/CompressedVideo', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket')

_DEPTH = re.compile(r'depth|disparity|16uc1|32fc1', re.IGNORECASE)
_NO_VIEW = re.compile(
    r'mask|confidence|segment|(?:^|[/_])seg(?:$|[/_])|label|debug|overlay|annotat|heatmap', re.IGNORECASE
)
_GREY = re.compile(r'infra|(?:^|[/_])ir(?:$|[/_\d])|thermal|mono(?!cular)|gr[ae]y|8uc1', re.IGNORECASE)
_TRANSPORTS = ('compressed', 'theora', 'zstd')
_ODOMETRY_NAMES = ('odom', 'odometry')

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedTopics:
    """Which topics of a recording are read; None where there is none of the kind."""

    image: str
    odometry: str | None
    camera_info: str | None
    depth: str | None = None


def choose_topics(
    topics: Mapping[str, tuple[str, int]],
    image_topic: str | None = None,
    odom_topic: str | None = None,
    camera_info_topic: str | None = None,
    encodings: Mapping[str, str] | None = None,
    depth_topic: str | None = None,
) -> RecordedTopics:
    """Choose what to read by type, where it is not named; a line in the log tells what was left aside.

    Of several image topics: none of distances, views in colour before grey ones before masks and the like, with a
    calibration before without, compressed before raw. The calibration is one that lies beside the image topic, or above
    it and beside no other. Of several odometries: one that is called odom, the one nearest to the root.
    Depth is read where it is named, since a name does not tell whether it is registered to the camera.

    Args:
        topics: name to type and number of messages.
        encodings: encoding or format of the first image of image topics, as far as they are known.

    Raises:
        InputError: no images, or no topic of the name and type asked for.
    """
    names = {
        kind: [name for name, (has, count) in sorted(topics.items()) if count and has in kind]
        for kind in ((RAW_IMAGE, COMPRESSED_IMAGE), (ODOMETRY,), (CAMERA_INFO,), VIDEO)
    }
    images, odometries, infos, videos = names.values()
    image = _named(image_topic, images, 'images')
    odometry, info = _named(odom_topic, odometries, 'odometry'), _named(camera_info_topic, infos, 'camera_info')
    depth = _named(depth_topic, images, 'images, which depth is among')
    if image is None:
        told = {name: f'{name} {(encodings or {}).get(name, "")}' for name in images}
        pictures = [name for name in images if not _DEPTH.search(told[name])]
        if not pictures:
            raise InputError(_no_images(topics, videos))
        ranks = {
            name: (_grade(told[name]), _info_of(name, infos, images) is None, topics[name][0] == RAW_IMAGE, name)
            for name in pictures
        }
        image = min(pictures, key=lambda name: ranks[name])
        _tell('images are', image, pictures, '--image-topic')
    if odometry is None and odometries:
        odometry = min(odometries, key=lambda name: (_last(name) not in _ODOMETRY_NAMES, name.count('/'), name))
        _tell('odometry is', odometry, odometries, '--odom-topic')
    if info is None:
        info = _info_of(image, infos, images)
        if infos and info is None:
            _logger.warning(
                'no camera_info belongs to %s by its name (there is %s), so turns have no degrees; '
                'name one with --camera-info-topic', image, ', '.join(infos),
            )  # fmt: skip
    return RecordedTopics(image=image, odometry=odometry, camera_info=info, depth=depth)


def _named(name: str | None, known: Sequence[str], what: str) -> str | None:
    if name is not None and name not in known:
        raise InputError(f'topic {name!r} must be one of the recording with {what}: {", ".join(known) or "none"}')
    return name


def _grade(told: str) -> int:
    """0 for a view in colour as far as name and encoding tell, 1 for a grey one, 2 for what is no view."""
    return 2 if _NO_VIEW.search(told) else 1 if _GREY.search(told) else 0


def _info_of(image: str, infos: Sequence[str], images: Sequence[str]) -> str | None:
    """The calibration beside an image topic; else the nearest one above it that lies beside no other image."""
    places = {info: info.rpartition('/')[0] for info in infos}
    base = _base(image)
    for place in (base.rpartition('/')[0], base):
        beside = [info for info in infos if places[info] == place]
        if beside:
            return min(beside, key=lambda info: (_last(info) != 'camera_info', info))
    taken = {_base(other).rpartition('/')[0] for other in images}
    above = [info for info in infos if places[info] not in taken and base.startswith(f'{places[info]}/')]
    return max(above, key=lambda info: len(places[info]), default=None)


def _base(image: str) -> str:
    """The topic without the part that image_transport adds."""
    above, _, last = image.rpartition('/')
    return above if last in _TRANSPORTS else image


def _last(name: str) -> str:
    return name.rpartition('/')[2].lower()


def _tell(what: str, chosen: str, known: Sequence[str], option: str) -> None:
    others = [name for name in known if _base(name) != _base(chosen)]
    if others:
        _logger.warning('%s read from %s, not from %s; choose another with %s', what, chosen, ', '.join(others), option)


def video_on(topics: Sequence[str]) -> str:
    """The sentence about topics of video (`VIDEO`), which is no picture by itself, and the way out."""
    return (
        f'video on {", ".join(topics)}; republish it as sensor_msgs/CompressedImage, as '
        '`ros2 run image_transport republish` does'
    )


def _no_images(topics: Mapping[str, tuple[str, int]], videos: Sequence[str]) -> str:
    if videos:
        return f'a recording must have images, got {video_on(videos)}, and record that'
    listing = ', '.join(f'{name} ({kind}, {count})' for name, (kind, count) in sorted(topics.items()))
    return f'a recording must have images, got topics {listing}; record the camera'
