"""The words that questions and choices are made of: tasks, directions, actions, turns, instructions, names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence

from embodied_r_ros.core.coarse import ANGLE_DEG, CELL_M, MAX_DISTANCE_CELLS

LANDMARK_POSITION = 'landmark position'
COUNTERFACTUAL = 'counterfactual'
PROGRESS_EVALUATION = 'progress evaluation'
ACTION_GENERATION = 'action generation'
RELATIVE_DISTANCE = 'relative distance'
RELATIVE_DIRECTION = 'relative direction'
ROUTE_PLANNING = 'route planning'
APPEARANCE_ORDER = 'appearance order'

# Which words a direction is told in: four sides, eight sectors, quadrants, left or right, these or back, actions.
FAMILIES = {
    'w4': ('ahead', 'right', 'behind', 'left'),
    'w8': ('ahead', 'front-right', 'right', 'back-right', 'behind', 'back-left', 'left', 'front-left'),
    'q4': ('front-right', 'back-right', 'back-left', 'front-left'),
    'lr': ('right', 'left'),
    'lrb': ('right', 'behind', 'left'),
    'a4': ('forward', 'turn-right', 'turn-around', 'turn-left'),
}
FORWARD, LEFT, RIGHT = 'forward', 'left', 'right'
MAX_INSTRUCTIONS = 16

ORDINALS = {
    'first': 1, 'second': 2, 'third': 3, 'fourth': 4, 'fifth': 5,
    'sixth': 6, 'seventh': 7, 'eighth': 8, 'ninth': 9, 'tenth': 10,
    '1st': 1, '2nd': 2, '3rd': 3, '4th': 4, '5th': 5, '6th': 6, '7th': 7, '8th': 8, '9th': 9, '10th': 10,
    'last': -1, 'final': -1, 'latest': -1, 'most recent': -1, 'only': 1,
}  # fmt: skip
_ALONG = {
    'front': 'ahead',
    'ahead': 'ahead',
    'forward': 'ahead',
    'behind': 'behind',
    'back': 'behind',
    'rear': 'behind',
}
_TURNS = FAMILIES['lrb']

# Numbers of more digits are none, so that each can be counted with; blanks are single (`_spaced`).
_NUMBER = r'\d{1,6}(?:\.\d{1,6})?'
_STEP = re.compile(
    rf'\bturn(?:ing)? (?:to the |to your |to my )?(left|right) ?(?:by |through )?({_NUMBER}) ?deg(?:rees?)?'
    r'|\bturn (around)\b'
    rf'|\b(?:forward|straight(?: ahead| on)?|ahead) ?(?:for |by )?({_NUMBER}) ?(?:m|metres?|meters?)\b'
    rf'|\b({_NUMBER}) ?(?:m|metres?|meters?) (?:forward|straight|ahead)\b'
)
# What is remembered of a word is bounded in bytes: so many words of so many characters.
_WORDS_KEPT, _KEPT_CHARS = 4096, 80

_ARTICLE = r'(?:the|a|an|my)'
# A thing's name ends before one of these words.
_ENDS = """
    a above after again also an and any appear appeared appears are as at available be became become been before
    behind below can come compared could currently did do does drive drives each end ended ends facing finally
    find first for from gets given goes had has have he her here his how i if in instead into is it its lie lies
    listed located lying made make me mentioned might must my named need needs next now of off offered on once or
    over placed please positioned rather relative right seen she should show sit sits so stand standing stands
    starting straight take takes than that the their them then there they this to toward towards turn turning
    turns until up via walk walks was were what when where which while who will with would you your
""".split()
_NOT_END = rf'(?!(?:{"|".join(_ENDS)})\b)'
_MENTION = re.compile(rf"\b{_ARTICLE} (?:(\S*_)|((?:{_NOT_END}[a-z0-9'/-]+ )*{_NOT_END}[a-z0-9'/-]+))")
_TAKES_ME = (
    'of|to|from|relative to|behind|for|ahead of|in front of|tell|takes?|brings?|gets?|lets?|with|leads?|around|towards'
)
_NUMBER_BEHIND = re.compile(r' \d{1,4}$')
_GENERIC_START = re.compile(r'(?:least|most|best|shortest|smallest|next|following|same|right|correct)\b')
_GENERIC = re.compile(
    r'\b(?:turns?|way|sides?|directions?|actions?|moves?|steps?|order|sequence|options?|routes?|walk|path|left|'
    r'right|ones?|things?|objects?|items?|moment|next|last|two|three|four|best|nearest|closest|earliest|latest|'
    r'other|others|rest|place|position|spot|location|instructions?|plan|task|list|point|view|time|beginning|start|'
    r'trip|journey|stops?|choices?|candidates?|following|same|distance|person|visitor|someone|robot|correct|sort|'
    r'corner|second|third|fourth|fifth|sixth|seventh|eighth|bend|rotation|away|far)$'
)


def _remembered(read: Callable[[str], str]) -> Callable[[str], str]:
    """The function with a memory of short texts."""
    kept = functools.lru_cache(_WORDS_KEPT)(read)
    return functools.wraps(read)(lambda text: kept(text) if len(text) <= _KEPT_CHARS else read(text))


def plain(text: str, known: Iterable[str] = ()) -> str:
    """A question in lower case, with single spaces, no question mark, and 'you' told as 'I'.

    Args:
        text: as it was asked.
        known: names of things; where one stands in the text it is marked, so that `mentions` knows where it ends. So is
            one with a number that no thing of its name has.
    """
    text = text.lower().replace('\u2019', "'").replace('\u00b0', ' degrees ')
    text = _spaced(text).rstrip('?.! ')
    names = {name for name in known if name in text}
    for kind in {_NUMBER_BEHIND.sub('', name) for name in known}:
        if kind in text:
            names.update(re.findall(rf'(?<![\w-]){re.escape(kind)} \d{{1,4}}(?!\w|\.\d| ?(?:m|deg\w*|met\w+)\b)', text))
    for name in sorted(names, key=len, reverse=True):
        marked = name.replace(' ', '_') + '_'
        # Joined, not substituted: a backslash in a name is no template's.
        text = marked.join(re.split(rf"(?<![\w'-]){re.escape(name)}(?![\w-])", text))
        if name[-1].isdigit():
            # 'chair 2' needs no article.
            text = f'the {marked}'.join(re.split(rf'(?<!the )(?<!my )(?<![\w-]){re.escape(marked)}', text))
    text = re.sub(r"\byou are\b|\byou're\b|\bare you\b|\bi'm\b|\bam i\b", 'i am', text)
    text = re.sub(r"\byou'd\b|\bi'd\b", 'i had', text)
    text = re.sub(r'\b(?:yourself|myself|itself)\b', 'me', text)
    return re.sub(rf'\b({_TAKES_ME}) (?:you|the robot|it)\b', r'\1 me', text)


def _spaced(text: str) -> str:
    return ' '.join(text.split())


def mentions(text: str) -> list[tuple[int, int, str]]:
    """The things that a plain text names with an article: where each begins and ends, and its name.

    Words that name no thing ('the left', 'the next turn') are left out.
    """
    found = []
    for match in _MENTION.finditer(text):
        name = match[1].replace('_', ' ').strip() if match[1] else match[2]
        if match[1] or not (_GENERIC.search(name) or name in ORDINALS or _GENERIC_START.match(name)):
            found.append((match.start(), match.end(), name))
    return found


def named_things(text: str) -> list[str]:
    """The things that a plain text names with an article, each once, in order of first mention."""
    return list(dict.fromkeys(name for _, _, name in mentions(text)))


@_remembered  # each form of question asks anew
def bare_name(text: str) -> str:
    """A name without its article: 'The floor lamp.' is 'floor lamp'."""
    return re.sub(rf'^(?:{_ARTICLE} )+', '', plain(text).strip(' .,;:\'"')).strip()


def listed(text: str) -> tuple[str, ...]:
    """The things in 'the lamp, the desk or the door'."""
    parts = re.split(r' ?(?:,|;|->|>|\band then\b|\bthen\b|\band\b|\bor\b) ?', _spaced(text))
    return tuple(name for name in map(bare_name, parts) if name)


@_remembered
def direction_word(choice: str) -> str:
    """The canonical word ('ahead', 'front-left', ...) for a direction in English, '' where there is none."""
    words = re.findall(r'[a-z]+', choice.lower())
    along = {_ALONG[word] for word in words if word in _ALONG}
    across = {word for word in words if word in (LEFT, RIGHT)}
    if len(along) > 1 or len(across) > 1 or not along | across:
        return ''
    if along and across:
        return ('front-' if along == {'ahead'} else 'back-') + across.pop()
    return (along or across).pop()


def action_word(choice: str) -> str:
    """The canonical action ('forward', 'turn-left', ...) for an action in English, '' where there is none."""
    lowered = choice.lower()
    if re.search(r'around|round|180|back|u-turn|behind', lowered):
        return 'turn-around'
    word = direction_word(choice)
    if word == '' and re.search(r'straight|continue|keep going|\bon\b', lowered):
        word = 'ahead'
    return {'ahead': 'forward', LEFT: 'turn-left', RIGHT: 'turn-right'}.get(word, '')


def turn_words(choice: str) -> str:
    """The turns that a choice names, in canonical words ('left right' for 'left, then right'); '' for any other."""
    parts = [part for part in re.split(r' ?(?:,|;|/|\bthen\b|\band\b) ?', _spaced(choice.lower())) if part]
    words = ['behind' if re.search(r'round|back|behind', part) else direction_word(part) for part in parts]
    return ' '.join(words) if all(word in _TURNS for word in words) else ''


def read_plan(text: str) -> tuple[tuple[str, int], ...]:
    """The instructions in a text, in order: ('forward', cells of half a metre) and ('left' or 'right', degrees)."""
    plan: list[tuple[str, int]] = []
    for match in _STEP.finditer(_spaced(text)):
        side, degrees, around, metres, metres_before = match.groups()
        if side:
            plan.append((side, min(max(round(float(degrees) / ANGLE_DEG), 1), 23) * ANGLE_DEG))
        elif around:
            plan.append((RIGHT, 180))
        else:
            plan.append((FORWARD, min(max(round(float(metres or metres_before) / CELL_M), 1), MAX_DISTANCE_CELLS)))
    return tuple(plan)


def direction_family(choices: Sequence[str], open_family: str) -> tuple[str, dict[str, str]] | None:
    """The family that direction choices belong to and what each stands for; None where they are no directions."""
    if not choices:
        return open_family, {}
    options = {direction_word(choice): choice for choice in choices}
    if '' in options or len(options) != len(choices):
        return None
    for family in ('lr', 'lrb', 'w4', 'q4', 'w8'):
        if set(options) <= set(FAMILIES[family]):
            return family, options
    return None
