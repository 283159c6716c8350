"""The table of training arms that were run with several seeds each, compared question by question with one of them.

python -m training.arms out/rl_arms --arms grpo sft --against sft --seeds 0 1 2 --sets short id

The folder holds, for each arm, seed and set, the answers and the report of `training.evaluate`, ARM-SEED.SET.jsonl
(`--answers`) and ARM-SEED.SET.json (`--json`), and for each arm and seed the CPU seconds of its training, ARM-SEED.cpu.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.evaluation.intervals import Names, Scores, difference_interval


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.arms', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('folder', type=pathlib.Path, help='Read what came of the arms from this folder.')
    parser.add_argument('--arms', nargs='+', required=True, help='Show these arms, one row each.')
    parser.add_argument('--against', required=True, help='Compare the arms with this one.')
    parser.add_argument('--seeds', nargs='+', required=True, help='The arms were run with these seeds.')
    parser.add_argument('--sets', nargs='+', required=True, help='The arms were evaluated on these sets of questions.')
    options = parser.parse_args(arguments)
    try:
        print('\n\n'.join(table(options, name) for name in options.sets))
    except EmbodiedRError as error:
        print(f'training.arms: {error}', file=sys.stderr)
        return 2
    return 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of an arm on a set of questions.

    Attributes:
        scores: the mean over seeds of each question's score, (N,), in the order of `ids`.
        ids: of the questions, (N,).
        scenes: that each question is about, (N,).
        accuracies: of each seed.
        consistencies: of each seed; None without an admitted judge.
        cpu_s: of the training with each seed.
    """

    scores: Scores
    ids: Names
    scenes: Names
    accuracies: list[float]
    consistencies: list[float | None]
    cpu_s: list[float]


def table(options: argparse.Namespace, questions: str) -> str:
    """The rows of a set of questions, in Markdown."""
    base = outcome(options.folder, options.against, options.seeds, questions)
    count, scenes = len(base.ids), len(set(base.scenes))
    lines = [
        f'{questions}: {count} questions about {scenes} scenes, seeds {", ".join(options.seeds)}',
        '',
        f'| arm | CPU s | accuracy | mean | consistency | against {options.against} |',
        '|---|---|---|---|---|---|',
    ]
    for arm in options.arms:
        found = outcome(options.folder, arm, options.seeds, questions)
        if not np.array_equal(found.ids, base.ids):
            raise InputError(
                f'the same questions were wanted of {arm!r} and {options.against!r}, those of {questions!r} differ; '
                'evaluate both on one file'
            )
        against = '' if arm == options.against else _points(found.scores - base.scores, base.scenes)
        cells = [
            ', '.join(f'{seconds:.0f}' for seconds in found.cpu_s),
            ', '.join(f'{accuracy:.1%}' for accuracy in found.accuracies),
            f'{found.scores.mean():.2%}',
            ', '.join('none' if share is None else f'{share:.1%}' for share in found.consistencies),
            against,
        ]
        lines.append(f'| {arm} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def _points(differences: Scores, scenes: Names) -> str:
    low, high = difference_interval(differences, scenes)
    return f'{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})'


def outcome(folder: pathlib.Path, arm: str, seeds: Sequence[str], questions: str) -> Outcome:
    """What came of an arm on a set of questions.

    Raises:
        InputError: a file lacks, or the seeds were asked different questions.
    """
    reports = [json.loads(_read(folder / f'{arm}-{seed}.{questions}.json')) for seed in seeds]
    answers = [_answers(folder / f'{arm}-{seed}.{questions}.jsonl') for seed in seeds]
    ids, scenes = (np.array([entry[name] for entry in answers[0]]) for name in ('id', 'scene'))
    for seed, others in zip(seeds, answers):
        if [entry['id'] for entry in others] != ids.tolist():
            raise InputError(
                f'the same questions were wanted of all seeds of {arm!r}, in {questions!r} seed {seed} has others; '
                'evaluate all on one file'
            )
    scores: NDArray[np.float64] = np.array([[entry['score'] for entry in each] for each in answers], np.float64)
    return Outcome(
        scores.mean(axis=0),
        ids,
        scenes,
        [float(each.mean()) for each in scores],
        [report['consistency'] for report in reports],
        [sum(map(float, _read(folder / f'{arm}-{seed}.cpu').split())) for seed in seeds],
    )


def _answers(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _read(path).splitlines()]


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise InputError(f'{str(path)!r} was wanted and cannot be read: {error.strerror}; run the arm first') from error


if __name__ == '__main__':
    sys.exit(main())
