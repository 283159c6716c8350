"""Keep the questions on which sampled answers differ: a group that is all right or all wrong teaches GRPO nothing.

python -m training.select_hard --model out/sft --samples out/world.jsonl --split train --out out/hard.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import sys
from collections.abc import Sequence

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.records import Completion, Generation
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from training.evaluate import add_reasoner_options, concurrency_of, reasoner_model
from training.prompts import ask_sample
from training.rewards import accuracy_reward


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.select_hard', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Read observed samples from this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the samples that are kept to this file.')
    parser.add_argument(
        '--tries', type=int, default=8, help='Sample this many answers to each question (default: %(default)s).'
    )
    parser.add_argument(
        '--temperature', type=float, default=1.0, help='Sample at this temperature (default: %(default)s).'
    )
    add_reasoner_options(parser)
    options = parser.parse_args(arguments)
    try:
        keep_hard(options)
    except EmbodiedRError as error:
        print(f'training.select_hard: {error}', file=sys.stderr)
        return 2
    return 0


def keep_hard(options: argparse.Namespace) -> None:
    """Write the samples whose answers differ, each with its share of right ones as `pass_rate`; print the counts.

    Raises:
        InputError: none is kept.
        SettingsError, BackendError: the model cannot be used.
    """
    samples = read_samples(options.samples, options.split)
    model = reasoner_model(options, options.model)
    lm, prompt_format = backends.reasoner(model), backends.prompt_format(model)
    work = pass_rates(samples, lm, prompt_format, options.tries, options.temperature, concurrency_of(model))
    shares = asyncio.run(work)
    kept = [
        {**sample, 'pass_rate': round(share, 4)}
        for sample, share in zip(samples, shares)
        if share is not None and 0.0 < share < 1.0
    ]
    if not kept:
        raise InputError(f'none of {len(samples)} questions has answers both right and wrong; take harder ones')
    write_samples(options.out, kept)
    print(
        f'{len(kept)} of {len(samples)} questions kept in {options.out}: {shares.count(1.0)} always right, '
        f'{shares.count(0.0)} never, {shares.count(None)} that cannot be asked'
    )


async def pass_rates(
    samples: Sequence[Sample],
    lm: LanguageModel,
    prompt_format: PromptFormat,
    tries: int,
    temperature: float,
    concurrency: int,
) -> list[float | None]:
    """The share of sampled answers that are right, for each sample; None where it cannot be asked.

    Args:
        samples: with observations.
        lm: who answers.
        prompt_format: how it is asked.
        tries: answers to each question.
        temperature: of the sampling.
        concurrency: requests under way side by side.
    """
    free = asyncio.Semaphore(concurrency)  # a request's time-out runs from when it is made

    async def generate(request: Generation) -> Completion:
        async with free:
            return await lm.generate(request)

    async def rate(number: int, sample: Sample) -> tuple[int, float | None]:
        try:
            prompt = ask_sample(sample, prompt_format)
        except InputError:
            return number, None
        requests = [
            Generation(messages=prompt.messages, stop=prompt.stop, temperature=temperature, seed=seed)
            for seed in range(tries)
        ]
        replies = [reply.text for reply in await asyncio.gather(*map(generate, requests))]
        truth = {name: [sample[name]] * tries for name in ('answer', 'choices')}
        return number, sum(score or 0.0 for score in accuracy_reward(replies, **truth, asked=[prompt] * tries)) / tries

    shares: list[float | None] = [None] * len(samples)
    try:
        await lm.probe()
        tasks = [asyncio.ensure_future(rate(number, sample)) for number, sample in enumerate(samples)]
        for done in counted(asyncio.as_completed(tasks), 'questions', len(tasks)):
            number, share = await done
            shares[number] = share
    finally:
        await lm.aclose()
    return shares


if __name__ == '__main__':
    sys.exit(main())
