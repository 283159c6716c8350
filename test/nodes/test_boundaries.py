"""Bugs and odd peers at the borders of the nodes: they are told and counted, and end neither node nor client."""

import math
import signal
import threading
import time

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from action_msgs.msg import GoalStatus  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402
from embodied_r_interfaces.srv import AskSpatial, Capture  # noqa: E402
from fake_models import observation  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from robots import THOUGHT, Robot  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos, reasoning_node  # noqa: E402
from embodied_r_ros.nodes.conversions import observation_to_message, stamp_from_ns  # noqa: E402
from embodied_r_ros.nodes.managed import ManagedNode  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402
from embodied_r_ros.ros_client.spatial_client import SpatialClient  # noqa: E402

CHOICES = ('left', 'right')


class BuggyNode(ManagedNode):
    """Every callback of it has a bug, but for what 'good' names."""

    def __init__(self, **options):
        super().__init__('buggy_node', **options)
        self.heard = []

    def activate(self):
        self.held(self.create_subscription(String, 'words', self._on_words, 10))
        self.held(self.create_service(AskSpatial, 'ask', self._on_ask))
        self.held(self.create_service(Capture, 'capture', self._on_capture))
        self.held(self.create_timer(0.01, self._on_timer))

    def _on_words(self, message):
        if message.data != 'good':
            raise KeyError(message.data)
        self.heard.append(message.data)

    async def _on_ask(self, request, response):
        response.answer.error_code, response.answer.answer = 0, 'half done'
        raise ValueError('bug')

    def _on_capture(self, request, response):
        response.success = True
        raise ValueError('bug')

    def _on_timer(self):
        raise ZeroDivisionError('bug')


@pytest.fixture
def robot(graph):
    return Robot(graph)


@pytest.fixture
def server():
    with FakeOpenAI(reply=THOUGHT) as server:
        yield server


@pytest.fixture
def thinking(graph, robot, server):
    node = graph.start(ReasoningNode, url=server.url)
    robot.see(0, 1, 2)
    graph.wait_for(node, observations=3)
    return node


def test_a_bug_in_a_callback_does_not_end_the_node_and_is_answered_internal(graph, capfd):
    tester = graph.node()
    node = graph.start(BuggyNode)
    words = tester.create_publisher(String, 'words', 10)
    graph.spin_until(lambda: words.get_subscription_count(), 'discovery')
    words.publish(String(data='bad'))
    words.publish(String(data='good'))
    graph.spin_until(lambda: node.heard, 'what comes after the bug')
    asked = graph.call(AskSpatial, 'ask').answer
    assert (asked.error_code, asked.answer) == (ErrorCode.INTERNAL, '')
    assert asked.error_msg.startswith('a fault of this package: ValueError at test_boundaries.py:')
    captured = graph.call(Capture, 'capture')
    assert (captured.success, captured.error_code) == (False, ErrorCode.INTERNAL)
    graph.spin_until(lambda: node.faults.count > 20, 'the bugs of the timer')
    log = capfd.readouterr().err
    assert log.count('ZeroDivisionError: bug') == 2  # the first and the tenth
    assert "KeyError: 'bad'" in log


def test_a_bug_comes_as_internal_through_the_action_too(graph, robot, thinking, monkeypatch):
    def buggy(message):
        raise RuntimeError('bug')

    monkeypatch.setattr(reasoning_node, 'request_from_message', buggy)
    assert robot.ask().error_code == ErrorCode.INTERNAL
    result = robot.result(robot.send_goal())
    assert result.status == GoalStatus.STATUS_ABORTED
    assert (result.result.answer.error_code, result.result.answer.answer) == (ErrorCode.INTERNAL, '')
    assert 'RuntimeError at test_boundaries.py' in result.result.answer.error_msg
    monkeypatch.undo()
    assert robot.ask().error_code == ErrorCode.OK
    assert thinking.diagnostics.status().level == b'\x01'


def odd(**changes):
    message = observation_to_message(observation(9))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def odd_motion(**values):
    return messages.Motion(**{'source': messages.Motion.ODOMETRY, 'name': 'move forward', **values})


ODD_OBSERVATIONS = {
    'an infinite motion': odd(motion=odd_motion(forward_m=math.inf, left_m=0.0, rotate_left_deg=0.0)),
    'an infinite move': odd(motion=odd_motion(moves=[messages.Move(kind='turn', amount=-math.inf)])),
    'a move of an unknown kind': odd(motion=odd_motion(moves=[messages.Move(kind='jump', amount=1.0)])),
    'an unknown source': odd(motion=odd_motion(source=9)),
    'a sighting without a name': odd(sightings=[messages.Sighting()]),
    'a pose that is none': odd(has_pose=True, pose=odd().pose.__class__()),
    'a text without end': odd(text='wall ' * 200_000),
}


@pytest.mark.parametrize('message', ODD_OBSERVATIONS.values(), ids=ODD_OBSERVATIONS)
def test_an_observation_that_cannot_be_is_left_out(graph, robot, thinking, message):
    if message.has_pose:
        message.pose.orientation.w = 0.0
    robot.observations.publish(message)
    graph.spin_until(lambda: thinking.diagnostics.counters['unusable'], 'word of it')
    assert robot.ask().available == 3


def test_stamps_that_are_none_are_left_out(graph, robot, thinking):
    late = odd()
    late.header.stamp.nanosec = 4_294_967_295
    robot.observations.publish(late)
    for sec in (-5, 0):
        pose = Odometry()
        pose.header.stamp.sec, pose.header.stamp.nanosec = sec, 4_000_000_000
        robot.odometry.publish(pose)
    graph.spin_until(lambda: thinking.diagnostics.counters['unusable'] == 3, 'word of them')
    assert robot.ask().available == 3


def test_numbers_and_characters_that_no_message_should_hold_do_not_reach_the_prompt(graph, robot, server, thinking):
    robot.observations.publish(odd(text='a wall \x07' + '9' * 400 + ' m<|im_end|>'))
    graph.wait_for(thinking, observations=4)
    assert robot.ask().error_code == ErrorCode.OK
    prompt = server.chats[-1].json['messages'][-1]['content']
    assert '\x07' not in prompt and '<|im_end|>' not in prompt


def test_a_capture_that_fails_with_an_unknown_code_is_internal(graph, robot, thinking):
    def capture(request, response):
        response.error_code, response.error_msg = 99, 'from a newer node'
        return response

    graph.node('newer').create_service(Capture, 'capture', capture, qos_profile=qos.SERVICES)
    answer = robot.ask(fresh=True)
    assert (answer.error_code, answer.error_msg) == (ErrorCode.INTERNAL, 'from a newer node')


def test_a_question_about_1e300_seconds_is_a_bad_question(robot, thinking):
    assert robot.ask(window_last_s=1e300).error_code == ErrorCode.BAD_QUESTION


def test_cancels_at_once_are_all_cancelled(graph, robot, server, thinking):
    server.hang = True
    goals = [robot.actions.send_goal_async(robot.goal(deadline_s=30.0)) for _ in range(30)]
    for future in goals:
        future.add_done_callback(lambda done: done.result().cancel_goal_async())
    graph.spin_until(lambda: all(future.done() for future in goals), 'the goals taken')
    results = [future.result().get_result_async() for future in goals]
    graph.spin_until(lambda: all(future.done() for future in results), 'the results')
    assert {future.result().result.answer.error_code for future in results} == {ErrorCode.CANCELLED}


def test_two_reasoning_nodes_of_one_name_say_so(graph, robot, server, thinking):
    graph.start(ReasoningNode, url=server.url)
    graph.spin_until(lambda: thinking.diagnostics.status().level == b'\x02', 'an error')
    assert 'another reasoning_node answers to' in thinking.diagnostics.status().message


@pytest.fixture
def spun(graph, robot):
    """The graph spins in a thread of its own."""
    over = threading.Event()

    def spin():
        while not over.is_set():
            graph.executor.spin_once(timeout_sec=0.05)

    spinning = threading.Thread(target=spin, daemon=True)
    yield spinning.start
    over.set()
    if spinning.is_alive():
        spinning.join(2.0)


def test_a_client_outlives_codes_and_times_that_it_does_not_know(graph, spun):
    codes = [99, 0]

    def answer(request, response):
        response.answer.error_code, response.answer.answer = codes.pop(0), 'left'
        response.answer.seen_until = stamp_from_ns(5)
        if not codes:
            response.answer.seen_until.nanosec = 4_000_000_000
        return response

    graph.node('newer').create_service(AskSpatial, 'ask', answer, qos_profile=qos.SERVICES)
    spun()
    with SpatialClient(namespace=graph.namespace) as client:
        first, second = (client.ask('Which way?', CHOICES, deadline_s=5.0) for _ in range(2))
    assert first.error_code is ErrorCode.INTERNAL
    assert second.error_code is ErrorCode.INTERNAL
    assert second.error_msg.startswith('the answer of reasoning_node cannot be used: the nanoseconds of a stamp')


def test_a_client_asks_with_any_characters_and_outlives_a_progress_that_raises(graph, server, thinking, spun, caplog):
    def fails(stage, thinking):
        raise KeyError('bug of the asker')

    spun()
    with SpatialClient(namespace=graph.namespace) as client:
        asked = [client.ask('Which \ud83d\0 way?', CHOICES, deadline_s=5.0, on_progress=fails) for _ in range(2)]
    assert [answer.error_code for answer in asked] == [ErrorCode.OK] * 2
    assert caplog.text.count('on_progress raised, and is not called again for this question') == 2


@pytest.mark.parametrize('on_progress', [None, print], ids=['service', 'action'])
def test_a_client_keeps_its_promise_though_the_node_stands_still(graph, thinking, on_progress):
    with SpatialClient(namespace=graph.namespace) as client:
        begun_s = time.monotonic()
        answer = client.ask('Which way?', CHOICES, deadline_s=1.0, on_progress=on_progress)
        took_s = time.monotonic() - begun_s
    assert answer.error_code is ErrorCode.TIMEOUT
    assert 1.0 <= took_s < 1.3


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_a_node_that_is_stopped_answers_what_is_open_first(graph, robot, server, node_process, number):
    process = node_process(
        'embodied_r_ros.nodes.reasoning_node',
        *('--ros-args', '-r', f'__ns:={graph.namespace}', '-p', f'url:={server.url}'),
    )
    robot.see(0, 1)
    graph.spin_until(lambda: robot.ask(deadline_s=1.0).error_code == ErrorCode.OK, 'an answer', timeout_s=30.0)
    server.hang = True
    asked = len(server.chats)
    futures = [robot.ask_async(deadline_s=30.0) for _ in range(3)]
    results = [robot.send_goal(deadline_s=30.0).get_result_async() for _ in range(2)]
    graph.spin_until(lambda: len(server.chats) == asked + 5, 'five calls')
    graph.spin(0.2)
    begun_s = time.monotonic()
    process.signal(number)
    graph.spin_until(lambda: all(future.done() for future in (*futures, *results)), 'the answers', timeout_s=2.0)
    codes = [future.result().answer.error_code for future in futures]
    codes += [future.result().result.answer.error_code for future in results]
    assert codes == [ErrorCode.NOT_ACTIVE] * 5
    status, _, err = process.wait(5.0)
    assert (status, 'Traceback' in err) == (0, False)
    assert time.monotonic() - begun_s < 3.0
