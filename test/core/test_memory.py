"""The memory of observations, and the choice of what is put before the reasoner."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.memory import ObservationMemory, move_table, select, sharing
from embodied_r_ros.evaluation.phrase_reader import from_words

SECOND = 1_000_000_000


def seen(index, text='a grey wall', session=1, stamp_ns=None):
    stamp_ns = index * SECOND if stamp_ns is None else stamp_ns
    return from_words(session=session, index=index, stamp_ns=stamp_ns, action='', text=text)


def indices(observations):
    return [observation.index for observation in observations]


def filled(observations, bound=1000):
    memory = ObservationMemory(bound)
    for observation in observations:
        memory.add(observation)
    return memory


def test_observations_come_out_by_stamp_in_whatever_order_they_came():
    memory = filled([seen(2), seen(0), seen(3), seen(1)])
    assert indices(memory.window()) == [0, 1, 2, 3]
    assert len(memory) == 4


def test_an_observation_added_twice_is_held_once():
    memory = ObservationMemory(10)
    assert memory.add(seen(0)) and memory.add(seen(1))
    assert not memory.add(seen(0))
    assert len(memory) == 2


def test_a_repeated_observation_replaces_the_older_one_and_moves_to_its_stamp():
    memory = filled([seen(0), seen(1), seen(0, 'a red sofa', stamp_ns=5 * SECOND)])
    assert [(o.index, o.text) for o in memory.window()] == [(1, 'a grey wall'), (0, 'a red sofa')]


def test_equal_and_zero_stamps_are_told_apart_by_index():
    memory = filled([seen(1, stamp_ns=0), seen(0, stamp_ns=0), seen(2, stamp_ns=0)])
    assert indices(memory.window(end_ns=0)) == [0, 1, 2]


@pytest.mark.parametrize(
    ('start_s', 'end_s', 'expected'),
    [
        pytest.param(None, None, [0, 1, 2, 3, 4], id='open'),
        pytest.param(1, 3, [1, 2, 3], id='both-ends-count'),
        pytest.param(3, None, [3, 4], id='from'),
        pytest.param(None, 1, [0, 1], id='until'),
        pytest.param(3, 1, [], id='ends-before-it-starts'),
        pytest.param(50, 60, [], id='in-the-future'),
        pytest.param(1.2, 1.8, [], id='between-two-frames'),
    ],
)
def test_a_window_is_cut_by_stamp(start_s, end_s, expected):
    memory = filled(seen(index) for index in range(5))
    start_ns, end_ns = (None if s is None else int(s * SECOND) for s in (start_s, end_s))
    assert indices(memory.window(start_ns=start_ns, end_ns=end_ns)) == expected


def test_windows_never_cross_sessions():
    memory = filled([seen(0, session=1), seen(0, session=2), seen(1, session=1)])
    assert [o.session for o in memory.window()] == [2]
    assert indices(memory.window(session=1)) == [0, 1]
    assert memory.window(session=3) == []


def test_the_latest_session_is_the_one_heard_of_last_even_when_time_jumped_back():
    memory = filled([seen(0, session=900), seen(0, session=100)])
    assert memory.latest_session == 100
    memory.add(seen(1, session=900))
    assert memory.latest_session == 100


def test_an_empty_memory_has_an_empty_window():
    memory = ObservationMemory(3)
    assert memory.window() == [] and memory.latest_session is None


def test_when_full_the_oldest_goes_and_is_counted():
    memory = filled([seen(0, session=1), *(seen(i, session=2) for i in (3, 0, 1, 2))], bound=3)
    assert memory.window(session=1) == []
    assert indices(memory.window()) == [1, 2, 3]
    assert len(memory) == 3 and memory.dropped == 2


def test_clear_forgets_everything():
    memory = filled([seen(0)])
    memory.clear()
    assert len(memory) == 0 and memory.window() == []


def test_a_memory_for_nothing_is_a_settings_error():
    with pytest.raises(SettingsError, match='max_observations must be at least 1, got 0'):
        ObservationMemory(0)


def test_all_are_selected_when_they_fit():
    observations = [seen(index) for index in range(32)]
    assert select(observations, 'Where is the sofa?', 32) == list(range(len(observations)))


def test_the_first_the_last_and_those_that_share_a_word_are_selected():
    observations = [seen(index) for index in range(100)]
    for index in (17, 61, 62):
        observations[index] = seen(index, 'two red SOFAS 20 deg left')
    chosen = select(observations, 'Where is the sofa from the desk?', 8)
    assert len(chosen) == 8 and chosen == sorted(chosen)
    assert {0, 17, 61, 62, 99} <= set(chosen)


def test_the_rest_is_spread_evenly():
    chosen = select([seen(index) for index in range(100)], 'Where is the sofa?', 12)
    gaps = [after - before for before, after in zip(chosen, chosen[1:])]
    assert len(chosen) == 12 and max(gaps) <= 12


def test_the_rarer_word_goes_first_when_many_share_one():
    observations = [seen(i, 'a door' if i % 8 == 0 else 'a wall') for i in range(400)]
    observations[203] = seen(203, 'an extinguisher')
    assert 203 in select(observations, 'Did I pass the door or the extinguisher first?', 6)


def test_a_word_that_stands_everywhere_does_not_count():
    observations = [seen(i, 'a street') for i in range(400)]
    observations[203] = seen(203, 'a street with a fountain')
    chosen = select(observations, 'Where on the street is the fountain?', 6)
    assert 203 in chosen
    assert max(after - before for before, after in zip(chosen, chosen[1:])) < 200


def test_direction_words_do_not_count():
    observations = [seen(i, 'wall') for i in range(100)]
    observations[40] = seen(40, 'nothing on the left')
    chosen = select(observations, 'Is the sofa on my left?', 3)
    assert chosen == select([seen(i, 'wall') for i in range(100)], 'Is the sofa on my left?', 3)


@pytest.mark.parametrize(('n', 'expected'), [(1, [9]), (2, [0, 9])])
def test_with_little_room_the_ends_are_kept(n, expected):
    assert select([seen(i) for i in range(10)], 'sofa', n) == expected


@pytest.mark.parametrize(
    ('question', 'n', 'expected'),
    [
        ('Where is the lamp?', 4, [2]),
        ('Is the lamp beside the red sofa?', 4, [1, 2, 5]),
        ('Is the lamp beside the red sofa?', 2, [2, 5]),
        ('Which way is the exit?', 4, []),
        ('Is it grey?', 4, []),
    ],
    ids=['one word', 'all that share one', 'the rarer word first', 'none', 'a word of most'],
)
def test_what_shares_a_word_with_the_question_is_found(question, n, expected):
    texts = {1: 'a red sofa', 2: 'a lamp', 5: 'a red sofa'}
    assert sharing([seen(index, texts.get(index, 'a grey wall')) for index in range(10)], question, n) == expected


def test_in_a_short_window_a_word_that_stands_once_counts():
    assert sharing([seen(0), seen(1, 'a lamp'), seen(2)], 'Where is the lamp?', 4) == [1]


@pytest.mark.parametrize(
    ('question', 'text'),
    [('Where is the bus?', 'two buses'), ('Where is the TV?', 'a tv'), ('沙发在哪里?', '红色沙发')],
    ids=['plural', 'two letters', 'chinese'],
)
def test_short_words_plurals_and_scripts_without_spaces_are_found(question, text):
    assert sharing([seen(0), seen(1, text), seen(2)], question, 4) == [1]


def test_one_of_several_is_found_by_its_number():
    observations = [seen(index, f'chair {index} 20 deg left at 3.2 m') for index in range(100)]
    assert sharing(observations, 'Where is chair 17?', 4) == [17]


def wandering(count, seed=0):
    """Observations in a random order of arrival, some of them twice, with moves and words of their own."""
    rng = random.Random(seed)
    words = ['sofa', 'lamp', 'red door', 'desk', 'bin']
    found = [
        from_words(
            1, index, index * SECOND, f'rotated left {rng.randint(2, 90)} deg, moved left {rng.random() + 0.1:.2f} m',
            f'{rng.choice(words)} {index % 40} deg left at 2.0 m',
        )
        for index in range(count)
    ]  # fmt: skip
    again = [dataclasses.replace(one, text='a red door') for one in rng.sample(found, count // 4)]
    return rng.sample(found, count) + again


QUESTIONS = ('Where is the red door?', 'Is the sofa nearer than the lamp?', 'Where is the piano?')


def same_as_a_plain_list(window):
    plain = list(window)
    np.testing.assert_array_equal(move_table(window), move_table(plain))
    for question in QUESTIONS:
        assert sharing(window, question, 5) == sharing(plain, question, 5)
        assert select(window, question, 7) == select(plain, question, 7)
    return True


@pytest.mark.parametrize('bound', [1000, 50], ids=['all kept', 'the oldest gone'])
def test_a_window_reads_what_the_memory_has_laid_out(bound):
    memory = filled(wandering(400), bound)
    assert len(memory) == min(bound, 400)
    assert same_as_a_plain_list(memory.window())
    assert same_as_a_plain_list(memory.window(start_ns=360 * SECOND, end_ns=385 * SECOND))


def test_a_window_with_others_in_it_reads_these_from_themselves():
    window = filled(wandering(60)).window()
    changed = window.changed({3: seen(3, 'a red door'), 60: seen(60, 'a piano')})
    assert (len(window), len(changed)) == (60, 61)
    assert same_as_a_plain_list(changed)
    assert same_as_a_plain_list(changed.changed({5: seen(5, 'a piano'), 61: seen(61, 'a sofa')}))


def test_a_window_stays_as_it_was_when_the_memory_goes_on():
    memory = filled(wandering(60))
    window = memory.window()
    plain, table = list(window), move_table(window).copy()
    for observation in wandering(90, seed=1):
        memory.add(observation)
    assert list(window) == plain
    np.testing.assert_array_equal(move_table(window), table)
    assert same_as_a_plain_list(window)
    assert same_as_a_plain_list(memory.window())
