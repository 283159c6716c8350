"""The robot's nodes in processes of their own, in a ROS domain of their own, for benchmarks that ask or watch them."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

ROOT = pathlib.Path(__file__).resolve().parents[1]
START_S = 60.0
STOP_S = 5.0


class Graph:
    """Nodes of ours, started with these parameters, and a node of the benchmark's own, spun by whoever waits.

    Args:
        nodes: parameters by name of the node, a module of `embodied_r_ros.nodes`.
        modules: further programs to run beside them, by module name, with their arguments.
    """

    def __init__(self, nodes: dict[str, dict[str, Any]], modules: dict[str, list[str]] | None = None) -> None:
        self._log = tempfile.TemporaryFile('w+')  # noqa: SIM115 - open as long as the processes
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.status: dict[str, dict[str, str]] = {}
        # Domains 0 to 101 are allowed on every system; tests take one below 50.
        os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randrange(50, 100))
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        for name, parameters in nodes.items():
            arguments = ['--ros-args']
            for key, value in parameters.items():
                arguments += ['-p', f'{key}:={str(value).lower() if isinstance(value, bool) else value}']
            self._spawn(name, f'embodied_r_ros.nodes.{name}', arguments)
        for module, arguments in (modules or {}).items():
            self._spawn(module, module, arguments)
        rclpy.init()
        self.node = Node('benchmark', start_parameter_services=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGINT)
        for process in self._processes.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def spin(self, duration_s: float) -> None:
        """Let the benchmark's node work for so long."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def spin_until(self, condition: Callable[[], Any], what: str, timeout_s: float = START_S) -> None:
        """Let it work until the condition holds.

        Raises:
            RuntimeError: it did not within the time, or a process ended; with what the nodes wrote.
        """
        end_s = time.monotonic() + timeout_s
        while not condition():
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > end_s:
                self._log.seek(0)
                why = f'{ended} ended' if ended else f'it did not come true within {timeout_s} s'
                raise RuntimeError(f'waiting for {what}: {why}; the nodes wrote:\n{self._log.read()[-3000:]}')
            self._executor.spin_once(timeout_sec=0.02)

    def cpu_s(self, name: str) -> float:
        """CPU seconds that a process has used."""
        fields = self._proc(name, 'stat').rpartition(') ')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_mb(self, name: str) -> float:
        """Resident memory of a process."""
        line = next(line for line in self._proc(name, 'status').splitlines() if line.startswith('VmRSS'))
        return int(line.split()[1]) / 1e3

    def _proc(self, name: str, file: str) -> str:
        return pathlib.Path(f'/proc/{self._processes[name].pid}/{file}').read_text(encoding='utf-8')

    def _spawn(self, name: str, module: str, arguments: list[str]) -> None:
        # One BLAS thread each: there are more processes than a small machine has cores.
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
        # A profile is for the publisher alone.
        environment.pop('FASTDDS_DEFAULT_PROFILES_FILE', None)
        self._processes[name] = subprocess.Popen(
            [sys.executable, '-m', module, *arguments], stdout=self._log, stderr=self._log, env=environment
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name.strip('/').partition(':')[0]] = {pair.key: pair.value for pair in status.values}
