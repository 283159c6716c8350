"""The names that users import, and that ROS is needed for one of them alone: here nothing of ROS can be imported."""

import pathlib
import subprocess
import sys

import pytest
from test_rooms import ROS

import embodied_r_ros

ROOT = pathlib.Path(__file__).resolve().parents[1]
PURE = ('core', 'adapters', 'app', 'evaluation')


def run_without_ros(program):
    """What a program gives that finds no ROS: exit status, stdout, stderr."""
    block = f'import sys; sys.modules.update(dict.fromkeys({sorted(ROS)!r}))\n'
    done = subprocess.run(
        [sys.executable, '-c', block + program], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.system
def test_the_tests_of_the_application_pass():
    program = "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test/app']))"
    status, out, err = run_without_ros(program)
    assert status == 0, out + err
    assert ' passed' in out and 'skipped' not in out


@pytest.mark.system
def test_every_module_but_those_of_nodes_and_clients_is_imported():
    modules = [
        '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for room in PURE
        for path in sorted((ROOT / 'embodied_r_ros' / room).glob('*.py'))
    ]
    assert len(modules) > 40
    program = f'import importlib\nfor module in {modules!r}: importlib.import_module(module)'
    assert run_without_ros(program) == (0, '', '')


@pytest.mark.system
def test_the_client_says_in_one_sentence_what_is_missing():
    program = (
        'from embodied_r_ros import Answer, ErrorCode, InputError, Question\n'
        'try:\n    from embodied_r_ros import SpatialClient\n'
        'except ImportError as error:\n    print(error)'
    )
    assert run_without_ros(program) == (
        0,
        'SpatialClient needs rclpy and embodied_r_interfaces, got import of rclpy halted; None in sys.modules; '
        'source a ROS 2 workspace with both\n',
        '',
    )


@pytest.mark.ros
def test_every_public_name_is_there():
    pytest.importorskip('embodied_r_interfaces')
    assert [name for name in embodied_r_ros.__all__ if getattr(embodied_r_ros, name, None) is None] == []
    assert embodied_r_ros.SpatialClient.__name__ == 'SpatialClient'


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'embodied_r_ros' has no attribute 'Client'"):
        embodied_r_ros.Client  # noqa: B018
