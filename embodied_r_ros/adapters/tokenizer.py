"""Word-level tokenizer of the embedded reasoner, read from a Hugging Face `tokenizer.json` without other libraries."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from embodied_r_ros.core.errors import SettingsError

# The whitespace of the Rust library: that of Python without the four ASCII separators.
_WORD = re.compile(r'(?:\S|[\x1c-\x1f])+')


class WordTokenizer:
    """One token per word between whitespace; a word outside the vocabulary becomes the unknown token."""

    def __init__(self, vocabulary: dict[str, int], unknown: str, added: Iterable[str] = ()) -> None:
        """Take a vocabulary.

        Args:
            vocabulary: word -> id, added tokens included.
            unknown: the word that stands for every other word.
            added: tokens such as '</s>' that are found inside a word, too.
        """
        self._ids = dict(vocabulary)
        self._words = {number: word for word, number in vocabulary.items()}
        self._unknown_id = vocabulary[unknown]
        longest_first = sorted(added, key=len, reverse=True)
        self._added = re.compile('(' + '|'.join(map(re.escape, longest_first)) + ')') if longest_first else None

    @classmethod
    def from_file(cls, path: pathlib.Path) -> WordTokenizer:
        """Read `tokenizer.json`.

        Raises:
            SettingsError: the file is missing, unreadable or of another kind of tokenizer.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise SettingsError(f'wanted a tokenizer at {str(path)!r}, cannot read it: {error}') from error
        model = _section(content, 'model')
        kind, split = model.get('type'), _section(content, 'pre_tokenizer').get('type')
        normalizer = _section(content, 'normalizer').get('type')
        if (kind, split, normalizer) != ('WordLevel', 'WhitespaceSplit', None):
            raise SettingsError(
                f'{str(path)!r} must hold a WordLevel tokenizer with WhitespaceSplit and no normalizer, found model '
                f'{kind!r}, pre_tokenizer {split!r}, normalizer {normalizer!r}; such a model needs reasoner backend '
                'openai or transformers'
            )
        added = {token['content']: token['id'] for token in content.get('added_tokens') or []}
        vocabulary, unknown = {**model.get('vocab', {}), **added}, model.get('unk_token')
        if not isinstance(unknown, str) or unknown not in vocabulary:
            raise SettingsError(f'the unk_token of {str(path)!r} must be in its vocabulary, got {unknown!r}')
        return cls(vocabulary, unknown, added)

    def __len__(self) -> int:
        """How many token ids there are room for: the largest id and one."""
        return max(self._words) + 1

    def __contains__(self, word: str) -> bool:
        """Whether a word has a token of its own."""
        return word in self._ids

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, nothing added at either end."""
        ids = []
        for part in self._added.split(text) if self._added else [text]:
            if self._added and part in self._ids and self._added.fullmatch(part):
                ids.append(self._ids[part])
            else:
                ids.extend(self._ids.get(word, self._unknown_id) for word in _WORD.findall(part))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The words of some ids, joined with single spaces."""
        return ' '.join(map(self.word, ids))

    def word(self, token: int) -> str:
        """The word of an id; '' for an id that the vocabulary leaves free."""
        return self._words.get(token, '')


def _section(content: Any, name: str) -> dict[str, Any]:
    section = content.get(name) if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}
