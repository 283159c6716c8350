"""A model server on loopback that is told which fault to have, in a process of its own.

with FaultyServer() as server:
    server.have('hang')
    ... server.url ...
    server.mend()
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

from benchmarks.soak.server_faults import FAULTS, HEALTHY, Call, Fault

LATENCY_S = 0.05
DESCRIPTION = json.dumps({'action': 'move forward', 'new': 'A grey wall ahead, some 3 m off.', 'relevant': 'A wall.'})
THOUGHT = '<think>Frame 1 shows the wall ahead.</think><answer>A</answer>'
_NONE = 'none'


class FaultyServer:
    """The server's process: healthy at first.

    Attributes:
        url: its base URL, the same whatever fault it has.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.soak.server'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the program that uses the server, which ends it.
            start_new_session=True,
        )
        self.url = f'http://127.0.0.1:{int(self._told())}/v1'

    def __enter__(self) -> FaultyServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def have(self, fault: str) -> None:
        """Have a fault from now on, one of FAULTS; a new connection finds it at once.

        Raises:
            ValueError: there is no such fault.
        """
        if fault not in (_NONE, *FAULTS):
            raise ValueError(f'a fault must be one of {", ".join(FAULTS)}, got {fault!r}')
        if self._process.stdin is not None:
            self._process.stdin.write(fault + '\n')
            self._process.stdin.flush()
        self._told()

    def mend(self) -> None:
        """Be healthy from now on; what hangs goes on hanging, as it does when a server was overloaded."""
        self.have(_NONE)

    def _told(self) -> str:
        """The next line that the process wrote."""
        return '' if self._process.stdout is None else self._process.stdout.readline()


class _Served:
    """The server's side: one fault at a time."""

    def __init__(self) -> None:
        self._fault = HEALTHY
        self._model = 1
        self._calls = 0
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> int:
        """Listen, on the same port as before; returns it."""
        self._server = await asyncio.start_server(self._serve, '127.0.0.1', self._port, limit=2**22)
        self._port = self._server.sockets[0].getsockname()[1]
        return self._port

    async def change(self, fault: Fault) -> None:
        """Have this fault instead of the one before."""
        if fault.closed and self._server is not None:
            self._server.close()
            self._server = None
            for writer in self._writers:
                writer.transport.abort()
        self._model += fault.renames
        self._fault = fault
        if not fault.closed and self._server is None:
            await self.listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on one connection, one request after another."""
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1')
                lengths = [line for line in head.lower().split('\r\n') if line.startswith('content-length:')]
                body = await reader.readexactly(int(lengths[0].split(':')[1]) if lengths else 0)
                if not await self._answer(head.split(' ')[1], body, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._calls += 1
        model = f'model-{self._model}'
        if not path.endswith('/chat/completions'):
            call = Call(writer=writer, model=model, text='', streams=False, number=self._calls)
            if self._fault.lists and self._fault.answer is not None:
                return await _until_left(self._fault.answer(call), reader)
            return await call.send(json.dumps({'object': 'list', 'data': [{'id': model}]}).encode())
        asked: dict[str, Any] = json.loads(body)
        sees = isinstance(asked['messages'][-1]['content'], list)
        text = DESCRIPTION if sees else THOUGHT
        call = Call(writer=writer, model=model, text=text, streams=bool(asked.get('stream')), number=self._calls)
        if asked['model'] != model:
            message = f'The model `{asked["model"]}` does not exist.'
            return await call.send(json.dumps({'error': {'message': message, 'code': 404}}).encode(), 404)
        await asyncio.sleep(LATENCY_S)
        answer = self._fault.answer or HEALTHY.answer
        return answer is not None and await _until_left(answer(call), reader)


async def _until_left(answering: Any, reader: asyncio.StreamReader) -> bool:
    """What comes of the answer; False where the asker leaves before its end."""
    tasks = asyncio.ensure_future(answering), asyncio.ensure_future(_left(reader))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return bool(tasks[0].done() and await tasks[0])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _left(reader: asyncio.StreamReader) -> None:
    # Reading would take away the beginning of the next request.
    while not reader.at_eof():
        await asyncio.sleep(0.05)


async def _main() -> None:
    """Print the port, then take one fault per line and repeat it once it holds; the end of the lines is the end."""
    served = _Served()
    print(await served.listen(), flush=True)
    loop = asyncio.get_running_loop()
    while name := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        await served.change(FAULTS.get(name, HEALTHY))
        print(name, flush=True)


if __name__ == '__main__':
    asyncio.run(_main())
