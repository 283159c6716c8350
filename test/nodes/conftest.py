"""Nodes over real DDS: one ROS domain per test process, one namespace per test, every wait with a deadline."""

from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import pytest

from embodied_r_ros.ros_client.domain import hold_domain

# The demo and the benchmarks take theirs above.
_domain, _held = hold_domain(range(11, 50))
os.environ['ROS_DOMAIN_ID'] = str(_domain)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

# Fakes that lie beside the tests, for these and for the processes they start.
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

_numbers = itertools.count(1)


class Graph:
    """The nodes of one test, spun in the test's own thread."""

    def __init__(self, namespace):
        from rclpy.executors import SingleThreadedExecutor

        self.namespace = namespace
        self.executor = SingleThreadedExecutor()
        self.nodes = []

    def add(self, node):
        """Spin this node too; it is closed at the end of the test."""
        self.executor.add_node(node)
        self.nodes.append(node)
        return node

    def node(self, name='tester', **options):
        """A plain node for the test's own publishers, subscriptions and clients."""
        import rclpy.node

        return self.add(rclpy.node.Node(name, namespace=self.namespace, **options))

    def start(self, node_class, **values):
        """A node of ours with these parameters, configured and activated."""
        node = self.add(self.make(node_class, **values))
        assert node.start(), 'the node did not start; its log says why'
        return node

    def make(self, node_class, **values):
        """A node of ours with these parameters, in the state in which its constructor leaves it."""
        from rclpy.parameter import Parameter

        return node_class(
            namespace=self.namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )

    def spin(self, duration_s):
        """Let the nodes work for so long."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def spin_until(self, condition, what='the condition', timeout_s=10.0):
        """Let the nodes work until the condition returns something true, and return it; fail after the deadline."""
        end_s = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > end_s:
                pytest.fail(f'{what} did not come true within {timeout_s} s')
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def wait_for(self, node, **told):
        """Let the nodes work until the diagnostics of this one are OK, which means a ready model, and tell this."""

        def is_told():
            status = node.diagnostics.status()
            values = {pair.key: pair.value for pair in status.values}
            return status.level == b'\x00' and all(values.get(name) == str(value) for name, value in told.items())

        self.spin_until(is_told, f'{node.get_name()} with {told}')

    def call(self, service_type, name, request=None, timeout_s=10.0):
        """Call a service of the test's namespace and return its response."""
        node = self.nodes[0]
        client = node.create_client(service_type, name)
        self.spin_until(client.service_is_ready, f'service {name}', timeout_s)
        future = client.call_async(request or service_type.Request())
        self.spin_until(future.done, f'the answer of {name}', timeout_s)
        node.destroy_client(client)
        return future.result()

    def close(self):
        """Take every node down, ours with all they hold."""
        for node in reversed(self.nodes):
            self.executor.remove_node(node)
            getattr(node, 'close', node.destroy_node)()
        self.executor.shutdown(timeout_sec=1.0)


class NodeProcess:
    """The executable of a node in a process of its own."""

    def __init__(self, module, *arguments):
        code = f'import sys; from {module} import main; sys.exit(main())'
        self._out = tempfile.TemporaryFile('w+')  # noqa: SIM115 - open as long as the process
        self._err = tempfile.TemporaryFile('w+')  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, '-c', code, *arguments],
            stdout=self._out,
            stderr=self._err,
            text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join((str(HERE), str(HERE.parents[1])))},
        )

    def wait(self, timeout_s=20.0):
        """Exit status, stdout and stderr; the process is killed when the deadline passes."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f'the process did not end within {timeout_s} s; it wrote:\n{self.errors()}')
        self._out.seek(0)
        return self.process.returncode, self._out.read(), self.errors()

    def errors(self):
        """What it has written to stderr, its log, so far."""
        self._err.seek(0)
        return self._err.read()

    def signal(self, number):
        """Send a signal."""
        self.process.send_signal(number)


@pytest.fixture(scope='session')
def ros():
    """The ROS context of this test process."""
    rclpy = pytest.importorskip('rclpy')
    rclpy.init()
    yield rclpy
    rclpy.try_shutdown()


@pytest.fixture
def graph(ros):
    """The nodes of this test, in a namespace of their own."""
    graph = Graph(f'/test_{next(_numbers)}')
    yield graph
    graph.close()


@pytest.fixture
def node_process():
    """Start node executables: `node_process('embodied_r_ros.nodes.camera_node', '--ros-args', ...)`."""
    processes = []

    def start(module, *arguments):
        processes.append(NodeProcess(module, *arguments))
        return processes[-1]

    yield start
    for started in processes:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()


@pytest.fixture
def warnings(capfd):
    """What the node has warned of once and for all so far."""
    written = []

    def so_far():
        written.append(capfd.readouterr().err)
        return [line for line in ''.join(written).splitlines() if 'logged once' in line]

    return so_far
