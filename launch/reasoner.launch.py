"""The whole graph: camera_node, perception_node, reasoning_node.

    ros2 launch embodied_r_ros reasoner.launch.py image_topic:=/camera/image_raw odom_topic:=/odom

An argument left empty changes nothing: the value comes from params_file, and where that says nothing, from the node.
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushROSNamespace

from embodied_r_ros.core.models import EYES, PERCEIVERS, REASONERS, purposes

SHARE = pathlib.Path(__file__).resolve().parents[1]
BOOLEANS = {'true': True, 'True': True, 'false': False, 'False': False}


def argument(name, meaning, default='', choices=None):
    """One launch argument."""
    return DeclareLaunchArgument(name, default_value=default, description=meaning, choices=choices)


ARGUMENTS = [
    argument('namespace', 'Every node, topic and service is in this namespace.'),
    argument('use_sim_time', 'The nodes take the time from /clock.', choices=['', *BOOLEANS]),
    argument('params_file', 'This file holds a block of parameters per node.', str(SHARE / 'config/reasoner.yaml')),
    argument('autostart', 'The nodes configure and activate themselves at start.', choices=['', *BOOLEANS]),
    argument('log_level', 'The nodes log from this level: debug, info, warn, error or fatal.', 'info'),
    argument('respawn', 'A node that has ended is started again.', 'false', list(BOOLEANS)),
    argument('image_topic', 'Raw images come on this topic, compressed ones on /compressed below it.', 'image'),
    argument('image_transport', 'The node subscribes to images in this form.', choices=['', 'compressed', 'raw']),
    argument(
        'image_reliability', 'The image subscription has this reliability.', choices=['', 'best_effort', 'reliable']
    ),
    argument('odom_topic', 'Odometry comes on this topic, if there is any.', 'odom'),
    argument('camera_info_topic', 'The calibration comes on this topic, if there is one.', 'camera_info'),
    argument('depth_topic', 'Depth that is registered to the camera comes on this topic.'),
    argument(
        'detections_topic', 'Boxes of a detector come on this topic (vision_msgs/Detection2DArray).', 'detections'
    ),
    argument(
        'detections_3d_topic',
        'Places of a detector come on this topic (vision_msgs/Detection3DArray).',
        'detections_3d',
    ),
    argument('models', 'The models are those of this pair: a name in config/models, or a YAML file.'),
    argument('perception', f'This backend describes key frames. {purposes(PERCEIVERS)}', choices=['', *PERCEIVERS]),
    argument('eyes', f'These eyes measure what is in view; commas separate their names. {purposes(EYES)}'),
    argument('labels', 'This YAML file names the AprilTags.'),
    argument('reasoner', f'This backend reasons. {purposes(REASONERS)}', choices=['', *REASONERS]),
    argument('vlm_url', 'The vision-language model is on this server, such as http://gpu:8000/v1.'),
    argument('vlm_model', 'The server lists the vision-language model by this id.'),
    argument('lm_url', 'The language model is on this server, such as http://gpu:8001/v1.'),
    argument('lm_model', 'The server lists the language model by this id.'),
    argument('lm_folder', 'A reasoner that runs in the process reads its weights from this folder.'),
]

# Parameter of each node -> launch argument that sets it.
OF_ALL = {'autostart': 'autostart', 'use_sim_time': 'use_sim_time'}
PARAMETERS = {
    'camera_node': {
        'image_transport': 'image_transport',
        'image_reliability': 'image_reliability',
        'depth_topic': 'depth_topic',
    },
    'perception_node': {
        'models': 'models',
        'backend': 'perception',
        'eyes': 'eyes',
        'url': 'vlm_url',
        'model': 'vlm_model',
        'labels': 'labels',
    },
    'reasoning_node': {
        'models': 'models',
        'backend': 'reasoner',
        'url': 'lm_url',
        'model': 'lm_model',
        'folder': 'lm_folder',
    },
}


def make_node(name, given):
    """One node, with the parameters that were given over those of the file."""
    overrides = {
        parameter: BOOLEANS.get(given[argument], given[argument])
        for parameter, argument in (OF_ALL | PARAMETERS[name]).items()
        if given[argument]
    }
    return Node(
        package='embodied_r_ros',
        executable=name,
        name=name,
        output='screen',
        emulate_tty=True,
        parameters=[given['params_file'], *([overrides] if overrides else [])],
        remappings=[
            ('image/compressed', given['image_topic'] + '/compressed'),
            ('image', given['image_topic']),
            ('camera_info', given['camera_info_topic']),
            ('odom', given['odom_topic']),
            ('detections', given['detections_topic']),
            ('detections_3d', given['detections_3d_topic']),
        ],
        ros_arguments=['--log-level', given['log_level']],
        respawn=BOOLEANS[given['respawn']],
        respawn_delay=1.0,
    )


def make_nodes(context):
    """The three nodes, once the arguments are known."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    return [make_node(name, given) for name in PARAMETERS]


def generate_launch_description():
    """Arguments, then the nodes in their namespace."""
    nodes = GroupAction([PushROSNamespace(LaunchConfiguration('namespace')), OpaqueFunction(function=make_nodes)])
    return LaunchDescription([*ARGUMENTS, nodes])
