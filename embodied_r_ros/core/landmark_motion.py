"""Ego-motion in metres from things seen in both of two key frames, whose distances are known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.motion import motion_from_poses
from embodied_r_ros.core.moves import come_to
from embodied_r_ros.core.records import Motion, MotionSource, Move, Pose, Sighting

# Standard deviations of a turn measured in the images, which is less sure the farther the camera moved, since points
# shift by moving as they do by turning.
TURN_DEG = 0.5
TURN_DEG_PER_M = 6.0

# Moves that were tracked are believed where their directions lead this near to where the things say.
MISSED_M = 0.25
# Two directions that differ by less than 8 degrees share the way.
MIN_SPREAD_OF_WAYS = math.tan(math.radians(4.0))
_WAYS = {
    'move forward': ('forward', 1.0),
    'move backward': ('forward', -1.0),
    'move left': ('left', 1.0),
    'move right': ('left', -1.0),
}

Floats = NDArray[np.float64]


def motion_from_sightings(before: Sequence[Sighting], after: Sequence[Sighting], seen: Motion | None) -> Motion | None:
    """The motion in the plane that things seen twice tell, the camera level.

    Args:
        before, after: what the earlier and the later key frame show. Things with the same source and track id are the
            same thing; those without a track id tell nothing.
        seen: the motion that the images as a whole tell. Where its moves were tracked, the things tell how far each of
            them led; otherwise its turn is weighed against that of the things.

    Returns:
        A motion of source IMAGES with metres; `seen` where no thing with a distance and its spread is in both, or only
        one is and `seen` has no turn.
    """
    now = {(sighting.source, sighting.track_id): sighting for sighting in after if _tells(sighting)}
    then = {(sighting.source, sighting.track_id): sighting for sighting in before if _tells(sighting)}
    both = [(then[key], now[key]) for key in then if key in now]
    turn_deg = math.nan if seen is None else seen.rotate_left_deg
    if not both or (len(both) < 2 and math.isnan(turn_deg)):
        return seen
    old, new = (np.array([_place(pair[end]) for pair in both]) for end in (0, 1))
    weights = np.array([1.0 / sum(sighting.spread_along_m**2 for sighting in pair) for pair in both])
    if seen is not None and seen.moves and not math.isnan(turn_deg):
        way = _way(old, new, weights, math.radians(turn_deg))
        moves = _measured(seen.moves, np.array(way))
        if moves is not None:
            walk_m, _ = come_to(moves)
            return dataclasses.replace(seen, forward_m=walk_m.real, left_m=walk_m.imag, moves=moves)
    turn_rad = _turn(old, new, weights, None if math.isnan(turn_deg) else math.radians(turn_deg))
    x_m, y_m = _way(old, new, weights, turn_rad)
    start = Pose(x_m=0.0, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)
    end = dataclasses.replace(start, x_m=x_m, y_m=y_m, qz=math.sin(turn_rad / 2), qw=math.cos(turn_rad / 2))
    return dataclasses.replace(
        motion_from_poses(start, end),
        up_m=math.nan,
        tilt_up_deg=math.nan if seen is None else seen.tilt_up_deg,
        source=MotionSource.IMAGES,
    )


def _measured(moves: Sequence[Move], way_m: Floats) -> tuple[Move, ...] | None:
    """The moves with the metres that they came to, by the way from the start of the first to the end of the last.

    Returns:
        None where no metres of these moves lead there, or a move has a name that is none in the plane.
    """
    heading_rad, directions = 0.0, []
    for move in moves:
        if move.kind == 'turn':
            heading_rad += math.radians(move.amount)
        elif move.kind not in _WAYS:
            return None
        else:
            kind, sign = _WAYS[move.kind]
            angle_rad = heading_rad + (math.pi / 2 if kind == 'left' else 0.0)
            directions.append((sign * math.cos(angle_rad), sign * math.sin(angle_rad)))
    metres = _metres(np.array(directions).reshape(-1, 2).T, way_m)
    if metres is None:
        return None
    amounts = iter(metres.tolist())
    told = []
    for move in moves:
        if move.kind == 'turn':
            told.append(move)
        else:
            kind, sign = _WAYS[move.kind]
            told.append(Move(kind=kind, amount=sign * next(amounts)))
    return tuple(told)


def _metres(directions: Floats, way_m: Floats) -> Floats | None:
    """How far to go along each direction, (2, n), to come as near to a place as the tolerance asks; none backward."""
    metres = _least_squares(directions, way_m)
    if (metres < 0.0).any():
        forward = metres > 0.0
        metres = np.zeros(len(metres))
        if forward.any():
            metres[forward] = np.maximum(_least_squares(directions[:, forward], way_m), 0.0)
    missed_m = float(np.linalg.norm(directions @ metres - way_m))
    return metres if missed_m <= MISSED_M else None


def _least_squares(directions: Floats, way_m: Floats) -> Floats:
    if not directions.size:
        return np.zeros(0)
    return np.asarray(np.linalg.lstsq(directions, way_m, rcond=MIN_SPREAD_OF_WAYS)[0], np.float64)


def _tells(sighting: Sighting) -> bool:
    """Whether a thing is known again, and its distance with its spread is known."""
    return bool(sighting.track_id) and math.isfinite(sighting.distance_m) and 0 < sighting.spread_along_m < math.inf


def _place(sighting: Sighting) -> tuple[float, float]:
    """Metres ahead and to the left."""
    return sighting.distance_m * sighting.ray[0], sighting.distance_m * sighting.ray[1]


def _way(old: Floats, new: Floats, weights: Floats, turn_rad: float) -> tuple[float, float]:
    """Metres ahead and to the left that explain the places best, once the turn is known."""
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    x_m, y_m = np.average(old - new @ np.array([[cos, sin], [-sin, cos]]), axis=0, weights=weights)
    return float(x_m), float(y_m)


def _turn(old: Floats, new: Floats, weights: Floats, told_rad: float | None) -> float:
    """Radians turned to the left: that of the best fit and that told, each as much as it is sure."""
    from_old = old - np.average(old, axis=0, weights=weights)
    from_new = new - np.average(new, axis=0, weights=weights)
    along = float(weights @ (from_old * from_new).sum(1))
    across = float(weights @ (from_new[:, 0] * from_old[:, 1] - from_new[:, 1] * from_old[:, 0]))
    fitted_rad, sure = math.atan2(across, along), math.hypot(across, along)
    if told_rad is None:
        return fitted_rad
    moved_m = math.hypot(*_way(old, new, weights, told_rad))
    told_sure = math.radians(TURN_DEG + TURN_DEG_PER_M * moved_m) ** -2
    return told_rad + math.remainder(fitted_rad - told_rad, 2 * math.pi) * sure / (sure + told_sure)
