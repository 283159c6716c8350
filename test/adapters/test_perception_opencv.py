"""Perception by AprilTags, on rendered views whose truth is known."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_r_ros.adapters.apriltags import Tag, TagReader, locate
from embodied_r_ros.adapters.codec import decode, encode_jpeg, frame_from_pixels, small_grey
from embodied_r_ros.adapters.eye_tags import TagEye, TagLabel, TagSettings
from embodied_r_ros.adapters.looking import LookingSettings
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.motion import motion_from_poses
from embodied_r_ros.core.moves import told_moves
from embodied_r_ros.core.records import EncodedImage, KeyFrame, Motion, Pose, Sighting
from embodied_r_ros.core.visual_odometry import motion_between
from training.world.path import CAMERA
from training.world.renderer import Renderer
from training.world.scene import Scene, SceneObject, make_walk

pytestmark = pytest.mark.system

SOFA = SceneObject(name='sofa', center_m=(4.0, 1.0, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17)
LAMP = SceneObject(name='floor lamp', center_m=(3.0, -1.2, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=300)
LABELS = {17: TagLabel(name='sofa', depth_m=0.25), 300: TagLabel(name='floor lamp', depth_m=0.25)}
TURN = Motion(name='rotate left', forward_m=0.0, left_m=0.0, up_m=0.0, rotate_left_deg=30.0, tilt_up_deg=0.0)


@functools.lru_cache(maxsize=64)
def jpeg(objects: tuple[SceneObject, ...], yaw_deg: float = 0.0, x_m: float = 0.0, y_m: float = 0.0) -> EncodedImage:
    """The view from a place on the floor, looking `yaw_deg` to the left of x."""
    half = math.radians(yaw_deg) / 2
    pose = Pose(x_m=x_m, y_m=y_m, z_m=0.0, qx=0.0, qy=0.0, qz=math.sin(half), qw=math.cos(half))
    return encode_jpeg(drawn_by(objects).render(pose), 75)


@functools.cache
def drawn_by(objects: tuple[SceneObject, ...]) -> Renderer:
    return Renderer(Scene(seed=5, kind='room', objects=objects, bounds_m=(-2.0, -4.0, 9.0, 4.0)))


def view(*objects: SceneObject, yaw_deg: float = 0.0, index: int = 0, **changes: Any) -> KeyFrame:
    """A key frame taken at the origin."""
    image = changes.pop('image', None) or jpeg(objects, yaw_deg)
    key = KeyFrame(
        session=1,
        index=index,
        stamp_ns=index,
        frame_id='camera',
        image=image,
        reason='first',
        calibration=CAMERA.calibration,
    )
    return dataclasses.replace(key, **changes)


def pixels(key_frame: KeyFrame) -> NDArray[np.uint8]:
    return decode(key_frame.image)


def from_afar(distance_m: float, bearing_deg: float) -> KeyFrame:
    """A sofa whose middle is so far away, at that bearing, its sides along the axes of the camera."""
    way = math.radians(bearing_deg)
    sofa = SceneObject(name='sofa', center_m=(7.0, 0.0, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17)
    return view(image=jpeg((sofa,), 0.0, 7.0 - distance_m * math.cos(way), -distance_m * math.sin(way)))


def reading_tags(settings: TagSettings | None = None, labels: Any = LABELS) -> OpenCVPerceiver:
    return OpenCVPerceiver([TagEye(settings, labels)])


def sightings(key_frame: KeyFrame, settings: TagSettings | None = None, labels: Any = LABELS) -> list[Sighting]:
    return list(reading_tags(settings, labels).describe_now(None, key_frame).sightings)


@pytest.mark.parametrize(
    ('distance_m', 'bearing_deg'), [(1.5, -25.0), (1.5, 20.0), (3.0, 0.0), (5.0, 20.0), (7.0, -25.0), (7.0, 0.0)]
)
def test_the_middle_of_a_thing_is_placed_by_its_tag(distance_m: float, bearing_deg: float) -> None:
    (seen,) = sightings(from_afar(distance_m, bearing_deg))
    assert seen.name == 'sofa'
    assert seen.bearing_left_deg == pytest.approx(bearing_deg, abs=2.0)
    assert seen.distance_m == pytest.approx(distance_m, abs=0.05 + 0.03 * distance_m)


def test_a_tag_is_read_well_from_the_side() -> None:
    beside = SceneObject(name='sofa', center_m=(3.0, 0.0, 0.8), size_m=(0.5, 0.1, 1.6), tag_id=17)
    way = math.radians(60.0)
    image = jpeg((beside,), -60.0, 2.75 - 3 * math.cos(way), 3 * math.sin(way))
    (seen,) = sightings(view(image=image), labels={17: TagLabel(name='sofa')})
    assert seen.bearing_left_deg == pytest.approx(0.0, abs=5.0)
    assert seen.distance_m == pytest.approx(3.0, abs=0.3)


def test_two_sides_of_one_thing_are_one_sighting() -> None:
    corner_on = SceneObject(name='sofa', center_m=(2.2, 1.2, 0.8), size_m=(0.6, 0.6, 1.6), tag_id=17)
    assert len(TagReader('36h11', 12.0).read(pixels(view(corner_on)))) == 2
    (seen,) = sightings(view(corner_on), labels={17: TagLabel(name='sofa', depth_m=0.3)})
    assert seen.distance_m == pytest.approx(math.hypot(2.2, 1.2), abs=0.1)


def test_things_are_written_from_left_to_right() -> None:
    assert [seen.name for seen in sightings(view(LAMP, SOFA))] == ['sofa', 'floor lamp']


def test_only_what_the_frame_before_did_not_show_is_new() -> None:
    perceiver = reading_tags()
    before, after = view(SOFA), view(SOFA, LAMP, index=1, motion=TURN)
    both = perceiver.describe_now(before, after).sightings
    assert [(seen.name, seen.in_view_before) for seen in both] == [('sofa', True), ('floor lamp', False)]
    (again,) = perceiver.describe_now(after, view(SOFA, index=2)).sightings
    assert again.in_view_before


def test_measured_motion_is_the_action_and_the_first_frame_has_none() -> None:
    perceiver = reading_tags()
    assert perceiver.describe_now(view(SOFA), view(SOFA, index=1, motion=TURN)).motion == TURN
    assert perceiver.describe_now(None, view(SOFA)).motion is None


def test_without_motion_the_action_is_empty() -> None:
    assert reading_tags().describe_now(view(SOFA), view(SOFA, index=1)).motion is None


def test_without_calibration_there_is_a_bearing_and_no_distance() -> None:
    fov_deg = math.degrees(2 * math.atan(320 / CAMERA.fx_px))
    perceiver = OpenCVPerceiver([TagEye(labels=LABELS)], LookingSettings(assumed_fov_deg=fov_deg))
    (seen,) = perceiver.describe_now(None, view(SOFA, calibration=None)).sightings
    assert seen.bearing_left_deg == pytest.approx(math.degrees(math.atan2(1.0, 4.0)), abs=2.0)
    assert math.isnan(seen.distance_m)


def test_with_an_unknown_tag_size_there_is_no_distance() -> None:
    (seen,) = sightings(view(SOFA), TagSettings(tag_size_m=0.0))
    assert math.isnan(seen.distance_m)


def test_a_label_may_give_a_tag_a_size_of_its_own() -> None:
    (seen,) = sightings(view(SOFA), labels={17: TagLabel(name='sofa', size_m=0.2)})
    assert seen.distance_m == pytest.approx(math.hypot(3.75, 1.0) / 2, abs=0.15)


def test_what_is_out_of_range_is_left_out() -> None:
    assert sightings(view(SOFA), TagSettings(max_range_m=3.0)) == []


def test_what_is_too_small_in_the_image_is_left_out() -> None:
    assert sightings(view(SOFA), TagSettings(min_side_px=80.0)) == []


def test_a_tag_without_label_is_called_by_its_number() -> None:
    assert [seen.name for seen in sightings(view(SOFA), labels={})] == ['tag 17']


def test_a_tag_in_dim_light_is_read() -> None:
    dim = encode_jpeg(np.asarray(pixels(view(SOFA)) * 0.3, np.uint8))
    assert [seen.name for seen in sightings(view(image=dim))] == ['sofa']


def test_a_large_image_is_read_like_a_small_one() -> None:
    large = encode_jpeg(cv2.resize(pixels(view(SOFA)), (1280, 960), interpolation=cv2.INTER_CUBIC))
    camera = dataclasses.replace(CAMERA, width=1280, height=960, fx_px=800.0, fy_px=800.0, cx_px=639.5, cy_px=479.5)
    (seen,) = sightings(view(image=large, calibration=camera.calibration))
    assert seen.distance_m == pytest.approx(math.hypot(4.0, 1.0), abs=0.2)


def test_focus_names_what_is_asked_for_or_else_everything() -> None:
    async def look() -> tuple[str, str]:
        perceiver = reading_tags()
        try:
            await perceiver.probe()
            asked = await perceiver.focus(None, view(SOFA, LAMP), 'Where is the Sofa now?')
            return asked, await perceiver.focus(None, view(SOFA, LAMP), 'What is around?')
        finally:
            await perceiver.aclose()

    asked, everything = asyncio.run(look())
    assert [seen.name for seen in asked.sightings] == ['sofa']
    assert [seen.name for seen in everything.sightings] == ['sofa', 'floor lamp']


def test_a_broken_image_is_an_input_error_and_as_the_frame_before_it_counts_as_unseen() -> None:
    broken = EncodedImage(data=view(SOFA).image.data[:2000])
    perceiver = reading_tags()
    with pytest.raises(InputError, match='cut short'):
        perceiver.describe_now(None, view(image=broken))
    written = perceiver.describe_now(view(image=broken), view(SOFA, index=1))
    assert [seen.name for seen in written.sightings] == ['sofa']


@pytest.mark.parametrize(
    ('corners', 'expected'),
    [
        pytest.param(
            [
                [406.538818359375, 185.54733276367188],
                [527.2360229492188, 180.04779052734375],
                [527.2360229492188, 298.95220947265625],
                [406.538818359375, 293.4526672363281],
            ],
            (0.51, 1.41),
            id='gives NaN',
        ),
        pytest.param(
            [
                [188.65449524, 211.07299805],
                [241.19577026, 213.36187744],
                [241.19577026, 265.63812256],
                [188.65449524, 267.92700195],
            ],
            (-0.76, 2.94),
            id='gives no rotation',
        ),
    ],
)
def test_corners_on_which_one_pose_method_fails_are_placed_by_another(
    corners: list[list[float]], expected: tuple[float, float]
) -> None:
    tag = Tag(249, np.array(corners))
    place, behind = locate(tag, CAMERA, 0.4), locate(tag, CAMERA, 0.4, 0.25)
    assert place is not None and behind is not None
    assert (place[0], place[2]) == pytest.approx(expected, abs=0.06)
    assert np.linalg.norm(behind - place) == pytest.approx(0.25)
    assert behind[2] > place[2]


class OlderAruco:
    """The interface of `cv2.aruco` before OpenCV 4.7, over whichever is installed."""

    DICT_APRILTAG_36h11 = cv2.aruco.DICT_APRILTAG_36h11
    CORNER_REFINE_SUBPIX = cv2.aruco.CORNER_REFINE_SUBPIX

    @staticmethod
    def Dictionary_get(family: int) -> Any:  # noqa: N802 - OpenCV's name
        modern = hasattr(cv2.aruco, 'getPredefinedDictionary')
        return cv2.aruco.getPredefinedDictionary(family) if modern else cv2.aruco.Dictionary_get(family)

    @staticmethod
    def DetectorParameters_create() -> Any:  # noqa: N802 - OpenCV's name
        modern = hasattr(cv2.aruco, 'ArucoDetector')
        return cv2.aruco.DetectorParameters() if modern else cv2.aruco.DetectorParameters_create()

    @staticmethod
    def detectMarkers(image: Any, dictionary: Any, parameters: Any) -> Any:  # noqa: N802 - OpenCV's name
        if hasattr(cv2.aruco, 'ArucoDetector'):
            return cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(image)
        return cv2.aruco.detectMarkers(image, dictionary, parameters=parameters)


def test_the_older_interface_of_opencv_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ('pupil_apriltags', 'apriltag'):
        monkeypatch.setitem(sys.modules, module, None)
    image = pixels(view(LAMP))
    read = TagReader('36h11', 12.0).read(image)
    older = SimpleNamespace(**{**vars(cv2), 'aruco': OlderAruco})
    monkeypatch.setattr('embodied_r_ros.adapters.tag_detectors.cv2', older)
    read_by_older = TagReader('36h11', 12.0).read(image)
    assert {tag.id for tag in read} == {300}
    np.testing.assert_array_equal([tag.corners_px for tag in read_by_older], [tag.corners_px for tag in read])


def test_things_are_called_as_the_labels_of_a_file_say(tmp_path: Path) -> None:
    file = tmp_path / 'labels.yaml'
    file.write_text('17: sofa\n')
    assert sightings(view(SOFA), TagSettings(labels=str(file)), None)[0].name == 'sofa'


@pytest.mark.parametrize(
    ('yaw_deg', 'x_m', 'y_m'),
    [(0.0, 1.0, 0.0), (0.0, -0.8, 0.0), (20.0, 0.0, 0.0), (-15.0, 0.6, 0.0)],
    ids=['forward', 'backward', 'a turn', 'forward and a turn'],
)
def test_tags_in_both_key_frames_tell_the_way_in_metres(yaw_deg: float, x_m: float, y_m: float) -> None:
    before, after = view(SOFA, LAMP), view(image=jpeg((SOFA, LAMP), yaw_deg, x_m, y_m), index=1)
    greys = [cv2.cvtColor(pixels(k), cv2.COLOR_BGR2GRAY) for k in (before, after)]
    motion = motion_between(*greys, CAMERA)
    found = reading_tags().describe_now(before, dataclasses.replace(after, motion=motion)).motion
    assert found is not None
    moves = told_moves(found)
    assert sum(move.amount for move in moves if move.kind == 'forward') == pytest.approx(x_m, abs=0.12)
    assert sum(move.amount for move in moves if move.kind == 'turn') == pytest.approx(yaw_deg, abs=2.5)


def test_tags_of_unknown_size_tell_no_metres() -> None:
    after = view(image=jpeg((SOFA, LAMP), 0.0, 1.0), index=1)
    perceiver = reading_tags(TagSettings(tag_size_m=0.0))
    found = perceiver.describe_now(view(SOFA, LAMP), after).motion
    assert found is None or math.isnan(found.forward_m)


@pytest.mark.parametrize('seed', [2, 5])
def test_turns_are_measured_in_the_images_of_a_whole_walk(seed: int) -> None:
    walk = make_walk(seed)
    renderer = Renderer(walk.scene)
    poses = [walk.path.pose_at(0.6 * number) for number in range(int(walk.path.duration_s / 0.6))]
    greys = [small_grey(frame_from_pixels(1, 'camera', renderer.render(pose))) for pose in poses]
    missed_deg = []
    for (start, end), (before, after) in zip(itertools.pairwise(poses), itertools.pairwise(greys)):
        motion = motion_between(before, after, CAMERA)
        assert motion is not None
        missed_deg.append(abs(motion.rotate_left_deg - motion_from_poses(start, end).rotate_left_deg))
    assert len(missed_deg) >= 20
    assert max(missed_deg) < 3.0
    assert np.quantile(missed_deg, 0.9) < 1.0
