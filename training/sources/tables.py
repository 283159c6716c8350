"""Question files of data sets, read whole: Parquet, JSON, or JSON by the line."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from embodied_r_ros.core.errors import InputError, SettingsError

Row = dict[str, Any]


def read_rows(paths: Sequence[pathlib.Path], columns: Iterable[str]) -> list[Row]:
    """The rows of some files, in their order.

    Args:
        paths: Parquet files where the name ends so, otherwise JSON: one array of objects, which may stand under
            'annotations', or an object per line.
        columns: that each row must have; others may stand beside them.

    Raises:
        InputError: a file cannot be read, is cut off, has no row, or lacks a column; the message names what was found.
        SettingsError: Parquet cannot be read here.
    """
    rows: list[Row] = []
    for path in paths:
        found = _parquet(path) if path.suffix == '.parquet' else _json_rows(path)
        if not found:
            raise InputError(f'{path} has no row; a file of questions was wanted')
        for number, row in enumerate(found, start=1):
            missing = [name for name in columns if name not in row]
            if missing:
                raise InputError(
                    f'{path}, row {number} lacks {", ".join(missing)}: the columns {", ".join(columns)} were wanted, '
                    f'it has {", ".join(map(str, row))}; is it another data set?'
                )
        rows += found
    return rows


def read_json(path: pathlib.Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it cannot be read, or is cut off.
    """
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise InputError(f'{path} is no JSON, or was cut off: {error}; fetch it again') from error


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise InputError(f'questions cannot be read from {str(path)!r}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is no text, so no JSON: {error}; Parquet files end in .parquet') from error


def _json_rows(path: pathlib.Path) -> list[Row]:
    found: Any
    if path.suffix == '.jsonl':
        found = [_line(line, f'{path}, line {i}') for i, line in enumerate(_text(path).split('\n'), 1) if line.strip()]
    else:
        held = read_json(path)
        found = held.get('annotations') if isinstance(held, dict) else held
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(f'{path} was wanted as a list of objects, one per question; it holds something else')
    return found


def _line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f'{where} is no JSON, or was cut off: {error}; fetch it again') from error


def _parquet(path: pathlib.Path) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SettingsError(f'{path} needs pyarrow to be read ({error}); install requirements/training.txt') from error
    if not path.is_file():
        raise InputError(f'questions cannot be read from {str(path)!r}: there is no such file')
    try:
        with pyarrow.parquet.ParquetFile(path) as file:  # read_table would bring pandas in, which takes a while
            return list(file.read().to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f'{path} is no Parquet, or was cut off ({path.stat().st_size} bytes): {error}; fetch it again'
        ) from error
