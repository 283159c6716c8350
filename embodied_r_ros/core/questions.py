"""Reads the English questions that the embedded reasoner knows: which of the eight tasks, and about which things.

The tasks are those of the paper (its Figure 1), in the form in which they can be checked on a robot. A question is read
by what it must contain, not by one sentence pattern: the things it names, in the order in which the task takes them,
and the words that set its task apart.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.errors import UnsupportedQuestion
from embodied_r_ros.core.question_words import (
    ACTION_GENERATION,
    APPEARANCE_ORDER,
    COUNTERFACTUAL,
    LANDMARK_POSITION,
    LEFT,
    MAX_INSTRUCTIONS,
    ORDINALS,
    PROGRESS_EVALUATION,
    RELATIVE_DIRECTION,
    RELATIVE_DISTANCE,
    RIGHT,
    ROUTE_PLANNING,
    action_word,
    bare_name,
    direction_family,
    direction_word,
    listed,
    mentions,
    named_things,
    plain,
    read_plan,
    turn_words,
)
from embodied_r_ros.core.text import clean

_QUOTED_CHARS = 500

FORMS = {
    LANDMARK_POSITION: 'Where is the sofa now?',
    COUNTERFACTUAL: 'If I had turned left instead of right at my second turn, where would the sofa be now?',
    PROGRESS_EVALUATION: (
        'My instructions are: 1. go forward 3 m; 2. turn right 90 degrees; 3. go forward 2 m. Which step am I on?'
    ),
    ACTION_GENERATION: 'What should I do next to get to the sofa?',
    RELATIVE_DISTANCE: 'Which is closest to the sofa: the lamp, the desk, the door or the shelf?',
    RELATIVE_DIRECTION: 'Standing at the sofa and facing the lamp, where is the desk?',
    ROUTE_PLANNING: (
        'I am at the sofa facing the lamp. I walk to the lamp, then to the desk, then to the door. '
        'Which turns do I make?'
    ),
    APPEARANCE_ORDER: 'In which order did I first see the sofa, the lamp and the desk?',
}
TASKS = tuple(FORMS)

_LOOK = (
    r'(?:facing|faces|face|looking|looks|look|turned to|oriented to|pointed)'
    r'(?: at| to| towards?| straight at| directly at)?'
)
_AHEAD_OF_ME = r'(?:straight |directly )?(?:ahead of|in front of|before) (?:me|him|her|them)'
_AT = r'(?:at|by|beside|next to|near|from)'
_START = (
    r'(?:\bfrom|\bbegin(?:ning)? at|\bstart(?:ing)? (?:out )?(?:at|from)|'
    r'\b(?:am|is|stands?|standing|set off) (?:at|by|beside|next to|near|from))'
)
_TURN = re.compile(rf'\b({"|".join(ORDINALS)})\s+(?:turn|corner|rotation|bend)\b')
_SUPPOSED = re.compile(r'\b(?:if|had|suppose|supposing|imagine|assume|assuming)\b')
_INSTEAD = 'instead'
_SWAPPED = re.compile(r'\b(?:swap|replace|exchange|substitute)\b')
_CONTRAST = (
    r'(?:instead of|in place of|rather than|and not|not|as opposed to)'
    r'(?: turning| taking| to| a| the| having turned| going)*'
)
_SIDE = re.compile(rf'(?<![\w-])(?<!of my )(?<!to my )({LEFT}|{RIGHT})\b')
_WHERE = re.compile(
    r'\b(?:where|whereabouts|which (?:way|side|direction|sector)|what (?:way|side|direction)|direction|side|'
    r'in front of me|behind me|point|left|right)\b'
)
_NEAREST = re.compile(
    r'\b(?:closest|nearest|closer|nearer|least far|least distant|(?:shortest|smallest|least) distance|'
    r'shortest (?:straight )?line)'
)
_GO = re.compile(
    r'\b(?:reach|get|go|goal|going|head|make it to|heading|approach|towards?|return|navigate|arrive|take|takes|'
    r'bring|brings|make (?:my|for)|making for|drive|walk|move|come|closer|on (?:my|the) way)\b'
)
_DO = re.compile(r'\b(?:what|which|how|tell|should|must|do|action|next|name|turn)\b')
_ORDER = re.compile(
    r'\b(?:order|sequence|sort|chronological\w*|earliest|one after (?:the other|another)|arrange|ordered|rank|'
    r'succession|put|came after|second and so on)\b'
)
_FIRST = re.compile(r'\b(?:first|earliest|earlier|sooner|before the other)\b')


# Words that make another question of one that otherwise looks like a form.
_NEGATED = re.compile(r"\bnot\b|n't\b|\bexcept\b|\bavoid\b|\bwithout\b")
_ANOTHER_TIME = re.compile(
    r'\b(?:was|were|when|before|after|began|begun|start|started|beginning|if|suppose|will)\b|\bdid i\b'
)
_ANOTHER_ORDER = re.compile(r'\b(?:reverse|reversed|backwards|alphabetical\w*|size|height)\b')
_ANOTHER_COUNT = re.compile(
    r'\bhow (?:many|far(?! along)|long|much)\b|\bcomes next\b|\bnext (?:step|instruction)\b|\bin (?:all|total)\b'
)
_SEEN = re.compile(
    r'\b(?:see|saw|seen|sighted|spot|spotted|notice|noticed|pass|passed|meet|met|appear|appeared|come|came|encounter\w*|'
    r'view|show|showed|visible|glimpse\w*)\b'
)


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


def read_question(text: str, choices: Sequence[str] = (), known: Iterable[str] = ()) -> ParsedQuestion:
    """Understand a question.

    Args:
        text: the question in English.
        choices: its choices, if any.
        known: things that have been seen, in lower case; a name of theirs is recognised wherever it stands.

    Raises:
        UnsupportedQuestion: it is none of the eight forms, or its choices do not fit it; the message names the forms.
    """
    things = (
        name for choice in choices for name in listed(plain(choice)) if not (direction_word(name) or action_word(name))
    )
    asked = plain(text, {*known, *things})
    for read in (_progress, _counterfactual, _route, _direction, _order, _first, _distance, _action, _landmark):
        parsed = read(asked, choices)
        if parsed is not None:
            return parsed
    forms = ' '.join(f'[{task}] {form}' for task, form in FORMS.items())
    asked, offered = _quoted(text), ', '.join(map(_quoted, choices))
    raise UnsupportedQuestion(f'the embedded reasoner cannot read {asked} with choices [{offered}]; it knows: {forms}')


def _quoted(text: str) -> str:
    return repr(clean(text[:_QUOTED_CHARS]))


def _progress(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    plan = read_plan(asked)
    if not 2 <= len(plan) <= MAX_INSTRUCTIONS or _ANOTHER_COUNT.search(asked):
        return None
    options = {f'i{_instruction(choice.lower(), plan)}': choice for choice in choices}
    if 'i0' in options or len(options) != len(choices):
        return None
    return ParsedQuestion(task=PROGRESS_EVALUATION, plan=plan, options=options)


def _instruction(choice: str, plan: tuple[tuple[str, int], ...]) -> int:
    """The number of the instruction that a choice means ('step 3', 'the third', 'turn left 90 degrees'); 0 for none."""
    number = re.search(r'\b(\d{1,6})\b', re.sub(r'\b\d{1,6}(?:\.\d{1,6})?\s{0,3}(?:m|deg)\w*', '', choice))
    step = read_plan(choice)
    word = next((ORDINALS[word] for word in re.findall(r'\w+', choice) if word in ORDINALS), 0)
    index = int(number[1]) if number else plan.index(step[0]) + 1 if step and step[0] in plan else word
    return index if 1 <= index <= len(plan) else len(plan) if index == -1 else 0


def _counterfactual(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    turn, found, things = _TURN.search(asked), direction_family(choices, 'w8'), named_things(asked)
    side = _supposed_side(asked)
    if turn is None or not side or found is None or len(things) != 1:
        return None
    number = ORDINALS[turn[1]]
    return ParsedQuestion(
        task=COUNTERFACTUAL, objects=(things[0],), family=found[0], turn=number, side=side, options=found[1]
    )


def _supposed_side(asked: str) -> str:
    """The side that a turn is supposed to have gone to, '' where that is not plain."""
    if _SWAPPED.search(asked):
        return _SIDE.findall(asked)[-1] if len(_SIDE.findall(asked)) == 2 else ''
    asked = re.sub(rf'\b{_CONTRAST} ({LEFT}|{RIGHT})\b', _INSTEAD, asked)
    supposed = [match.end() for match in _SUPPOSED.finditer(asked)]
    sides = list(_SIDE.finditer(asked))
    if len({match[1] for match in sides}) == 2:
        sides = [match for match in sides if supposed and match.start() > supposed[-1]]
    return sides[0][1] if len({match[1] for match in sides}) == 1 and (supposed or _INSTEAD in asked) else ''


def _route(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    things = named_things(asked)
    if len(things) != 4 or not re.search(r'\bturn', asked):
        return None
    start = _after(asked, _START) or things[0]
    faced, rest = _after(asked, rf'\b{_LOOK}'), [thing for thing in things if thing != start]
    if faced in rest:
        rest = rest[rest.index(faced) :] + rest[: rest.index(faced)]
    objects = (start, *rest)
    options = {turn_words(choice): choice for choice in choices}
    if '' in options or len(options) != len(choices):
        return None
    return ParsedQuestion(task=ROUTE_PLANNING, objects=objects, options=options)


def _after(asked: str, words: str) -> str:
    """The thing named right after some words, '' where there is none."""
    places = {start: name for start, _, name in mentions(asked)}
    for match in re.finditer(rf'{words}\s+', asked):
        if match.end() in places:
            return places[match.end()]
    return ''


def _before(asked: str, words: str) -> str:
    """The thing named right before some words, '' where there is none."""
    places = {end: name for _, end, name in mentions(asked)}
    for match in re.finditer(rf',?\s+(?:is |being |lies )?{words}', asked):
        if match.start() in places:
            return places[match.start()]
    return ''


def _direction(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    things, found = named_things(asked), direction_family(choices, 'q4')
    if len(things) != 3 or found is None:
        return None
    faced = _after(asked, rf'\b{_LOOK}') or _before(asked, _AHEAD_OF_ME)
    at = _after(asked, rf'\b{_AT}') or _after(asked, r'\bin front of')
    if not faced or not at or faced == at:
        return None
    sought = next(thing for thing in things if thing not in (at, faced))
    return ParsedQuestion(task=RELATIVE_DIRECTION, objects=(at, faced, sought), family=found[0], options=found[1])


def _distance(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    things = named_things(asked)
    if not things or not _NEAREST.search(asked) or _NEGATED.search(asked):
        return None
    if re.search(r'(?:est|er) to me\b', asked) and not re.search(r'\bst(?:an|oo)d', asked):
        return None
    others = tuple(map(bare_name, choices))
    anchors = (
        [thing for thing in things if thing not in others]
        if choices
        else [_after(asked, r'\b(?:to|from|nearest|closest|nearer|closer)') or things[0]]
    )
    others = others or tuple(thing for thing in things if thing != anchors[0])
    options = _options(others, choices, 2)
    if options is None or len(anchors) != 1 or not 2 <= len(others) <= 4 or len({*anchors, *others}) != len(others) + 1:
        return None
    return ParsedQuestion(task=RELATIVE_DISTANCE, objects=(anchors[0], *others), options=options)


def _options(objects: Sequence[str], choices: Sequence[str], first: int) -> dict[str, str] | None:
    """What each tag 'q2', 'q3', ... stands for among the choices; None when a choice is none of the objects."""
    tags = {name: f'q{first + index}' for index, name in enumerate(objects)}
    options = {tags.get(bare_name(choice), ''): choice for choice in choices}
    return None if '' in options or len(options) != len(choices) else options


def _order(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    if not _ORDER.search(asked) or _ANOTHER_ORDER.search(asked):
        return None
    lists = [listed(plain(choice)) for choice in choices]
    named = named_things(asked)
    objects = tuple([name for name in named if name in lists[0]] or lists[0]) if lists else tuple(named)
    if (
        not 2 <= len(objects) <= 4
        or len(set(objects)) != len(objects)
        or any(set(names) != set(objects) for names in lists)
    ):
        return None
    options = {
        ' '.join(f'q{objects.index(name) + 1}' for name in names): choice for names, choice in zip(lists, choices)
    }
    return ParsedQuestion(task=APPEARANCE_ORDER, objects=objects, family='order', options=options)


def _first(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    objects = tuple(map(bare_name, choices)) or tuple(named_things(asked))
    options = _options(objects, choices, 1)
    known = set(named_things(asked)) <= set(objects)
    fits = 2 <= len(objects) <= 4 and len(set(objects)) == len(objects) and not any(map(direction_word, choices))
    if options is None or not known or not fits or not _FIRST.search(asked) or not _SEEN.search(asked):
        return None
    return ParsedQuestion(task=APPEARANCE_ORDER, objects=objects, family='first', options=options)


def _action(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    things = named_things(asked)
    options = {action_word(choice): choice for choice in choices}
    fits = '' not in options and len(options) == len(choices)
    other = _NEGATED.search(asked) or re.search(r'\b(?:did i|was|were)\b', asked)
    if len(things) != 1 or not fits or other or not _GO.search(asked) or not _DO.search(asked):
        return None
    return ParsedQuestion(task=ACTION_GENERATION, objects=(things[0],), family='a4', options=options)


def _landmark(asked: str, choices: Sequence[str]) -> ParsedQuestion | None:
    things, found = named_things(asked), direction_family(choices, 'w8')
    elsewhere = _TURN.search(asked) or _INSTEAD in asked or _NEGATED.search(asked)
    another_time = _ANOTHER_TIME.search(asked) and not re.search(r'\bpoint\b', asked)
    if len(things) != 1 or found is None or elsewhere or another_time or not _WHERE.search(asked):
        return None
    return ParsedQuestion(task=LANDMARK_POSITION, objects=(things[0],), family=found[0], options=found[1])
