"""Supervised fine-tuning on TRL: teach the embedded reasoner from worked thoughts, after a warm-up of copying.

python -m training.sft --steps 10000 --seed 0 --out out/sft

With --model FOLDER it teaches another language model the paper's prompt format instead, and has other options:
python -m training.sft --model FOLDER --help lists them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import pathlib
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from datasets import IterableDataset
from transformers import Qwen2ForCausalLM
from trl import SFTConfig

from embodied_r_ros.core.compact import BOS, PAD
from embodied_r_ros.core.errors import EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.settings import Settings, add_arguments, from_arguments, setting
from embodied_r_ros.evaluation.samples import Sample, read_samples
from training import own_model
from training.lessons import TOKEN_IDS, Lesson, lessons, lessons_of
from training.metrics import RunLog
from training.model_folder import load_model
from training.reasoner import make_model, make_tokenizer, save
from training.run_folder import begin, finish, made_from, newest_checkpoint, set_up
from training.teacher import Teacher

IGNORED = -100
POOL = 1200
SAVE_STEPS, LOG_STEPS = 1000, 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class SftSettings(Settings):
    """How the embedded reasoner is taught."""

    steps: int = setting(10_000, 'The training takes this many steps.', within=(1, None))
    warm_up_steps: int = setting(400, 'A fresh model copies random sequences for this many steps.', within=(0, None))
    learning_rate: float = setting(2e-3, 'The learning rate has this peak, then falls as a cosine.', within=(0.0, None))
    batch_tokens: int = setting(3072, 'A step has this many tokens, padding included.', unit='tokens', within=(1, None))
    seed: int = setting(0, 'Weights and lessons have this seed.', within=(0, None))
    threads: int = setting(1, 'The training uses this many CPU threads.', within=(1, None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    other = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    other.add_argument('--model')
    if other.parse_known_args(arguments)[0].model is not None:
        return own_model.main(arguments)
    parser = argparse.ArgumentParser(
        prog='python -m training.sft', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the model, checkpoints and logs here.')
    parser.add_argument('--init', type=pathlib.Path, help='Go on from the model in this folder, without a warm-up.')
    parser.add_argument('--samples', type=pathlib.Path, help='Make half of the lessons about the samples in this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--without', default=None, metavar='I/K', help='Leave out the scenes of this one of K folds.')
    add_arguments(parser, SftSettings)
    options = parser.parse_args(arguments)
    try:
        train(options, from_arguments(SftSettings, options))
    except EmbodiedRError as error:
        print(f'training.sft: {error}', file=sys.stderr)
        return 2
    return 0


def train(options: argparse.Namespace, settings: SftSettings) -> None:
    """Warm up and train, from the start or from the last checkpoint, and save the model with what it was made from.

    Raises:
        InputError: there is nothing to learn from in the samples.
        SettingsError: the model cannot be used, or --out holds a run of other settings.
    """
    set_up(settings.threads)
    made = made_from(options, ('init', 'samples', 'split', 'without'), settings)
    samples = read_samples(options.samples, options.split, without=options.without) if options.samples else []
    if options.samples and not samples:
        raise InputError(f'samples to learn from were wanted, {options.samples} has none of those asked for')
    model = learned(options.init) if options.init else make_model(seed=settings.seed)
    if begin(options.out, made):
        return
    if newest_checkpoint(options.out) is None and not options.init:
        warm_up(model, settings.warm_up_steps, settings.seed)
    trainer = Teacher(
        model=model,
        args=trl_config(settings, options.out),
        train_dataset=dataset(settings, samples),
        data_collator=collate,
        processing_class=make_tokenizer(),
    )
    about = f' and {len(samples)} samples' if samples else ''
    trainer.go_on(RunLog(options.out), f'lessons about simulated walks{about}')
    save(model, options.out)
    finish(options.out, made)


def learned(folder: pathlib.Path) -> Qwen2ForCausalLM:
    """A model of the compact language to go on from.

    Raises:
        SettingsError: there is none in the folder.
    """
    model = load_model(folder, torch.float32)
    if model.config.vocab_size != len(TOKEN_IDS):
        raise SettingsError(
            f'--init needs a model of the compact language, of {len(TOKEN_IDS)} words, {str(folder)!r} holds one of '
            f'{model.config.vocab_size}; name one that training.sft has made'
        )
    return model


def trl_config(settings: SftSettings, out: pathlib.Path) -> SFTConfig:
    """What TRL is told; one 'sample' of its batch is a whole batch of lessons."""
    return SFTConfig(
        output_dir=str(out),
        max_steps=settings.steps,
        per_device_train_batch_size=1,
        learning_rate=settings.learning_rate,
        warmup_steps=100,
        lr_scheduler_type='cosine_with_min_lr',
        lr_scheduler_kwargs={'min_lr_rate': 0.02},
        adam_beta2=0.98,
        weight_decay=0.01,
        bf16=False,
        gradient_checkpointing=False,
        dataset_kwargs={'skip_prepare_dataset': True},
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_steps=min(LOG_STEPS, settings.steps),
        save_steps=SAVE_STEPS,
        report_to='none',
        disable_tqdm=True,
        seed=settings.seed,
    )


def dataset(settings: SftSettings, samples: Sequence[Sample]) -> IterableDataset:
    """What `taught` gives, for TRL; a list of samples would be taken for shards, of which the first has no end."""
    told = {'seed': settings.seed, 'batch_tokens': settings.batch_tokens, 'samples': tuple(samples)}
    return IterableDataset.from_generator(taught, gen_kwargs=told)


def taught(seed: int, batch_tokens: int, samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """Batches of lessons without end: about simulated walks, and half of them about samples where there are any."""
    stream = lessons(f'sft {seed}')
    if samples:
        stream = itertools.chain.from_iterable(zip(stream, lessons_of(samples, f'samples {seed}')))
    for batch in batches(stream, batch_tokens, random.Random(seed)):
        yield {name: [getattr(lesson, name) for lesson in batch] for name in ('ids', 'given', 'dice')}


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Token ids and labels, both (B, T), padded on the right, where causal attention needs no mask."""
    (batch,) = rows
    longest = max(map(len, batch['ids']))
    ids = torch.full((len(batch['ids']), longest), TOKEN_IDS[PAD])
    labels = torch.full((len(batch['ids']), longest), IGNORED)
    for row, (lesson, given, dice) in enumerate(zip(batch['ids'], batch['given'], batch['dice'])):
        ids[row, : len(lesson)] = torch.tensor(lesson)
        labels[row, given : len(lesson)] = ids[row, given : len(lesson)]
        labels[row, list(dice)] = IGNORED
    return {'input_ids': ids, 'labels': labels, 'position_ids': torch.arange(longest).expand_as(ids)}


def warm_up(model: Qwen2ForCausalLM, steps: int, seed: int, learning_rate: float = 1e-3) -> float:
    """Let the model repeat random sequences, whole and from the middle; returns the token accuracy of 20 last steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    rng, generator = random.Random(f'copy {seed}'), torch.Generator().manual_seed(seed)
    words, rights = model.config.vocab_size - 8, [0.0]
    for step in range(steps):
        length = rng.randint(6, 24) if step > 100 else rng.randint(4, 10)
        rows = [torch.randperm(words, generator=generator)[:length] + 8 for _ in range(1536 // (2 * length))]
        first = torch.stack(rows)
        turn = rng.randint(0, length - 2) if step > 100 and rng.random() < 0.5 else 0
        second = torch.cat([first[:, turn:], first[:, :turn]], 1)
        ids = torch.cat([torch.full((len(rows), 1), TOKEN_IDS[BOS]), first, second], 1)
        labels = ids.clone()
        labels[:, : length + 2] = IGNORED
        for group in optimizer.param_groups:
            group['lr'] = learning_rate * min(1.0, (step + 1) / 50)
        rights.append(_copy_step(model, optimizer, ids, labels))
    return sum(rights[-20:]) / len(rights[-20:])


def _copy_step(
    model: Qwen2ForCausalLM, optimizer: torch.optim.Optimizer, ids: torch.Tensor, labels: torch.Tensor
) -> float:
    hidden = model.model(input_ids=ids).last_hidden_state  # (B, T, H)
    learnt = labels[:, 1:] != IGNORED
    logits, wanted = model.lm_head(hidden[:, :-1][learnt]), labels[:, 1:][learnt]  # (N, V), (N,)
    loss = torch.nn.functional.cross_entropy(logits, wanted)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return (logits.argmax(-1) == wanted).float().mean().item()


def batches(stream: Iterator[Lesson], max_tokens: int, rng: random.Random) -> Iterator[list[Lesson]]:
    """Lessons of similar length together, no batch above `max_tokens` with its padding, in random order."""
    while True:
        pool = sorted((next(stream) for _ in range(POOL)), key=lambda lesson: len(lesson.ids) + rng.random() * 15)
        packed: list[list[Lesson]] = [[]]
        for lesson in pool:
            if packed[-1] and len(lesson.ids) * (len(packed[-1]) + 1) > max_tokens:
                packed.append([])
            packed[-1].append(lesson)
        rng.shuffle(packed)
        yield from packed


if __name__ == '__main__':
    sys.exit(main())
