"""What perception_node and reasoning_node share: a bridge whose bugs end the process, and sentences for the log."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.service import Service

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.settings import check, setting
from embodied_r_ros.nodes.async_bridge import AsyncBridge
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.process import EXIT_FAILED

InvalidHandle = rclpy_implementation.InvalidHandle


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """How far back observations reach; the same for the node that writes them and the node that keeps them."""

    memory_observations: int = setting(
        2000,
        'The node keeps so many observations, for itself and for a neighbour that starts late; the oldest goes.',
        minimum=1,
        maximum=1000000,
    )

    def __post_init__(self) -> None:
        check(self)


def bridge_for(node: ManagedNode) -> AsyncBridge:
    """A bridge for a node; what its coroutines raise unforeseen ends the node as it would in a callback."""

    def report(error: BaseException) -> None:
        if isinstance(error, (EmbodiedRError, OSError)):
            node.get_logger().error(str(error))
            node.end(EXIT_FAILED)
        elif node.executor is not None:
            node.executor.create_task(_raise, error)

    return AsyncBridge(node, report)


def answering_late(service: Service) -> Service:
    """Let a service's `async def` callbacks end after the service was destroyed; whoever asked is told nothing then.

    Without it rclpy raises in the executor, which ends the node, when a node is taken down with a request under way.
    """
    send = service.send_response

    def send_if_held(response: Any, header: Any) -> None:
        with contextlib.suppress(InvalidHandle):
            send(response, header)

    service.send_response = send_if_held
    return service


def say_with(node: ManagedNode) -> Callable[[str, str], None]:
    """A way to say a sentence at a level ('info', 'warning', 'error') from any thread."""
    logger = node.get_logger()

    def say(level: str, sentence: str) -> None:
        # rclpy binds a call site to one severity, so each level has its own.
        if level == 'error':
            logger.error(sentence)
        elif level == 'warning':
            logger.warning(sentence)
        else:
            logger.info(sentence)

    return say


def _raise(error: BaseException) -> None:
    raise error
