"""What a model server's refusals mean, with the remedy in words."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable
from embodied_r_ros.core.models import ServerSettings

MAX_WORDS = 500

_TOO_MANY_IMAGES = re.compile(r'\bat most \d+ image|too many images|limit.mm.per.prompt|image.*\blimit', re.IGNORECASE)
_TOO_LONG = re.compile(
    r'context length|context window|max_model_len|maximum.*length|too long|exceeds?\b.*\b(?:tokens|context)|too large',
    re.IGNORECASE,
)
_NO_SCHEMA = re.compile(r'response_format|json_schema|structured|guided', re.IGNORECASE)


class SchemaRefused(BackendRefused):
    """The server takes no JSON schema; the same request without one may do."""


class Overloaded(BackendUnavailable):
    """The server is there but cannot take the request now; `retry_after_s` is its own wish, 0 where it has none."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def status_error(
    response: httpx.Response, content: bytes, settings: ServerSettings, model: str, key_variable: str
) -> BackendError:
    """The error for a response whose status is not 200."""
    status, said, url = response.status_code, server_words(content), settings.url
    if status == 429 or status >= 500:
        message = (
            f'{url} cannot take the request now (HTTP {status}: {said}); try again, or lower max_concurrent_requests'
        )
        return Overloaded(message, _retry_after_s(response))
    if status == 408:
        return BackendTimeout(f'{url} gave up on the request (HTTP 408: {said}); allow more time')
    if status in (401, 403):
        return BackendRefused(f'{url} wants another key (HTTP {status}: {said}); set {key_variable} in the environment')
    if 300 <= status < 400:
        place = response.headers.get('location', '')
        return BackendRefused(
            f'{url} sends requests on to {place!r} (HTTP {status}), which is not followed; set url to it'
        )
    if status in (404, 405):
        return BackendRefused(
            f'{url} knows no such path or no model {model!r} (HTTP {status}: {said}); url should end in /v1, and model '
            'be an id that it lists'
        )
    return _declined(said, status, settings)


def refusal(event: dict[str, Any], settings: ServerSettings, model: str) -> BackendError:
    """The error for an error event inside a stream."""
    error = event['error']
    code = error.get('code') if isinstance(error, dict) else None
    status = int(str(code)) if str(code).isdigit() else 400
    said = server_words(json.dumps(event).encode())
    if status == 429 or status >= 500:
        return Overloaded(f'{settings.url} broke off for model {model!r} (error {status}: {said}); try again')
    return _declined(said, status, settings)


def server_words(content: bytes) -> str:
    """The server's own message in an error body, in whichever of the usual places it stands."""
    text = content.decode('utf-8', 'replace').strip()
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    for key in ('error', 'message', 'detail'):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    said = found if isinstance(found, str) else text
    return ' '.join(said.split())[:MAX_WORDS] or 'without a word'


def _declined(said: str, status: int, settings: ServerSettings) -> BackendRefused:
    start = f'{settings.url} declined the request (HTTP {status}: {said})'
    if _TOO_MANY_IMAGES.search(said):
        return BackendRefused(
            f'{start}; a pair of key frames needs 2 images in a prompt: serve with --limit-mm-per-prompt '
            f'\'{{"image": 2}}\''
        )
    if _NO_SCHEMA.search(said):
        return SchemaRefused(f'{start}; it takes no JSON schema')
    if _TOO_LONG.search(said):
        return BackendRefused(
            f'{start}; the prompt is too long for this server: lower max_observations or max_tokens, ask about a '
            'shorter window, or serve with a larger --max-model-len'
        )
    return BackendRefused(f'{start}; change what is asked for')


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get('retry-after', '0')))
    except ValueError:
        return 0.0
