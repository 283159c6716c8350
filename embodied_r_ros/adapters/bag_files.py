"""The files of a recording, opened through rosbags: whole or cut, one or several, with metadata or without.

Where rosbags is not installed, recordings in one piece are read through rosbag2_py.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import re
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embodied_r_ros.adapters.cut_mcap import MAGIC, CutMcap, unpacked
from embodied_r_ros.adapters.rosbag2_reader import Rosbag2Reader
from embodied_r_ros.core.errors import InputError, SettingsError

# rosbags has no apt package.
try:
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import ReaderError
    from rosbags.serde import SerdeError
    from rosbags.typesys import Stores, TypesysError, get_typestore
    from rosbags.typesys.store import Typestore
except ImportError as error:
    _missing = str(error)
    _ERRORS_OF_ROSBAGS: tuple[type[Exception], ...] = ()
else:
    _missing = ''
    _ERRORS_OF_ROSBAGS = (AnyReaderError, ReaderError, SerdeError, TypesysError)
# rosbags lets through what these raise; which of them are there depends on its version and Python's.
for _module, _name in (('apsw', 'Error'), ('backports.zstd', 'ZstdError'), ('compression.zstd', 'ZstdError')):
    with contextlib.suppress(ImportError):
        _ERRORS_OF_ROSBAGS += (getattr(importlib.import_module(_module), _name),)

# What rosbags and what it rests on raise where bytes are not what they should be; 2,000 broken bags were tried.
UNREADABLE: tuple[type[Exception], ...] = (
    *_ERRORS_OF_ROSBAGS, sqlite3.Error, struct.error, OSError, EOFError, MemoryError,
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, AssertionError,
)  # fmt: skip
_ZSTD_START = b'\x28\xb5\x2f\xfd'
_STORAGES = ('.mcap', '.db3')

_DISTRO = re.compile(r'^[ \t]*ros_distro:[ \t]*["\']?(\w+)', re.MULTILINE)

_logger = logging.getLogger(__name__)


def opened(path: str | Path) -> Any:
    """An open reader that closes at the end of a `with` block.

    Raises:
        SettingsError: neither rosbags nor rosbag2_py is installed.
        InputError: it cannot be read, or is empty.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f'a recording must be a folder or file, got {str(path)!r}, which is none; check the path')
    reader = _through_rosbag2(path) if _missing else _through_rosbags(path)
    if not any(connection.msgcount for connection in reader.connections):
        reader.close()
        raise InputError(f'a recording must hold messages, got {str(path)!r}, which is empty; record it anew')
    return contextlib.closing(reader)


def _through_rosbag2(path: Path) -> Rosbag2Reader:
    try:
        return Rosbag2Reader(path)
    except ImportError as error:
        raise SettingsError(
            f'reading {str(path)!r} needs the Python package rosbags or rosbag2_py, got neither ({_missing}; {error}); '
            'pip install rosbags, or apt install ros-$ROS_DISTRO-rosbag2'
        ) from error
    except UNREADABLE as error:
        raise InputError(cannot_read(path, f'{error} (read by rosbag2_py; rosbags is not installed)')) from error


def _through_rosbags(path: Path) -> AnyReader:
    """Message definitions come from the recording where it carries them, else from its ROS distribution, else Kilted.

    The four types read here are the same in all since Humble.
    """
    try:
        reader = AnyReader(_storages(path), default_typestore=_default_typestore(path))
        reader.open()
    except UNREADABLE as error:
        return _reader_of_cut(path, str(error) or type(error).__name__)
    return reader


def _storages(path: Path) -> list[Path]:
    """The folder or file to open; a folder without metadata, as a crash leaves it, stands for its files of one kind."""
    if path.suffix == '.zstd':
        advice = f'run `zstd -d {path.name}` and give that file'
        raise InputError(cannot_read(path, 'it is compressed as a whole', advice))
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    names = sorted(path.iterdir())
    files = [file for file in names if file.suffix in _STORAGES]
    if len({file.suffix for file in files}) == 1:
        return files
    if not files and any(file.suffix == '.zstd' for file in names):
        why, advice = 'its files are compressed', 'run `zstd -d` on each, and remove those that end with .zstd'
    else:
        why, advice = f'{len(files)} storage files{" of two kinds" if files else ""}', ''
    raise InputError(cannot_read(path, f'it has no metadata.yaml, and {why}', advice))


def _reader_of_cut(path: Path, why: str) -> AnyReader:
    """A reader of MCAP files of which some have no end."""
    files = sorted(path.glob('*.mcap')) if path.is_dir() else [path]
    cut: list[CutMcap] = []
    try:
        if not files or any(file.suffix != '.mcap' for file in files):
            raise InputError(why)
        storages = [file if _has_end(file) else CutMcap(file) for file in files]
        cut = [storage for storage in storages if isinstance(storage, CutMcap)]
        if not cut:
            raise InputError(why)
        reader = AnyReader(storages, default_typestore=_default_typestore(path))
        reader.open()
    except InputError:
        raise InputError(cannot_read(path, why)) from None
    except UNREADABLE as error:
        raise InputError(cannot_read(path, str(error) or why)) from None
    for storage in cut:
        _tell(storage.sentence)
    return reader


@functools.lru_cache(64)
def _tell(sentence: str) -> None:
    """Warn once: a recording is opened several times while it is read."""
    _logger.warning('%s', sentence)


def _has_end(path: Path) -> bool:
    with path.open('rb') as file:
        file.seek(max(path.stat().st_size - len(MAGIC), 0))
        return file.read() == MAGIC


def _default_typestore(path: Path) -> Typestore:
    metadata = path / 'metadata.yaml'
    text = metadata.read_text(errors='replace') if metadata.exists() else ''
    told = _DISTRO.search(text)
    for name in (f'ROS2_{told[1].upper()}' if told else '', 'ROS2_KILTED'):
        if name in Stores.__members__:
            return get_typestore(Stores[name])
    return get_typestore(Stores.LATEST)


def raw_messages(
    reader: AnyReader, connections: list[Connection], path: Path
) -> Iterator[tuple[Connection, int, bytes]]:
    """The messages of some topics with when they were recorded; raises InputError where the recording breaks off."""
    messages = reader.messages(connections=connections)
    while True:
        try:
            message = next(messages, None)
        except UNREADABLE as error:
            raise InputError(cannot_read(path, f'it breaks off: {error}')) from None
        if message is None:
            return
        yield message[0], message[1], plain(message[2])


def plain(data: bytes) -> bytes:
    """The message; where each is compressed and the metadata that say so are missing, as it was before."""
    return (unpacked(data, 'zstd') or data) if data[:4] == _ZSTD_START else data


def cannot_read(path: Path, why: str, advice: str = '') -> str:
    """The sentence about a recording that cannot be read."""
    advice = advice or ('try `mcap recover`' if path.suffix == '.mcap' else 'try `ros2 bag reindex`')
    return f'a recording must be a rosbag2 or ROS 1 bag in one piece, got {str(path)!r}: {why}; {advice}'
