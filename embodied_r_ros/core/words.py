"""The words of a text that tell what it is about."""

from __future__ import annotations

import re

_WORD = re.compile(r'[^\W\d_]{3,}')
_FUNCTION_WORDS = frozenset(
    """
    about after ahead all and any are away back backward been before began behind below beside between both but came
    can closer closest come current currently did does down downward each far farther first for forward from further
    get had has have here how into its last left let many meet met most moved moving much near nearest nearer new
    next not nothing now off one only order other our out over past pass passed position right rotate rotated saw
    see seen she should side since stand standing start started step straight that the their them then there these
    they this those tilted through turn turned two under until upward view visible was way went were what when where
    which while who with would you your
    """.split()
)


def telling_words(text: str) -> frozenset[str]:
    """The words of a text, in one form each, without those that any text may hold."""
    words = (word.rstrip('s') for word in _WORD.findall(text.casefold()) if word not in _FUNCTION_WORDS)
    return frozenset(word for word in words if len(word) > 2)
