"""The words that tell a text from others, by which a question finds the observations that speak of its things."""

from __future__ import annotations

import re
import unicodedata
from operator import add

# So much is read of a text. It holds a question with 26 choices of the longest kind.
MAX_READ_CHARS = 70_000

_FUNCTION_WORDS = frozenset(
    """
    a about after again ahead all also am an and any are as at away back backward be been before began behind below
    beside between both but by came can closer closest come could current currently did do does down downward each else
    far farther first for forward from further get go goes going had has have he her here him his how i if in into is it
    its last left let many may me meet met might most moved moving much must my near nearest nearer new next no nor not
    nothing now of off oh ok on one only or order other our out over past pass passed per position right rotate rotated
    saw see seen she should side since so stand standing start started step straight than that the their them then there
    these they this those through tilted to too toward towards turn turned two under until up upward us very via view
    visible was way we went were what when where whether which while who why will with would yes yet you your
    cm deg degree degrees km m meter meters metre metres mm
    """.split()
)
# Chinese: of, at, is, has, I, you, it, this, that, which, in, and, or, one, left, right, front, back, side.
_FUNCTION_CHARACTERS = re.compile('[的了在是有我你它这那哪里吗呢和与或个一左右前后边面]+')
# Scripts that put no space between words (Thai, Lao, Tibetan, Burmese, Khmer, Kana, Han), and Hangul, whose particles
# adhere to the noun. Particles in Hiragana adhere to nouns in other scripts, so it makes runs of its own.
_UNSPACED = (
    r'\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u30a1-\u30fa\u30fc-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff'
)
_HIRAGANA = r'\u3041-\u309f'
_RUN = re.compile(rf'[{_HIRAGANA}]+|[{_UNSPACED}]+')
# Combining accents and vowel signs (Hebrew, Arabic, Indic) belong to the word, though they are no \w.
_SPACED = rf'[^\W_{_UNSPACED}{_HIRAGANA}]'
_MARK = r'[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0971-\u0dff]'
# In the group stand words, numbers and letters. Outside it stands what ends a name: punctuation, "'s" and measures.
_TOKEN = re.compile(
    r"[.,;:!?()]|['\u2019][a-z]{1,2}\b|\d+(?:[.,]\d|\s?(?:mm?|cm|km|deg(?:rees?)?|met(?:er|re)s?)\b|°)"
    rf'|([a-z0-9]+(?![a-z0-9\u0080-\U0010ffff])|{_SPACED}+(?:{_MARK}+{_SPACED}*)*|{_RUN.pattern})'
)
_NO_PLURALS = frozenset(('atlas', 'canvas', 'gas', 'lens'))


def telling_words(text: str) -> frozenset[str]:
    """The words of a text that may tell it from others, in a form in which singular and plural are equal.

    Width, case and function words do not count. A number or a letter alone is no word, as measures, counts and articles
    stand in every text; after a noun it names one of several, so 'chair 2' has the words 'chair' and 'chair 2'. Runs of
    a script without spaces give each pair of neighbouring characters; a run of one character is a word. No more than
    the first 70,000 characters are read.

    Args:
        text: in any language; function words are known in English and Chinese.

    Returns:
        stems, which need not be words themselves ('hous' for 'house'); equal stems mean equal words.
    """
    words: set[str] = set()
    noun = ''
    read = text[:MAX_READ_CHARS]
    folded = read if read.isascii() else unicodedata.normalize('NFKC', read)[:MAX_READ_CHARS]
    for token in _TOKEN.findall(folded.casefold()):
        if not token or token in _FUNCTION_WORDS:
            noun = ''
        elif not token.isascii() and _RUN.match(token):
            for part in _FUNCTION_CHARACTERS.split(token):
                noun = part[-2:]
                words.update((*map(add, part, part[1:]), noun))
        elif len(token) > 1 and not token[0].isdigit():
            noun = _singular(token)
            words.add(noun)
        elif noun:
            words.add(f'{noun} {token}')
            noun = ''
    return frozenset(words - {''})


def _singular(word: str) -> str:
    """One stem for singular and plural: of 'box' and 'boxes', 'house' and 'houses', 'movie' and 'movies'."""
    if word[-1] == 's' and len(word) > 2 and word[-2] not in 'su' and word not in _NO_PLURALS:
        word = word[:-1]
    if word[-1] != 'e':
        return word
    if word.endswith('ie'):
        return word[:-2] + 'y'
    if word.endswith(('fe', 've')):
        return word[:-2] + 'f'
    return word[:-1] if word.endswith(('se', 'xe', 'ze', 'oe', 'che', 'she')) else word
