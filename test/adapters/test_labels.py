"""The nouns of the tags: files that hold them, and where they are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_files import FOREIGN

from embodied_r_ros.adapters.eye_tags import (
    TagEye,
    TagLabel,
    TagSettings,
    find_labels,
    read_labels,
)
from embodied_r_ros.core.errors import SettingsError


def test_labels_are_read(tmp_path: Path) -> None:
    file = tmp_path / 'labels.yaml'
    file.write_text('17: sofa\n18: {name: floor lamp, size_m: 0.2, depth_m: 0.25}\n')
    assert read_labels(file) == {17: TagLabel(name='sofa'), 18: TagLabel(name='floor lamp', size_m=0.2, depth_m=0.25)}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('- sofa', r"must map tag ids to nouns, as in '17: sofa'; got list", id='a list'),
        pytest.param('', r'must map tag ids to nouns.*got None', id='empty'),
        pytest.param('{', r'must be a readable YAML file', id='no YAML'),
        pytest.param('sofa: 17', r'a tag id must be a whole number from 0 on, got str', id='the wrong way round'),
        pytest.param('-1: sofa', r'a tag id must be a whole number from 0 on, got -1', id='a negative id'),
        pytest.param('17: 3', r'tag 17 needs a noun, or name with size_m and depth_m; got 3', id='no noun'),
        pytest.param(
            '17: {name: sofa, side: 1}', r'tag 17 needs a noun, or name with .*another key', id='an unknown key'
        ),
        pytest.param('17: {size_m: 1}', r'tag 17 needs a noun without semicolon as its name, got None', id='no name'),
        pytest.param("17: 'a; b'", r'without semicolon as its name, got text with one', id='a semicolon'),
        pytest.param('17: {name: a, size_m: 0}', r'size_m of tag 17 must be metres from 0.001 on, got 0', id='no size'),
        pytest.param(
            '17: {name: a, depth_m: .nan}', r'depth_m of tag 17 must be metres from 0 on, got nan', id='not a number'
        ),
    ],
)
def test_labels_that_cannot_be_used_are_settings_errors(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / 'labels.yaml'
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_labels(file)


@pytest.mark.parametrize('recording', ['walk', 'walk/walk.mcap', 'drive.mp4', 'single.mcap'])
def test_labels_beside_a_recording_are_found(tmp_path: Path, recording: str) -> None:
    (tmp_path / 'walk').mkdir()
    for name in ('walk/metadata.yaml', 'walk/walk.mcap', 'drive.mp4', 'single.mcap'):
        (tmp_path / name).touch()
    assert find_labels(tmp_path / recording) is None
    outer, inner = tmp_path / 'labels.yaml', tmp_path / 'walk/labels.yaml'
    outer.touch()
    assert find_labels(tmp_path / recording) == outer
    inner.touch()
    assert find_labels(tmp_path / recording) == (inner if 'walk' in recording else outer)


def test_labels_farther_away_belong_to_something_else(tmp_path: Path) -> None:
    (tmp_path / 'day').mkdir()
    (tmp_path / 'labels.yaml').touch()
    (tmp_path / 'day/drive.mp4').touch()
    assert find_labels(tmp_path / 'day/drive.mp4') is None


def test_a_missing_labels_file_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r'labels must be a readable YAML file, got .*nowhere.yaml'):
        TagEye(TagSettings(labels=str(tmp_path / 'nowhere.yaml')))


@pytest.mark.parametrize('text', FOREIGN, ids=range(len(FOREIGN)))
def test_an_error_shows_nothing_of_a_file_that_holds_no_labels(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'shadow'
    file.write_text(text)
    with pytest.raises(SettingsError, match='shadow') as caught:
        read_labels(file)
    assert 'hunter' not in str(caught.value)
