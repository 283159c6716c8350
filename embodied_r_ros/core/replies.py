"""What a model wrote, read: descriptions of key frames, and thoughts with their answers.

A description is never lost: JSON is looked for first, then a numbered or labelled list, and what is none of these is
kept whole as its text. A thought is read strictly: only the answer block speaks.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from embodied_r_ros.core.errors import ReplyError
from embodied_r_ros.core.motion import ACTIONS

_THINK = re.compile(r'<\s*think\s*>(.*?)<\s*/\s*think\s*>', re.DOTALL | re.IGNORECASE)
_THINK_OPEN = re.compile(r'<\s*think\s*>', re.IGNORECASE)
_THINK_CLOSE = re.compile(r'<\s*/\s*think\s*>', re.IGNORECASE)
_ANSWER_OPEN = re.compile(r'<\s*answer\s*>', re.IGNORECASE)
_ANSWER_CLOSE = re.compile(r'<\s*/\s*answer\s*>', re.IGNORECASE)

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
    r'|\d+(?:\.\d+)?|deg\w*|m|met\w+|°)\s+){0,4}'
)
_SINGLE_WORDS = {
    'move upward': r'ascend\w*|ascent|ris(?:e|es|ing)|rose',
    'move downward': r'descend\w*|descent|lower(?:s|ed|ing)',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Described:
    """A description of a key frame, read: one of the paper's ten actions or '', and the text."""

    action: str
    text: str


def read_description(text: str, reasoning: str = '') -> Described:
    """Read what a vision-language model wrote about a key frame.

    Args:
        text: the reply's content.
        reasoning: what the server split off; read only where the content is empty.

    Returns:
        the action as one of the ten ('' where none is named), and the description. Where no structure is found the
        whole reply is the text, and the action is the one that it names, if any.

    Raises:
        ReplyError: the reply is empty, or has no word in it.
    """
    raw = text if text.strip() or not reasoning else reasoning
    plain = _without_thinking(raw)
    if not re.search(r'\w', plain):
        raise ReplyError(
            f'a description was wanted, the model wrote {raw!r}; look at its max_tokens and chat template', raw
        )
    found = _from_json(plain) or _from_labels(plain) or _from_items(plain)
    return found or Described(action=_first_action(plain, _PLAIN_VERBS, {}), text=plain)


def normalise_action(text: str) -> str:
    """The first of the paper's ten actions that a text names in any words ('turned left' is 'rotate left'), or ''."""
    return _first_action(text, _VERBS, _SINGLE_WORDS)


def read_thought(text: str, reasoning: str = '') -> tuple[str, str]:
    """Split a reply into its thinking and what stands in its single answer block.

    Tags inside the thinking and text after the answer do not count. The closing tag may be missing at the end of the
    reply, as it is where a stop string was cut off.

    Args:
        text: the reply's content.
        reasoning: what the server split off as thinking; where the content is empty, the whole reply.

    Returns:
        (thinking, answer), both stripped.

    Raises:
        ReplyError: the reply is empty, or has no answer block, an empty one, or several.
    """
    if not text.strip():
        text, reasoning = reasoning, ''
    raw = '\n'.join(part for part in (reasoning, text) if part)
    if not text.strip():
        raise ReplyError(
            f'a thought and an answer were wanted, the model wrote {raw!r}; look at its chat template', raw
        )
    closed = list(_THINK_CLOSE.finditer(text))
    thought, rest = (text[: closed[-1].start()], text[closed[-1].end() :]) if closed else ('', text)
    opened = list(_ANSWER_OPEN.finditer(rest))
    if not opened:
        raise ReplyError(
            f'an <answer> block was wanted, the reply ends in {raw[-80:]!r}; it may need more max_tokens', raw
        )
    if len(opened) > 1:
        raise ReplyError(f'one <answer> block was wanted, the reply has {len(opened)}, ending in {raw[-80:]!r}', raw)
    before, after = rest[: opened[0].start()], rest[opened[0].end() :]
    answer = _ANSWER_CLOSE.split(after, maxsplit=1)[0].strip()
    if not answer:
        raise ReplyError(f'an answer was wanted inside the <answer> block, the reply ends in {raw[-80:]!r}', raw)
    thinking = '\n'.join(_untagged(part) for part in (reasoning, thought, before) if _untagged(part))
    return thinking, answer


def read_short_answer(text: str, reasoning: str = '') -> str:
    """The answer in a reply to 'answer alone, no thinking': its answer block, or all of it where there is none.

    Raises:
        ReplyError: the reply is empty, or its answer block unreadable.
    """
    plain = _without_thinking(text if text.strip() else reasoning)
    if plain and not _ANSWER_OPEN.search(plain):
        return plain
    return read_thought(text, reasoning)[1]


def _without_thinking(text: str) -> str:
    """The text after its think block; what was thought, where nothing follows it."""
    # Behind the last closing tag, an opening one would be held against all that follows.
    end = max((close.end() for close in _THINK_CLOSE.finditer(text)), default=0)
    rest = (_THINK.sub('', text[:end]) + text[end:]).strip()
    return rest if rest and not _THINK_OPEN.match(rest) else _untagged(text)


def _untagged(text: str) -> str:
    return _THINK_CLOSE.sub('', _THINK_OPEN.sub('', text)).strip()


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
    return Described(action=normalise_action(action), text=' '.join(told) or text)


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
    marks = list(_LABEL.finditer(_ITEM.sub('', text)))
    text = _ITEM.sub('', text)
    if not any(mark['action'] for mark in marks) or not any(mark['new'] for mark in marks):
        return None
    parts = _between(text, marks)
    action = next(part for mark, part in zip(marks, parts) if mark['action'])
    told = ' '.join(part for mark, part in zip(marks, parts) if mark['new'] and part)
    return Described(action=normalise_action(action), text=told or text)


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


def _first_action(text: str, verbs: Mapping[str, str], single_words: Mapping[str, str]) -> str:
    hits = []
    for action in ACTIONS:
        verb, _, way = action.partition(' ')
        pattern = rf'\b(?:{verbs[verb]})\s+{_FILLER}(?:{_WAYS[way]})\b'
        if action in single_words:
            pattern += rf'|\b(?:{single_words[action]})\b'
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            hits.append((match.start(), match.end(), action))
    return min(hits)[2] if hits else ''
