"""Intervals by resampling whole scenes: questions about one scene stand or fall together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
Scores = NDArray[np.float64]
Names = NDArray[np.str_]


def interval(scores: Scores, scenes: Names) -> list[float]:
    """The 95 % bootstrap interval of the mean score.

    Args:
        scores: of each question, (N,), each in [0, 1]; or differences of such scores.
        scenes: that each question is about, (N,).
    """
    sums, sizes = _by_scene(scores, scenes)
    drawn = _draws(len(sizes))
    return _edges(sums[drawn].sum(1) / sizes[drawn].sum(1))


def macro_interval(scores: Scores, scenes: Names, tasks: Names) -> list[float]:
    """The 95 % bootstrap interval of the mean over tasks of each task's mean score; all arrays are (N,).

    A task that a draw of scenes holds no question of is left out of that draw's mean.
    """
    _, groups = np.unique(scenes, return_inverse=True)
    count = int(groups.max()) + 1
    drawn = _draws(count)
    means = []
    for task in np.unique(tasks):
        of = tasks == task
        sums = np.bincount(groups[of], weights=scores[of], minlength=count)
        sizes = np.bincount(groups[of], minlength=count)
        asked = sizes[drawn].sum(1)
        means.append(np.where(asked > 0, sums[drawn].sum(1) / np.maximum(asked, 1), np.nan))
    return _edges(np.nanmean(np.stack(means), axis=0))


def _by_scene(scores: Scores, scenes: Names) -> tuple[Scores, NDArray[np.int64]]:
    _, groups = np.unique(scenes, return_inverse=True)
    return np.bincount(groups, weights=scores).astype(np.float64), np.bincount(groups).astype(np.int64)


def _draws(count: int) -> NDArray[np.int64]:
    """Scenes drawn with replacement, (RESAMPLES, count); the same ones each time."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))


def _edges(values: Scores) -> list[float]:
    return [round(float(edge), 4) for edge in np.percentile(values, [2.5, 97.5])]
