"""What a model server's refusals mean, with the remedy in words."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import httpx

from embodied_r_ros.adapters.masking import Mask
from embodied_r_ros.adapters.openai_replies import shown
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

MAX_WORDS = 500
# Characters of an error body that are looked at.
MAX_BODY = 100_000
# The longest wish of a server that is granted; a robot has gone on by then.
LONGEST_PAUSE_S = 2.0

# Each is a choice of words that must all be in what the server said.
_TOO_MANY_IMAGES = (('at most', 'image'), ('too many images',), ('limit-mm-per-prompt',), ('image', 'limit'))
_TOO_LONG = (
    ('context length',),
    ('context window',),
    ('max_model_len',),
    ('maximum', 'length'),
    ('exceed', 'tokens'),
    ('exceed', 'context'),
    ('too long',),
    ('too large',),
)
_NO_SCHEMA = (('response_format',), ('json_schema',), ('structured',), ('guided',))
_NO_MODEL = (
    ('model', 'does not exist'),
    ('model', 'not found'),
    ('model', 'not served'),
    ('no such model',),
    ('unknown model',),
    ('invalid model',),
)
_OVERLOAD = (('overload',), ('rate', 'limit'), ('unavailable',), ('server', 'error'), ('internal',), ('capacity',))
_NO_STREAM = re.compile(r'\bstream(?:ing|_options)?\b', re.IGNORECASE)


class SchemaRefused(BackendRefused):
    """The server takes no JSON schema; the same request without one may do."""


class StreamRefused(BackendRefused):
    """The server does not stream, or knows no stream_options; the same request without may do."""


class NoSuchModel(BackendRefused):
    """The server does not serve the model, or not at this path."""


class Overloaded(BackendUnavailable):
    """The server is there but cannot take the request now; `retry_after_s` is its own wish, 0 where it has none."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refuser:
    """Makes the errors for what one server declines.

    Attributes:
        place: the server's url, with the proxy that leads to it.
        key_variable: environment variable with the server's key.
        shorter: advice for prompts that are too long.
        mask: makes the server's words fit to be shown.
    """

    place: str
    key_variable: str
    shorter: str
    mask: Mask

    def of_response(self, response: httpx.Response, content: bytes, model: str) -> BackendError:
        """The error for a response whose status is not 200."""
        status, said = response.status_code, self.words(content)
        if 300 <= status < 400:
            location = self.mask(response.headers.get('location', ''))[:MAX_WORDS]
            return BackendRefused(
                f'{self.place} sends requests on to {location!r} (HTTP {status}), which is not followed; set url to it'
            )
        return self._coded(status, f'HTTP {status}: {said}', said, model, _retry_after_s(response))

    def of_object(self, found: dict[str, Any], model: str) -> BackendError | None:
        """The error that an object under status 200 names, in a stream or not; None where it names none."""
        error = found.get('error') or (found if found.get('object') == 'error' else None)
        if not error:
            return None
        code, said = _code(error, found), self._said(found, shown(found))
        return self._coded(code, f'error {code}: {said}', said, model)

    def words(self, content: bytes) -> str:
        """The server's own message in an error body, in whichever of the usual places it stands."""
        text = content.decode('utf-8', 'replace').removeprefix('\ufeff').strip()
        try:
            found: Any = json.loads(text[:MAX_BODY])
        except (ValueError, RecursionError):
            found = None
        return self._said(found, text)

    def _said(self, found: Any, text: str) -> str:
        for key in ('error', 'message', 'detail'):
            if isinstance(found, dict) and found.get(key):
                found = found[key]
        said = found if isinstance(found, str) else text
        return ' '.join(self.mask(said[:MAX_BODY]).split())[:MAX_WORDS] or 'without a word'

    def _coded(self, status: int, what: str, said: str, model: str, wish_s: float = 0.0) -> BackendError:
        if status == 429 or status >= 500:
            remedy = 'try again, or lower max_concurrent_requests'
            return Overloaded(f'{self.place} cannot take the request now ({what}); {remedy}', wish_s)
        if status == 408:
            return BackendTimeout(f'{self.place} gave up on the request ({what}); allow more time')
        if status in (401, 403):
            return BackendRefused(
                f'{self.place} wants another key ({what}); set {self.key_variable} in the environment'
            )
        if status == 407:
            return BackendRefused(
                f'the proxy on the way to {self.place} wants a password ({what}); put it into its URL'
            )
        if status in (404, 405) or _says(said, _NO_MODEL):
            return NoSuchModel(
                f'{self.place} knows no such path or no model {model!r} ({what}); url should end in /v1, and model '
                'be an id that it lists'
            )
        return self._declined(f'{self.place} declined the request ({what})', said)

    def _declined(self, start: str, said: str) -> BackendRefused:
        if _says(said, _TOO_MANY_IMAGES):
            return BackendRefused(
                f'{start}; a pair of key frames needs 2 images in a prompt: serve with --limit-mm-per-prompt '
                f'\'{{"image": 2}}\''
            )
        if _says(said, _NO_SCHEMA):
            return SchemaRefused(f'{start}; it takes no JSON schema')
        if _says(said, _TOO_LONG):
            return BackendRefused(f'{start}; the prompt is too long for this server: {self.shorter}')
        if _NO_STREAM.search(said):
            return StreamRefused(f'{start}; it does not stream as it was asked to')
        return BackendRefused(f'{start}; change what is asked for')


def _says(said: str, choices: tuple[tuple[str, ...], ...]) -> bool:
    low = said.lower()
    return any(all(word in low for word in words) for words in choices)


def _code(error: Any, found: dict[str, Any]) -> int:
    """The HTTP status that an error object names, 400 where it names none."""
    places = [place for place in (error, found) if isinstance(place, dict)]
    named = [place.get(key) for place in places for key in ('code', 'status', 'status_code', 'type')]
    for value in named:
        value = int(value) if isinstance(value, float) and value.is_integer() else value
        digits = str(value) if isinstance(value, (int, str)) else ''
        if len(digits) == 3 and digits.isascii() and digits.isdecimal() and 400 <= int(digits) < 600:
            return int(digits)
    if any(_says(value[:MAX_WORDS], _OVERLOAD) for value in named if isinstance(value, str)):
        return 503
    return 400


def _retry_after_s(response: httpx.Response) -> float:
    try:
        wish_s = float(response.headers.get('retry-after', '0'))
    except ValueError:
        return 0.0
    return min(wish_s, LONGEST_PAUSE_S) if wish_s > 0.0 else 0.0
