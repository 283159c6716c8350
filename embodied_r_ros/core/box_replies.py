"""Things with boxes in the reply of a vision-language model: how they are asked for, and what of the reply is one."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from embodied_r_ros.core.box_units import PER_MILLE, PX_OF_28
from embodied_r_ros.core.boxes import cut_to_image
from embodied_r_ros.core.depth import Box
from embodied_r_ros.core.prompts import PerceptionPrompt
from embodied_r_ros.core.text import clean, foreign_name

MOST_THINGS = 12
# Such an entry takes no more tokens of a reply.
TOKENS_PER_THING = 48
THINGS = 'things'

_ENTRY = {
    'type': 'object',
    'properties': {
        'name': {'type': 'string'},
        'box': {'type': 'array', 'items': {'type': 'integer'}, 'minItems': 4, 'maxItems': 4},
    },
    'required': ['name', 'box'],
    'additionalProperties': False,
}
_LIST = re.compile(rf'"{THINGS}"\s{{0,64}}:\s{{0,64}}\[')
_BETWEEN = (' ', ',', '\n', '\r', '\t')
_MOST_READ = 4096
# A model that reads signs may take a sentence for a name; what is one names nothing.
_MOST_WORDS = 4

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxedThing:
    """A thing in an image: its name, fit to be shown, and its box in pixels of that image."""

    name: str
    box_px: Box


def with_things(prompt: PerceptionPrompt, sent_wh: Size, units: str) -> PerceptionPrompt:
    """The prompt that asks for things with boxes as well, behind all else, where a reply that is cut loses least.

    Args:
        sent_wh: of the current image as it is sent.
        units: one of `core.box_units.BOX_UNITS`.
    """
    width, height = _side_units(sent_wh, units)
    unit = 'thousandths of its width and height'
    if units != PER_MILLE:
        unit = f'pixels of an image of {width} x {height}'
    ask = (
        f'Also list up to {MOST_THINGS} things in the last image that somebody might ask about, the largest first, '
        f'each once: its name in one to three words, and its box, [left, upper, right, lower] in {unit}.'
    )
    head, mark, form = prompt.text.rpartition('\nReply in JSON: ')
    form = form.removesuffix('}') + f', "{THINGS}": [{{"name": "...", "box": [0, 0, 0, 0]}}]}}'
    listed = {'type': 'array', 'items': _ENTRY, 'maxItems': MOST_THINGS}
    schema = {
        **prompt.schema,
        'properties': {**prompt.schema['properties'], THINGS: listed},
        'required': [*prompt.schema['required'], THINGS],
    }
    return PerceptionPrompt(text=f'{head}\n{ask}{mark}{form}', schema=schema)


def split_things(reply: str) -> tuple[str, list[Any]]:
    """The reply without its list of things, closed as JSON, and the whole entries of the list.

    A list that breaks off keeps the entries that are whole; a reply without a list has none. Linear in the reply.
    """
    # The last one: what was thought before may quote the form.
    found = max(_LIST.finditer(reply), key=lambda match: match.start(), default=None)
    if found is None:
        return reply, []
    entries: list[Any] = []
    decoder, at = json.JSONDecoder(strict=False), found.end()
    while len(entries) < _MOST_READ:
        while reply[at : at + 1] in _BETWEEN:
            at += 1
        try:
            entry, at = decoder.raw_decode(reply, at)
        except (ValueError, RecursionError):
            break
        entries.append(entry)
    return reply[: found.start()].rstrip().removesuffix(',') + '}', entries


def read_things(
    entries: list[Any], sent_wh: Size, image_wh: Size, units: str
) -> tuple[list[BoxedThing], list[tuple[str, int]]]:
    """The things among the entries of a reply, at most MOST_THINGS, and what was wrong with the others.

    Boxes are scaled to the image and cut at its border.

    Args:
        sent_wh, units: as in `with_things`.
        image_wh: of the image before it was shrunk to be sent.

    Returns:
        things, and sentences with how often each rule was broken.
    """
    things: list[BoxedThing] = []
    wrong: dict[str, tuple[str, int]] = {}
    for place, entry in enumerate(entries):
        if len(things) == MOST_THINGS:
            wrong['many'] = (
                f'a model lists at most {MOST_THINGS} things, got {len(entries)!r}; the others are left out',
                len(entries) - place,
            )
            break
        thing, rule, sentence = _thing(entry, _side_units(sent_wh, units), image_wh)
        if thing is not None:
            things.append(thing)
        else:
            wrong[rule] = (wrong.get(rule, (sentence, 0))[0], wrong.get(rule, ('', 0))[1] + 1)
    return things, list(wrong.values())


def _thing(entry: Any, unit_wh: Size, image_wh: Size) -> tuple[BoxedThing | None, str, str]:
    """The thing, or the rule that the entry breaks and a sentence about that."""
    values: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    text = values.get('name', values.get('label'))
    name = foreign_name(text) if isinstance(text, str) else ''
    if not any(map(str.isalnum, name)):
        return None, 'name', f'a thing with a box needs a name, got {_shown(text if values else entry)}'
    if len(name.split()) > _MOST_WORDS:
        return None, 'words', f'the name of a thing has at most {_MOST_WORDS} words, got {name!r}'
    edges = values.get('box', values.get('bbox_2d'))
    if not isinstance(edges, list) or len(edges) != 4 or not all(map(_is_number, edges)):
        return None, 'numbers', f'a box must be [left, upper, right, lower], got {_shown(edges)} of {name!r}'
    left, upper, right, lower = edges
    if not (left < right and upper < lower):
        return None, 'order', f'a box must have left < right and upper < lower, got {_shown(edges)} of {name!r}'
    across, down = image_wh[0] / unit_wh[0], image_wh[1] / unit_wh[1]
    box = cut_to_image((left * across, upper * down, right * across, lower * down), image_wh)
    if box is None:
        sentence = (
            f'a box must lie in the image, {unit_wh[0]} x {unit_wh[1]} in its units, got {_shown(edges)} of {name!r}; '
            'see box_units of the model pair'
        )
        return None, 'outside', sentence
    return BoxedThing(name=name, box_px=box), '', ''


def _side_units(sent_wh: Size, units: str) -> Size:
    """How many units the sides of the image have."""
    if units == PER_MILLE:
        return 1000, 1000
    if units == PX_OF_28:
        return max(28, round(sent_wh[0] / 28) * 28), max(28, round(sent_wh[1] / 28) * 28)
    return sent_wh


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _shown(value: Any) -> str:
    return clean(repr(value))[:80]
