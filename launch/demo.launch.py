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


def argument(name, meaning, default):
    """One launch argument."""
    return DeclareLaunchArgument(name, default_value=default, description=meaning)


ARGUMENTS = [
    argument('bag', 'The player plays this rosbag2 folder or MCAP file.', str(SHARE / 'data/bags/seed1')),
    argument('rate', 'The recording is played at this multiple of real time.', '1.0'),
    argument('loop', 'The player starts again at the end.', 'false'),
    argument('image_topic', 'Images were recorded on this topic, or on /compressed below it.', '/camera/image_raw'),
    argument('camera_info_topic', 'The calibration was recorded on this topic.', '/camera/camera_info'),
    argument('odom_topic', 'Odometry was recorded on this topic.', '/odom'),
    argument('labels', 'This YAML file names the AprilTags.', str(SHARE / 'data/bags/labels.yaml')),
]
PASSED_ON = ('image_topic', 'camera_info_topic', 'odom_topic', 'labels')


def value_of(argument, kind):
    """A launch argument as a parameter of this type."""
    return ParameterValue(LaunchConfiguration(argument), value_type=kind)


def generate_launch_description():
    """The graph on simulated time, and the player that keeps it."""
    graph = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / 'launch/reasoner.launch.py')),
        launch_arguments=[('use_sim_time', 'true'), *((name, LaunchConfiguration(name)) for name in PASSED_ON)],
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
