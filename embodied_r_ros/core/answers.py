"""Questions checked, and answers matched to the choices they mean."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Question

LETTERS = string.ascii_uppercase
MIN_CHOICES, MAX_CHOICES = 2, len(LETTERS)
MAX_VOTES = 32

# What may stand before the answer proper: 'The correct answer is', 'Answer:', 'Option', 'I choose', 'It is'.
_LEAD_IN = re.compile(
    r'^(?:so,?\s+|therefore,?\s+|thus,?\s+)?'
    r'(?:(?:the\s+|my\s+)?(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice)\b\s*(?:is\b|would\s+be\b|[:=])?'
    r"|i\s+(?:choose|pick|select|would\s+choose)\b|(?:it|that|this)(?:\s+is|'s)\b)\s*:?\s*",
    re.IGNORECASE,
)
_BOXED = re.compile(r'^\$*\\boxed\{(.*)\}\$*$', re.DOTALL)
_LETTER_ALONE = re.compile(r'^[(\[]?\s*([A-Za-z])\s*[)\]]?\s*[.:,;]?$')
# 'B: the sofa', '(b) the sofa', 'B. the sofa', 'B - the sofa'; a full stop needs a space behind it, or 'e.g.' is option
# E.
_LETTER_AND_WORDS = re.compile(
    r'^(?:[(\[]\s*([A-Za-z])\s*[)\]]\s*[.:,]?|([A-Za-z])\s*(?:[):]|[.,](?=\s)|\s[-–—]\s))\s*(.+)$', re.DOTALL
)
_LETTER_NO_MARK = re.compile(r'^([A-Z])\s+(.+)$', re.DOTALL)
_LETTER_IS_RIGHT = re.compile(
    r'^[(\[]?([A-Z])[)\]]?\s+is\s+(?:the\s+)?(?:correct|right)(?:\s+(?:answer|option|choice|one))?\W*$'
)
# 'A, B' and 'A. or (C)' name two options.
_HEDGE = re.compile(r'^(?:or|and|/|&)?\s*[(\[]?[A-Za-z][)\]]?\W*$')
_ARTICLES = frozenset(('a', 'an', 'the'))
# A sign before a digit and a point between digits carry meaning; all other punctuation does not.
_TOKEN = re.compile(r'[-+]?\d+(?:\.\d+)?|[^\W_]+')


def validate_question(question: Question) -> None:
    """Hold a question against what can be asked.

    Raises:
        InputError: the question is empty, there are 1 or more than 26 choices, a choice is empty or given twice (case
            and white space do not tell choices apart), or the votes are out of range.
    """
    if not question.text.strip():
        raise InputError(f'a question in words was wanted, got {question.text!r}; say what is to be found out')
    count = len(question.choices)
    if count and not MIN_CHOICES <= count <= MAX_CHOICES:
        raise InputError(
            f'no choices (an open question) or {MIN_CHOICES} to {MAX_CHOICES} were wanted, got {count!r}; '
            'add or leave out choices'
        )
    seen: dict[str, str] = {}
    for choice in question.choices:
        plain = _plain(choice)
        if not plain:
            raise InputError(f'each choice must have words, got {choice!r}; leave it out or fill it in')
        if plain in seen:
            raise InputError(f'each choice must be given once, got {seen[plain]!r} and {choice!r}; leave one out')
        seen[plain] = choice
    if not 1 <= question.votes <= MAX_VOTES:
        raise InputError(f'votes must lie in [1, {MAX_VOTES}], got {question.votes!r}; 1 asks once')


def match_choice(answer_text: str, choices: Sequence[str]) -> int | None:
    """Which choice an answer means.

    Read are a letter in its usual forms ('B', '(b)', 'B.', 'Option B', 'B: the sofa') and the choice's own words (case,
    articles and punctuation aside). A letter counts only within the choices there are, and not against words that name
    another choice. The article 'a' is not option A.

    Args:
        answer_text: what stood in the answer block; the thinking is never looked at.
        choices: the question's own, in their order.

    Returns:
        index into the choices; None when none is meant, or more than one.
    """
    text = answer_text.replace('**', '').replace('`', '').strip('"\'_ \t\r\n')
    text = _BOXED.sub(r'\1', text).strip()
    named = _exactly(text, choices)
    alone = _LETTER_ALONE.match(text) or _LETTER_IS_RIGHT.match(text)
    if alone:
        lettered = _index(alone[1], choices)
        return _agreed(named, lettered)
    if named is not None:
        return named
    marked = _LETTER_AND_WORDS.match(text)
    if marked:
        lettered = _index(marked[1] or marked[2], choices)
        named = _by_words(marked[3], choices)
        return None if lettered is None or _HEDGE.match(marked[3]) else _agreed(named, lettered)
    named = _by_words(text, choices)
    if named is None:
        named = _by_bare_letter(text, choices)
    rest = _LEAD_IN.sub('', text, count=1)
    return named if named is not None or rest in ('', text) else match_choice(rest, choices)


def same_words(text: str) -> str:
    """The words of an open answer in a form in which equal answers are equal."""
    return ' '.join(_tokens(text)) or _plain(text)


def letter(index: int) -> str:
    """The letter of the choice at this index: 0 is A."""
    return LETTERS[index]


def _exactly(text: str, choices: Sequence[str]) -> int | None:
    plain = [_plain(choice) for choice in choices]
    return plain.index(_plain(text)) if _plain(text) in plain else None


def _by_words(text: str, choices: Sequence[str]) -> int | None:
    tokens = _tokens(text)
    same = [index for index, choice in enumerate(choices) if tokens and _tokens(choice) == tokens]
    return same[0] if len(same) == 1 else _exactly(text, choices)


def _by_bare_letter(text: str, choices: Sequence[str]) -> int | None:
    """'B sofa' is B where B is the sofa; 'A sofa' may be an article and a noun."""
    bare = _LETTER_NO_MARK.match(text)
    index = _index(bare[1], choices) if bare else None
    return index if bare and index is not None and _by_words(bare[2], choices) == index else None


def _agreed(named: int | None, lettered: int | None) -> int | None:
    """What words and letter say together; None where they contradict each other."""
    if named is None or lettered is None:
        return lettered if named is None else named
    return named if named == lettered else None


def _index(letter_: str, choices: Sequence[str]) -> int | None:
    index = LETTERS.index(letter_.upper())
    return index if index < len(choices) else None


def _plain(text: str) -> str:
    return ' '.join(text.casefold().split())


def _tokens(text: str) -> list[str]:
    return [token for token in _TOKEN.findall(text.casefold()) if token not in _ARTICLES]
