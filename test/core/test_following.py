"""Whether a thought follows its log: every worked thought does, and one that invents or skips something does not."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.asking import Ask
from embodied_r_ros.core.coarse import CoarseLog, CoarseSighting, CoarseStep
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import CannotTell, ReplyError
from embodied_r_ros.core.following import astray
from embodied_r_ros.core.questions import ParsedQuestion
from embodied_r_ros.core.reasoning import SECOND_THOUGHTS, ReasoningSettings, answer, failure
from embodied_r_ros.core.records import Completion, ErrorCode, Question
from embodied_r_ros.evaluation.phrase_reader import from_words

LOG = CoarseLog(
    (
        CoarseStep('start', 0, (CoarseSighting('sofa', 15, 6, 0),)),
        CoarseStep('left', 90),
        CoarseStep('stay', 0, (CoarseSighting('desk', 0, 1, 2),)),
        CoarseStep('forward', 4),
    )
)
ASK = Ask(ParsedQuestion(task='relative distance', objects=('sofa', 'desk')))
NAMES = {'sofa': 'n7', 'desk': 'n9'}
THOUGHT = (
    'p0 0deg 0 0 ; s1 left 90deg p1 270deg 0 0 ; s2 stay p2 270deg 0 0 ; s3 forward 2m -4 0 p3 270deg -4 0 . '
    'q1 n7 o0 right15deg 3m p0 0deg 0 0 = 15deg 2 6 r1 2 6 ; q2 n9 o2 ahead 0.5m p2 270deg 0 0 = 270deg -1 0 r2 -1 0 .'
)
GOES_ASTRAY = {
    'a turn to the other side': (
        's1 left 90deg',
        's1 right 90deg',
        "wanted the move 's1 left 90deg', got 's1 right 90deg'",
    ),
    'another size': ('s3 forward 2m', 's3 forward 2.5m', "wanted the move 's3 forward 2m', got 's3 forward 2.5m'"),
    'another number': ('s3 forward', 's4 forward', "wanted the move 's3 forward 2m', got 's4 forward 2m'"),
    'a move skipped': ('s1 left 90deg p1', 'p1', "wanted the move 's1 left 90deg', got 's3 forward 2m'"),
    'the last move skipped': ('s3 forward 2m -4 0', '', "wanted the move 's3 forward 2m', got 'nothing'"),
    'a move beyond the last': (
        ' . q1',
        ' ; s4 left 15deg p4 255deg -4 0 . q1',
        "wanted the move 'nothing', got 's4 left 15deg'",
    ),
    'a thing elsewhere': (
        'o0 right15deg',
        'o0 left15deg',
        "wanted the sighting 'q1 n7 o0 right15deg 3m', got 'q1 n7 o0 left15deg 3m'",
    ),
    'a thing at another step': (
        'n9 o2',
        'n9 o3',
        "wanted the sighting 'q2 n9 o2 ahead 0.5m', got 'q2 n9 o3 ahead 0.5m'",
    ),
    'another thing': ('q2 n9', 'q2 n8', "wanted the sighting 'q2 n9 o2 ahead 0.5m', got 'q2 n8 o2 ahead 0.5m'"),
    'a thing skipped': (' ; q2 n9 o2 ahead 0.5m', '', "wanted the sighting 'q2 n9 o2 ahead 0.5m', got 'nothing'"),
    'a thing too many': (
        'r2 -1 0',
        'r2 -1 0 ; q3 n1 o0 ahead 1m',
        "wanted the sighting 'nothing', got 'q3 n1 o0 ahead 1m'",
    ),
}


def test_a_thought_that_writes_each_move_and_sighting_follows_its_log():
    assert astray(THOUGHT, ASK, LOG, NAMES) == ''


def test_a_thought_may_leave_out_that_the_robot_stood_still():
    assert astray(THOUGHT.replace('s2 stay p2 270deg 0 0 ; ', ''), ASK, LOG, NAMES) == ''


@pytest.mark.parametrize(('part', 'written', 'message'), GOES_ASTRAY.values(), ids=GOES_ASTRAY)
def test_what_a_thought_invents_or_skips_is_named(part, written, message):
    changed = THOUGHT.replace(part, written)
    assert changed != THOUGHT
    assert astray(changed, ASK, LOG, NAMES) == message


RIGHT_OF_ME = '<think> s1 left 90deg . q1 {} o0 ahead 2m </think> <answer> right </answer>'
THOUGHT_UP = RIGHT_OF_ME.replace('90deg', '45deg')


def asked(votes, *replies, choices=()):
    """The answer to a question after so many thoughts, and what was requested for replies that come one by one."""
    seen = [
        from_words(session=0, index=0, stamp_ns=0, action='', text='sofa straight ahead at 2.0 m'),
        from_words(session=0, index=1, stamp_ns=1, action='rotated left 90 deg', text='nothing new'),
    ]
    question = Question(text='Where is the sofa now?', choices=choices, votes=votes)
    steps = answer(question, seen, CompactFormat(), ReasoningSettings())
    requests, written = [], iter(replies)
    step = next(steps)
    try:
        while True:
            requests += step
            name = step[0].messages[0].content.split()[3]
            step = steps.send([Completion(text=next(written).format(name)) for _ in step])
    except StopIteration as done:
        return done.value, requests


def test_a_thought_that_follows_what_was_seen_answers():
    found, requests = asked(1, RIGHT_OF_ME)
    assert found.answer == 'right' and len(requests) == 1


def test_after_a_thought_that_does_not_another_one_is_sampled():
    found, requests = asked(1, THOUGHT_UP, THOUGHT_UP, RIGHT_OF_ME)
    assert (found.error_code, found.answer) == (ErrorCode.OK, 'right')
    assert [request.temperature > 0 for request in requests] == [False, True, True]
    assert len({request.seed for request in requests}) == 3


@pytest.mark.parametrize('reply', [RIGHT_OF_ME.replace('right', 'behind'), 'hm'], ids=['no choice', 'unreadable'])
def test_after_a_reply_that_names_no_choice_another_thought_is_sampled(reply):
    found, requests = asked(1, reply, RIGHT_OF_ME, choices=('to my left', 'to my right'))
    assert (found.error_code, found.answer, found.forced) == (ErrorCode.OK, 'to my right', False)
    assert len(requests) == 2


def test_an_open_question_is_not_thought_about_again_for_an_unreadable_reply():
    with pytest.raises(ReplyError):
        asked(1, 'hm')


def test_where_none_follows_there_is_no_answer_and_it_is_said_what_was_made_up():
    with pytest.raises(CannotTell, match="does not follow what was seen .wanted the move 's1 left 90deg'") as caught:
        asked(1, *[THOUGHT_UP] * (1 + SECOND_THOUGHTS))
    assert failure(caught.value).error_code is ErrorCode.CANNOT_TELL


def test_thoughts_that_do_not_follow_count_against_the_confidence():
    found, requests = asked(3, THOUGHT_UP, RIGHT_OF_ME, RIGHT_OF_ME)
    assert (found.answer, found.confidence) == ('right', pytest.approx(2 / 3))
    assert len(requests) == 3
