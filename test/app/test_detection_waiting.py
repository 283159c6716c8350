"""Detections that come before, with and after the observations of their key frames, in simulated time."""

from __future__ import annotations

import asyncio
import functools
import math
from typing import Any

import numpy as np
import pytest
from fake_models import NS, SESSION, key_frame
from fake_time import run

from embodied_r_ros.adapters.codec import encode_jpeg
from embodied_r_ros.adapters.depth_images import encode_depth
from embodied_r_ros.adapters.eye_detections import DetectionEye
from embodied_r_ros.adapters.looking import Looking
from embodied_r_ros.app.detection_waiting import PATIENCE, DetectionWaiting, DetectionWaitSettings
from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.detections import Detection, Detections
from embodied_r_ros.core.frames import Transform
from embodied_r_ros.core.mounting import BODY_IN_OPTICAL
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.poses import inverse, pose_from_angles
from embodied_r_ros.core.records import KeyFrame, Sighting

CAMERA = Camera(width=640, height=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5)
TAG = Sighting.level('tag 3', -10.0, source='tag')
MS = 1_000_000


@functools.cache
def picture() -> Any:
    return encode_jpeg(np.zeros((480, 640, 3), np.uint8))


class Bench:
    """A detector, a describer and a listener around DetectionWaiting.

    Attributes:
        told: (seconds from the beginning, index, names of the things) of each observation that was passed on.
        frames: the key frames that are held.
    """

    def __init__(self, **settings: float) -> None:
        self.told: list[tuple[float, int, list[str]]] = []
        self.observations: list[Observation] = []
        self.frames: dict[Any, KeyFrame] = {}
        self.waiting = DetectionWaiting(
            DetectionWaitSettings(**settings), DetectionEye(), Looking(()), self.frames.get, self._note
        )
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()

    def _note(self, observation: Observation, frame: KeyFrame) -> None:
        assert observation.key == frame.key
        self.observations.append(observation)
        names = [sighting.name for sighting in observation.sightings]
        self.told.append((round(self._loop.time() - self._begun_s, 3), observation.index, names))

    def key_frame(self, index: int, **changes: Any) -> KeyFrame:
        frame = key_frame(index, calibration=CAMERA.calibration, **changes)
        object.__setattr__(frame, 'image', picture())
        self.frames[frame.key] = frame
        self.waiting.key_frame(frame)
        return frame

    def observed(self, frame: KeyFrame, **changes: Any) -> None:
        values = {'session': SESSION, 'index': frame.index, 'stamp_ns': frame.stamp_ns, 'sightings': (TAG,), **changes}
        self.waiting.observed(Observation(**values), frame)

    def detections(self, index: float, *names: str, topic: str = 'detections', **changes: Any) -> None:
        found = tuple(Detection(class_id=name, box_px=(9.0, 9.0, 99.0, 99.0)) for name in names)
        told = {'topic': topic, 'stamp_ns': SESSION + int(index * NS), 'found': found, 'count': len(found), **changes}
        self.waiting.detections(Detections(**told))

    async def in_time(self) -> None:
        """Have the detector known as one that is in time."""
        frame = self.key_frame(0)
        self.detections(0)
        self.observed(frame)
        await asyncio.sleep(1.0)
        self.told.clear()
        self._begun_s = self._loop.time()


def test_without_a_detector_nothing_waits() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.observed(bench.key_frame(0))
        assert bench.told == [(0.0, 0, ['tag 3'])]

    run(scene())


def test_detections_that_came_first_are_told_behind_the_others() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.detections(-0.03, 'wrong')
        bench.detections(0, 'chair')
        frame = bench.key_frame(0)
        bench.detections(0.03, 'wrong')
        bench.observed(frame)
        assert bench.told == [(0.0, 0, ['tag 3', 'chair'])]

    run(scene())


def test_an_observation_waits_for_detections_that_are_in_time_as_a_rule() -> None:
    async def scene() -> None:
        bench = Bench()
        await bench.in_time()
        bench.observed(bench.key_frame(1))
        await asyncio.sleep(0.2)
        assert bench.told == []
        bench.detections(1, 'chair')
        await asyncio.sleep(1.0)
        assert bench.told == [(0.2, 1, ['tag 3', 'chair'])]

    run(scene())


def test_at_the_end_of_the_wait_the_nearest_that_came_counts_though_a_nearer_one_may_come() -> None:
    async def scene() -> None:
        bench = Bench()
        await bench.in_time()
        bench.observed(bench.key_frame(1))
        bench.detections(0.9, 'wrong')
        bench.detections(0.95, 'chair')
        await asyncio.sleep(1.0)
        bench.detections(1.1, 'wrong')
        assert bench.told == [(0.5, 1, ['tag 3', 'chair'])]

    run(scene())


def test_the_wait_runs_from_when_the_key_frame_came_however_long_describing_takes() -> None:
    async def scene() -> None:
        bench = Bench()
        await bench.in_time()
        frame = bench.key_frame(1)
        await asyncio.sleep(0.4)
        bench.observed(frame)
        await asyncio.sleep(1.0)
        assert bench.told == [(0.5, 1, ['tag 3'])]
        slow = bench.key_frame(2)
        bench.detections(2, 'chair')
        await asyncio.sleep(30.0)
        bench.observed(slow)
        assert bench.told[1:] == [(31.4, 2, ['tag 3', 'chair'])]

    run(scene())


def test_late_detections_have_the_observation_told_again() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.observed(bench.key_frame(0))
        await asyncio.sleep(3.0)
        bench.detections(0, 'chair')
        bench.detections(0, 'sofa', topic='detections_3d')
        assert bench.told == [(0.0, 0, ['tag 3']), (3.0, 0, ['tag 3', 'chair']), (3.0, 0, ['tag 3', 'chair', 'sofa'])]
        assert bench.observations[2].key == bench.observations[0].key
        bench.detections(0.01, 'again')
        assert len(bench.told) == 3

    run(scene())


def test_after_some_waits_in_vain_none_waits_until_detections_are_in_time_again() -> None:
    async def scene() -> None:
        bench = Bench()
        await bench.in_time()
        for index in range(1, PATIENCE + 2):
            bench.observed(bench.key_frame(index))
            await asyncio.sleep(1.0)
        assert [round(at_s + 1 - index, 3) for at_s, index, _ in bench.told] == [0.5] * PATIENCE + [0.0]
        frame = bench.key_frame(9)
        bench.detections(9, 'chair')
        bench.observed(frame)
        bench.told.clear()
        bench.observed(bench.key_frame(10))
        assert bench.told == []

    run(scene())


@pytest.mark.parametrize('with_newer', [True, False], ids=['newer key frames', 'no newer key frame'])
def test_detections_that_are_10_s_late_are_left_out_and_counted(with_newer: bool, caplog: Any) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.observed(bench.key_frame(0))
        await asyncio.sleep(10.0)
        if with_newer:
            bench.observed(bench.key_frame(10))
        told = list(bench.told)
        bench.detections(0, 'chair')
        assert (bench.told, bench.waiting.left_out) == (told, {'detection_late': 1})
        bench.detections(10, 'sofa')
        assert len(bench.told) == len(told) + with_newer

    run(scene())
    assert 'detections must come within 5 s and have the stamps of their images, got some 10.0 s late' in caplog.text


def test_detections_whose_stamps_are_no_images_are_counted_and_told_once(caplog: Any) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.observed(bench.key_frame(0))
        await asyncio.sleep(1.0)
        bench.detections(0.7, 'chair')
        assert not bench.waiting.left_out  # nobody has detected anything in the first
        for index in range(1, 4):
            bench.observed(bench.key_frame(index))
            bench.detections(index + 0.3, 'chair')
            await asyncio.sleep(1.0)
        assert [names for _, _, names in bench.told] == [['tag 3']] * 4
        assert bench.waiting.left_out == {'detection_missed': 3}

    run(scene())
    assert caplog.text.count('detections must have the stamps of the images, within 0.1 s, got none') == 1


def test_after_the_image_had_to_go_detections_are_left_out(caplog: Any) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.observed(bench.key_frame(0))
        bench.frames.clear()
        bench.detections(0, 'chair')
        assert (len(bench.told), bench.waiting.left_out) == (1, {'detection_late': 1})

    run(scene())
    assert 'detections must come while their image is held' in caplog.text


def test_a_key_frame_that_is_given_up_is_told_at_once_and_never_again() -> None:
    async def scene() -> None:
        bench = Bench()
        await bench.in_time()
        bench.observed(bench.key_frame(1), given_up=True, sightings=())
        bench.detections(1, 'chair')
        assert bench.told == [(0.0, 1, [])]

    run(scene())


def test_things_that_the_key_frame_before_shows_too_are_marked() -> None:
    async def scene() -> None:
        bench = Bench()
        for index, names in enumerate([('chair',), ('chair', 'sofa')]):
            bench.detections(index, *names)
            bench.observed(bench.key_frame(index))
        marks = [{one.name: one.in_view_before for one in seen.sightings} for seen in bench.observations]
        assert marks == [{'chair': False, 'tag 3': False}, {'chair': True, 'sofa': False, 'tag 3': False}]

    run(scene())


def test_stamps_that_fall_back_as_in_a_looped_recording_begin_anew() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.detections(100, 'chair')
        bench.observed(bench.key_frame(100))
        frame = bench.key_frame(2, session=SESSION)
        bench.detections(2, 'sofa')
        bench.observed(frame)
        assert [names for _, _, names in bench.told] == [['tag 3', 'chair'], ['tag 3', 'sofa']]

    run(scene())


def test_depth_and_the_place_of_the_camera_count_for_detections_too() -> None:
    async def scene() -> None:
        bench = Bench()
        depth = encode_depth(DepthMap(np.full((240, 320), 3.0, np.float32)))
        aside = pose_from_angles(0.0, 0.0, 1.0, 0.0, 0.0, math.pi / 2)
        frame = bench.key_frame(0, depth=depth, camera_pose=aside)
        bench.detections(0, 'chair')
        bench.waiting.transform(
            Transform(parent='lidar', child='camera', pose=inverse(BODY_IN_OPTICAL), fixed=True)
        )  # fmt: skip
        sofa = Detection(class_id='sofa', place_m=(2.0, 0.0, 0.0))
        bench.detections(0, topic='detections_3d', frame_id='lidar', found=(sofa,), count=1)
        bench.observed(frame)
        seen = {one.name: one for one in bench.observations[0].sightings}
        assert seen['sofa'].ray == pytest.approx((0.0, 1.0, 0.0), abs=1e-9)
        assert seen['sofa'].distance_m == pytest.approx(2.0)
        assert seen['chair'].distance_m > 3.0
        assert seen['chair'].bearing_left_deg > 90.0

    run(scene())


def test_broken_transforms_are_counted_and_told_once(caplog: Any) -> None:
    async def scene() -> None:
        bench = Bench()
        for _ in range(2):
            bench.waiting.transform(Transform(parent='lidar', child='lidar', pose=inverse(BODY_IN_OPTICAL)))
        assert bench.waiting.left_out == {'transform': 2}

    run(scene())
    assert caplog.text.count('transforms must form a tree') == 1
