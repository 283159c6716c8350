"""Ego-motion between two key frames, from odometry or from the images, in the paper's ten actions.

Odometry follows REP 103 (x forward, y left, z up), images the optical axes (x right, y down, z forward). `Motion` is in
the axes of the earlier frame either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.camera import Camera
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.matching import (
    MIN_MATCHES,
    RANSAC_ITERATIONS,
    Floats,
    Grey,
    Matches,
    detect_and_compute_evenly,
    fit_view,
    match_closely,
    match_features,
)
from embodied_r_ros.core.moves import MAX_MOVES, MIN_MOVE_M, MIN_SPLIT_DEG, MIN_TURN_DEG, STAY, add_move, planar_moves
from embodied_r_ros.core.poses import rotation_matrix
from embodied_r_ros.core.records import Motion, MotionSource, Move, Pose

ACTIONS = (
    'move forward', 'move backward', 'move left', 'move right', 'move upward', 'move downward',
    'rotate left', 'rotate right', 'tilt downward', 'tilt upward',
)  # fmt: skip

# Between two poses a fifth of a second apart, less than this is standing still, or going straight.
MIN_STEP_M = 0.03
MIN_STEP_DEG = 2.0
# A metre sideways shifts what is three metres away by as much as a turn of this many degrees.
DEG_PER_M = math.degrees(math.atan(1.0 / 3.0))
MIN_SHIFT_SHARE = 0.01
RAY_TOLERANCE_RAD = 0.008
ROTATION_SHARE = 0.8
# In units of the focal length.
POINT_TOLERANCE = 0.004
PLANE_SHARE = 0.9
UNKNOWN = Motion(name=STAY)
_RANSAC_ROUNDS = 60


def motion_from_poses(before: Pose, after: Pose) -> Motion:
    """Motion between two poses of the same odometry frame, in the axes of the earlier base.

    `name` is the action that shifts the image most, a metre counting as much as 18.4 degrees (`DEG_PER_M`); 'stay'
    below 5 cm and 2 degrees.
    """
    axes = rotation_matrix(before)
    moved = np.array([after.x_m - before.x_m, after.y_m - before.y_m, after.z_m - before.z_m])
    forward_m, left_m, up_m = axes.T @ moved
    ahead = axes.T @ rotation_matrix(after)[:, 0]
    rotate_left_deg = math.degrees(math.atan2(ahead[1], ahead[0]))
    tilt_up_deg = math.degrees(math.asin(min(max(float(ahead[2]), -1.0), 1.0)))
    moves = {
        ('move forward', 'move backward'): forward_m,
        ('move left', 'move right'): left_m,
        ('move upward', 'move downward'): up_m,
    }
    turns = {('rotate left', 'rotate right'): rotate_left_deg, ('tilt upward', 'tilt downward'): tilt_up_deg}
    felt = {names: float(metres) * DEG_PER_M for names, metres in moves.items() if abs(metres) >= MIN_MOVE_M}
    felt.update({names: degrees for names, degrees in turns.items() if abs(degrees) >= MIN_TURN_DEG})
    return Motion(
        name=_largest(felt),
        forward_m=float(forward_m),
        left_m=float(left_m),
        up_m=float(up_m),
        rotate_left_deg=rotate_left_deg,
        tilt_up_deg=tilt_up_deg,
        source=MotionSource.ODOMETRY,
    )


def moves_along(poses: Sequence[Pose]) -> tuple[Move, ...]:
    """The elementary moves in the plane that a series of poses tells, in their order.

    Stretches of walking, of turning and of both are told apart, each is told as its net motion, and moves of one kind
    that follow each other are summed up. A way of more than `phrases.MAX_MOVES` moves, such as a long arc, has none:
    its net motion tells it better.
    """
    moves: list[Move] = []
    start, kind = 0, (False, False)
    for place in range(1, len(poses)):
        step = motion_from_poses(poses[place - 1], poses[place])
        walks = math.hypot(step.forward_m, step.left_m) >= MIN_STEP_M
        now = (walks, abs(step.rotate_left_deg) >= MIN_STEP_DEG)
        if now != kind:
            _go_on(moves, poses[start], poses[place - 1])
            start, kind = place - 1, now
    if poses:
        _go_on(moves, poses[start], poses[-1])
    told: list[Move] = []
    for move in moves:
        if abs(move.amount) >= (MIN_TURN_DEG if move.kind == 'turn' else MIN_MOVE_M):
            add_move(told, move)
    return tuple(told) if len(told) <= MAX_MOVES else ()


def _go_on(moves: list[Move], before: Pose, after: Pose) -> None:
    """Add the net motion of a stretch; where its turn is too slight to tell the order, what went on goes on first."""
    net = motion_from_poses(before, after)
    stretch = [move for move in planar_moves(net.forward_m, net.left_m, net.rotate_left_deg) if not _slight(move)]
    if moves and abs(net.rotate_left_deg) < MIN_SPLIT_DEG:
        stretch.sort(key=lambda move: move.kind != moves[-1].kind)
    for move in stretch:
        add_move(moves, move)


def _slight(move: Move) -> bool:
    return abs(move.amount) < (MIN_STEP_DEG / 4 if move.kind == 'turn' else MIN_STEP_M / 3)


class EgoMotionEstimator:
    """Ego-motion from two images: degrees where the camera is calibrated, else only the action's name.

    Calibrated, points of the two images become rays. A rotation that explains nearly as many of them as a motion of any
    kind does is taken as the whole motion. Otherwise rotation and direction of travel come from the homography where
    the points lie in one plane, from the essential matrix where they do not, and the name from whichever shifts the
    image more: the rotation, or what is left of the shifts without it.

    Uncalibrated, the image's growth speaks for moving forward or backward; its shift for a turn or tilt where one
    homography explains it, for moving where near things shift more than far ones.
    """

    def __init__(self, camera: Camera | None) -> None:
        self._camera = camera

    def estimate(self, before_grey: Grey, after_grey: Grey) -> Motion:
        """Motion between two grey images, (height, width) uint8; see `from_matches`.

        Raises:
            InputError: the images differ in size.
        """
        if before_grey.shape != after_grey.shape:
            raise InputError(
                f'motion needs two images of one size, got (height, width) {before_grey.shape!r} and '
                f'{after_grey.shape!r}; bring them to one size first'
            )
        after = detect_and_compute_evenly(after_grey)
        view = fit_view(match_features(detect_and_compute_evenly(before_grey), after))
        if view is None:
            return UNKNOWN
        return self.from_matches(match_closely(before_grey, after_grey, after.points, view.to_before))

    def from_matches(self, matches: Matches) -> Motion:
        """Motion from points found again; the size of the images may differ from that of the calibration by a scale.

        Returns:
            A motion of source IMAGES; 'stay' with source NONE where the images do not tell.
        """
        if len(matches.before) < MIN_MATCHES:
            return UNKNOWN
        camera = self._camera_of(matches.size_wh)
        shift_px = np.linalg.norm(matches.after - matches.before, axis=1)
        if float(np.median(shift_px)) < MIN_SHIFT_SHARE * max(matches.size_wh):
            return Motion(name=STAY, source=MotionSource.IMAGES) if camera is None else _measured(STAY, np.eye(3))
        if camera is None:
            name = _name_of_flow(matches)
            return UNKNOWN if name is None else Motion(name=name, source=MotionSource.IMAGES)
        before, after = camera.rays(matches.before), camera.rays(matches.after)
        known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        before, after = before[known], after[known]
        if len(before) < MIN_MATCHES:
            return UNKNOWN
        found = _fit(before, after)
        if found is None:
            return UNKNOWN
        rotation, travel = found
        name = _name_of_turn(rotation) if travel is None else _dominating(before, after, rotation, travel)
        return _measured(name, rotation)

    def _camera_of(self, size_wh: tuple[int, int]) -> Camera | None:
        width, height = size_wh
        known = self._camera
        # Small images are rounded to whole pixels, so their aspect ratio is off by a little.
        if known is None or abs(known.width * height - known.height * width) > 2 * max(known.width, known.height):
            return None
        return known.resized(width, height)


def _measured(name: str, rotation: Floats) -> Motion:
    left_deg, up_deg = _turn_deg(rotation)
    return Motion(name=name, rotate_left_deg=left_deg, tilt_up_deg=up_deg, source=MotionSource.IMAGES)


def _name_of_flow(matches: Matches) -> str | None:
    """The action behind the shifts in pixels; None where they do not agree."""
    grown, mask = cv2.estimateAffinePartial2D(
        matches.before, matches.after, method=cv2.RANSAC, ransacReprojThreshold=6.0
    )
    if grown is None or int(mask.sum()) < MIN_MATCHES:
        return None
    width, height = matches.size_wh
    middle = np.array([width / 2.0, height / 2.0])
    right_px, down_px = (float(part) for part in grown[:, :2] @ middle + grown[:, 2] - middle)
    growth_px = (math.hypot(grown[0, 0], grown[1, 0]) - 1.0) * math.hypot(width, height) / 4.0
    _, solid = cv2.findFundamentalMat(matches.before, matches.after, cv2.FM_RANSAC, 1.5, 0.99)
    view = fit_view(matches)
    if view is not None and (solid is None or int(view.inliers.sum()) >= ROTATION_SHARE * int(solid.sum())):
        sideways, upward = ('rotate left', 'rotate right'), ('tilt upward', 'tilt downward')
    else:
        sideways, upward = ('move left', 'move right'), ('move upward', 'move downward')
    return _largest({('move forward', 'move backward'): growth_px, sideways: right_px, upward: down_px})


def _fit_rotation(before: Floats, after: Floats) -> tuple[Floats, int]:
    """The rotation that takes most rays of the earlier image to the later one, and how many it explains."""
    random = np.random.default_rng(0)
    pairs = np.stack([random.choice(len(before), 2, replace=False) for _ in range(_RANSAC_ROUNDS)])
    fits = _rotates(_kabsch(before[pairs], after[pairs]), before, after)
    best = fits[fits.sum(axis=1).argmax()]
    if best.sum() < 3:
        return np.eye(3), 0
    rotation = _kabsch(before[best], after[best])
    return rotation, int(_rotates(rotation, before, after).sum())


def _kabsch(before: Floats, after: Floats) -> Floats:
    """The rotations, (..., 3, 3), that take rays, (..., n, 3), to others best."""
    left, _, right = np.linalg.svd(np.swapaxes(after, -1, -2) @ before)
    left[..., 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    rotation: Floats = left @ right
    return rotation


def _rotates(rotation: Floats, before: Floats, after: Floats) -> NDArray[np.bool_]:
    missed = np.linalg.norm(before @ np.swapaxes(rotation, -1, -2) - after, axis=-1)
    fits: NDArray[np.bool_] = missed < RAY_TOLERANCE_RAD
    return fits


def _fit(before: Floats, after: Floats) -> tuple[Floats, Floats | None] | None:
    """Rotation of points from the earlier to the later camera, and the later one's direction in the earlier's axes.

    The simplest model that explains nearly as many points as the most general one: a turn alone (the direction is then
    None), a view of a plane, a view of solid things.
    """
    flat_before: Any = before[:, :2] / before[:, 2:]
    flat_after: Any = after[:, :2] / after[:, 2:]
    essential, mask = cv2.findEssentialMat(flat_before, flat_after, np.eye(3), cv2.RANSAC, 0.99, POINT_TOLERANCE)
    homography, flat = cv2.findHomography(
        flat_before, flat_after, cv2.RANSAC, 2.0 * POINT_TOLERANCE, maxIters=RANSAC_ITERATIONS, confidence=0.99
    )
    solid = 0 if essential is None or essential.shape != (3, 3) else int(mask.sum())
    planar = 0 if homography is None else int(flat.sum())
    if max(solid, planar) < MIN_MATCHES:
        return None
    rotation, turning = _fit_rotation(before, after)
    if turning >= ROTATION_SHARE * max(solid, planar):
        return rotation, None
    if planar >= PLANE_SHARE * solid:
        return _travel_past_plane(homography, before[np.asarray(flat, bool).ravel()])
    count, turned, shift, _ = cv2.recoverPose(essential, flat_before, flat_after, np.eye(3), mask=mask)
    return _turn_and_travel(turned, shift) if count >= MIN_MATCHES else None


def _travel_past_plane(homography: Floats, before: Floats) -> tuple[Floats, Floats] | None:
    """Of the two to four motions that explain a plane's homography, the one that turns least and has it in front."""
    _, rotations, shifts, normals = cv2.decomposeHomographyMat(homography, np.eye(3))
    sound = [
        (rotation, shift)
        for rotation, shift, normal in zip(rotations, shifts, normals)
        if float(np.mean(before @ normal.ravel() > 0.0)) > ROTATION_SHARE
    ]
    if not sound:
        return None
    return _turn_and_travel(*max(sound, key=lambda motion: float(np.trace(motion[0]))))


def _turn_and_travel(rotation: Any, shift: Any) -> tuple[Floats, Floats]:
    turned: Floats = np.asarray(rotation, np.float64)
    return turned, -turned.T @ np.asarray(shift, np.float64).ravel()


def _turn_deg(rotation: Floats) -> tuple[float, float]:
    """Degrees that the later camera looks to the left of and above the earlier one."""
    ahead = rotation.T @ np.array([0.0, 0.0, 1.0])
    up_deg = math.degrees(math.asin(min(max(float(-ahead[1]), -1.0), 1.0)))
    return math.degrees(math.atan2(-ahead[0], ahead[2])), up_deg


def _name_of_turn(rotation: Floats) -> str:
    left_deg, up_deg = _turn_deg(rotation)
    turns = {('rotate left', 'rotate right'): left_deg, ('tilt upward', 'tilt downward'): up_deg}
    return _largest({names: degrees for names, degrees in turns.items() if abs(degrees) >= MIN_TURN_DEG})


def _dominating(before: Floats, after: Floats, rotation: Floats, travel: Floats) -> str:
    turned = before @ rotation.T
    by_turn = float(np.median(np.linalg.norm(turned - before, axis=1)))
    by_travel = float(np.median(np.linalg.norm(after - turned, axis=1)))
    if by_turn > by_travel:
        name = _name_of_turn(rotation)
        if name != STAY:
            return name
    right, down, ahead = (float(part) for part in travel)
    return _largest(
        {
            ('move forward', 'move backward'): ahead,
            ('move left', 'move right'): -right,
            ('move upward', 'move downward'): -down,
        }
    )


def _largest(amounts: dict[tuple[str, str], float]) -> str:
    """The name of the largest amount by its sign; 'stay' where there is none."""
    if not amounts:
        return STAY
    (positive, negative), amount = max(amounts.items(), key=lambda pair: abs(pair[1]))
    return positive if amount > 0 else negative
