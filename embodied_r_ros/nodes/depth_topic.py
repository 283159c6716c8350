"""The topic of a depth camera: listens to it, and publishes the depth of each key frame, made small."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from sensor_msgs.msg import CompressedImage, Image

from embodied_r_ros.adapters.codec import PNG
from embodied_r_ros.adapters.depth_images import depth_from_compressed, depth_from_raw, encode_depth
from embodied_r_ros.app.recorded_depth import DEPTH_MAX_AGE_S
from embodied_r_ros.core.depth_pairs import DepthPairs
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import EncodedImage, KeyFrame
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import header, ns_from_stamp
from embodied_r_ros.nodes.managed import ManagedNode

KEY_FRAME_DEPTH = 'key_frame_depth'
FORMAT = '16UC1; png'
_MOST_DEPTH_BYTES = 1_000_000

DepthMessage: TypeAlias = 'Image | CompressedImage'


def depth_from_message(message: CompressedImage) -> EncodedImage:
    """The depth of a key frame, as the bytes that came; they are decoded where they are needed.

    Raises:
        InputError: it is larger than camera_node sends it.
    """
    if len(message.data) > _MOST_DEPTH_BYTES:
        raise InputError(
            f'the depth of a key frame takes at most {_MOST_DEPTH_BYTES} bytes, got {len(message.data)!r}; let '
            'camera_node send it'
        )
    return EncodedImage(data=bytes(message.data), mime=PNG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthTopicSettings(Settings):
    """How depth is received."""

    depth_topic: str = setting(
        '',
        'Depth that is registered to the camera comes on this topic, compressed if its name ends in compressedDepth '
        "or compressed; '' means none.",
    )
    depth_max_age_s: float = setting(
        DEPTH_MAX_AGE_S,
        'A depth image belongs to a key frame if their stamps differ by at most this.',
        unit='s',
        within=(0.0, 1.0),
    )


class DepthTopic:
    """Listens to a depth camera for camera_node, and publishes `key_frame_depth`.

    Args:
        node: that listens.
        settings: how.
        reject: gets a sentence about depth that cannot be used.
    """

    def __init__(self, node: ManagedNode, settings: DepthTopicSettings, reject: Callable[[str], None]) -> None:
        self._node = node
        self._settings = settings
        self._reject = reject
        self._pairs: DepthPairs[DepthMessage] = DepthPairs(settings.depth_max_age_s, self._pair)
        self._missed_told = 0

    def configure(self) -> None:
        """Create the publisher, where there is a depth topic."""
        if self._settings.depth_topic:
            publisher = self._node.create_publisher(CompressedImage, KEY_FRAME_DEPTH, qos.KEY_FRAMES)
            self._publisher = self._node.held(publisher)

    def listen(self) -> None:
        """Subscribe, until the transition that mirrors the one under way."""
        topic = self._settings.depth_topic
        if topic:
            kind = CompressedImage if topic.endswith(('compressedDepth', 'compressed')) else Image
            self._node.held(self._node.create_subscription(kind, topic, self._on_depth, qos.DEPTH))

    def expect(self, key: KeyFrame) -> None:
        """Publish the depth of this key frame, which has been published, as soon as it is there."""
        if self._settings.depth_topic:
            self._pairs.push_key(key)
            self._tell_of_missed()

    def _on_depth(self, message: DepthMessage) -> None:
        try:
            stamp_ns = ns_from_stamp(message.header.stamp)
        except InputError as error:
            self._reject(str(error))
            return
        self._pairs.push_depth(stamp_ns, message)
        self._tell_of_missed()

    def _tell_of_missed(self) -> None:
        if self._pairs.missed > self._missed_told:
            self._missed_told = self._pairs.missed
            self._reject(
                f'depth on {self._settings.depth_topic} must come with the stamps of the images, within '
                f'{self._settings.depth_max_age_s:g} s, got none for {self._missed_told!r} key frames; let one driver '
                'stamp both, or raise depth_max_age_s'
            )

    def _pair(self, key: KeyFrame, message: DepthMessage) -> None:
        try:
            if isinstance(message, CompressedImage):
                depth = depth_from_compressed(message.format, message.data)
            else:
                depth = depth_from_raw(
                    message.encoding,
                    message.width,
                    message.height,
                    message.step,
                    message.data,
                    bool(message.is_bigendian),
                )
        except InputError as error:
            self._reject(str(error))
            return
        small = CompressedImage(header=header(key.stamp_ns, key.frame_id), format=FORMAT)
        small.data = array.array('B', encode_depth(depth).data)
        self._publisher.publish(small)
