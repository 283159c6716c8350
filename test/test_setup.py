"""What scripts/setup.sh does, skips and says, with a fake interpreter and a fake CMake in place of the real ones."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

pytestmark = pytest.mark.system

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = 'bash basename dirname find flock make mkdir rm tail touch uname'.split()

# Answers the questions that the script asks of an interpreter, and writes down what it is told to install.
FAKE_PYTHON = """#!/usr/bin/env bash
case "$*" in
  *ensurepip*) exit ${FAKE_NO_VENV:-0} ;;
  *Python.h*) exit ${FAKE_NO_HEADERS:-0} ;;
  *'(3, 10)'*) exit ${FAKE_TOO_OLD:-0} ;;
  --version) echo 'Python 3.12.1' ;;
  '-m venv --clear '*) rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  '-m pip install -qq -r '*)
    [[ ${FAKE_PIP_FAILS:-} != "$6" ]] || { echo "no such wheel in $6"; exit 1; }
    echo "pip $6 for $ROS_DISTRO" >>calls ;;
  *sysconfig.get_path*purelib*) echo linked >>calls ;;
  *) echo "unexpected: $*"; exit 9 ;;
esac
"""
FAKE_CMAKE = '#!/usr/bin/env bash\necho "cmake $1" >>calls\n'
REBUILT = ['cmake -G', 'cmake --build', 'cmake --install']
ALL_OF_BASE = [
    'pip requirements/ros-jazzy.txt for jazzy',
    'pip requirements/base.txt for jazzy',
    *REBUILT,
    'linked',
]


class Checkout:
    """A folder with the set-up script, and a PATH that holds only what the test put there."""

    def __init__(self, folder):
        self.folder = folder / 'checkout'
        self.bin = folder / 'bin'
        self.bin.mkdir()
        for name in ('scripts', 'requirements', 'embodied_r_interfaces', 'test/interfaces'):
            shutil.copytree(ROOT / name, self.folder / name)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for name, text in {'python3': FAKE_PYTHON, 'cmake': FAKE_CMAKE, 'c++': FAKE_CMAKE, 'cp': None}.items():
            if text is None:
                (self.bin / name).symlink_to(shutil.which(name))
            else:
                (self.bin / name).write_text(text)
                (self.bin / name).chmod(0o755)

    def run(self, *stages, **environment):
        """The finished process."""
        return subprocess.run(
            ['bash', 'scripts/setup.sh', *stages],
            cwd=self.folder,
            env={'PATH': str(self.bin), **environment},
            capture_output=True,
            text=True,
        )

    def calls(self):
        """What was done since the last time this was asked."""
        path = self.folder / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_each_step_of_a_first_run_is_one_line_with_its_seconds(checkout):
    done = checkout.run('base', 'dev')
    assert done.returncode == 0, done.stderr
    assert checkout.calls() == [*ALL_OF_BASE, 'pip requirements/dev.txt for jazzy', *3 * REBUILT]
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all(line.endswith(' s') and ' ... ' in line for line in lines)


def test_a_second_run_does_and_says_nothing(checkout):
    checkout.run('base', 'dev', 'training')
    checkout.calls()
    done = checkout.run('base', 'dev', 'training')
    assert (done.returncode, done.stdout, checkout.calls()) == (0, '', [])


@pytest.mark.parametrize(
    ('changed', 'expected'),
    [
        ('requirements/base.txt', ['pip requirements/base.txt for jazzy']),
        ('requirements/ros.txt', [ALL_OF_BASE[0], *REBUILT]),
        ('requirements/ros-jazzy.txt', [ALL_OF_BASE[0], *REBUILT]),
        ('requirements/ros-kilted.txt', []),
        ('embodied_r_interfaces/msg/KeyFrame.msg', REBUILT),
    ],
    ids=['a requirement', 'what every ROS needs', 'what Jazzy needs', 'what Kilted needs', 'a message'],
)
def test_only_what_changed_is_done_again(checkout, changed, expected):
    checkout.run('base')
    checkout.calls()
    later = time.time() + 10
    os.utime(checkout.folder / changed, (later, later))
    checkout.run('base')
    assert checkout.calls() == expected


def test_an_environment_that_was_moved_is_made_anew(checkout):
    checkout.run('base')
    checkout.calls()
    moved = checkout.folder.with_name('elsewhere')
    checkout.folder.rename(moved)
    checkout.folder = moved
    checkout.run('base')
    assert checkout.calls() == ALL_OF_BASE


def test_each_distribution_has_an_environment_of_its_own(checkout):
    checkout.run('base')
    checkout.calls()
    done = checkout.run('base', ROS_DISTRO='kilted')
    assert done.stdout.splitlines()[0].startswith('Python environment in .venv-kilted ... ')
    assert checkout.calls() == [call.replace('jazzy', 'kilted') for call in ALL_OF_BASE]
    assert checkout.run('base', ROS_DISTRO='jazzy').stdout == ''
    assert checkout.run('base', ROS_DISTRO='kilted').stdout == ''


def test_an_environment_with_another_distribution_in_it_is_made_anew(checkout):
    checkout.run('base')
    checkout.calls()
    origin = checkout.folder / '.venv/.stamps/origin'
    origin.write_text(origin.read_text().replace('jazzy', 'kilted'))
    checkout.run('base')
    assert checkout.calls() == ALL_OF_BASE


def test_a_distribution_without_wheels_is_refused_in_a_sentence_that_says_what_to_do(checkout):
    done = checkout.run('base', ROS_DISTRO='humble')
    assert (done.returncode, done.stdout, checkout.calls()) == (1, '', [])
    assert done.stderr == (
        "ROS_DISTRO must be jazzy or kilted, got 'humble', which a sourced ROS may have set; "
        'begin the command with ROS_DISTRO=jazzy, or use rosdep and colcon as the README says.\n'
    )


@pytest.mark.parametrize(
    ('distro', 'python'), [(None, '.venv'), ('jazzy', '.venv'), ('kilted', '.venv-kilted')], ids=str
)
def test_make_runs_in_the_environment_that_the_script_sets_up(distro, python):
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_DISTRO'}
    environment |= {'ROS_DISTRO': distro} if distro else {}
    told = subprocess.run(['make', '-n', 'demo'], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert f'\n{python}/bin/python -m embodied_r_ros.demo' in told.stdout


def test_a_failed_step_shows_its_output_ends_the_run_and_is_tried_again(checkout):
    done = checkout.run('base', FAKE_PIP_FAILS='requirements/base.txt')
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == 'numpy, OpenCV, httpx, rosbags ... failed'
    assert 'no such wheel in requirements/base.txt' in done.stderr
    assert 'its whole output is in build/setup/base.log' in done.stderr
    assert checkout.calls() == ALL_OF_BASE[:1]
    checkout.run('base')
    assert checkout.calls() == ALL_OF_BASE[1:]


@pytest.mark.parametrize(
    ('environment', 'removed', 'message'),
    [
        ({'FAKE_NO_VENV': '1'}, [], "Missing: Python's venv module. Install with: sudo apt install python3-venv"),
        ({'FAKE_NO_HEADERS': '1'}, [], 'Missing: Python.h. Install with: sudo apt install python3-dev'),
        ({}, ['c++'], 'Missing: a C++ compiler. Install with: sudo apt install g++'),
        ({}, ['make'], 'Missing: make. Install with: sudo apt install make'),
        (
            {'FAKE_NO_VENV': '1'},
            ['c++'],
            "Missing: Python's venv module, a C++ compiler. Install with: sudo apt install python3-venv g++",
        ),
        (
            {'FAKE_TOO_OLD': '1'},
            [],
            'Python 3.10 to 3.14 is needed, found Python 3.12.1: sudo apt install python3 python3-venv python3-dev',
        ),
        (
            {'PYTHON': 'python9'},
            [],
            'Python 3.10 to 3.14 is needed, found python9: sudo apt install python3 python3-venv python3-dev',
        ),
    ],
    ids=['venv', 'headers', 'compiler', 'make', 'two things', 'python too old', 'python not there'],
)
def test_a_missing_prerequisite_is_one_sentence_with_the_apt_line(checkout, environment, removed, message):
    for tool in removed:
        (checkout.bin / tool).unlink()
    done = checkout.run('base', **environment)
    assert (done.returncode, done.stdout, done.stderr) == (1, '', message + '\n')
    assert checkout.calls() == []


def test_another_kind_of_machine_is_pointed_to_the_ros_way(checkout):
    (checkout.bin / 'uname').unlink()
    (checkout.bin / 'uname').write_text('#!/usr/bin/env bash\necho Linux aarch64\n')
    (checkout.bin / 'uname').chmod(0o755)
    done = checkout.run('base')
    assert done.returncode == 1
    assert done.stderr.startswith(
        'The ROS wheels of the Python index are for x86-64 Linux, this is Linux aarch64; use rosdep'
    )


def test_an_unknown_stage_is_refused(checkout):
    done = checkout.run('everything')
    assert (done.returncode, done.stderr) == (1, "The stages are base, dev, training and lm, got 'everything'.\n")
