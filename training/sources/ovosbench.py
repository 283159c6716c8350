"""OVO-S-Bench: spatial questions asked in the middle of first-person videos, where only what came before may be used.

As in the benchmark's own loader a row that is asked at several times is so many questions, each with its own answer;
the last answer stands for those that have none. Each question carries when the video shows what its answer rests on
(`evidence_s`), which `evaluate` holds against the cited key frames.
"""

from __future__ import annotations

import argparse
import math
import string
from collections.abc import Mapping
from typing import Any

from training.sources import intake
from training.sources.intake import Draft, Rejected, text
from training.sources.tables import Row, read_rows

COLUMNS = (
    'id', 'source_dataset', 'video_id', 'video_path', 'level', 'task_subcategory', 'task_type_name', 'question',
    'options', 'query_times', 'evidence_times', 'answers',
)  # fmt: skip
LEVELS = {1: 'egocentric perception', 2: 'tracking in time', 3: 'simulation and reasoning', 4: 'allocentric mapping'}
CORRECTED = 're_constructed'


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('ovosbench', help='Read OVO-S-Bench: questions asked while a video runs.')
    intake.add_options(parser, 'ovo_s_bench.parquet or its level_N.json files', 'folder that video_path counts from')
    parser.add_argument(
        '--levels', type=int, nargs='+', choices=LEVELS, default=list(LEVELS), metavar='N', help='Keep these levels.'
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    held = [row for row in read_rows(options.questions, COLUMNS) if str(row['level']) in map(str, options.levels)]
    rows = [query for row in held for query in queries(row)]
    return intake.take_in(rows, lambda row: read(row, options), options, category_of)


def category_of(row: Row) -> str:
    """Number and name of the task, as the figures of the benchmark are told by."""
    return f'{row["task_subcategory"]} {row["task_type_name"]}'.casefold()


def queries(row: Row) -> list[Row]:
    """A row for each time at which a row is asked, with the one answer that is right then.

    Question, options and answers are those of `re_constructed`, where the row holds such corrections.
    """
    corrected = row.get(CORRECTED)
    if isinstance(corrected, Mapping):
        row = {**row, **{name: value for name, value in corrected.items() if value and name in COLUMNS}}
    times, answers = row['query_times'], row['answers']
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(times, list) or not isinstance(answers, list) or not times or not answers:
        return [row]
    right = [answers[min(number, len(answers) - 1)] for number in range(len(times))]
    return [
        {**row, 'id': f'{row["id"]}_q{number}', 'query_times': [time], 'answers': [answer]}
        for number, (time, answer) in enumerate(zip(times, right))
    ]


def read(row: Row, options: argparse.Namespace) -> Draft:
    """A draft of a row that is asked once.

    Raises:
        Rejected: it makes no sample.
    """
    labels, choices = _choices(row['options'])
    if not isinstance(row['answers'], list) or not row['answers']:
        raise Rejected('there is no answer')
    answer = str(row['answers'][0]).strip().upper()
    if answer not in labels:
        raise Rejected('the answer is none of the choices')
    times = row['query_times']
    if not isinstance(times, list) or not times or not _is_second(times[0]):
        raise Rejected('there is no query time')
    held = intake.media(text(row, 'video_path'), options.media)
    held['media'] = {**held['media'], 'end_s': float(times[0])}
    return intake.draft(
        name=str(row['id']),
        source='ovosbench',
        scene=f'{text(row, "source_dataset")}/{text(row, "video_id")}',
        category=category_of(row),
        question=text(row, 'question'),
        choices=choices,
        answer=string.ascii_uppercase[labels.index(answer)],
        held={**held, 'evidence_s': _intervals(row['evidence_times'])},
    )


def _choices(options: Any) -> tuple[list[str], list[str]]:
    """Labels and contents of options: pairs, objects with key and value, or one object.

    Raises:
        Rejected: they are no such list, or pictures.
    """
    pairs = list(options.items()) if isinstance(options, Mapping) else options
    if not isinstance(pairs, list):
        raise Rejected('the options are no list')
    pairs = [(pair['key'], pair['value']) if _is_entry(pair) else pair for pair in pairs]
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[1], str) for pair in pairs):
        raise Rejected('an option is no text with its label')
    if any(content.lower().startswith('data:image/') for _, content in pairs):
        raise Rejected('a choice is a picture')
    if len(pairs) > len(string.ascii_uppercase):
        raise Rejected('a choice is empty, or there are more than 26')
    return [str(label).strip().upper() for label, _ in pairs], [content for _, content in pairs]


def _is_entry(pair: Any) -> bool:
    return isinstance(pair, Mapping) and set(pair) == {'key', 'value'}


def _intervals(spans: Any) -> list[list[float]]:
    """The intervals that are intervals: evidence is for the figures, and no reason to leave a question out."""
    found = spans if isinstance(spans, list) else []
    return [
        [float(span[0]), float(span[1])]
        for span in found
        if isinstance(span, list) and len(span) == 2 and all(map(_is_second, span)) and span[0] <= span[1]
    ]


def _is_second(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value < math.inf
