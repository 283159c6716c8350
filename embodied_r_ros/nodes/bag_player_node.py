"""A recording, played onto the graph with its clock."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Generator
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage

from embodied_r_ros.adapters import bags
from embodied_r_ros.adapters.recorded_topics import COMPRESSED_IMAGE, RAW_IMAGE
from embodied_r_ros.adapters.rosbag2_reader import message_class
from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S, stamp_from_ns
from embodied_r_ros.nodes.managed import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, ManagedNode
from embodied_r_ros.nodes.process import run

CLOCK_TOPIC = '/clock'
TICK_S = 0.005
WAIT_PERIOD_S = 0.1
# After this node has discovered a listener, the listener may need this long to discover this node.
SETTLE_S = 0.3
# These topics tell how the recorded graph ran, not what it saw.
_NOT_PLAYED = ('/rosout', '/parameter_events', '/diagnostics', '/diagnostics_agg', CLOCK_TOPIC)
_LATCHED = ('/robot_description', '/map')


@dataclasses.dataclass(frozen=True, kw_only=True)
class BagPlayerSettings(Settings):
    """What is played, and how."""

    path: str = setting('', 'The node plays this rosbag2 folder, .mcap or .db3 file.')
    rate: float = setting(1.0, 'The recording is played at this multiple of real time.', within=(0.01, 100.0))
    loop: bool = setting(False, 'The recording starts again at its end; time then jumps back.')
    relative_topics: bool = setting(False, 'Topics lose their leading slash, so that the namespace applies.')
    wait_s: float = setting(
        0.0,
        'The node waits at most this long for a subscriber to the images; 0 does not wait.',
        unit='s',
        within=(0.0, 3600.0),
    )
    start_delay_s: float = setting(
        0.0, 'The start is delayed by this long in any case.', unit='s', within=(0.0, 3600.0)
    )
    clock_hz: float = setting(
        100.0, 'The node publishes /clock at this wall-clock rate; 0 publishes none.', unit='Hz', within=(0.0, 1000.0)
    )


class BagPlayerNode(ManagedNode):
    """Plays a rosbag2 recording with /clock, on the topics it was recorded from, and ends when it is over.

    Raises:
        SettingsError: no path is given, or recordings cannot be read here.
        InputError: the recording cannot be read, is empty, or holds nothing that can be played here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('bag_player_node', BagPlayerSettings, **options)
        self._settings = self.settings(BagPlayerSettings)
        try:
            self._types = self._playable_types()
        except (InputError, SettingsError):
            self.destroy_node()
            raise
        self.played: collections.Counter[str] = collections.Counter()
        self.rounds = 0

    def configure(self) -> None:
        """Create the publishers, so that listeners find them before anything is played."""
        self._publishers_of = {
            topic: self.held(self.create_publisher(kind, self._topic_name(topic), _profile(topic)))
            for topic, kind in self._types.items()
        }
        self._clock_publisher = None
        if self._settings.clock_hz > 0.0:
            self._clock_publisher = self.held(self.create_publisher(ClockMessage, CLOCK_TOPIC, qos.CLOCK))

    def activate(self) -> None:
        """Play from the beginning, once the listeners are there."""
        self._messages: Generator[bags.RawMessage, None, None] | None = None
        self._active_since_s = time.monotonic()
        self._listener_since_s: float | None = None
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._wait_timer = self.held(self.create_timer(WAIT_PERIOD_S, self._wait_for_listener, clock=self._steady))
        self.get_logger().info(f'{self._settings.path}: {", ".join(map(self._topic_name, self._types))}')

    def deactivate(self) -> None:
        """Stop; the next activation plays from the beginning."""
        if self._messages is not None:
            self._messages.close()

    def _playable_types(self) -> dict[str, type]:
        if not self._settings.path:
            raise SettingsError("path must name a recording, got ''; give -p path:=FOLDER")
        topics = bags.read_topics(self._settings.path)
        # This call raises where topics can be listed but messages cannot be played.
        bags.read_messages(self._settings.path)
        types, unknown = {}, []
        for topic, (kind, count) in topics.items():
            if not count or topic in _NOT_PLAYED:
                continue
            found = message_class(kind)
            if found is None:
                unknown.append(f'{topic} ({kind})')
            else:
                types[topic] = found
        if not types:
            raise InputError(
                f'a recording must hold messages of types that are installed here, got {self._settings.path!r} '
                f'with {", ".join(unknown) or "none to play"}; install the packages of its messages'
            )
        if unknown:
            self.get_logger().warning(f'left out, since the message types are not installed: {", ".join(unknown)}')
        return types

    def _topic_name(self, topic: str) -> str:
        return topic.lstrip('/') if self._settings.relative_topics else topic

    def _wait_for_listener(self) -> None:
        now_s = time.monotonic()
        waited_s = now_s - self._active_since_s
        if not self._has_listener():
            self._listener_since_s = None
            if waited_s < self._settings.wait_s:
                return
            if self._settings.wait_s:
                topics = ', '.join(map(self._topic_name, self._image_topics()))
                self.get_logger().warning(f'no listener on {topics} after {waited_s:.1f} s; playing anyway')
        elif self._settings.wait_s:
            self._listener_since_s = self._listener_since_s or now_s
            if now_s - self._listener_since_s < SETTLE_S:
                return
        if waited_s < self._settings.start_delay_s:
            return
        self._wait_timer.cancel()
        self._begin_round()
        self._play_timer = self.held(self.create_timer(TICK_S, self._play_due, clock=self._steady))

    def _image_topics(self) -> list[str]:
        kinds = (RAW_IMAGE, COMPRESSED_IMAGE)
        images = [topic for topic, kind in self._types.items() if _type_name(kind) in kinds]
        return images or list(self._types)

    def _has_listener(self) -> bool:
        return any(self._publishers_of[topic].get_subscription_count() for topic in self._image_topics())

    def _begin_round(self) -> None:
        self._messages = bags.read_messages(self._settings.path, list(self._types))
        self._next = self._next_message()
        self._start_ns = 0 if self._next is None else self._next.stamp_ns
        self._start_s = time.monotonic()
        self._clock_due_s = self._start_s

    def _next_message(self) -> bags.RawMessage | None:
        try:
            return None if self._messages is None else next(self._messages, None)
        except InputError as error:
            self.get_logger().error(str(error))
            self.end(EXIT_REFUSED if not self.played else EXIT_FAILED)
            return None

    def _play_due(self) -> None:
        now_s = time.monotonic()
        bag_ns = self._start_ns + round((now_s - self._start_s) * self._settings.rate * NS_PER_S)
        while self._next is not None and self._next.stamp_ns <= bag_ns:
            self._publish_clock(self._next.stamp_ns, now_s)
            self._publishers_of[self._next.topic].publish(self._next.data)
            self.played[self._next.topic] += 1
            last_ns = self._next.stamp_ns
            self._next = self._next_message()
            if self._next is None:
                self._publish_clock(last_ns, now_s, last=True)
                self._end_round()
                return
        self._publish_clock(bag_ns, now_s)

    def _publish_clock(self, bag_ns: int, now_s: float, last: bool = False) -> None:
        if self._clock_publisher is None or (now_s < self._clock_due_s and not last):
            return
        self._clock_publisher.publish(ClockMessage(clock=stamp_from_ns(bag_ns)))
        self._clock_due_s = max(self._clock_due_s + 1.0 / self._settings.clock_hz, now_s)

    def _end_round(self) -> None:
        if self.exit_status is not None:
            return
        self.rounds += 1
        if self._settings.loop:
            self._begin_round()
            return
        self._play_timer.cancel()
        self.get_logger().info(f'played {sum(self.played.values())} messages')
        for publisher in self._publishers_of.values():
            publisher.wait_for_all_acked(Duration(seconds=0.5))
        self.end(EXIT_OK)


def _profile(topic: str) -> QoSProfile:
    # A latched topic is kept for listeners that join late.
    if topic.endswith('/tf_static'):
        return qos.FIXED_TRANSFORMS
    return qos.KEPT if topic in _LATCHED else qos.PLAYED


def _type_name(kind: type) -> str:
    return '/'.join((*kind.__module__.split('.')[:2], kind.__name__))


def main() -> int:
    """The executable bag_player_node."""
    return run(BagPlayerNode)


if __name__ == '__main__':
    raise SystemExit(main())
