"""/tf and /tf_static, for nodes that need to know where frames are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import Transform
from embodied_r_ros.core.records import Pose
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.rclpy_internals import take

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # an apt package, which the wheels of the Python index lack
    TFMessage = None

MAX_TRANSFORMS = 4096


class TransformTopics:
    """Listens to /tf and /tf_static, and to those of the node's own namespace, where several robots keep them apart.

    Args:
        node: whose subscriptions these are.
        push: takes each transform.
        on_broken: gets a sentence for each message or transform that cannot be used.
    """

    def __init__(self, node: ManagedNode, push: Callable[[Transform], None], on_broken: Callable[[str], None]) -> None:
        self._node = node
        self._push = push
        self._on_broken = on_broken
        self._subscriptions: list[Any] = []

    def listen(self) -> None:
        """Subscribe; to be called within a transition."""
        self._subscriptions = []
        if TFMessage is None:
            self._node.get_logger().info('tf2_msgs is not installed, so /tf and /tf_static are not read')
            return
        for name, fixed in self._names():
            heard = functools.partial(self._on_message, fixed=fixed)
            profile = qos.FIXED_TRANSFORMS if fixed else qos.TRANSFORMS
            self._subscriptions.append(self._node.held(self._node.create_subscription(TFMessage, name, heard, profile)))

    @property
    def announced(self) -> bool:
        """Whether anyone publishes transforms."""
        return bool(self._subscriptions) and any(map(self._node.count_publishers, dict(self._names())))

    def drain(self) -> None:
        """Take all that waits, before what needs it is worked on."""
        for subscription, (_, fixed) in zip(self._subscriptions, self._names()):
            while (message := take(subscription)) is not None:
                self._on_message(message, fixed=fixed)

    def _names(self) -> list[tuple[str, bool]]:
        resolve = self._node.resolve_topic_name
        names = {resolve(name): fixed for name, fixed in (('/tf', False), ('/tf_static', True))}
        names.update({resolve(name): fixed for name, fixed in (('tf', False), ('tf_static', True))})
        return list(names.items())

    def _on_message(self, message: Any, *, fixed: bool) -> None:
        if len(message.transforms) > MAX_TRANSFORMS:
            count = len(message.transforms)
            self._on_broken(f'a message of transforms has at most {MAX_TRANSFORMS}, got {count!r}; send less')
            return
        for told in message.transforms:
            try:
                transform = _transform(told, fixed)
            except InputError as error:
                self._on_broken(str(error))
                continue
            self._push(transform)


def _transform(told: Any, fixed: bool) -> Transform:
    stamp, shift, turn = told.header.stamp, told.transform.translation, told.transform.rotation
    if stamp.sec < 0:
        raise InputError(f'the stamp of a transform must not be negative, got {stamp.sec!r} s; see its sender')
    return Transform(
        parent=clean(told.header.frame_id),
        child=clean(told.child_frame_id),
        pose=Pose(x_m=shift.x, y_m=shift.y, z_m=shift.z, qx=turn.x, qy=turn.y, qz=turn.z, qw=turn.w),
        stamp_ns=stamp.sec * NS_PER_S + stamp.nanosec,
        fixed=fixed,
    )
