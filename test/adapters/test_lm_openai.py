"""A language model behind a server, up to the answer."""

from __future__ import annotations

import asyncio

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.lm import drive
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer
from embodied_r_ros.core.records import Generation, Message, Question
from embodied_r_ros.evaluation.phrase_reader import from_words

ANSWER = '<think>Frame 0 shows a sofa.</think><answer>A</answer>'
pytestmark = pytest.mark.system

REQUEST = Generation(messages=(Message(role='user', content='hi'),), max_tokens=99)


@pytest.fixture
def server():
    with FakeOpenAI(ANSWER) as fake:
        yield fake


def use(server, task):
    async def main():
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=5.0))
        try:
            return await task(model)
        finally:
            await model.aclose()

    return asyncio.run(main())


def generate(server, on_text=None, **changes):
    request = Generation(**{**vars(REQUEST), **changes})
    return use(server, lambda model: model.generate(request, on_text))


def test_the_name_is_that_of_the_model_served(server):
    async def name(model):
        await model.probe()
        return model.name

    assert use(server, name) == 'fake-model'


def test_a_greedy_request_carries_no_seed_and_a_sampled_one_does(server):
    generate(server)
    generate(server, temperature=0.7, seed=3)
    greedy, sampled = (request.json for request in server.chats)
    assert (greedy['temperature'], greedy['max_tokens'], 'seed' in greedy) == (0.0, 99, False)
    assert (sampled['temperature'], sampled['seed']) == (0.7, 3)


@pytest.mark.parametrize('tells_stop', [True, False])
@pytest.mark.parametrize('streamed', [True, False])
def test_the_stop_string_that_ends_a_reply_is_kept(server, tells_stop, streamed):
    server.tells_stop = tells_stop
    completion = generate(server, [].append if streamed else None, stop=('</answer>',))
    assert completion.text == ANSWER


@pytest.mark.parametrize('tells_stop', [True, False])
def test_a_reply_that_ended_by_itself_gets_no_stop_string(server, tells_stop):
    server.tells_stop, server.reply = tells_stop, 'I do not know'
    assert generate(server, stop=('</answer>',)).text == 'I do not know'


def test_a_question_is_answered_with_votes_in_parallel(server):
    server.latency_s = 0.05
    window = [from_words(session=1, index=5, stamp_ns=1, action='', text='a sofa')]
    question = Question(text='What is it?', choices=('sofa', 'lamp'), votes=4)
    pieces = []

    async def ask(model):
        await model.probe()
        return await drive(
            answer(question, window, PaperFormat(), ReasoningSettings(), model.name), model, pieces.append
        )

    got = use(server, ask)
    assert (got.answer, got.confidence, got.thinking) == ('sofa', 1.0, 'Frame 5 shows a sofa.')
    assert server.max_concurrent == 4
    assert sorted(request.json['seed'] for request in server.chats) == [0, 1, 2, 3]
    assert ''.join(pieces) == ANSWER


@pytest.mark.parametrize(
    ('said', 'option'),
    [
        ('{"answer": "B"}', 'B'),
        ('{ "answer" : "A" }', 'A'),
        ('B', 'B'),
        ({'content': None, 'reasoning_content': '{"answer": "A"}'}, 'A'),
    ],
)
def test_a_choice_of_options_is_asked_for_by_schema_and_read(server, said, option):
    server.reply = said
    assert generate(server, options=('A', 'B')).text == option
    (request,) = server.chats
    schema = request.json['response_format']['json_schema']['schema']
    assert schema['properties']['answer']['enum'] == ['A', 'B']
    assert request.json['max_tokens'] <= 32


def test_a_server_without_schemas_is_asked_for_an_option_in_a_few_tokens(server):
    server.reply = 'A'
    server.refuse = lambda asked: (400, 'response_format is not known') if 'response_format' in asked else None

    async def twice(model):
        request = Generation(messages=(Message(role='user', content='?'),), options=('A', 'B'))
        return [(await model.generate(request)).text for _ in range(2)]

    assert use(server, twice) == ['A', 'A']
    assert ['response_format' in request.json for request in server.chats] == [True, False, False]
