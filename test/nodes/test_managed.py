"""The life cycle that all nodes share: entities mirrored, failures told, processes ended cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray
from echo_node import EchoNode
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from std_msgs.msg import String

pytestmark = pytest.mark.ros


def names_of(entities):
    return {entity.topic_name.rpartition('/')[2] for entity in entities}


def label(graph, node):
    return graph.call(GetState, f'{node.get_name()}/get_state').current_state.label


def change(graph, node, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return graph.call(ChangeState, f'{node.get_name()}/change_state', request).success


def test_autostart_brings_the_node_to_active(graph):
    graph.node()
    echo = graph.start(EchoNode)
    assert label(graph, echo) == 'active'


def test_without_autostart_the_node_waits_unconfigured(graph):
    graph.node()
    echo = graph.start(EchoNode, autostart=False)
    assert label(graph, echo) == 'unconfigured'
    assert echo.events == []


def test_an_active_node_works(graph):
    heard = []
    tester = graph.node()
    tester.create_subscription(String, 'echo', lambda message: heard.append(message.data), 10)
    chatter = tester.create_publisher(String, 'chatter', 10)
    graph.start(EchoNode)
    graph.spin_until(lambda: chatter.get_subscription_count() and tester.count_publishers('echo'), 'discovery')
    graph.spin_until(lambda: chatter.publish(String(data='hello')) or heard, 'the echo')
    assert set(heard) == {'hello'}


def test_transitions_mirror_each_other(graph):
    graph.node()
    echo = graph.start(EchoNode, autostart=False)
    before = names_of(echo.publishers), names_of(echo.subscriptions), len(list(echo.timers))
    for transition, subscriptions, publishers in (
        (Transition.TRANSITION_CONFIGURE, set(), {'echo'}),
        (Transition.TRANSITION_ACTIVATE, {'chatter'}, {'echo', 'diagnostics'}),
        (Transition.TRANSITION_DEACTIVATE, set(), {'echo'}),
        (Transition.TRANSITION_ACTIVATE, {'chatter'}, {'echo', 'diagnostics'}),
        (Transition.TRANSITION_DEACTIVATE, set(), {'echo'}),
        (Transition.TRANSITION_CLEANUP, set(), set()),
    ):
        assert change(graph, echo, transition)
        assert names_of(echo.subscriptions) - before[1] == subscriptions
        assert names_of(echo.publishers) - before[0] == publishers
    assert len(list(echo.timers)) == before[2]
    assert echo.events == ['configure', *['activate', 'deactivate', 'undo'] * 2, 'cleanup']


@pytest.mark.parametrize(('fail_in', 'ends_in'), [('configure', 'unconfigured'), ('activate', 'inactive')])
def test_a_failing_way_up_leaves_the_state_before_and_nothing_behind(graph, fail_in, ends_in):
    graph.node()
    echo = graph.start(EchoNode, autostart=False, fail_in=fail_in)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        if not change(graph, echo, transition):
            break
    assert label(graph, echo) == ends_in
    assert 'chatter' not in names_of(echo.subscriptions)
    assert ('echo' in names_of(echo.publishers)) is (ends_in == 'inactive')


@pytest.mark.parametrize('fail_in', ['deactivate', 'cleanup'])
def test_a_failing_way_down_still_takes_everything_away(graph, fail_in):
    graph.node()
    echo = graph.start(EchoNode, autostart=False, fail_in=fail_in)
    for transition in (
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
    ):
        if not change(graph, echo, transition):
            break
    assert label(graph, echo) == 'unconfigured'
    assert not {'echo', 'chatter'} & (names_of(echo.publishers) | names_of(echo.subscriptions))


def test_a_failure_without_autostart_does_not_end_the_process(graph):
    echo = graph.make(EchoNode, autostart=False, fail_in='configure')
    graph.add(echo).trigger_configure()
    assert echo.exit_status is None


def test_diagnostics_tell_level_counts_and_percentiles(graph):
    statuses = []
    graph.node().create_subscription(
        DiagnosticArray, '/diagnostics', lambda message: statuses.extend(message.status), 10
    )
    echo = graph.start(EchoNode)
    echo.diagnostics.count('received', 3)
    echo.diagnostics.tell('model', 'echo-1')
    echo.diagnostics.seen('frame')
    for duration_s in range(1, 101):
        echo.diagnostics.took('track', duration_s)
    ours = f'{graph.namespace}/echo_node: status'
    status = graph.spin_until(lambda: next((one for one in statuses if one.name == ours), None), 'a status')
    values = {pair.key: pair.value for pair in status.values}
    assert status.level == b'\x01'
    assert status.message == 'all too quiet'
    assert values['received'] == '3'
    assert values['model'] == 'echo-1'
    assert (values['track_p50_s'], values['track_p95_s']) == ('50.0000', '95.0000')
    assert 0.0 <= float(values['frame_age_s']) < 5.0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_a_signal_ends_the_process_at_once_and_in_silence(graph, node_process, number):
    tester = graph.node()
    process = node_process('echo_node', '--ros-args', '-r', f'__ns:={graph.namespace}')
    graph.spin_until(lambda: tester.count_subscribers('chatter'), 'the node', timeout_s=30.0)
    start_s = time.monotonic()
    process.signal(number)
    # A terminal and a launch system both send one.
    process.signal(number)
    status, _, err = process.wait(5.0)
    assert status == 0
    assert 'Traceback' not in err
    assert time.monotonic() - start_s < 1.5


def test_signals_that_go_on_while_it_shuts_down_do_not_kill_it(graph, node_process):
    tester = graph.node()
    process = node_process('echo_node', '--ros-args', '-r', f'__ns:={graph.namespace}')
    graph.spin_until(lambda: tester.count_subscribers('chatter'), 'the node', timeout_s=30.0)
    sent, end_s = 0, time.monotonic() + 5.0
    while process.process.poll() is None and time.monotonic() < end_s:
        process.signal(signal.SIGINT)
        sent += 1
        time.sleep(0.005)
    status, _, err = process.wait(1.0)
    assert (status, sent > 1) == (0, True)
    assert 'Traceback' not in err and 'KeyboardInterrupt' not in err


SIGNALLED_BEFORE_RCLPY_LISTENS = """
import os, signal, sys
import rclpy
from echo_node import EchoNode
from embodied_r_ros.nodes import process

def init(**arguments):
    os.kill(os.getpid(), signal.SIGINT)
    rclpy_init(**arguments)

rclpy_init, rclpy.init = rclpy.init, init
sys.exit(process.run(EchoNode, ['echo_node']))
"""


def test_a_signal_that_comes_before_rclpy_listens_ends_the_process():
    command = [sys.executable, '-c', SIGNALLED_BEFORE_RCLPY_LISTENS]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=20.0, check=False)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('fail_in', ['configure', 'activate'])
def test_under_autostart_a_failed_transition_ends_the_process(node_process, fail_in):
    process = node_process('echo_node', '--ros-args', '-p', f'fail_in:={fail_in}', '-p', 'input_error:=true')
    status, _, err = process.wait()
    assert status == 1
    assert f'on_{fail_in} failed: no echo here' in err
    assert 'Traceback' not in err


def test_a_bug_in_a_transition_is_logged_with_its_traceback(node_process):
    status, _, err = node_process('echo_node', '--ros-args', '-p', 'fail_in:=activate').wait()
    assert status == 1
    assert 'RuntimeError: a bug' in err


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['-p', 'rate:=3.0'], "unknown parameter 'rate' for /echo_node; did you mean 'rate_hz'?"),
        (['-p', 'rate_hz:=11.0'], 'rate_hz must lie in [0.1, 10] Hz, got 11.0'),
        (['-p', 'times:=1.5'], 'times must be of type int, got 1.5'),
        (['-p', 'tone:=shrill'], "tone must be one of soft, loud, got 'shrill'"),
        (['-p', 'use_sim_time:=7'], 'use_sim_time'),
        (['--params-file', '/nowhere.yaml'], '/nowhere.yaml'),
        (['--nonsense'], 'unknown ROS arguments'),
    ],
    ids=['unknown', 'out of range', 'type', 'choice', 'built in', 'file', 'argument'],
)
def test_a_bad_command_line_ends_the_process_with_status_2_and_a_sentence(node_process, arguments, sentence):
    status, _, err = node_process('echo_node', '--ros-args', *arguments).wait()
    assert status == 2
    assert sentence in err
    assert err.startswith('echo_node: ')
    assert len(err.strip().splitlines()) == 1


def test_help_says_what_the_node_is_for(node_process):
    status, out, _ = node_process('echo_node', '--help').wait()
    assert status == 0
    assert 'Says again what it hears.' in out
    assert '--ros-args' in out
