"""VSI-Bench: questions about walks through rooms, with choices or for a number (paper, section 7.3).

The debiased variant leaves out what a text-only model answers: it is the file test_debiased.parquet, or all questions
but those that pruned_ids.txt lists. The benchmark's own total weighs the three levels of direction alike; here they are
one task by the number of questions.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import string

from embodied_r_ros.core.errors import InputError
from training.sources import intake
from training.sources.intake import Draft, Rejected, text
from training.sources.tables import Row, read_rows

COLUMNS = ('id', 'dataset', 'scene_name', 'question_type', 'question', 'ground_truth', 'options')
CATEGORIES = {
    'object_rel_distance': 'relative distance',
    'object_rel_direction_easy': 'relative direction',
    'object_rel_direction_medium': 'relative direction',
    'object_rel_direction_hard': 'relative direction',
    'route_planning': 'route planning',
    'obj_appearance_order': 'appearance order',
    'object_abs_distance': 'absolute distance',
    'object_counting': 'object count',
    'object_size_estimation': 'object size',
    'room_size_estimation': 'room size',
}

_LETTER = re.compile(r'\s*([A-Z])\s*[.):]\s*')


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('vsibench', help='Read VSI-Bench: walks through rooms, with choices and numbers.')
    intake.add_options(parser, 'test.jsonl or the Parquet files', 'folder of its videos, <dataset>/<scene>.mp4')
    intake.add_categories(parser, list(dict.fromkeys(CATEGORIES.values())))
    parser.add_argument(
        '--pruned', type=pathlib.Path, metavar='F', help='Leave out the ids in pruned_ids.txt, which debiases the rest.'
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    rows = read_rows(options.questions, COLUMNS)
    pruned = read_ids(options.pruned, rows) if options.pruned else frozenset()
    return intake.take_in(rows, lambda row: read(row, options, pruned), options, category_of, options.categories)


def category_of(row: Row) -> str:
    """The task in words; the three levels of direction are one task, as in the paper."""
    return CATEGORIES.get(str(row['question_type']), str(row['question_type']))


def read(row: Row, options: argparse.Namespace, pruned: frozenset[str] = frozenset()) -> Draft:
    """A draft of a row.

    Raises:
        Rejected: it makes no sample, or is pruned.
    """
    if str(row['id']) in pruned:
        raise Rejected('it is pruned: text alone answers it')
    dataset, scene = text(row, 'dataset'), text(row, 'scene_name')
    return intake.draft(
        name=str(row['id']),
        source='vsibench',
        scene=scene,
        category=category_of(row),
        question=text(row, 'question'),
        choices=unlettered(row['options'] or []),
        answer=str(row['ground_truth']).strip(),
        held=intake.media(f'{dataset}/{scene}.mp4', options.media),
    )


def unlettered(options: list[str]) -> list[str]:
    """The options without their letters ('A. lamp'), where all have theirs.

    Raises:
        Rejected: they are no texts.
    """
    if not all(isinstance(option, str) for option in options):
        raise Rejected('an option is no text')
    marks = [_LETTER.match(option) for option in options]
    if [mark[1] if mark else '' for mark in marks] != list(string.ascii_uppercase[: len(options)]):
        return options
    return [option[mark.end() :] for option, mark in zip(options, marks) if mark]


def read_ids(path: pathlib.Path, rows: list[Row]) -> frozenset[str]:
    """The ids that a file lists, one per line.

    Raises:
        InputError: it cannot be read, or lists none of the rows' ids.
    """
    try:
        ids = frozenset(path.read_text(encoding='utf-8').split())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'pruned ids cannot be read from {str(path)!r}: {error}') from error
    if not ids & {str(row['id']) for row in rows}:
        raise InputError(f'{path} lists no id of the questions; pruned_ids.txt of the same release was wanted')
    return ids
