"""The one percentile."""

import math

import pytest

from embodied_r_ros.core.statistics import percentile


@pytest.mark.parametrize(
    ('values', 'percent', 'expected'),
    [
        pytest.param([3.0, 1.0, 2.0], 50, 2.0, id='middle of three'),
        pytest.param([4.0, 1.0, 3.0, 2.0], 50, 2.0, id='lower of two middles'),
        pytest.param(range(1, 101), 95, 95, id='95 of 100'),
        pytest.param([1.0, 2.0], 95, 2.0, id='95 of two'),
        pytest.param([5.0], 1, 5.0, id='of one'),
        pytest.param([2.0, 1.0], 0, 1.0, id='smallest'),
        pytest.param([2.0, 1.0], 100, 2.0, id='largest'),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent, expected):
    assert percentile(values, percent) == expected


def test_nothing_measured_has_no_percentile():
    assert math.isnan(percentile([], 50))
