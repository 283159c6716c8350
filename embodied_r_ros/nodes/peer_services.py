"""camera_node and perception_node as reasoning_node needs them for a question."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from builtin_interfaces.msg import Duration
from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.srv import Capture, Focus
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.core.errors import BackendUnavailable, InputError
from embodied_r_ros.core.records import ErrorCode, Key
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.async_bridge import AsyncBridge
from embodied_r_ros.nodes.conversions import NS_PER_S, error_code, ns_from_stamp, sighting_from_message
from embodied_r_ros.nodes.managed import ManagedNode


@contextlib.contextmanager
def _usable(node: str) -> Iterator[None]:
    """What a node answers that cannot be used is a fault of that node, not of the question."""
    try:
        yield
    except InputError as error:
        raise Declined(ErrorCode.INTERNAL, f'what {node} answers cannot be used: {error}') from error


class RosPeerServices:
    """camera_node and perception_node as a question needs them, called from the bridge's loop; a `PeerServices`."""

    def __init__(self, node: ManagedNode, bridge: AsyncBridge, group: ReentrantCallbackGroup) -> None:
        self._node = node
        self._bridge = bridge
        self._capture = node.held(
            node.create_client(Capture, 'capture', qos_profile=qos.SERVICES, callback_group=group)
        )
        self._focus = node.held(node.create_client(Focus, 'focus', qos_profile=qos.SERVICES, callback_group=group))

    def now_ns(self) -> int:
        """ROS time."""
        return int(self._node.get_clock().now().nanoseconds)

    async def capture(self, timeout_s: float) -> tuple[Key, int]:
        """Key and stamp of the newest frame, made a key frame."""
        response = await self._call(self._capture, Capture.Request(), timeout_s)
        with _usable('camera_node'):
            return (clean(response.camera), response.session, response.index), ns_from_stamp(response.stamp)

    async def focus(self, keys: Sequence[Key], question: str, timeout_s: float) -> dict[Key, Description]:
        """What a second look at key frames of one camera and session found."""
        camera, session, _ = keys[0]
        allowed_ns = round(timeout_s * NS_PER_S)
        deadline = Duration(sec=allowed_ns // NS_PER_S, nanosec=allowed_ns % NS_PER_S)
        indices = [index for _, _, index in keys]
        request = Focus.Request(camera=camera, session=session, indices=indices, question=question, deadline=deadline)
        response = await self._call(self._focus, request, timeout_s + 0.5)
        with _usable('perception_node'):
            return {
                (camera, session, seen.index): Description(
                    sightings=tuple(map(sighting_from_message, seen.sightings)), text=clean(seen.text)
                )
                for seen in response.readings
                if seen.status == messages.FocusReading.FOUND
            }

    async def _call(self, client: Client, request: Any, timeout_s: float) -> Any:
        if not client.service_is_ready():
            name = self._node.resolve_service_name(client.srv_name)
            raise BackendUnavailable(f'nobody offers the service {name!r}; start the node that does, or ask without it')
        future = client.call_async(request)
        try:
            response = await self._bridge.ros(future, timeout_s)
        finally:
            client.remove_pending_request(future)
        if not response.success:
            raise Declined(error_code(response.error_code), clean(response.error_msg))
        return response
