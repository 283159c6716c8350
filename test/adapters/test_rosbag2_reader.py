"""Recordings on a robot without pip: read through rosbag2_py, with the same result as through rosbags."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import builders
import pytest

pytestmark = [pytest.mark.system, pytest.mark.ros]

ROOT = Path(__file__).parents[2]
SEED1 = ROOT / 'data/bags/seed1'
WITHOUT_ROSBAGS = "import sys; sys.modules['rosbags'] = None; sys.modules['rosbag2_py'] = None"
THROUGH_ROSBAG2 = 'import rosbag2_stand_in; rosbag2_stand_in.install()'


@pytest.fixture(autouse=True)
def _needs_rclpy() -> None:
    pytest.importorskip('rclpy')


def told(begin: str, *words: object) -> subprocess.CompletedProcess[str]:
    """What a command comes to in a Python that begins so."""
    code = f'{begin}\nfrom embodied_r_ros.__main__ import main\nraise SystemExit(main({[str(one) for one in words]}))'
    path = os.pathsep.join([str(ROOT), str(ROOT / 'test'), os.environ.get('PYTHONPATH', '')])
    return subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True
    )


def key_frames(begin: str, path: Path) -> dict[str, list[int]]:
    done = told(begin, 'keyframes', path, '--json')
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: found[name] for name in ('key_frames', 'stamps_ns')}


def test_an_answer_about_a_bag_with_odometry_tags_and_labels_is_the_same() -> None:
    words = ('answer', SEED1, '--question', 'Where is the blackboard now?', '--json')
    answers = []
    for begin in ('', THROUGH_ROSBAG2):
        done = told(begin, *words)
        assert done.returncode == 0, done.stderr
        answers.append({**json.loads(done.stdout), 'timings_s': None})
    assert answers[0] == answers[1]
    assert 'blackboard' in [one['name'] for one in answers[0]['landmarks']]


@pytest.mark.parametrize(
    ('mcap', 'compressed'), [(False, ''), (True, 'FILE'), (False, 'MESSAGE')], ids=['sqlite3', 'files', 'messages']
)
def test_other_storages_and_compressions_are_read(tmp_path: Path, mcap: bool, compressed: str) -> None:
    views = [builders.recorded_image(view, 100 + step / 2) for step, view in enumerate(builders.pan(5, 0.2))]
    bag = builders.write_bag(tmp_path / 'bag', views, mcap=mcap, compressed=compressed)
    assert key_frames(THROUGH_ROSBAG2, bag) == key_frames('', bag)


def test_a_single_file_is_read() -> None:
    assert key_frames(THROUGH_ROSBAG2, SEED1 / 'seed1.mcap') == key_frames('', SEED1)


def test_what_rosbag2_cannot_read_is_said_with_its_reason(tmp_path: Path) -> None:
    shutil.copy(SEED1 / 'seed1.mcap', tmp_path / 'seed1.mcap')
    done = told(THROUGH_ROSBAG2, 'keyframes', tmp_path)
    assert done.returncode == 2
    assert 'Could not find metadata in bag directory' in done.stderr
    assert '(read by rosbag2_py; rosbags is not installed); try `ros2 bag reindex`' in done.stderr


def test_without_both_the_two_are_named() -> None:
    done = told(WITHOUT_ROSBAGS, 'keyframes', SEED1)
    assert done.returncode == 2
    assert f'reading {str(SEED1)!r} needs the Python package rosbags or rosbag2_py, got neither' in done.stderr
    assert 'pip install rosbags, or apt install ros-$ROS_DISTRO-rosbag2' in done.stderr
