"""Whatever a server answers ends as a coded error, or as what it plainly means."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_openai import JSON_KIND, STREAM_KIND, FakeOpenAI

from embodied_r_ros.adapters import events
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import Overloaded
from embodied_r_ros.adapters.openai_replies import MAX_TEXT
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, ReplyError
from embodied_r_ros.core.models import ServerSettings

pytestmark = pytest.mark.system

HELLO = [{'role': 'user', 'content': 'hello'}]
KEY = 'sk-0123456789/abc'
DEEP = '[' * 5000 + ']' * 5000


@pytest.fixture
def server():
    with FakeOpenAI('hello there') as fake:
        yield fake


def use(server, task, model='fake-model'):
    async def main():
        client = OpenAIClient(ServerSettings(url=server.url, model=model, timeout_s=10.0, retries=0), LM_KEY)
        try:
            return await task(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def chat(server, on_text=None):
    return use(server, lambda client: client.chat(HELLO, on_text))


def stream(*data):
    return b''.join(b'data: ' + (one if isinstance(one, bytes) else one.encode('latin-1')) + b'\n\n' for one in data)


def piece(content, end='null', **more):
    return json.dumps({'choices': [{'delta': {'content': content}, 'finish_reason': None, **more}]}).replace(
        '"finish_reason": null', f'"finish_reason": {end}'
    )


WHOLE = piece('hi', '"stop"')


@pytest.mark.parametrize(
    ('raw', 'text'),
    [
        pytest.param(stream(piece('h'), '', piece('i', '"stop"'), '[DONE]'), 'hi', id='empty-data'),
        pytest.param(stream(piece('h')) + b': ping\n\ndata: : PING\n\n' + stream(piece('i', '1')), 'hi', id='comments'),
        pytest.param(b'event: x\nid: 7\nretry: 10\n' + stream(WHOLE), 'hi', id='other-fields'),
        pytest.param(stream(piece('h'), piece('i', '"stop"')).replace(b'\n', b'\r\n'), 'hi', id='crlf'),
        pytest.param(stream(piece('h'), piece('i', '"stop"')).replace(b'\n', b'\r'), 'hi', id='cr'),
        pytest.param(b'\xef\xbb\xbf' + stream(WHOLE), 'hi', id='byte-order-mark'),
        pytest.param(stream(WHOLE).replace(b'data: ', b'data:'), 'hi', id='no-blank'),
        pytest.param(stream(piece('h'), WHOLE).replace(b'\n\n', b'\n'), 'hhi', id='no-blank-lines'),
        pytest.param(stream(WHOLE.replace(', ', ',\ndata: ')), 'hi', id='an-event-of-many-lines'),
        pytest.param(stream(WHOLE), 'hi', id='finished-without-done'),
        pytest.param(stream(piece('hi'), '[DONE]'), 'hi', id='done-without-finish'),
        pytest.param(stream(WHOLE, '{"choices": [], "usage": {"completion_tokens": 3}}'), 'hi', id='usage-alone'),
        pytest.param(stream(WHOLE, '{"choices": null}', '{"object": "ping"}'), 'hi', id='no-choices'),
        pytest.param(stream(WHOLE[:-1] + ', "usage": "many"}'), 'hi', id='usage-in-words'),
        pytest.param(stream(WHOLE[:-1] + ', "usage": [1]}'), 'hi', id='usage-a-list'),
        pytest.param(stream(WHOLE[:-1] + ', "usage": {"completion_tokens": 1e999}}'), 'hi', id='usage-infinite'),
        pytest.param(stream(WHOLE[:-1] + ', "usage": {"completion_tokens": "9\xb2"}}'), 'hi', id='usage-odd-digits'),
        pytest.param(stream(piece('hi', '{"a": 1}')), 'hi', id='finish-a-dict'),
        pytest.param(stream(piece('hi', '7')), 'hi', id='finish-a-number'),
        pytest.param(stream(piece('hi', '"stop"', logprobs=[3])), 'hi', id='logprobs-a-list'),
        pytest.param(stream(piece('hi', '"stop"', logprobs={'content': [3, {}, {'token': 1, 'logprob': 'x'}]})), 'hi',
                     id='logprobs-of-odd-entries'),
        pytest.param(stream(piece('a\ud83db\0c<|im_end|>d', '"stop"')), 'a\ufffdbc d', id='text-that-breaks-things'),
        pytest.param(stream(piece('a<|im'), piece('_end|>b', '"stop"')), 'a b', id='a-token-in-two-pieces'),
        pytest.param(stream(piece([{'type': 'text', 'text': 'h'}, 'i', 3], '"stop"')), 'hi', id='content-in-parts'),
        pytest.param(stream(piece({'text': 'hi'}, '"stop"')), 'hi', id='content-a-dict'),
        pytest.param(stream(WHOLE.replace('delta', 'message')), 'hi', id='message-in-a-stream'),
    ],
)  # fmt: skip
def test_a_stream_is_taken_as_what_it_plainly_means(server, raw, text):
    server.raw, server.raw_kind = raw, STREAM_KIND
    pieces = []
    reply = chat(server, pieces.append)
    assert reply.text == ''.join(pieces) == text


@pytest.mark.parametrize(
    ('raw', 'kind'),
    [
        pytest.param(stream('{"choices":[null]}'), ReplyError, id='choices-null'),
        pytest.param(stream('{"choices":5}'), ReplyError, id='choices-a-number'),
        pytest.param(stream('{"choices":[{"delta":"x"}]}'), ReplyError, id='delta-text'),
        pytest.param(stream('{"choices":[{"delta":[1]}]}'), ReplyError, id='delta-a-list'),
        pytest.param(stream(DEEP), ReplyError, id='deep'),
        pytest.param(stream('[' * 5000), ReplyError, id='deep-and-open'),
        pytest.param(stream('[1]'), ReplyError, id='a-list'),
        pytest.param(stream('ping'), ReplyError, id='a-word'),
        pytest.param(stream('{"choices": ' + '[' * 900 + ']' * 900 + '}'), ReplyError, id='choices-deep'),
        pytest.param(b'<html>hi</html>', ReplyError, id='html'),
        pytest.param(b'', BackendUnavailable, id='nothing'),
        pytest.param(stream('[DONE]'), BackendUnavailable, id='done-alone'),
        pytest.param(stream('{}'), BackendUnavailable, id='nothing-in-it'),
        pytest.param(stream('{"error": {"message": "boom", "code": 503}}'), Overloaded, id='error-503'),
        pytest.param(stream('{"error": {"message": "boom", "code": "503"}}'), Overloaded, id='error-in-digits'),
        pytest.param(stream('{"error": {"message": "boom", "code": 503.0}}'), Overloaded, id='error-a-float'),
        pytest.param(stream('{"error": {"message": "boom", "code": "\xb2"}}'), BackendRefused, id='error-odd-digit'),
        pytest.param(stream('{"error": {"message": "boom", "type": "overloaded_error"}}'), Overloaded, id='error-type'),
        pytest.param(stream('{"error": "boom"}'), BackendRefused, id='error-text'),
        pytest.param(stream('{"error": [[{"message": "boom"}]]}'), BackendRefused, id='error-nested'),
        pytest.param(stream('{"error": {"error": {"message": "boom"}}}'), BackendRefused, id='error-in-error'),
        pytest.param(stream('{"error": {"message": "boom", "code": 408}}'), BackendTimeout, id='error-408'),
        pytest.param(stream('{"object": "error", "message": "boom", "code": 500}'), Overloaded, id='error-object'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('streamed', [True, False])
def test_what_is_no_reply_is_a_coded_error(server, raw, kind, streamed):
    if not streamed:
        raw = raw.removeprefix(b'data: ').strip().replace(b'delta', b'message')
        kind = ReplyError if kind is BackendUnavailable else kind
    server.raw, server.raw_kind = raw, STREAM_KIND if streamed else JSON_KIND
    with pytest.raises(kind) as caught:
        chat(server)
    assert 'boom' in str(caught.value) or b'boom' not in raw


@pytest.mark.parametrize(
    'raw',
    [
        b'<html>login</html>',
        DEEP.encode(),
        b'{"data": ' + b'[' * 900 + b']' * 900 + b'}',
        b'{"data": [{"id": 5}]}',
        b'{"data": [null, "x", {"id": null}]}',
        b'{"data": {"id": "x"}}',
        b'[]',
        b'\xff\xfe',
    ],
    ids=range(8),
)
def test_a_listing_that_is_none_is_refused(server, raw):
    server.raw_models = raw
    for ask in (OpenAIClient.probe, OpenAIClient.ping):
        with pytest.raises(BackendRefused, match='should list models as an OpenAI-compatible server does'):
            use(server, ask)


@pytest.mark.parametrize(
    ('told', 'length'),
    [('4096', 4096), ('"4096"', 4096), ('1e999', 0), ('-1e999', 0), ('NaN', 0), ('"long"', 0), ('true', 0), ('[4]', 0),
     ('"\\u00b2"', 0), ('4096.0', 4096), ('-5', 0), (f'{10**30}', 0)],
)  # fmt: skip
def test_the_length_of_a_model_is_read_where_it_is_one(server, told, length):
    server.raw_models = f'{{"data": [7, {{"id": "fake-model", "max_model_len": {told}}}]}}'.encode()
    assert use(server, OpenAIClient.probe).max_model_len == length


@pytest.mark.parametrize('kind', [JSON_KIND, 'text/html', STREAM_KIND])
def test_a_probe_answered_with_a_page_is_refused(server, kind):
    server.raw, server.raw_kind = b'<html>login</html>', kind

    async def probe():
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=5.0, retries=0))
        try:
            await model.probe()
        finally:
            await model.aclose()

    with pytest.raises(BackendRefused, match='login'):
        asyncio.run(probe())


def test_packed_replies_are_refused_with_the_remedy(server):
    server.raw, server.raw_kind = b'\x1f\x8b', 'application/json\r\ncontent-encoding: gzip'
    with pytest.raises(BackendRefused, match=r'compresses its replies \(gzip\).*turn compression off'):
        chat(server)
    assert server.chats[0].headers['accept-encoding'] == 'identity'


@pytest.mark.parametrize('streamed', [True, False])
def test_an_endless_text_is_cut(server, streamed):
    content = 'x' * (MAX_TEXT + 1)
    server.raw = stream(piece(content)) if streamed else piece(content, '"stop"').replace('delta', 'message').encode()
    server.raw_kind = STREAM_KIND if streamed else JSON_KIND
    with pytest.raises(ReplyError, match='at most 1000000 characters were wanted|of at most 1000000 characters'):
        chat(server)


def test_an_endless_stream_is_cut(server, monkeypatch):
    monkeypatch.setattr(events, 'MAX_STREAM_BYTES', 100_000)
    server.raw, server.raw_kind = b': here\n\n' * 20_000, STREAM_KIND
    with pytest.raises(ReplyError, match='a stream of at most 100000 bytes'):
        chat(server)


def test_a_document_of_very_many_parts_is_not_read(server):
    server.raw = b'{"choices": [' + b'{},' * 400_000 + b'{}]}'
    with pytest.raises(ReplyError, match='a chat completion was wanted'):
        chat(server)


@pytest.mark.parametrize(
    'answer',
    [
        pytest.param({'status': 401, 'error': f'no such key {KEY}'}, id='refusal'),
        pytest.param({'status': 500, 'error': f'{"x" * 490} {KEY}'}, id='cut-short'),
        pytest.param({'status': 307, 'headers': {'location': f'http://elsewhere/?key={KEY}'}}, id='redirect'),
        pytest.param({'raw': f'who are you, {KEY}?'.encode()}, id='no-completion'),
        pytest.param({'raw': json.dumps({'error': KEY}).replace('/', '\\/').encode()}, id='error-object'),
        pytest.param({'raw': stream(f'{{"you": "{KEY}"'), 'raw_kind': STREAM_KIND}, id='stream'),
        pytest.param({'raw_models': f'<html>{KEY}</html>'.encode()}, id='models'),
        pytest.param({'models': ['a', KEY]}, id='ids'),
    ],
)
def test_the_key_is_in_no_error(server, monkeypatch, answer):
    monkeypatch.setenv(LM_KEY, KEY)
    for name, value in answer.items():
        setattr(server, name, value)

    async def ask(client):
        await client.probe()
        await client.chat(HELLO)

    with pytest.raises((BackendError, ReplyError)) as caught:
        use(server, ask, model='')
    assert KEY[:8] not in f'{caught.value} {getattr(caught.value, "raw", "")}'


def test_the_key_is_in_no_text_whole_or_in_pieces(server, monkeypatch):
    monkeypatch.setenv(LM_KEY, KEY)
    server.reply = server.reasoning = f'the key is {KEY}, sk-0123 is none, sk-'
    pieces = []
    reply = chat(server, pieces.append)
    assert reply.text == reply.reasoning == 'the key is ***, sk-0123 is none, sk-'
    assert ''.join(pieces) == reply.reasoning + reply.text and len(pieces) > 4
