"""Words of the compact language that stand for what was measured: moves, bearings, distances."""

from __future__ import annotations

from embodied_r_ros.core.coarse import CELL_M, CoarseStep
from embodied_r_ros.core.question_words import LEFT, RIGHT


def metres(cells: int) -> str:
    """A distance in cells as its token, '2.5m'."""
    return f'{cells * CELL_M:g}m'


def bearing(angle: int) -> str:
    """A signed bearing as its one token, 'right15deg', so that a name stays near the distance that goes with it."""
    return 'ahead' if angle == 0 else f'{RIGHT if angle > 0 else LEFT}{abs(angle)}deg'


def amount(step: CoarseStep) -> str:
    """A step as its tokens, 'forward 2m', 'left 90deg', 'stay' or 'start'."""
    if step.kind == 'forward':
        return f'forward {metres(step.amount)}'
    return f'{step.kind} {step.amount}deg' if step.kind in (LEFT, RIGHT) else step.kind
