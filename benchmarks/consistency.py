"""What judging consistency costs: in this process, against a model server asked about one completion at a time.

The embedded reasoner answers 32 simulated questions eight times each at temperature 1, as in training; it then judges
the thoughts behind its right answers, in process and on a vLLM server that serves the same weights:

    vllm serve data/reasoner --tokenizer data/reasoner/tokenizer --dtype float32
    EMBODIED_R_TEST_EMBEDDED_URL=http://127.0.0.1:8000 python -m benchmarks.consistency [--model DIR]

The figure `consistency` is the throughput in process, in bfloat16 (`ours`), and over HTTP (`baseline`), in turns on a
machine that should have nothing else to do. Beside it stand the throughput in process in float32 and over HTTP with
many requests under way, the share of judgements on which both agree, and whether the model is good enough a judge for
its judgements to mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.__main__ import SKIPPED
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.formats import Prompt
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import Completion, Generation, Question
from embodied_r_ros.evaluation.samples import read_samples, to_observations
from embodied_r_ros.share import share_path
from training.admission import admit
from training.judge import Case, HttpJudge, InProcessJudge
from training.prepare import main as prepare
from training.rewards import cases_to_judge
from training.trials import trials

URL = os.environ.get('EMBODIED_R_TEST_EMBEDDED_URL', '')
QUESTIONS, GROUP, SEED = 32, 8, 9
MAX_TOKENS = 700
TRIALS, ROUNDS = 200, 5
CONCURRENCY = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.consistency', description='Throughput of judging.')
    parser.add_argument('--model', type=pathlib.Path, help='folder of the model served (default: the embedded one)')
    options = parser.parse_args(arguments)
    if not URL:
        print('EMBODIED_R_TEST_EMBEDDED_URL names no server of the embedded reasoner')
        return SKIPPED
    logging.getLogger('httpx').setLevel(logging.WARNING)
    settings = ServerSettings(url=URL, max_concurrent_requests=CONCURRENCY, timeout_s=600.0)
    file = pathlib.Path('out/consistency.jsonl')
    status = prepare(['world', '--questions', str(QUESTIONS), '--seed', str(SEED), '--out', str(file)])
    if status:
        return status
    cases = _cases(file, settings)
    folder = options.model or share_path(pathlib.Path('data/reasoner'))
    here, exact = InProcessJudge.load(folder, dtype='bfloat16'), InProcessJudge.load(folder)
    there = HttpJudge(settings)
    try:
        ways: dict[str, Callable[[], list[int | None]]] = {
            'here': lambda: here.judge(cases),
            'exact': lambda: exact.judge(cases),
            'one': lambda: [there.judge([case])[0] for case in cases],
            'many': lambda: there.judge(cases),
        }
        told = {name: judge() for name, judge in ways.items()}
        rates = [{name: len(cases) / _seconds(judge) for name, judge in ways.items()} for _ in range(ROUNDS)]
        admission = admit(exact, trials(TRIALS, SEED))
    finally:
        there.close()
    middle = {name: statistics.median(rate[name] for rate in rates) for name in ways}
    ratios = sorted(rate['here'] / rate['one'] for rate in rates)
    figure = {
        'ours': round(middle['here'], 1),
        'baseline': round(middle['one'], 1),
        'ratio': round(statistics.median(ratios), 1),
        'unit': 'completions judged per second',
        'spread': [round(ratios[0], 1), round(ratios[-1], 1)],
        'in_float32': round(middle['exact'], 1),
        'http_concurrent': round(middle['many'], 1),
        'completions': len(cases),
        'different': len(set(cases)),
        'agreement': _agreement(told['here'], told['one']),
        'agreement_in_float32': _agreement(told['exact'], told['one']),
        'judge_true': round(admission.true, 4),
        'judge_swapped': round(admission.swapped, 4),
        'judge_admitted': admission.admitted,
    }
    print(json.dumps({'consistency': figure}))
    return 0


def _cases(file: pathlib.Path, settings: ServerSettings) -> list[Case]:
    """The thoughts to judge: those behind right answers, of `GROUP` completions of each question."""
    samples = read_samples(file)
    prompts = [
        CompactFormat().ask(Question(text=s['question'], choices=tuple(s['choices'])), to_observations(s))
        for s in samples
    ]
    group = [(sample, prompt) for sample, prompt in zip(samples, prompts) for _ in range(GROUP)]
    completions = asyncio.run(_complete([prompt for _, prompt in group], settings))
    question, choices, answer = ([sample[name] for sample, _ in group] for name in ('question', 'choices', 'answer'))
    asked = [prompt for _, prompt in group]
    return list(cases_to_judge([reply.text for reply in completions], question, choices, answer, asked).values())


async def _complete(asked: Sequence[Prompt], settings: ServerSettings) -> list[Completion]:
    """The served model's replies at temperature 1, many under way at once."""
    model = OpenAILanguageModel(settings)
    requests = [
        Generation(messages=prompt.messages, temperature=1.0, seed=seed, max_tokens=MAX_TOKENS, stop=prompt.stop)
        for seed, prompt in enumerate(asked)
    ]
    try:
        await model.probe()
        return await asyncio.gather(*map(model.generate, requests))
    finally:
        await model.aclose()


def _agreement(one: Sequence[int | None], other: Sequence[int | None]) -> float:
    return round(sum(a == b for a, b in zip(one, other)) / len(one), 4)


def _seconds(judge: Callable[[], list[int | None]]) -> float:
    begun = time.perf_counter()
    judge()
    return time.perf_counter() - begun


if __name__ == '__main__':
    raise SystemExit(main())
