"""Landmarks over real DDS: in answers, on their topic, and as markers."""

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('embodied_r_interfaces')

from embodied_r_interfaces import msg as messages  # noqa: E402
from fake_models import NS, SESSION  # noqa: E402
from fake_openai import FakeOpenAI  # noqa: E402
from landmark_scenes import looks, pose  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from robots import THOUGHT, Robot  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from embodied_r_ros.core.landmark_report import sentence  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import header, observation_to_message  # noqa: E402
from embodied_r_ros.nodes.landmark_messages import landmark_from_message, markers  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402

THINGS = [('sofa', (5.0, 1.0)), ('chair', (3.0, -2.0)), ('chair', (3.0, 2.0))]


@pytest.fixture
def robot(graph):
    """A robot that has shown a reasoning node three things from two places."""
    with FakeOpenAI(reply=THOUGHT) as server:
        robot = Robot(graph)
        node = graph.start(ReasoningNode, url=server.url)
        for index, seen in enumerate(looks(THINGS, [pose(0.0), pose(1.0)])):
            message = observation_to_message(seen)
            message.session, message.header = SESSION, header(SESSION + index * NS)
            robot.observations.publish(message)
        graph.wait_for(node, observations=2)
        yield robot


def test_an_answer_has_places_in_the_frame_of_odometry(graph, robot):
    robot.odometry.publish(Odometry(header=header(SESSION + NS, 'map')))
    graph.spin_until(lambda: robot.ask().landmarks[0].position.header.frame_id == 'map', 'the frame of odometry')
    (sofa,) = robot.ask().landmarks
    assert (sofa.name, sofa.number, sofa.sightings) == ('sofa', 1, 2)
    assert (sofa.position.point.x, sofa.position.point.y) == pytest.approx((5.0, 1.0), abs=0.01)
    assert sofa.covariance[0] > 0.0
    assert [cited.index for cited in sofa.evidence] == [0, 1]
    words = sentence(landmark_from_message(sofa))
    assert words == 'sofa 1: 4.1 m, 14 deg left; x 5.00, y 1.00, z 0.00 m in map'


def test_all_landmarks_reach_a_late_listener(graph, robot):
    told, shown = [], []
    listener = graph.node('late')
    listener.create_subscription(messages.LandmarkArray, 'landmarks', told.append, qos.LANDMARKS)
    listener.create_subscription(MarkerArray, 'markers', shown.append, qos.LANDMARKS)
    graph.spin_until(lambda: told and shown, 'landmarks and markers')
    assert told[-1].session == SESSION
    assert [(one.name, one.number) for one in told[-1].landmarks] == [('sofa', 1), ('chair', 1), ('chair', 2)]
    again = []
    graph.node('later').create_subscription(messages.LandmarkArray, 'landmarks', again.append, qos.LANDMARKS)
    graph.spin_until(lambda: again, 'the latched landmarks')
    assert len(shown[-1].markers) == 1 + 2 * 3


def test_markers_replace_those_shown_before():
    first, *_ = markers([]).markers
    assert first.action == Marker.DELETEALL
