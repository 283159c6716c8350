"""The replies of a model server put together, whole or from the pieces of a stream, whatever their shape."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from embodied_r_ros.adapters.masking import Mask, MaskedPieces
from embodied_r_ros.adapters.repetition import Repetition, endless
from embodied_r_ros.core.errors import ReplyError

MAX_REPLY_BYTES = 16 * 1024 * 1024
MAX_TEXT = 1_000_000
# Brackets and commas of one JSON document; reading more would hold up the event loop and take hundreds of MB.
MAX_JSON_PARTS = 500_000
MAX_RAW = 10_000
MAX_WORD = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What the server made of a chat.

    Attributes:
        text: the content, cleaned.
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
        ReplyError: it is none, or too long; the error keeps what came.
    """
    gathered = Gathered()
    gathered.take_whole(read_json(content.decode('utf-8', 'replace'), gathered.mask))
    return gathered.reply()


class Told:
    """Passes pieces of text on, and remembers that it did: a request that has spoken is not repeated."""

    def __init__(self, on_text: Callable[[str], None] | None = None) -> None:
        self._on_text = on_text
        self.any_text = False

    def piece(self, text: str) -> None:
        """Pass a piece on, unless it is empty or nobody listens."""
        if text and self._on_text is not None:
            self.any_text = True
            self._on_text(text)


class Gathered:
    """A reply being put together, from one message or from the pieces of a stream.

    Args:
        mask: makes text fit to leave.
        told: gets the pieces.
    """

    def __init__(self, mask: Mask | None = None, told: Told | None = None) -> None:
        self.mask = mask or Mask()
        self.length = 0
        self._has_ended = False
        self._told = told or Told()
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._text_pieces, self._reasoning_pieces = MaskedPieces(self.mask), MaskedPieces(self.mask)
        self._repetition = Repetition()
        self._last: dict[str, Any] = {}
        self._tokens = 0
        self._logprobs: list[tuple[str, float]] = []

    def take_whole(self, found: dict[str, Any]) -> None:
        """Take in a completion that was not streamed.

        Raises:
            ReplyError: it is none, or too long.
        """
        choices = found.get('choices')
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise no_completion(shown(found), self.mask)
        self._count(found)
        self._add(choices[0].get('message') or {}, choices[0])
        self._has_ended = True

    def take(self, event: dict[str, Any]) -> bool:
        """Take in one event of a stream; returns whether the reply has grown or ended.

        Raises:
            ReplyError: it is no event of a completion, the reply is too long, or the model repeats itself.
        """
        self._count(event)
        choices = event.get('choices') or []
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise no_completion(shown(event), self.mask)
        before = self.length
        for choice in choices:
            self._add(choice.get('delta') or choice.get('message') or {}, choice)
        return self.length > before or bool(choices and self.is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether the server has said how the reply ended."""
        return self._has_ended or bool(self._last)

    def end(self) -> None:
        """The server has said that no more comes; what has come is the reply, if anything has."""
        self._has_ended = self.length > 0

    def reply(self) -> ChatReply:
        """All of it, as far as it came; what was held back is told."""
        self._keep(self._reasoning_pieces.rest(), self._reasonings)
        self._keep(self._text_pieces.rest(), self._texts)
        stop = self._last.get('stop_reason')
        reason = self._last.get('finish_reason') or ''
        return ChatReply(
            text=''.join(self._texts),
            reasoning=''.join(self._reasonings),
            finish_reason=self.mask(reason)[:MAX_WORD] if isinstance(reason, str) else 'unknown',
            stop_reason=stop if isinstance(stop, str) else None,
            tells_stop='stop_reason' in self._last,
            tokens=self._tokens,
            logprobs=tuple(self._logprobs),
        )

    def _add(self, message: Any, choice: dict[str, Any]) -> None:
        """Take in a message, or a piece of one."""
        if not isinstance(message, dict):
            raise no_completion(shown(choice), self.mask)
        text = _words(message.get('content'))
        reasoning = _words(message.get('reasoning') or message.get('reasoning_content'))
        self.length += len(text) + len(reasoning)
        if self.length > MAX_TEXT:
            raise ReplyError(f'a reply of at most {MAX_TEXT} characters was wanted, the server sent more', '')
        unit = self._repetition.unit(reasoning + text)
        if unit:
            said = ''.join((*self._reasonings, *self._texts))
            raise endless(self.mask(unit), said)
        if choice.get('finish_reason'):
            self._last = choice
        self._logprobs += _logprobs(choice.get('logprobs'), self.mask)
        self._keep(self._reasoning_pieces.take(reasoning), self._reasonings)
        if text:
            self._keep(self._reasoning_pieces.rest(), self._reasonings)
        self._keep(self._text_pieces.take(text), self._texts)

    def _keep(self, text: str, place: list[str]) -> None:
        if text:
            place.append(text)
            self._told.piece(text)

    def _count(self, event: dict[str, Any]) -> None:
        usage = event.get('usage')
        self._tokens = whole_number(usage.get('completion_tokens') if isinstance(usage, dict) else 0) or self._tokens


def read_json(text: str, mask: Mask) -> dict[str, Any]:
    """A JSON object of the server's.

    Raises:
        ReplyError: it is none, or too large; the error keeps what came.
    """
    try:
        if sum(map(text.count, '[{,')) > MAX_JSON_PARTS:
            raise ValueError('too many parts')
        found = json.loads(text.removeprefix('\ufeff'))
    except (ValueError, RecursionError) as error:
        raise no_completion(text, mask) from error
    if not isinstance(found, dict):
        raise no_completion(text, mask)
    return found


def no_completion(text: str, mask: Mask) -> ReplyError:
    """The error for a reply that is no chat completion."""
    said = mask(text[: 2 * MAX_RAW])[:MAX_RAW]
    return ReplyError(
        f'a chat completion was wanted, the server answered {said[:MAX_WORD]!r}; check what url leads to', said
    )


def whole_number(found: Any, greatest: int = 1_000_000_000) -> int:
    """A count that a server tells, as a number or in digits; 0 for whatever is none."""
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 10:
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found <= greatest:
        return 0
    return int(found)


def shown(found: Any) -> str:
    """What a server sent, as JSON for an error message."""
    try:
        return json.dumps(found)
    except RecursionError:
        return 'JSON that is nested too deep to be shown'


def _words(content: Any) -> str:
    """A message's content as text; some servers send it in parts."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get('text') if isinstance(part, dict) else part for part in parts]
    return ''.join(text for text in texts if isinstance(text, str))


def _logprobs(found: Any, mask: Mask) -> list[tuple[str, float]]:
    """The log-probabilities of tokens, as far as they are any."""
    tokens = found.get('content') if isinstance(found, dict) else None
    pairs = []
    for entry in tokens if isinstance(tokens, list) else []:
        token, value = (entry.get('token'), entry.get('logprob')) if isinstance(entry, dict) else ('', None)
        if isinstance(token, str) and isinstance(value, (int, float)) and -1e6 < value < 1e6:
            pairs.append((mask(token), float(value)))
    return pairs
