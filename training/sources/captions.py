"""Questions whose videos were described before, in the text that Embodied-R's own perception writes (paper, section 3).

Each question holds a block of 'Frame 0: Observe: ...', 'Frame i: After <action>, Observe: ...', and below it question
and options as UrbanVideo-Bench has them.
"""

from __future__ import annotations

import argparse
import re

from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.replies import normalise_action
from embodied_r_ros.evaluation.phrase_reader import from_words
from embodied_r_ros.evaluation.samples import from_observations
from training.sources import intake, urbanvideo
from training.sources.intake import Draft, Rejected, text
from training.sources.tables import Row, read_rows

FRAME_NS = 1_000_000_000

_PARTS = re.compile(r'(?P<told>.*)\n\s*>\s*\n(?P<question>\s*Question\s*:.*)', re.DOTALL)
_FRAME = re.compile(r'^\s*Frame\s+(\d+):', re.MULTILINE)
_TOLD = re.compile(r'\s*(?:After\s+(?P<action>[^,]*?)\s*,\s*)?Observe:\s*(?P<text>.*)', re.DOTALL | re.IGNORECASE)
# What a frame that could not be described was written as.
_FAILED = ('', 'nan', 'none')


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('captions', help="Read questions whose videos Embodied-R's code has described.")
    intake.add_options(parser, 'its JSON files')
    intake.add_categories(parser, urbanvideo.CATEGORIES)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    rows = read_rows(options.questions, urbanvideo.COLUMNS)
    return intake.take_in(rows, read, options, urbanvideo.category_of, options.categories)


def read(row: Row) -> Draft:
    """A draft of a row, its observations in it.

    Raises:
        Rejected: it makes no sample.
    """
    observations, asked = read_captions(text(row, 'question'))
    question, choices = urbanvideo.split_question(asked)
    return intake.draft(
        name=str(row['Question_id']),
        source='captions',
        scene=urbanvideo.route_of(text(row, 'video_id')),
        category=urbanvideo.category_of(row),
        question=question,
        choices=choices,
        answer=text(row, 'answer').strip(),
        held={'observations': from_observations(observations)},
    )


def read_captions(prompt: str) -> tuple[list[Observation], str]:
    """The observations that a prompt tells of, and the text of the question below them.

    The text has no times: stamps only put the frames in order, a second apart. A frame that was not described
    ('Observe: nan') is left out.

    Raises:
        Rejected: there are no captions above the question, or their frames are not numbered from 0.
    """
    parts = _PARTS.fullmatch(prompt)
    marks = list(_FRAME.finditer(parts['told'])) if parts else []
    if parts is None or not marks:
        raise Rejected('there are no captions above the question')
    if [int(mark[1]) for mark in marks] != list(range(len(marks))):
        raise Rejected('the frames of the captions are not numbered from 0')
    ends = [mark.start() for mark in marks[1:]] + [len(parts['told'])]
    observations = []
    for index, (mark, end) in enumerate(zip(marks, ends)):
        told = _TOLD.fullmatch(parts['told'][mark.end() : end])
        if told is None:
            raise Rejected('a frame of the captions has no Observe')
        words = ' '.join(told['text'].split())
        if words.casefold() in _FAILED:
            continue
        action = told['action'] or ''
        action = '' if action.casefold() in _FAILED else normalise_action(action) or action
        observations.append(from_words(0, index, index * FRAME_NS, action, words))
    if not observations:
        raise Rejected('no frame of the captions was described')
    return observations, parts['question']
