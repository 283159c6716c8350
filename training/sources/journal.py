"""Results kept as they come, so that a command that was ended goes on where it stood."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any


class Journal:
    """A file beside the output: its settings in the first line, then a result per line.

    A call with the same settings finds the results of the one before; with others it begins anew, and says so. A line
    that was cut off is cut away. `done` removes the file: the output now holds what it held.
    """

    def __init__(self, out: pathlib.Path, settings: dict[str, Any]) -> None:
        self._path = out.with_suffix(out.suffix + '.journal')
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_bytes().split(b'\n')[:-1] if self._path.exists() else []
        entries = [entry for entry in map(_load, lines) if entry is not None]
        same = bool(entries) and entries[0] == settings
        if entries and not same:
            print(f'{self._path} was begun with other settings; beginning anew', file=sys.stderr)
        self.results: dict[str, Any] = dict(entries[1:]) if same else {}
        kept = [settings, *self.results.items()]
        fresh = self._path.with_suffix('.new')
        fresh.write_text(''.join(json.dumps(entry) + '\n' for entry in kept), encoding='utf-8')
        fresh.replace(self._path)
        self._file = self._path.open('a', encoding='utf-8')

    def keep(self, key: str, result: Any) -> None:
        """Write a result down at once."""
        self.results[key] = result
        self._file.write(json.dumps([key, result]) + '\n')
        self._file.flush()

    def done(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink()


def _load(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
