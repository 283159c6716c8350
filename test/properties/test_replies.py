"""Whatever a model server sends is read or refused by name, and what is read can be published."""

import asyncio
import json

import pytest
from arbitrary import completions, json_values, outcome, replies, share, texts
from fake_models import observation
from hypothesis import given
from hypothesis import strategies as st

from embodied_r_ros.adapters.events import read_events
from embodied_r_ros.adapters.masking import Mask
from embodied_r_ros.adapters.openai_replies import Gathered, Told, read_completion, read_json
from embodied_r_ros.core import answers, citations
from embodied_r_ros.core import replies as core_replies
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.core.text import clean

pytestmark = pytest.mark.slow

bodies = st.one_of(
    completions.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode('utf-8', 'surrogatepass')),
    st.binary(max_size=60),
    st.integers(0, 3000).map(lambda depth: b'[' * depth + b']' * depth),
    completions.flatmap(lambda value: st.integers(0, 200).map(lambda end: json.dumps(value).encode()[:end])),
)
PAPER_QUESTION = Question(text='Where is the lamp?', choices=('left', 'right', 'A'))
COMPACT_QUESTION = Question(text='Where is the lamp now?', choices=('to my left', 'to my right'))


@share(15)
@given(bodies)
def test_any_body_is_a_completion_or_a_reply_error(body):
    reply = outcome(read_completion, body)
    if reply is not None:
        assert isinstance(reply.text, str) and isinstance(reply.reasoning, str) and isinstance(reply.tokens, int)


@share(10)
@given(st.lists(completions.map(json.dumps) | texts, max_size=4))
def test_any_events_are_gathered_or_refused(events):
    told = []
    mask = Mask(['sk-secret'])
    gathered = Gathered(mask, Told(told.append))

    def take():
        for event in events:
            gathered.take(read_json(event, mask))
        return gathered.reply()

    reply = outcome(take)
    if reply is not None:
        assert sorted(reply.text + reply.reasoning) == sorted(''.join(told))


@share(8)
@given(
    st.lists(
        st.sampled_from(
            [b'data: ', b'data:', b'\n', b'\r\n', b': x', b'{"a": 1}', b'[DONE]', b'\xff', b'event: x', b'\xef\xbb\xbf']
        )
        | st.binary(max_size=8),
        max_size=12,
    ).map(b''.join),
    st.lists(st.integers(0, 80), max_size=4),
)
def test_events_are_the_same_wherever_the_stream_is_cut(stream, cuts):
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [stream[start:end] for start, end in zip(places, places[1:])]
    assert outcome(events_of, parts) == outcome(events_of, [stream])


def events_of(parts):
    async def sent():
        for part in parts:
            yield part

    async def read():
        return [data async for data in read_events(sent())]

    return asyncio.run(read())


@share(12)
@given(replies, replies, st.lists(texts, max_size=3))
def test_any_text_is_read_or_refused(text, reasoning, choices):
    for read in (core_replies.read_description, core_replies.read_thought, core_replies.read_short_answer):
        outcome(read, text, reasoning)
    assert clean(clean(text)) == clean(text)
    clean(text).encode()
    core_replies.normalise_action(text)
    answers.match_choice(text, choices)
    answers.same_words(text)
    assert all(0 <= place < 5 for place in citations.cited_frames(text, 5))
    citations.renumber(text, [3, None, 7])


@share(10)
@pytest.mark.parametrize(
    ('prompt_format', 'question'),
    [(PaperFormat(), PAPER_QUESTION), (CompactFormat(), COMPACT_QUESTION)],
    ids=['paper', 'compact'],
)
@given(st.lists(st.tuples(replies, replies), min_size=3, max_size=3))
def test_any_thoughts_become_an_answer_or_an_error_by_name(prompt_format, question, said):
    seen = [observation(index, text='A lamp on the left.') for index in range(3)]
    completions = [Completion(text=text, reasoning=reasoning) for text, reasoning in said]
    asked = Question(text=question.text, choices=question.choices, votes=2, check_consistency=True)

    def drive():
        steps = answer(asked, seen, prompt_format, ReasoningSettings())
        next(steps)
        try:
            steps.send(completions[:2])
            steps.send(completions[2:])
            steps.send(completions[2:])
        except StopIteration as stop:
            return stop.value
        raise AssertionError('the reasoning goes on')

    outcome(drive)
