"""Write docs/parameters.md from the settings classes: `.venv/bin/python scripts/write_parameters.py`.

A test holds the file against what this would write.
"""

from __future__ import annotations

import pathlib

from embodied_r_ros.adapters.backends import PerceptionBackend, ReasonerBackend, own_settings
from embodied_r_ros.app.asker import AskerSettings
from embodied_r_ros.app.depth_waiting import DepthWaitSettings
from embodied_r_ros.app.describer import DescriberSettings
from embodied_r_ros.app.detection_waiting import DetectionWaitSettings
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.memory import MemorySettings
from embodied_r_ros.core.models import EYES, PERCEIVERS, REASONERS, BackendRow, PerceptionModel, ReasonerModel
from embodied_r_ros.core.mounting import FrameSettings, MountingSettings
from embodied_r_ros.core.reasoning import ReasoningSettings
from embodied_r_ros.core.settings import table
from embodied_r_ros.nodes.bag_player_node import BagPlayerSettings
from embodied_r_ros.nodes.depth_topic import DepthTopicSettings
from embodied_r_ros.nodes.image_topic import ImageTopicSettings
from embodied_r_ros.nodes.parameters import NodeSettings

FILE = pathlib.Path(__file__).resolve().parents[1] / 'docs/parameters.md'

# The classes that each node gives to ManagedNode.
NODES = {
    'camera_node': (ImageTopicSettings, DepthTopicSettings, KeyFrameSettings, MountingSettings),
    'perception_node': (
        PerceptionBackend,
        DescriberSettings,
        DepthWaitSettings,
        DetectionWaitSettings,
        MemorySettings,
        *own_settings(PERCEIVERS, EYES),
    ),
    'reasoning_node': (
        ReasonerBackend,
        AskerSettings,
        MemorySettings,
        FrameSettings,
        ReasoningSettings,
        *own_settings(REASONERS),
    ),
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

BACKENDS = {'Perception': PERCEIVERS, 'Eyes, which measure what is in view': EYES, 'Reasoner': REASONERS}

PAIRS = """\
## Model pairs

A file in [config/models](../config/models) holds a block `perception` and a block `reasoner`. A backend that takes the
server needs `url`; one that takes the folder needs `folder`."""


def text() -> str:
    """All of docs/parameters.md."""
    parts = [INTRODUCTION, f'## Every node\n\n{table(NodeSettings)}']
    for name, classes in NODES.items():
        parts.append(f'## {name}')
        parts += [f'{heading(cls)}\n\n{table(cls)}' for cls in classes]
    parts.append('## Backends')
    parts += [f'{title}:\n\n{backends_table(rows)}' for title, rows in BACKENDS.items()]
    parts.append(PAIRS)
    parts += [f'**{block}**\n\n{table(cls)}' for block, cls in PAIR.items()]
    return '\n\n'.join(parts) + '\n'


def backends_table(rows: dict[str, BackendRow]) -> str:
    """A registry as a Markdown table."""
    lines = ['| backend | what it does | what it needs | what it takes from the model pair |', '|---|---|---|---|']
    lines += [f'| `{row.name}` | {row.purpose} | {row.needs} | {", ".join(row.takes)} |' for row in rows.values()]
    return '\n'.join(lines)


def heading(cls: type) -> str:
    """What a class of settings is about, in its own words."""
    return (cls.__doc__ or '').partition('\n')[0].rstrip('.') + ':'


if __name__ == '__main__':
    FILE.write_text(text(), encoding='utf-8')
