"""From the rows of a data set to samples: each is kept, left out as asked, or rejected for a reason that is counted.

A source gives a function from a row to a sample, which raises `Rejected` where the row makes none.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import pathlib
import string
from collections.abc import Callable, Collection, Iterable, Sequence

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import Sample, is_number, split_counts, split_of, write_samples
from training.sources.tables import Row

NAMED_IDS = 3


class Rejected(InputError):
    """A row that makes no sample; the message is one of few, so that rows are counted by it."""


@dataclasses.dataclass(frozen=True)
class Draft:
    """A sample without its split, and what was mended about it (one of few remarks, '' for nothing)."""

    sample: Sample
    mended: str = ''


def add_options(parser: argparse.ArgumentParser, questions: str, videos: str = '') -> None:
    """Declare what all question files have in common.

    Args:
        parser: of the source's sub-command.
        questions, videos: how the files are named and laid out, for the help; '' where there is no video to name.
    """
    parser.add_argument(
        '--questions', type=pathlib.Path, nargs='+', required=True, metavar='F', help=f'Read {questions}.'
    )
    if videos:
        kept = 'reject questions whose video it lacks (default: name videos as the data set names them)'
        parser.add_argument('--media', type=pathlib.Path, metavar='DIR', help=f'Take the {videos}; {kept}.')
    parser.add_argument(
        '--seed', type=int, default=0, help='Seed the split of scenes with this number (default: %(default)s).'
    )
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the samples to this file of JSON lines.')


def add_categories(parser: argparse.ArgumentParser, known: Sequence[str], default: Sequence[str] = ('all',)) -> None:
    """Declare `--categories`, some of those known, or all."""
    how = f'Keep all, or some of {", ".join(known)} (default: {", ".join(default)}).'
    parser.add_argument(
        '--categories', nargs='+', type=str.casefold, choices=['all', *known], default=default, metavar='NAME', help=how
    )


def draft(
    *,
    name: str,
    source: str,
    scene: str,
    category: str,
    question: str,
    choices: Sequence[str],
    answer: str,
    held: Sample,
) -> Draft:
    """A sample from its parts; a choice given twice is kept once.

    Args:
        name: id within the source.
        source: which makes ids of different sources differ.
        scene: what is split as one.
        category: of the question.
        question: in words, without its choices.
        choices: none where a number is asked for.
        answer: a letter, or a number as text.
        held: `media` or `observations`.

    Raises:
        Rejected: it would be no sample.
    """
    question, choices = ' '.join(question.split()), [' '.join(choice.split()) for choice in choices]
    if not question:
        raise Rejected('there is no question in words')
    if not all(choices) or len(choices) > len(string.ascii_uppercase):
        raise Rejected('a choice is empty, or there are more than 26')
    if choices and answer not in list(string.ascii_uppercase[: len(choices)]):
        raise Rejected('the answer is none of the choices')
    if not choices and not is_number(answer):
        raise Rejected('the answer is no number, and there are no choices')
    unlike: dict[str, str] = {}
    for choice in choices:
        unlike.setdefault(choice.casefold(), choice)
    if len(unlike) == 1:
        raise Rejected('there is but one choice')
    mended = ''
    if len(unlike) < len(choices):
        meant = choices[string.ascii_uppercase.index(answer)].casefold()
        answer = string.ascii_uppercase[list(unlike).index(meant)]
        mended = 'a choice given twice was kept once'
    sample = {
        'id': f'{source}-{name}',
        'source': source,
        'scene': scene,
        'category': category,
        'question': question,
        'choices': list(unlike.values()),
        'answer': answer,
    }
    return Draft(sample | held, mended)


def media(name: str, folder: pathlib.Path | None) -> Sample:
    """The `media` of a sample: the whole of a video, checked to be there where its folder is known.

    Raises:
        Rejected: the video is not there.
    """
    path = pathlib.Path(name) if folder is None else folder / name
    if folder is not None and not path.is_file():
        raise Rejected('its video is missing')
    return {'media': {'path': str(path), 'start_s': 0.0, 'end_s': None}}


def text(row: Row, column: str) -> str:
    """The text in a column.

    Raises:
        Rejected: there is none.
    """
    if not isinstance(row[column], str) or not row[column].strip():
        raise Rejected(f'there is no text in {column}')
    return str(row[column])


def take_in(
    rows: Sequence[Row],
    read: Callable[[Row], Draft],
    options: argparse.Namespace,
    category_of: Callable[[Row], str],
    categories: Collection[str] = ('all',),
) -> int:
    """Read the rows, write the samples, print what became of every row; returns the exit status.

    Args:
        rows: of the question files.
        read: makes a draft of a row, or raises Rejected.
        options: `questions`, `media`, `seed` and `out`, as `add_options` declares them.
        category_of: in lower case; of any row, a malformed one too.
        categories: to keep; 'all' keeps all.

    Raises:
        InputError: there is no such folder of media, two samples have one id, or no row makes a sample.
    """
    folder = getattr(options, 'media', None)
    if folder is not None and not folder.is_dir():
        raise InputError(f'{folder} is no folder of videos; leave out --media to name them as the data set does')
    tally, samples = Tally(), []
    for row in counted(rows, 'rows'):
        category = category_of(row)
        if 'all' not in categories and category not in categories:
            tally.left_out[category] += 1
            continue
        try:
            made = read(row)
        except Rejected as error:
            tally.rejected[category, str(error)].append(str(next(iter(row.values()))))
            continue
        tally.kept[category] += 1
        if made.mended:
            tally.mended[made.mended].append(made.sample['id'])
        samples.append({**made.sample, 'split': split_of(made.sample['scene'], options.seed)})
    _check(samples, tally, options.questions)
    write_samples(options.out, samples)
    print(tally.table())
    scenes = len({sample['scene'] for sample in samples})
    print(f'{len(samples)} questions about {scenes} scenes in {options.out}: {split_counts(samples)}')
    return 0


def _check(samples: Sequence[Sample], tally: Tally, paths: Iterable[pathlib.Path]) -> None:
    files = ', '.join(map(str, paths))
    twice = [name for name, count in collections.Counter(s['id'] for s in samples).items() if count > 1]
    if twice:
        raise InputError(f'{files}: the id {twice[0]!r} is given to several questions; ids must differ')
    if not samples:
        reasons = '; '.join(tally.reasons()) or 'none is of a category that is kept'
        raise InputError(f'no sample is left of the rows of {files}: {reasons}')


class Tally:
    """What became of the rows.

    Attributes:
        kept, left_out: number of rows by category.
        rejected: first column of the rows by category and reason.
        mended: ids of the samples by what was mended about them.
    """

    def __init__(self) -> None:
        self.kept: collections.Counter[str] = collections.Counter()
        self.left_out: collections.Counter[str] = collections.Counter()
        self.rejected: collections.defaultdict[tuple[str, str], list[str]] = collections.defaultdict(list)
        self.mended: collections.defaultdict[str, list[str]] = collections.defaultdict(list)

    def reasons(self) -> list[str]:
        """Each category and reason with its count, and the first rows that it struck."""
        return [f'{category}, {reason}: {_some(names)}' for (category, reason), names in sorted(self.rejected.items())]

    def table(self) -> str:
        """Rows per category, then the reasons and what was mended."""
        struck: collections.Counter[str] = collections.Counter()
        for (category, _), rows in self.rejected.items():
            struck[category] += len(rows)
        names = sorted({*self.kept, *self.left_out, *struck})
        width = max(map(len, (*names, 'category')))
        columns = (self.kept, self.left_out, struck)
        lines = [f'{"category":{width}} {"kept":>6} {"left out":>8} {"rejected":>8}']
        for name in names:
            lines.append('{:{}} {:6} {:8} {:8}'.format(name, width, *(column[name] for column in columns)))
        lines.append('{:{}} {:6} {:8} {:8}'.format('all', width, *(sum(column.values()) for column in columns)))
        lines += [f'rejected: {reason}' for reason in self.reasons()]
        lines += [f'mended: {what}: {_some(names)}' for what, names in self.mended.items()]
        return '\n'.join(lines)


def _some(names: Sequence[str]) -> str:
    rest = ', ...' if len(names) > NAMED_IDS else ''
    return f'{len(names)} ({", ".join(names[:NAMED_IDS])}{rest})'
