"""What this package uses of rclpy that is not public; test_rclpy_internals.py tests it with each distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.utilities import remove_ros_args

from embodied_r_ros.core.errors import SettingsError


def without_ros_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line without its ROS arguments, with the program's name; rclpy does not export what it raises.

    Raises:
        SettingsError: a ROS argument is unknown or malformed, or a parameter file cannot be read.
    """
    try:
        return remove_ros_args(list(arguments))
    except rclpy_implementation.UnknownROSArgsError as error:
        known = '-p, -r, --params-file, --log-level, ...'
        raise SettingsError(f'unknown ROS arguments {error}; known are {known}') from error
    except rclpy_implementation.RCLInvalidROSArgsError as error:
        raise SettingsError(str(error)) from error


def given_parameters(node: Node) -> dict[str, Parameter]:
    """What command line, parameter files and constructor gave a node, by name; rclpy tells only of what is declared."""
    return node._parameter_overrides


def take(subscription: Subscription) -> Any | None:
    """The next message that waits for a subscription, or None; rclpy hands messages to the executor alone."""
    with subscription.handle:
        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    return None if taken is None else taken[0]
