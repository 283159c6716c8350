"""Intervals of mean scores: scenes are the units, few of them make wide ones, and each task counts the same."""

import numpy as np
import pytest

from embodied_r_ros.evaluation.intervals import difference_interval, interval, macro_interval, t_975


def scenes_of(count, each=1):
    return np.repeat([f's{number:03}' for number in range(count)], each)


def test_whole_scenes_are_resampled():
    by_scene = np.repeat(np.arange(20) % 2 == 0, 10).astype(float)
    scattered = (np.arange(200) % 2 == 0).astype(float)
    wide, narrow = interval(by_scene, scenes_of(20, 10)), interval(scattered, scenes_of(20, 10))
    assert narrow == [0.5, 0.5]
    assert wide[0] < 0.35 and wide[1] > 0.65


def test_few_scenes_have_the_interval_of_students_t():
    shares = np.array([0.6, 0.7, 0.8, 0.9])
    half = 3.1824 * shares.std(ddof=1) / 2
    assert interval(shares, scenes_of(4)) == [
        pytest.approx(0.75 - half, abs=1e-4),
        pytest.approx(0.75 + half, abs=1e-4),
    ]


def test_the_interval_of_few_scenes_holds_the_mean_in_95_of_100_cases():
    rng, held, runs = np.random.default_rng(0), 0, 2000
    for _ in range(runs):
        low, high = interval(rng.normal(0.5, 0.05, 4), scenes_of(4))
        held += low <= 0.5 <= high
    assert held / runs == pytest.approx(0.95, abs=0.015)


def test_a_scene_of_more_questions_weighs_more():
    low, high = difference_interval(np.repeat([0.1, 0.3, 0.2], [8, 1, 1]), np.repeat(['a', 'b', 'c'], [8, 1, 1]))
    assert (low + high) / 2 == pytest.approx(0.13, abs=1e-4)


def test_an_interval_ends_where_scores_do():
    low, high = interval(np.array([1.0, 1.0, 0.9]), scenes_of(3))
    assert high == 1.0
    assert low == pytest.approx(0.9667 - 4.3027 / 30, abs=1e-4)
    assert difference_interval(np.array([-1.0, 1.0]), scenes_of(2)) == [-1.0, 1.0]


@pytest.mark.parametrize(
    ('score', 'questions', 'scenes', 'expected'),
    [(1.0, 279, 279, [0.9869, 1.0]), (0.0, 279, 279, [0.0, 0.0131]), (1.0, 40, 4, [0.3976, 1.0])],
    ids=['all right', 'none right', 'few scenes'],
)
def test_where_all_are_right_or_wrong_the_interval_is_that_of_clopper_and_pearson(score, questions, scenes, expected):
    scores = np.full(questions, score)
    assert interval(scores, scenes_of(scenes, questions // scenes)) == pytest.approx(expected, abs=1e-4)


def test_two_alike_on_all_questions_may_differ_on_a_few_others():
    assert difference_interval(np.zeros(100), scenes_of(100)) == pytest.approx([-0.0362, 0.0362], abs=1e-4)


def test_differences_have_the_interval_of_students_t_however_many_scenes():
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 400)
    half = 1.9659 * differences.std(ddof=1) / 20
    low, high = difference_interval(differences, scenes_of(400))
    assert (low, high) == (
        pytest.approx(differences.mean() - half, abs=1e-4),
        pytest.approx(differences.mean() + half, abs=1e-4),
    )


def test_one_scene_bounds_nothing():
    assert interval(np.array([0.0, 1.0, 1.0]), np.array(['a', 'a', 'a'])) == [0.0, 1.0]


def test_the_mean_of_tasks_counts_each_task_the_same():
    tasks = np.array(['often'] * 90 + ['rare'] * 10)
    scores = (tasks == 'often').astype(float)
    assert macro_interval(scores, np.array([f's{number % 30}' for number in range(100)]), tasks) == [0.5, 0.5]
    assert macro_interval(scores, np.array([f's{number % 10}' for number in range(100)]), tasks) == [0.5, 0.5]


@pytest.mark.parametrize(
    ('freedom', 'expected'),
    [(1, 12.7062), (3, 3.1824), (5, 2.5706), (9, 2.2622), (18, 2.1009), (30, 2.0423), (120, 1.9799)],
)
def test_quantiles_of_students_t_are_those_of_the_tables(freedom, expected):
    assert t_975(freedom) == pytest.approx(expected, abs=1e-3)
