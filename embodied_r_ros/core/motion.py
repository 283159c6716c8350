"""Ego-motion between two key frames from odometry, in the paper's ten actions.

Odometry follows REP 103 (x forward, y left, z up); `Motion` is in the axes of the earlier frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

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
        name=largest(felt),
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


def largest(amounts: dict[tuple[str, str], float]) -> str:
    """The name of the largest amount by its sign; 'stay' where there is none."""
    if not amounts:
        return STAY
    (positive, negative), amount = max(amounts.items(), key=lambda pair: abs(pair[1]))
    return positive if amount > 0 else negative
