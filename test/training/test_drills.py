"""Drills: as many as asked for, all right, all in the language of the thoughts."""

from __future__ import annotations

import collections
import random

from worked import check_arithmetic

from embodied_r_ros.core.compact import vocabulary
from training.world.drills import drill


def test_every_sum_in_a_drill_is_right_and_all_kinds_are_practised():
    done = collections.Counter()
    for seed in range(60):
        done += check_arithmetic(drill(random.Random(seed)))
    assert set(done) == {'look-up', 'subtraction', 'angles', 'least', 'rest', 'step'}
    assert min(done.values()) > 20


def test_a_drill_is_as_long_as_asked_for():
    text = drill(random.Random(0), count=5)
    assert text.startswith('drill ')
    assert 5 <= text.count(' . ') + 1 <= 10
    assert drill(random.Random(0), count=1).startswith('drill ')


def test_drills_are_told_in_the_language():
    rng = random.Random(1)
    words = set(vocabulary())
    for _ in range(300):
        assert set(drill(rng).split()) <= words


def test_the_same_dice_give_the_same_drills():
    assert drill(random.Random(4)) == drill(random.Random(4))
    assert drill(random.Random(4)) != drill(random.Random(5))
