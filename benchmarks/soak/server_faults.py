"""What can be wrong with a model server: a table of faults by name.

A fault answers a chat in place of the server. It is given the call, and says with its return value whether the
connection may be used again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

JSON_KIND, HTML_KIND, STREAM_KIND = 'application/json', 'text/html', 'text/event-stream'
BIG_BYTES = 20_000_000
_DRIP_S = 0.2


@dataclasses.dataclass(kw_only=True)
class Call:
    """One request to the server, to be answered.

    Attributes:
        writer: of the connection.
        model: the id of the model that the server has.
        text: what a healthy server would say.
        streams: the asker wants events.
        number: of the call, for faults that change from one to the next.
    """

    writer: asyncio.StreamWriter
    model: str
    text: str
    streams: bool
    number: int

    async def send(self, body: bytes, status: int = 200, kind: str = JSON_KIND, **headers: str) -> bool:
        """Send a whole response."""
        self._head(status, kind, {'content-length': str(len(body)), **headers})
        self.writer.write(body)
        await self.writer.drain()
        return True

    async def say(self, text: str, reasoning: str = '') -> bool:
        """Send a completion, as events where the asker wants them."""
        message = {'content': text, **({'reasoning_content': reasoning} if reasoning else {})}
        if not self.streams:
            choice = {'index': 0, 'message': {'role': 'assistant', **message}, 'finish_reason': 'stop'}
            return await self.send(json.dumps({'model': self.model, 'choices': [choice]}).encode())
        self.begin_events()
        for name, words in reversed(message.items()):
            for at in range(0, len(words), 16):
                await self.event({name: words[at : at + 16]})
        await self.event({}, 'stop')
        return await self.end_events()

    def begin_events(self) -> None:
        """Begin a stream of events; `event` and `end_events` go on with it."""
        self._head(200, STREAM_KIND, {'transfer-encoding': 'chunked'})

    async def event(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        """Send a part of a completion."""
        choice = {'index': 0, 'delta': delta, 'finish_reason': finish_reason}
        await self.data(json.dumps({'choices': [choice]}))

    async def data(self, data: str) -> None:
        """Send an event with this data."""
        event = f'data: {data}\n\n'.encode()
        self.writer.write(f'{len(event):x}\r\n'.encode() + event + b'\r\n')
        await self.writer.drain()

    async def end_events(self) -> bool:
        """End a stream as servers do."""
        await self.data('[DONE]')
        self.writer.write(b'0\r\n\r\n')
        await self.writer.drain()
        return True

    async def begin(self, announced: int = 500) -> None:
        """Send the first part of a healthy answer, and no more."""
        if self.streams:
            self.begin_events()
            await self.event({'content': self.text[:20]})
        else:
            self._head(200, JSON_KIND, {'content-length': str(announced)})
            self.writer.write(b'{"choices": [')
            await self.writer.drain()

    async def hang(self) -> bool:
        """Do nothing until the asker leaves."""
        while not self.writer.is_closing():
            await asyncio.sleep(0.5)
        return False

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        lines = [f'HTTP/1.1 {status} X', f'content-type: {kind}', *(f'{name}: {is_}' for name, is_ in headers.items())]
        self.writer.write('\r\n'.join(lines).encode() + b'\r\n\r\n')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a model server.

    Attributes:
        answer: instead of the server's own.
        lists: the list of models is answered so as well.
        closed: nothing listens, and open connections are cut.
        renames: the server comes back with another model.
    """

    answer: Callable[[Call], Awaitable[bool]] | None = None
    lists: bool = False
    closed: bool = False
    renames: bool = False


def _status(status: int, message: str, **headers: str) -> Fault:
    body = json.dumps({'error': {'message': message, 'type': 'Fault', 'code': status}}).encode()
    # A server that refuses a request for what is in it lists its models all the same.
    return Fault(answer=lambda call: call.send(body, status, **headers), lists=status != 400)


def _body(body: bytes, kind: str = JSON_KIND, lists: bool = False) -> Fault:
    return Fault(answer=lambda call: call.send(body, kind=kind), lists=lists)


def _says(text: str, reasoning: str = '') -> Fault:
    return Fault(answer=lambda call: call.say(text, reasoning))


async def _hangs_midway(call: Call) -> bool:
    await call.begin()
    return await call.hang()


async def _cut(call: Call) -> bool:
    await call.begin()
    return False


async def _drips(call: Call) -> bool:
    await call.begin(10**6)
    while not call.writer.is_closing():
        if call.streams:
            await call.event({'content': 'a'})
        else:
            call.writer.write(b' ')
            await call.writer.drain()
        await asyncio.sleep(_DRIP_S)
    return False


async def _endless(call: Call) -> bool:
    if not call.streams:
        return await call.hang()
    call.begin_events()
    while not call.writer.is_closing():
        await call.event({'content': 'and then I look on, '})
        await asyncio.sleep(0.01)
    return False


async def _big(call: Call) -> bool:
    part = 'x' * 20_000
    if not call.streams:
        return await call.send(json.dumps({'choices': [{'message': {'content': 'x' * BIG_BYTES}}]}).encode())
    call.begin_events()
    for _ in range(BIG_BYTES // len(part)):
        await call.event({'content': part})
    return await call.end_events()


def _shape(**changed: Any) -> str:
    healthy = {'message': {'content': 'A'}, 'delta': {'content': 'A'}, 'finish_reason': 'stop'}
    return json.dumps({'choices': [{**healthy, **changed}]})


SHAPES = [
    '{"choices": [null]}',
    '{"choices": "none"}',
    '{"choices": {"0": {}}}',
    '[]',
    'null',
    '{"choices": [], "usage": "many"}',
    _shape(message='x', delta='x'),
    _shape(message={'content': 7}, delta={'content': 7}),
    _shape(message={'content': ['A']}, delta={'content': ['A']}),
    _shape(message={'content': '\ud83d'}, delta={'content': '\ud83d'}),
    _shape(message={'content': '<think>' * 500}, delta={'content': '<answer>Answer: ' * 500}),
    _shape(finish_reason=[1]),
    _shape(index=math.inf),
    '[' * 1500 + ']' * 1500,
    '',
    ': KEEP-ALIVE',
    '\ufeff{}',
]


async def _odd(call: Call) -> bool:
    shape = SHAPES[call.number % len(SHAPES)]
    if not call.streams:
        return await call.send(shape.encode())
    call.begin_events()
    await call.data(shape)
    return await call.end_events()


FAULTS: dict[str, Fault] = {
    'refused': Fault(closed=True),
    'hang': Fault(answer=Call.hang, lists=True),
    'hang_midway': Fault(answer=_hangs_midway),
    'cut': Fault(answer=_cut),
    '400': _status(400, "This model's maximum context length is 8192 tokens."),
    '401': _status(401, 'no such key'),
    '404': _status(404, 'The model does not exist.'),
    '429': _status(429, 'slow down', **{'retry-after': '1'}),
    '429_hour': _status(429, 'slow down', **{'retry-after': '3600'}),
    '500': _status(500, 'internal error'),
    '503': _status(503, 'loading'),
    'html': _body(b'<html><body>Log in to the hotel.</body></html>', HTML_KIND, lists=True),
    'half_json': _body(b'{"choices": [{"message": {"conte'),
    'garbage': _body(bytes(range(256)) * 8),
    'error_200': _body(b'{"error": {"message": "CUDA error: out of memory", "code": 500}}'),
    'empty': _says(''),
    'thinking_only': _says('', reasoning='I look around.'),
    'wrong_letter': _says('<think>Frame 1 shows it.</think><answer>Z</answer>'),
    'endless': Fault(answer=_endless),
    'odd_shapes': Fault(answer=_odd),
    'big': Fault(answer=_big),
    'drip': Fault(answer=_drips),
    'renamed': Fault(closed=True, renames=True),
}
HEALTHY = Fault(answer=lambda call: call.say(call.text))
