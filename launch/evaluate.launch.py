"""Questions put to the real nodes while a recording is played to them, scored, and reported in one HTML file.

    ros2 launch embodied_r_ros evaluate.launch.py bag:=runs/morning questions:=questions.yaml report:=report.html

The nodes run in a ROS domain of their own, so that a robot nearby hears nothing of the recording.
"""

import sys

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration


def argument(name, meaning, default=None):
    """One launch argument; without a default it must be given."""
    return DeclareLaunchArgument(name, default_value=default, description=meaning)


ARGUMENTS = [
    argument('bag', 'This rosbag2 folder or MCAP file, or each one in this folder, is played to the nodes.'),
    argument('questions', 'The questions are in this file: hand-written YAML, or JSON lines.'),
    argument('models', 'The models are those of this pair: a name in config/models, or a YAML file.', 'embedded'),
    argument('rate', 'Recordings are played at this multiple of real time.', '1.0'),
    argument('report', 'This HTML file shows what each answer rests on.', ''),
    argument('out', 'Answers are kept in this folder, and a run that was killed continues there.', ''),
    argument('against', 'The answers are compared with the run in this folder, question by question.', ''),
]
OPTIONS = ('models', 'rate', 'report', 'out', 'against')


def command(given):
    """The command line that does the work."""
    words = [sys.executable, '-m', 'embodied_r_ros', 'evaluate', given['questions'], '--media', given['bag']]
    words += ['--through', 'graph']
    return words + [word for name in OPTIONS if given[name] for word in (f'--{name}', given[name])]


def make_process(context):
    """The process, once the arguments are known."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    return [ExecuteProcess(cmd=command(given), output='screen', emulate_tty=True, on_exit=end)]


def end(event, context):
    """Let the launch fail where the work does, so that its exit status says so."""
    if event.returncode:
        raise RuntimeError(f'the evaluation ended with status {event.returncode}')


def generate_launch_description():
    """Arguments, then the process; the launch ends with it."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_process)])
