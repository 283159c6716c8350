"""How a camera moved between two images, from the rays towards points that both show."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RANSAC_ROUNDS = 60
REFINEMENTS = 8
# A turn alone is the simpler explanation, and is taken where it explains nearly as many points as any motion does.
TURN_SHARE = 0.8
AHEAD_BONUS = 0.03
# Moving shifts at least this share of the points against a turn.
MIN_SHIFTED = 0.15
# Fewer points than this share agree only by chance.
MIN_AGREEING = 0.5
# Rays nearer than this to the direction of travel shift too little to tell it, sine of the angle.
_NEAR_TRAVEL = 0.1
_CONVERGED = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relation:
    """How the later of two views lies to the earlier one.

    Attributes:
        rotation: (3, 3), takes rays of the earlier view to those of the later one.
        travel: unit vector along which the camera moved, in the axes of the later view; None for a turn alone.
        parallax_rad: median angle by which moving shifted the points.
        agreeing: share of the points that this explains.
    """

    rotation: Floats
    travel: Floats | None
    parallax_rad: float
    agreeing: float


def relate(before: Floats, after: Floats, tolerance_rad: float) -> Relation | None:
    """The motion that most points agree on; None where too few do.

    Args:
        before, after: unit vectors, (n, 3), in any axes that are fixed to the camera; n is at least 8.
        tolerance_rad: how far a point may lie from where a motion takes it.
    """
    turned, still = fit_rotation(before, after, tolerance_rad)
    by_turn = float(still.mean())
    if by_turn >= TURN_SHARE:
        return Relation(rotation=turned, travel=None, parallax_rad=0.0, agreeing=by_turn)
    rotation, travel, missed = _best_fit(before, after, turned, tolerance_rad)
    shift = _away_from(travel, before @ rotation.T, after)
    agreeing = np.abs(missed) < tolerance_rad
    if np.sign(shift[agreeing & (np.abs(shift) > tolerance_rad)]).sum() < 0:
        travel, shift = -travel, -shift
    sound = agreeing & (shift > -tolerance_rad)
    by_moving = float(sound.mean())
    if max(by_turn, by_moving) < MIN_AGREEING:
        return None
    shifted = float((sound & (shift > tolerance_rad)).mean())
    if by_turn >= TURN_SHARE * by_moving or (shifted < MIN_SHIFTED and by_turn >= MIN_AGREEING):
        return Relation(rotation=turned, travel=None, parallax_rad=0.0, agreeing=by_turn)
    parallax_rad = float(np.median(np.abs(shift[sound])))
    return Relation(rotation=rotation, travel=travel, parallax_rad=parallax_rad, agreeing=by_moving)


def fit_rotation(before: Floats, after: Floats, tolerance_rad: float) -> tuple[Floats, NDArray[np.bool_]]:
    """The rotation that takes most rays of the earlier view to the later one, and which they are."""
    pairs = _pairs(len(before))
    fits = _rotates(_kabsch(before[pairs], after[pairs]), before, after, tolerance_rad)
    best = fits[fits.sum(axis=1).argmax()]
    rotation: Floats = np.eye(3)
    for _ in range(2):
        if best.sum() < 3:
            return np.eye(3), np.zeros(len(before), bool)
        rotation = _kabsch(before[best], after[best])
        best = _rotates(rotation, before, after, tolerance_rad)
    return rotation, best


def _pairs(count: int) -> NDArray[np.intp]:
    """The same pairs of different points for the same number of points, (RANSAC_ROUNDS, 2)."""
    random = np.random.default_rng(0)
    first = random.integers(0, count, RANSAC_ROUNDS)
    second = (first + random.integers(1, count, RANSAC_ROUNDS)) % count
    return np.stack([first, second], axis=1)


def _kabsch(before: Floats, after: Floats) -> Floats:
    """The rotations, (..., 3, 3), that take rays, (..., n, 3), to others best."""
    left, _, right = np.linalg.svd(np.swapaxes(after, -1, -2) @ before)
    left[..., 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    rotation: Floats = left @ right
    return rotation


def _rotates(rotation: Floats, before: Floats, after: Floats, tolerance_rad: float) -> NDArray[np.bool_]:
    missed = np.linalg.norm(before @ np.swapaxes(rotation, -1, -2) - after, axis=-1)
    fits: NDArray[np.bool_] = missed < tolerance_rad
    return fits


def _best_fit(before: Floats, after: Floats, turned: Floats, tolerance_rad: float) -> tuple[Floats, Floats, Floats]:
    """Rotation, travel and what each point misses its epipolar plane by, from the start that leads to the best fit."""
    ahead = np.array([1.0, 0.0, 0.0])
    turns = (turned, _kabsch(before, after), np.eye(3))
    starts = [(turn, way) for turn in turns for way in (_likely_travel(before @ turn.T, after, tolerance_rad), ahead)]
    fits = [_refined(before, after, *start, tolerance_rad) for start in starts]
    # A view of one plane allows two motions; bases go ahead, seldom aslant.
    return max(
        fits, key=lambda fit: float(_weights(fit[2], tolerance_rad).sum()) * (1.0 + AHEAD_BONUS * np.abs(fit[1]).max())
    )


def _likely_travel(turned: Floats, after: Floats, tolerance_rad: float) -> Floats:
    """The direction, of those that two points tell and of the axes, that most points agree with."""
    normals = _cross(turned, after)
    pairs = _pairs(len(after))
    directions = _cross(normals[pairs[:, 0]], normals[pairs[:, 1]])
    length = np.linalg.norm(directions, axis=1)
    known = length > 1e-12
    directions = np.vstack([directions[known] / length[known, None], np.eye(3)])
    missed = np.abs(directions @ normals.T) / _sines(directions @ turned.T)
    likely: Floats = directions[(missed < tolerance_rad).sum(axis=1).argmax()]
    return likely


def _cross(left: Floats, right: Floats) -> Floats:
    """The cross products of vectors, (n, 3), sooner than numpy's."""
    (a, b, c), (x, y, z) = left.T, right.T
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=1)


def _sines(cosines: Floats) -> Floats:
    """Of the angles between rays and a direction of travel, by their cosines."""
    sines: Floats = np.sqrt(np.maximum(1.0 - cosines**2, _NEAR_TRAVEL**2))
    return sines


def _weights(missed: Floats, tolerance_rad: float) -> Floats:
    """Geman and McClure's, so that points far off count for nothing."""
    weights: Floats = 1.0 / (1.0 + (missed / tolerance_rad) ** 2) ** 2
    return weights


def _refined(
    before: Floats, after: Floats, rotation: Floats, travel: Floats, tolerance_rad: float
) -> tuple[Floats, Floats, Floats]:
    """Rotation and travel fitted together, by Gauss and Newton with weights, and what the points miss them by."""
    for _ in range(REFINEMENTS):
        turned = before @ rotation.T
        along = turned @ travel
        normals, sines = _cross(turned, after), _sines(along)
        missed = normals @ travel / sines
        weights = _weights(missed, tolerance_rad)
        tangents = np.linalg.svd(travel[None])[2][1:]
        by_turn = along[:, None] * after - (turned * after).sum(axis=1)[:, None] * travel
        slopes = np.hstack([by_turn, normals @ tangents.T]) / sines[:, None]
        bent = slopes.T @ (weights[:, None] * slopes)
        bent += (1e-9 * np.trace(bent) + 1e-12) * np.eye(5)
        step = -np.linalg.solve(bent, slopes.T @ (weights * missed))
        rotation = rotation_by(step[:3]) @ rotation
        travel = travel + tangents.T @ np.clip(step[3:], -0.5, 0.5)
        travel = travel / np.linalg.norm(travel)
        if np.abs(step).max() < _CONVERGED:
            break
    turned = before @ rotation.T
    return rotation, travel, _cross(turned, after) @ travel / _sines(turned @ travel)


def rotation_by(vector_rad: Floats) -> Floats:
    """The matrix of a turn about a vector by its length (Rodrigues)."""
    angle = float(np.linalg.norm(vector_rad))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector_rad / angle
    axis = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: Floats = np.eye(3) + math.sin(angle) * axis + (1.0 - math.cos(angle)) * axis @ axis
    return turned


def _away_from(travel: Floats, turned: Floats, after: Floats) -> Floats:
    """The angle by which each point shifted away from the direction of travel, as all that stands still does."""
    away = turned * (turned @ travel)[:, None] - travel
    away /= np.maximum(np.linalg.norm(away, axis=1), 1e-9)[:, None]
    shifted: Floats = ((after - turned) * away).sum(axis=1)
    return shifted
