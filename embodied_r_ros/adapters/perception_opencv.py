"""Perception without a model: measured ego-motion, and eyes that say what is in view, where, and how far."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.eyes import Eye
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.adapters.worker_thread import WorkerThread
from embodied_r_ros.core.camera import Camera, fit_camera, from_base, in_base
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.landmark_motion import motion_from_sightings
from embodied_r_ros.core.records import Key, KeyFrame, Sighting

REMEMBERED = 64

_logger = logging.getLogger(__name__)


class OpenCVPerceiver:
    """Describes key frames by what eyes see in them; one worker thread, each key frame looked at once.

    An eye that fails costs its own sightings, and the log tells its first failure.

    Args:
        eyes: who looks.
    """

    source = 'opencv'

    def __init__(self, eyes: Sequence[Eye]) -> None:
        self._eyes = tuple(eyes)
        self._failed: set[str] = set()
        self._seen: OrderedDict[tuple[Key, int], tuple[Sighting, ...]] = OrderedDict()
        self._worker = WorkerThread('opencv-perception')

    @property
    def name(self) -> str:
        """'opencv' and the names of the eyes, such as 'opencv-apriltag'."""
        return '-'.join(['opencv', *(eye.name for eye in self._eyes)])

    async def probe(self) -> None:
        """Look at an empty image once, so that the first real one does not wait for OpenCV's set-up."""
        await self._worker.run(lambda cancelled: self._look(np.zeros((48, 64), np.uint8), None))

    async def ping(self) -> None:
        """OpenCV is in this process."""

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """The motion between the two, and the things that are in view in `current`.

        Raises:
            InputError: the current image cannot be read.
        """
        return await self._worker.run(lambda cancelled: self.describe_now(previous, current))

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """All things in view whose names the question holds; all things in view where it holds none of them.

        Raises:
            InputError: the image cannot be read.
        """
        start_s = time.perf_counter()
        in_view = await self._worker.run(lambda cancelled: self._sightings(current))
        asked = question_text.lower()
        named = tuple(sighting for sighting in in_view if sighting.name.lower() in asked)
        return Description(sightings=named or in_view, latency_s=time.perf_counter() - start_s)

    async def aclose(self) -> None:
        """End the worker thread."""
        self._worker.close()

    def describe_now(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """`describe`, in the calling thread; for programs that run no asyncio loop."""
        start_s = time.perf_counter()
        in_view = self._sightings(current)
        before = self._sightings_or_none(previous)
        known = set(map(_thing, before))
        marked = tuple(dataclasses.replace(seen, in_view_before=_thing(seen) in known) for seen in in_view)
        motion = current.motion
        if previous is not None and (motion is None or math.isnan(motion.forward_m)):
            there, here = from_base(before, previous.camera_pose), from_base(in_view, current.camera_pose)
            motion = motion_from_sightings(there, here, motion)
        return Description(motion=motion, sightings=marked, latency_s=time.perf_counter() - start_s)

    def _sightings_or_none(self, previous: KeyFrame | None) -> tuple[Sighting, ...]:
        """What the earlier key frame shows; nothing where its image is broken, as was said when it was current."""
        try:
            return () if previous is None else self._sightings(previous)
        except InputError:
            return ()

    def _sightings(self, key_frame: KeyFrame) -> tuple[Sighting, ...]:
        """The things in view, from left to right; remembered for the latest key frames."""
        key = (key_frame.key, key_frame.stamp_ns)
        if key not in self._seen:
            image = codec.decode(key_frame.image)
            camera = None
            if key_frame.calibration is not None:
                camera, _ = fit_camera(key_frame.calibration, image.shape[1], image.shape[0])
            in_view = in_base(self._look(image, camera), key_frame.camera_pose)
            self._seen[key] = tuple(sorted(in_view, key=lambda sighting: -sighting.bearing_left_deg))
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]

    def _look(self, image: NDArray[np.uint8], camera: Camera | None) -> tuple[Sighting, ...]:
        """What all eyes see in an image, in any order."""
        found: list[Sighting] = []
        for eye in self._eyes:
            try:
                found += eye.look(image, camera)
            except Exception:  # the other eyes see on, whatever an eye's library raises
                if eye.name not in self._failed:
                    _logger.exception('the eye %s failed, and what it would see is left out', eye.name)
                self._failed.add(eye.name)
        return tuple(found)


def _thing(sighting: Sighting) -> tuple[str, str]:
    """What tells a thing from others: which eye saw it, and its track or else its name."""
    return sighting.source, sighting.track_id or sighting.name
