"""Recordings of simulated walks: bags, labels, and what the robot's own perception writes of them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.adapters.codec import decode
from embodied_r_ros.adapters.eye_tags import TagLabel, read_labels
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import CameraInfoItem, ImageItem, OdometryItem
from embodied_r_ros.core.observations import Observation
from training.world.nouns import NOUNS
from training.world.path import CAMERA, WIDE_CAMERA, Leg
from training.world.path import Path as Walked
from training.world.recording import (
    IMAGE_HZ,
    ODOMETRY_HZ,
    labels_of,
    observe,
    odometry,
    start_ns,
    with_common_tags,
    write_bag,
    write_labels,
)
from training.world.scene import Scene, SceneObject, Walk, make_walk

DATA = Path(__file__).parents[2] / 'data'


def thing(name: str, x_m: float, y_m: float, tag_id: int) -> SceneObject:
    return SceneObject(name=name, center_m=(x_m, y_m, 0.8), size_m=(0.5, 0.5, 1.6), tag_id=tag_id)


def short_walk(seed: int = 7) -> Walk:
    """Half a metre ahead, then a sixth of a turn to the left."""
    things = (thing('sofa', 4.0, 0.5, 17), thing('bed', 1.0, 3.0, 18), thing('door', -3.0, 0.0, 19))
    scene = Scene(seed=seed, kind='room', objects=things, bounds_m=(-5.0, -5.0, 7.0, 5.0))
    return Walk(scene=scene, path=Walked((Leg(kind='forward', amount=0.5), Leg(kind='turn', amount=60.0))))


@pytest.fixture(scope='module')
def observations() -> list[Observation]:
    return observe(short_walk())


@pytest.mark.system
def test_a_bag_holds_the_walk(tmp_path: Path) -> None:
    walk = short_walk()
    size = write_bag(walk, tmp_path / 'bag')
    assert size == sum(file.stat().st_size for file in (tmp_path / 'bag').iterdir())
    items = list(read_recording(tmp_path / 'bag'))
    stamps = [item.stamp_ns for item in items]
    assert stamps == sorted(stamps)
    assert stamps[0] == start_ns(7)
    images = [item for item in items if isinstance(item, ImageItem)]
    assert len(images) == int(walk.path.duration_s * IMAGE_HZ) + 1
    assert images[0].frame.image is not None
    assert decode(images[0].frame.image).shape == (CAMERA.height, CAMERA.width, 3)
    told = {item.calibration for item in items if isinstance(item, CameraInfoItem)}
    assert {dataclasses.replace(one, stamp_ns=0, frame_id='') for one in told} == {CAMERA.calibration}
    poses = [item for item in items if isinstance(item, OdometryItem)]
    assert len(poses) == int(walk.path.duration_s * ODOMETRY_HZ) + 1
    assert poses[-1].pose.yaw_rad == pytest.approx(math.pi / 3, abs=0.05)


@pytest.mark.system
def test_a_bag_is_recorded_with_another_camera(tmp_path: Path) -> None:
    write_bag(short_walk(), tmp_path / 'bag', camera=WIDE_CAMERA)
    kinds = {type(item): item for item in read_recording(tmp_path / 'bag')}
    lens, image = kinds[CameraInfoItem], kinds[ImageItem]
    assert isinstance(lens, CameraInfoItem)
    assert dataclasses.replace(lens.calibration, stamp_ns=0, frame_id='') == WIDE_CAMERA.calibration
    assert isinstance(image, ImageItem) and image.frame.image is not None
    assert decode(image.frame.image).shape == (WIDE_CAMERA.height, WIDE_CAMERA.width, 3)


@pytest.mark.system
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    walk = dataclasses.replace(short_walk(), path=Walked((Leg(kind='forward', amount=0.25),)))
    for name in ('one', 'two'):
        write_bag(walk, tmp_path / name / 'bag')
    for file in ('bag.mcap', 'metadata.yaml'):
        assert (tmp_path / 'one' / 'bag' / file).read_bytes() == (tmp_path / 'two' / 'bag' / file).read_bytes()


def test_a_bag_never_overwrites(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'a bag needs a new folder, got .* which exists; remove it or name another'):
        write_bag(short_walk(), tmp_path)


def test_odometry_is_near_the_truth_but_not_it() -> None:
    path = Walked((Leg(kind='forward', amount=4.0), Leg(kind='turn', amount=-90.0), Leg(kind='forward', amount=4.0)))
    ends = [list(odometry(path, seed))[-1][1] for seed in range(40)]
    truth = path.pose_at(path.duration_s)
    errors = [math.hypot(end.x_m - truth.x_m, end.y_m - truth.y_m) for end in ends]
    assert 0.01 < sum(errors) / len(errors) < 0.15
    assert max(errors) < 0.4
    turned = [math.degrees(abs(end.yaw_rad - truth.yaw_rad)) for end in ends]
    assert max(turned) < 4.0


def test_odometry_rests_while_the_agent_rests() -> None:
    poses = [pose for t_s, pose in odometry(Walked((Leg(kind='turn', amount=60.0),)), 1) if t_s <= 0.28]
    assert len(poses) > 3
    assert len(set(poses)) == 1


@pytest.mark.system
def test_the_robot_writes_what_is_there(observations: list[Observation]) -> None:
    walk = short_walk()
    assert [written.index for written in observations] == list(range(len(observations)))
    assert {written.session for written in observations} == {start_ns(7)}
    assert observations[0].action == ''
    assert observations[-1].stamp_ns >= start_ns(7) + (walk.path.duration_s - 0.5) * 1e9
    where = {item.name: item.center_m for item in walk.scene.objects}
    seen = set()
    for written in observations:
        pose = walk.path.pose_at((written.stamp_ns - start_ns(7)) / 1e9)
        for sighting in written.sightings:
            x_m, y_m = where[sighting.name][0] - pose.x_m, where[sighting.name][1] - pose.y_m
            bearing_deg = math.degrees(math.remainder(math.atan2(y_m, x_m) - pose.yaw_rad, 2 * math.pi))
            assert sighting.bearing_left_deg == pytest.approx(bearing_deg, abs=2.0)
            assert sighting.distance_m == pytest.approx(math.hypot(x_m, y_m), abs=0.25)
            seen.add(sighting.name)
    assert seen == {'sofa', 'bed'}


@pytest.mark.system
def test_a_live_camera_need_not_end_with_a_key_frame(observations: list[Observation]) -> None:
    live, offline = observe(short_walk(), keep_last=False), observations
    assert [(o.stamp_ns, o.action, o.view) for o in offline[: len(live)]] == [
        (o.stamp_ns, o.action, o.view) for o in live
    ]
    assert len(offline) - len(live) in (0, 1)


def test_labels_serve_several_scenes(tmp_path: Path) -> None:
    first = short_walk().scene
    wider = dataclasses.replace(first.objects[0], size_m=(0.7, 0.7, 1.6))
    file = tmp_path / 'deep' / 'labels.yaml'
    write_labels([first, dataclasses.replace(first, objects=(wider,))], file)
    labels = read_labels(file)
    assert set(labels) == {17, 18, 19}
    assert labels[17] == TagLabel(name='sofa', depth_m=0.3)


def test_labels_in_which_one_tag_hangs_on_two_things_are_an_input_error(tmp_path: Path) -> None:
    first = short_walk().scene
    other = dataclasses.replace(first, objects=(thing('harp', 1.0, 1.0, 17),))
    with pytest.raises(InputError, match=r"each tag on one thing, got 17 on 'sofa' and 'harp'; choose other seeds"):
        write_labels([first, other], tmp_path / 'labels.yaml')


def test_common_tags_are_the_same_in_every_scene() -> None:
    for seed in (1, 2, 3):
        walk = with_common_tags(make_walk(seed))
        assert all(NOUNS[item.tag_id] == item.name for item in walk.scene.objects)


def test_the_sample_bags_are_small_and_labelled() -> None:
    bags = [DATA / 'bags' / f'seed{seed}' for seed in (1, 2, 3)]
    assert sum(file.stat().st_size for bag in bags for file in bag.iterdir()) <= 10_000_000
    labels = read_labels(DATA / 'bags/labels.yaml')
    for seed in (1, 2, 3):
        scene = with_common_tags(make_walk(seed)).scene
        assert {tag_id: label.name for tag_id, label in labels_of(scene).items()}.items() <= {
            tag_id: label.name for tag_id, label in labels.items()
        }.items()
