"""How long a server may be silent, and what a client does about it."""

from __future__ import annotations

import asyncio
import time

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters import openai_http, patience
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import StreamRefused
from embodied_r_ros.adapters.patience import Patience, Silent
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendTimeout
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import Generation, Message

HELLO = [{'role': 'user', 'content': 'hello'}]
system = pytest.mark.system


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(patience, 'FLOOR_S', 0.3)
    monkeypatch.setattr(patience, 'TIMES_LONGEST', 1.0)
    monkeypatch.setattr(openai_http, 'FIRST_PAUSE_S', 0.01)


@pytest.fixture
def server():
    with FakeOpenAI('hello there you') as fake:
        yield fake


def use(server, task, **settings):
    async def main():
        settings.setdefault('model', 'fake-model')
        client = OpenAIClient(ServerSettings(url=server.url, **{'timeout_s': 20.0, **settings}), LM_KEY)
        try:
            return await task(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


async def measure(client):
    for _ in range(patience.ENOUGH):
        await client.chat(HELLO)


def test_as_long_as_little_is_measured_the_deadline_is_the_bound():
    waits = Patience(60.0)
    waits.note(0.1)
    waits.note(0.1)
    assert waits.allowed_s == 60.0


@pytest.mark.parametrize(
    ('longest_s', 'allowed_s'), [(0.1, 3.0), (2.0, 8.0), (50.0, 60.0)], ids=['the floor', 'four times', 'the deadline']
)
def test_the_silence_allowed_is_four_times_the_longest_or_the_floor(longest_s, allowed_s):
    waits = Patience(60.0)
    for wait_s in (0.05, longest_s, 0.05):
        waits.note(wait_s)
    assert waits.allowed_s == allowed_s


def test_the_newest_measurements_count():
    waits = Patience(60.0)
    for wait_s in (10.0, *[0.1] * patience.MEASURED):
        waits.note(wait_s)
    assert waits.allowed_s == 3.0


@system
@pytest.mark.parametrize('comments', [False, True])
def test_a_hanging_server_is_given_up_for_its_silence(server, short, comments):
    async def task(client):
        await measure(client)
        server.hang_after, server.comments = 0, comments
        await client.chat(HELLO)

    start_s = time.monotonic()
    with pytest.raises(
        Silent, match=r'said nothing for \d\.\d s before the first, the slowest first text lately .* s; see'
    ):
        use(server, task, retries=1)
    assert time.monotonic() - start_s < 10.0 and len(server.chats) == patience.ENOUGH + 2


@system
def test_a_chat_is_tried_again_after_a_silence(server, short):
    async def task(client):
        await measure(client)
        server.hang_after = 0
        asyncio.get_running_loop().call_later(0.1, setattr, server, 'hang_after', None)
        return await client.chat(HELLO, [].append)

    assert use(server, task, retries=1).text == 'hello there you'


@system
def test_a_stream_that_falls_silent_after_it_has_told_is_not_repeated(server, short):
    async def task(client):
        await measure(client)
        server.hang_after = 2
        await client.chat(HELLO, [].append)

    with pytest.raises(Silent, match=r'for 0\.3 s after 14 characters'):
        use(server, task, retries=2)
    assert len(server.chats) == patience.ENOUGH + 1


@system
def test_a_server_that_has_become_slow_is_found_to_work_by_a_trial_and_then_waited_for(server, short):
    async def task(client):
        await measure(client)
        server.latency_s = 1.0
        with pytest.raises(Silent):
            await client.chat(HELLO)
        await client.try_out(HELLO)
        return await client.chat(HELLO)

    assert use(server, task, retries=0).text == 'hello there you'


@system
def test_a_trial_needs_no_turn_among_the_requests(server):
    async def task(client):
        server.hang = True
        chat = asyncio.ensure_future(client.chat(HELLO))
        while not server.chats:
            await asyncio.sleep(0.01)
        server.hang = False
        await client.try_out(HELLO)
        chat.cancel()

    use(server, task, max_concurrent_requests=1)


@system
def test_the_server_wishes_for_a_pause_that_is_too_long(server):
    server.status, server.failures, server.headers = 503, 1, {'retry-after': '3600'}
    start_s = time.monotonic()
    assert use(server, lambda client: client.chat(HELLO)).text == 'hello there you'
    assert 2.0 <= time.monotonic() - start_s < 10.0


@system
def test_a_probe_finds_a_hanging_engine_and_a_ping_does_not(server):
    server.hang = server.hang_trials = True
    found = []

    async def main():
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=1.0))
        await model.ping()
        found.append(model.name)
        try:
            await model.probe()
        finally:
            await model.aclose()

    with pytest.raises(BackendTimeout, match='within timeout_s 1 s'):
        asyncio.run(main())
    assert found == ['fake-model'] and len(server.trials) == 1


@system
def test_a_ping_needs_no_turn_among_the_requests(server):
    async def task(client):
        server.hang = True
        chat = asyncio.ensure_future(client.chat(HELLO))
        while not server.chats:
            await asyncio.sleep(0.01)
        await client.ping()
        chat.cancel()

    use(server, task, max_concurrent_requests=1)


@system
def test_a_ping_says_that_the_model_is_gone(server):
    server.models = ['other']
    with pytest.raises(BackendRefused, match="model 'fake-model' was wanted"):
        use(server, OpenAIClient.ping)


@system
@pytest.mark.parametrize(
    ('taken', 'forms'),
    [
        (('stream',), [['stream', 'stream_options'], ['stream'], ['stream']]),
        ((), [['stream', 'stream_options'], ['stream'], [], []]),
    ],
)
def test_a_server_that_does_not_stream_is_asked_for_whole_replies_from_then_on(server, taken, forms):
    def refuse(asked):
        extra = [name for name in ('stream_options', 'stream') if name in asked and name not in taken]
        return (400, f'unknown field: {extra[0]}') if extra else None

    server.refuse = refuse
    pieces = []

    async def twice(client):
        return [(await client.chat(HELLO, pieces.append)).text for _ in range(2)]

    assert use(server, twice) == ['hello there you'] * 2 and ''.join(pieces) == 2 * 'hello there you'
    assert [[name for name in request.json if 'stream' in name] for request in server.chats] == forms


@system
def test_a_refusal_that_speaks_of_streams_in_any_form_stands(server):
    server.refuse = lambda asked: (400, 'the stream of life')
    with pytest.raises(StreamRefused, match='the stream of life'):
        use(server, lambda client: client.chat(HELLO))


def serves(name, status=404):
    return lambda asked: None if asked['model'] == name else (status, f'The model `{asked["model"]}` does not exist.')


@system
@pytest.mark.parametrize('status', [404, 400])
def test_a_server_that_comes_back_with_another_model_is_asked_for_it(server, status):
    async def main():
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=20.0))
        await model.probe()
        server.models, server.refuse = ['new-model'], serves('new-model', status)
        request = Generation(messages=(Message(role='user', content='hi'),), max_tokens=9)
        texts = [got.text for got in await asyncio.gather(*(model.generate(request) for _ in range(4)))]
        await model.aclose()
        return texts, model.name

    assert asyncio.run(main()) == (['hello there you'] * 4, 'new-model')


@system
@pytest.mark.parametrize(
    ('model', 'listed'),
    [('', ['a', 'b']), ('', []), ('', ['fake-model']), ('fake-model', ['new-model'])],
)
def test_otherwise_a_refused_model_stays_refused(server, model, listed):
    async def task(client):
        await client.probe()
        server.models, server.refuse = listed, serves('new-model')
        await client.chat(HELLO)

    with pytest.raises(BackendError, match="no model 'fake-model'.*does not exist"):
        use(server, task, model=model)
    assert len(server.chats) == 1
