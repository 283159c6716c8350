"""EgoSchema: one question with five options about each three-minute clip; answers are public for 500 of them."""

from __future__ import annotations

import argparse
import pathlib
import string

from embodied_r_ros.core.errors import InputError
from training.sources import intake
from training.sources.intake import Draft, text
from training.sources.tables import Row, read_json, read_rows

OPTIONS = tuple(f'option {number}' for number in range(5))
COLUMNS = ('q_uid', 'question', *OPTIONS)
CATEGORY = 'egoschema'


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('egoschema', help='Read EgoSchema: what people do in three minutes of their day.')
    intake.add_options(parser, 'questions.json', 'folder of the clips, <q_uid>.mp4')
    told = 'Keep the questions of this file (default: subset_answers.json beside the questions).'
    parser.add_argument('--answers', type=pathlib.Path, metavar='F', help=told)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    rows = read_rows(options.questions, COLUMNS)
    answers = read_answers(options.answers or options.questions[0].with_name('subset_answers.json'))
    missing = set(answers) - {row['q_uid'] for row in rows}
    if missing:
        raise InputError(
            f'{len(missing)} of {len(answers)} answers belong to no question, as {min(missing)!r}; '
            'questions.json and subset_answers.json of one release were wanted'
        )
    return intake.take_in(
        rows,
        lambda row: read(row, answers, options),
        options,
        lambda row: CATEGORY if row['q_uid'] in answers else 'without a public answer',
        [CATEGORY],
    )


def read_answers(path: pathlib.Path) -> dict[str, int]:
    """The right option of each clip, from 0.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    answers = read_json(path)
    if not isinstance(answers, dict) or not all(isinstance(answer, int) for answer in answers.values()):
        raise InputError(f'{path} was wanted as an object from q_uid to the number of the option; it holds another')
    return answers


def read(row: Row, answers: dict[str, int], options: argparse.Namespace) -> Draft:
    """A draft of a row that has an answer.

    Raises:
        Rejected: it makes no sample.
    """
    clip, right = text(row, 'q_uid'), answers[row['q_uid']]
    return intake.draft(
        name=clip,
        source='egoschema',
        scene=clip,
        category=CATEGORY,
        question=text(row, 'question'),
        choices=[text(row, option) for option in OPTIONS],
        answer=string.ascii_uppercase[right] if 0 <= right < len(OPTIONS) else str(right),
        held=intake.media(f'{clip}.mp4', options.media),
    )
