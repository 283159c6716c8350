"""Supervised fine-tuning on TRL: teach the embedded reasoner from worked thoughts, after a warm-up of copying.

python -m training.sft --steps 10000 --seed 0 --out out/sft
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from datasets import IterableDataset
from transformers import Qwen2ForCausalLM
from trl import SFTConfig, SFTTrainer

from embodied_r_ros.core.compact import BOS, PAD
from embodied_r_ros.core.errors import EmbodiedRError
from training.lessons import TOKEN_IDS, Lesson, lessons, lessons_of
from training.reasoner import make_model, make_tokenizer, save
from training.samples import Sample, read_samples
from training.trainer import newest_checkpoint

IGNORED = -100
POOL = 1200
SAVE_STEPS = 1000


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.sft', description=__doc__)
    parser.add_argument('--out', type=pathlib.Path, required=True, help='folder for the model, checkpoints, metrics')
    parser.add_argument(
        '--init', type=pathlib.Path, help='model to go on from, in place of a fresh one and its warm-up'
    )
    parser.add_argument(
        '--samples', type=pathlib.Path, help='file of samples with observations: half of the lessons are about them'
    )
    parser.add_argument('--split', default=None, help='only the samples of this split')
    parser.add_argument('--without', default=None, metavar='I/K', help='leave out the scenes of this one of K folds')
    parser.add_argument('--steps', type=int, default=10_000, help='steps to learn for (default %(default)s)')
    parser.add_argument(
        '--warm-up-steps', type=int, default=400, help='steps of copying random sequences first (default %(default)s)'
    )
    parser.add_argument(
        '--learning-rate', type=float, default=2e-3, help='peak; falls along a cosine (default %(default)s)'
    )
    parser.add_argument('--batch-tokens', type=int, default=3072, help='padded tokens per step (default %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of weights and lessons (default %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default %(default)s)')
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.simplefilter('ignore', FutureWarning)  # TRL's configuration speaks of it in the terms of its time
    try:
        train(options)
    except EmbodiedRError as error:
        print(f'training.sft: {error}', file=sys.stderr)
        return 2
    return 0


def train(options: argparse.Namespace) -> None:
    """Warm up and train, going on from the last checkpoint in the folder."""
    samples = read_samples(options.samples, options.split, without=options.without) if options.samples else []
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint = newest_checkpoint(options.out)
    model = Qwen2ForCausalLM.from_pretrained(options.init) if options.init else make_model(seed=options.seed)
    if checkpoint is None and not options.init:
        warm_up(model, options.warm_up_steps, options.seed)
    made = {name: str(value) for name, value in vars(options).items()} | {'commit': commit()}
    (options.out / 'training.json').write_text(json.dumps(made, indent=1))
    trainer = SFTTrainer(
        model=model,
        args=configuration(options),
        train_dataset=IterableDataset.from_generator(
            taught,
            gen_kwargs={'seed': options.seed, 'batch_tokens': options.batch_tokens, 'samples': samples},
        ),
        data_collator=collate,
        processing_class=make_tokenizer(),
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save(model, options.out)


def configuration(options: argparse.Namespace) -> SFTConfig:
    """What TRL is told; one 'sample' of its batch is a whole batch of lessons."""
    return SFTConfig(
        output_dir=str(options.out),
        max_steps=options.steps,
        per_device_train_batch_size=1,
        learning_rate=options.learning_rate,
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
        logging_steps=100,
        save_steps=SAVE_STEPS,
        save_total_limit=2,
        report_to='none',
        disable_tqdm=True,
        seed=options.seed,
    )


def taught(seed: int, batch_tokens: int, samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """Batches of lessons without end: about simulated walks, and half of them about samples where there are any."""
    stream = lessons(f'sft {seed}')
    if samples:
        stream = itertools.chain.from_iterable(zip(stream, lessons_of(samples, f'samples {seed}')))
    for batch in batches(stream, batch_tokens, random.Random(seed)):
        yield {'ids': [lesson.ids for lesson in batch], 'given': [lesson.given for lesson in batch]}


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Token ids and labels, both (B, T), padded on the right, where causal attention needs no mask."""
    (batch,) = rows
    longest = max(map(len, batch['ids']))
    ids = torch.full((len(batch['ids']), longest), TOKEN_IDS[PAD])
    labels = torch.full((len(batch['ids']), longest), IGNORED)
    for row, (lesson, given) in enumerate(zip(batch['ids'], batch['given'])):
        ids[row, : len(lesson)] = torch.tensor(lesson)
        labels[row, given : len(lesson)] = ids[row, given : len(lesson)]
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


def commit() -> str:
    """The checkout's commit, marked where files differ from it; '' outside a checkout."""
    done = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=40'],
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def batches(stream: Iterator[Lesson], most_tokens: int, rng: random.Random) -> Iterator[list[Lesson]]:
    """Lessons of similar length together, no batch above `most_tokens` with its padding, in random order."""
    while True:
        pool = sorted((next(stream) for _ in range(POOL)), key=lambda lesson: len(lesson.ids) + rng.random() * 15)
        packed: list[list[Lesson]] = [[]]
        for lesson in pool:
            if packed[-1] and len(lesson.ids) * (len(packed[-1]) + 1) > most_tokens:
                packed.append([])
            packed[-1].append(lesson)
        rng.shuffle(packed)
        yield from packed


if __name__ == '__main__':
    sys.exit(main())
