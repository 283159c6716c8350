"""Put samples before a reasoner, in the robot's own code, and report how many it gets right.

python -m training.evaluate --samples out/world.jsonl --json
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.lm import LanguageModel, OnText, drive
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.models import PROMPT_FORMATS, REASONERS, ReasonerModel, purposes, served
from embodied_r_ros.core.reasoning import ReasoningSettings
from embodied_r_ros.core.records import Answer, Completion, Generation, Question
from embodied_r_ros.evaluation.progress import progress
from embodied_r_ros.evaluation.samples import Sample, read_samples, to_observations
from embodied_r_ros.evaluation.scoring import counts, paired, score, summary
from training.admission import admit
from training.judge import Case, InProcessJudge, Judge
from training.prompts import ask_sample
from training.question_only_baseline import LEAST_CROSS_FITTED, question_only_right
from training.trials import trials

TRIALS = 400


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = run(options)
    except EmbodiedRError as error:
        print(f'training.evaluate: {error}', file=sys.stderr)
        return 2
    print(json.dumps(report) if options.json else table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m training.evaluate', description='Evaluate a reasoner on samples.')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='This file holds one JSON object per line.')
    parser.add_argument('--split', help='The command takes only samples of this split: train, validation or test.')
    parser.add_argument('--fold', metavar='I/K', help='Only scenes of fold I of K are taken, which training left out.')
    parser.add_argument('--against', default='', help='The reasoner in this folder is compared with the first.')
    add_reasoner_options(parser)
    most = 'A thought and its answer have at most so many tokens (default: %(default)s).'
    parser.add_argument('--max-tokens', type=int, default=ReasoningSettings().max_tokens, metavar='N', help=most)
    parser.add_argument('--judge', type=pathlib.Path, help='The model in this folder judges consistency, if admitted.')
    parser.add_argument('--answers', type=pathlib.Path, help='Every answer is written with its thinking to this file.')
    parser.add_argument('--json', action='store_true', help='The command prints one JSON line in place of a table.')
    return parser


def add_reasoner_options(parser: argparse.ArgumentParser) -> None:
    """Declare what names a reasoner."""
    parser.add_argument('--model', default='', help='The reasoner is in this folder (default: that of the model pair).')
    parser.add_argument('--models', default='embedded', help='The reasoner is of this pair (default %(default)s).')
    backend = f'This backend thinks (default: as in the pair). {purposes(REASONERS)}'
    parser.add_argument('--reasoner', default='', choices=REASONERS, help=backend)
    parser.add_argument(
        '--format', default='', choices=PROMPT_FORMATS, help='The reasoner reads this format (default: as it needs it).'
    )
    parser.add_argument('--lm-url', default='', help='The reasoner is on this server, where --model is its id.')


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do what the command line asks for.

    Raises:
        InputError: there is no sample, or a file of them cannot be read.
        SettingsError: a model cannot be used.
    """
    samples = read_samples(options.samples, split=options.split, fold=options.fold)
    if not samples:
        raise InputError(f'{options.samples} holds no sample that is asked for; prepare some, or ask for another split')
    replies = _replies(options, options.model, samples)
    if options.answers:
        options.answers.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(_entry(sample, reply.answer)) + '\n' for sample, reply in zip(samples, replies))
        options.answers.write_text(''.join(lines), encoding='utf-8')
    report = summarise(samples, replies)
    if options.judge:
        judge = InProcessJudge.load(options.judge)
        prompts = backends.prompt_format(reasoner_model(options, options.model))
        report |= judged(samples, replies, prompts, judge)
    if options.against:
        report['against'] = compare(samples, replies, _replies(options, options.against, samples))
    return report


def _replies(options: argparse.Namespace, model: str, samples: Sequence[Sample]) -> list[Reply]:
    pair = reasoner_model(options, model)
    settings = ReasoningSettings(max_tokens=options.max_tokens)
    work = answer_all(samples, backends.reasoner(pair), backends.prompt_format(pair), concurrency_of(pair), settings)
    return asyncio.run(work)


def reasoner_model(options: argparse.Namespace, model: str) -> ReasonerModel:
    """The reasoner that the command line names: of a model pair, with what is given over it."""
    on_server = options.reasoner in served(REASONERS) or bool(options.lm_url)
    return backends.reasoner_model(
        backends.ReasonerBackend(
            models=options.models,
            backend=options.reasoner,
            url=options.lm_url,
            model=model if on_server else '',
            folder='' if on_server else model,
            prompt_format=options.format,
        )
    )


def concurrency_of(model: ReasonerModel) -> int:
    """How many requests are to be under way: as the server's settings say, or for a backend in the process its row."""
    row = REASONERS[model.backend]
    return model.server.max_concurrent_requests if 'server' in row.takes else row.at_once


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a sample: the robot's answer, and the model's reply that it was read from, where there was one."""

    answer: Answer
    completion: Completion | None = None


class _Heard:
    """A LanguageModel for one sample: it keeps the last reply of the one that does the thinking."""

    def __init__(self, model: LanguageModel) -> None:
        self.name, self._model = model.name, model
        self.last: Completion | None = None

    async def probe(self) -> None:
        await self._model.probe()

    async def ping(self) -> None:
        await self._model.ping()

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        self.last = await self._model.generate(request, on_text)
        return self.last

    async def aclose(self) -> None:
        await self._model.aclose()


async def answer_all(
    samples: Sequence[Sample],
    model: LanguageModel,
    prompt_format: PromptFormat,
    concurrency: int = 1,
    settings: ReasoningSettings | None = None,
) -> list[Reply]:
    """An answer to each sample, in their order, so many of them under way side by side.

    Where the reasoner declines or its reply is unreadable, the answer carries the code.
    """
    free, settings = asyncio.Semaphore(concurrency), settings or ReasoningSettings()

    async def reply(sample: Sample) -> Reply:
        question = Question(text=sample['question'], choices=tuple(sample['choices']))
        heard = _Heard(model)
        async with free:  # time-out and timings run from here on
            seen = to_observations(sample)
            steps = reasoning.answer(question, seen, prompt_format, settings, model.name, may_force=False)
            try:
                answer = await drive(steps, heard)
            except EmbodiedRError as error:
                answer = reasoning.failure(error)
        step()
        return Reply(answer=answer, completion=heard.last)

    try:
        await model.probe()
        with progress('questions', len(samples)) as step:
            return list(await asyncio.gather(*map(reply, samples)))
    finally:
        await model.aclose()


def summarise(samples: Sequence[Sample], replies: Sequence[Reply]) -> dict[str, Any]:
    """Accuracy with its 95 % interval, beside chance and the question-only baseline, in all and per task.

    The baseline is None where there are too few questions to fit it on.
    """
    fitted = question_only_right(samples) if len(samples) >= LEAST_CROSS_FITTED else None
    found = summary(samples, _scores(samples, replies), {'question_only': fitted})
    lengths = [reply.completion.tokens for reply in replies if reply.completion and reply.completion.tokens]
    return {
        **found,
        'consistency': None,
        'tokens': round(float(np.mean(lengths)), 1) if lengths else None,
        'codes': counts([reply.answer.error_code.name for reply in replies]),
    }


def compare(samples: Sequence[Sample], replies: Sequence[Reply], others: Sequence[Reply]) -> dict[str, Any]:
    """The first model's accuracy less the second's, question by question, with the interval over scenes."""
    return paired(samples, _scores(samples, replies), _scores(samples, others))


def judged(
    samples: Sequence[Sample], replies: Sequence[Reply], prompt_format: PromptFormat, judge: Judge
) -> dict[str, Any]:
    """The share of the answers that a judge comes to from their thinking alone (paper, RQ6), if the judge is admitted.

    An answer that the judge failed on is left out of the share.
    """
    admission = admit(judge, trials(TRIALS, compact=isinstance(prompt_format, CompactFormat)))
    found: dict[str, Any] = {'judge': str(admission), 'consistency': None}
    if not admission.admitted:
        return found
    cases, choices = [], []
    for sample, reply in zip(samples, replies):
        if reply.completion is not None and reply.answer.choice >= 0:
            prompt = ask_sample(sample, prompt_format)
            thought = prompt.read(reply.completion)
            thinking, options = thought.raw_thinking or thought.thinking, tuple(sample['choices'])
            cases.append(Case(question=sample['question'], choices=options, thinking=thinking, asked=prompt))
            choices.append(reply.answer.choice)
    told = [(choice, said) for choice, said in zip(choices, judge.judge(cases)) if said is not None]
    if told:
        found['consistency'] = round(sum(choice == said for choice, said in told) / len(told), 4)
    return found


def _scores(samples: Sequence[Sample], replies: Sequence[Reply]) -> NDArray[np.float64]:
    return np.array([score(sample, reply.answer) for sample, reply in zip(samples, replies)])


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f'{"task":22} {"n":>5} {"right":>6}  {"95 % interval":15} {"chance":>6} {"question only":>13}']
    macro = {**report, 'accuracy': report['macro'], 'interval': report['macro_interval']}
    rows = [*report['per_task'].items(), ('mean of tasks', macro), ('all', report)]
    for name, entry in rows:
        low, high = entry['interval']
        lines.append(
            f'{name:22} {entry["questions"]:5} {entry["accuracy"]:6.1%}  [{low:6.1%}, {high:6.1%}] '
            f'{entry["chance"]:6.1%} {percent(entry["question_only"]):>13}'
        )
    lines.append('codes: ' + ', '.join(f'{code} {count}' for code, count in report['codes'].items()))
    if report['tokens'] is not None:
        lines.append(f'length: {report["tokens"]:.0f} tokens a reply')
    if 'judge' in report:
        share = report['consistency']
        told = 'no figure' if share is None else f'{share:.1%} of the answers follow from their thinking alone'
        lines.append(f'consistency: {told}; {report["judge"]}')
    if 'against' in report:
        other = report['against']
        low, high = other['interval']
        lines.append(
            f'against {other["accuracy"]:.1%}: {other["difference"]:+.1%} [{low:+.1%}, {high:+.1%}]; '
            f'better on {other["better"]}, worse on {other["worse"]}'
        )
    return '\n'.join(lines)


def percent(share: float | None) -> str:
    """A share for people; '-' where there is none."""
    return '-' if share is None else f'{share:.1%}'


def _entry(sample: Sample, answer: Answer) -> dict[str, Any]:
    entry = dataclasses.asdict(answer) | {'error_code': answer.error_code.name}
    return {
        'id': sample['id'],
        'scene': sample['scene'],
        'category': sample['category'],
        'question': sample['question'],
        'truth': sample['answer'],
        'score': score(sample, answer),
        **entry,
    }


if __name__ == '__main__':
    sys.exit(main())
