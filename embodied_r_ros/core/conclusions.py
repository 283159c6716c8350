"""Thoughts without their conclusions, so that whoever checks one has to follow what it rests on."""

from __future__ import annotations

import re

from embodied_r_ros.core.answers import LETTERS, same_words
from embodied_r_ros.core.records import Question

_BETWEEN_SENTENCES = re.compile(r'(?<=[.!?;])\s+|(?<=[。！？；])|\n+')
_CONCLUDING = re.compile(
    r'\b(?:so(?! far\b)|therefore|thus|hence|the answer|in conclusion|(?:which|this) means)\b', re.IGNORECASE
)
# What a claim says beside a choice and the words of the question: 'so the answer is', 'based on all frames, I am sure'.
_CLAIM_WORDS = frozenset(
    'so therefore thus hence then and in conclusion it is this that these which one means must should would i my am '
    'think believe know conclude choose pick say answer option choice letter correct right best final clearly certain '
    'certainly definitely obviously surely sure confident based on all after from given what have of to as frame '
    'frames video observation observations everything'.split()
)


def has_words(text: str) -> bool:
    """Whether a text says anything: punctuation and characters without width do not."""
    return re.search(r'\w', text) is not None


def without_conclusion(thinking: str, question: Question) -> str:
    """An English thought without what states its answer.

    A sentence that says nothing but a choice, words of the question and words like 'so the answer is' is a claim, and
    left out wherever it stands. Of the last other sentence the end is left out, from 'so' or 'therefore' on, where it
    names a choice and no number.

    Args:
        thinking: the line of thought.
        question: whose choices it may name; a thought about an open question stays as it is.
    """
    if not question.choices:
        return thinking
    choices = [same_words(choice) for choice in question.choices]
    letters = set(LETTERS[: len(choices)].lower())
    chosen = letters.union(*(choice.split() for choice in choices))
    known = _CLAIM_WORDS.union(chosen, same_words(question.text).split())

    def names_choice(words: list[str]) -> bool:
        said = f' {" ".join(words)} '
        spoken = [*(word for word in words if word != 'i'), *words[-1:]]
        return not letters.isdisjoint(spoken) or any(f' {choice} ' in said for choice in choices)

    def is_claim(sentence: str) -> bool:
        words = same_words(sentence).split()
        return known.issuperset(words) and names_choice(words)

    said = filter(has_words, _BETWEEN_SENTENCES.split(thinking))
    kept = [sentence for sentence in said if not is_claim(sentence)]
    *_, mark = (None, *_CONCLUDING.finditer(kept[-1] if kept else ''))
    if mark:
        words = same_words(kept[-1][mark.start() :]).split()
        if names_choice(words) and not any(word[-1].isdigit() for word in words if word not in chosen):
            kept[-1] = kept[-1][: mark.start()].rstrip(' ,')
    return ' '.join(kept).strip()
