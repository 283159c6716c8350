"""The topic of a camera's images: listens to it, and explains why no image comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import CompressedImage, Image

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.raw_images import from_raw
from embodied_r_ros.adapters.recorded_topics import VIDEO, video_on
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Frame
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import ns_from_stamp
from embodied_r_ros.nodes.managed import ManagedNode

RAW = 'raw'
COMPRESSED = 'compressed'

ImageMessage: TypeAlias = 'Image | CompressedImage'

_TOPICS = {RAW: ('image', Image), COMPRESSED: ('image/compressed', CompressedImage)}
_TYPE_NAMES = {RAW: 'sensor_msgs/msg/Image', COMPRESSED: 'sensor_msgs/msg/CompressedImage'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTopicSettings(Settings):
    """How images are received."""

    image_transport: str = setting(
        COMPRESSED, 'The node subscribes to image/compressed, or to the raw topic image.', choices=(COMPRESSED, RAW)
    )
    image_reliability: str = setting(
        'best_effort',
        'The subscription has this reliability; reliable receives only from reliable publishers.',
        choices=qos.RELIABILITIES,
    )
    image_depth: int = setting(5, 'At most this many images wait for the node.', within=(1, 100))
    silence_s: float = setting(3.0, 'The node warns after this long without an image.', unit='s', within=(0.2, 3600.0))


class SequenceGaps:
    """Counts the messages that were lost on the way, or here because the node was too slow.

    Each sender numbers its messages from 1. A number says nothing without its sender, which rclpy names since Kilted,
    and not every middleware numbers.

    Attributes:
        lost: messages that were sent and never taken; None where that cannot be known.
    """

    def __init__(self) -> None:
        self.lost: int | None = None
        self._last: dict[bytes, int] = {}

    def restart(self) -> None:
        """Begin to listen anew: what was sent since the last message is not lost."""
        self._last.clear()

    def note(self, info: Mapping[str, Any]) -> None:
        """Take in what the middleware tells of a message."""
        number, sender = info.get('publication_sequence_number'), info.get('publisher_gid')
        if not number or sender is None:
            return
        last = self._last.get(sender['data'], number - 1)
        self.lost = (self.lost or 0) + max(0, number - last - 1)
        self._last[sender['data']] = max(number, last)


class ImageTopic:
    """Listens to a camera for a node.

    Args:
        node: that listens.
        settings: how.
        receive: called with each message.

    Attributes:
        incompatible: the sentence about a sender whose quality of service does not fit; '' for none.
        gaps: how many images were sent and never taken.
    """

    def __init__(
        self, node: ManagedNode, settings: ImageTopicSettings, receive: Callable[[ImageMessage], None]
    ) -> None:
        self._node = node
        self._settings = settings
        self._receive = receive
        self._relative, self._type = _TOPICS[settings.image_transport]
        self._wanted_type = _TYPE_NAMES[settings.image_transport]
        self.name = node.resolve_topic_name(self._relative)
        self.incompatible = ''
        self.gaps = SequenceGaps()

    def listen(self) -> None:
        """Subscribe, until the transition that mirrors the one under way."""
        self._bearable_s = self._settings.silence_s
        self._subscribe()
        self._node.held(self, self._unsubscribe)

    def listen_anew(self, silence_s: float) -> bool:
        """Replace the subscription where a sender that fits is there, each time after twice the silence.

        After a listener was killed, Fast DDS may send nothing more to the others until one is added.

        Args:
            silence_s: since the last image, or since listening began.

        Returns:
            whether it was replaced.
        """
        if silence_s < self._bearable_s or self.incompatible or self._wanted_type not in self._types_sent():
            return False
        self._bearable_s = 2 * silence_s
        self._unsubscribe()
        self._subscribe()
        return True

    def _subscribe(self) -> None:
        self.incompatible = ''
        self.gaps.restart()
        profile = qos.images(self._settings.image_reliability, self._settings.image_depth)
        events = SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible)
        self._subscription = self._node.create_subscription(
            self._type, self._relative, self._on_message, profile, event_callbacks=events
        )

    def _unsubscribe(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _types_sent(self) -> list[str]:
        return sorted({sender.topic_type for sender in self._node.get_publishers_info_by_topic(self.name)})

    def frame(self, message: ImageMessage) -> Frame:
        """The frame in a message.

        Raises:
            InputError: the image has no stamp, is empty or cut short, or of an unknown encoding.
        """
        stamp_ns, frame_id = ns_from_stamp(message.header.stamp), message.header.frame_id
        if stamp_ns <= 0:
            raise InputError(f'an image needs a stamp above 0, got {stamp_ns!r} ns; let the driver fill header.stamp')
        if self._settings.image_transport == COMPRESSED:
            return codec.frame_from_compressed(stamp_ns, frame_id, message.data)
        pixels = from_raw(
            message.encoding, message.width, message.height, message.step, message.data, bool(message.is_bigendian)
        )
        return codec.frame_from_pixels(stamp_ns, frame_id, pixels)

    def format_of(self, message: ImageMessage) -> tuple[object, ...]:
        """Size and encoding of an image, as far as the message tells without decoding; a camera rarely changes them."""
        if self._settings.image_transport == COMPRESSED:
            return (message.format,)
        return (message.width, message.height, message.encoding)

    def describe(self) -> str:
        """Name, type and reliability."""
        return f'{self.name} ({self._wanted_type}, {self._settings.image_reliability})'

    def explain_silence(self) -> str:
        """Why no image may be coming, and what to do."""
        types = self._types_sent()
        if self.incompatible:
            return self.incompatible
        if self._wanted_type in types:
            return (
                'a sender of that type is there, but sends nothing that arrives; is the camera or the bag paused? Over '
                'Fast DDS it may have no shared memory left: restart it with config/fastdds_large_images.xml'
            )
        if types:
            return f'what is sent there is of type {", ".join(types)}; set image_transport to fit'
        found = self._image_topics()
        if found:
            return f'nobody sends there; image topics in the graph: {", ".join(found)}; remap {self._relative} to one'
        videos = [topic for topic, kinds in self._node.get_topic_names_and_types() if set(kinds) & set(VIDEO)]
        if videos:
            return f'nobody sends images, but there is {video_on(sorted(videos))}'
        return 'nobody sends images anywhere in the graph; start the camera, and check ROS_DOMAIN_ID'

    def _image_topics(self) -> list[str]:
        own = self._node.resolve_topic_name('key_frames')
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            kinds = sorted(set(types) & set(_TYPE_NAMES.values()))
            if kinds and topic not in (self.name, own) and self._node.count_publishers(topic):
                found.append(f'{topic} ({kinds[0]})')
        return found

    def _on_message(self, message: ImageMessage, info: Mapping[str, Any]) -> None:
        self.gaps.note(info)
        self._bearable_s = self._settings.silence_s
        self._receive(message)

    def _on_incompatible(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self.incompatible = (
            f'a sender on {self.name} offers another quality of service ({policy}) than this node asks for '
            f'(image_reliability {self._settings.image_reliability}), so nothing comes from it; '
            'set image_reliability to best_effort'
        )
        self._node.get_logger().error(self.incompatible)
