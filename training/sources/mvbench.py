"""MVBench, egocentric navigation: the next action of an agent that follows an instruction."""

from __future__ import annotations

import argparse
import pathlib
import string

from training.sources import intake
from training.sources.intake import Draft, Rejected, text
from training.sources.tables import Row, read_rows

COLUMNS = ('video', 'question', 'candidates', 'answer')
CATEGORY = 'egocentric navigation'


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('mvbench', help='Read MVBench: egocentric navigation.')
    intake.add_options(parser, 'egocentric_navigation.json', 'folder of its videos (vlnqa)')
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    rows = [{**row, 'number': number} for number, row in enumerate(read_rows(options.questions, COLUMNS))]
    return intake.take_in(rows, lambda row: read(row, options), options, lambda row: CATEGORY)


def read(row: Row, options: argparse.Namespace) -> Draft:
    """A draft of a row; the data set has no ids, so its place in the file is its id.

    Raises:
        Rejected: it makes no sample.
    """
    choices, answer, video = row['candidates'], text(row, 'answer'), text(row, 'video')
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise Rejected('the candidates are no list of texts')
    return intake.draft(
        name=str(row['number']),
        source='mvbench',
        scene=pathlib.PurePath(video).stem,
        category=CATEGORY,
        question=text(row, 'question'),
        choices=choices,
        answer=string.ascii_uppercase[choices.index(answer)] if answer in choices else answer,
        held=intake.media(video, options.media),
    )
