"""Leave out the questions whose words alone give their answer away (the paper's step against bias, section 7.1).

Who reads the words is a language model behind a server, which never sees an observation, or the fitted reader of
`training.question_only_baseline`.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import pathlib
import random
import string
import zlib
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.adapters.lm import LanguageModel
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core import replies
from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.errors import InputError, ReplyError, SettingsError
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import Generation, Message
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from embodied_r_ros.evaluation.scoring import relative_accuracy
from training.question_only_baseline import LEAST_CROSS_FITTED, question_only_shares
from training.sources.journal import Journal

# A language model is rarely right in four votes of five by luck; the fitted reader's probabilities are modest ones.
LM_THRESHOLD, FITTED_THRESHOLD = 0.8, 0.5
TEMPERATURE = 0.7
MAX_TOKENS = 512
_ASK = (
    'Here is a question about a video that cannot be shown to you. Give the answer that is likeliest by its words '
    'alone; do not decline. Write only the {what}, without any reasoning.\nQuestion: {question}'
)


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('unbias', help='Leave out questions that are answered without seeing anything.')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Read samples from this file.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the samples that are kept to this file.')
    told = f'right votes (default {LM_THRESHOLD}), or a fitted reader at this probability (default {FITTED_THRESHOLD})'
    parser.add_argument('--threshold', type=float, help=f'Leave out what the model answers with this share of {told}.')
    parser.add_argument('--lm-url', default='', help='Ask the model on this server (default: a fitted reader).')
    parser.add_argument('--lm-model', default='', help='Ask the model of this id (default: the only one).')
    parser.add_argument(
        '--votes', type=int, default=5, help='Ask this often, each time with choices shuffled (default: %(default)s).'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='Seed votes and folds with this number (default: %(default)s).'
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples that are kept, and print a table; returns the exit status.

    Raises:
        SettingsError: an option is out of range.
        InputError: the samples cannot be read, or none is kept.
        BackendError: the server did not do its part; the next call goes on from there.
    """
    threshold = options.threshold
    if threshold is None:
        threshold = LM_THRESHOLD if options.lm_url else FITTED_THRESHOLD
    if not 0.0 < threshold <= 1.0:
        raise SettingsError(f'--threshold must lie in (0, 1], got {threshold!r}')
    if options.votes < 1:
        raise SettingsError(f'--votes must be at least 1, got {options.votes!r}')
    samples = read_samples(options.samples)
    shares = (
        _model_shares(samples, options) if options.lm_url else question_only_shares(samples, seed=options.seed).tolist()
    )
    kept = [sample for sample, share in zip(samples, shares) if share < threshold]
    if not kept:
        raise InputError(
            f'none of the {len(samples)} samples of {options.samples} is kept: words alone answer each with a share of '
            f'at least {threshold}; raise --threshold'
        )
    write_samples(options.out, kept)
    print(table(samples, shares, threshold, bool(options.lm_url) or len(samples) >= LEAST_CROSS_FITTED))
    return 0


def table(samples: Sequence[Sample], shares: Sequence[float], threshold: float, with_share: bool) -> str:
    """Per category: samples kept and left out, and, if wanted, the mean share that the words alone answer."""
    rows = collections.defaultdict(list)
    for sample, share in zip(samples, shares):
        rows[sample['category']].append(share)
    rows['all'] = list(shares)
    width = max(map(len, (*rows, 'category')))
    lines = [f'{"category":{width}} {"kept":>6} {"left out":>8}' + (' question only' if with_share else '')]
    for name, found in rows.items():
        out = sum(share >= threshold for share in found)
        told = f' {sum(found) / len(found):13.1%}' if with_share else ''
        lines.append(f'{name:{width}} {len(found) - out:6} {out:8}{told}')
    return '\n'.join(lines)


def _model_shares(samples: Sequence[Sample], options: argparse.Namespace) -> list[float]:
    """What a served language model answers; finished samples are kept in a journal until all are."""
    asked = zlib.crc32(repr([(s['id'], s['question'], s['choices'], s['answer']) for s in samples]).encode())
    settings = {name: getattr(options, name) for name in ('lm_url', 'lm_model', 'votes', 'seed')}
    journal = Journal(options.out, {**settings, 'samples': asked})
    model = OpenAILanguageModel(ServerSettings(url=options.lm_url, model=options.lm_model))
    asyncio.run(ask_all(samples, model, options.votes, options.seed, journal))
    shares = [journal.results[sample['id']]['share'] for sample in samples]
    unread = sum(journal.results[sample['id']]['unread'] for sample in samples)
    print(f'{model.name}: {unread} of {len(samples) * options.votes} replies held no answer, and count as wrong')
    journal.done()
    return shares


async def ask_all(samples: Sequence[Sample], model: LanguageModel, votes: int, seed: int, journal: Journal) -> None:
    """Ask about all samples that the journal does not hold yet, and keep what comes of each in it.

    Raises:
        BackendError: the model did not do its part.
    """
    free = asyncio.Semaphore(ServerSettings().max_concurrent_requests)  # a request's time-out runs from when it is made

    async def vote(sample: Sample) -> tuple[str, dict[str, Any]]:
        scores = await asyncio.gather(*(_ballot(sample, model, f'{seed} {n}', free) for n in range(votes)))
        share = sum(score or 0.0 for score in scores) / votes
        return sample['id'], {'share': share, 'unread': scores.count(None)}

    try:
        await model.probe()
        tasks = [asyncio.ensure_future(vote(s)) for s in samples if s['id'] not in journal.results]
        try:
            for done in counted(asyncio.as_completed(tasks), 'questions', len(tasks)):
                journal.keep(*await done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await model.aclose()


async def _ballot(sample: Sample, model: LanguageModel, seed: str, free: asyncio.Semaphore) -> float | None:
    """The score of one answer, its choices in an order of its own; None where the reply holds no answer."""
    rng = random.Random(f'blind {seed} {sample["id"]}')
    order = rng.sample(range(len(sample['choices'])), len(sample['choices']))
    choices = [sample['choices'][place] for place in order]
    request = Generation(
        messages=(Message(role='user', content=_question(sample['question'], choices)),),
        temperature=TEMPERATURE,
        seed=rng.randrange(1 << 31),
        max_tokens=MAX_TOKENS,
    )
    try:
        async with free:
            completion = await model.generate(request)
        answer = replies.read_short_answer(completion.text, completion.reasoning)
    except ReplyError:
        return None
    if not choices:
        return relative_accuracy(answer, sample['answer'])
    chosen = match_choice(answer, choices)
    return None if chosen is None else float(order[chosen] == string.ascii_uppercase.index(sample['answer']))


def _question(question: str, choices: Sequence[str]) -> str:
    listed = [f'{letter}. {choice}' for letter, choice in zip(string.ascii_uppercase, choices)]
    what = 'letter of the choice' if choices else 'number'
    return _ASK.format(what=what, question='\n'.join((question, *(['Choices:', *listed] if choices else []))))
