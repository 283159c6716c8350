"""Where the files beside the code are found."""

from __future__ import annotations

import pathlib

import pytest

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.share import share_dir, share_path

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_index(monkeypatch):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_in_a_checkout_it_is_the_root():
    assert share_dir() == ROOT


def test_installed_it_belongs_to_the_prefix_of_the_code(tmp_path):
    module = touch(tmp_path / 'prefix/lib/python3.12/site-packages/embodied_r_ros/share.py')
    touch(tmp_path / 'prefix/share/embodied_r_ros/package.xml')
    assert share_dir(module) == tmp_path / 'prefix/share/embodied_r_ros'


def test_installed_elsewhere_it_is_found_through_the_ament_index(tmp_path, monkeypatch):
    module = touch(tmp_path / 'code/embodied_r_ros/share.py')
    touch(tmp_path / 'second/share/embodied_r_ros/package.xml')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/first:{tmp_path}/second')
    assert share_dir(module) == tmp_path / 'second/share/embodied_r_ros'


def test_without_any_it_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere')
    with pytest.raises(
        SettingsError, match="wanted the share folder .* AMENT_PREFIX_PATH='/nowhere', found none .* colcon"
    ):
        share_dir(touch(tmp_path / 'embodied_r_ros/share.py'))


def test_a_path_that_is_not_here_is_taken_from_the_share_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert share_path('config/models/embedded.yaml') == ROOT / 'config/models/embedded.yaml'
    touch(tmp_path / 'mine.yaml')
    assert share_path('mine.yaml') == pathlib.Path('mine.yaml')
    assert share_path('/far/away.yaml') == pathlib.Path('/far/away.yaml')
