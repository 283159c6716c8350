"""The demo's graph: the nodes as processes over real DDS, watched, and taken down whatever happens."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from embodied_r_ros.adapters.bags import read_messages
from embodied_r_ros.core.records import Answer
from embodied_r_ros.ros_client.spatial_client import SpatialClient

NODES = ('camera_node', 'perception_node', 'reasoning_node')
TOPICS = {
    'image/compressed': '/camera/image_raw/compressed',
    'camera_info': '/camera/camera_info',
    'odom': '/odom',
}
START_S = 30.0
CALL_S = 5.0
DEADLINE_S = 20.0
STOP_S = 3.0


class BrokenGraph(Exception):
    """A node died or did not do its part; the sentence says which, and where its log is."""


class DemoGraph:
    """Starts the nodes, plays recordings to them and asks; in a `with`.

    Args:
        models: model pair.
        labels: YAML file that gives the AprilTags of all recordings their nouns; None calls them by number.
        rate: of playing, times real time.
        limit_s: wall-clock seconds allowed for all playing and asking.

    Attributes:
        started_s: wall-clock seconds that the start took.
    """

    def __init__(self, models: str, labels: pathlib.Path | None, rate: float, limit_s: float) -> None:
        self._models = models
        self._labels = labels
        self._rate = rate
        self._limit_s = limit_s
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = contextlib.ExitStack()
        self._played = 0
        self.started_s = 0.0

    def __enter__(self) -> DemoGraph:
        with contextlib.ExitStack() as stack:
            self._logs = pathlib.Path(tempfile.mkdtemp(prefix='embodied_r_demo_'))
            stack.callback(self._stop_all)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            shutil.rmtree(self._logs, ignore_errors=True)

    @property
    def working_s(self) -> float:
        """Wall-clock seconds since the nodes were up."""
        return time.monotonic() - self._up_s

    def play(self, recording: pathlib.Path) -> float:
        """Play a recording as a session of its own; returns the wall-clock seconds that it took."""
        if self._played:
            self._change('camera_node', Transition.TRANSITION_DEACTIVATE)
            self._change('camera_node', Transition.TRANSITION_ACTIVATE)
        self._played += 1
        begun_s = time.monotonic()
        self._begin_ns = next(iter(read_messages(recording))).stamp_ns
        parameters = {'path': str(recording), 'rate': self._rate, 'wait_s': 10.0}
        player = self._spawn('bag_player_node', parameters, {})
        self._wait(lambda: player.poll() is not None, f'{recording.name} to be played', self._limit_s)
        del self._processes['bag_player_node']
        if player.returncode != 0:
            self.fail(f'bag_player_node ended with status {player.returncode} while it played {recording}')
        return time.monotonic() - begun_s

    def ask(self, question: str, choices: Sequence[str], end_s: float | None, way: str) -> Answer:
        """Ask about the recording played last, through the 'service' or the 'action'.

        Args:
            end_s: as of so many seconds after its begin; None is its end, with a fresh look.
        """
        self._check()
        return self._client.ask(
            question,
            choices,
            start_ns=self._begin_ns,
            as_of_ns=None if end_s is None else self._begin_ns + round(end_s * 1e9),
            fresh=end_s is None,
            deadline_s=DEADLINE_S,
            on_progress=None if way == 'service' else _unheard,
        )

    def fail(self, sentence: str) -> NoReturn:
        """Give up.

        Raises:
            BrokenGraph: with the sentence and where the logs are.
        """
        raise BrokenGraph(f'{sentence}; the logs are in {self._logs}')

    def _start(self) -> None:
        begun_s = time.monotonic()
        own: dict[str, dict[str, Any]] = {
            # No image is to be lost to a busy machine, or other key frames are picked than offline.
            'camera_node': {'image_reliability': 'reliable', 'image_depth': 100},
            'perception_node': {'models': self._models, **({'labels': self._labels} if self._labels else {})},
            'reasoning_node': {'models': self._models},
        }
        for name in NODES:
            self._spawn(name, {'use_sim_time': True, **own[name]}, TOPICS)
        rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
        self._node = Node('demo', start_parameter_services=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._client = SpatialClient(self._node)
        self._up_s = begun_s
        for name in NODES:
            self._wait(lambda name=name: self._is_active(name), f'{name} to become active', START_S)
        self._up_s = time.monotonic()
        self.started_s = self._up_s - begun_s

    def _spawn(self, name: str, parameters: dict[str, Any], remaps: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, '-m', f'embodied_r_ros.nodes.{name}', '--ros-args']
        for key, value in parameters.items():
            command += ['-p', f'{key}:={str(value).lower() if isinstance(value, bool) else value}']
        for topic, recorded in remaps.items():
            command += ['-r', f'{topic}:={recorded}']
        root = str(pathlib.Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get('PYTHONPATH')])]
        # One BLAS thread each: the models are small, and there are as many processes as a small machine has cores.
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(paths)}
        with open(self._logs / f'{name}.log', 'ab') as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._processes[name] = process
        return process

    def _is_active(self, name: str) -> bool:
        response = self._call(GetState, f'{name}/get_state', GetState.Request())
        return response is not None and response.current_state.id == State.PRIMARY_STATE_ACTIVE

    def _change(self, name: str, transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        response = self._call(ChangeState, f'{name}/change_state', request)
        if response is None or not response.success:
            self.fail(f'{name} did not change its state')

    def _call(self, kind: Any, service: str, request: Any) -> Any:
        """The response; None when there is none within CALL_S."""
        client = self._node.create_client(kind, service)
        try:
            end_s = time.monotonic() + CALL_S
            while not client.service_is_ready():
                self._check()
                if time.monotonic() > end_s:
                    return None
                self._executor.spin_once(timeout_sec=0.02)
            future = client.call_async(request)
            self._executor.spin_until_future_complete(future, timeout_sec=CALL_S)
            return future.result() if future.done() else None
        finally:
            self._node.destroy_client(client)

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            self._check()
            if time.monotonic() > end_s:
                self.fail(f'waited {timeout_s:.0f} s for {what}')
            self._executor.spin_once(timeout_sec=0.05)

    def _check(self) -> None:
        for name in NODES:
            status = self._processes[name].poll() if name in self._processes else None
            if status is not None:
                self.fail(f'{name} ended with status {status}: {self._last_words(name)}')
        if self.working_s > self._limit_s:
            self.fail(f'playing and asking took more than {self._limit_s:.0f} s')

    def _last_words(self, name: str) -> str:
        lines = (self._logs / f'{name}.log').read_text(errors='replace').split('\n')
        return next((line.strip() for line in reversed(lines) if line.strip()), 'it wrote nothing')

    def _stop_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        end_s = time.monotonic() + STOP_S
        for process in self._processes.values():
            try:
                process.wait(max(0.01, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if hasattr(self, '_client'):
            self._client.close()
            self._executor.shutdown(timeout_sec=1.0)
            self._node.destroy_node()
        rclpy.try_shutdown()


def _unheard(stage: str, thinking: str) -> None:
    """Progress that nobody looks at."""
