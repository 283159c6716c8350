"""The robot's nodes as processes in a ROS domain of their own: played to, asked, watched, killed and started again.

with Graph({'camera_node': {}, 'perception_node': {}, 'reasoning_node': {}}, remaps=TOPICS) as graph:
    begin_ns = graph.play(pathlib.Path('data/bags/seed1'))
    answer = graph.ask('Where is the monitor now?', ['to my left', 'to my right'], start_ns=begin_ns)
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pathlib
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from embodied_r_ros.adapters.bags import read_messages
from embodied_r_ros.core.records import Answer
from embodied_r_ros.nodes import diagnostics, qos
from embodied_r_ros.ros_client.domain import hold_domain
from embodied_r_ros.ros_client.processes import Processes
from embodied_r_ros.ros_client.spatial_client import SpatialClient

# Tests take theirs below.
DOMAINS = range(50, 100)
# The names under which the sample recordings hold what camera_node and reasoning_node listen to.
TOPICS = {'image/compressed': '/camera/image_raw/compressed', 'camera_info': '/camera/camera_info', 'odom': '/odom'}
PLAYER = 'bag_player_node'
START_S = 60.0
CALL_S = 5.0
# A node that was killed is still offered by name for a while, and a call may go to it alone.
STATE_S = 1.0


class Graph:
    """Starts nodes of ours and waits until they are active; in a `with`, at whose end all is taken down.

    Nothing here runs by itself: the graph's own node works while the caller waits in `spin`, `spin_until` or `play`.

    Args:
        nodes: parameters by name of the node, a module of `embodied_r_ros.nodes`.
        remaps: topics and services of the nodes, and the names that they have here.
        namespace: of the nodes and of the one who asks.
        programs: arguments of further programs to run beside the nodes, by name of their module.
        limit_s: wall-clock seconds allowed for all playing and asking.

    Attributes:
        node: a node of the graph's own, for the caller's publishers and subscriptions.
        processes: of nodes and programs, by name, to be measured or killed.
        status: the newest values that each node published on /diagnostics, by its name.
    """

    def __init__(
        self,
        nodes: Mapping[str, Mapping[str, Any]],
        *,
        remaps: Mapping[str, str] | None = None,
        namespace: str = '/',
        programs: Mapping[str, Sequence[str]] | None = None,
        limit_s: float = math.inf,
    ) -> None:
        rules = {'__ns': namespace, **(remaps or {})}
        self._nodes = {name: _ros_arguments(parameters, rules) for name, parameters in nodes.items()}
        self._programs = dict(programs or {})
        self._namespace = namespace
        self._limit_s = limit_s
        self._end_s = math.inf
        self._played = False
        # As it is now: what is set from here on is for this process alone.
        self._environment = dict(os.environ)
        self.status: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Graph:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def play(self, recording: pathlib.Path, rate: float = 1.0) -> int:
        """Play a recording as a session of its own, to its end.

        Returns:
            the ROS time at which it begins, in nanoseconds.

        Raises:
            BrokenGraph: a process ended, or the time is up.
            InputError, SettingsError: it cannot be read.
        """
        begin_ns = self.begin_to_play(recording, rate)
        self.wait_played()
        return begin_ns

    def begin_to_play(self, recording: pathlib.Path, rate: float = 1.0) -> int:
        """Begin to play a recording as a session of its own; as `play`, but it returns at once."""
        begin_ns = next(iter(read_messages(recording))).stamp_ns
        if self._played:
            self.change('camera_node', Transition.TRANSITION_DEACTIVATE)
            self.change('camera_node', Transition.TRANSITION_ACTIVATE)
        self._played = True
        arguments = _ros_arguments({'path': recording, 'rate': rate, 'wait_s': 10.0}, {})
        self.processes.start(PLAYER, f'embodied_r_ros.nodes.{PLAYER}', arguments, lasting=False)
        return begin_ns

    @property
    def has_played(self) -> bool:
        """Whether the recording has been played to its end."""
        return self.processes.status(PLAYER) == 0

    def wait_played(self) -> None:
        """Work until the recording has been played to its end.

        Raises:
            BrokenGraph: a process ended, or the time is up.
        """
        self.spin_until(lambda: self.has_played, 'the recording to be played', math.inf)

    def ask(self, question: str, choices: Sequence[str] = (), **how: Any) -> Answer:
        """Ask as `SpatialClient.ask` does.

        Raises:
            BrokenGraph: a process has ended, or the time is up.
        """
        self.check()
        return self._client.ask(question, choices, **how)

    def change(self, name: str, transition: int) -> None:
        """Have a node go through a transition of its life cycle.

        Raises:
            BrokenGraph: it did not.
        """
        request = ChangeState.Request(transition=Transition(id=transition))
        response = self._call(ChangeState, f'{name}/change_state', request)
        if response is None or not response.success:
            self.fail(f'{name} did not change its state')

    def restart(self, name: str) -> None:
        """Start a node again, after killing it where it still runs, and wait until it is active."""
        self.processes.restart(name)
        self.status.pop(name, None)
        self._wait_active(name)

    def spin(self, duration_s: float) -> None:
        """Let the graph's own node work for so long."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def spin_until(self, condition: Callable[[], object], what: str, timeout_s: float = START_S) -> None:
        """Let it work until the condition holds.

        Raises:
            BrokenGraph: it did not within the time, a process ended, or the time for all is up.
        """
        end_s = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > end_s:
                self.fail(f'waited {timeout_s:.0f} s for {what}')
            self._executor.spin_once(timeout_sec=0.02)

    def check(self) -> None:
        """See whether all processes run and time is left.

        Raises:
            BrokenGraph: that is not so.
        """
        self.processes.check()
        if time.monotonic() > self._end_s:
            self.fail(f'playing and asking took more than {self._limit_s:.0f} s; allow more time')

    def fail(self, sentence: str) -> NoReturn:
        """Give up with BrokenGraph: the sentence, and where the logs are."""
        self.processes.fail(sentence)

    def _start(self, stack: contextlib.ExitStack) -> None:
        domain, held = hold_domain(DOMAINS)
        stack.callback(held.close)
        local = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        os.environ.update(local)
        context = Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=rclpy.SignalHandlerOptions.NO)
        stack.callback(context.try_shutdown)
        self.node = Node('graph', context=context, namespace=self._namespace, start_parameter_services=False)
        stack.callback(self.node.destroy_node)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        stack.callback(self._executor.shutdown, timeout_sec=1.0)
        self._client = stack.enter_context(SpatialClient(self.node))
        self.processes = stack.enter_context(Processes({**self._environment, **local, 'ROS_DOMAIN_ID': str(domain)}))
        self.node.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._on_diagnostics, qos.DIAGNOSTICS)
        for name, arguments in self._nodes.items():
            self.processes.start(name, f'embodied_r_ros.nodes.{name}', arguments)
        for module, program_arguments in self._programs.items():
            self.processes.start(module, module, program_arguments)
        for name in self._nodes:
            self._wait_active(name)
        self._end_s = time.monotonic() + self._limit_s

    def _wait_active(self, name: str) -> None:
        self.spin_until(functools.partial(self._is_active, name), f'{name} to become active')

    def _is_active(self, name: str) -> bool:
        response = self._call(GetState, f'{name}/get_state', GetState.Request(), STATE_S)
        return response is not None and response.current_state.id == State.PRIMARY_STATE_ACTIVE

    def _call(self, kind: type, service: str, request: Any, timeout_s: float = CALL_S) -> Any:
        """The response; None when there is none within the time."""
        client = self.node.create_client(kind, service)
        try:
            end_s = time.monotonic() + timeout_s
            while not client.service_is_ready():
                self.check()
                if time.monotonic() > end_s:
                    return None
                self._executor.spin_once(timeout_sec=0.02)
            future = client.call_async(request)
            self._executor.spin_until_future_complete(future, timeout_sec=timeout_s)
            return future.result() if future.done() else None
        finally:
            self.node.destroy_client(client)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.partition(':')[0].rpartition('/')[2]
            self.status[name] = {pair.key: pair.value for pair in status.values}


def _ros_arguments(parameters: Mapping[str, Any], rules: Mapping[str, str]) -> list[str]:
    arguments = ['--ros-args']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={str(value).lower() if isinstance(value, bool) else value}']
    for name, here in rules.items():
        arguments += ['-r', f'{name}:={here}']
    return arguments
