"""The frames that a line of thought cites: 'Frame 3', 'Frames 3, 4 and 5', 'Frames 2-4', 'Frame 2 to Frame 4'.

After 'Frame' one number is meant, or a range whose end is joined by a dash without blanks or has a 'Frame' of its own:
'Frame 3, 2 chairs' cites 3. After 'Frames' a list goes on through commas, ends behind its 'and', and leaves out a
number that counts or measures: one before a unit or a plural noun (a word in -s). Verbs after 'Frames' have no -s.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

# Every repetition is bounded, so that matching takes linear time.
_NUMBER = r'#?\d{1,5}(?!\w|\.\d)'
_COUNTED = (
    r'\s{0,3}(?:°|%|(?:m|cm|km|px|deg|people|men|women|children|feet)\b|'
    r'(?!(?:across|always|as|does|has|is|its|shows|this|thus|towards|was|whereas)\b)[a-z]{1,20}s\b)'
)
_FRAME = r'\bframe\s{0,3}'
_TO = r'(?:\s{0,3}[-–—]\s{0,3}|\s{1,3}(?:to|through)\s{1,3})'
_NEXT = rf'{_NUMBER}(?!{_COUNTED})'
_RANGE_END = rf'(?:{_TO}(?:{_FRAME}{_NUMBER}|{_NEXT}))?'
# The first letter stands before all else, so that the search passes over other text at once.
_CITED = re.compile(
    r'[Ff](?<!\w.)(?i:rame(?:'
    rf'\s{{0,3}}{_NUMBER}(?:[-–—]{_NEXT}|{_TO}{_FRAME}{_NUMBER})?'
    rf'|s\s{{0,3}}{_NUMBER}{_RANGE_END}(?:\s{{0,3}},\s{{0,3}}{_NEXT}{_RANGE_END}){{0,99}}'
    rf'(?:\s{{0,3}},?\s{{0,3}}(?:\band\b|\bor\b|&)\s{{0,3}}{_NEXT}{_RANGE_END}){{0,99}}))'
)
_ELEMENT = re.compile(r'((?:frames?\s{0,3})?#?)(\d+)', re.IGNORECASE)
_RANGE = re.compile(rf'(\d+){_TO}(?:{_FRAME})?#?(\d+)', re.IGNORECASE)


def cited_frames(thinking: str, count: int) -> tuple[int, ...]:
    """The frame numbers that a thought cites, ascending, each once, those outside [0, count) left out."""
    cited: set[int] = set()
    for citation in set(_CITED.findall(thinking)):
        cited.update(int(number) for _, number in _ELEMENT.findall(citation))
        for first, last in _RANGE.findall(citation):
            cited.update(range(int(first), min(int(last), count) + 1))
    return tuple(sorted(number for number in cited if number < count))


def in_parts(thinking: str, count: int) -> list[tuple[str, tuple[int, ...]]]:
    """The thought cut into its citations, each with its numbers as `cited_frames`, and the text between, with none."""
    parts: list[tuple[str, tuple[int, ...]]] = []
    end = 0
    for match in _CITED.finditer(thinking):
        parts.append((thinking[end : match.start()], ()))
        parts.append((match[0], cited_frames(match[0], count)))
        end = match.end()
    return [part for part in (*parts, (thinking[end:], ())) if part[0]]


def renumber(thinking: str, numbers: Sequence[int | None]) -> str:
    """The thought with each cited frame i named as numbers[i], 'now' for None; one outside gets a question mark.

    Example:
        >>> renumber('It is left of the door (Frame 1), then right (Frames 2 and 0).', [56, 57, None])
        'It is left of the door (Frame 57), then right (now and Frames 56).'
    """

    @functools.cache  # a model that repeats itself cites the same frames over and over
    def told(citation: str) -> str:
        word = ''

        def one(element: re.Match[str]) -> str:
            nonlocal word
            word = element[1] or word
            place = int(element[2])
            number = numbers[place] if place < len(numbers) else f'{place}?'
            if number is None:
                return 'now'  # and the word 'Frame' goes before the next number
            named, word = f'{word}{number}', ''
            return named

        return _ELEMENT.sub(one, citation)

    return _CITED.sub(lambda match: told(match[0]), thinking)
