"""Server-sent events taken apart, in linear time and within a bound of bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from embodied_r_ros.core.errors import ReplyError

MAX_STREAM_BYTES = 16 * 1024 * 1024

_BOM = b'\xef\xbb\xbf'


async def read_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    r"""The lines of a stream without their ends, which are \n, \r\n or \r; a byte-order mark is left out.

    Raises:
        ReplyError: the stream is longer than is allowed.
    """
    line, count, after_return = bytearray(), 0, False
    is_first = True
    async for chunk in chunks:
        count += len(chunk)
        if count > MAX_STREAM_BYTES:
            raise ReplyError(f'a stream of at most {MAX_STREAM_BYTES} bytes was wanted, the server sent more', '')
        new = chunk.removeprefix(b'\n') if after_return else chunk
        after_return = chunk.endswith(b'\r') or (after_return and not chunk)
        for piece in new.splitlines(keepends=True):
            line += piece
            if piece.endswith((b'\n', b'\r')):
                whole = bytes(line.rstrip(b'\r\n'))
                yield whole.removeprefix(_BOM) if is_first else whole
                is_first = False
                line.clear()
    if line:
        yield bytes(line).removeprefix(_BOM) if is_first else bytes(line)


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of the events of a stream.

    Keep-alives (comments, events without data, or with a comment for data) are left out, as are the other fields.
    Servers that put no blank line between events are understood as well.

    Raises:
        ReplyError: the stream is longer than is allowed.
    """
    held: list[bytes] = []
    async for line in read_lines(chunks):
        data = line[5:].strip() if line.startswith(b'data:') else b''
        is_next = data.startswith((b'{', b'[DONE]')) and bool(held) and held[-1].endswith(b'}')
        if held and (is_next or not line):
            yield _joined(held)
            held = []
        if data and not data.startswith(b':'):
            held.append(data)
    if held:
        yield _joined(held)


def _joined(lines: list[bytes]) -> str:
    return b'\n'.join(lines).decode('utf-8', 'replace')
