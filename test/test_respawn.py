"""Nodes that `ros2 launch` starts again, killed under load: all is back soon, and nothing is lost.

EMBODIED_R_TEST_KILLS says how often each node is killed.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from test_launch import NODES, environment, installed, launched, wait_for  # noqa: F401 - fixtures are found by their names

pytestmark = [pytest.mark.system, pytest.mark.slow]
rclpy = pytest.importorskip('rclpy')

from embodied_r_interfaces import msg as messages  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from benchmarks.soak.asking import Asker  # noqa: E402
from benchmarks.soak.server import FaultyServer  # noqa: E402
from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import NS_PER_S, ns_from_stamp  # noqa: E402
from embodied_r_ros.ros_client.spatial_client import SpatialClient  # noqa: E402

KILLS = int(os.environ.get('EMBODIED_R_TEST_KILLS', '1'))
NAMESPACE = f'/respawn_{os.getpid()}'
BACK_S = 8.0
LATE_S = 1.0 if os.environ.get('CI') else 0.3
# Longer than a killed node has been back for, so that what it sends anew has come.
APART_S = 6.0
WINDOW_S = 4.0


def pid_of(name: str) -> int | None:
    """The process of a node; None while there is none."""
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            words = path.read_text(errors='replace').split('\0')
            # `ros2 launch` runs the program with these words; the shell around it, if any, has them in one.
            if f'__node:={name}' in words and f'__ns:={NAMESPACE}' in words:
                return int(path.parent.name)
    return None


class Robot:
    """What is seen of the launched graph: its descriptions, and the answers to questions under way."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=int(environment()['ROS_DOMAIN_ID']))
        stack.callback(context.try_shutdown)
        self.node = Node('robot', context=context, namespace=NAMESPACE, start_parameter_services=False)
        self.node.create_subscription(
            messages.Observation, 'observations', self._on_observation, qos.observations(2000)
        )
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self.described_ns: set[int] = set()
        self.client = stack.enter_context(SpatialClient(self.node))
        self.asker = stack.enter_context(Asker(self.node, seed=0))

    def _on_observation(self, message: messages.Observation) -> None:
        if message.text:
            self.described_ns.add(ns_from_stamp(message.header.stamp))

    def spin(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.02)

    def back_s(self, since_s: float, since_ns: int) -> tuple[float, float]:
        """Seconds from a kill to an OK answer and to a description, of a key frame, that were begun after it."""
        answer_s = description_s = float('inf')
        while time.monotonic() < since_s + 4 * BACK_S and max(answer_s, description_s) == float('inf'):
            self.spin(0.02)
            if self.asker.first_ok_s(since_s) is not None:
                answer_s = min(answer_s, time.monotonic() - since_s)
            if max(self.described_ns, default=0) > since_ns:
                description_s = min(description_s, time.monotonic() - since_s)
        return answer_s, description_s

    def seen_between(self, start_ns: int, end_ns: int) -> int:
        """How many observations of these stamps a question can be answered from; 0 where it is refused."""
        answer = self.client.ask('Where is the grey wall?', ['left', 'right'], start_ns=start_ns, end_ns=end_ns)
        return answer.available if answer.error_code is ErrorCode.OK else 0


@pytest.fixture
def robot(launched, tmp_path):  # noqa: F811
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(FaultyServer())
        parameters = {'/**/camera_node': {'ros__parameters': {'max_gap_s': 0.5}}}
        (tmp_path / 'parameters.yaml').write_text(yaml.safe_dump(parameters))
        log = launched(
            'reasoner.launch.py', f'namespace:={NAMESPACE[1:]}', 'respawn:=true', f'vlm_url:={server.url}',
            f'lm_url:={server.url}', f'params_file:={tmp_path / "parameters.yaml"}',
        )  # fmt: skip
        camera = [sys.executable, '-m', 'benchmarks.soak.camera', '--ros-args', '-r', f'__ns:={NAMESPACE}']
        process = subprocess.Popen(camera, env=environment(), start_new_session=True)
        stack.callback(process.wait)
        stack.callback(process.kill)
        robot = Robot(stack)
        robot.log = log
        wait_for(lambda: robot.spin(0.2) or robot.asker.first_ok_s(0.0) is not None, log)
        robot.spin(WINDOW_S)
        yield robot


def test_killed_nodes_are_back_within_seconds_and_nothing_is_lost(robot):
    order = random.Random(0).sample(list(NODES) * KILLS, len(NODES) * KILLS)
    back_s: dict[str, list[float]] = {name: [] for name in NODES}
    lost = []
    robot.asker.asked.clear()
    for name in order:
        robot.spin(APART_S)
        killed_s, killed_ns = time.monotonic(), time.time_ns()
        window = killed_ns - round(WINDOW_S * NS_PER_S), killed_ns - NS_PER_S
        before = robot.seen_between(*window)
        os.kill(pid_of(name), signal.SIGKILL)
        killed_s, killed_ns = time.monotonic(), time.time_ns()
        answer_s, description_s = robot.back_s(killed_s, killed_ns)
        print(f'{name} was killed, an answer came after {answer_s:.1f} s, a description after {description_s:.1f} s')
        back_s[name].append(max(answer_s, description_s))
        # A camera that starts anew begins a new session, across whose begin no window reaches.
        if name != 'camera_node' and robot.seen_between(*window) < before:
            lost.append(f'{name}: {robot.seen_between(*window)} of {before}')
    robot.asker.stop()
    robot.spin(APART_S)
    asked = [asked for asked in robot.asker.asked if asked.way.startswith('client')]
    late_s = max(each.late_s for each in asked)
    print(f'{len(asked)} questions, the latest {late_s:.2f} s after its deadline')
    for name, spans in back_s.items():
        print(f'{name} was back after {min(spans):.1f} to {max(spans):.1f} s')
    assert max(map(max, back_s.values())) < BACK_S, robot.log.read_text()[-4000:]
    assert lost == []
    assert {each.code for each in asked} <= {code.name for code in ErrorCode} - {'INTERNAL'}
    assert late_s <= LATE_S
