"""A model server on loopback whose every chat takes the same time, in a process of its own.

with Server(latency_s=0.5) as server:
    ... server.url ... server.spent_s()
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

MODEL = 'fixed'
DESCRIPTION = json.dumps({'action': 'move forward', 'new': 'A grey wall ahead, some 3 m off.', 'relevant': 'A wall.'})
THOUGHT = '<think>Frame 1 shows the wall ahead.</think><answer>A</answer>'


class Server:
    """The server's process.

    Args:
        latency_s: from taking up a chat to its last byte.
        slots: chats taken up at once, in the order in which they came; 0 for any number.
    """

    def __init__(self, latency_s: float, slots: int = 0) -> None:
        command = [sys.executable, '-m', 'benchmarks._server', str(latency_s), str(slots)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        port = self._process.stdout.readline() if self._process.stdout is not None else ''
        self.url = f'http://127.0.0.1:{int(port)}/v1'

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def spent_s(self) -> list[float]:
        """Seconds that each chat was with the server, waiting for a slot included, since this was last asked."""
        with urllib.request.urlopen(f'{self.url}/spent') as reply:
            return list(json.load(reply))


class _Handler:
    def __init__(self, latency_s: float, slots: int) -> None:
        self._latency_s = latency_s
        self._slots = asyncio.Semaphore(slots or 10**6)
        self._spent_s: list[float] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on one connection, one request after another."""
        try:
            while True:
                head = (await reader.readuntil(b'\r\n\r\n')).decode()
                begun_s = time.monotonic()
                lengths = [line for line in head.lower().split('\r\n') if line.startswith('content-length:')]
                body = await reader.readexactly(int(lengths[0].split(':')[1]) if lengths else 0)
                if head.split(' ')[1].endswith('/chat/completions'):
                    await self._chat(writer, json.loads(body))
                    self._spent_s.append(time.monotonic() - begun_s)
                elif head.split(' ')[1].endswith('/spent'):
                    spent_s, self._spent_s = self._spent_s, []
                    await _send(writer, 'application/json', json.dumps(spent_s))
                else:
                    await _send(writer, 'application/json', json.dumps({'data': [{'id': MODEL}]}))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _chat(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        async with self._slots:
            await asyncio.sleep(self._latency_s)
        sees = isinstance(asked['messages'][-1]['content'], list)
        text = DESCRIPTION if sees else THOUGHT
        if asked.get('stream'):
            deltas = [{'content': text[at : at + 16]} for at in range(0, len(text), 16)]
            events = [{'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]} for delta in deltas]
            events.append({'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})
            lines = [f'data: {json.dumps(event)}\n\n' for event in events]
            await _send(writer, 'text/event-stream', ''.join([*lines, 'data: [DONE]\n\n']))
        else:
            choice = {'index': 0, 'message': {'role': 'assistant', 'content': text}, 'finish_reason': 'stop'}
            await _send(writer, 'application/json', json.dumps({'model': MODEL, 'choices': [choice]}))


async def _send(writer: asyncio.StreamWriter, kind: str, body: str) -> None:
    data = body.encode()
    writer.write(f'HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n'.encode() + data)
    await writer.drain()


async def _serve(latency_s: float, slots: int) -> None:
    server = await asyncio.start_server(_Handler(latency_s, slots).serve, '127.0.0.1', 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Print the port, and serve until the process is ended."""
    parser = argparse.ArgumentParser(description='A model server whose every chat takes the same time.')
    parser.add_argument('latency_s', type=float)
    parser.add_argument('slots', type=int)
    options = parser.parse_args()
    asyncio.run(_serve(options.latency_s, options.slots))


if __name__ == '__main__':
    main()
