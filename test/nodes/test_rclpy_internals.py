"""What is used of rclpy without being public: which release has it, and that it does what is wanted of it."""

from __future__ import annotations

import importlib.metadata
import operator
import types

import pytest

pytest.importorskip('rclpy')

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.nodes import rclpy_internals

pytestmark = pytest.mark.ros

# The first release that has a part, by the major version of its rclpy: 7 is Jazzy's, 9 Kilted's.
JAZZY, KILTED = 7, 9
RELEASE = int(importlib.metadata.version('rclpy').partition('.')[0])
PARTS = {
    'node._parameter_overrides': JAZZY,
    'subscription.handle.take_message': JAZZY,
    'service.send_response': JAZZY,
    'rclpy_implementation.UnknownROSArgsError': JAZZY,
    'rclpy_implementation.RCLInvalidROSArgsError': JAZZY,
    'message_info.publication_sequence_number': JAZZY,
    'message_info.publisher_gid': KILTED,
}


@pytest.fixture
def letters(graph):
    """A subscription to strings, a publisher that it hears, and what the middleware tells of each string."""
    node, told = graph.node(), []
    subscription = node.create_subscription(String, 'letters', lambda message, info: told.append(info), 10)
    publisher = node.create_publisher(String, 'letters', 10)
    graph.spin_until(publisher.get_subscription_count, 'discovery')
    return types.SimpleNamespace(node=node, subscription=subscription, publisher=publisher, told=told)


@pytest.mark.parametrize(('part', 'since'), PARTS.items(), ids=PARTS)
def test_a_release_of_rclpy_has_the_parts_that_are_used(part, since, graph, letters):
    letters.publisher.publish(String())
    graph.spin_until(lambda: letters.told, 'a message')
    rclpy_has = types.SimpleNamespace(
        node=letters.node,
        subscription=letters.subscription,
        service=letters.node.create_service(Trigger, 'trigger', lambda request, response: response),
        rclpy_implementation=rclpy_implementation,
        message_info=types.SimpleNamespace(**letters.told[0]),
    )
    try:
        operator.attrgetter(part)(rclpy_has)
    except AttributeError:
        assert since > RELEASE
    else:
        assert since <= RELEASE


def test_parameters_that_were_given_are_listed_before_they_are_declared(graph):
    node = graph.node(parameter_overrides=[Parameter('rate_hz', value=2.5)])
    assert {name: given.value for name, given in rclpy_internals.given_parameters(node).items()} == {'rate_hz': 2.5}


def test_messages_are_taken_in_their_order_and_then_none(graph, letters):
    for text in 'abc':
        letters.publisher.publish(String(data=text))
    assert letters.publisher.wait_for_all_acked()
    assert [rclpy_internals.take(letters.subscription).data for _ in 'abc'] == ['a', 'b', 'c']
    assert rclpy_internals.take(letters.subscription) is None
    assert letters.told == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--nonsense'], r"^unknown ROS arguments \['--nonsense'\]; known are -p, -r, --params-file"),
        (['-p', 'rate_hz'], 'rate_hz'),
        (['--params-file', '/nowhere.yaml'], '/nowhere.yaml'),
    ],
    ids=['unknown', 'malformed', 'a file that is not there'],
)
def test_ros_arguments_that_cannot_be_used_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        rclpy_internals.without_ros_arguments(['node', '--ros-args', *arguments])
