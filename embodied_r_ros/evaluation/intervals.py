"""95 % intervals of means over questions. Questions about one scene stand or fall together, so scenes are the units.

From 20 scenes on scores are resampled by scene. Below, the bootstrap is too narrow (with 4 scenes it holds the mean in
80 of 100 cases, not 95), and Student's t over scenes is taken, as always for differences, which have no border nearby.
Where all questions are scored alike neither sees any spread: the bound is then that of Clopper and Pearson.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEW_SCENES = 20
Scores = NDArray[np.float64]
Names = NDArray[np.str_]


def interval(scores: Scores, scenes: Names) -> list[float]:
    """The 95 % interval of the mean score.

    Args:
        scores: of each question, (N,), each in [0, 1].
        scenes: that each question is about, (N,).
    """
    return macro_interval(scores, scenes, np.zeros(len(scores), np.str_))


def difference_interval(differences: Scores, scenes: Names) -> list[float]:
    """The 95 % interval of the mean of differences between two scores of each question, (N,), each in [-1, 1]."""
    return _by_t(differences, scenes, np.zeros(len(differences), np.str_), -1.0)


def macro_interval(scores: Scores, scenes: Names, tasks: Names) -> list[float]:
    """The 95 % interval of the mean over tasks of each task's mean score; all arrays are (N,), scores in [0, 1].

    A task that a draw of scenes holds no question of is left out of that draw's mean.
    """
    count = len(np.unique(scenes))
    if count < FEW_SCENES or np.ptp(scores) == 0.0:
        return _by_t(scores, scenes, tasks, 0.0)
    drawn = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    means = []
    for sums, sizes in _per_task(scores, scenes, tasks):
        asked = sizes[drawn].sum(1)
        means.append(np.where(asked > 0, sums[drawn].sum(1) / np.maximum(asked, 1), np.nan))
    return _rounded(*np.percentile(np.nanmean(np.stack(means), axis=0), [2.5, 97.5]))


def _by_t(values: Scores, scenes: Names, tasks: Names, least: float) -> list[float]:
    """Student's t over scenes; of values that are all alike the bounds of Clopper and Pearson, [least, 1] in all."""
    count = len(np.unique(scenes))
    if np.ptp(values) == 0.0:
        others = 1.0 - 0.025 ** (1.0 / (len(values) if count >= FEW_SCENES else count))  # at most such a share differs
        value = float(values[0])
        return _rounded(value - others * (value - least), value + others * (1.0 - value))
    if count == 1:
        return _rounded(least, 1.0)
    mean, pull = 0.0, np.zeros(count)  # of each scene on the mean
    found = _per_task(values, scenes, tasks)
    for sums, sizes in found:
        share = sums.sum() / sizes.sum()
        mean += share / len(found)
        pull += (sums - share * sizes) / sizes.sum() / len(found)
    half = t_975(count - 1) * math.sqrt(count / (count - 1) * float((pull**2).sum()))
    return _rounded(max(least, mean - half), min(1.0, mean + half))


def _per_task(values: Scores, scenes: Names, tasks: Names) -> list[tuple[Scores, NDArray[np.int64]]]:
    """For each task the sum of the values of each scene and their number, (scenes,) both."""
    names, groups = np.unique(scenes, return_inverse=True)
    found = []
    for task in np.unique(tasks):
        of = tasks == task
        sums = np.bincount(groups[of], weights=values[of], minlength=len(names)).astype(np.float64)
        found.append((sums, np.bincount(groups[of], minlength=len(names)).astype(np.int64)))
    return found


def t_975(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with so many degrees of freedom, to 0.001.

    Hill's expansion of Cornish and Fisher, Abramowitz and Stegun 26.7.5; a table where it has not converged.
    """
    table = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}
    if freedom in table:
        return table[freedom]
    z = 1.959964
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _rounded(low: float, high: float) -> list[float]:
    return [round(float(low), 4), round(float(high), 4)]
