"""reasoning_node over real DDS, with a model server on loopback: service, action, deadline, cancel, state."""

import threading
import time

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from action_msgs.msg import GoalStatus  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402
from embodied_r_interfaces.srv import Capture  # noqa: E402
from fake_models import NS, SESSION, observation, pose_at  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from robots import THOUGHT, Robot  # noqa: E402

from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import (  # noqa: E402
    header,
    observation_to_message,
    pose_to_message,
    stamp_from_ns,
)
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402


@pytest.fixture
def robot(graph):
    return Robot(graph)


@pytest.fixture
def server():
    with FakeOpenAI(reply=THOUGHT) as server:
        yield server


@pytest.fixture
def thinking(graph, robot, server):
    """A reasoning node whose model is ready and that has seen three key frames."""
    node = graph.start(ReasoningNode, url=server.url)
    robot.see(0, 1, 2)
    graph.wait_for(node, observations=3)
    return node


def test_the_service_answers_with_evidence_poses_timings_and_ids(robot, thinking):
    answer = robot.ask()
    assert (answer.error_code, answer.answer, answer.choice) == (ErrorCode.OK, 'right', 1)
    assert answer.thinking == 'Frame 1 shows it.'
    assert [cited.index for cited in answer.evidence] == [1]
    assert answer.evidence[0].stamp == stamp_from_ns(SESSION + NS)
    assert answer.evidence[0].has_pose and answer.evidence[0].pose.position.x == 1.0
    assert (answer.used, answer.available, answer.seen_until) == (3, 3, stamp_from_ns(SESSION + 2 * NS))
    assert {'think', 'total'} <= {timing.stage for timing in answer.timings}
    assert (answer.model, answer.prompt_id) == ('fake-model', 'paper')


def test_the_action_tells_its_stages_and_streams_the_thinking(graph, robot, server, thinking):
    server.latency_s = 0.5
    told = []
    goal = robot.send_goal(feedback=lambda message: told.append(message.feedback))
    result = robot.result(goal)
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert result.result.answer.answer == 'right'
    graph.spin_until(lambda: any('Frame' in feedback.partial_thinking for feedback in told), 'partial thinking')
    assert {feedback.stage for feedback in told} == {'think'}


def test_the_last_answer_reaches_a_late_listener(graph, robot, thinking):
    robot.ask(text='first?')
    robot.ask(text='second?')
    late = []
    graph.node('late').create_subscription(messages.AnsweredQuestion, 'answers', late.append, qos.ANSWERS)
    graph.spin_until(lambda: late, 'the latched answer')
    assert (late[0].question.question, late[0].answer.answer) == ('second?', 'right')


@pytest.mark.parametrize(
    ('values', 'code', 'words'),
    [
        pytest.param({'text': ' '}, ErrorCode.BAD_QUESTION, 'a question in words', id='empty question'),
        pytest.param({'choices': ['a']}, ErrorCode.BAD_QUESTION, 'got 1', id='1 choice'),
        pytest.param(
            {'choices': list('abcdefghijklmnopqrstuvwxyz') + ['zz']}, ErrorCode.BAD_QUESTION, 'got 27', id='27'
        ),
        pytest.param({'choices': ['a', 'b', 'a']}, ErrorCode.BAD_QUESTION, 'given once', id='a choice given twice'),
        pytest.param(
            {'window_start': stamp_from_ns(SESSION + 2 * NS), 'window_end': stamp_from_ns(SESSION + NS)},
            ErrorCode.BAD_QUESTION,
            'must not end before it starts',
            id='window ends before it starts',
        ),
        pytest.param(
            {'window_start': stamp_from_ns(SESSION + 9 * NS)},
            ErrorCode.WINDOW_EMPTY,
            'in the future',
            id='future window',
        ),
        pytest.param(
            {'window_end': stamp_from_ns(SESSION - NS)},
            ErrorCode.WINDOW_EMPTY,
            'no key frame lies',
            id='no frames there',
        ),
        pytest.param(
            {'window_last_s': 5.0, 'window_end': stamp_from_ns(SESSION)}, ErrorCode.BAD_QUESTION, 'got both', id='both'
        ),
        pytest.param({'focus': 7}, ErrorCode.BAD_QUESTION, 'focus mode must be 0 to 2', id='focus mode'),
        pytest.param({'deadline_s': -1.0}, ErrorCode.BAD_QUESTION, 'deadline must be positive', id='deadline'),
    ],
)
def test_bad_questions_get_a_code_and_a_sentence_at_once(robot, thinking, values, code, words):
    answer = robot.ask(**{'deadline_s': 60.0, **values})
    assert (answer.error_code, answer.answer) == (code, '')
    assert words in answer.error_msg


def test_no_camera_yet_is_no_frames(graph, robot, server):
    node = graph.start(ReasoningNode, url=server.url)
    nothing_yet = 'nothing is observed yet, so no question can be answered'
    graph.spin_until(lambda: node.diagnostics.status().message == nothing_yet, 'a ready model')
    answer = robot.ask()
    assert answer.error_code == ErrorCode.NO_FRAMES
    assert 'no key frame has come yet' in answer.error_msg


def test_inactive_is_not_active_at_once_for_service_and_action(graph, robot, server):
    node = graph.add(graph.make(ReasoningNode, url=server.url, autostart=False))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert robot.ask().error_code == ErrorCode.NOT_ACTIVE
    result = robot.result(robot.send_goal())
    assert result.status == GoalStatus.STATUS_ABORTED
    assert result.result.answer.error_code == ErrorCode.NOT_ACTIVE
    assert server.requests == []


def test_questions_under_way_are_answered_when_the_node_is_deactivated(graph, robot, server, thinking):
    server.hang = True
    futures = [robot.ask_async(deadline_s=30.0) for _ in range(3)]
    graph.spin_until(lambda: len(server.chats) == 3, 'three calls')
    assert thinking.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    graph.spin_until(lambda: all(future.done() for future in futures), 'three answers')
    assert {future.result().answer.error_code for future in futures} == {ErrorCode.NOT_ACTIVE}
    assert server.wait_until(lambda: server.closed_early == 3)


def test_a_node_can_be_taken_down_with_questions_under_way_and_brought_up_again(graph, robot, server, thinking):
    threads = threading.active_count()
    for _ in range(3):
        server.hang = True
        asked = len(server.chats)
        futures = [robot.ask_async(deadline_s=30.0) for _ in range(3)]
        goals = [robot.send_goal(deadline_s=30.0) for _ in range(2)]
        graph.spin_until(lambda count=asked + 5: len(server.chats) == count, 'five calls')
        results = [goal.get_result_async() for goal in goals]
        assert thinking.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert thinking.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        late = robot.ask(), robot.result(robot.send_goal()).result.answer
        graph.spin_until(lambda asked=(*futures, *results): all(each.done() for each in asked), 'five answers')
        answers = *late, *(each.result().answer for each in futures), *(each.result().result.answer for each in results)
        assert {answer.error_code for answer in answers} == {ErrorCode.NOT_ACTIVE}
        server.hang = False
        assert thinking.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert thinking.trigger_activate() == TransitionCallbackReturn.SUCCESS
        graph.wait_for(thinking, observations=3)
    assert robot.ask().error_code == ErrorCode.OK
    assert threading.active_count() <= threads


def test_a_hanging_server_is_a_timeout_just_after_the_deadline(graph, robot, server, thinking):
    server.hang = True
    begin = time.monotonic()
    answer = robot.ask(deadline_s=0.5)
    took_s = time.monotonic() - begin
    assert answer.error_code == ErrorCode.TIMEOUT
    assert 'deadline of 0.5 s' in answer.error_msg
    assert 0.5 <= took_s < 0.75
    assert server.wait_until(lambda: server.closed_early == 1), 'the server was left to think on'


def test_a_cancel_reaches_the_server(graph, robot, server, thinking):
    server.hang = True
    goal = robot.send_goal(deadline_s=30.0)
    graph.spin_until(lambda: server.chats, 'the model call')
    cancelling = goal.cancel_goal_async()
    graph.spin_until(lambda: server.closed_early, 'the closed connection')
    graph.spin_until(cancelling.done, 'the cancel answered')
    result = robot.result(goal)
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.answer.error_code == ErrorCode.CANCELLED


def test_a_server_that_answers_nonsense_is_a_bad_reply(robot, server, thinking):
    server.raw = b'<html>not a model server</html>'
    assert robot.ask().error_code == ErrorCode.BAD_REPLY


def test_a_server_unreachable_at_start_is_server_down_and_recovers(graph, robot, capfd):
    gone = FakeOpenAI().start()
    url, port = gone.url, gone.port
    gone.stop()
    node = graph.start(ReasoningNode, url=url)
    robot.see(0, 1)
    graph.spin_until(lambda: node.diagnostics.status().level == b'\x02', 'the server missed')
    answer = robot.ask()
    assert answer.error_code == ErrorCode.SERVER_DOWN
    assert '127.0.0.1' in answer.error_msg
    server = FakeOpenAI(reply=THOUGHT).start(port)
    try:
        graph.spin_until(lambda: robot.ask().error_code == ErrorCode.OK, 'an answer')
    finally:
        server.stop()
    log = capfd.readouterr().err
    assert 'it is tried again until it works' in log


def test_100_questions_at_once_are_all_answered(graph, robot, server, thinking):
    futures = [robot.ask_async(deadline_s=20.0) for _ in range(100)]
    graph.spin_until(lambda: all(future.done() for future in futures), '100 answers', timeout_s=20.0)
    assert [future.result().answer.error_code for future in futures] == [ErrorCode.OK] * 100


def test_more_questions_than_allowed_at_once_are_busy(graph, robot, server):
    node = graph.start(ReasoningNode, url=server.url, max_questions=5)
    robot.see(0, 1)
    graph.wait_for(node, observations=2)
    server.latency_s = 0.5
    futures = [robot.ask_async() for _ in range(100)]
    graph.spin_until(lambda: all(future.done() for future in futures), '100 answers', timeout_s=20.0)
    codes = [future.result().answer.error_code for future in futures]
    assert set(codes) == {ErrorCode.OK, ErrorCode.BUSY}
    assert codes.count(ErrorCode.OK) >= 5


def test_a_paused_clock_does_not_freeze_a_deadline(graph, robot, server):
    node = ReasoningNode(
        namespace=graph.namespace,
        parameter_overrides=[Parameter('use_sim_time', value=True), Parameter('url', value=server.url)],
    )
    graph.add(node)
    assert node.start()
    robot.see(0, 1)
    graph.wait_for(node, observations=2)
    assert node.get_clock().now().nanoseconds == 0
    assert robot.ask(window_last_s=5.0).error_code == ErrorCode.OK
    server.hang = True
    assert robot.ask(deadline_s=0.4).error_code == ErrorCode.TIMEOUT


def test_key_frames_in_flight_are_waited_for(graph, robot, thinking):
    robot.see(3, described=False)
    future = robot.ask_async(deadline_s=60.0)
    graph.spin(0.2)
    assert not future.done()
    robot.observations.publish(observation_to_message(observation(3)))
    graph.spin_until(future.done, 'the answer')
    assert future.result().answer.available == 4


def test_a_key_frame_that_perception_gave_up_is_not_waited_for(graph, robot, thinking):
    robot.see(3, described=False)
    future = robot.ask_async(deadline_s=60.0)
    graph.spin(0.2)
    assert not future.done()
    robot.observations.publish(observation_to_message(observation(3, given_up=True)))
    graph.spin_until(future.done, 'the answer')
    assert future.result().answer.available == 3


def test_fresh_calls_capture_and_waits_for_the_observation(graph, robot, thinking):
    def capture(_, response):
        robot.see(3)
        response.success, response.session, response.index = True, SESSION, 3
        response.stamp = stamp_from_ns(SESSION + 3 * NS)
        return response

    robot.node.create_service(Capture, 'capture', capture, qos_profile=qos.SERVICES)
    graph.spin_until(lambda: any(client.service_is_ready() for client in thinking.clients), 'the capture service')
    answer = robot.ask(fresh=True)
    assert (answer.error_code, answer.available) == (ErrorCode.OK, 4)
    assert 'capture' in {timing.stage for timing in answer.timings}


def test_fresh_without_a_camera_node_says_so(robot, thinking):
    answer = robot.ask(fresh=True)
    assert answer.error_code == ErrorCode.SERVER_DOWN
    assert "/capture'; start the node that does" in answer.error_msg


def test_focus_asks_perception_for_a_second_look(graph, robot, server):
    with FakeOpenAI(reply='{"view": "a sofa", "new": "a sofa"}') as eye:
        perception = graph.start(PerceptionNode, url=eye.url)
        node = graph.start(ReasoningNode, url=server.url)
        graph.wait_for(perception)
        robot.see(0, described=False)
        robot.see(1, described=False)
        graph.wait_for(node, observations=2)
        eye.reply = '{"relevant": "the sofa is green"}'
        answer = robot.ask(focus=messages.SpatialQuestion.FOCUS_ALWAYS)
    assert answer.error_code == ErrorCode.OK
    assert 'the sofa is green' in str(server.chats[-1].json)


def test_motion_since_the_last_key_frame_enters_the_prompt(graph, robot, server, thinking):
    message = Odometry(header=header(SESSION + 5 * NS))
    message.pose.pose = pose_to_message(pose_at(5.5))
    graph.spin_until(lambda: robot.odometry.get_subscription_count() > 0, 'the listener')
    robot.odometry.publish(message)
    told = lambda: robot.ask() and 'Move forward 3.50 m' in str(server.chats[-1].json)  # noqa: E731
    graph.spin_until(told, 'the motion')


def test_diagnostics_tell_how_it_stands(graph, robot, thinking):
    heard = []
    robot.node.create_subscription(DiagnosticArray, '/diagnostics', heard.append, qos.DIAGNOSTICS)
    robot.ask()
    own = f'{thinking.get_fully_qualified_name()}: status'
    wanted = {'ok': '1', 'asked': '1', 'observations': '3', 'model': 'fake-model', 'open_questions': '0'}

    def told():
        statuses = [array.status[0] for array in heard if array.status[0].name == own]
        return (
            statuses and wanted.items() <= {row.key: row.value for row in statuses[-1].values}.items() and statuses[-1]
        )

    status = graph.spin_until(told, 'the counters')
    assert (status.level, status.message) == (b'\x00', '3 observations to answer from')


def test_a_respawned_reasoning_node_refills_from_its_neighbours(graph, robot, server):
    robot.see(*range(20))
    node = graph.start(ReasoningNode, url=server.url)
    graph.wait_for(node, observations=20)


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        pytest.param(lambda folder: folder / 'missing', 'missing', id='model folder missing'),
        pytest.param(lambda folder: folder, 'config.json', id='model folder of the wrong kind'),
    ],
)
def test_a_model_folder_that_cannot_be_used_is_refused_by_its_name(graph, tmp_path, make, words):
    with pytest.raises(SettingsError, match=words) as caught:
        graph.make(ReasoningNode, backend='numpy', folder=str(make(tmp_path)))
    assert str(tmp_path) in str(caught.value)


def test_unknown_parameters_stop_the_node(graph):
    with pytest.raises(SettingsError, match="unknown parameter 'deadline'.*deadline_s"):
        graph.make(ReasoningNode, deadline=3.0)


def test_sigint_with_a_question_under_way_ends_the_process_quickly(graph, robot, server, node_process):
    import signal

    server.hang = True
    process = node_process(
        'embodied_r_ros.nodes.reasoning_node',
        '--ros-args',
        '-r',
        f'__ns:={graph.namespace}',
        '-p',
        f'url:={server.url}',
    )
    robot.see(0, 1)
    robot.ask_async(deadline_s=60.0)
    for _ in range(300):
        graph.spin(0.1)
        if server.chats:
            break
        robot.ask_async(deadline_s=60.0)
    assert server.chats, 'no question reached the model'
    begin = time.monotonic()
    process.signal(signal.SIGINT)
    status, _, err = process.wait(5.0)
    assert status == 0, err
    assert time.monotonic() - begin < 1.5
