"""Runs a node as a process: checks the command line, spins the node, returns an exit status."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidNodeNameException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.nodes.managed import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, ManagedNode
from embodied_r_ros.nodes.rclpy_internals import without_ros_arguments

_REFUSALS = (EmbodiedRError, InvalidNamespaceException, InvalidNodeNameException, ParameterException)


def run(node_class: Callable[[], ManagedNode], argv: Sequence[str] | None = None) -> int:
    """The main function of a node's executable.

    Returns:
        Exit status: 0 after SIGINT, SIGTERM, a shutdown transition or finished work; 1 when a transition failed under
        autostart; 2 when the command line, a parameter or an input named by one was refused, with a sentence on stderr.
    """
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # rclpy installs its own handler on top, which shuts the context down and then calls this one. So no callback is
        # interrupted by KeyboardInterrupt, and neither is the shutdown.
        signal.signal(number, lambda received, _frame: signals.append(received))
    node = None
    try:
        node = _make_node(node_class, list(sys.argv if argv is None else argv))
        status = EXIT_REFUSED
        # A signal that came before rclpy listened is in `signals` alone: the context knows nothing of it.
        if node is not None and not signals:
            status = _spin(node)
    except Exception:
        # After a signal the context is shut down, and any call to rclpy may raise.
        if not signals:
            raise
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
        for number in (signal.SIGINT, signal.SIGTERM):
            # A launcher may forward a Ctrl-C that the terminal has sent to this process already.
            signal.signal(number, signal.SIG_IGN)
    return EXIT_OK if signals else status


def _make_node(node_class: Callable[[], ManagedNode], arguments: list[str]) -> ManagedNode | None:
    """The node, or None and a sentence on stderr."""
    name = node_class.__module__.rpartition('.')[2]
    try:
        _check_arguments(node_class, name, arguments)
        rclpy.init(args=arguments)
        return node_class()
    except _REFUSALS as error:
        # rcl appends the source line of the check.
        sentence = re.sub(r', at /\S+:\d+', '', ' '.join(str(error).split()))
        sys.stderr.write(f'{name}: {sentence}\n')
        return None


def _check_arguments(node_class: Callable[[], ManagedNode], name: str, arguments: list[str]) -> None:
    summary = (inspect.getdoc(node_class) or '').partition('\n')[0]
    hint = 'Parameters are given the ROS way: --ros-args -p name:=value, or --params-file FILE.'
    parser = argparse.ArgumentParser(prog=name, description=summary, epilog=hint)
    parser.parse_args(without_ros_arguments(arguments)[1:])


def _spin(node: ManagedNode) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if not node.start():
        return EXIT_FAILED if node.exit_status is None else node.exit_status
    with contextlib.suppress(ExternalShutdownException):
        while node.exit_status is None and node.context.ok():
            executor.spin_once()
    return EXIT_OK if node.exit_status is None else node.exit_status
