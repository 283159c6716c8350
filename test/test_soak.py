"""What a soak comes to: the questions by their ends, recoveries, growth, and the marks that were missed."""

import math

import pytest

from benchmarks.soak.tally import RAISED, Asked, Episode, Soak, Usage, growth


def asked(at_s=0.0, took_s=0.5, code='OK', way='service', **changes):
    ended_s = None if took_s is None else at_s + took_s
    return Asked(way=way, at_s=at_s, deadline_s=1.0, ended_s=ended_s, code=code, **changes)


def used(megabytes):
    return [Usage(at_s=float(at_s), resident_mb=mb, threads=9, descriptors=9) for at_s, mb in enumerate(megabytes)]


def test_questions_are_counted_by_their_ends():
    soak = Soak(asked=[asked(), asked(code='TIMEOUT', took_s=1.2), asked(took_s=None, code='')])
    figures = soak.figures()
    assert {name: figures[name] for name in ('asked', 'answered', 'coded', 'unanswered', 'worst_late_s')} == {
        'asked': 3, 'answered': 1, 'coded': 1, 'unanswered': 1, 'worst_late_s': 0.2,
    }  # fmt: skip


@pytest.mark.parametrize('wrong', [asked(hollow=True), asked(code=RAISED), asked(took_s=None, code='')])
def test_an_empty_answer_an_exception_and_silence_are_no_ends(wrong):
    soak = Soak(asked=[asked(), wrong])
    assert soak.figures()['unanswered'] == 1
    assert soak.misses(late_s=0.3)[0].startswith('1 questions ended without an answer or a code: 1 service')


@pytest.mark.parametrize(
    ('question', 'counted'),
    [
        (asked(at_s=9.5, took_s=None), False),
        (asked(at_s=12.0, took_s=None), False),
        (asked(at_s=12.0, took_s=None, way='action'), False),
        (asked(at_s=12.0, took_s=1.3, way='client', code='TIMEOUT'), True),
        (asked(at_s=5.0, took_s=0.5), True),
        (asked(at_s=20.0, took_s=0.5), True),
    ],
    ids=['open at the kill', 'meanwhile', 'action', 'client', 'before', 'afterwards'],
)
def test_service_and_action_calls_to_a_killed_node_are_left_out(question, counted):
    soak = Soak(asked=[question], outages=[(10.0, 15.0)])
    assert (soak.figures()['asked'], soak.figures()['excluded']) == ((1, 0) if counted else (0, 1))


def test_a_late_result_is_named_with_what_it_said():
    soak = Soak(asked=[asked(), asked(took_s=1.5, code='TIMEOUT', words='too late')])
    assert soak.misses(late_s=1.0) == []
    assert soak.misses(late_s=0.3) == [
        "1 results came more than 0.3 s after the deadline, the worst 0.50 s: 1 service TIMEOUT; it said 'too late'"
    ]


def test_the_worst_recovery_of_each_fault_counts_and_never_is_null():
    soak = Soak(
        asked=[asked()],
        episodes=[
            Episode(name='lm:cut', begun_s=0.0, server=True, to_answer_s=1.0),
            Episode(name='lm:cut', begun_s=9.0, server=True, to_answer_s=6.0, to_description_s=0.5),
            Episode(name='vlm:hang', begun_s=20.0, server=True, to_description_s=math.inf),
            Episode(name='kill:camera_node', begun_s=30.0, to_description_s=6.0),
        ],
    )
    assert soak.figures()['recoveries'] == {'kill:camera_node': 6.0, 'lm:cut': 6.0, 'vlm:hang': None}
    assert soak.misses(late_s=0.3) == [
        'lm:cut was over, and the first answer came after 6.00 s, the first description after 0.50 s',
        'vlm:hang was over, and the first answer came after -, the first description after never',
    ]


def test_growth_is_that_of_the_medians_and_a_peak_is_none():
    assert growth(used([100.0] * 50 + [180.0] + [100.0] * 49), 'resident_mb') == 0.0
    assert growth(used([100.0 + 0.1 * at for at in range(100)]), 'resident_mb') == pytest.approx(7.5, abs=0.2)
    soak = Soak(asked=[asked()], usage={'camera_node': used([100.0 + at for at in range(300)])})
    assert soak.misses(late_s=0.3) == ['camera_node took 239.0 MB more at the end']


def test_growth_of_a_short_soak_is_told_and_not_judged():
    soak = Soak(asked=[asked()], usage={'camera_node': used([100.0 + at for at in range(100)])})
    assert soak.figures()['growth_mb'] == 75.0
    assert soak.misses(late_s=0.3) == []


def test_a_soak_without_any_answer_is_no_success():
    assert Soak(asked=[asked(code='SERVER_DOWN')]).misses(late_s=0.3) == ['no question got an answer']


def test_a_window_that_is_wrongly_told_to_be_empty_is_a_miss():
    soak = Soak(asked=[asked(), asked(code='WINDOW_EMPTY')])
    assert soak.misses(late_s=0.3) == ['1 questions about a minute or more of sight were told WINDOW_EMPTY']
