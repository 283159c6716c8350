"""An OpenAI-compatible model server (vLLM and the like) over HTTP: probe, chat, stream, deadline, cancel.

Every request has one steady-clock deadline, from asking to the last byte. A cancelled request closes its connection,
and the server stops generating. What the server cannot take (no connection, 429, 5xx) is tried again with growing
pauses inside the deadline, unless text has been streamed already; what it declines is not.

Proxies from the environment are used for hosts elsewhere, never for this machine: a robot's proxy setting must not lead
127.0.0.1 astray. Redirects are not followed, so that the key goes nowhere else.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx

from embodied_r_ros.adapters.openai_refusals import Overloaded, refusal, status_error
from embodied_r_ros.adapters.openai_replies import (
    MAX_REPLY_BYTES,
    ChatReply,
    Gathered,
    Told,
    read_completion,
    read_events,
    read_json,
)
from embodied_r_ros.core.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    ReplyError,
    SettingsError,
)
from embodied_r_ros.core.models import ServerSettings

VLM_KEY = 'EMBODIED_R_VLM_API_KEY'
LM_KEY = 'EMBODIED_R_LM_API_KEY'

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
CONNECT_S = 5.0

Result = TypeVar('Result')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
    """A model that the server lists; `max_model_len` in tokens, 0 where the server does not tell."""

    id: str
    max_model_len: int = 0


class OpenAIClient:
    """One server, one connection pool; made anywhere, used in one event loop."""

    def __init__(self, settings: ServerSettings, key_variable: str) -> None:
        self.settings = settings
        self.key_variable = key_variable
        self.served = Served(id=settings.model)
        self._free = asyncio.Semaphore(settings.max_concurrent_requests)
        # Loading the certificates costs 30 ms, and plain HTTP on this machine needs none.
        on_this_machine = _is_loopback(settings.url)
        self._http = httpx.AsyncClient(
            headers=_authorization(key_variable),
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=settings.max_concurrent_requests),
            verify=not (on_this_machine and settings.url.startswith('http:')),
            trust_env=not on_this_machine,
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f'OpenAIClient(url={self.settings.url!r}, model={self.served.id!r})'

    async def probe(self) -> Served:
        """Find the server and the model on it.

        Raises:
            BackendUnavailable, BackendTimeout: nobody answers.
            BackendRefused: what answers is no such server, wants another key, or does not serve the model.
        """
        models = await self._within(self._models)
        ids = ', '.join(model.id for model in models) or 'nothing'
        wanted = self.settings.model
        if not wanted and len(models) != 1:
            raise BackendRefused(f'the model to use at {self.settings.url} must be named; set model to one of: {ids}')
        found = [model for model in models if model.id == wanted or not wanted]
        if not found:
            raise BackendRefused(
                f'model {wanted!r} was wanted, {self.settings.url} serves: {ids}; set model to one of these, or serve '
                f'it (vllm serve {wanted} --served-model-name {wanted})'
            )
        self.served = found[0]
        return self.served

    async def chat(
        self, messages: Sequence[dict[str, Any]], on_text: Callable[[str], None] | None = None, **options: Any
    ) -> ChatReply:
        """Ask for the next turn of a chat.

        Args:
            messages: in the server's JSON form.
            on_text: gets the pieces of text as they come; without it nothing is streamed.
            options: further fields of the request, such as temperature, max_tokens, response_format.

        Raises:
            BackendTimeout: the deadline passed.
            BackendUnavailable: the server could not be reached, is overloaded, or broke off.
            BackendRefused: the server declined; the message carries its own.
            ReplyError: what came back is no chat completion.
        """
        body = {'model': self.served.id, 'messages': list(messages), **options}
        limit = self.served.max_model_len
        if limit and body.get('max_tokens', 0) >= limit:
            del body['max_tokens']  # the server then takes what the prompt leaves
        if on_text is not None:
            body.update(stream=True, stream_options={'include_usage': True})
        content = json.dumps(body).encode()
        told = Told(on_text)
        return await self._within(lambda: self._chat(content, told), told)

    async def aclose(self) -> None:
        """Close the connections; what is under way ends with BackendUnavailable."""
        await self._http.aclose()

    async def _within(self, attempt: Callable[[], Awaitable[Result]], told: Told | None = None) -> Result:
        """Attempt, with pauses and repeats, until the deadline."""
        timeout_s = self.settings.timeout_s
        start_s = time.monotonic()
        try:
            return await asyncio.wait_for(self._attempts(attempt, told), timeout_s)
        except asyncio.TimeoutError as error:
            spent_s = time.monotonic() - start_s
            raise BackendTimeout(
                f'a reply from {self.settings.url} was wanted within timeout_s {timeout_s:g} s, none came in '
                f'{spent_s:.2f} s; allow more time, ask for fewer max_tokens, or give the server more power'
            ) from error

    async def _attempts(self, attempt: Callable[[], Awaitable[Result]], told: Told | None) -> Result:
        retries_left, pause_s = self.settings.retries, FIRST_PAUSE_S
        async with self._free:
            while True:
                try:
                    return await self._translated(attempt)
                except BackendUnavailable as error:
                    if retries_left == 0 or self._http.is_closed or (told is not None and told.any_text):
                        raise
                    wish_s = error.retry_after_s if isinstance(error, Overloaded) else 0.0
                await asyncio.sleep(max(pause_s, wish_s))
                retries_left, pause_s = retries_left - 1, min(2 * pause_s, LONGEST_PAUSE_S)

    async def _translated(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        if self._http.is_closed:
            raise BackendUnavailable(f'the client of {self.settings.url} has been closed; make a new one')
        try:
            return await attempt()
        except httpx.HTTPError as error:
            raise translate(error, self.settings.url) from error

    async def _models(self) -> list[Served]:
        async with self._http.stream('GET', f'{self.settings.url}/models') as response:
            content = await self._content(response)
        try:
            listed = json.loads(content)['data']
            return [Served(id=str(model['id']), max_model_len=int(model.get('max_model_len') or 0)) for model in listed]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackendRefused(
                f'{self.settings.url}/models should list models as an OpenAI-compatible server does, it answered '
                f'{content[:200]!r}; check host, port and path of url'
            ) from error

    async def _chat(self, content: bytes, told: Told) -> ChatReply:
        headers = {'Content-Type': 'application/json'}
        url = f'{self.settings.url}/chat/completions'
        async with self._http.stream('POST', url, content=content, headers=headers) as response:
            kind = response.headers.get('content-type', '')
            if response.status_code == 200 and kind.startswith('text/event-stream'):
                return await self._streamed(response, told)
            whole = read_completion(await self._content(response))
            told.piece(whole.reasoning)
            told.piece(whole.text)
            return whole

    async def _content(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_REPLY_BYTES:
                raise ReplyError(f'at most {MAX_REPLY_BYTES} bytes were wanted, {self.settings.url} sent more', '')
        if response.status_code != 200:
            raise status_error(response, bytes(content), self.settings, self.served.id, self.key_variable)
        return bytes(content)

    async def _streamed(self, response: httpx.Response, told: Told) -> ChatReply:
        gathered = Gathered()
        async for data in read_events(response):
            if data == '[DONE]':
                break
            event = read_json(data)
            if event.get('error'):
                raise refusal(event, self.settings, self.served.id)
            gathered.take(event, told)
        if not gathered.is_whole:
            raise BackendUnavailable(f'{self.settings.url} broke off after {len(gathered.text)} characters; try again')
        return gathered.reply()


def translate(error: httpx.HTTPError, url: str) -> BackendError:
    """Our error for one of httpx's."""
    what = f'{type(error).__name__}: {error}' if str(error) else type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return BackendUnavailable(f'a model server was wanted at {url}, nobody answers ({what}); start it, or set url')
    if isinstance(error, httpx.TimeoutException):
        return BackendTimeout(f'{url} did not answer in time ({what}); allow more time')
    if isinstance(
        error, (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.DecodingError, httpx.LocalProtocolError)
    ):
        return BackendRefused(f'{url} cannot be spoken to ({what}); check url')
    return BackendUnavailable(f'the connection to {url} broke ({what}); try again')


def _authorization(key_variable: str) -> dict[str, str]:
    key = os.environ.get(key_variable, '').strip()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f'{key_variable} must hold printable ASCII characters only, it holds others; set it anew')
    return {'Authorization': f'Bearer {key}'} if key else {}


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost' or host.endswith('.localhost')
