"""Intervals of mean scores: whole scenes are drawn, and each task counts the same."""

import numpy as np

from embodied_r_ros.evaluation.intervals import interval, macro_interval


def test_the_interval_resamples_whole_scenes():
    scenes = np.repeat([f's{number}' for number in range(20)], 10)
    by_scene = np.repeat(np.arange(20) % 2 == 0, 10)
    scattered = np.arange(200) % 2 == 0
    wide, narrow = interval(by_scene, scenes), interval(scattered, scenes)
    assert narrow == [0.5, 0.5]
    assert wide[0] < 0.35 and wide[1] > 0.65


def test_the_mean_of_tasks_counts_each_task_the_same():
    scenes = np.array([f's{number % 10}' for number in range(100)])
    tasks = np.array(['often'] * 90 + ['rare'] * 10)
    scores = (tasks == 'often').astype(float)
    assert macro_interval(scores, scenes, tasks) == [0.5, 0.5]
