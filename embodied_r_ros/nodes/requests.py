"""What is asked and answered, as messages and as records of core."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Duration
from embodied_r_interfaces import msg as messages

from embodied_r_ros.app.request import FOCUS_MODES, Request
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Answer, Question
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes.conversions import (
    NS_PER_S,
    error_code,
    evidence_from_message,
    evidence_to_message,
    fields_of,
    known,
    ns_from_stamp,
    stamp_from_ns,
)
from embodied_r_ros.nodes.landmark_messages import landmark_from_message, landmark_to_message

_SAME_IN_ANSWER = ('error_msg', 'answer', 'choice', 'thinking', 'used', 'available', 'model', 'prompt_id')
_ANSWER_NUMBERS = ('confidence', 'consistency', 'stale_s')


def request_from_message(message: messages.SpatialQuestion) -> Request:
    """What is asked; the question's words and choices are held against the rules by core.answers, not here.

    Raises:
        InputError: there can be no such window, or a number or mode is not allowed.
    """
    start_ns, end_ns, as_of_ns = (
        ns_from_stamp(stamp) or None for stamp in (message.window_start, message.window_end, message.as_of)
    )
    if min(start_ns or 0, end_ns or 0, as_of_ns or 0) < 0:
        raise InputError('window_start, window_end and as_of must not lie before 0; leave out what is not meant')
    last_s = None if math.isnan(message.window_last_s) or message.window_last_s == 0.0 else message.window_last_s
    deadline_ns = ns_from_stamp(message.deadline)
    if deadline_ns < 0:
        raise InputError(f'deadline must be positive, or zero for the default, got {deadline_ns / NS_PER_S!r} s')
    question = Question(
        text=clean(message.question),
        choices=tuple(map(clean, message.choices)),
        votes=max(1, message.votes),
        check_consistency=message.check_consistency,
    )
    return Request(
        question=question,
        start_ns=start_ns,
        end_ns=end_ns,
        last_s=last_s,
        as_of_ns=as_of_ns,
        focus=known(FOCUS_MODES, message.focus, 'focus mode'),
        fresh=message.fresh,
        deadline_s=deadline_ns / NS_PER_S or None,
    )


def request_to_message(request: Request) -> messages.SpatialQuestion:
    """A question message."""
    question = request.question
    deadline_ns = round((request.deadline_s or 0.0) * NS_PER_S)
    return messages.SpatialQuestion(
        question=clean(question.text),
        choices=list(map(clean, question.choices)),
        window_start=stamp_from_ns(request.start_ns or 0),
        window_end=stamp_from_ns(request.end_ns or 0),
        window_last_s=0.0 if request.last_s is None else float(request.last_s),
        as_of=stamp_from_ns(request.as_of_ns or 0),
        focus=FOCUS_MODES.index(request.focus),
        fresh=request.fresh,
        check_consistency=question.check_consistency,
        votes=question.votes,
        deadline=Duration(sec=deadline_ns // NS_PER_S, nanosec=deadline_ns % NS_PER_S),
    )


def answer_from_message(message: messages.SpatialAnswer) -> Answer:
    """An answer; a code that is not known here, as from a newer node, is INTERNAL.

    Raises:
        InputError: a stamp or pose in it cannot be used.
    """
    return Answer(
        error_code=error_code(message.error_code),
        evidence=tuple(map(evidence_from_message, message.evidence)),
        landmarks=tuple(map(landmark_from_message, message.landmarks)),
        seen_until_ns=ns_from_stamp(message.seen_until),
        timings_s={timing.stage: timing.duration_s for timing in message.timings},
        **fields_of(message, _SAME_IN_ANSWER + _ANSWER_NUMBERS),
    )


def answer_to_message(answer: Answer) -> messages.SpatialAnswer:
    """An answer message."""
    return messages.SpatialAnswer(
        error_code=int(answer.error_code),
        evidence=list(map(evidence_to_message, answer.evidence)),
        landmarks=list(map(landmark_to_message, answer.landmarks)),
        seen_until=stamp_from_ns(answer.seen_until_ns),
        timings=[messages.StageTime(stage=stage, duration_s=float(s)) for stage, s in answer.timings_s.items()],
        **{name: float(getattr(answer, name)) for name in _ANSWER_NUMBERS},
        **fields_of(answer, _SAME_IN_ANSWER),
    )
