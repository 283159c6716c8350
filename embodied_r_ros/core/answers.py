"""Questions checked, and answers matched to the choices they mean."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import re
import string
import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Question
from embodied_r_ros.core.text import clean

LETTERS = string.ascii_uppercase
MIN_CHOICES, MAX_CHOICES = 2, len(LETTERS)
MAX_VOTES = 32
MAX_QUESTION_CHARS = 16_384
MAX_CHOICE_CHARS = 2048

# Only so much of an answer is read: what it means stands in front, and a long reply costs no time.
MAX_READ = 8192
MAX_CLAUSES = 256
MAX_LEAD_INS = 4

_MARKUP = re.compile(r'\\(?:boxed|text(?:bf)?|mathrm)\b|<br ?/?>|[*`"“”„$\\{}]')
_CLOSING_TAG = re.compile(r'</([a-z]{1,10})>')
# Where a clause ends. A full stop before a letter or digit ends none ('e.g.'); a reason is a clause of its own.
_JOINT = re.compile(
    r'[,;:!?()\[\]|/&\n\r。、【】「」]|\.(?![a-z0-9])|\s[-–—]+\s|—|\s(?:or|and)\b|或者?|和'
    r'|\s(?=(?:because|since)\b)|(?=因为|由于)'
)
_REASON = re.compile(r'because\b|since\b|因为|由于')
# What may stand before the answer proper: 'so', 'the correct answer is', 'option', 'I choose', 'it is', 'maybe'.
_LEAD_IN = re.compile(
    r'(?:so|therefore|thus|hence|either|both|maybe|perhaps|possibly|probably|(?:most )?likely'
    r"|i(?: would|'d)? (?:choose|pick|select|think|believe|guess|say|go with)(?: that)?"
    r"|(?:it|that|this)(?: is|'s| (?:must|should|would|could|might|may) be)"
    r'|(?:(?:the|my) )?(?:(?:correct|right|best|final|likeliest|most likely) )?(?:answer|option|choice|letter|guess)'
    r'(?: is| (?:must|should|would) be)?)\b[ =]*'
    r'|(?:正确|正確|最终|最終)?的?(?:答案?|[选選][项項])(?:应该|應該)?[是为為选選]?|我(?:认为|認為|觉得|覺得|猜)是?|(?:应该|應該|可能)是?'
    r'|我?[选選][择擇]?'
)
_LETTER_IS_RIGHT = re.compile(
    r'(?P<letter>[a-z])(?: is (?:the )?(?:(?:correct|right)(?: (?:answer|option|choice|one))?|answer|option|choice)'
    r'| ?(?:[选選]?[项項]|是?(?:正确|正確|对|對)的?)?(?:答案)?)'
)
# 'Not sure', 'I cannot tell which': whoever says so has not answered. 'I cannot tell how far' is about something else.
_DOUBT = re.compile(
    r"(?:\b(?:not|cannot|(?:hard|difficult|unable|impossible) to)|n't) (?:\w{1,20} ){0,2}?"
    r'(?:sure|certain|confident|know|tell|say|decide|determined?|(?<!the )answer(?:ed)?)\b'
    r'(?! (?:how|where|when|why|who)\b)'
    r'|\b(?:not |un)clear (?:which|whether|what|if)\b|\bun(?:sure|certain|decided)\b|\bno idea\b'
    r'|不[能太是很]{0,2}(?:确定|確定|清楚|知道|好说|好說)|[无無]法(?:确定|確定|判断|判斷|回答|得知)|[说說]不准'
)
_DENIAL = re.compile(
    r"\b(?:not|no|cannot|wrong|incorrect)\b|(?:\bca)?n't\b|不(?:是|[对對]|正[确確]|[选選])|(?<![不没沒])[错錯][误誤]?[的了]?"
)
# What a denial says beside the choice that it denies; without one, it denies what was said before it.
_NEUTRAL = re.compile(
    r'\b(?:it|that|this|which|is|are|was|be|can|could|would|must|seems|looks|the|answer|option|choice|one|right|correct'
    r"|true|so|clearly|definitely|probably|just)\b|'s\b"
)
# 'A. left B. right' lists options and chooses none.
_LISTED = re.compile(r'(?:^|[\s(\[])([a-z])[.):\]]\s')
_ARTICLES = frozenset(('a', 'an', 'the'))
# A sign before a digit and a point between digits carry meaning; all other punctuation does not.
_TOKEN = re.compile(r'[-+]?\d+(?:\.\d+)?|[^\W_]+')


def clean_question(question: Question) -> Question:
    """The question as it is put into a prompt: text and choices clean (`core.text`)."""
    return dataclasses.replace(question, text=clean(question.text), choices=tuple(map(clean, question.choices)))


def validate_question(question: Question) -> None:
    """Hold a question against what can be asked, as it is when clean.

    Raises:
        InputError: the question is empty or too long, there are 1 or more than 26 choices, a choice is empty, too long
            or given twice (case, width and white space do not tell choices apart), or the votes are out of range.
    """
    if len(question.text) > MAX_QUESTION_CHARS:
        raise InputError(
            f'a question of at most {MAX_QUESTION_CHARS} characters was wanted, got {len(question.text)}; shorten it'
        )
    if not clean(question.text).strip():
        raise InputError(f'a question in words was wanted, got {question.text!r}; say what is to be found out')
    count = len(question.choices)
    if count and not MIN_CHOICES <= count <= MAX_CHOICES:
        raise InputError(
            f'no choices (an open question) or {MIN_CHOICES} to {MAX_CHOICES} were wanted, got {count!r}; '
            'add or leave out choices'
        )
    seen: dict[str, str] = {}
    for choice in question.choices:
        plain = _plain(clean(choice[: MAX_CHOICE_CHARS + 1]))
        length = max(len(choice), len(plain))  # '\ufdfa' stands for 18 characters
        if length > MAX_CHOICE_CHARS:
            raise InputError(f'a choice of at most {MAX_CHOICE_CHARS} characters was wanted, got {length}; shorten it')
        if not plain:
            raise InputError(f'each choice must have words, got {choice!r}; leave it out or fill it in')
        if plain in seen:
            raise InputError(f'each choice must be given once, got {seen[plain]!r} and {choice!r}; leave one out')
        seen[plain] = choice
    if not 1 <= question.votes <= MAX_VOTES:
        raise InputError(f'votes must lie in [1, {MAX_VOTES}], got {question.votes!r}; 1 asks once')


def match_choice(answer_text: str, choices: Sequence[str]) -> int | None:
    """Which choice an answer means.

    An answer is read clause by clause. A clause names a choice if it is nothing but a letter in its usual forms ('B',
    '(b)', 'Option B', '选项B', 'B is correct') or the choice's own words (width, case, articles and punctuation aside);
    other clauses are comment. The first clause, or one with a lead-in ('so', 'the answer is'), must name the choice,
    and no clause may name another: 'A or B', 'B: the lamp' where B is the sofa, and a list of options mean none. Nor
    may a comment take the choice back ('B. The sofa is wrong', 'B? No', 'B. It is not B') or say that nobody can tell
    ('B. I am not sure'), unless these are the choice's own words. What follows 'because' is not read, nor what follows
    the first 8,192 characters. The article 'a' is not option A.

    Args:
        answer_text: what stood in the answer block; the thinking is never looked at.
        choices: the question's own, in their order.

    Returns:
        index into the choices; None when none is meant, or more than one.
    """
    text = _read(answer_text)
    plain = [_plain(choice) for choice in choices]
    whole = ' '.join(text.split())
    if whole in plain and not (len(whole) == 1 and whole.isalpha()):
        return plain.index(whole)
    if len(set(_LISTED.findall(text))) > 1:
        return None
    parts = [' '.join(part.split()).strip(" '_") for part in _JOINT.split(_without_markup(text))]
    clauses = _Clauses([part for part in parts if part], plain)
    meant, is_said, is_open, at = set(range(len(choices))), False, True, 0
    while at < min(len(clauses.texts), MAX_CLAUSES) and meant:
        forms = _without_lead_ins(clauses.texts[at])
        is_open = is_open or len(forms) > 1
        named, after = clauses.named(forms, at)
        if named is not None:
            meant &= named
            is_said = is_said or is_open
        elif _REASON.match(clauses.texts[at]):
            break
        else:
            meant -= clauses.taken_back(forms, meant if is_said else frozenset())
        is_open = is_open and not forms[-1]
        at = after
    return meant.pop() if is_said and len(meant) == 1 else None


def same_words(text: str) -> str:
    """The words of an open answer, of its first 8,192 characters, in a form in which equal answers are equal."""
    folded = _read(text)
    return ' '.join(_tokens(folded)) or ' '.join(folded.split())


def letter(index: int) -> str:
    """The letter of the choice at this index: 0 is A."""
    return LETTERS[index]


def _without_markup(text: str) -> str:
    """Without marks of Markdown, TeX and JSON, and without tags that are closed again: '<b>B</b>' says B."""
    for name in set(_CLOSING_TAG.findall(text)):
        text = text.replace(f'<{name}>', '').replace(f'</{name}>', '')
    return _MARKUP.sub('', text)


def _without_lead_ins(clause: str) -> list[str]:
    """The clause as it is, without its first lead-in, without its second, and so on."""
    forms = [clause]
    while len(forms) <= MAX_LEAD_INS and (lead_in := _LEAD_IN.match(forms[-1])):
        forms.append(forms[-1][lead_in.end() :])
    return forms


class _Clauses:
    """The clauses of an answer, and which choices they name.

    Args:
        texts: the clauses, folded, none empty.
        plain: the choices as `_plain` gives them.
    """

    def __init__(self, texts: Sequence[str], plain: Sequence[str]) -> None:
        self.texts = texts
        words = [_words(text) for text in texts]
        self._words = [word for of_clause in words for word in of_clause]
        self._starts = list(itertools.accumulate(map(len, words), initial=0))
        self._plain = plain
        self._choices = [_words(choice) for choice in plain]

    def named(self, forms: Sequence[str], at: int) -> tuple[set[int] | None, int]:
        """The choices that the clause at a place may name, in the first of its forms that names any.

        Returns:
            indices, none for a letter beyond the choices, and None where nothing is named; and the place of the next
            clause to read, as the words of a choice may reach over several.
        """
        for form in forms:
            tokens = _TOKEN.findall(form)
            is_right = _LETTER_IS_RIGHT.fullmatch(form)
            first = is_right['letter'] if is_right else tokens[0] if tokens else ''
            lettered = LETTERS.find(first.upper()) if len(first) == 1 else -1
            if is_right or (lettered >= 0 and len(tokens) == 1):
                own = [self._plain.index(form)] if form in self._plain else range(len(self._plain))
                return {lettered} & set(own), at + 1
            named, after = self._by_words(form, at)
            if named is None and lettered >= 0 and len(tokens) > 1:
                named, after = self._by_words(form.partition(' ')[2], at)
                named = named and named & {lettered}
            if named is not None:
                return named, after
        return None, at + 1

    def taken_back(self, forms: Sequence[str], said: AbstractSet[int]) -> AbstractSet[int]:
        """The choices that a comment denies: the one that it names, or else what was said before; all where it doubts.

        A comment in a choice's own words denies nothing.
        """
        own = f' {" ".join(_words(forms[0]))} '
        if any(own in f' {" ".join(choice)} ' for choice in self._choices):
            return set()
        if _DOUBT.search(forms[0]):
            return set(range(len(self._choices)))
        kept, denials = _DENIAL.subn('', forms[-1])
        if denials % 2 == 0:  # 'not wrong'
            return set()
        asked = {word for choice in self._choices for word in choice}
        words = _words(_NEUTRAL.sub(lambda word: word[0] if word[0] in asked else '', kept))
        lettered = LETTERS.find(words[0].upper()) if len(words) == 1 and len(words[0]) == 1 else -1
        named = {index for index, choice in enumerate(self._choices) if index == lettered or choice == words}
        return named if words else said

    def _by_words(self, form: str, at: int) -> tuple[set[int] | None, int]:
        """The choices whose words begin with the form's and end with its clause or a later one, the longest first."""
        words = _words(form)
        ends = {index: end for index, choice in enumerate(self._choices) if (end := self._end(words, choice, at))}
        if form in self._plain and max(ends.values(), default=at + 1) == at + 1:
            return {self._plain.index(form)}, at + 1
        last = max(ends.values(), default=at + 1)
        return {index for index, end in ends.items() if end == last} or None, last

    def _end(self, words: Sequence[str], choice: Sequence[str], at: int) -> int:
        """The place after the clauses that have just the words of a choice, 0 where there are none."""
        if not words or choice[: len(words)] != words:
            return 0
        start = self._starts[at + 1]
        end = bisect.bisect_left(self._starts, start + len(choice) - len(words), at + 1)
        is_whole = end < len(self._starts) and self._words[start : self._starts[end]] == choice[len(words) :]
        return end if is_whole else 0


def _folded(text: str) -> str:
    """The text without differences of case and width."""
    folded = text if text.isascii() else unicodedata.normalize('NFKC', text)
    return folded.replace('\u2019', "'").replace('\u2212', '-').casefold()


def _read(answer: str) -> str:
    """What is read of an answer, folded; folding may lengthen it (one character becomes as many as 18)."""
    return _folded(answer.strip()[:MAX_READ])[:MAX_READ]


def _plain(text: str) -> str:
    return ' '.join(_folded(text).split())


def _tokens(text: str) -> list[str]:
    """The words and numbers without articles; an 'a' at the end is a letter, as in 'gate A'."""
    tokens = _TOKEN.findall(text)
    return [token for token in tokens[:-1] if token not in _ARTICLES] + tokens[-1:]


def _words(text: str) -> list[str]:
    """The tokens of all clauses of a folded text."""
    return [token for clause in _JOINT.split(_without_markup(text)) for token in _tokens(clause)]
