"""The camera: which ray each pixel sees, by its calibration, and how it is mounted on the base.

Pixels become rays here and nowhere else; images are not warped. The middle of the upper left pixel is (0, 0).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.poses import ORIGIN, Floats, position, rotation_matrix
from embodied_r_ros.core.records import Calibration, Pose, Sighting

NO_DISTORTION = 'none'
EQUIDISTANT = 'equidistant'
# How many coefficients each distortion model of camera_info may have.
COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12), EQUIDISTANT: (4,)}

# The axes of the image (x right, y down, z ahead) in those of the camera as a body (x ahead, y left, z up).
OPTICAL_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

# Flat coordinates of a ray, x / z, reach no farther to the side than this: 87 degrees.
_WIDEST = 20.0
_RADII = 512
_NEWTON_STEPS, _EXACT_PX = 8, 1e-6
_LEAST_SLOPE, _LONGEST_STEP = 1e-3, 0.5
# A pixel that no ray comes nearer to than this has none: the lens model folds over.
_FOLDED_PX = 0.05
_EDGE = 1.02
_VIEW_SAMPLES = 65

# In image widths.
_FOCAL_RANGE = (0.05, 100.0)
# A principal point is farther than this share of the image from the middle in one direction at most, as of a crop.
_OFF_CENTRE = 0.2

_WITHOUT = 'turns have no degrees, and tags no distance'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """A lens model for images of one size, and where the camera is.

    Attributes:
        width, height: of the images, in pixels.
        fx_px, fy_px, cx_px, cy_px: focal lengths and principal point.
        model: 'none', or a distortion model of `COEFFICIENTS`.
        distortion: its coefficients, as OpenCV has them.
        pose: of the camera in the base, both with x ahead, y left and z up; None where it is taken to look ahead,
            level, from the base's origin.
    """

    width: int
    height: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    model: str = NO_DISTORTION
    distortion: tuple[float, ...] = ()
    pose: Pose | None = None

    def rays(self, points_px: NDArray[Any]) -> Floats:
        """Unit vectors towards pixels, (n, 2) to (n, 3), in the image's axes: x right, y down, z ahead.

        A row is NaN where the lens model has no ray for the pixel.
        """
        points = np.asarray(points_px, np.float64).reshape(-1, 2)
        flat = (points - (self.cx_px, self.cy_px)) / (self.fx_px, self.fy_px)
        if self.model != NO_DISTORTION:
            flat = self._undistorted(flat)
        rays = np.column_stack([flat, np.ones(len(flat))])
        unit: Floats = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return unit

    def project(self, rays: NDArray[Any]) -> Floats:
        """The pixels that see rays, (n, 3) of any length in the image's axes to (n, 2); NaN where none does.

        Pixels may lie outside the image.
        """
        rays = np.asarray(rays, np.float64).reshape(-1, 3)
        pixels = np.full((len(rays), 2), np.nan)
        ahead = rays[:, 2] > np.linalg.norm(rays, axis=1) / _WIDEST
        flat = rays[ahead, :2] / rays[ahead, 2:]
        if self.model != NO_DISTORTION:
            radii, _ = self._shown
            within = np.linalg.norm(flat, axis=1) <= radii[-1]
            ahead[ahead] = within
            flat = self._distorted(flat[within], self.distortion)
        pixels[ahead] = flat * (self.fx_px, self.fy_px) + (self.cx_px, self.cy_px)
        return pixels

    def base_rays(self, points_px: NDArray[Any]) -> Floats:
        """As `rays`, in the axes of the base (x ahead, y left, z up)."""
        return self.rays(points_px) @ self.in_base.T

    @functools.cached_property
    def in_base(self) -> Floats:
        """(3, 3) matrix whose columns are the image's axes (x right, y down, z ahead) in those of the base."""
        axes: Floats = rotation_matrix(self.pose or ORIGIN) @ OPTICAL_AXES
        return axes

    @property
    def position_m(self) -> Floats:
        """Of the camera in the base, (3,)."""
        return position(self.pose or ORIGIN)

    @property
    def half_view_rad(self) -> float:
        """From straight ahead to the side of an image, as far as the lens model goes."""
        row = np.column_stack([np.linspace(-0.5, self.width - 0.5, _VIEW_SAMPLES), np.full(_VIEW_SAMPLES, self.cy_px)])
        return math.acos(min(1.0, float(np.nanmin(self.rays(row)[:, 2]))))

    @property
    def calibration(self) -> Calibration:
        """What camera_info says of such images."""
        fx, fy, cx, cy = self.fx_px, self.fy_px, self.cx_px, self.cy_px
        plain = self.model == NO_DISTORTION
        return Calibration(
            width=self.width,
            height=self.height,
            distortion_model='plumb_bob' if plain else self.model,
            d=(0.0,) * 5 if plain else self.distortion,
            k=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
            r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
            p=(fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
        )

    def resized(self, width: int, height: int) -> Camera:
        """The same camera for images that were shrunk or enlarged to another size."""
        across, down = width / self.width, height / self.height
        return dataclasses.replace(
            self,
            width=width,
            height=height,
            fx_px=self.fx_px * across,
            fy_px=self.fy_px * down,
            cx_px=(self.cx_px + 0.5) * across - 0.5,
            cy_px=(self.cy_px + 0.5) * down - 0.5,
        )

    @functools.cached_property
    def _shown(self) -> tuple[Floats, Floats]:
        """How far from the middle rays are, as x / z, and where the radial distortion puts them; both rise.

        It ends where the lens model folds over, that is, shows rays from farther to the side nearer to the middle.
        """
        tangents = np.tan(np.linspace(0.0, math.atan(_WIDEST), _RADII))
        radial = self.distortion
        if self.model != EQUIDISTANT:
            radial = tuple(0.0 if place in (2, 3) or place > 7 else one for place, one in enumerate(radial))
        shown = self._distorted(np.column_stack([tangents, np.zeros(_RADII)]), radial)[:, 0]
        # Written so that NaN ends it.
        folds = np.flatnonzero(~(np.diff(shown) > 0.0))
        end = folds[0] + 1 if len(folds) else _RADII
        return tangents[:end], shown[:end]

    def _undistorted(self, seen: Floats) -> Floats:
        """Distorted as undistorted flat coordinates, (n, 2); NaN where there are none.

        Newton's method with the slopes of the radial distortion, begun at its answer. OpenCV's own way finds no answer,
        or a wrong one, near the edge of strong distortion.
        """
        tangents, shown = self._shown
        slopes = np.gradient(shown, tangents) if len(tangents) > 1 else np.ones(1)
        radii = np.linalg.norm(seen, axis=1, keepdims=True)
        along = seen / np.maximum(radii, 1e-12)
        flat = along * np.interp(radii, shown, tangents)
        off = seen - self._distorted(flat, self.distortion)
        for _ in range(_NEWTON_STEPS):
            radii = np.linalg.norm(flat, axis=1, keepdims=True)
            outward = (off * along).sum(axis=1, keepdims=True) * along
            step = outward / np.maximum(np.interp(radii, tangents, slopes), _LEAST_SLOPE)
            step += (off - outward) * np.maximum(radii, 1e-12) / np.maximum(np.interp(radii, tangents, shown), 1e-12)
            flat = flat + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
            off = seen - self._distorted(flat, self.distortion)
            if np.abs(off).max(initial=0.0) * self.fx_px < _EXACT_PX:
                break
        # Written so that NaN fails; the tangential part may shift the edge a little.
        found = np.linalg.norm(off, axis=1) * self.fx_px < _FOLDED_PX
        found &= np.linalg.norm(flat, axis=1) <= _EDGE * tangents[-1]
        flat[~found] = np.nan
        return flat

    def _distorted(self, flat: Floats, distortion: tuple[float, ...]) -> Floats:
        """Flat coordinates as the lens shows them, (n, 2), by the formulas of OpenCV's calib3d."""
        x, y = flat[:, 0], flat[:, 1]
        square = x * x + y * y
        if self.model == EQUIDISTANT:
            radius = np.sqrt(square)
            angle = np.arctan(radius)
            growth = np.polyval([*distortion[::-1], 1.0], angle * angle)
            return flat * (growth * np.divide(angle, radius, out=np.ones_like(angle), where=radius > 0.0))[:, None]
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*distortion, *(0.0,) * 12)[:12]
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            growth = np.polyval([k3, k2, k1, 1.0], square) / np.polyval([k6, k5, k4, 1.0], square)
            right = x * growth + 2 * p1 * x * y + p2 * (square + 2 * x * x) + (s1 + s2 * square) * square
            down = y * growth + p1 * (square + 2 * y * y) + 2 * p2 * x * y + (s3 + s4 * square) * square
        return np.column_stack([right, down])


@functools.lru_cache(8)
def fit_camera(
    calibration: Calibration, width: int, height: int, pose: Pose | None = None
) -> tuple[Camera | None, str]:
    """The camera behind images of a size, as camera_info tells of it.

    Where camera_info names a region of interest or binning, the image may be that part, the whole, or either at another
    size. K is taken to be of the unbinned view, as ROS has it, or of the binned one, as many drivers have it: whichever
    puts its principal point nearer to the middle.

    Args:
        calibration: of any size.
        width, height: of the images.
        pose: of the camera in the base.

    Returns:
        the camera and ''; or None and one sentence about what does not fit.
    """
    try:
        model, distortion = _distortion(calibration)
        left, upper, across, down = _view(calibration, width, height)
        whole = _whole(calibration)
    except _Misfit as misfit:
        return None, f'{misfit}; {_WITHOUT}'
    view = dataclasses.replace(
        whole, width=across, height=down, cx_px=whole.cx_px - left, cy_px=whole.cy_px - upper,
        model=model, distortion=distortion, pose=pose,
    )  # fmt: skip
    return view.resized(width, height), ''


def assumed_camera(width: int, height: int, fov_deg: float) -> Camera:
    """A camera that is not calibrated, taken to have this horizontal field of view and no distortion."""
    focal_px = width / 2 / math.tan(math.radians(fov_deg) / 2)
    return Camera(
        width=width, height=height, fx_px=focal_px, fy_px=focal_px, cx_px=(width - 1) / 2, cy_px=(height - 1) / 2
    )


def in_base(sightings: Iterable[Sighting], camera_pose: Pose | None) -> tuple[Sighting, ...]:
    """Sightings whose rays are in the axes of a camera as a body, with rays in the axes of the base."""
    if camera_pose is None:
        return tuple(sightings)
    axes = rotation_matrix(camera_pose)
    return tuple(dataclasses.replace(seen, ray=_turned(axes, seen.ray)) for seen in sightings)


def from_base(sightings: Iterable[Sighting], camera_pose: Pose | None) -> tuple[Sighting, ...]:
    """Sightings with rays from the base's origin instead of the camera; those without distance keep their ray."""
    if camera_pose is None:
        return tuple(sightings)
    camera_m = position(camera_pose)
    return tuple(_from_base(seen, camera_m) for seen in sightings)


def _from_base(seen: Sighting, camera_m: Floats) -> Sighting:
    place_m = camera_m + np.array(seen.ray) * seen.distance_m
    distance_m = float(np.linalg.norm(place_m))
    if not distance_m > 0.0:
        return seen
    x, y, z = (place_m / distance_m).tolist()
    return dataclasses.replace(seen, ray=(x, y, z), distance_m=distance_m)


def _turned(axes: Floats, ray: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = (float(part) for part in axes @ np.array(ray))
    return x, y, z


class _Misfit(Exception):
    """Says what of a calibration cannot be used."""


def _distortion(calibration: Calibration) -> tuple[str, tuple[float, ...]]:
    model, lens = calibration.distortion_model, calibration.d
    if not all(map(math.isfinite, lens)):
        raise _Misfit(f'the distortion coefficients of camera_info must be finite, got {lens!r}')
    if not any(lens):
        return NO_DISTORTION, ()
    lengths = COEFFICIENTS.get(model)
    if lengths is None:
        raise _Misfit(f'the distortion model of camera_info must be one of {", ".join(COEFFICIENTS)}, got {model!r}')
    if len(lens) > lengths[-1] and not any(lens[lengths[-1] :]):
        lens = lens[: lengths[-1]]
    if len(lens) not in lengths:
        wanted = ' or '.join(map(str, lengths))
        raise _Misfit(f'the distortion model {model} of camera_info has {wanted} coefficients, got {len(lens)!r}')
    return model, lens


def _whole(calibration: Calibration) -> Camera:
    """The undistorted camera behind the whole view, without region and binning."""
    width, height = calibration.width, calibration.height
    fx_px, _, cx_px, _, fy_px, cy_px = calibration.k[:6]
    numbers = f'got fx, fy, cx, cy = {fx_px:g}, {fy_px:g}, {cx_px:g}, {cy_px:g} for {width} x {height}'
    least, most = (share * width for share in _FOCAL_RANGE)
    # Written so that NaN fails.
    if not (least <= fx_px <= most and least <= fy_px <= most and abs(cx_px) < most and abs(cy_px) < most):
        raise _Misfit(f'camera_info must hold the K of a calibrated camera, {numbers}')
    camera = Camera(width=width, height=height, fx_px=fx_px, fy_px=fy_px, cx_px=cx_px, cy_px=cy_px)
    across, down = _binning(calibration)
    of_sizes = [camera]
    if (across, down) != (1, 1):
        of_sizes += [_of_size(camera, 1.0 / across, 1.0 / down), _of_size(camera, across, down)]
    best = min(of_sizes, key=lambda one: sum(_off_centre(one)))
    if max(_off_centre(best)) > 0.5 or min(_off_centre(best)) > _OFF_CENTRE:
        raise _Misfit(f'the K of camera_info cannot belong to its size, {numbers}')
    return best


def _of_size(camera: Camera, across: float, down: float) -> Camera:
    """The camera where its K is of images so many times larger than its size."""
    larger = dataclasses.replace(camera, width=round(camera.width * across), height=round(camera.height * down))
    return larger.resized(camera.width, camera.height)


def _off_centre(camera: Camera) -> tuple[float, float]:
    """How far the principal point is from the middle, as a share of width and height."""
    return abs((camera.cx_px + 0.5) / camera.width - 0.5), abs((camera.cy_px + 0.5) / camera.height - 0.5)


def _binning(calibration: Calibration) -> tuple[int, int]:
    return max(1, calibration.binning_x), max(1, calibration.binning_y)


def _view(calibration: Calibration, width: int, height: int) -> tuple[int, int, int, int]:
    """Left edge, upper edge, width and height of the part of the calibrated view that the images show."""
    full_wh = calibration.width, calibration.height
    if min(full_wh) <= 0:
        raise _Misfit(f'camera_info must give the size of the calibrated images, got {full_wh[0]} x {full_wh[1]}')
    whole = (0, 0, *full_wh)
    left, upper, across, down = roi = calibration.roi
    if min(across, down) == 0 or (left == upper == 0 and across >= full_wh[0] and down >= full_wh[1]):
        roi = whole
    elif left + across > full_wh[0] or upper + down > full_wh[1]:
        raise _Misfit(
            f'the region of interest in camera_info must lie within its {full_wh[0]} x {full_wh[1]}, '
            f'got {across} x {down} at ({left}, {upper})'
        )
    binned = _binning(calibration)
    for region, (step_x, step_y) in ((roi, binned), (whole, (1, 1))):
        if abs(region[2] / step_x - width) < 1.0 and abs(region[3] / step_y - height) < 1.0:
            return region
    alike = [region for region in dict.fromkeys((roi, whole)) if _same_shape(region, binned, width, height)]
    if len(alike) != 1:
        told = f'{full_wh[0]} x {full_wh[1]}'
        told += '' if roi == whole else f' with a region of {across} x {down}'
        told += '' if binned == (1, 1) else f' and binning {binned[0]} x {binned[1]}'
        raise _Misfit(f'the images must show what camera_info describes, {told}, got {width} x {height}')
    return alike[0]


def _same_shape(region: tuple[int, int, int, int], binned: tuple[int, int], width: int, height: int) -> bool:
    """Whether images are a region at another size; each side may be rounded to a whole pixel."""
    across, down = region[2] / binned[0], region[3] / binned[1]
    return abs(across * height - down * width) <= max(across, down, width, height)
