"""Drills: as many as asked for, all right, all in the language of the thoughts."""

from __future__ import annotations

import collections
import random

from worked import check_arithmetic

from embodied_r_ros.core.compact import BOS, EOS, MAX_STEPS, vocabulary
from training.lessons import drilled
from training.world.drills import carried_out, drill


def words_of(text):
    """A drill without what tells the derived tokens from the rest."""
    return ' '.join(word for word in text.split() if word not in ('[', ']'))


def test_every_sum_in_a_drill_is_right_and_all_kinds_are_practised():
    done = collections.Counter()
    for seed in range(60):
        opening, _, rows = words_of(drill(random.Random(seed))).partition(' ? ')
        assert opening.startswith('drill : ')
        done += check_arithmetic(rows)
    assert set(done) == {'look-up', 'subtraction', 'angles', 'least', 'step'}
    assert min(done.values()) > 20


def test_a_drill_is_as_long_as_asked_for():
    text = drill(random.Random(0), count=5)
    assert 5 <= text.count(' . ') + 1 <= 10
    assert drill(random.Random(0), count=1).startswith('drill : ')


def test_drills_are_told_in_the_language():
    rng = random.Random(1)
    words = set(vocabulary())
    for _ in range(300):
        assert set(words_of(drill(rng)).split()) <= words


def test_the_same_dice_give_the_same_drills():
    assert drill(random.Random(4)) == drill(random.Random(4))
    assert drill(random.Random(4)) != drill(random.Random(5))


def test_nothing_of_a_drill_is_learnt_but_what_follows_from_the_rest():
    lesson = drilled('drill : lr ? dir 30deg - 15deg = [ 15deg right ] . r2 3 4 - r1 1 1 = [ 2 3 ]')
    words = [vocabulary()[number] for number in lesson.ids]
    assert words[:2] == [BOS, 'drill'] and words[-1] == EOS
    learnt = [k for k in range(lesson.given, len(words)) if k not in lesson.dice]
    assert [words[k] for k in learnt] == ['15deg', 'right', '2', '3', EOS]


def test_a_plan_that_is_practised_was_begun_and_its_log_is_no_longer_than_is_served():
    for seed in range(200):
        log, asked = carried_out(random.Random(seed))
        assert 1 <= len(log.steps) <= MAX_STEPS
        assert log.steps[0].kind == 'start'
        assert 2 <= len(asked.plan) <= 4
