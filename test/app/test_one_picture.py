"""The command that tells what eyes see in one picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from embodied_r_ros.__main__ import main

LENS = """
image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 319.5, 0, 500, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A tag with sides of 100 px, 150 px to the right of the middle."""
    image = np.full((480, 640), 200, np.uint8)
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    image[190:290, 420:520] = cv2.aruco.generateImageMarker(family, 7, 100)
    path = tmp_path / 'tag.png'
    cv2.imwrite(str(path), image)
    return path


def test_what_eyes_see_is_told_in_json_and_in_words(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lens = tmp_path / 'lens.yaml'
    lens.write_text(LENS)
    assert main(['sightings', str(picture), '--camera-info', str(lens), '--json']) == 0
    (seen,) = json.loads(capsys.readouterr().out)['sightings']
    assert (seen['name'], seen['source'], seen['track_id']) == ('tag 7', 'tag', '7')
    assert seen['distance_m'] == pytest.approx(2.0 * 1.044, abs=0.05)
    assert main(['sightings', str(picture), '--camera-info', str(lens)]) == 0
    assert capsys.readouterr().out == 'tag 7 17 deg right at 2.1 m\n'


def test_without_a_calibration_there_is_no_distance(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['sightings', str(picture), '--json']) == 0
    (seen,) = json.loads(capsys.readouterr().out)['sightings']
    assert 'distance_m' not in seen


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (LENS.replace('640', '480'), 'camera_info'),
        (LENS.replace('0, 0, 1]', '0, 0]'), 'camera_matrix has 9 numbers, got 8'),
        ('[1, 2]', 'a calibration as camera_info_manager writes it was wanted'),
        (None, 'a calibration must be a readable YAML file, got'),
    ],
    ids=['another size', 'cut', 'list', 'missing'],
)
def test_a_calibration_that_cannot_be_used_is_refused(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, sentence: str
) -> None:
    lens = tmp_path / 'lens.yaml'
    if content is not None:
        lens.write_text(content)
    assert main(['sightings', str(picture), '--camera-info', str(lens)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['sightings', str(tmp_path / 'none.png')]) == 2
    assert 'a picture must be a JPEG or PNG file, got' in capsys.readouterr().err
    text = tmp_path / 'text.png'
    text.write_text('no picture')
    assert main(['sightings', str(text)]) == 2
