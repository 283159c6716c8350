"""Perception without a model: measured ego-motion, and eyes that say what is in view, where, and how far."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from embodied_r_ros.adapters.eyes import Eye
from embodied_r_ros.adapters.looking import Looking, LookingSettings, Seen
from embodied_r_ros.adapters.perception import Description, marked
from embodied_r_ros.core.camera import from_base
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.landmark_motion import motion_from_sightings
from embodied_r_ros.core.records import KeyFrame, Motion


class OpenCVPerceiver:
    """Describes key frames by what eyes see in them.

    Args:
        eyes: who looks.
        settings: how they look.
    """

    source = 'opencv'

    def __init__(self, eyes: Sequence[Eye], settings: LookingSettings | None = None) -> None:
        self._looking = Looking(eyes, settings)

    @property
    def name(self) -> str:
        """'opencv' and the names of the eyes, such as 'opencv-apriltag'."""
        return '-'.join(['opencv', *self._looking.names])

    async def probe(self) -> None:
        """Warm the eyes up."""
        await self._looking.probe()

    async def ping(self) -> None:
        """OpenCV is in this process."""

    async def describe(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """The motion between the two, and the things that are in view in `current`.

        Raises:
            InputError: the current image cannot be read.
        """
        start_s = time.perf_counter()
        seen = await self._looking.look(current)
        try:
            before = Seen() if previous is None else await self._looking.look(previous)
        except InputError:  # its image is broken, as was said when it was current
            before = Seen()
        return _description(previous, before, current, seen, time.perf_counter() - start_s)

    async def focus(self, previous: KeyFrame | None, current: KeyFrame, question_text: str) -> Description:
        """All things in view whose names the question holds; all things in view where it holds none of them.

        Raises:
            InputError: the image cannot be read.
        """
        start_s = time.perf_counter()
        in_view = (await self._looking.look(current)).sightings
        asked = question_text.lower()
        named = tuple(sighting for sighting in in_view if sighting.name.lower() in asked)
        return Description(sightings=named or in_view, latency_s=time.perf_counter() - start_s)

    async def aclose(self) -> None:
        """End the threads."""
        self._looking.close()

    def describe_now(self, previous: KeyFrame | None, current: KeyFrame) -> Description:
        """`describe`, in the calling thread; for programs that run no asyncio loop."""
        start_s = time.perf_counter()
        seen = self._looking.look_now(current)
        try:
            before = Seen() if previous is None else self._looking.look_now(previous)
        except InputError:
            before = Seen()
        return _description(previous, before, current, seen, time.perf_counter() - start_s)


def _description(
    previous: KeyFrame | None, before: Seen, current: KeyFrame, seen: Seen, latency_s: float
) -> Description:
    motion: Motion | None = current.motion
    if previous is not None and (motion is None or math.isnan(motion.forward_m)):
        there, here = from_base(before.sightings, previous.camera_pose), from_base(seen.sightings, current.camera_pose)
        motion = motion_from_sightings(there, here, motion)
    return Description(
        motion=motion,
        sightings=marked(before.sightings, seen.sightings),
        latency_s=latency_s,
        left_out=seen.left_out,
    )
