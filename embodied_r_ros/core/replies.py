"""What a model wrote, read: descriptions of key frames, and thoughts with their answers.

A description is never lost: JSON is looked for first, then a numbered or labelled list, and what is none of these is
kept whole as its text. A thought is read strictly: only the answer block speaks. What comes out is clean (`core.text`),
and reading takes linear time: repetitions in patterns are bounded, and of a reply no more than its end is read.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from embodied_r_ros.core.errors import ReplyError
from embodied_r_ros.core.motion import ACTIONS
from embodied_r_ros.core.text import clean

# So much is read of a reply, from its end: what follows the thinking stands there.
MAX_REPLY_CHARS = 131_072
# So much is read of words that name an action.
_MAX_ACTION_CHARS = 1024
_QUOTED_CHARS = 80

# The lookahead passes over what cannot be a tag in a tenth of the time.
_TAG = re.compile(r'<(?=[\s/ta])\s{0,8}(/?)\s{0,8}(think|answer)\s{0,8}>', re.IGNORECASE)

# An item starts its line, so that '1.5 m' inside a sentence is none.
_ITEM = re.compile(r'^[ \t]*(?:[*_#]{1,3}[ \t]*)?(\d{1,2})[.):](?!\d)[ \t]*', re.MULTILINE)
_LABEL = re.compile(
    r'^[ \t*_#-]*(?:(?P<action>(?:ego[- ]?)?(?:action|motion|movement))|(?P<new>new|newly '
    r'visible|observation|view|description|text|relevant|changes?|information))'
    r'\b[^:\n]{0,40}:[ \t*_]*',
    re.IGNORECASE | re.MULTILINE,
)
_TEXT_KEYS = ('new', 'view', 'relevant', 'text', 'observation', 'description', 'content', 'answer')
_ACTION_KEYS = ('action', 'motion', 'movement')

# The verbs that mean a move, a turn or a tilt; the first verb and direction that belong together decide.
_WAYS = {
    'forward': r'forwards?|ahead|onwards?|straight',
    'backward': r'backwards?|back|rearwards?',
    'left': r'left(?:wards?)?|counter-?clockwise|anti-?clockwise',
    'right': r'right(?:wards?)?|clockwise',
    'upward': r'upwards?|up',
    'downward': r'downwards?|down',
}
_VERBS = {
    'rotate': r'rotat\w*|turn\w*|yaw\w*|pan(?:s|ned|ning)?|spin\w*|spun|veer\w*',
    'tilt': r'tilt\w*|pitch\w*|look\w*',
    'move': (
        r'mov\w*|walk\w*|go(?:es|ing)?|went|fl(?:y|ies|ew|ying)|driv\w*|drove|advanc\w*|step\w*|straf\w*|slid\w*|shift\w*'
        r'|translat\w*|proceed\w*|travel\w*|climb\w*|retreat\w*|head\w*'
    ),
}
# In prose about a scene, 'the street goes left' is no action of the agent's.
_PLAIN_VERBS = {
    'rotate': r'rotat(?:e|es|ed|ing)|turn(?:s|ed|ing)?',
    'tilt': r'tilt(?:s|ed|ing)?',
    'move': r'mov(?:e|es|ed|ing)',
}
_FILLER = (
    r'(?:(?:slightly|slowly|directly|straight|further|a|bit|little|few|steps?|to|the|its|towards?|camera|by|about|vertically'
    r'|\d{1,9}(?:\.\d{1,9})?|deg\w{0,9}|m|met\w{1,9}|°) ){0,4}?'
)
_SINGLE_WORDS = {
    'move upward': r'ascend\w*|ascent|ris(?:e|es|ing)|rose',
    'move downward': r'descend\w*|descent|lower(?:s|ed|ing)',
}


def _action_pattern(verbs: dict[str, str], single_words: dict[str, str]) -> re.Pattern[str]:
    """Finds an action in lower-case words between single blanks; the group that matched is named after it."""
    told = [rf'(?P<{action.replace(" ", "_")}_>{words})' for action, words in single_words.items()]
    for verb, words in verbs.items():
        ways = '|'.join(rf'(?P<{verb}_{way}>{told})' for way, told in _WAYS.items() if f'{verb} {way}' in ACTIONS)
        told.append(rf'(?:{words}) {_FILLER}(?:{ways})')
    return re.compile(rf'\b(?:{"|".join(told)})\b')


_ACTION = _action_pattern(_VERBS, _SINGLE_WORDS)
_PLAIN_ACTION = _action_pattern(_PLAIN_VERBS, {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Described:
    """A description of a key frame, read: one of the paper's ten actions or '', and the text."""

    action: str
    text: str


def read_description(text: str, reasoning: str = '') -> Described:
    """Read what a vision-language model wrote about a key frame: what follows its thinking.

    Args:
        text: the reply's content; no more than its last 131,072 characters are read.
        reasoning: what the server split off; read only where the content is empty.

    Returns:
        the action as one of the ten ('' where none is named), and the description, clean. An action in other words
        begins the description. Where no structure is found the whole reply is the text, and the action is the one that
        it names, if any.

    Raises:
        ReplyError: the reply is empty, or has no word in it.
    """
    raw = text if text.strip() or not reasoning else reasoning
    plain = clean(_without_thinking(raw[-MAX_REPLY_CHARS:])).strip()
    if not re.search(r'\w', plain):
        raise ReplyError(
            f'a description was wanted, the model wrote {_end_of(raw)}; look at its max_tokens and chat template', raw
        )
    found = _from_json(plain) or _from_labels(plain) or _from_items(plain)
    return found or Described(action=_named(_PLAIN_ACTION, plain), text=plain)


def normalise_action(text: str) -> str:
    """The first of the paper's ten actions that a text names in any words ('turned left' is 'rotate left'), or ''.

    No more than the first 1,024 characters are read.
    """
    return _named(_ACTION, text[:_MAX_ACTION_CHARS])


def read_thought(text: str, reasoning: str = '', is_cut: bool = False) -> tuple[str, str]:
    """Split a reply into its thinking and what stands in its single answer block.

    Tags inside the thinking and text after the answer do not count. The closing tag may be missing at the end of the
    reply, as it is where a stop string was cut off. No more than the last 131,072 characters are read.

    Args:
        text: the reply's content.
        reasoning: what the server split off as thinking; where the content is empty, the whole reply.
        is_cut: whether the reply was cut off at its greatest length.

    Returns:
        (thinking, answer), both stripped and clean.

    Raises:
        ReplyError: the reply is empty, or has no answer block, an empty one, or several.
    """
    raw = '\n'.join(part for part in (reasoning, text) if part)
    reply = _Reply(text, reasoning)
    if not reply.text.strip():
        raise ReplyError(
            f'a thought and an answer were wanted, the model wrote {_end_of(raw)}; look at its chat template', raw
        )
    ends = f'the reply ends in {_end_of(raw)}'
    if not reply.answers:
        why = (
            'it was cut off there; allow more max_tokens'
            if is_cut
            else 'the model ended it there; take one that was trained on this prompt format'
        )
        raise ReplyError(f'an <answer> block was wanted, {ends}; {why}', raw)
    if len(reply.answers) > 1:
        raise ReplyError(f'one <answer> block was wanted, the reply has {len(reply.answers)}; {ends}', raw)
    answer = reply.answer()
    if not answer:
        raise ReplyError(f'an answer was wanted inside the <answer> block, {ends}', raw)
    return reply.thinking(), answer


def read_thinking(text: str, reasoning: str = '') -> str:
    """What was thought, clean, in a reply whose answer cannot be read: all that stands before its answer block."""
    return _Reply(text, reasoning).thinking()


def answer_end(text: str) -> int:
    """Where a reply that grows is over: behind the answer block that follows its thinking; -1 while it is not.

    As long as no thinking has ended, an answer block may be one that the thought only rehearses.
    """
    tags = list(_TAG.finditer(text))
    thought_end = max((tag.end() for tag in tags if _is(tag, 'think', '/')), default=len(text))
    opened = min((tag.end() for tag in tags if _is(tag, 'answer') and tag.start() >= thought_end), default=len(text))
    return min((tag.end() for tag in tags if _is(tag, 'answer', '/') and tag.start() >= opened), default=-1)


def read_short_answer(text: str, reasoning: str = '') -> str:
    """The answer in a reply to 'answer alone, no thinking': its answer block, or all of it where there is none.

    Raises:
        ReplyError: the reply is empty, or its answer block unreadable.
    """
    plain = _without_thinking((text if text.strip() else reasoning)[-MAX_REPLY_CHARS:])
    has_block = any(_is(tag, 'answer') for tag in _TAG.finditer(plain))
    return read_thought(text, reasoning)[1] if has_block or not plain else clean(plain).strip()


class _Reply:
    """The end of a reply, and its tags in their order.

    Attributes:
        text: the content; where it is blank, what the server split off.
        answers: the opening tags of answer blocks behind the thinking.
    """

    def __init__(self, text: str, reasoning: str = '') -> None:
        if not text.strip():
            text, reasoning = reasoning, ''
        self.text, self._reasoning = text[-MAX_REPLY_CHARS:], reasoning[-MAX_REPLY_CHARS:]
        self._tags = list(_TAG.finditer(self.text))
        closed = [tag.end() for tag in self._tags if _is(tag, 'think', '/')]
        self._thought_end = closed[-1] if closed else 0
        behind = [tag for tag in self._tags if tag.start() >= self._thought_end]
        self.answers = [tag for tag in behind if _is(tag, 'answer')]
        self._closers = [tag for tag in behind if _is(tag, 'answer', '/')]

    def answer(self) -> str:
        """What stands in the first answer block."""
        start = self.answers[0].end()
        end = next((tag.start() for tag in self._closers if tag.start() >= start), len(self.text))
        return clean(self.text[start:end]).strip()

    def thinking(self) -> str:
        """What stands before the first answer block, in the two parts that the end of the thinking divides it into."""
        end = self.answers[0].start() if self.answers else len(self.text)
        parts = (self._reasoning, self.text[: self._thought_end], self.text[self._thought_end : end])
        return '\n'.join(filter(None, map(_untagged, parts)))


def _is(tag: re.Match[str], name: str, close: str = '') -> bool:
    return tag[1] == close and tag[2].lower() == name


def _without_thinking(text: str) -> str:
    """What stands behind the last closing tag; what was thought, where nothing does."""
    tags = [tag for tag in _TAG.finditer(text) if tag[2].lower() == 'think']
    start = max((tag.end() for tag in tags if tag[1]), default=0)
    end = next((tag.start() for tag in tags if tag.start() >= start), len(text))
    return text[start:end].strip() or _untagged(text)


def _untagged(text: str) -> str:
    """The text without the tags of thinking, clean."""
    return clean(_TAG.sub(lambda tag: '' if tag[2].lower() == 'think' else tag[0], text)).strip()


def _end_of(raw: str) -> str:
    """The end of a reply as an error message quotes it."""
    return repr(clean(raw[-_QUOTED_CHARS:]))


def _named(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(' '.join(text.lower().split()))
    return (found.lastgroup or '').replace('_', ' ').strip() if found else ''


def _described(action: str, told: str, text: str) -> Described:
    """With the action as one of the ten, or its words before what is told; all of the text where that is nothing."""
    named = normalise_action(action)
    words = ': '.join(part for part in ('' if named else action, told) if part)
    return Described(action=named, text=clean(words).strip() or text)


def _from_json(text: str) -> Described | None:
    start = text.find('{')
    if start < 0:
        return None
    try:
        found = _load(text[start:]) or _load_cut(text[start:].rstrip().removesuffix('```'))
        words = {str(key).casefold(): _flat(value) for key, value in found.items()} if isinstance(found, dict) else {}
    except RecursionError:  # nested as no description is
        return None
    action = next((words[key] for key in _ACTION_KEYS if words.get(key)), '')
    told = [words[key] for key in _TEXT_KEYS if words.get(key)]
    told += [value for key, value in words.items() if value and key not in _TEXT_KEYS + _ACTION_KEYS]
    if not told and not action:
        return None
    return _described(action, ' '.join(told), text)


def _load(text: str) -> Any:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except ValueError:
        return None


def _load_cut(text: str) -> Any:
    """JSON that breaks off, closed at the first place from the end where that makes it whole."""
    inside = escaped = False
    closers: list[str] = []
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == '\\' and not escaped
        elif character == '"':
            inside = True
        elif character in '{[':
            closers.append('}' if character == '{' else ']')
        elif character in '}]' and closers:
            closers.pop()
    if inside and escaped:
        text = text[:-1]
    end = ('"' if inside else '') + ''.join(reversed(closers))
    head, comma, _ = text.rpartition(',')
    whole = _load(text.rstrip() + end)
    return whole if whole is not None or not comma else _load(head + ''.join(reversed(closers)))


def _flat(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, dict):
        return '; '.join(f'{key}: {inner}' for key, inner in zip(value, map(_flat, value.values())) if inner)
    if isinstance(value, list):
        return '; '.join(filter(None, map(_flat, value)))
    return str(value).strip()


def _from_labels(text: str) -> Described | None:
    """'Action: ...' and 'New: ...', each at the start of a line."""
    text = _ITEM.sub('', text)
    marks = list(_LABEL.finditer(text))
    if not any(mark['action'] for mark in marks) or not any(mark['new'] for mark in marks):
        return None
    parts = _between(text, marks)
    action = next(part for mark, part in zip(marks, parts) if mark['action'])
    told = ' '.join(part for mark, part in zip(marks, parts) if mark['new'] and part)
    return _described(action, told, text)


def _from_items(text: str) -> Described | None:
    """A numbered list: the action in item 1, what is new in the others."""
    marks = list(_ITEM.finditer(text))
    if [int(mark[1]) for mark in marks[:2]] != [1, 2]:
        return None
    first, *others = _between(text, marks)
    action = normalise_action(first) if len(first.split()) <= 12 else ''
    told = ' '.join(part for part in (others if action else (first, *others)) if part)
    return Described(action=action, text=told or text)


def _between(text: str, marks: list[re.Match[str]]) -> list[str]:
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    parts = [text[mark.end() : end] for mark, end in zip(marks, ends)]
    return [part.lstrip('*_ \t\r\n').rstrip('*_#- \t\r\n') for part in parts]
