"""Reading AprilTags: which library does it, what it finds in photographs, and several tags of one id."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_r_ros.adapters.apriltags import FAMILIES, Tag, TagReader
from embodied_r_ros.adapters.eye_tags import TagEye, TagLabel, TagSettings
from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.errors import SettingsError

PHOTOS = os.environ.get('EMBODIED_R_TEST_APRILTAGS', '')
LIBRARIES = ('pupil_apriltags', 'apriltag')


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def picture(*tags: tuple[int, int, int, int], size_wh: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """Grey, with tags: id, left and upper edge, side."""
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    image = np.full(size_wh[::-1], 200, np.uint8)
    for tag_id, left, upper, side in tags:
        image[upper : upper + side, left : left + side] = cv2.aruco.generateImageMarker(family, tag_id, side)
    return image


def corners_of(image: NDArray[np.uint8], family: str = '36h11') -> dict[int, NDArray[np.float64]]:
    return {tag.id: tag.corners_px for tag in TagReader(family, 12.0).read(image)}


@pytest.mark.parametrize('missing', [(), LIBRARIES], ids=['AprilTag 3', 'OpenCV'])
def test_a_tag_lies_where_it_was_drawn(monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]) -> None:
    without(monkeypatch, *missing)
    (corners,) = corners_of(picture((6, 120, 80, 160))).values()
    np.testing.assert_allclose(corners, [[119.5, 79.5], [279.5, 79.5], [279.5, 239.5], [119.5, 239.5]], atol=0.6)


def test_apriltag_finds_the_edges_of_a_tag_to_a_quarter_of_a_pixel() -> None:
    pytest.importorskip('pupil_apriltags')
    (corners,) = corners_of(picture((6, 120, 80, 160))).values()
    np.testing.assert_allclose(corners, [[119.5, 79.5], [279.5, 79.5], [279.5, 239.5], [119.5, 239.5]], atol=0.25)


class DebianDetector:
    """As python3-apriltag's `apriltag.apriltag`: one tag, whatever the image."""

    made: list[dict[str, Any]] = []

    def __init__(self, family: str, **options: Any) -> None:
        self.made.append({'family': family, **options})

    def detect(self, image: NDArray[np.uint8]) -> tuple[dict[str, Any], ...]:
        corners = np.array([[280.0, 80.0], [120.0, 80.0], [120.0, 240.0], [280.0, 240.0]])
        return ({'id': 6, 'hamming': 0, 'margin': 80.0, 'center': corners.mean(0), 'lb-rb-rt-lt': corners},)


def test_the_library_of_debian_is_taken_where_the_one_of_pip_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture((6, 120, 80, 160))
    by_pip = corners_of(image)
    without(monkeypatch, 'pupil_apriltags')
    monkeypatch.setitem(sys.modules, 'apriltag', SimpleNamespace(apriltag=DebianDetector))
    np.testing.assert_allclose(corners_of(image)[6], by_pip[6], atol=0.6)
    assert DebianDetector.made[-1] == {'family': 'tag36h11', 'threads': 1, 'maxhamming': 2, 'decimate': 1.0}


def test_another_package_called_apriltag_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without(monkeypatch, 'pupil_apriltags')
    monkeypatch.setitem(sys.modules, 'apriltag', SimpleNamespace(Detector=object))
    assert set(corners_of(picture((6, 120, 80, 160)))) == {6}
    assert 'are read by OpenCV' in caplog.text


def test_opencv_reads_where_apriltag_is_missing_and_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without(monkeypatch, *LIBRARIES)
    reader = TagReader('36h11', 12.0)
    for _ in range(2):
        assert [tag.id for tag in reader.read(picture((6, 120, 80, 160)))] == [6]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.endswith('install pupil-apriltags (pip) or python3-apriltag (apt) for AprilTag 3')


def test_without_any_library_reading_tags_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, *LIBRARIES)
    monkeypatch.setattr('embodied_r_ros.adapters.tag_detectors.cv2', SimpleNamespace(__version__='4.6.0'))
    wanted = re.escape("or cv2.aruco, got OpenCV '4.6.0' without it; install one of them")
    with pytest.raises(SettingsError, match=wanted):
        TagEye()


@pytest.mark.parametrize('family', FAMILIES)
def test_tags_of_each_family_are_read_and_those_of_the_others_are_not(family: str) -> None:
    drawn = np.full((480, 640), 200, np.uint8)
    for place, other in enumerate(FAMILIES):
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f'DICT_APRILTAG_{other}'))
        left = 20 + 150 * place
        drawn[100:220, left : left + 120] = cv2.aruco.generateImageMarker(dictionary, 7 + place, 120)
    assert set(corners_of(drawn, family)) == {7 + FAMILIES.index(family)}


@pytest.mark.parametrize('shape', [(1, 1), (3, 640), (640, 3), (15, 200), (16, 16), (17, 2000)])
def test_images_in_which_no_tag_has_room_show_none(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    assert TagReader('36h11', 12.0).read(noise) == []


def test_readers_come_and_go() -> None:
    for number in range(20):
        assert corners_of(picture((6, 120, 80, 160)), FAMILIES[number % 4]).keys() <= {6}


def tags_told(*tags: tuple[int, int, int, int], size_m: float = 0.4) -> list[tuple[str, str, float]]:
    """Name, track id and bearing of what an eye makes of a picture."""
    eye = TagEye(TagSettings(tag_size_m=size_m), {6: TagLabel(name='chair')})
    camera = Camera(width=640, height=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5)
    return [
        (seen.name, seen.track_id, seen.bearing_left_deg)
        for seen in eye.look(Picture(image=picture(*tags), camera=camera))
    ]


@pytest.mark.parametrize('size_m', [0.4, 0.0], ids=['of known size', 'of unknown size'])
def test_tags_of_one_id_that_are_far_apart_are_several_things_without_a_track(size_m: float) -> None:
    left, right = tags_told((6, 40, 180, 80), (6, 500, 180, 80), size_m=size_m)
    assert left[:2] == right[:2] == ('chair', '')
    assert (left[2], right[2]) == pytest.approx((25.6, -23.8), abs=1.0)


@pytest.mark.parametrize('size_m', [0.4, 0.0], ids=['of known size', 'of unknown size'])
def test_tags_of_one_id_that_are_close_together_are_one_thing(size_m: float) -> None:
    ((name, track_id, bearing_left_deg),) = tags_told((6, 200, 180, 80), (6, 330, 180, 80), size_m=size_m)
    assert (name, track_id) == ('chair', '6')
    assert bearing_left_deg == pytest.approx(1.6, abs=1.0)


def test_a_tag_far_behind_another_of_its_id_is_another_thing() -> None:
    assert len(tags_told((6, 200, 180, 120), (6, 330, 180, 40))) == 2


@pytest.mark.skipif(not PHOTOS, reason='EMBODIED_R_TEST_APRILTAGS names no folder with photographs of AprilTags')
def test_in_photographs_44_of_47_tags_are_found_and_none_that_are_not_there() -> None:
    pytest.importorskip('pupil_apriltags')
    found, false, there = 0, 0, 0
    for path in sorted(Path(PHOTOS).glob('*.jpg')):
        image = cv2.imread(str(path))
        assert image is not None
        tags = TagReader('36h11', 12.0).read(np.asarray(image, np.uint8))
        numbers = [list(map(float, re.findall(r'[\d.]+', line))) for line in path.with_suffix('.txt').open()]
        truth = [(int(line[0]), np.array(line[1:]).reshape(4, 2)) for line in numbers if line]
        hits = [
            {
                place
                for place, (tag_id, corners) in enumerate(truth)
                if tag_id == tag.id and _apart_px(corners, tag) < 3.0
            }
            for tag in tags
        ]
        there += len(truth)
        found += len(set().union(*hits))
        false += sum(not hit for hit in hits)
    assert (found, false, there) == (44, 0, 47)


def _apart_px(corners: NDArray[np.float64], tag: Tag) -> float:
    """How far the corners of a tag lie from those expected, wherever each begins to count."""
    turned = (np.roll(tag.corners_px[::-1], turn, axis=0) for turn in range(4))
    return min(float(np.abs(corners - one).max()) for one in turned)
