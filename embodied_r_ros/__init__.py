"""Answers spatial questions about what a robot's camera has seen.

    from embodied_r_ros import ErrorCode, SpatialClient

All but SpatialClient works without ROS.
"""

from __future__ import annotations

import importlib
import xml.etree.ElementTree
from typing import TYPE_CHECKING, Any

from embodied_r_ros.core.errors import BackendError, EmbodiedRError, InputError, ReplyError, SettingsError
from embodied_r_ros.core.records import Answer, ErrorCode, Evidence, Question
from embodied_r_ros.share import share_dir

if TYPE_CHECKING:
    from embodied_r_ros.ros_client.spatial_client import SpatialClient

    __version__: str

__all__ = [
    'Answer',
    'BackendError',
    'EmbodiedRError',
    'ErrorCode',
    'Evidence',
    'InputError',
    'Question',
    'ReplyError',
    'SettingsError',
    'SpatialClient',
    '__version__',
]


def __getattr__(name: str) -> Any:
    """What costs something to have, once it is asked for."""
    if name == 'SpatialClient':
        try:
            return importlib.import_module('embodied_r_ros.ros_client.spatial_client').SpatialClient
        except ImportError as error:
            raise ImportError(
                f'SpatialClient needs rclpy and embodied_r_interfaces, got {error}; source a ROS 2 workspace with both'
            ) from error
    if name == '__version__':
        return xml.etree.ElementTree.parse(share_dir() / 'package.xml').findtext('version')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
