"""Runs a node as a process: checks the command line, spins the node, returns an exit status."""

from __future__ import annotations

import argparse
import inspect
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidNodeNameException, ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.nodes.managed import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, ManagedNode
from embodied_r_ros.nodes.rclpy_internals import without_ros_arguments
from embodied_r_ros.nodes.shared_memory import replaced_ports

_REFUSALS = (EmbodiedRError, InvalidNamespaceException, InvalidNodeNameException, ParameterException)
# Questions under way get their answers within this time after a signal.
_LAST_ANSWERS_S = 0.5
# After the last of them the executor works on for this long.
_SENDING_S = 0.1
# So many faults of the executor one after the other mean that it does nothing else any more.
_FAULTS_IN_A_ROW = 100
# Where Fast DDS mends a replaced port itself, it does so sooner.
_HEARING_PERIOD_S, _DEAF_S = 1.0, 3.0


def run(node_class: Callable[[], ManagedNode], argv: Sequence[str] | None = None) -> int:
    """The main function of a node's executable.

    At SIGINT or SIGTERM the node is deactivated while its ROS context still lives, so that whoever waits for an answer
    gets one. A process that the others no longer reach is replaced by a new one with the same process id, see
    `nodes.shared_memory`.

    Returns:
        Exit status: 0 after SIGINT, SIGTERM, a shutdown transition or finished work; 1 when a transition failed under
        autostart; 2 when the command line, a parameter or an input named by one was refused, with a sentence on stderr.
    """
    signals = _Signals()
    node = None
    hearing = _Hearing()
    try:
        node = _make_node(node_class, list(sys.argv if argv is None else argv))
        status = EXIT_REFUSED if node is None else _spin(node, signals, hearing)
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
        if not hearing.lost or signals.came:
            signals.ignore()
    if hearing.lost and not signals.came:
        os.execv(sys.executable, sys.orig_argv)
    return EXIT_OK if signals.came else status


class _Signals:
    """SIGINT and SIGTERM, noted instead of raised: neither a callback nor the shutdown is interrupted.

    Python runs its handlers between instructions of the main thread, which may wait inside the middleware for long. So
    the signal is read from a pipe as well, in a thread of its own, which wakes the node.
    """

    _NUMBERS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.came = False
        self._node: ManagedNode | None = None
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in self._NUMBERS:
            signal.signal(number, self._on_signal)
        threading.Thread(target=self._listen, name='signals', daemon=True).start()

    def wake(self, node: ManagedNode) -> None:
        """Have this node's executor woken by a signal."""
        self._node = node

    def ignore(self) -> None:
        """Let no further signal do anything; a launcher may forward a Ctrl-C that the terminal has sent already."""
        for number in self._NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.came = True

    def _listen(self) -> None:
        while number := os.read(self._read, 1):
            if number[0] not in self._NUMBERS:  # the pipe gets every signal that Python handles
                continue
            self.came = True
            if self._node is not None and self._node.executor is not None:
                self._node.executor.wake()


class _Hearing:
    """Watches, in a thread of its own, whether other processes still reach this one.

    Attributes:
        lost: they do not.
    """

    def __init__(self) -> None:
        self.lost = False

    def watch(self, node: ManagedNode) -> None:
        """End the node when they no longer do."""
        threading.Thread(target=self._watch, args=(node,), name='hearing', daemon=True).start()

    def _watch(self, node: ManagedNode) -> None:
        heard_s = time.monotonic()
        while node.exit_status is None:
            time.sleep(_HEARING_PERIOD_S)
            ports = replaced_ports()
            if not ports:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s >= _DEAF_S:
                self.lost = True
                node.log(
                    'error',
                    f'other processes no longer reach this one, since the file of its port {ports[0]} in /dev/shm was '
                    'replaced, as happens to one that got no CPU for a second; the node starts anew',
                )
                node.end(EXIT_OK)
                return


def _make_node(node_class: Callable[[], ManagedNode], arguments: list[str]) -> ManagedNode | None:
    """The node, or None and a sentence on stderr."""
    name = node_class.__module__.rpartition('.')[2]
    try:
        _check_arguments(node_class, name, arguments)
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
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


def _spin(node: ManagedNode, signals: _Signals, hearing: _Hearing) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    signals.wake(node)
    hearing.watch(node)
    if not signals.came and not node.start():
        return EXIT_FAILED if node.exit_status is None else node.exit_status
    faults = 0
    while node.exit_status is None and not signals.came and node.context.ok():
        try:
            executor.spin_once()
        except Exception as error:
            # Not of a callback of ours, which has its own boundary: of rclpy, about one message or request.
            faults += 1
            node.fault(error)
            if faults == _FAULTS_IN_A_ROW:
                raise
        else:
            faults = 0
    if signals.came and node.active:
        _answer_what_is_open(node, executor)
    return EXIT_OK if node.exit_status is None else node.exit_status


def _answer_what_is_open(node: ManagedNode, executor: SingleThreadedExecutor) -> None:
    """Deactivate, which ends what is under way with NOT_ACTIVE, and send those answers."""
    open_s = time.monotonic() if node.open_calls else -_SENDING_S
    node.trigger_deactivate()
    end_s = time.monotonic() + _LAST_ANSWERS_S
    # What a goal comes to is sent in a step of the executor's own, after the goal's.
    while time.monotonic() < min(end_s, open_s + _SENDING_S):
        executor.spin_once(timeout_sec=0.02)
        if node.open_calls:
            open_s = time.monotonic()
