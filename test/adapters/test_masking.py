"""Foreign text made fit to leave, whole and in pieces; and patterns held against their worst case."""

from __future__ import annotations

import random
import re
import time

import pytest

from embodied_r_ros.adapters import lm_openai, openai_refusals
from embodied_r_ros.adapters.masking import Mask, MaskedPieces
from embodied_r_ros.core import yaml_file

KEY = 'sk-ab/sk-abc"d'
MILLION = 1_000_000


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        (f'a {KEY} b', 'a *** b'),
        (KEY + KEY, '******'),
        ('sk-ab/sk-abc\\"d', '***'),
        ('sk-ab\\/sk-abc"d', '***'),
        ('sk-ab%2Fsk-abc%22d', '***'),
        ('sk-ab\0/sk-abc"d', '***'),
        ('sk-ab', 'sk-ab'),
    ],
)
def test_a_secret_is_replaced_in_each_of_its_forms(text, shown):
    assert Mask([KEY])(text) == shown


def test_a_short_secret_is_left_alone():
    assert Mask(['', 'abc'])('abc') == 'abc'


def pieces_of(text, chance):
    while text:
        length = chance.randint(1, 9)
        yield text[:length]
        text = text[length:]


def test_text_in_pieces_is_shown_as_the_whole_is():
    chance = random.Random(3)
    parts = [KEY, KEY[:5], 'sk-', '<|im_end|>', '<|im', '<', '[', '</s>', ' word ', 'x', '\n', '<answer>A</answer>']
    for _ in range(3000):
        text = ''.join(chance.choice(parts) for _ in range(chance.randint(0, 12)))
        held, mask = MaskedPieces(Mask([KEY])), Mask([KEY])
        shown = ''.join([*map(held.take, pieces_of(text, chance)), held.rest()])
        assert shown == mask(text) and KEY not in shown


def test_little_is_held_back():
    held = MaskedPieces(Mask([KEY]))
    assert held.take('The door') == 'The door'
    assert held.take(' left. s') == ' left. '
    assert held.take('ee <think') == 'see '
    assert held.take('>') == '<think>'
    assert held.take('<' + 'x' * 60) == '<' + 'x' * 60


WORST = ['a', ' ', '</', '</a', "'", '"', '<', 'stream', 'stream_', '_']
PATTERNS = [
    pattern
    for module in (lm_openai, openai_refusals, yaml_file)
    for pattern in vars(module).values()
    if isinstance(pattern, re.Pattern)
]


@pytest.mark.parametrize('pattern', PATTERNS, ids=lambda pattern: pattern.pattern)
@pytest.mark.parametrize('unit', WORST)
def test_a_pattern_is_done_with_its_worst_case_in_no_time(pattern, unit):
    text = (unit * MILLION)[:MILLION]
    start_s = time.perf_counter()
    for one in (text, '</' + text):
        pattern.search(one)
        pattern.fullmatch(one)
    assert time.perf_counter() - start_s < 1.0


def test_there_are_patterns_to_try():
    assert len(PATTERNS) == 4


@pytest.mark.parametrize('unit', ['sk-a', '<', '[', '<|a', '<|im_end|>', KEY, '\0', '\ud83d'])
@pytest.mark.parametrize('length', [MILLION, 10])
def test_a_long_text_is_shown_in_no_time(unit, length):
    text = (unit * MILLION)[: MILLION if length == MILLION else 50_000]
    held = MaskedPieces(Mask([KEY]))
    start_s = time.perf_counter()
    for start in range(0, len(text), length):
        held.take(text[start : start + length])
    assert time.perf_counter() - start_s < 1.0
