"""Write docs/parameters.md from the settings classes: `.venv/bin/python scripts/write_parameters.py`.

A test holds the file against what this would write.
"""

from __future__ import annotations

import pathlib

from embodied_r_ros.adapters.backends import PerceptionBackend, ReasonerBackend
from embodied_r_ros.adapters.perception_opencv import OpenCVSettings
from embodied_r_ros.app.asker import AskerSettings
from embodied_r_ros.app.describer import DescriberSettings
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.memory import MemorySettings
from embodied_r_ros.core.models import PerceptionModel, ReasonerModel, ServerSettings
from embodied_r_ros.core.reasoning import ReasoningSettings
from embodied_r_ros.core.settings import table
from embodied_r_ros.nodes.bag_player_node import BagPlayerSettings
from embodied_r_ros.nodes.image_topic import ImageTopicSettings
from embodied_r_ros.nodes.parameters import NodeSettings

FILE = pathlib.Path(__file__).resolve().parents[1] / 'docs/parameters.md'

# The classes that each node gives to ManagedNode.
NODES = {
    'camera_node': (ImageTopicSettings, KeyFrameSettings),
    'perception_node': (PerceptionBackend, DescriberSettings, MemorySettings, OpenCVSettings),
    'reasoning_node': (ReasonerBackend, AskerSettings, MemorySettings, ReasoningSettings),
    'bag_player_node': (BagPlayerSettings,),
}
PAIR = {'perception': PerceptionModel, 'reasoner': ReasonerModel}

INTRODUCTION = """\
# Parameters

Written by `scripts/write_parameters.py`; do not edit.

A node reads its parameters once, at start. An unknown name, a wrong type or a value out of range ends it with one
sentence and exit status 2, and `ros2 param set` is refused later on. Launch arguments override `params_file`, by
default [config/reasoner.yaml](../config/reasoner.yaml), and that overrides the defaults below. `''` is the empty
string. Every node also takes `use_sim_time`."""

PAIRS = """\
## Model pairs

What a file in [config/models](../config/models) may hold: a block `perception` and a block `reasoner`, paths relative
to the file. For the backend `openai` the server's keys stand in the same block."""


def text() -> str:
    """All of docs/parameters.md."""
    parts = [INTRODUCTION, f'## Every node\n\n{table(NodeSettings)}']
    for name, classes in NODES.items():
        parts.append(f'## {name}')
        parts += [f'{heading(cls)}\n\n{table(cls)}' for cls in classes]
    parts.append(PAIRS)
    # The server's settings are a class of their own, which has its table below.
    rows = {
        block: '\n'.join(row for row in table(cls).split('\n') if '`server`' not in row) for block, cls in PAIR.items()
    }
    parts += [f'**{block}**\n\n{block_rows}' for block, block_rows in rows.items()]
    parts.append(f'**Server**, of either\n\n{table(ServerSettings)}')
    return '\n\n'.join(parts) + '\n'


def heading(cls: type) -> str:
    """What a class of settings is about, in its own words."""
    return (cls.__doc__ or '').partition('\n')[0].rstrip('.') + ':'


if __name__ == '__main__':
    FILE.write_text(text(), encoding='utf-8')
