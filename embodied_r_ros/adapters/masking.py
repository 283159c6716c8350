"""Foreign text made fit to leave an adapter: cleaned, and with secrets replaced by '***', also piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

from embodied_r_ros.core.text import clean

HIDDEN = '***'
MIN_SECRET = 4
# No chat-template token is longer.
_LONGEST_TOKEN = 48


class Mask:
    """Cleans text and takes secrets out of it; secrets shorter than 4 characters stand in too much that is none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= MIN_SECRET for form in _forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The whole text, fit to be shown."""
        return self._without_secrets(clean(text))

    def start_of_secret(self, text: str) -> int:
        """How many characters at the end of the text may be the beginning of a secret."""
        for length in range(min(len(text), max(map(len, self._secrets), default=1) - 1), 0, -1):
            if any(secret.startswith(text[-length:]) for secret in self._secrets if len(secret) > length):
                return length
        return 0

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class MaskedPieces:
    """Text that comes in pieces, passed on as soon as no secret or template token can begin in what is held back."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._uncleaned = self._unmasked = ''

    def take(self, piece: str) -> str:
        """What can be shown now that this piece has come."""
        text = self._uncleaned + clean(piece)
        opened = max(text.rfind('<', -_LONGEST_TOKEN), text.rfind('[', -_LONGEST_TOKEN)) if text else -1
        is_open = opened >= 0 and '>' not in text[opened:] and ']' not in text[opened:]
        end = opened if is_open else len(text)
        self._uncleaned = text[end:]
        return self._masked(text[:end])

    def rest(self) -> str:
        """What was held back, once no more comes."""
        text, self._uncleaned, self._unmasked = self._unmasked + self._uncleaned, '', ''
        return self._mask(text)

    def _masked(self, text: str) -> str:
        shown = self._mask(self._unmasked + text)
        held = self._mask.start_of_secret(shown)
        self._unmasked = shown[len(shown) - held :]
        return shown[: len(shown) - held]


def _forms(secret: str) -> list[str]:
    """A secret as it is, and as it stands in JSON and in URLs."""
    return [secret, json.dumps(secret)[1:-1], secret.replace('/', '\\/'), quote(secret, safe='')]
