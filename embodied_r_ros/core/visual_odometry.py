"""Visual odometry: the motion from key frame to key frame that the images tell where there is no odometry."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_r_ros.core.camera import Camera, assumed_camera
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import StampSampler
from embodied_r_ros.core.matching import Grey
from embodied_r_ros.core.point_tracking import PointTracker, Step, clear_grey, relation_between
from embodied_r_ros.core.records import Motion
from embodied_r_ros.core.step_sum import StepSum

# Where the camera is not calibrated, it is taken to see so much from side to side, and signs alone are told.
ASSUMED_VIEW_DEG = 70.0


class VisualOdometry:
    """Follows points from image to image, and sums up the steps that they tell.

    Args:
        rate_hz: so often images are looked at, as far as they come.

    Attributes:
        lost: steps that the images did not tell: too few points, blur, the dark, or a lens that is covered.
    """

    def __init__(self, rate_hz: float) -> None:
        self._sampler = StampSampler(rate_hz)
        self._tracker = PointTracker()
        self.lost = 0
        self.reset()

    def reset(self) -> None:
        """Forget all images, as where a session begins or odometry is there again; the count of lost steps stays."""
        self._sampler.reset()
        self._tracker.reset()
        self._last_ns: int | None = None
        self._calibrated = False
        self._begin(None)

    def _begin(self, stamp_ns: int | None) -> None:
        self._since_ns, self._is_whole, self._sum = stamp_ns, True, StepSum()

    def due(self, stamp_ns: int) -> bool:
        """Whether an image of this stamp is to be looked at."""
        return self._sampler.due(stamp_ns)

    def push(self, grey: Grey, stamp_ns: int, camera: Camera | None) -> None:
        """Look at the next image; one whose stamp is not later than the last one's is left out.

        Args:
            grey: small, (height, width) uint8.
            stamp_ns: when it was taken.
            camera: behind the image in any size; None where it is not calibrated.
        """
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            return
        if self._since_ns is None:
            self._since_ns = stamp_ns
        self._sampler.take(stamp_ns)
        self._last_ns, self._calibrated = stamp_ns, camera is not None
        self._add(self._tracker.push(grey, stamp_ns, _camera_behind(grey, camera)))

    def take(self, start_ns: int) -> Motion | None:
        """The motion from a stamp up to the latest image, in the axes of the base at its start.

        The next motion begins at the latest image.

        Returns:
            A motion of source IMAGES; None where the images from `start_ns` on were not all seen, or do not tell it.
        """
        self._add(self._tracker.cut())
        known = self._is_whole and self._since_ns is not None and self._since_ns <= start_ns
        motion = self._sum.motion(self._calibrated) if known else None
        self._begin(self._last_ns)
        return motion

    def _add(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.relation is None:
                self.lost += 1
                self._is_whole = False
            else:
                self._sum.add(step.relation)


def motion_between(before: Grey, after: Grey, camera: Camera | None) -> Motion | None:
    """The motion between two small grey images without those between them, as `VisualOdometry.take` tells it.

    Raises:
        InputError: the images differ in size.
    """
    if before.shape != after.shape:
        raise InputError(
            f'motion needs two images of one size, got (height, width) {before.shape!r} and {after.shape!r}; '
            'bring them to one size first'
        )
    relation = relation_between(clear_grey(before), clear_grey(after), _camera_behind(after, camera))
    if relation is None:
        return None
    steps = StepSum()
    steps.add(relation)
    return steps.motion(camera is not None)


def _camera_behind(grey: Grey, camera: Camera | None) -> Camera:
    """The camera for an image of this size; one of an assumed view where it is not calibrated."""
    height, width = grey.shape
    if camera is not None:
        return camera.resized(width, height)
    return assumed_camera(width, height, ASSUMED_VIEW_DEG)
