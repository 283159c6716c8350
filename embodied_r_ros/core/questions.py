"""Reads the English questions that the embedded reasoner knows: which of the eight tasks, about which things, answered in which words.

The tasks are those of the paper (its Figure 1), in the form in which they can be checked on a robot.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from embodied_r_ros.core.errors import UnsupportedQuestion

LANDMARK_POSITION = 'landmark position'
COUNTERFACTUAL = 'counterfactual'
PROGRESS_EVALUATION = 'progress evaluation'
ACTION_GENERATION = 'action generation'
RELATIVE_DISTANCE = 'relative distance'
RELATIVE_DIRECTION = 'relative direction'
ROUTE_PLANNING = 'route planning'
APPEARANCE_ORDER = 'appearance order'

FORMS = {
    LANDMARK_POSITION: 'Where is the sofa now?',
    COUNTERFACTUAL: 'If I had turned left instead of right at my second turn, where would the sofa be now?',
    PROGRESS_EVALUATION: 'My instructions are: 1. go forward 3 m; 2. turn right 90 degrees; 3. go forward 2 m. Which step am I on?',
    ACTION_GENERATION: 'What should I do next to get to the sofa?',
    RELATIVE_DISTANCE: 'Which is closest to the sofa: the lamp, the desk or the door?',
    RELATIVE_DIRECTION: 'Standing at the sofa and facing the lamp, where is the desk?',
    ROUTE_PLANNING: 'I am at the sofa facing the lamp. I walk to the lamp, then to the desk, then to the door. Which turns do I make?',
    APPEARANCE_ORDER: 'In which order did I first see the sofa, the lamp and the desk?',
}
TASKS = tuple(FORMS)

# Which words a direction is told in: four sides, eight sectors, quadrants, left or right, left or right or back, actions.
FAMILIES = {
    'w4': ('ahead', 'right', 'behind', 'left'),
    'w8': ('ahead', 'front-right', 'right', 'back-right', 'behind', 'back-left', 'left', 'front-left'),
    'q4': ('front-right', 'back-right', 'back-left', 'front-left'),
    'lr': ('right', 'left'),
    'lrb': ('right', 'behind', 'left'),
    'a4': ('forward', 'turn-right', 'turn-around', 'turn-left'),
}
TURNS = ('right', 'behind', 'left')

FORWARD, LEFT, RIGHT = 'forward', 'left', 'right'
MOST_CELLS, CELL_M, ANGLE_DEG = 20, 0.5, 15
MOST_INSTRUCTIONS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParsedQuestion:
    """A question understood.

    Attributes:
        task: one of TASKS.
        objects: the things asked about, in the order in which the task takes them, in lower case.
        family: key of FAMILIES for a direction, 'order' or 'first' for appearance order, '' otherwise.
        turn: which turn a counterfactual is about, 1 for the first, -1 for the last; 0 otherwise.
        side: the side it would have gone to.
        plan: the instructions whose progress is asked: ('forward', cells), ('left' or 'right', degrees).
        options: the choice that each canonical answer stands for; empty for an open question.
    """

    task: str
    objects: tuple[str, ...] = ()
    family: str = ''
    turn: int = 0
    side: str = ''
    plan: tuple[tuple[str, int], ...] = ()
    options: dict[str, str] = dataclasses.field(default_factory=dict)


def read_question(text: str, choices: Sequence[str] = ()) -> ParsedQuestion:
    """Understand a question.

    Raises:
        UnsupportedQuestion: it is none of the eight forms, or its choices do not fit it; the message names the forms.
    """
    plain = _plain(text)
    for reader in (_progress, _counterfactual, _route, _direction, _order, _distance, _action, _landmark):
        parsed = reader(plain, choices)
        if parsed is not None:
            return parsed
    forms = ' '.join(f'[{task}] {form}' for task, form in FORMS.items())
    raise UnsupportedQuestion(f'the embedded reasoner cannot read {text!r} with choices {list(choices)!r}; it knows: {forms}')


_NOUN = r"(?:the |a |an |my |some |that |this )*([a-z0-9][a-z0-9'/ -]*?)"
_CONTEXT = re.compile(
    r'\b(?:right now|just now|now|currently|at the moment|at this moment|at present|from here|from me|relative to me|relative to myself|'
    r'with respect to me|as seen from here|from (?:where i (?:am|stand)(?: standing)?|my (?:current |present )?(?:position|place|spot|'
    r'viewpoint|point of view|location))|at the end(?: of (?:my|the) (?:walk|path))?|in the end|in relation to me)\b'
)
_ORDINALS = {
    'first': 1, 'second': 2, 'third': 3, 'fourth': 4, 'fifth': 5, 'sixth': 6, 'seventh': 7, 'eighth': 8, 'ninth': 9, 'tenth': 10,
    '1st': 1, '2nd': 2, '3rd': 3, '4th': 4, '5th': 5, '6th': 6, '7th': 7, '8th': 8, '9th': 9, '10th': 10,
    'last': -1, 'final': -1, 'latest': -1, 'most recent': -1, 'only': 1,
}
_TURN = re.compile(rf'\b({"|".join(_ORDINALS)})\s+(?:turn|corner|rotation)\b')


def _plain(text: str) -> str:
    text = text.lower().replace('\u2019', "'").replace('\u00b0', ' degrees ')
    return re.sub(r'\s+', ' ', text).strip().rstrip('?.! ').strip()


def _bare(text: str) -> str:
    """The question without words that only say 'from where I am now'."""
    text = re.sub(r'\s+', ' ', _CONTEXT.sub(' ', text))
    return re.sub(r'\s+([,.;:?])', r'\1', text).strip(' ,;:?')


def _name(text: str) -> str:
    match = re.fullmatch(_NOUN, text.strip(" .,;:'\""))
    return match[1].strip() if match else ''


def _list(text: str) -> tuple[str, ...]:
    """The things in 'the lamp, the desk or the door'."""
    parts = re.split(r'\s*(?:,|;|->|>|\band then\b|\bthen\b|\band\b|\bor\b)\s*', text)
    return tuple(name for name in map(_name, parts) if name)


_SIDES = {'front': 'ahead', 'ahead': 'ahead', 'forward': 'ahead', 'behind': 'behind', 'back': 'behind', 'rear': 'behind'}


def direction_word(choice: str) -> str:
    """The canonical word ('ahead', 'front-left', ...) for a direction in English, '' where there is none."""
    words = re.findall(r'[a-z]+', choice.lower())
    along = {_SIDES[word] for word in words if word in _SIDES}
    across = {word for word in words if word in ('left', 'right')}
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
    if word == '' and re.search(r'straight|continue|keep going|on\b', lowered):
        word = 'ahead'
    return {'ahead': 'forward', 'left': 'turn-left', 'right': 'turn-right'}.get(word, '')


def _directions(choices: Sequence[str], open_family: str) -> tuple[str, dict[str, str]] | None:
    """The family that direction choices belong to and what each stands for; None where they are no directions."""
    if not choices:
        return open_family, {}
    options = {direction_word(choice): choice for choice in choices}
    if '' in options or len(options) != len(choices):
        return None
    words = set(options)
    for family in ('lr', 'lrb', 'w4', 'q4', 'w8'):
        if words <= set(FAMILIES[family]):
            return family, options
    return None


def _landmark(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    found = _directions(choices, 'w8')
    text = _bare(text)
    patterns = (
        rf'(?:and )?where (?:is|are|do i find|can i find|will i find|would i find|does|has) {_NOUN}(?: lie| be| located| gone| to be found)?',
        rf'(?:in |to |on |at |tell me )*(?:which|what) (?:direction|way|side|sector)(?: of me| do i find| must i look for| should i look for| can i find)?'
        rf'(?: is| are| does| lies| lie)? {_NOUN}(?: lie| in| be| on| located| situated| found)?',
        rf'{_NOUN} (?:is|lies) (?:on|in|to) (?:which|what) (?:direction|side|way)(?: of me)?',
    )
    for pattern in patterns:
        match = re.fullmatch(pattern, text)
        if match and found and _is_noun(match[1]):
            return ParsedQuestion(task=LANDMARK_POSITION, objects=(match[1].strip(),), family=found[0], options=found[1])
    return None


def _is_noun(text: str) -> bool:
    return bool(text.strip()) and not re.search(r'\b(?:i|me|my|you|facing|closest|nearest|which|what|where|and|or)\b', text)


def _counterfactual(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    turn = _TURN.search(text)
    found = _directions(choices, 'w8')
    if turn is None or found is None or not re.search(r'\b(?:if|had|suppose|supposing|imagine|assume|assuming|what if)\b', text):
        return None
    side = re.search(r'(?<!instead of )(?<!instead of to the )(?<!instead of turning )(?<!rather than )(?<!and not )\b(left|right)\b', text)
    noun = re.search(
        rf'(?:where|which (?:side|way|direction)|what (?:side|direction))\b(?: of me| in relation to me| relative to me)?,?'
        rf'(?: would| should| might| will) (?:i (?:now )?(?:find|see) )?{_NOUN}'
        rf'(?: (?:now )?(?:be|lie|stand|end up|have ended up|have been|appear)\b.*|[,.;?]|$)', text)
    if side is None or noun is None or not _is_noun(_bare(noun[1])):
        return None
    number = _ORDINALS[turn[1]]
    return ParsedQuestion(
        task=COUNTERFACTUAL, objects=(_bare(noun[1]),), family=found[0], turn=number, side=side[1], options=found[1])


_STEP = re.compile(
    r'\bturn(?:ing)?\s+(?:to the |to your |to my )?(left|right)\s*(?:by\s+|through\s+)?(\d+(?:\.\d+)?)\s*deg(?:rees?)?'
    r'|\bturn\s+(around)\b'
    r'|\b(?:forward|straight(?: ahead| on)?|ahead)\s*(?:for\s+|by\s+)?(\d+(?:\.\d+)?)\s*(?:m|metres?|meters?)\b'
    r'|\b(\d+(?:\.\d+)?)\s*(?:m|metres?|meters?)\s+(?:forward|straight|ahead)\b'
)


def read_plan(text: str) -> tuple[tuple[str, int], ...]:
    """The instructions in a text, in order: ('forward', cells of half a metre) and ('left' or 'right', degrees)."""
    plan: list[tuple[str, int]] = []
    for match in _STEP.finditer(text):
        side, degrees, around, metres, metres_before = match.groups()
        if side:
            amount = min(max(round(float(degrees) / ANGLE_DEG), 1), 23) * ANGLE_DEG
            plan.append((side, amount))
        elif around:
            plan.append((RIGHT, 180))
        else:
            plan.append((FORWARD, min(max(round(float(metres or metres_before) / CELL_M), 1), MOST_CELLS)))
    return tuple(plan)


def _progress(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    plan = read_plan(text)
    if not 2 <= len(plan) <= MOST_INSTRUCTIONS:
        return None
    options = {}
    for choice in choices:
        number = re.search(r'\b(\d+)\b', re.sub(r'\d+(?:\.\d+)?\s*(?:m|deg)\w*', '', choice.lower()))
        step = read_plan(choice.lower())
        index = int(number[1]) if number else plan.index(step[0]) + 1 if step and step[0] in plan else _ORDINALS.get(choice.lower().split()[-1], 0)
        if not 1 <= index <= len(plan):
            return None
        options[f'i{index}'] = choice
    if len(options) != len(choices):
        return None
    return ParsedQuestion(task=PROGRESS_EVALUATION, plan=plan, options=options)


def _action(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    text = _bare(text)
    match = re.search(
        r'\b(?:reach|get (?:back )?to|go (?:back )?to|get closer to|head (?:for|to|towards?)|approach|walk (?:back )?to|move towards?|'
        rf'drive to|return to|towards?|come to|navigate to|arrive at|(?:takes?|brings?|gets?|leads?) me (?:back )?to)\s+{_NOUN}(?: next| first)?$', text)
    if match is None or not re.match(r'(?:what|which|how|in what|in which|to |tell)', text) or not _is_noun(match[1]):
        return None
    options = {action_word(choice): choice for choice in choices}
    if '' in options or len(options) != len(choices):
        return None
    return ParsedQuestion(task=ACTION_GENERATION, objects=(match[1].strip(),), family='a4', options=options)


def _object_options(objects: Sequence[str], choices: Sequence[str], first: int) -> dict[str, str] | None:
    """What each tag 'q2', 'q3', ... stands for among the choices; None when a choice is none of the objects."""
    tags = {name: f'q{first + index}' for index, name in enumerate(objects)}
    options = {tags.get(_name(_plain(choice)), ''): choice for choice in choices}
    return None if '' in options or len(options) != len(choices) else options


def _distance(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    text = _bare(text)
    match = re.search(r'\b(?:closest|nearest|closer|nearer|least far|shortest distance|smallest distance)\b(?: in distance)?'
                      rf'(?: to| from| away from)? {_NOUN}(?:\s*[:,;?]\s*(.*))?$', text)
    if match is None:
        return None
    others = tuple(_name(_plain(choice)) for choice in choices) or _list(match[2] or '')
    options = _object_options(others, choices, 2)
    anchor = re.sub(r'^to ', '', match[1]).strip()
    if options is None or not 2 <= len(others) <= 4 or len({anchor, *others}) != len(others) + 1 or '' in others or not _is_noun(anchor):
        return None
    return ParsedQuestion(task=RELATIVE_DISTANCE, objects=(anchor, *others), options=options)


_LOOK = r'(?:facing|faced|face|looking (?:at|to|towards?)|look (?:at|to|towards?)|turned (?:to|towards?)|turn to face|oriented towards?)'


def _direction(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    found = _directions(choices, 'q4')
    text = _bare(re.sub(r',?\s*(?:to my )?(?:left|right)(?:,| or).*$', '', text))
    match = re.search(
        rf"(?:\bat|\bby|\bbeside|\bnext to|\bnear|\bin front of|\bfrom) {_NOUN},?\s*(?:and |while |i am |i'm |if i |i |were |am |)*{_LOOK} {_NOUN}"
        rf'[,.;:]?\s+(?:then |and |so |,)*(?:where|(?:on |in |to )?(?:which|what) (?:side|direction|way|quadrant|sector))\b(?: of me)?'
        rf'(?: is| are| would| will| do i find| does| lies| can i find| should i look for| do i see)* {_NOUN}(?: be| lie| located| then| stand)*$', text)
    if match is None or found is None:
        match = match or re.search(rf'^(?:where|which side|in which direction|which way|on which side) (?:is|would|lies) {_NOUN}(?: be)?,? (?:when|if|for someone|for a person|as seen when) '
                          rf'(?:i |am |stand |standing |were |was )*(?:at|by|beside|next to|near) {_NOUN},? (?:and )?(?:i am )?{_LOOK} {_NOUN}$', text)
        if match is None or found is None:
            return None
        objects = (match[2].strip(), match[3].strip(), match[1].strip())
    else:
        objects = (match[1].strip(), match[2].strip(), match[3].strip())
    if len(set(objects)) != 3 or not all(map(_is_noun, objects)):
        return None
    return ParsedQuestion(task=RELATIVE_DIRECTION, objects=objects, family=found[0], options=found[1])


def turn_words(choice: str) -> str:
    """The turns that a choice names, as canonical words: 'left, then right' is 'left right'; '' where one cannot be read."""
    parts = [part for part in re.split(r'\s*(?:,|;|/|\bthen\b|\band\b)\s*', choice.lower()) if part]
    words = ['behind' if re.search(r'around|back|round|behind', part) else direction_word(part) for part in parts]
    return ' '.join(words) if all(word in TURNS for word in words) else ''


def _route(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    if not re.search(r'\bturns?\b', text):
        return None
    start = re.search(rf'\b(?:at|from|by|beside) {_NOUN}(?:,| and|\.|;| i | facing| looking| to | face| via)', text)
    if start is None:
        return None
    rest = re.sub(r'[,.:;]?\s*(?:and |so )?(?:in )?\b(?:which|what|how|name|tell|fill)\b.*$', '', text[start.end(1):]) or text[start.end(1):]
    stops = [_name(stop) for stop in re.findall(
        rf'\b(?:to|reach|via|past) {_NOUN}(?=\s*(?:,|\.|;|:|$)| and\b| then\b| turn\b| via\b| to\b| before\b| i\b)', rest)]
    stops = [stop for stop in stops if stop and _is_noun(stop)]
    facing = re.search(rf'{_LOOK} {_NOUN}(?:,|\.|;| i | and )', text)
    if facing and (not stops or stops[0] != facing[1]):
        stops.insert(0, facing[1])
    objects = (start[1].strip(), *stops)
    options = {turn_words(choice): choice for choice in choices}
    if len(objects) != 4 or len(set(objects)) != 4 or '' in options or len(options) != len(choices):
        return None
    return ParsedQuestion(task=ROUTE_PLANNING, objects=objects, options=options)


def _order(text: str, choices: Sequence[str]) -> ParsedQuestion | None:
    text = _bare(text)
    lists = [_list(_plain(choice)) for choice in choices]
    if re.search(r'\b(?:order|sequence|sequentially|chronological\w*)\b', text):
        named = re.search(r'(?:did|do|of|were|have|was|:)\s+(?:i )?(?:first |initially )?(?:see|pass|meet|notice|spot|encounter|come across|come past|seeing|passing|pass by)?\s*'
                          r'(.*?)\s*(?:first |initially |to )?(?:appear(?:ed|ing|ance)?|come|came|show|seen|turn up|in view|into view|pass(?:ed)?|$)', text)
        objects = tuple(sorted(lists[0], key=lambda n: (text.find(n), n))) if lists else _list(named[1]) if named else ()
        if not 2 <= len(set(objects)) <= 4 or len(set(objects)) != len(objects) or any(set(found) != set(objects) for found in lists):
            return None
        options = {' '.join(f'q{objects.index(n) + 1}' for n in found): choice for found, choice in zip(lists, choices)}
        return ParsedQuestion(task=APPEARANCE_ORDER, objects=objects, family='order', options=options)
    if re.search(r'\b(?:first|earliest|earlier|before the other)\b', text) and re.match(r'(?:which|what|who|did)', text):
        inline = re.search(r'(?:[:,;]\s*|\b(?:see|pass|meet|notice|spot|appeared?|first)\s+)((?:the |a |an ).*\bor\b.*?)(?:\s+(?:first|earlier|appear.*|come.*))?$', text)
        objects = tuple(found[0] for found in lists if len(found) == 1) if lists else _list(inline[1]) if inline else ()
        options = _object_options(objects, choices, 1) or {}
        if 2 <= len(objects) <= 4 and len(set(objects)) == len(objects) and len(options) == len(choices):
            return ParsedQuestion(task=APPEARANCE_ORDER, objects=objects, family='first', options=options)
    return None
