"""A request: what its window may be, whoever asks."""

import math
import re

import pytest

from embodied_r_ros.app.request import Request
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Question

QUESTION = Question(text='Where?')


@pytest.mark.parametrize(
    ('fields', 'window'),
    [
        pytest.param({}, (None, 100), id='all'),
        pytest.param({'as_of_ns': 90}, (None, 90), id='as of'),
        pytest.param({'start_ns': 10}, (10, 100), id='from'),
        pytest.param({'start_ns': 10, 'end_ns': 20}, (10, 20), id='from to'),
        pytest.param({'end_ns': 200}, (None, 100), id='end in the future'),
        pytest.param({'last_s': 6e-8}, (40, 100), id='last'),
        pytest.param({'last_s': 6e-8, 'as_of_ns': 80}, (20, 80), id='last as of'),
    ],
)
def test_the_window_is_cut_at_the_present(fields, window):
    assert Request(question=QUESTION, **fields).window(100) == window


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        *(
            pytest.param(
                {'last_s': last_s},
                f"a window's length must be above 0 and below 2147483648 s, got {last_s!r}; leave it out for all",
                id=f'length {last_s!r}',
            )
            for last_s in (0, 0.0, -3.0, math.nan, math.inf, 1e300)
        ),
        pytest.param({'last_s': 1.0, 'end_ns': 5}, 'a window is bounds or a length, got both, length 1.0 s', id='both'),
        pytest.param({'last_s': 1.0, 'start_ns': 0}, 'bounds or a length, got both', id='both, from the beginning'),
        pytest.param({'start_ns': 5, 'end_ns': 3}, 'must not end before it starts, got 5 to 3 ns', id='backwards'),
        pytest.param({'focus': 'sometimes'}, "focus must be one of off, auto, always, got 'sometimes'", id='focus'),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_the_rule_it_breaks(fields, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Request(question=QUESTION, **fields)
