"""Put samples before the reasoner, in the robot's own code, and report how many it gets right.

python -m training.evaluate --samples out/world.jsonl --json
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.lm import LanguageModel, drive
from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.reasoning import ReasoningSettings
from embodied_r_ros.core.records import Answer, Question
from embodied_r_ros.share import share_path
from training.blind import blind_right
from training.samples import Sample, read_samples, to_observations

RESAMPLES = 2000


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.evaluate', description='Evaluate the reasoner on samples.'
    )
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='file of samples, one JSON object per line')
    parser.add_argument(
        '--model', type=pathlib.Path, default=None, help='folder of the reasoner (default: the embedded one)'
    )
    parser.add_argument(
        '--consistency', action='store_true', help='ask each answered question again with the thinking alone'
    )
    parser.add_argument('--answers', type=pathlib.Path, default=None, help='file for every answer with its thinking')
    parser.add_argument('--json', action='store_true', help='print one JSON line in place of a table')
    options = parser.parse_args(arguments)
    try:
        samples = read_samples(options.samples)
        if not samples:
            raise InputError(f'{options.samples} holds no sample; there is nothing to evaluate')
        model = NumpyLanguageModel(options.model or share_path(pathlib.Path('data/reasoner')))
        answers = asyncio.run(answer_all(samples, model, CompactFormat(), options.consistency))
    except EmbodiedRError as error:
        print(f'training.evaluate: {error}', file=sys.stderr)
        return 2
    if options.answers:
        options.answers.parent.mkdir(parents=True, exist_ok=True)
        options.answers.write_text(''.join(json.dumps(_entry(s, a)) + '\n' for s, a in zip(samples, answers)))
    report = summarise(samples, answers)
    print(json.dumps(report) if options.json else table(report))
    return 0


async def answer_all(
    samples: Sequence[Sample], model: LanguageModel, prompt_format: PromptFormat, consistency: bool = False
) -> list[Answer]:
    """An answer to each sample; where the reasoner declines or its reply is unreadable, the answer carries the code."""
    answers = []
    settings = ReasoningSettings()
    try:
        for sample in samples:
            question = Question(
                text=sample['question'], choices=tuple(sample['choices']), check_consistency=consistency
            )
            observations = to_observations(sample)
            try:
                answers.append(
                    await drive(reasoning.answer(question, observations, prompt_format, settings, model.name), model)
                )
            except EmbodiedRError as error:
                answers.append(reasoning.failure(error))
    finally:
        await model.aclose()
    return answers


def is_right(sample: Sample, answer: Answer) -> bool:
    """Whether the choice made is the sample's answer."""
    return answer.choice == ord(sample['answer']) - ord('A')


def summarise(samples: Sequence[Sample], answers: Sequence[Answer]) -> dict[str, Any]:
    """Accuracy with its 95 % interval, beside chance and a reader of the questions alone, in all and per task."""
    right = np.array([is_right(s, a) for s, a in zip(samples, answers)])
    blind = blind_right(samples)
    chance = np.array([1.0 / len(sample['choices']) for sample in samples])
    scenes = np.array([sample['scene'] for sample in samples])
    tasks = np.array([sample['category'] for sample in samples])
    per_task = {}
    for task in dict.fromkeys(tasks.tolist()):
        of = tasks == task
        per_task[task] = {
            'questions': int(of.sum()),
            'accuracy': _share(right[of]),
            'interval': interval(right[of], scenes[of]),
            'chance': _share(chance[of]),
            'blind': _share(blind[of]),
        }
    checked = [answer.consistency for answer in answers if not math.isnan(answer.consistency)]
    codes = {
        code.name: count
        for code in {a.error_code for a in answers}
        if (count := sum(a.error_code == code for a in answers))
    }
    return {
        'questions': len(samples),
        'scenes': len(set(scenes.tolist())),
        'accuracy': _share(right),
        'interval': interval(right, scenes),
        'macro': round(float(np.mean([entry['accuracy'] for entry in per_task.values()])), 4),
        'chance': _share(chance),
        'blind': _share(blind),
        'consistency': round(float(np.mean(checked)), 4) if checked else None,
        'codes': codes,
        'per_task': per_task,
    }


def interval(right: NDArray[np.bool_], scenes: NDArray[np.str_]) -> list[float]:
    """The 95 % interval of the share right, by resampling whole scenes."""
    _, groups = np.unique(scenes, return_inverse=True)
    hits, sizes = np.bincount(groups, weights=right), np.bincount(groups)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(sizes), (RESAMPLES, len(sizes)))
    shares = hits[drawn].sum(1) / sizes[drawn].sum(1)
    return [round(float(edge), 4) for edge in np.percentile(shares, [2.5, 97.5])]


def _share(values: NDArray[Any]) -> float:
    return round(float(np.mean(values)), 4)


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f'{"task":22} {"n":>5} {"right":>6}  {"95 % interval":15} {"chance":>6} {"blind":>6}']
    rows = [*report['per_task'].items(), ('all', report)]
    for name, entry in rows:
        low, high = entry['interval']
        lines.append(
            f'{name:22} {entry["questions"]:5} {entry["accuracy"]:6.1%}  [{low:6.1%}, {high:6.1%}] '
            f'{entry["chance"]:6.1%} {entry["blind"]:6.1%}'
        )
    lines.append('codes: ' + ', '.join(f'{code} {count}' for code, count in report['codes'].items()))
    if report['consistency'] is not None:
        lines.append(f'consistency: {report["consistency"]:.1%} of the answers follow from their thinking alone')
    return '\n'.join(lines)


def _entry(sample: Sample, answer: Answer) -> dict[str, Any]:
    entry = dataclasses.asdict(answer) | {'error_code': answer.error_code.name}
    return {
        'id': sample['id'],
        'category': sample['category'],
        'question': sample['question'],
        'truth': sample['answer'],
        'right': is_right(sample, answer),
        **entry,
    }


if __name__ == '__main__':
    sys.exit(main())
