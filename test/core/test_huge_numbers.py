"""Numbers of hundreds of digits in a question or choice are no instructions, and no error but ours comes of them."""

import pytest

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.questions import read_question

HUGE = '9' * 400


@pytest.mark.parametrize(
    ('text', 'choices'),
    [
        (f'My instructions are: 1. go forward {HUGE} m; 2. turn right 90 degrees. Which step am I on?', ()),
        (f'My instructions are: 1. turn left {HUGE} degrees; 2. go forward 2 m. Which step am I on?', ()),
        (
            'My instructions are: 1. go forward 3 m; 2. turn right 90 degrees. Which step am I on?',
            (f'step {HUGE}', '2'),
        ),
        ('Where is the sofa now?', (f'{HUGE} m ahead', 'behind me')),
        (HUGE, (HUGE, '1')),
    ],
    ids=['metres', 'degrees', 'step', 'choice', 'alone'],
)
def test_a_number_that_no_float_holds_is_read_or_refused(text, choices):
    try:
        read_question(text, choices, ('sofa',))
    except EmbodiedRError as error:
        assert len(str(error)) < 5000
