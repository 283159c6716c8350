"""A language model behind an OpenAI-compatible server."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.adapters.lm import OnText
from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.adapters.openai_refusals import SchemaRefused
from embodied_r_ros.adapters.openai_replies import ChatReply
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import Completion, Generation

# Enough for an option in JSON.
_OPTION_TOKENS = 32
_ANSWER = re.compile(r'"answer"\s{0,9}:\s{0,9}"([^"]{1,99})"')
_CLOSING_TAG = re.compile(r'</(\w+)>')


class OpenAILanguageModel:
    """Implements `adapters.lm.LanguageModel`."""

    def __init__(self, server: ServerSettings, key_variable: str = LM_KEY) -> None:
        self._client = OpenAIClient(server, key_variable)
        self._takes_schema = True

    def __repr__(self) -> str:
        return f'OpenAILanguageModel({self._client!r})'

    @property
    def name(self) -> str:
        """The model's id; '' until `probe` has found the only one served."""
        return self._client.served.id

    async def probe(self) -> None:
        """Find the server and the model on it, and ask for one token: a server whose engine hangs still lists models.

        Raises:
            BackendError: as `OpenAIClient.probe` and `try_out` say.
        """
        await self._client.probe()
        await self._client.try_out([{'role': 'user', 'content': 'Reply with OK.'}])

    async def ping(self) -> None:
        """See whether the server lists the model.

        Raises:
            BackendError: as `OpenAIClient.ping` says.
        """
        await self._client.ping()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """Continue the chat; on_text gets thinking that the server splits off as well.

        Raises:
            BackendError, ReplyError: as `OpenAIClient.chat` says.
        """
        start_s = time.monotonic()
        options: dict[str, object] = {'temperature': request.temperature, 'max_tokens': request.max_tokens}
        if request.temperature > 0.0:
            options['seed'] = request.seed
        if request.stop:
            options['stop'] = list(request.stop)
        messages = [{'role': message.role, 'content': message.content} for message in request.messages]
        if request.options:
            return Completion(text=await self._option(messages, request.options), latency_s=time.monotonic() - start_s)
        reply = await self._client.chat(messages, on_text, **options)
        return Completion(
            text=reply.text + _cut_off(reply, request.stop),
            reasoning=reply.reasoning,
            latency_s=time.monotonic() - start_s,
            tokens=reply.tokens,
            is_cut=reply.finish_reason == 'length',
        )

    async def _option(self, messages: list[dict[str, str]], options: Sequence[str]) -> str:
        """One of the options, by a schema where the server takes one; else what it says in a few tokens."""
        asked: dict[str, Any] = {'temperature': 0.0, 'max_tokens': _OPTION_TOKENS}
        if self._takes_schema:
            schema = {
                'type': 'object',
                'properties': {'answer': {'type': 'string', 'enum': list(options)}},
                'required': ['answer'],
                'additionalProperties': False,
            }
            form = {'type': 'json_schema', 'json_schema': {'name': 'answer', 'strict': True, 'schema': schema}}
            try:
                reply = await self._client.chat(messages, response_format=form, **asked)
            except SchemaRefused:
                self._takes_schema = False
            else:
                said = reply.text or reply.reasoning
                found = _ANSWER.search(said)
                return found[1] if found else said
        reply = await self._client.chat(messages, **asked)
        return reply.text or reply.reasoning

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _cut_off(reply: ChatReply, stop: tuple[str, ...]) -> str:
    """The stop string that ended the reply; servers leave it out, a reply keeps it.

    vLLM says which one it was. Elsewhere a closing tag is taken to have been it, where its opening tag stands open.
    """
    if reply.finish_reason != 'stop':
        return ''
    if reply.tells_stop:
        told = reply.stop_reason or ''
        return told if told in stop and not reply.text.endswith(told) else ''
    for string in stop:
        tag = _CLOSING_TAG.fullmatch(string)
        if tag and reply.text.rfind(f'<{tag[1]}>') > reply.text.rfind(string):
            return string
    return ''
