"""A sample recording, played once through the whole graph; ask meanwhile or after it.

ros2 launch embodied_r_ros demo.launch.py
ros2 run embodied_r_ros ask "..." --choice ... --choice ...
"""

import pathlib

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = pathlib.Path(__file__).resolve().parents[1]

ARGUMENTS = [
    DeclareLaunchArgument(
        'bag',
        default_value=str(SHARE / 'data/bags/seed1'),
        description='The player plays this rosbag2 folder or MCAP file.',
    ),
    DeclareLaunchArgument(
        'rate', default_value='1.0', description='The player plays so many times as fast as real time.'
    ),
    DeclareLaunchArgument('loop', default_value='false', description='The player starts again at the end.'),
    DeclareLaunchArgument(
        'image_topic',
        default_value='/camera/image_raw',
        description='The images were recorded on this topic, or on /compressed below it.',
    ),
    DeclareLaunchArgument(
        'camera_info_topic',
        default_value='/camera/camera_info',
        description='The calibration was recorded on this topic.',
    ),
    DeclareLaunchArgument('odom_topic', default_value='/odom', description='Odometry was recorded on this topic.'),
    DeclareLaunchArgument(
        'labels',
        default_value=str(SHARE / 'data/bags/labels.yaml'),
        description='This YAML file gives AprilTags their nouns.',
    ),
]


def value_of(argument, kind):
    """A launch argument as a parameter of this type."""
    return ParameterValue(LaunchConfiguration(argument), value_type=kind)


def generate_launch_description():
    """The graph on simulated time, and the player that keeps it."""
    graph = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch/reasoner.launch.py')),
        launch_arguments={
            'use_sim_time': 'true',
            **{
                name: LaunchConfiguration(name) for name in ('image_topic', 'camera_info_topic', 'odom_topic', 'labels')
            },
        }.items(),
    )
    player = Node(
        package='embodied_r_ros',
        executable='bag_player_node',
        name='bag_player_node',
        output='screen',
        emulate_tty=True,
        parameters=[
            {
                'path': value_of('bag', str),
                'rate': value_of('rate', float),
                'loop': value_of('loop', bool),
                'wait_s': 30.0,
            }
        ],
    )
    return LaunchDescription([*ARGUMENTS, graph, player])
