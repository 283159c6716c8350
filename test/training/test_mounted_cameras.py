"""A camera that is mounted in any way puts things where one that looks ahead does, from a recording with transforms."""

from __future__ import annotations

import dataclasses
import math
import pathlib

import pytest

from embodied_r_ros.adapters.eye_tags import TagEye, TagSettings
from embodied_r_ros.adapters.perception_opencv import OpenCVPerceiver
from embodied_r_ros.app import offline
from embodied_r_ros.app.observing import observation_of, pairs
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.keyframes import KeyFrameSettings
from embodied_r_ros.core.landmark_report import landmarks_of
from embodied_r_ros.core.mounting import MountingSettings
from embodied_r_ros.core.poses import pose_from_angles
from embodied_r_ros.core.records import Pose
from training.world.path import Leg, Path
from training.world.recording import labels_of, write_bag
from training.world.scene import Scene, SceneObject, Walk
from training.world.textures import TAG_SIZE_M

pytestmark = [pytest.mark.slow, pytest.mark.system]

PLACES = {'sofa': (2.4, 0.5), 'floor lamp': (-0.3, 2.3), 'wardrobe': (-2.3, -0.6), 'desk': (0.6, -2.2)}
THINGS = tuple(
    SceneObject(name=name, center_m=(*place, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=17 + number)
    for number, (name, place) in enumerate(PLACES.items())
)
# Once around, so that each camera sees each thing.
WALK = Walk(
    scene=Scene(seed=5, kind='room', objects=THINGS, bounds_m=(-4.0, -4.0, 4.0, 4.0)),
    path=Path((Leg(kind='forward', amount=0.25), Leg(kind='turn', amount=390.0), Leg(kind='forward', amount=0.25))),
)
# Wide enough to see things at eye level while it looks down.
LENS = Camera(width=640, height=480, fx_px=300.0, fy_px=300.0, cx_px=319.5, cy_px=239.5)


def mounted(y_m: float = 0.0, roll_deg: float = 0.0, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> Pose:
    return pose_from_angles(0.1, y_m, 1.2, *map(math.radians, (roll_deg, pitch_deg, yaw_deg)))


MOUNTINGS = {
    'rear': mounted(yaw_deg=180.0),
    'left': mounted(yaw_deg=90.0),
    'down': mounted(pitch_deg=30.0),
    'upside down': mounted(roll_deg=180.0),
    'beside': mounted(y_m=-0.5),
    'beside, tilted, to the right': mounted(y_m=0.5, roll_deg=-25.0, pitch_deg=15.0, yaw_deg=-60.0),
}


def places(bag: pathlib.Path, settings: MountingSettings | None = None) -> dict[str, tuple[float, float, float]]:
    """Name of each thing to its place in the frame of odometry."""
    perceiver = OpenCVPerceiver([TagEye(TagSettings(tag_size_m=TAG_SIZE_M), labels_of(WALK.scene))])
    recording = offline.scan(bag, KeyFrameSettings(max_gap_s=0.5), mounting=settings)
    seen = [
        observation_of(frame, perceiver.describe_now(previous, frame), perceiver)
        for previous, frame in pairs(recording.key_frames)
    ]
    return {thing.name: thing.position_m for thing in landmarks_of(offline.scene_of(seen), 'odom')}


def bag_of(pose: Pose, folder: pathlib.Path) -> pathlib.Path:
    write_bag(WALK, folder, dataclasses.replace(LENS, pose=pose))
    return folder


@pytest.fixture(scope='module')
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, float]]:
    found = places(bag_of(mounted(), tmp_path_factory.mktemp('bags') / 'ahead'))
    assert found.keys() == PLACES.keys()
    for name, place in found.items():
        assert math.dist(place[:2], PLACES[name]) < 0.15
    return found


@pytest.mark.parametrize('name', MOUNTINGS)
def test_things_are_where_a_camera_ahead_sees_them(
    name: str, expected: dict[str, tuple[float, float, float]], tmp_path: pathlib.Path
) -> None:
    found = places(bag_of(MOUNTINGS[name], tmp_path / 'bag'))
    assert found.keys() == expected.keys()
    off_m = {thing: math.dist(place, expected[thing]) for thing, place in found.items()}
    assert max(off_m.values()) <= 0.05, off_m


def test_a_camera_pose_that_is_given_counts_more_than_transforms(tmp_path: pathlib.Path) -> None:
    """Told to look ahead, the camera to the rear puts things on the other side."""
    found = places(bag_of(MOUNTINGS['rear'], tmp_path / 'bag'), MountingSettings(camera_pose='0.1 0 1.2 0 0 0'))
    assert math.dist(found['desk'][:2], (-PLACES['desk'][0], -PLACES['desk'][1])) < 0.8
