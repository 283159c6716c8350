"""One request to an OpenAI-compatible server and its response, on a connection of its own."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx

from embodied_r_ros.adapters.events import read_events
from embodied_r_ros.adapters.masking import Mask
from embodied_r_ros.adapters.openai_refusals import Refuser
from embodied_r_ros.adapters.openai_replies import MAX_REPLY_BYTES, Gathered, no_completion, read_json, whole_number
from embodied_r_ros.adapters.patience import Watch
from embodied_r_ros.core.errors import BackendRefused, BackendUnavailable, ReplyError

MAX_ID = 300
MAX_SHOWN = 200
CHUNKS_PER_TURN = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """A model that the server lists; `max_model_len` in tokens, 0 where the server does not tell."""

    id: str
    max_model_len: int = 0


class Exchange:
    """What is asked of one server, and how its responses are read.

    Args:
        url: of the server.
        refuser: makes the errors for what it declines.
    """

    def __init__(self, url: str, refuser: Refuser) -> None:
        self._url, self._refuser = url, refuser
        self._place, self._mask = refuser.place, refuser.mask

    async def models(self, http: httpx.AsyncClient) -> list[Served]:
        """The models that the server lists.

        Raises:
            BackendError: the server declined, or is none that lists models.
            httpx.HTTPError: the connection.
        """
        try:
            async with http.stream('GET', f'{self._url}/models') as response:
                return read_models(await self._content(response, ''), self._mask)
        except ReplyError as error:
            raise BackendRefused(
                f'{self._place}/models should list models as an OpenAI-compatible server does, it answered '
                f'{error.raw[:MAX_SHOWN]!r}; check host, port and path of url'
            ) from error

    async def chat(
        self, http: httpx.AsyncClient, content: bytes, model: Served, gathered: Gathered, watch: Watch
    ) -> None:
        """Send a chat and gather the reply, to the end of the response.

        Args:
            content: the request's body.
            model: that the body names.
            gathered: gets the reply.
            watch: is told each time the reply has grown, and when it is whole.

        Raises:
            BackendError: the server declined, or broke off.
            ReplyError: what came is no chat completion.
            httpx.HTTPError: the connection.
        """
        headers = {'Content-Type': 'application/json'}
        url = f'{self._url}/chat/completions'
        async with http.stream('POST', url, content=content, headers=headers) as response:
            kind = response.headers.get('content-type', '').lower()
            if response.status_code == 200 and kind.startswith('text/event-stream'):
                await self._events(response, model, gathered, watch)
                return
            whole = await self._content(response, model.id)
            gathered.take_whole(self._checked(whole.decode('utf-8', 'replace'), model))
            watch.sign()

    async def _events(self, response: httpx.Response, model: Served, gathered: Gathered, watch: Watch) -> None:
        head = bytearray()
        has_ended = False
        async for data in read_events(_keeping(head, response.aiter_raw())):
            if has_ended:
                continue  # to the end of the response, so that the connection can be used again
            if data == '[DONE]':
                gathered.end()
                has_ended = True
            elif gathered.take(self._checked(data, model)):
                watch.sign()
            if has_ended or gathered.is_whole:
                watch.ending()
        if not gathered.is_whole and head.lstrip().startswith((b'<', b'{')):
            raise no_completion(head.decode('utf-8', 'replace'), self._mask)
        if not gathered.is_whole:
            raise BackendUnavailable(f'{self._place} broke off after {gathered.length} characters; try again')

    def _checked(self, text: str, model: Served) -> dict[str, Any]:
        """An object of the server's; an error object is raised as what it names."""
        found = read_json(text, self._mask)
        error = self._refuser.of_object(found, model.id)
        if error is not None:
            raise error
        return found

    async def _content(self, response: httpx.Response, model: str) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MAX_REPLY_BYTES:
                raise ReplyError(f'at most {MAX_REPLY_BYTES} bytes were wanted, {self._place} sent more', '')
        if response.status_code != 200:
            raise self._refuser.of_response(response, bytes(content), model)
        packing = response.headers.get('content-encoding', 'identity')
        if packing != 'identity':
            raise BackendRefused(
                f'{self._place} compresses its replies ({self._mask(packing)[:MAX_ID]}), which the request forbids; '
                'turn compression off in the server or proxy'
            )
        return bytes(content)


def read_models(content: bytes, mask: Mask) -> list[Served]:
    """The models in a server's listing; entries whose id is no string are left out.

    Raises:
        ReplyError: it is no listing.
    """
    text = content.decode('utf-8', 'replace')
    listed = read_json(text, mask).get('data')
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    models = [
        Served(id=mask(entry['id'])[:MAX_ID], max_model_len=whole_number(entry.get('max_model_len')))
        for entry in entries
        if isinstance(entry.get('id'), str)
    ]
    if not models and listed != []:
        raise no_completion(text, mask)
    return models


async def _keeping(head: bytearray, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, of which the beginning is kept; the event loop gets its turn among those that come at once."""
    count = 0
    async for chunk in chunks:
        count += 1
        if count % CHUNKS_PER_TURN == 0:
            await asyncio.sleep(0)
        if len(head) < MAX_SHOWN:
            head += chunk[:MAX_SHOWN]
        yield chunk
