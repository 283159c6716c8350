"""Settings dataclasses as ROS parameters: declared with description and range, checked by core's rules, read back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from embodied_r_ros.core import settings as core_settings
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.nodes.rclpy_internals import given_parameters

Kind = TypeVar('Kind')

# Names that rclpy reads by itself; some only when a topic is created, so that they are not declared by then.
_BUILT_IN = ('use_sim_time', 'start_type_description_service')
_BUILT_IN_PREFIX = 'qos_overrides.'
_LARGEST_INTEGER = 2**63 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeSettings(Settings):
    """Settings of every node."""

    autostart: bool = setting(True, 'The node activates itself at start; if that fails, the process ends.')


def declare(node: Node, cls: type[Kind]) -> Kind:
    """Declare each setting of a class as a read-only parameter of the node, and build the settings from what was given.

    An integer given for a float setting is taken as that float. Settings are fixed for the life of the process: rclpy
    answers an attempt to change one with a refusal.

    Raises:
        SettingsError: a value is of the wrong type, out of range or not among the choices.
    """
    given = given_parameters(node)
    names = [name for name, _, _ in core_settings.fields(cls)]
    values = {name: given[name].value for name in names if name in given}
    settings = cls(**values)
    for name, kind, field in core_settings.fields(cls):
        # Checked above by core's rules, whose sentences say more than rclpy's.
        node.declare_parameter(name, getattr(settings, name), descriptor(kind, field), ignore_override=True)
    return settings


def descriptor(kind: type, field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """What `ros2 param describe` shows of a setting."""
    rule = field.metadata
    unit = f' ({rule["unit"]})' if rule['unit'] else ''
    constraints = f'one of: {", ".join(rule["choices"])}' if rule['choices'] else core_settings.bounds(field)
    described = ParameterDescriptor(description=rule['help'] + unit, additional_constraints=constraints, read_only=True)
    low, high = rule['within']
    if low is None and high is None:
        return described
    if kind is float:
        bounds = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
        described.floating_point_range = [FloatingPointRange(from_value=bounds[0], to_value=bounds[1], step=0.0)]
    if kind is int:
        whole = (-_LARGEST_INTEGER if low is None else int(low), _LARGEST_INTEGER if high is None else int(high))
        described.integer_range = [IntegerRange(from_value=whole[0], to_value=whole[1], step=1)]
    return described


def refuse_unknown(node: Node) -> None:
    """Hold the names given on the command line and in parameter files against those declared, once all are.

    rclpy drops an unknown name in silence, and the misspelt setting keeps its default.

    Raises:
        SettingsError: naming the unknown parameter, and what it is called now or the likeliest meant.
    """
    known = sorted(node.get_parameters_by_prefix(''))
    for name in given_parameters(node):
        if not (node.has_parameter(name) or name in _BUILT_IN or name.startswith(_BUILT_IN_PREFIX)):
            where = f' for {node.get_fully_qualified_name()}'
            raise core_settings.unknown_name('parameter', name, known, where)
