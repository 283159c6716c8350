"""UrbanVideo-Bench: questions about drone flights, with question and options in one text (paper, section 7.3)."""

from __future__ import annotations

import argparse
import re
import string

from training.sources import intake
from training.sources.intake import Draft, Rejected, text
from training.sources.tables import Row, read_rows

COLUMNS = ('Question_id', 'video_id', 'question_category', 'question', 'answer')
CATEGORIES = (
    'action generation',
    'association reasoning',
    'causal',
    'cognitive map',
    'counterfactual',
    'duration',
    'goal detection',
    'high-level planning',
    'landmark position',
    'object recall',
    'progress evaluation',
    'proximity',
    'scene recall',
    'sequence recall',
    'start/end position',
    'trajectory captioning',
)
PAPER = ('action generation', 'counterfactual', 'landmark position', 'progress evaluation')

_FENCE = re.compile(r'`{3,}|["“”\']{3,}|\u200b')
_HEADER = re.compile(r'^[ \t]*(?:choose|choices?|options?)[ \t]*[:：]', re.IGNORECASE | re.MULTILINE)
_LABEL = re.compile(r'\s*Question\s*[:：]', re.IGNORECASE)
# Some tell the right answer: 'Answer: A. I am above the store.' in place of option A, or below the options.
_TOLD = re.compile(r'^\s*answer\s*[:：]', re.IGNORECASE)
_OPTION = re.compile(r'\s*([A-Z])\s*(?:[.):：]|\s(?=\s*\S))\s*')
# All clips of one flight: 'AerialVLN_77_3DHE4R9OC_5.mp4' is clip 5 of a route in map 77, '..._5_rain_fog.mp4' the same
# in another weather.
_ROUTE = re.compile(r'(EmbodiedCity_\d+|AerialVLN_\d+_[0-9A-Z]+|RealWorld_(?:[A-Z]+_)?\d+)(?:_\d+)*(?:_[a-z]+)*\.\w+')


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('urbanvideo', help='Read UrbanVideo-Bench: drone flights through cities.')
    intake.add_options(parser, 'MCQ.parquet', "folder of the data set's videos")
    intake.add_categories(parser, CATEGORIES, PAPER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    rows = read_rows(options.questions, COLUMNS)
    return intake.take_in(rows, lambda row: read(row, options), options, category_of, options.categories)


def category_of(row: Row) -> str:
    """The category in lower case, so that tasks are called alike in all sources."""
    return str(row['question_category']).casefold()


def read(row: Row, options: argparse.Namespace) -> Draft:
    """A draft of a row.

    Raises:
        Rejected: it makes no sample.
    """
    question, choices = split_question(text(row, 'question'))
    video = text(row, 'video_id')
    return intake.draft(
        name=str(row['Question_id']),
        source='urbanvideo',
        scene=route_of(video),
        category=category_of(row),
        question=question,
        choices=choices,
        answer=text(row, 'answer').strip(),
        held=intake.media(video, options.media),
    )


def route_of(video: str) -> str:
    """The flight that a video is a clip of.

    Raises:
        Rejected: its name tells none.
    """
    match = _ROUTE.fullmatch(video)
    if match is None:
        raise Rejected('the name of its video tells no route')
    return match[1]


def split_question(whole: str) -> tuple[str, list[str]]:
    """Question and options apart, without code fences, stray quotes, and the right answer where it was left in.

    Options follow a header line in the order of their letters, one per line, the first perhaps on the header's own.

    Raises:
        Rejected: there is no header, or no option A below it.
    """
    whole = _FENCE.sub('', whole)
    header = _HEADER.search(whole)
    if header is None:
        raise Rejected('there is no header above the options')
    choices: list[str] = []
    for line in whole[header.end() :].splitlines():
        words = _TOLD.sub('', line, count=1)
        option = _OPTION.match(words)
        if option and option[1] == string.ascii_uppercase[len(choices)]:
            choices.append(words[option.end() :])
        elif words == line and choices:
            choices[-1] += f' {line}'
    if not choices:
        raise Rejected('there is no option A below the header')
    return _LABEL.sub('', whole[: header.start()], count=1), choices
