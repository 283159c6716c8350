"""Settings as ROS parameters."""

from __future__ import annotations

import math

import pytest

pytest.importorskip('rclpy')

from echo_node import EchoNode
from rclpy.parameter import Parameter

from embodied_r_ros.core.errors import SettingsError

pytestmark = pytest.mark.ros


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


def test_names_that_rclpy_reads_itself_are_not_unknown(graph):
    values = {'use_sim_time': False, 'qos_overrides./parameter_events.publisher.depth': 10}
    graph.add(graph.make(EchoNode, **values))
