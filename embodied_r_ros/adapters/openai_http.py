"""An OpenAI-compatible model server (vLLM and the like) over HTTP: probe, chat, stream, deadline, cancel.

Every request has one steady-clock deadline, from asking to the last byte. A cancelled request closes its connection,
and the server stops generating. What the server cannot take (no connection, 429, 5xx), and a silence longer than what
was measured allows, is tried again with growing pauses inside the deadline, unless text has been told already; what the
server declines is not.

Every chat is streamed, so that the first text shows that the model works; where a server refuses that, it is asked for
whole replies. Text that comes from the server is cleaned, and the key replaced in it, before it leaves.
Redirects are not followed, so that the key goes nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx

from embodied_r_ros.adapters.lanes import Lanes, until_done
from embodied_r_ros.adapters.masking import Mask
from embodied_r_ros.adapters.openai_exchange import Exchange, Served
from embodied_r_ros.adapters.openai_refusals import (
    LONGEST_PAUSE_S,
    NoSuchModel,
    Overloaded,
    Refuser,
    StreamRefused,
)
from embodied_r_ros.adapters.openai_replies import ChatReply, Gathered, Told
from embodied_r_ros.adapters.patience import Patience, Silent, Watch
from embodied_r_ros.adapters.proxies import credentials, proxy_for, without_credentials
from embodied_r_ros.adapters.routes import api_key, connection, translate
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, ReplyError
from embodied_r_ros.core.models import ServerSettings

logger = logging.getLogger(__name__)

VLM_KEY = 'EMBODIED_R_VLM_API_KEY'
LM_KEY = 'EMBODIED_R_LM_API_KEY'

FIRST_PAUSE_S = 0.25
PING_S = 2.0
SHOWN_IDS = 20
SHORTER_PROMPT = (
    'lower max_observations or max_tokens, ask about a shorter window, or serve with a larger --max-model-len'
)
# How a reply is asked for; a server that refuses one form gets the next.
FORMS: tuple[dict[str, Any], ...] = (
    {'stream': True, 'stream_options': {'include_usage': True}},
    {'stream': True},
    {},
)

Result = TypeVar('Result')


class OpenAIClient:
    """One server; made anywhere, used in one event loop.

    Args:
        settings: where the server is, and how it is spoken to.
        key_variable: environment variable with its key.
        shorter: advice for prompts that are too long for it.

    Raises:
        SettingsError: the key, or a proxy that the environment names, cannot be used.
    """

    def __init__(self, settings: ServerSettings, key_variable: str, shorter: str = SHORTER_PROMPT) -> None:
        key, proxy = api_key(key_variable), proxy_for(settings.url, os.environ)
        self.settings = settings
        self.served = Served(id=settings.model)
        through = f' (through the proxy {without_credentials(proxy)} of the environment)' if proxy else ''
        self._place = settings.url + through
        self._mask = Mask([key, *credentials(proxy)])
        refuser = Refuser(place=self._place, key_variable=key_variable, shorter=shorter, mask=self._mask)
        self._exchange = Exchange(settings.url, refuser)
        self._lanes = Lanes(connection(settings.url, proxy, key))
        self._free = asyncio.Semaphore(settings.max_concurrent_requests)
        self._patience = Patience(settings.timeout_s)
        self._form = 0

    def __repr__(self) -> str:
        return f'OpenAIClient(url={self.settings.url!r}, model={self.served.id!r})'

    async def probe(self) -> Served:
        """Find the server and the model on it.

        Raises:
            BackendUnavailable, BackendTimeout: nobody answers.
            BackendRefused: what answers is no such server, wants another key, or does not serve the model.
        """
        return self._choose(await self._within(self._models, has_slot=True))

    async def ping(self) -> None:
        """See within 2 s whether the server lists the model, beside whatever is under way; raises as `probe`."""
        limit_s = min(PING_S, self.settings.timeout_s)
        self._choose(await self._within(self._models, timeout_s=limit_s, retries=0, has_slot=True))

    async def chat(
        self, messages: Sequence[dict[str, Any]], on_text: Callable[[str], None] | None = None, **options: Any
    ) -> ChatReply:
        """Ask for the next turn of a chat.

        Args:
            messages: in the server's JSON form.
            on_text: gets the pieces of text as they come.
            options: further fields of the request, such as temperature, max_tokens, response_format.

        Raises:
            BackendTimeout: the deadline passed, or (`Silent`) the server said nothing for longer than it ever took.
            BackendUnavailable: the server could not be reached, is overloaded, or broke off.
            BackendRefused: the server declined; the message carries its own.
            ReplyError: what came back is no chat completion.
        """
        asked, told = {'messages': list(messages), **options}, Told(on_text)
        return await self._within(lambda: self._chat(asked, told, self._patience.allowed_s), told)

    async def try_out(self, messages: Sequence[dict[str, Any]]) -> None:
        """Ask for one token of a chat, beside whatever is under way, to see that the model works.

        It may be silent until the deadline, so that a model which has become slow is found to work, and waited for.

        Raises:
            BackendError: as `chat` does; what is no chat completion counts as refused.
        """
        asked = {'messages': list(messages), 'max_tokens': 1, 'temperature': 0.0}
        try:
            await self._within(lambda: self._chat(asked, Told(), self.settings.timeout_s), has_slot=True)
        except ReplyError as error:
            raise BackendRefused(f'{self._place} was asked for a chat completion as a trial; {error}') from error

    async def aclose(self) -> None:
        """Close the connections; what is under way ends with BackendUnavailable."""
        await self._lanes.aclose()

    async def _within(
        self,
        attempt: Callable[[], Awaitable[Result]],
        told: Told | None = None,
        *,
        timeout_s: float | None = None,
        retries: int | None = None,
        has_slot: bool = False,
    ) -> Result:
        """Attempt, with pauses and repeats, until the deadline.

        Args:
            attempt: what is tried.
            told: says whether text has been told already.
            timeout_s, retries: in place of the settings'.
            has_slot: whether it does not count among the concurrent requests.
        """
        limit_s = self.settings.timeout_s if timeout_s is None else timeout_s
        again = self.settings.retries if retries is None else retries
        start_s = time.monotonic()
        slot = contextlib.nullcontext() if has_slot else self._free
        task = asyncio.ensure_future(self._attempts(attempt, told or Told(), again, slot))
        try:
            await until_done(task, lambda: start_s + limit_s - time.monotonic())
            return task.result()
        except asyncio.TimeoutError as error:
            named = 'timeout_s ' if timeout_s is None else ''
            raise BackendTimeout(
                f'a reply from {self._place} was wanted within {named}{limit_s:g} s, none came in '
                f'{time.monotonic() - start_s:.2f} s; allow more time, ask for fewer max_tokens, or give the server '
                'more power'
            ) from error
        finally:
            task.cancel()

    async def _attempts(
        self,
        attempt: Callable[[], Awaitable[Result]],
        told: Told,
        retries: int,
        slot: contextlib.AbstractAsyncContextManager[None],
    ) -> Result:
        retries_left, pause_s = retries, FIRST_PAUSE_S
        async with slot:
            while True:
                try:
                    return await self._translated(attempt())
                except (BackendUnavailable, Silent) as error:
                    if retries_left == 0 or self._lanes.is_closed or told.any_text:
                        raise
                    wish_s = error.retry_after_s if isinstance(error, Overloaded) else 0.0
                await asyncio.sleep(max(pause_s, wish_s))
                retries_left, pause_s = retries_left - 1, min(2 * pause_s, LONGEST_PAUSE_S)

    async def _translated(self, attempt: Awaitable[Result]) -> Result:
        try:
            return await attempt
        except httpx.HTTPError as error:
            raise translate(error, self._place, self._mask) from error

    async def _carry(
        self, exchange: Callable[[httpx.AsyncClient], Awaitable[Result]], left_s: Callable[[], float]
    ) -> Result:
        if self._lanes.is_closed:
            raise BackendUnavailable(f'the client of {self._place} has been closed; make a new one')
        return await self._lanes.carry(exchange, left_s)

    async def _models(self) -> list[Served]:
        return await self._carry(self._exchange.models, lambda: self.settings.timeout_s)

    def _choose(self, models: Sequence[Served]) -> Served:
        """The model to use from now on, of those that the server lists."""
        ids = ', '.join(model.id for model in models[:SHOWN_IDS]) or 'nothing'
        wanted, place = self.settings.model, self._place
        if not wanted and len(models) != 1:
            raise BackendRefused(f'the model to use at {place} must be named; set model to one of: {ids}')
        found = [model for model in models if model.id == wanted or not wanted]
        if not found:
            raise BackendRefused(
                f'model {wanted!r} was wanted, {place} serves: {ids}; set model to one of these, or serve it '
                f'(vllm serve {wanted} --served-model-name {wanted})'
            )
        self.served = found[0]
        return self.served

    async def _chat(self, asked: dict[str, Any], told: Told, allowed_s: float) -> ChatReply:
        """Send a chat in a form that the server takes, and to the model that it serves now."""
        form, is_new_model = self._form, False
        while True:
            model = self.served
            try:
                reply = await self._send(model, asked, FORMS[form], told, allowed_s)
            except StreamRefused:
                if form + 1 == len(FORMS):
                    raise
                form += 1
            except NoSuchModel:
                if is_new_model or not await self._serves_another(model):
                    raise
                is_new_model = True
            else:
                self._form = form
                return reply

    async def _serves_another(self, refused: Served) -> bool:
        """Whether another model is used from now on in place of one that nobody named and the server has no more."""
        if self.settings.model:
            return False
        if self.served == refused:
            with contextlib.suppress(BackendError, httpx.HTTPError):
                models = await self._models()
                if len(models) == 1:
                    self.served = models[0]
        if self.served.id == refused.id:
            return False
        logger.warning('%s serves %r in place of %r; it is used from now on', self._place, self.served.id, refused.id)
        return True

    async def _send(
        self, model: Served, asked: dict[str, Any], form: dict[str, Any], told: Told, allowed_s: float
    ) -> ChatReply:
        body = {'model': model.id, **asked, **form}
        if model.max_model_len and body.get('max_tokens', 0) >= model.max_model_len:
            del body['max_tokens']  # the server then takes what the prompt leaves
        content = json.dumps(body).encode()
        gathered, watch = Gathered(self._mask, told), Watch(allowed_s)
        try:
            await self._carry(lambda http: self._exchange.chat(http, content, model, gathered, watch), watch.left_s)
        except asyncio.TimeoutError as error:
            if not gathered.is_whole:
                raise self._silent(watch, gathered) from error
        except httpx.HTTPError:
            if not gathered.is_whole:
                raise
        if watch.first_s is not None:
            self._patience.note(watch.first_s)
        return gathered.reply()

    def _silent(self, watch: Watch, gathered: Gathered) -> Silent:
        longest_s = self._patience.longest_s
        came = f'after {gathered.length} characters' if gathered.length else 'before the first'
        return Silent(
            f'{self._place} said nothing for {watch.allowed_s:.1f} s {came}, the slowest first text lately came after '
            f'{longest_s:.2f} s; see whether it hangs'
        )
