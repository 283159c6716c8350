"""The replies of a model server put together, whole or from the pieces of a stream."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from embodied_r_ros.core.errors import ReplyError

MAX_REPLY_BYTES = 16 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What the server made of a chat.

    Attributes:
        text: the content.
        reasoning: thinking that the server split off (`reasoning` or `reasoning_content`), '' otherwise.
        finish_reason: 'stop', 'length', ...
        stop_reason: the stop string that ended the reply where the server tells it; None where it does not.
        tells_stop: whether the server speaks of stop_reason at all.
        tokens: of the reply; 0 where the server does not count.
        logprobs: log-probability of each token of the reply; empty unless asked for.
    """

    text: str = ''
    reasoning: str = ''
    finish_reason: str = ''
    stop_reason: str | None = None
    tells_stop: bool = False
    tokens: int = 0
    logprobs: tuple[tuple[str, float], ...] = ()


def read_completion(content: bytes) -> ChatReply:
    """Read a chat completion that was not streamed.

    Raises:
        ReplyError: it is none; the error keeps what came.
    """
    found = read_json(content.decode('utf-8', 'replace'))
    try:
        choice = found['choices'][0]
        gathered = Gathered()
        gathered.add(choice.get('message') or {}, choice)
        gathered.count(found)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _no_completion(str(found)) from error
    return gathered.reply()


class Told:
    """Passes pieces of text on, and remembers that it did: a request that has spoken is not repeated."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self._on_text = on_text
        self.any_text = False

    def piece(self, text: str) -> None:
        """Pass a piece on, unless it is empty or nobody listens."""
        if text and self._on_text is not None:
            self.any_text = True
            self._on_text(text)


class Gathered:
    """A reply being put together, from one message or from the pieces of a stream."""

    def __init__(self) -> None:
        self.text = ''
        self.reasoning = ''
        self._choice: dict[str, Any] = {}
        self._tokens = 0
        self._logprobs: list[tuple[str, float]] = []

    def take(self, event: dict[str, Any], told: Told) -> None:
        """Take in one event of a stream."""
        self.count(event)
        for choice in event.get('choices') or []:
            text, reasoning = self.add(choice.get('delta') or {}, choice)
            told.piece(reasoning)
            told.piece(text)

    def add(self, message: dict[str, Any], choice: dict[str, Any]) -> tuple[str, str]:
        """Take in a message, or a piece of one; returns its (text, reasoning)."""
        text = _words(message.get('content'))
        reasoning = _words(message.get('reasoning') or message.get('reasoning_content'))
        self.text += text
        self.reasoning += reasoning
        if choice.get('finish_reason'):
            self._choice = choice
        for token in (choice.get('logprobs') or {}).get('content') or []:
            self._logprobs.append((str(token['token']), float(token['logprob'])))
        return text, reasoning

    @property
    def is_whole(self) -> bool:
        """Whether the server has said how the reply ended."""
        return bool(self._choice)

    def count(self, event: dict[str, Any]) -> None:
        """Take in the token count, where there is one."""
        self._tokens = int((event.get('usage') or {}).get('completion_tokens') or self._tokens)

    def reply(self) -> ChatReply:
        """All of it, as far as it came."""
        stop = self._choice.get('stop_reason')
        return ChatReply(
            text=self.text,
            reasoning=self.reasoning,
            finish_reason=str(self._choice.get('finish_reason') or ''),
            stop_reason=stop if isinstance(stop, str) else None,
            tells_stop='stop_reason' in self._choice,
            tokens=self._tokens,
            logprobs=tuple(self._logprobs),
        )


def _words(content: Any) -> str:
    """A message's content as text; some servers send it in parts."""
    if isinstance(content, list):
        return ''.join(str(part.get('text', '')) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ''


async def read_events(response: httpx.Response) -> AsyncIterator[str]:
    """The data of the server-sent events.

    httpx's own line reader also splits at U+2028, which JSON strings may hold.
    """
    rest = b''
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b'\n')
        for line in lines:
            if line.startswith(b'data:'):
                yield line[5:].strip().decode('utf-8', 'replace')
        if len(rest) > MAX_REPLY_BYTES:
            raise ReplyError(f'events of at most {MAX_REPLY_BYTES} bytes were wanted, one is longer', '')


def read_json(text: str) -> dict[str, Any]:
    """A JSON object of the server's.

    Raises:
        ReplyError: it is none; the error keeps what came.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _no_completion(text) from error
    if not isinstance(found, dict):
        raise _no_completion(text)
    return found


def _no_completion(text: str) -> ReplyError:
    return ReplyError(
        f'a chat completion was wanted, the server answered {text[:200]!r}; check what url leads to', text
    )
