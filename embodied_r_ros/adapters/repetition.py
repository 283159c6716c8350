"""A model that says the same again and again, noticed while it does: it would go on to the end of its tokens."""

from __future__ import annotations

from embodied_r_ros.core.errors import ReplyError

# So many characters at the end of a text, all of them a repetition of so many at most, are no text any more.
TAIL = 512
LONGEST_UNIT = 64
_LOOK_EACH = 128


def endless(unit: str, said: str) -> ReplyError:
    """The error for a reply that repeats a piece of text to no end."""
    return ReplyError(f'a reply that ends was wanted, the model repeats {unit!r} without end', said)


class Repetition:
    """Watches a text that grows."""

    def __init__(self) -> None:
        self._tail = ''
        self._unseen = 0

    def unit(self, piece: str) -> str:
        """What is repeated, once this piece has come; '' while nothing is."""
        self._tail = (self._tail + piece)[-TAIL:]
        self._unseen += len(piece)
        if self._unseen < _LOOK_EACH or len(self._tail) < TAIL:
            return ''
        self._unseen = 0
        tail = self._tail
        period = next((size for size in range(1, LONGEST_UNIT + 1) if tail[size:] == tail[:-size]), 0)
        return tail[-period:] if period else ''
