"""Looks at key frames with several eyes: each key frame once, the quick eyes in turn, each slow one beside them."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import functools
import logging
import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters import codec
from embodied_r_ros.adapters.depth_images import read_depth_png
from embodied_r_ros.adapters.eyes import ASSUMED_FOV_DEG, Eye, LeftOut, Picture
from embodied_r_ros.adapters.newest_first import NewestFirst
from embodied_r_ros.adapters.worker_thread import WorkerThread
from embodied_r_ros.core.camera import fit_camera, in_base
from embodied_r_ros.core.depth import DepthMap
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.floor_contact import camera_height_m
from embodied_r_ros.core.records import Key, KeyFrame, Sighting
from embodied_r_ros.core.settings import Settings, setting

REMEMBERED = 64
LATE = 'late'

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookingSettings(Settings):
    """How eyes look at key frames."""

    assumed_fov_deg: float = setting(
        ASSUMED_FOV_DEG,
        'Without a calibration, bearings assume this horizontal field of view.',
        unit='deg',
        within=(5.0, 170.0),
    )
    base_height_m: float = setting(
        0.0,
        'Height of base_frame above the floor, for distances of boxes that end on the floor.',
        unit='m',
        within=(-10.0, 10.0),
    )
    slow_eyes_s: float = setting(
        2.0, 'A key frame waits at most this long for slow eyes, such as signs.', unit='s', within=(0.0, None)
    )


# Nobody drives on while a recording is looked at.
NO_HURRY = LookingSettings(slow_eyes_s=math.inf)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What the eyes made out in a key frame.

    Attributes:
        sightings: from left to right, rays in the axes of the base.
        left_out: how much of what kind could not be used.
    """

    sightings: tuple[Sighting, ...] = ()
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


Glimpsed = tuple[tuple[Sighting, ...], list[LeftOut]]


class Looking:
    """Several eyes on one camera.

    An eye that fails costs its own sightings. What cannot be used is counted, and the log tells each rule that was
    broken once. A slow eye has a thread of its own, where the newest key frame comes first; a key frame that waits for
    it longer than `slow_eyes_s` goes without it.

    Args:
        eyes: who looks.
        settings: how.
    """

    def __init__(self, eyes: Sequence[Eye], settings: LookingSettings | None = None) -> None:
        self._settings = settings or LookingSettings()
        self._quick = [eye for eye in eyes if not eye.takes_long]
        self._slow = {eye: NewestFirst(f'{eye.name}-eye') for eye in eyes if eye.takes_long}
        self._worker = WorkerThread('quick-eyes')
        self._told: set[tuple[str, str]] = set()
        self._begun: OrderedDict[tuple[Key, int], tuple[Glimpsed, list[concurrent.futures.Future[Glimpsed]]]]
        self._begun = OrderedDict()
        self._seen: OrderedDict[tuple[Key, int], Seen] = OrderedDict()
        self.names = tuple(eye.name for eye in eyes)

    async def probe(self) -> None:
        """Look at an empty picture once, so that the first real one does not wait for what libraries set up."""
        empty = Picture(image=np.zeros((48, 64), np.uint8))
        await self._worker.run(lambda cancelled: [self._glimpse(eye, empty) for eye in self._quick])
        for eye, lane in self._slow.items():
            lane.submit(0, functools.partial(self._glimpse, eye, empty))

    async def look(self, frame: KeyFrame) -> Seen:
        """What is in view; remembered for the latest key frames.

        Raises:
            InputError: the image cannot be read.
        """
        known = self._seen.get((frame.key, frame.stamp_ns))
        if known is not None:
            return known
        quick, slow = await self._worker.run(lambda cancelled: self._begin(frame))
        limit_s = self._settings.slow_eyes_s
        if slow:
            await asyncio.wait(map(asyncio.wrap_future, slow), timeout=None if math.isinf(limit_s) else limit_s)
        return self._keep(frame, [quick, *map(self._in_time, slow)])

    def look_now(self, frame: KeyFrame) -> Seen:
        """As `look`, in the calling thread, and however long it takes."""
        known = self._seen.get((frame.key, frame.stamp_ns))
        if known is not None:
            return known
        picture = self._picture(frame)
        return self._keep(frame, [(tuple(self._glimpses(picture, (*self._quick, *self._slow))), picture.left_out)])

    async def outline(self, frame: KeyFrame) -> Picture:
        """A key frame's camera and depth with an image of its size that is black, for one that has seen it already.

        Raises:
            InputError: the size of the image cannot be read.
        """
        return await self._worker.run(lambda cancelled: self.outline_now(frame))

    def outline_now(self, frame: KeyFrame) -> Picture:
        """As `outline`, in the calling thread."""
        width, height = codec.image_size(frame.image)
        return self._around(frame, np.broadcast_to(np.uint8(0), (height, width)))

    def close(self) -> None:
        """End the threads."""
        self._worker.close()
        for lane in self._slow.values():
            lane.close()

    def _begin(self, frame: KeyFrame) -> tuple[Glimpsed, list[concurrent.futures.Future[Glimpsed]]]:
        """What the quick eyes see, while the slow ones look."""
        key = (frame.key, frame.stamp_ns)
        if key not in self._begun:
            picture = self._picture(frame)
            # The slow ones decode it again: those that wait hold no pixels.
            slow = [
                lane.submit(frame.stamp_ns, functools.partial(self._look_slowly, eye, frame))
                for eye, lane in self._slow.items()
            ]
            self._begun[key] = ((tuple(self._glimpses(picture, self._quick)), picture.left_out), slow)
            _bound(self._begun)
        return self._begun[key]

    def _look_slowly(self, eye: Eye, frame: KeyFrame) -> Glimpsed:
        picture = self._picture(frame)
        picture.left_out.clear()  # the quick eyes tell of the picture itself
        return self._glimpse(eye, picture), picture.left_out

    def _in_time(self, future: concurrent.futures.Future[Glimpsed]) -> Glimpsed:
        if future.done() and not future.cancelled():
            return future.result()
        future.cancel()
        sentence = (
            f'a key frame waits at most {self._settings.slow_eyes_s:g} s for eyes that take long, got nothing from '
            'one by then; raise slow_eyes_s, or leave that eye out'
        )
        return (), [LeftOut(kind=LATE, sentence=sentence)]

    def _picture(self, frame: KeyFrame) -> Picture:
        return self._around(frame, codec.decode(frame.image))

    def _around(self, frame: KeyFrame, image: NDArray[np.uint8]) -> Picture:
        """The picture with this image."""
        height, width = image.shape[:2]
        camera = None
        if frame.calibration is not None:
            camera, _ = fit_camera(frame.calibration, width, height)
        picture = Picture(
            image=image,
            camera=camera,
            height_m=camera_height_m(frame.camera_pose, self._settings.base_height_m),
            assumed_fov_deg=self._settings.assumed_fov_deg,
        )
        return dataclasses.replace(picture, depth=_depth(frame, picture))

    def _glimpses(self, picture: Picture, eyes: Iterable[Eye]) -> Iterable[Sighting]:
        for eye in eyes:
            yield from self._glimpse(eye, picture)

    def _glimpse(self, eye: Eye, picture: Picture) -> tuple[Sighting, ...]:
        try:
            return eye.look(picture)
        except EmbodiedRError as error:
            picture.leave_out(eye.name, f'the eye {eye.name} failed: {error}')
        except Exception:  # the other eyes see on, whatever an eye's library raises
            sentence = f'the eye {eye.name} failed, and what it would see is left out'
            if (eye.name, sentence) not in self._told:
                _logger.exception('%s', sentence)
                self._told.add((eye.name, sentence))
            picture.leave_out(eye.name, sentence)
        return ()

    def count(self, left_out: Iterable[LeftOut]) -> collections.Counter[str]:
        """How often what kind of thing was left out; the log tells each rule that was broken once."""
        counts: collections.Counter[str] = collections.Counter()
        for one in left_out:
            counts[one.kind] += one.count
            rule = (one.kind, one.sentence.partition(', got ')[0])
            if rule not in self._told:
                self._told.add(rule)
                _logger.warning('%s (logged once, and counted)', one.sentence)
        return counts

    def _keep(self, frame: KeyFrame, glimpsed: Sequence[Glimpsed]) -> Seen:
        counts = self.count(one for _, several in glimpsed for one in several)
        in_view = in_base((sighting for sightings, _ in glimpsed for sighting in sightings), frame.camera_pose)
        in_order = tuple(sorted(in_view, key=lambda sighting: -sighting.bearing_left_deg))
        seen = self._seen.setdefault((frame.key, frame.stamp_ns), Seen(sightings=in_order, left_out=counts))
        _bound(self._seen)
        return seen


def _depth(frame: KeyFrame, picture: Picture) -> DepthMap | None:
    """A key frame's depth, unless it is of no use, which is noted."""
    if frame.depth is None:
        return None
    height, width = picture.image.shape[:2]
    try:
        depth = read_depth_png(frame.depth)
    except InputError as error:
        picture.leave_out('depth', str(error))
        return None
    rows, columns = depth.metres.shape
    if not depth.fits(width, height):
        picture.leave_out(
            'depth',
            f'depth must be registered to the camera, so of the proportions of its images, got {columns} x {rows} '
            f'with images of {width} x {height}; let the driver register it',
        )
        return None
    if depth.is_empty:
        picture.leave_out('depth', f'depth must hold distances, got {columns} x {rows} pixels without any')
        return None
    return depth


def _bound(kept: OrderedDict[tuple[Key, int], Any]) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
