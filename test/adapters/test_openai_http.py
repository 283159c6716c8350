"""The OpenAI-compatible client against a fake server on loopback."""

from __future__ import annotations

import asyncio
import logging
import time

import httpx
import pytest
from fake_openai import MODEL, STREAM_KIND, FakeOpenAI

from embodied_r_ros.adapters import openai_exchange, openai_http
from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import SchemaRefused
from embodied_r_ros.adapters.routes import translate
from embodied_r_ros.core.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    ReplyError,
    SettingsError,
)
from embodied_r_ros.core.models import ServerSettings

pytestmark = pytest.mark.system

HELLO = [{'role': 'user', 'content': 'hello'}]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    monkeypatch.delenv(LM_KEY, raising=False)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(openai_http, 'FIRST_PAUSE_S', 0.01)


@pytest.fixture
def server():
    with FakeOpenAI('hello there') as fake:
        yield fake


def use(server_or_url, task, **settings):
    """Run task(client) against a server."""
    url = server_or_url if isinstance(server_or_url, str) else server_or_url.url

    async def main():
        client = OpenAIClient(ServerSettings(url=url, **{'timeout_s': 5.0, **settings}), LM_KEY)
        try:
            return await task(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def chat(server_or_url, on_text=None, options=(), **settings):
    return use(server_or_url, lambda client: client.chat(HELLO, on_text, **dict(options)), **settings)


def probe(server_or_url, **settings):
    return use(server_or_url, lambda client: client.probe(), **settings)


def free_port():
    with FakeOpenAI() as fake:
        return fake.port


def test_a_chat_is_answered(server):
    reply = chat(server, model=MODEL, options={'temperature': 0.5})
    assert (reply.text, reply.finish_reason, reply.tokens) == ('hello there', 'stop', 2)
    asked = {'model': MODEL, 'messages': HELLO, 'temperature': 0.5}
    assert server.chats[0].json == {**asked, 'stream': True, 'stream_options': {'include_usage': True}}


def test_a_streamed_chat_comes_in_pieces_that_make_the_reply(server):
    server.reply = 'Grüße, \u2028 ein 沙发 und noch mehr'
    pieces = []
    reply = chat(server, pieces.append)
    assert len(pieces) > 2 and ''.join(pieces) == reply.text == server.reply
    assert (reply.finish_reason, reply.tokens) == ('stop', 6)
    assert server.chats[0].json['stream'] is True


@pytest.mark.parametrize('key', ['reasoning', 'reasoning_content'])
@pytest.mark.parametrize('streamed', [False, True])
def test_thinking_that_the_server_splits_off_is_kept(server, key, streamed):
    server.reasoning, server.reasoning_key = 'I think so', key
    pieces = []
    reply = chat(server, pieces.append if streamed else None)
    assert (reply.reasoning, reply.text) == ('I think so', 'hello there')
    assert ''.join(pieces) == ('I think sohello there' if streamed else '')


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        ({'content': None}, ''),
        ({'content': [{'type': 'text', 'text': 'a'}, {'type': 'text', 'text': 'b'}]}, 'ab'),
        ({}, ''),
    ],
)
def test_content_in_other_forms_is_read(server, message, text):
    server.reply = lambda asked: message
    assert chat(server).text == text


def test_the_probe_finds_the_only_model_and_its_length(server):
    server.max_model_len = 4096
    served = probe(server)
    assert (served.id, served.max_model_len) == (MODEL, 4096)


def test_a_length_beyond_the_models_is_left_to_the_server(server):
    server.max_model_len = 1024

    async def both(client):
        await client.probe()
        await client.chat(HELLO, max_tokens=2048)
        await client.chat(HELLO, max_tokens=512)

    use(server, both)
    assert ['max_tokens' in request.json for request in server.chats] == [False, True]


@pytest.mark.parametrize(
    ('models', 'wanted', 'message'),
    [
        (
            ['a', 'b'],
            'c',
            r"model 'c' was wanted, http://\S+ serves: a, b; set model to one of these, or serve it \(vllm serve c",
        ),
        (['a', 'b'], '', 'must be named; set model to one of: a, b'),
        ([], '', 'must be named; set model to one of: nothing'),
    ],
)
def test_the_probe_says_which_models_are_served(server, models, wanted, message):
    server.models = models
    with pytest.raises(BackendRefused, match=message):
        probe(server, model=wanted)


def test_a_server_that_is_not_there_is_unavailable_with_the_remedy():
    url = f'http://127.0.0.1:{free_port()}/v1'
    with pytest.raises(
        BackendUnavailable, match=rf'a model server was wanted at {url}, nobody answers .* start it, or set url'
    ):
        probe(url, retries=1)


def test_a_url_without_the_right_path_is_refused_with_the_remedy(server):
    with pytest.raises(BackendRefused, match=r'knows no such path .*Not Found.* url should end in /v1'):
        probe(server.url + '/api')


def test_something_that_is_no_model_server_is_refused(server):
    server.raw_models = b'<html>router</html>'
    with pytest.raises(BackendRefused, match=r"should list models .* answered '<html>router</html>'; check host"):
        probe(server)


def test_the_key_goes_to_the_server_and_nowhere_else(server, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(LM_KEY, 'sk-secret')
    server.key = 'sk-secret'

    async def task(client):
        await client.chat(HELLO)
        return repr(client), repr(client.settings), repr(vars(client))

    said = use(server, task)
    assert server.chats[0].headers['authorization'] == 'Bearer sk-secret'
    assert 'sk-secret' not in ' '.join(said) + caplog.text


def test_a_missing_key_is_refused_naming_the_variable(server):
    server.key = 'sk-secret'
    with pytest.raises(BackendRefused, match=rf'wants another key \(HTTP 401: no such key\); set {LM_KEY}'):
        chat(server)


def test_an_unusable_key_is_a_settings_error_without_the_key(monkeypatch):
    monkeypatch.setenv(LM_KEY, 'ge\nheim')
    with pytest.raises(SettingsError, match=f'{LM_KEY} must hold printable ASCII') as caught:
        OpenAIClient(ServerSettings(), LM_KEY)
    assert 'heim' not in str(caught.value)


def test_a_hanging_server_is_given_up_at_the_deadline(server):
    server.hang = True
    start_s = time.monotonic()
    with pytest.raises(BackendTimeout, match=r'within timeout_s 0.5 s, none came in \d+\.\d\d s; allow more time'):
        chat(server, timeout_s=0.5)
    assert 0.5 <= time.monotonic() - start_s < 5.0
    assert server.wait_until(lambda: server.closed_early == 1)


def test_a_slow_stream_is_given_up_at_the_deadline_too(server):
    server.reply, server.latency_s = 'word ' * 50, 60.0
    start_s = time.monotonic()
    with pytest.raises(BackendTimeout, match='within timeout_s 0.5 s'):
        chat(server, [].append, timeout_s=0.5)
    assert time.monotonic() - start_s < 5.0


def test_cancelling_closes_the_connection(server):
    server.hang = True

    async def cancel(client):
        task = asyncio.ensure_future(client.chat(HELLO))
        while not server.chats:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.get_running_loop().run_in_executor(
            None, server.wait_until, lambda: server.closed_early == 1
        )

    assert use(server, cancel)


@pytest.mark.parametrize('status', [429, 500, 502, 503])
def test_what_the_server_cannot_take_now_is_tried_again(server, status):
    server.status, server.error, server.failures = status, 'busy', 1
    assert chat(server).text == 'hello there'
    assert len(server.chats) == 2


def test_tries_are_bounded(server):
    server.status, server.error = 503, 'loading'
    with pytest.raises(BackendUnavailable, match=r'cannot take the request now \(HTTP 503: loading\); try again'):
        chat(server, retries=1)
    assert len(server.chats) == 2


def test_pauses_between_tries_grow(server):
    server.status = 503
    start_s = time.monotonic()
    with pytest.raises(BackendUnavailable, match='cannot take the request now'):
        chat(server, retries=3)
    assert len(server.chats) == 4
    assert time.monotonic() - start_s >= 0.01 + 0.02 + 0.04


def test_tries_end_at_the_deadline_however_long_the_server_asks_to_wait(server):
    server.status, server.headers = 503, {'retry-after': '60'}
    start_s = time.monotonic()
    with pytest.raises(BackendTimeout, match='within timeout_s 0.5 s'):
        chat(server, timeout_s=0.5)
    assert time.monotonic() - start_s < 5.0 and len(server.chats) == 1


def test_what_the_server_declines_is_not_tried_again(server):
    server.status, server.error = 400, 'no such thing'
    with pytest.raises(BackendRefused, match=r'declined the request \(HTTP 400: no such thing\)'):
        chat(server)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (
            'At most 1 image(s) may be provided in one prompt.',
            r'needs 2 images in a prompt: serve with --limit-mm-per-prompt',
        ),
        ("This model's maximum context length is 4096 tokens.", 'too long for this server: lower max_observations'),
        ('the request exceeds the available context size', 'too long for this server'),
    ],
)
def test_a_limit_of_the_server_is_explained(server, error, message):
    server.status, server.error = 400, error
    with pytest.raises(BackendRefused, match=message) as caught:
        chat(server)
    assert error in str(caught.value)


def test_a_refused_schema_is_told_apart(server):
    server.status, server.error = 400, 'response_format json_schema is not supported'
    with pytest.raises(SchemaRefused, match='takes no JSON schema'):
        chat(server)


def test_a_redirect_is_not_followed(server):
    server.status, server.headers = 307, {'location': 'http://elsewhere/'}
    with pytest.raises(BackendRefused, match="sends requests on to 'http://elsewhere/'"):
        chat(server)


@pytest.mark.parametrize(
    'raw', [b'', b'nonsense', b'[]', b'{}', b'{"choices": []}', b'{"choices": [null]}', b'\xff\xfe']
)
@pytest.mark.parametrize('streamed', [False, True])
def test_nonsense_is_a_reply_error_that_keeps_it(server, raw, streamed):
    server.raw = raw
    with pytest.raises(ReplyError, match='a chat completion was wanted, the server answered'):
        chat(server, [].append if streamed else None)


def test_an_endless_reply_is_cut(server, monkeypatch):
    monkeypatch.setattr(openai_exchange, 'MAX_REPLY_BYTES', 10_000)
    server.raw = b'x' * 10_001
    with pytest.raises(ReplyError, match='at most 10000 bytes were wanted'):
        chat(server)


def test_a_server_that_breaks_off_is_tried_again_and_then_unavailable(server):
    server.break_off = True
    with pytest.raises(BackendUnavailable, match=r'the connection to \S+ broke .*try again'):
        chat(server, retries=1)
    assert len(server.chats) == 2


def test_a_stream_that_has_spoken_is_not_repeated(server):
    server.break_off, server.reply = True, 'a long story about it'
    pieces = []
    with pytest.raises(BackendUnavailable, match='broke'):
        chat(server, pieces.append)
    assert len(server.chats) == 1 and pieces


def test_a_closed_client_is_unavailable_at_once(server):
    async def closed(client):
        await client.aclose()
        await client.chat(HELLO)

    with pytest.raises(BackendUnavailable, match='has been closed; make a new one'):
        use(server, closed)


def test_closing_ends_what_is_under_way(server):
    server.hang = True

    async def close(client):
        task = asyncio.ensure_future(client.chat(HELLO))
        while not server.chats:
            await asyncio.sleep(0.001)
        await client.aclose()
        await asyncio.wait_for(task, 5.0)

    with pytest.raises(BackendUnavailable, match='broke'):
        use(server, close)


def test_an_error_inside_a_stream_is_told(server):
    server.raw, server.raw_kind = b'data: {"error": {"message": "engine died", "code": 500}}\n\n', STREAM_KIND
    with pytest.raises(BackendUnavailable, match=r'cannot take the request now \(error 500: engine died\); try again'):
        chat(server, [].append, retries=0)


def test_concurrency_is_bounded(server):
    server.latency_s = 0.02

    async def many(client):
        return await asyncio.gather(*(client.chat(HELLO) for _ in range(12)))

    assert len(use(server, many, max_concurrent_requests=4)) == 12
    assert server.max_concurrent == 4


def test_a_proxy_setting_does_not_lead_loopback_astray(server, monkeypatch):
    monkeypatch.setenv('HTTP_PROXY', 'http://127.0.0.1:9')
    monkeypatch.setenv('NO_PROXY', '')
    assert chat(server).text == 'hello there'


def test_a_proxy_setting_counts_for_hosts_elsewhere(server, monkeypatch):
    monkeypatch.setenv('HTTP_PROXY', f'http://127.0.0.1:{server.port}')
    with pytest.raises(BackendRefused, match='knows no such path'):
        chat('http://robot.invalid/v1')
    assert server.requests[0].path == 'http://robot.invalid/v1/chat/completions'


def all_request_errors(cls=httpx.HTTPError):
    return {cls}.union(*(all_request_errors(sub) for sub in cls.__subclasses__()))


@pytest.mark.parametrize('cls', sorted(all_request_errors() - {httpx.HTTPStatusError}, key=lambda cls: cls.__name__))
def test_every_error_of_httpx_becomes_one_of_ours(cls):
    ours = translate(cls('what happened'), 'http://h/v1')
    assert isinstance(ours, BackendError) and 'what happened' in str(ours) and 'http://h/v1' in str(ours)
