"""The example that drives to a thing, before a reasoning node and a navigation stack that does as it is told."""

import math

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')
actions = pytest.importorskip('nav2_msgs.action', reason='nav2_msgs is not installed')

from fake_models import NS, SESSION  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from geometry_msgs.msg import Point  # noqa: E402
from landmark_scenes import looks, pose  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.action import ActionServer, GoalResponse  # noqa: E402
from robots import THOUGHT, Robot  # noqa: E402

from embodied_r_ros.core.records import Landmark  # noqa: E402
from embodied_r_ros.nodes.conversions import header, observation_to_message  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402
from examples import go_to  # noqa: E402

SOFA = Landmark(
    id='sofa@0', name='sofa', number=1, stamp_ns=0, frame_id='map', position_m=(4.0, 4.0, 0.5), covariance_m2=(0.0,) * 9
)


class Navigation:
    """Offers the action of Nav2.

    Attributes:
        goals: that came.
        takes: whether it takes goals.
        ends: 'succeed', 'abort', or '' to drive on until it is cancelled.
    """

    def __init__(self, graph):
        self.goals, self.takes, self.ends = [], True, 'succeed'
        node = graph.node('navigation')
        self.server = ActionServer(
            node, actions.NavigateToPose, 'navigate_to_pose', self._drive, goal_callback=self._on_goal
        )

    def _on_goal(self, goal):
        self.goals.append(goal.pose)
        return GoalResponse.ACCEPT if self.takes else GoalResponse.REJECT

    def _drive(self, goal):
        getattr(goal, self.ends)()
        return actions.NavigateToPose.Result(error_code=0 if self.ends == 'succeed' else 9003)


@pytest.fixture
def robot(graph):
    """A robot at (1, 0) that has shown a reasoning node a sofa, with odometry in the frame map."""
    with FakeOpenAI(reply=THOUGHT) as server:
        robot = Robot(graph)
        node = graph.start(ReasoningNode, url=server.url)
        for index, seen in enumerate(looks([('sofa', (5.0, 3.0))], [pose(0.0), pose(1.0)])):
            message = observation_to_message(seen)
            message.session, message.header = SESSION, header(SESSION + index * NS)
            robot.observations.publish(message)
        graph.wait_for(node, observations=2)
        robot.frame_id = 'map'
        timer = robot.node.create_timer(0.1, lambda: robot.odometry.publish(odometry(robot.frame_id)))
        graph.spin_until(lambda: robot.ask().landmarks[0].position.header.frame_id == 'map', 'the frame of odometry')
        yield robot
        timer.cancel()


def odometry(frame_id):
    message = Odometry(header=header(SESSION + NS, frame_id))
    message.pose.pose.position.x = 1.0
    message.pose.pose.orientation.w = 1.0
    return message


@pytest.fixture
def drive(graph, node_process):
    """Runs the example to its end: exit status, and what it wrote."""

    def run(*arguments):
        started = node_process('examples.go_to', *arguments, '--ros-args', '-r', f'__ns:={graph.namespace}')
        graph.spin_until(lambda: started.process.poll() is not None, 'the end of go_to', timeout_s=60.0)
        return started.wait()

    return run


def test_it_drives_up_to_the_thing_and_says_when_it_is_there(graph, robot, drive):
    navigation = Navigation(graph)
    status, out, _ = drive('sofa', '--stand-off', '1.0')
    assert (status, out.splitlines()[-1]) == (0, 'arrived')
    assert out.startswith('driving to sofa 1: 5.0 m, 37 deg left; x 5.00, y 3.00')
    (goal,) = navigation.goals
    assert (goal.header.frame_id, goal.header.stamp.sec, goal.header.stamp.nanosec) == ('map', 0, 0)
    assert (goal.pose.position.x, goal.pose.position.y) == pytest.approx((4.2, 2.4), abs=0.02)
    assert goal.pose.orientation.z == pytest.approx(math.sin(math.atan2(3.0, 4.0) / 2), abs=0.01)


@pytest.mark.parametrize(
    ('takes', 'ends', 'sentence'),
    [
        (False, 'succeed', 'Nav2 does not take the goal; see its log'),
        (True, 'abort', 'Nav2 gave up, with error code 9003; see its log'),
    ],
    ids=['rejected', 'aborted'],
)
def test_what_nav2_does_not_do_is_said(graph, robot, drive, takes, ends, sentence):
    navigation = Navigation(graph)
    navigation.takes, navigation.ends = takes, ends
    status, out, err = drive('sofa')
    assert (status, 'arrived' in out) == (1, False)
    assert err.splitlines()[-1] == f'go_to: {sentence}'


@pytest.mark.slow
def test_without_nav2_it_says_so(robot, drive):
    status, _, err = drive('sofa')
    assert (status, err.splitlines()[-1]) == (
        1, 'go_to: Nav2 must offer the action navigate_to_pose, nobody does; start it',
    )  # fmt: skip


def test_a_thing_that_was_not_seen_has_no_place(robot, drive):
    status, _, err = drive('piano')
    assert status == 1
    assert err.splitlines()[-1].startswith('go_to: no place of the piano is known: ')


def test_a_place_in_another_frame_than_odometry_is_not_driven_to(graph, robot, drive):
    navigation = Navigation(graph)
    graph.spin(0.5)
    node = graph.node('other')
    other = node.create_publisher(Odometry, 'elsewhere', 10)
    node.create_timer(0.1, lambda: other.publish(odometry('start')))
    status, _, err = drive('sofa', '--ros-args', '-r', 'odom:=elsewhere', '--')
    assert (status, err.splitlines()[-1], navigation.goals) == (
        1, "go_to: the place must be in the frame of odometry, 'start', got 'map'", [],
    )  # fmt: skip


@pytest.mark.slow
def test_without_odometry_it_says_so(graph, robot, drive):
    status, _, err = drive('sofa', '--ros-args', '-r', 'odom:=nowhere', '--')
    assert (status, err.splitlines()[-1]) == (
        1, f"go_to: odometry must tell where the robot is, nothing came on '{graph.namespace}/nowhere'",
    )  # fmt: skip


def test_a_robot_that_is_nearer_stays_and_turns():
    pose = go_to.pose_before(SOFA, Point(x=4.0, y=3.5), 0.8)
    assert (pose.pose.position.x, pose.pose.position.y) == (4.0, 3.5)
    assert pose.pose.orientation.z == pytest.approx(math.sin(math.pi / 4))
