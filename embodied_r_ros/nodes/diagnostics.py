"""How a node is doing: counters, latencies and age of the last frame, once a second on /diagnostics."""

from __future__ import annotations

import collections
import enum
import math
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.managed import ManagedNode

# The name that rqt_robot_monitor and the aggregator listen to, whatever the namespace.
TOPIC = '/diagnostics'
PERIOD_S = 1.0
_LATENCIES_KEPT = 512
# After a bug in a callback the level stays at WARN for this long.
_FAULT_SHOWN_S = 60.0


class Level(enum.IntEnum):
    """The levels of a DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


Judgement = tuple[Level, str]


class Diagnostics:
    """Collects what a node counts and measures, and publishes it.

    Counting and measuring are plain attribute changes and may be called from any thread.

    Args:
        node: whose name the status carries.
        judge: called at each publication for the level and one plain sentence.
        now_s: steady clock.
    """

    def __init__(
        self, node: ManagedNode, judge: Callable[[], Judgement], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self._node = node
        self._judge = judge
        self._now_s = now_s
        self._latencies_s: dict[str, collections.deque[float]] = {}
        self._last_s: dict[str, float] = {}
        self._values: dict[str, str] = {}

    def start(self) -> None:
        """Publish from now on until the transition that mirrors the one under way; call it from `activate`."""
        publisher = self._node.held(self._node.create_publisher(DiagnosticArray, TOPIC, qos.DIAGNOSTICS))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._node.held(self._node.create_timer(PERIOD_S, lambda: publisher.publish(self.message()), clock=steady))

    def count(self, name: str, by: int = 1) -> int:
        """Add to a counter, such as 'received' or 'dropped'; returns the new count."""
        self.counters[name] += by
        return self.counters[name]

    def took(self, stage: str, duration_s: float) -> None:
        """Note how long a stage took; the newest 512 count for p50 and p95."""
        self._latencies_s.setdefault(stage, collections.deque(maxlen=_LATENCIES_KEPT)).append(duration_s)

    def seen(self, event: str) -> None:
        """Note that something has just come, such as 'frame'; its age is published."""
        self._last_s[event] = self._now_s()

    def age_s(self, event: str) -> float:
        """Seconds since `seen`; infinite when it never came."""
        return self._now_s() - self._last_s.get(event, -math.inf)

    def forget(self, *events: str) -> None:
        """Take back `seen`, as when a subscription is made anew."""
        for event in events:
            self._last_s.pop(event, None)

    def tell(self, name: str, value: object) -> None:
        """Set a value to be shown as it is, such as the model's name."""
        self._values[name] = str(value)

    def status(self) -> DiagnosticStatus:
        """The present status."""
        level, sentence = self._judge()
        faults = self._node.faults
        if faults.count:
            self.counters['faults'] = faults.count
        if level is Level.OK and faults.age_s < _FAULT_SHOWN_S and faults.count:
            level, sentence = Level.WARN, faults.latest
        name = self._node.get_fully_qualified_name()
        rows = [*self._values.items(), *((name, str(count)) for name, count in sorted(self.counters.items()))]
        rows += [(f'{event}_age_s', f'{self.age_s(event):.3f}') for event in sorted(self._last_s)]
        for stage, durations_s in sorted(self._latencies_s.items()):
            for percent in (50, 95):
                rows.append((f'{stage}_p{percent}_s', f'{percentile(durations_s, percent):.4f}'))
        values = [KeyValue(key=key, value=value) for key, value in rows]
        return DiagnosticStatus(level=bytes([level]), name=f'{name}: status', message=sentence, values=values)

    def message(self) -> DiagnosticArray:
        """The present status, stamped with ROS time."""
        message = DiagnosticArray(status=[self.status()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        return message
