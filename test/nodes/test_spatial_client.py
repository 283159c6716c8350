"""SpatialClient, `ask` and `watch` against a real reasoning node with a model server on loopback."""

import concurrent.futures
import math
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from embodied_r_interfaces import msg as messages  # noqa: E402
from fake_models import SESSION, key_frame, observation, pose_at  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402

from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import key_frame_to_message, observation_to_message  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402
from embodied_r_ros.ros_client.spatial_client import SpatialClient  # noqa: E402

THOUGHT = '<think>Frame 1 shows it.</think><answer>B</answer>'
CHOICES = ('left', 'right')


@pytest.fixture
def server():
    with FakeOpenAI(reply=THOUGHT) as server:
        yield server


@pytest.fixture
def robot(graph, server):
    """A reasoning node that has seen two key frames; the graph spins in a thread of its own."""
    node = graph.start(ReasoningNode, url=server.url)
    camera = graph.node('camera')
    key_frames = camera.create_publisher(messages.KeyFrame, 'key_frames', qos.KEY_FRAMES)
    observations = camera.create_publisher(messages.Observation, 'observations', qos.observations(100))
    for index in range(2):
        key_frames.publish(key_frame_to_message(key_frame(index)))
        observations.publish(observation_to_message(observation(index, pose=pose_at(float(index)))))
    graph.wait_for(node, observations=2)
    over = threading.Event()

    def spin():
        while not over.is_set():
            graph.executor.spin_once(timeout_sec=0.05)

    spinning = threading.Thread(target=spin, daemon=True)
    spinning.start()
    yield node
    over.set()
    spinning.join(2.0)


@pytest.fixture
def client(graph, ros):
    with SpatialClient(namespace=graph.namespace) as client:
        yield client


def test_an_answer_comes_as_a_plain_record(robot, client):
    answer = client.ask('Which way?', CHOICES, deadline_s=5.0)
    assert (answer.error_code, answer.answer, answer.choice) == (ErrorCode.OK, 'right', 1)
    assert answer.evidence[0].pose == pose_at(1.0)


def test_window_and_modes_are_passed_on(robot, client):
    answer = client.ask('Which way?', CHOICES, start_ns=SESSION, end_ns=SESSION, deadline_s=5.0)
    assert answer.available == 1
    answer = client.ask('Which way?', CHOICES, last_s=1e6, as_of_ns=SESSION, deadline_s=5.0)
    assert answer.available == 1


def test_progress_is_told_through_the_action(robot, server, client):
    server.latency_s = 0.4
    told = []
    answer = client.ask('Which way?', CHOICES, deadline_s=5.0, on_progress=lambda *words: told.append(words))
    assert answer.error_code is ErrorCode.OK
    assert ('think', '') in told and any('Frame' in words for _, words in told)


def test_many_threads_may_ask_at_once(robot, client):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: client.ask(f'{i}?', CHOICES, deadline_s=10.0), range(40)))
    assert {answer.error_code for answer in answers} == {ErrorCode.OK}


def test_it_may_be_asked_inside_a_callback_of_a_single_threaded_node(robot, ros, graph):
    import rclpy.node

    host = rclpy.node.Node('navigator', namespace=graph.namespace)
    executor = SingleThreadedExecutor()
    executor.add_node(host)
    answers = []
    with SpatialClient(host) as client:
        timer = host.create_timer(0.01, lambda: answers.append(client.ask('Which way?', CHOICES, deadline_s=5.0)))
        executor.spin_once(timeout_sec=5.0)
        host.destroy_timer(timer)
    executor.shutdown()
    host.destroy_node()
    assert answers[0].error_code is ErrorCode.OK


def test_without_a_reasoning_node_it_is_not_active_at_the_deadline(client):
    begin = time.monotonic()
    answer = client.ask('Which way?', CHOICES, deadline_s=0.3)
    assert time.monotonic() - begin < 0.6
    assert answer.error_code is ErrorCode.NOT_ACTIVE
    assert "/ask' within 0.3 s; start reasoning_node" in answer.error_msg


def test_a_hanging_server_is_a_timeout_at_the_deadline(robot, server, client):
    server.hang = True
    begin = time.monotonic()
    answer = client.ask('Which way?', CHOICES, deadline_s=0.4)
    assert answer.error_code is ErrorCode.TIMEOUT
    assert time.monotonic() - begin < 0.8


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'deadline_s': 0.0}, 'deadline_s must be positive'),
        *(
            ({'last_s': last_s}, f"a window's length must be above 0 and below 2147483648 s, got {last_s!r}")
            for last_s in (0, 0.0, -3.0, math.nan, math.inf, 1e300)
        ),
        ({'last_s': 0, 'end_ns': 5}, "a window's length must be above 0"),
        ({'start_ns': 5, 'end_ns': 3}, 'must not end before it starts'),
        ({'focus': 'sometimes'}, "focus must be one of off, auto, always, got 'sometimes'"),
        ({'votes': -1}, 'votes must lie in'),
        ({'as_of_ns': -1}, 'as_of_ns must be ROS time'),
        ({'as_of_ns': 0}, 'as_of_ns must be ROS time in nanoseconds, at least 1 and below 2147483648 s, got 0'),
        ({'end_ns': 0}, 'end_ns must be ROS time in nanoseconds, at least 1 and below 2147483648 s, got 0'),
        ({'end_ns': 2**63}, 'end_ns must be ROS time'),
    ],
)
def test_what_cannot_be_sent_is_a_bad_question(client, values, words):
    answer = client.ask('Which way?', CHOICES, **values)
    assert answer.error_code is ErrorCode.BAD_QUESTION
    assert words in answer.error_msg


def test_it_has_a_context_of_its_own_where_rclpy_is_not_initialised(robot, graph):
    code = (
        'from embodied_r_ros.ros_client.spatial_client import SpatialClient\n'
        f'with SpatialClient(namespace={graph.namespace!r}) as client:\n'
        '    print(client.ask("Which way?", ["left", "right"], deadline_s=10.0).answer)\n'
    )
    done = tool('-c', code)
    assert (done.returncode, done.stdout) == (0, 'right\n'), done.stderr


def test_the_readme_asks_from_python(robot, graph):
    readme = (pathlib.Path(__file__).resolve().parents[2] / 'README.md').read_text(encoding='utf-8')
    code = readme.partition('```python\n')[2].partition('```')[0]
    place = f"import rclpy; rclpy.init(args=['--ros-args', '-r', '__ns:={graph.namespace}'])\n"
    done = tool('-c', place + code)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, ['behind me [1]']), done.stderr


def tool(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=30, env=dict(os.environ)
    )


def ask(graph, *arguments):
    return tool('-m', 'embodied_r_ros.ros_client.ask', *arguments, '--ros-args', '-r', f'__ns:={graph.namespace}')


def test_ask_streams_the_thinking_and_prints_the_evidence(robot, graph):
    done = ask(graph, 'Which way?', '--choice', 'left', '--choice', 'right', '--deadline', '10')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'Frame 1 shows it.'
    assert lines[1] == 'answer: right'
    assert lines[2].startswith(
        '  key frame 1, 0.0 s before the newest at x 1.0 m, y 0.0 m: moved forward 1.00 m: thing 1'
    )
    assert lines[3].startswith('from 2 of 2 observations in ')


def test_ask_says_what_went_wrong_and_exits_non_zero(robot, graph):
    done = ask(graph, 'Which way?', '--choice', 'left')
    assert done.returncode == 1
    assert done.stderr.startswith('BAD_QUESTION: no choices (an open question) or 2 to 26 were wanted, got 1')


@pytest.mark.parametrize('seconds', ['0', 'nan'])
def test_ask_refuses_a_window_of_no_length(graph, ros, seconds):
    done = ask(graph, 'Which way?', f'--last={seconds}')
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith("BAD_QUESTION: a window's length must be above 0 and below 2147483648 s, got ")


@pytest.mark.parametrize(('option', 'seconds'), [('--start', 'nan'), ('--end', 'inf'), ('--as-of', 'noon')])
def test_ask_refuses_a_time_that_is_none(graph, ros, option, seconds):
    done = ask(graph, 'Which way?', option, seconds)
    assert (done.returncode, done.stdout) == (2, '')
    assert f"argument {option}: ROS time in seconds is wanted, got '{seconds}'" in done.stderr


def test_ctrl_c_cancels_the_question_all_the_way_to_the_model(robot, server, graph):
    server.hang = True
    asking = subprocess.Popen(
        [
            *(sys.executable, '-m', 'embodied_r_ros.ros_client.ask', 'Which way?', '--deadline', '30'),
            *('--ros-args', '-r', f'__ns:={graph.namespace}'),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.wait_until(lambda: server.chats, timeout_s=15.0)
    asking.send_signal(2)
    out, err = asking.communicate(timeout=5.0)
    assert (asking.returncode, out, err) == (130, '', '')
    assert server.wait_until(lambda: server.closed_early == 1)


def test_watch_prints_observations_and_answers_as_they_come(robot, client, graph):
    watching = subprocess.Popen(
        [sys.executable, '-m', 'embodied_r_ros.ros_client.watch', '--ros-args', '-r', f'__ns:={graph.namespace}'],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert client.ask('Which way?', CHOICES, deadline_s=10.0).error_code is ErrorCode.OK
        lines = [watching.stdout.readline() for _ in range(4)]
    finally:
        watching.send_signal(2)
        watching.stdout.close()
        assert watching.wait(5.0) == 0
    assert any(
        line.split() == '1.0 s 1 moved forward 1.00 m: thing 1 straight ahead at 2.0 m'.split() for line in lines
    )
    assert '? Which way?\n' in lines and '! right (key frames: 1)\n' in lines
