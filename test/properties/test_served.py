"""Whatever a server answers, the nodes' adapters give back what can be published, or an error by name."""

import asyncio
import json

import pytest
from arbitrary import completions, json_values, outcome, share, texts
from fake_models import key_frame, observation
from fake_openai import JSON_KIND, STREAM_KIND, FakeOpenAI
from hypothesis import given
from hypothesis import strategies as st

pytestmark = [pytest.mark.slow, pytest.mark.ros]
pytest.importorskip('rclpy')

from arbitrary_messages import can_be_published  # noqa: E402

from embodied_r_ros.adapters.lm import drive  # noqa: E402
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel  # noqa: E402
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver  # noqa: E402
from embodied_r_ros.app.observing import observation_of  # noqa: E402
from embodied_r_ros.core.errors import EmbodiedRError  # noqa: E402
from embodied_r_ros.core.models import ServerSettings  # noqa: E402
from embodied_r_ros.core.prompts import PaperFormat  # noqa: E402
from embodied_r_ros.core.reasoning import ReasoningSettings, answer, failure  # noqa: E402
from embodied_r_ros.core.records import Question  # noqa: E402
from embodied_r_ros.nodes.conversions import observation_to_message  # noqa: E402
from embodied_r_ros.nodes.requests import answer_to_message  # noqa: E402


def encoded(text):
    return text.encode('utf-8', 'surrogatepass')


QUESTION = Question(text='Where is the lamp?', choices=('left', 'right'))
wholes = st.one_of(completions.map(json.dumps), json_values.map(json.dumps), texts).map(encoded)
events = st.lists(completions.map(json.dumps) | texts, max_size=4).map(
    lambda each: encoded(''.join(f'data: {event}\n\n' for event in [*each, '[DONE]']))
)
sent = st.tuples(wholes, st.sampled_from([JSON_KIND, 'text/html', STREAM_KIND])) | st.tuples(
    events, st.just(STREAM_KIND)
)


@pytest.fixture(scope='module')
def server():
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(scope='module')
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope='module')
def settings(server):
    return ServerSettings(url=server.url, model='fake-model', retries=0, timeout_s=5.0)


@pytest.fixture(scope='module')
def lm(settings, loop):
    lm = OpenAILanguageModel(settings)
    yield lm
    loop.run_until_complete(lm.aclose())


@pytest.fixture(scope='module')
def perceiver(settings, loop):
    perceiver = OpenAIPerceiver(settings)
    yield perceiver
    loop.run_until_complete(perceiver.aclose())


def said(server, body, kind):
    server.raw, server.raw_kind = body, kind
    server.requests.clear()


@share(5)
@given(sent, st.booleans())
def test_any_reply_to_a_question_can_be_published(server, loop, lm, reply, streams):
    said(server, *reply)
    seen = [observation(index, text='A lamp.') for index in range(3)]
    told = []
    steps = answer(QUESTION, seen, PaperFormat(), ReasoningSettings())
    try:
        found = loop.run_until_complete(drive(steps, lm, told.append if streams else None))
    except EmbodiedRError as error:
        found = failure(error)
    can_be_published(answer_to_message(found))
    ''.join(told).encode()


@share(5)
@given(sent)
def test_any_description_can_be_published(server, loop, perceiver, reply):
    said(server, *reply)
    frame = key_frame(1)
    found = outcome(loop.run_until_complete, perceiver.describe(key_frame(0), frame))
    if found is not None:
        can_be_published(observation_to_message(observation_of(frame, found, perceiver)))


@share(3)
@given(
    st.one_of(
        json_values,
        st.fixed_dictionaries(
            {'data': st.lists(st.dictionaries(st.sampled_from(['id', 'max_model_len']), json_values), max_size=2)}
        ),
    ).map(json.dumps)
)
def test_any_list_of_models_is_read_or_refused(server, loop, listing):
    server.raw_models = listing.encode()

    async def probe():
        lm = OpenAILanguageModel(ServerSettings(url=server.url, retries=0, timeout_s=5.0))
        try:
            await lm.probe()
            return lm.name
        finally:
            await lm.aclose()

    name = outcome(loop.run_until_complete, probe())
    if name is not None:
        name.encode()
