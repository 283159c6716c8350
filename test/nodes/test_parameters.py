"""Settings as ROS parameters."""

from __future__ import annotations

import math

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('embodied_r_interfaces')

from echo_node import EchoNode  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.nodes.perception_node import PerceptionNode  # noqa: E402
from embodied_r_ros.nodes.reasoning_node import ReasoningNode  # noqa: E402

pytestmark = pytest.mark.ros

NODES = {'perception_node': PerceptionNode, 'reasoning_node': ReasoningNode}


def test_defaults_come_from_the_dataclass(graph):
    node = graph.add(graph.make(EchoNode))
    assert (node.wanted.rate_hz, node.wanted.times, node.wanted.tone, node.wanted.loud) == (2.0, 1, 'soft', False)
    assert node.get_parameter('rate_hz').value == 2.0


def test_given_values_reach_the_settings(graph):
    node = graph.add(graph.make(EchoNode, rate_hz=5.0, times=3, tone='loud', loud=True))
    assert (node.wanted.rate_hz, node.wanted.times, node.wanted.tone, node.wanted.loud) == (5.0, 3, 'loud', True)
    assert node.get_parameter('times').value == 3


def test_an_integer_given_for_a_float_is_taken_as_that_float(graph):
    node = graph.add(graph.make(EchoNode, rate_hz=3))
    assert node.wanted.rate_hz == 3.0
    assert node.get_parameter('rate_hz').type_ is Parameter.Type.DOUBLE


def test_descriptors_say_what_a_parameter_may_be(graph):
    node = graph.add(graph.make(EchoNode))
    rate = node.describe_parameter('rate_hz')
    assert rate.description == 'how often (Hz)'
    bounds_hz = rate.floating_point_range[0]
    assert (bounds_hz.from_value, bounds_hz.to_value, bounds_hz.step) == (0.1, 10.0, 0.0)
    assert node.describe_parameter('times').integer_range[0].from_value == 1
    assert node.describe_parameter('tone').additional_constraints == 'one of: soft, loud'


def test_a_parameter_cannot_be_changed_while_the_node_runs(graph):
    node = graph.add(graph.make(EchoNode))
    assert not node.set_parameters([Parameter('rate_hz', value=4.0)])[0].successful
    assert node.get_parameter('rate_hz').value == 2.0


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'raet_hz': 1.0}, "unknown parameter 'raet_hz' for .*/echo_node; did you mean 'rate_hz'"),
        ({'zzz': 1.0}, "unknown parameter 'zzz' for .*; known are: autostart, .*times"),
        ({'rate_hz': 0.0}, r'rate_hz must lie in \[0.1, 10\] Hz, got 0.0'),
        ({'rate_hz': math.nan}, r'rate_hz must lie in \[0.1, 10\] Hz, got nan'),
        ({'rate_hz': 'fast'}, "rate_hz must be of type float, got 'fast'"),
        ({'times': 0}, 'times must lie in >= 1, got 0'),
        ({'times': True}, 'times must be of type int, got True'),
        ({'loud': 1}, 'loud must be of type bool, got 1'),
        ({'tone': 7}, 'tone must be of type str, got 7'),
        ({'autostart': 'maybe'}, "autostart must be of type bool, got 'maybe'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_an_unknown_parameter_or_bad_value_is_refused_by_name(graph, values, message):
    with pytest.raises(SettingsError, match=message):
        graph.make(EchoNode, **values)


OLD_NAMES = [
    pytest.param('reasoning_node', 'present_motion', False, 'latest_motion', id='latest motion'),
    pytest.param('reasoning_node', 'least_confidence', 0.5, 'min_confidence', id='confidence'),
    pytest.param('perception_node', 'concurrency', 2, 'max_concurrent_descriptions', id='descriptions'),
]


@pytest.mark.parametrize(('node', 'old', 'value', 'new'), OLD_NAMES)
def test_an_old_name_is_refused_with_its_name_of_today(node, old, value, new, graph):
    with pytest.raises(SettingsError, match=f"^parameter '{old}' is now called '{new}'; rename it for /.*/{node}$"):
        graph.make(NODES[node], **{old: value})


@pytest.mark.parametrize(('node', 'old', 'value', 'new'), OLD_NAMES)
def test_an_old_name_in_a_parameter_file_is_refused_with_its_name_of_today(node, old, value, new, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text(f'/**/{node}:\n  ros__parameters:\n    {old}: {str(value).lower()}\n')
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--params-file', str(file)], context=context)
    try:
        with pytest.raises(SettingsError, match=f"^parameter '{old}' is now called '{new}'"):
            NODES[node](context=context)
    finally:
        context.try_shutdown()


def test_names_that_rclpy_reads_itself_are_not_unknown(graph):
    values = {'use_sim_time': False, 'qos_overrides./parameter_events.publisher.depth': 10}
    graph.add(graph.make(EchoNode, **values))
