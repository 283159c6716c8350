import random

import pytest

from embodied_r_ros.adapters.openai_replies import Gathered
from embodied_r_ros.adapters.repetition import TAIL, Repetition
from embodied_r_ros.core.errors import ReplyError


def told(pieces):
    watch = Repetition()
    return next((unit for unit in map(watch.unit, pieces) if unit), '')


@pytest.mark.parametrize('unit', ['hmm ', ' ', '\n', 'go on. ', 'Frame 1 shows the wall, so I look at Frame 2 again. '])
def test_a_text_that_repeats_itself_is_noticed(unit):
    assert sorted(told([unit] * (4 * TAIL // len(unit)))) == sorted(unit)


@pytest.mark.parametrize(
    'text',
    [
        ' '.join(f'Frame {number} shows a wall.' for number in range(200)),
        'x' * (TAIL - 1),
        'go forward 1 m; ' * 30 + 'then stop',
        '. '.join(random.Random(1).choices(('a red door', 'a lamp', 'a sofa'), k=300)),
    ],
    ids=['numbers that count', 'too short', 'a plan of thirty steps', 'an order that changes'],
)
def test_an_ordinary_text_is_not(text):
    assert told([text[at : at + 7] for at in range(0, len(text), 7)]) == ''


def test_a_stream_that_repeats_itself_ends_as_a_reply_that_cannot_be_read():
    gathered = Gathered()
    with pytest.raises(ReplyError, match="the model repeats 'hmm ' without end") as caught:
        for _ in range(1000):
            gathered.take({'choices': [{'delta': {'content': 'hmm '}}]})
    assert len(caught.value.raw) < 1000
