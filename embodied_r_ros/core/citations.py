"""The frames that a line of thought cites: 'Frame 3', 'frames 3 and 5', 'Frames 2-4'."""

from __future__ import annotations

import re
from collections.abc import Sequence

_JOINT = r'\s*(?:,\s*and|,|and|&|or|-|–|—|to|through)\s*'
_CITED = re.compile(
    rf'\b(frames?)\s*#?\s*(\d{{1,5}}(?:{_JOINT}(?:frames?\s*)?#?\d{{1,5}}\b(?!\.\d|\s*(?:m|deg|met\w+|steps?)\b))*)',
    re.IGNORECASE,
)
_NUMBER = re.compile(r'\d+')
_RANGE = re.compile(r'(\d+)\s*(?:-|–|—|\bto\b|\bthrough\b)\s*(?:frames?\s*)?#?(\d+)', re.IGNORECASE)


def cited_frames(thinking: str, count: int) -> tuple[int, ...]:
    """The frame numbers that a thought cites, ascending, each once, those outside [0, count) left out."""
    cited: set[int] = set()
    for match in _CITED.finditer(thinking):
        cited.update(int(number) for number in _NUMBER.findall(match[2]))
        for ends in _RANGE.finditer(match[2]):
            cited.update(range(int(ends[1]), min(int(ends[2]), count) + 1))
    return tuple(sorted(number for number in cited if number < count))


def renumber(thinking: str, numbers: Sequence[int | None]) -> str:
    """The thought with each cited frame i named as numbers[i]; one outside keeps its number with a question mark.

    Example:
        >>> renumber('It is left of the door (Frame 1).', [56, 57])
        'It is left of the door (Frame 57).'
    """

    def one(match: re.Match[str]) -> str:
        place = int(match[0])
        if place >= len(numbers):
            return f'{place}?'
        return 'now' if numbers[place] is None else str(numbers[place])

    return _CITED.sub(lambda match: match[0][: match.start(2) - match.start()] + _NUMBER.sub(one, match[2]), thinking)
