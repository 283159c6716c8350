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

ARGUMENTS = [
    DeclareLaunchArgument(
        'namespace', default_value='', description='Every node, topic and service is in this namespace.'
    ),
    DeclareLaunchArgument(
        'use_sim_time', default_value='', choices=['', *BOOLEANS], description='The nodes take the time from /clock.'
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value=str(SHARE / 'config/reasoner.yaml'),
        description='This file holds one block of parameters per node.',
    ),
    DeclareLaunchArgument(
        'autostart',
        default_value='',
        choices=['', *BOOLEANS],
        description='The nodes configure and activate themselves at start.',
    ),
    DeclareLaunchArgument(
        'log_level',
        default_value='info',
        description='The nodes log from this level: debug, info, warn, error or fatal.',
    ),
    DeclareLaunchArgument(
        'respawn', default_value='false', choices=list(BOOLEANS), description='A node that has ended is started again.'
    ),
    DeclareLaunchArgument(
        'image_topic',
        default_value='image',
        description='The camera sends raw images on this topic, compressed ones on /compressed below it.',
    ),
    DeclareLaunchArgument(
        'image_transport',
        default_value='',
        choices=['', 'compressed', 'raw'],
        description='The node listens to images in this form.',
    ),
    DeclareLaunchArgument(
        'image_reliability',
        default_value='',
        choices=['', 'best_effort', 'reliable'],
        description='The node listens to images with this reliability.',
    ),
    DeclareLaunchArgument(
        'odom_topic', default_value='odom', description='Odometry comes on this topic, where there is any.'
    ),
    DeclareLaunchArgument(
        'camera_info_topic',
        default_value='camera_info',
        description='The calibration comes on this topic, where there is one.',
    ),
    DeclareLaunchArgument(
        'models',
        default_value='',
        description='The models are those of this pair: a name in config/models, or a YAML file.',
    ),
    DeclareLaunchArgument(
        'perception',
        default_value='',
        choices=['', *PERCEIVERS],
        description=f'This backend describes key frames. {purposes(PERCEIVERS)}',
    ),
    DeclareLaunchArgument(
        'eyes',
        default_value='',
        description=f'These eyes measure what is in view; commas separate their names. {purposes(EYES)}',
    ),
    DeclareLaunchArgument('labels', default_value='', description='This YAML file gives AprilTags their nouns.'),
    DeclareLaunchArgument(
        'reasoner',
        default_value='',
        choices=['', *REASONERS],
        description=f'This backend thinks. {purposes(REASONERS)}',
    ),
    DeclareLaunchArgument(
        'vlm_url',
        default_value='',
        description='The vision-language model is on this server, such as http://gpu:8000/v1.',
    ),
    DeclareLaunchArgument(
        'vlm_model', default_value='', description='The server lists the vision-language model by this id.'
    ),
    DeclareLaunchArgument(
        'lm_url', default_value='', description='The language model is on this server, such as http://gpu:8001/v1.'
    ),
    DeclareLaunchArgument('lm_model', default_value='', description='The server lists the language model by this id.'),
    DeclareLaunchArgument(
        'lm_folder',
        default_value='',
        description='The weights are in this folder, for a reasoner that runs in the process.',
    ),
]

# Parameter of each node -> launch argument that sets it.
OF_ALL = {'autostart': 'autostart', 'use_sim_time': 'use_sim_time'}
PARAMETERS = {
    'camera_node': {'image_transport': 'image_transport', 'image_reliability': 'image_reliability'},
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
        ],
        ros_arguments=['--log-level', given['log_level']],
        respawn=BOOLEANS[given['respawn']],
        respawn_delay=2.0,
    )


def make_nodes(context):
    """The three nodes, once the arguments are known."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    return [make_node(name, given) for name in PARAMETERS]


def generate_launch_description():
    """Arguments, then the nodes in their namespace."""
    nodes = GroupAction([PushROSNamespace(LaunchConfiguration('namespace')), OpaqueFunction(function=make_nodes)])
    return LaunchDescription([*ARGUMENTS, nodes])
