"""A hand-written OpenAI-compatible server on loopback, for tests: it says what it is told, and notes what was asked.

    with FakeOpenAI(reply='<think>x</think><answer>A</answer>') as server:
        client = OpenAILanguageModel(ServerSettings(url=server.url))
        ...
        assert server.chats[0].json['messages'][0]['role'] == 'system'

It runs in a thread of its own, so it can be asked from any thread or process. What it does can be changed while it
runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable

MODEL = 'fake-model'
JSON_KIND, STREAM_KIND = 'application/json', 'text/event-stream'


@dataclasses.dataclass
class Recorded:
    """One request as it came: `body` is byte for byte what was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    closed_early: bool = False

    @property
    def json(self):
        return json.loads(self.body)


class FakeOpenAI:
    """The server.

    Attributes:
        reply: what each chat is answered with: text, or a function from the request's JSON to text or a message dict.
        latency_s: before each chat's reply; with streaming, spread over its pieces.
        hang: never answer a chat; hang_trials: never a trial.
        hang_after: stop after so many pieces of a stream; comments: send some meanwhile.
        refuse: from a chat's JSON to the status and message to refuse it with, or None.
        status, error: answer chats with this HTTP status and error message instead; `failures` limits to how many,
        trials left out (None: all, and trials too).
        raw: answer chats with these bytes under status 200 instead, of the content type `raw_kind`.
        break_off: close the connection in the middle of a reply.
        models: what /v1/models lists; max_model_len goes beside it where set.
        raw_models: list models with these bytes instead.
        reasoning: goes beside the content, under `reasoning_key`.
        stops: cut the reply at the request's stop strings; `tells_stop` adds vLLM's stop_reason.
        requests, chats, trials: what came; a trial is the chat of one token of a probe, which is answered OK.
        connections: how many there were; concurrent, max_concurrent: chats under way.
    """

    def __init__(self, reply: str | Callable[[dict], str | dict] = 'OK', **settings):
        self.reply = reply
        self.latency_s = 0.0
        self.hang = self.hang_trials = self.comments = False
        self.hang_after = None
        self.refuse = lambda asked: None
        self.status, self.error, self.failures, self.headers = 200, '', None, {}
        self.raw, self.raw_kind = None, JSON_KIND
        self.break_off = False
        self.models = [MODEL]
        self.models_status, self.raw_models = 200, None
        self.max_model_len = 0
        self.reasoning, self.reasoning_key = '', 'reasoning_content'
        self.tells_stop = True
        self.key = ''
        self.requests: list[Recorded] = []
        self.connections = self.concurrent = self.max_concurrent = 0
        for name, value in settings.items():
            if not hasattr(self, name):
                raise TypeError(f'FakeOpenAI has no setting {name!r}')
            setattr(self, name, value)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name='fake-openai', daemon=True)

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}/v1'

    @property
    def chats(self) -> list[Recorded]:
        return [request for request in self._all_chats if not _is_trial(request.json)]

    @property
    def trials(self) -> list[Recorded]:
        return [request for request in self._all_chats if _is_trial(request.json)]

    @property
    def _all_chats(self) -> list[Recorded]:
        return [request for request in self.requests if request.path.endswith('/chat/completions')]

    @property
    def closed_early(self) -> int:
        return sum(request.closed_early for request in self.requests)

    def start(self, port: int = 0) -> FakeOpenAI:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, '127.0.0.1', port), self._loop)
        self._server = starting.result(5.0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    def __enter__(self) -> FakeOpenAI:
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        """Wait in the test's thread for what the server will notice."""
        end_s = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end_s:
            time.sleep(0.005)
        return condition()

    async def _shut(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        try:
            while (request := await self._read(reader)) is not None:
                self.requests.append(request)
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _read(self, reader) -> Recorded | None:
        head = await reader.readuntil(b'\r\n\r\n') if not reader.at_eof() else b''
        if not head:
            return None
        first, *lines = head.decode().split('\r\n')
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines if line)}
        body = await reader.readexactly(int(headers.get('content-length', 0)))
        method, path, _ = first.split(' ')
        return Recorded(method, path, headers, body)

    async def _answer(self, request, reader, writer) -> bool:
        """Answer one request; False where the connection is done with."""
        if self.key and request.headers.get('authorization') != f'Bearer {self.key}':
            return await self._send(writer, 401, _error('no such key'))
        if request.path == '/v1/models':
            listed = [
                {'id': name, **({'max_model_len': self.max_model_len} if self.max_model_len else {})}
                for name in self.models
            ]
            listing = json.dumps({'object': 'list', 'data': listed}).encode()
            return await self._send(writer, self.models_status, self.raw_models or listing)
        if request.path != '/v1/chat/completions':
            return await self._send(writer, 404, json.dumps({'detail': 'Not Found'}).encode())
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        answering = asyncio.ensure_future(self._chat(request, writer))
        leaving = asyncio.ensure_future(reader.read(1))  # clients here do not pipeline: only the end can come
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                request.closed_early = True
                return False
            return await answering
        finally:
            self.concurrent -= 1
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _chat(self, request, writer) -> bool:
        asked = request.json
        if self.hang_trials if _is_trial(asked) else self.hang:
            await asyncio.sleep(3600.0)
        spared = self.failures is not None and _is_trial(asked)
        if self.status != 200 and self.failures != 0 and not spared:
            self.failures = None if self.failures is None else self.failures - 1
            return await self._send(writer, self.status, _error(self.error), self.headers)
        if refusal := self.refuse(asked):
            return await self._send(writer, refusal[0], _error(refusal[1]))
        said = 'OK' if _is_trial(asked) else self.reply(asked) if callable(self.reply) else self.reply
        message = dict(said) if isinstance(said, dict) else {'content': said}
        if self.reasoning:
            message[self.reasoning_key] = self.reasoning
        if self.raw is not None:
            await asyncio.sleep(self.latency_s)
            return await self._send(writer, 200, self.raw, kind=self.raw_kind)
        if asked.get('stream'):
            return await self._stream(asked, message, writer)
        await asyncio.sleep(self.latency_s)
        if self.break_off:
            writer.write(
                b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"choices": ['
            )
            await writer.drain()
            return False
        ending, message['content'] = self._ending(asked, message.get('content'))
        choice = {'index': 0, 'message': {'role': 'assistant', **message}, **ending}
        return await self._send(
            writer, 200, json.dumps({'model': asked['model'], 'choices': [choice], 'usage': _usage(message)}).encode()
        )

    def _ending(self, asked, content):
        """finish_reason and the content cut at a stop string, as servers do."""
        ending, stopped_by = {'finish_reason': 'stop'}, None
        for stop in asked.get('stop') or []:
            if isinstance(content, str) and stop in content:
                content, stopped_by = content[: content.index(stop)], stop
        if self.tells_stop:
            ending['stop_reason'] = stopped_by
        return ending, content

    async def _stream(self, asked, message, writer) -> bool:
        ending, content = self._ending(asked, message.get('content') or '')
        reasoning = message.get(self.reasoning_key, '')
        deltas = [{self.reasoning_key: reasoning[i : i + 7]} for i in range(0, len(reasoning), 7)]
        deltas += [{'content': content[i : i + 7]} for i in range(0, len(content), 7)]
        writer.write(f'HTTP/1.1 200 OK\r\ncontent-type: {STREAM_KIND}\r\ntransfer-encoding: chunked\r\n\r\n'.encode())
        for place, delta in enumerate(deltas):
            if place == self.hang_after:
                await self._hang(writer)
            await asyncio.sleep(self.latency_s / len(deltas))
            await _event(writer, {'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})
            if self.break_off and place >= 1:
                return False
        await _event(writer, {'choices': [{'index': 0, 'delta': {}, **ending}]})
        await _event(writer, {'choices': [], 'usage': _usage(message)})
        await _chunk(writer, b'data: [DONE]\n\n')
        await _chunk(writer, b'')
        return True

    async def _hang(self, writer) -> None:
        while True:
            await asyncio.sleep(0.05)
            if self.comments:
                await _chunk(writer, b': still here\n\ndata:\n\ndata: : still here\n\n')

    async def _send(self, writer, status, body, headers=None, kind=JSON_KIND) -> bool:
        lines = [f'HTTP/1.1 {status} X', f'content-type: {kind}', f'content-length: {len(body)}']
        lines += [f'{name}: {value}' for name, value in (headers or {}).items()]
        writer.write('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)
        await writer.drain()
        return True


async def _event(writer, event) -> None:
    # Raw non-ASCII, as vLLM sends it.
    await _chunk(writer, b'data: ' + json.dumps(event, ensure_ascii=False).encode() + b'\n\n')


async def _chunk(writer, data: bytes) -> None:
    writer.write(f'{len(data):x}\r\n'.encode() + data + b'\r\n')
    await writer.drain()


def _is_trial(asked) -> bool:
    return asked.get('max_tokens') == 1 and 'Reply with OK.' in json.dumps(asked['messages'])


def _usage(message) -> dict:
    return {'prompt_tokens': 1, 'completion_tokens': len(str(message.get('content', '')).split())}


def _error(message: str) -> bytes:
    return json.dumps({'error': {'message': message, 'type': 'FakeError', 'code': 0}}).encode()
