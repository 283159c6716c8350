"""Replies to questions, sampled, and which of them are right: what questions and replies are selected by."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import pathlib
from collections.abc import Sequence

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.core.errors import BackendRefused, InputError, ReplyError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.records import Generation
from embodied_r_ros.core.settings import Settings, add_arguments, from_arguments, setting
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import Sample, read_samples
from training.evaluate import add_reasoner_options, concurrency_of, reasoner_model
from training.prompts import ask_sample
from training.rewards import accuracy_reward


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingSettings(Settings):
    """How replies are sampled; the defaults are those of a group of training.grpo."""

    tries: int = setting(8, 'So many replies to each question are sampled.', within=(1, None))
    temperature: float = setting(1.0, 'Replies are sampled at this temperature.', within=(0.01, None))
    max_completion_length: int = setting(2048, 'A reply has at most this length.', unit='tokens', within=(1, None))
    seed: int = setting(0, 'The sampling has this seed.', within=(0, None))


@dataclasses.dataclass(frozen=True)
class Sampled:
    """The replies to a question, and how right each of them is, 0 to 1."""

    replies: list[str]
    scores: list[float]

    @property
    def right_share(self) -> float:
        """Of the replies."""
        return sum(self.scores) / len(self.scores)

    @property
    def right(self) -> list[str]:
        """The replies that are right."""
        return [reply for reply, score in zip(self.replies, self.scores) if score == 1.0]


def command_line(name: str, about: str, out: str) -> argparse.ArgumentParser:
    """The options of a command that selects by sampled replies."""
    parser = argparse.ArgumentParser(prog=f'python -m training.{name}', description=about.split('\n')[0])
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Read observed samples from this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help=out)
    add_arguments(parser, SamplingSettings)
    add_reasoner_options(parser)
    return parser


def sample_all(options: argparse.Namespace) -> list[tuple[Sample, Sampled | None]]:
    """The samples that a command line names, each with the replies to it; None where it cannot be asked.

    Raises:
        InputError: the samples cannot be read, or none of them can be asked.
        SettingsError, BackendError: the model cannot be used.
    """
    samples = read_samples(options.samples, options.split)
    model = reasoner_model(options, options.model)
    lm, prompt_format = backends.reasoner(model), backends.prompt_format(model)
    settings = from_arguments(SamplingSettings, options)
    found = asyncio.run(sampled(samples, lm, prompt_format, settings, concurrency_of(model)))
    return list(zip(samples, found))


async def sampled(
    samples: Sequence[Sample],
    lm: LanguageModel,
    prompt_format: PromptFormat,
    settings: SamplingSettings,
    concurrency: int,
) -> list[Sampled | None]:
    """Replies to each sample; None where it cannot be asked.

    Args:
        samples: with observations.
        lm: who answers.
        prompt_format: how it is asked.
        settings: of the sampling.
        concurrency: requests under way side by side.

    Raises:
        InputError, BackendRefused: none of them can be asked; the message says why the first cannot.
    """
    free = asyncio.Semaphore(concurrency)  # a request's time-out runs from when it is made
    seeds = range(settings.seed * settings.tries, (settings.seed + 1) * settings.tries)

    async def reply(request: Generation) -> str:
        async with free:
            try:
                return (await lm.generate(request)).text
            except ReplyError as error:  # it repeats itself without end
                return error.raw

    async def ask(sample: Sample) -> Sampled:
        prompt = ask_sample(sample, prompt_format)
        request = Generation(
            messages=prompt.messages,
            stop=prompt.stop,
            temperature=settings.temperature,
            max_tokens=settings.max_completion_length,
        )
        work = [reply(dataclasses.replace(request, seed=seed)) for seed in seeds]
        replies = list(await asyncio.gather(*work))
        truth = {name: [sample[name]] * len(replies) for name in ('answer', 'choices')}
        scores = accuracy_reward(replies, **truth, asked=[prompt] * len(replies))
        return Sampled(replies, [score or 0.0 for score in scores])

    found: list[Sampled | None] = [None] * len(samples)
    reasons: dict[int, InputError | BackendRefused] = {}

    async def keep(number: int, sample: Sample) -> None:
        try:
            found[number] = await ask(sample)
        except (InputError, BackendRefused) as error:
            reasons[number] = error

    try:
        await lm.probe()
        work = [keep(number, sample) for number, sample in enumerate(samples)]
        for done in counted(asyncio.as_completed(work), 'questions', len(work)):
            await done
    finally:
        await lm.aclose()
    if samples and len(reasons) == len(samples):
        raise reasons[0]
    return found
