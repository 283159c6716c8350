"""MCAP files without an end, as a crash or a full disk leaves them: read as if they ended where they are cut.

A reader of MCAP begins with the index at the end of the file. Where there is none, the records are read from the
beginning (https://mcap.dev/spec), and an index of what is whole is made up in memory. Of a chunk that is cut the whole
messages are kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import struct
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.frames import NS_PER_S

MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS, _DATA_END = 2, 3, 4, 5, 6, 8, 11, 15
_RECORD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<HIQ')
_CHUNK_HEAD = struct.Struct('<QQQI')
_MAX_BYTES = 2**30
_DECOMPRESSORS = {
    'zstd': (('backports.zstd', 'ZstdDecompressor'), ('compression.zstd', 'ZstdDecompressor')),
    'lz4': (('lz4.frame', 'LZ4FrameDecompressor'),),
}


@dataclasses.dataclass
class _Index:
    """What the whole records hold.

    Attributes:
        definitions: the records of schemas and channels, each once.
        chunks: start offset, length, compression, sizes and messages of each channel of the chunks.
        counts: messages of each channel.
        start_ns, end_ns: when the first and the last message were recorded.
    """

    definitions: dict[bytes, None] = dataclasses.field(default_factory=dict)
    chunks: list[bytes] = dataclasses.field(default_factory=list)
    counts: Counter[int] = dataclasses.field(default_factory=Counter)
    start_ns: int = 2**63 - 1
    end_ns: int = 0

    def note(self, channel: int, stamp_ns: int) -> None:
        """Count a message."""
        self.counts[channel] += 1
        self.start_ns, self.end_ns = min(self.start_ns, stamp_ns), max(self.end_ns, stamp_ns)


class CutMcap:
    """Stands for the path of a file without an end: opened, it is the file up to the cut with an index behind.

    Args:
        path: of the file.

    Attributes:
        sentence: how far it goes, and what to do.

    Raises:
        InputError: it is no MCAP, or none of its messages is whole.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suffix = path.suffix
        size = path.stat().st_size
        index = _Index()
        with path.open('rb') as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(f'an MCAP file must begin with its magic bytes, got {str(path)!r}; it is no MCAP file')
            self._whole, salvaged = _scan(file, size, index)
        if not index.counts:
            raise InputError(f'{str(path)!r} has no end, as after a crash, and no message in it is whole')
        self._tail = _tail(self._whole, salvaged, index)
        count = sum(index.counts.values())
        self.sentence = (
            f'{str(path)!r} has no end, as after a crash or on a full disk: it is read up to the cut, '
            f'{(index.end_ns - index.start_ns) / NS_PER_S:.1f} s with {count} messages; '
            '`mcap recover` makes a whole file of it'
        )

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """As of a path."""
        return True

    def is_dir(self) -> bool:
        """As of a path."""
        return False

    def open(self, _mode: str = 'rb') -> BinaryIO:
        """The file up to the cut, and the index."""
        return io.BufferedReader(_WithTail(self.path, self._whole, self._tail))


class _WithTail(io.RawIOBase):
    """The first bytes of a file, and some more."""

    def __init__(self, path: Path, whole: int, tail: bytes) -> None:
        self._file = path.open('rb')
        self._whole, self._tail, self._at = whole, tail, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._whole + len(self._tail)}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._whole:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._whole - self._at))
        else:
            begin = self._at - self._whole
            data = self._tail[begin : begin + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _scan(file: BinaryIO, size: int, index: _Index) -> tuple[int, bytes]:
    """Read the records from the beginning.

    Returns:
        The offset behind the last whole one, and the whole records of a chunk that is cut there.
    """
    at = len(MAGIC)
    while at + _RECORD.size <= size:
        file.seek(at)
        kind, length = _RECORD.unpack(file.read(_RECORD.size))
        end = at + _RECORD.size + length
        if kind == _CHUNK:
            data = file.read(min(length, size))
            records, rest = _chunk_records(data)
            if end > size or rest:
                return at, _whole_records(records, index)
            _index_chunk(at, data, records, index)
        elif end > size or kind in (_FOOTER, _DATA_END, 0):
            break
        elif kind == _MESSAGE and length >= _MESSAGE_HEAD.size:
            channel, _, stamp_ns = _MESSAGE_HEAD.unpack(file.read(_MESSAGE_HEAD.size))
            index.note(channel, stamp_ns)
        elif kind in (_SCHEMA, _CHANNEL):
            index.definitions[_record(kind, file.read(length))] = None
        at = end
    return at, b''


def _chunk_records(data: bytes) -> tuple[bytes, bool]:
    """The records in a chunk, and whether some are missing."""
    try:
        _, _, size, _ = _CHUNK_HEAD.unpack_from(data)
        begin = _CHUNK_HEAD.size
        (name_length,) = struct.unpack_from('<I', data, begin)
        compression = data[begin + 4 : begin + 4 + name_length].decode()
        begin += 4 + name_length
        (packed,) = struct.unpack_from('<Q', data, begin)
        records = unpacked(data[begin + 8 : begin + 8 + packed], compression, min(size, _MAX_BYTES))
    except (struct.error, UnicodeDecodeError):
        return b'', True
    return records, len(records) != size


def unpacked(data: bytes, compression: str, size: int = _MAX_BYTES) -> bytes:
    """As much as can be had of the data, up to a size; nothing where they are broken or the compression is unknown."""
    if not compression:
        return data[:size]
    # All come with rosbags; zstd is Python's own since 3.14.
    for module, name in _DECOMPRESSORS.get(compression, ()):
        try:
            decompressor = getattr(importlib.import_module(module), name)()
        except ImportError:
            continue
        # Each library has an error of its own for broken data.
        with contextlib.suppress(Exception):
            return bytes(decompressor.decompress(data, max_length=size))
    return b''


def _index_chunk(at: int, data: bytes, records: bytes, index: _Index) -> None:
    """Note a whole chunk that begins at an offset."""
    inner = _Index()
    _whole_records(records, inner)
    index.definitions.update(inner.definitions)
    index.counts.update(inner.counts)
    index.start_ns, index.end_ns = min(index.start_ns, inner.start_ns), max(index.end_ns, inner.end_ns)
    (name_length,) = struct.unpack_from('<I', data, _CHUNK_HEAD.size)
    begin = _CHUNK_HEAD.size + 4
    name = data[begin : begin + name_length]
    (packed,) = struct.unpack_from('<Q', data, begin + name_length)
    index.chunks.append(_chunk_index(at, len(data), name, packed, len(records), inner))


def _whole_records(records: bytes, index: _Index) -> bytes:
    """Note the records of a chunk, and return those that are whole."""
    at = 0
    while at + _RECORD.size <= len(records):
        kind, length = _RECORD.unpack_from(records, at)
        end = at + _RECORD.size + length
        if end > len(records):
            break
        if kind in (_SCHEMA, _CHANNEL):
            index.definitions[records[at:end]] = None
        elif kind == _MESSAGE and length >= _MESSAGE_HEAD.size:
            channel, _, stamp_ns = _MESSAGE_HEAD.unpack_from(records, at + _RECORD.size)
            index.note(channel, stamp_ns)
        at = end
    return records[:at]


def _tail(whole: int, salvaged: bytes, index: _Index) -> bytes:
    """What follows the whole records: the salvaged ones as a chunk, the end of the data, index and footer."""
    tail = b''
    if salvaged:
        inner = _Index()
        _whole_records(salvaged, inner)
        head = _CHUNK_HEAD.pack(inner.start_ns, inner.end_ns, len(salvaged), 0)
        data = head + _text(b'') + struct.pack('<Q', len(salvaged)) + salvaged
        index.chunks.append(_chunk_index(whole, len(data), b'', len(salvaged), len(salvaged), inner))
        tail += _record(_CHUNK, data)
    tail += _record(_DATA_END, bytes(4))
    summary = whole + len(tail)
    tail += b''.join(index.definitions) + b''.join(index.chunks) + _record(_STATISTICS, _statistics(index))
    return tail + _record(_FOOTER, struct.pack('<QQI', summary, 0, 0)) + MAGIC


def _chunk_index(at: int, length: int, compression: bytes, packed: int, unpacked: int, inner: _Index) -> bytes:
    """The index record of a chunk. Offsets of message indexes tell readers how many messages a channel has in it."""
    end = at + _RECORD.size + length
    offsets, indexed = b'', 0
    for channel, count in sorted(inner.counts.items()):
        offsets += struct.pack('<HQ', channel, end + indexed)
        indexed += 15 + 16 * count
    return _record(
        _CHUNK_INDEX,
        struct.pack('<QQQQ', inner.start_ns, inner.end_ns, at, _RECORD.size + length)
        + _text(offsets)
        + struct.pack('<Q', indexed)
        + _text(compression)
        + struct.pack('<QQ', packed, unpacked),
    )


def _statistics(index: _Index) -> bytes:
    counts = b''.join(struct.pack('<HQ', channel, count) for channel, count in sorted(index.counts.items()))
    channels = len(index.counts)
    head = (sum(index.counts.values()), channels, channels, 0, 0, len(index.chunks), index.start_ns, index.end_ns)
    return struct.pack('<QHIIIIQQ', *head) + _text(counts)


def _record(kind: int, data: bytes) -> bytes:
    return _RECORD.pack(kind, len(data)) + data


def _text(data: bytes) -> bytes:
    return struct.pack('<I', len(data)) + data
