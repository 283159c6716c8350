"""Teach the embedded reasoner from worked thoughts: a copy warm-up, then supervised fine-tuning on a stream of lessons.

python -m training.sft --tokens 26e6 --seed 0 --out out/sft
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import random
import subprocess
import time
from collections.abc import Iterator

import torch
from transformers import Qwen2ForCausalLM

from embodied_r_ros.core.compact import BOS, PAD
from training.lessons import TOKEN_IDS, Lesson, lessons
from training.reasoner import make_model, save

IGNORED = -100
POOL = 1200


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog='python -m training.sft', description=__doc__)
    parser.add_argument(
        '--out',
        type=pathlib.Path,
        required=True,
        help='folder for the model and its log',
    )
    parser.add_argument(
        '--init', type=pathlib.Path, help='model to go on from, in place of a fresh one and its warm-up'
    )
    parser.add_argument('--tokens', type=float, default=26e6, help='tokens to learn from (default %(default).3g)')
    parser.add_argument(
        '--warm-up-steps', type=int, default=400, help='steps of copying random sequences first (default %(default)s)'
    )
    parser.add_argument(
        '--learning-rate', type=float, default=2e-3, help='peak; falls along a cosine (default %(default)s)'
    )
    parser.add_argument('--batch-tokens', type=int, default=3072, help='padded tokens per step (default %(default)s)')
    parser.add_argument('--hidden', type=int, default=128, help='width of the model (default %(default)s)')
    parser.add_argument('--layers', type=int, default=4, help='depth of the model (default %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of weights and lessons (default %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default %(default)s)')
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    train(options)


def train(options: argparse.Namespace) -> Qwen2ForCausalLM:
    """Warm up and train, writing a checkpoint every 2,000 steps; returns the trained model."""
    if options.init:
        model = Qwen2ForCausalLM.from_pretrained(options.init)
    else:
        model = make_model(options.hidden, options.layers, seed=options.seed)
        warm_up(model, options.warm_up_steps, options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    log = (options.out / 'log.jsonl').open('a')
    started, step, seen, recent = time.monotonic(), 0, 0, []
    for batch in batches(lessons(f'sft {options.seed}'), options.batch_tokens, random.Random(options.seed)):
        rate = options.learning_rate * min(1.0, (step + 1) / 100) * schedule(seen / options.tokens)
        for group in optimizer.param_groups:
            group['lr'] = rate
        loss, right = learn(model, optimizer, batch)
        step, seen = step + 1, seen + sum(len(lesson.ids) for lesson in batch)
        recent.append((loss, right))
        if step % 100 == 0:
            mean_loss, mean_right = (sum(values) / len(values) for values in zip(*recent))
            entry = {
                'step': step,
                'tokens': seen,
                'loss': round(mean_loss, 4),
                'token_accuracy': round(mean_right, 4),
                'learning_rate': rate,
                'seconds': round(time.monotonic() - started),
            }
            log.write(json.dumps(entry) + '\n')
            log.flush()
            recent = []
        if step % 2000 == 0:
            save(model, options.out / 'checkpoint')
        if seen >= options.tokens:
            break
    save(model, options.out)
    settings = {name: str(value) for name, value in vars(options).items()}
    made = {**settings, 'steps': step, 'tokens_seen': seen, 'commit': commit()}
    (options.out / 'training.json').write_text(json.dumps(made, indent=1))
    return model


def commit() -> str:
    """The checkout's commit, marked where files differ from it; '' outside a checkout."""
    done = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=40'],
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def schedule(done: float) -> float:
    """The share of the peak learning rate when a share (0 to 1) of the tokens is done: a cosine down to 2 %."""
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


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
        rights.append(_step(model, optimizer, ids, labels)[1])
    return sum(rights[-20:]) / len(rights[-20:])


def learn(model: Qwen2ForCausalLM, optimizer: torch.optim.Optimizer, batch: list[Lesson]) -> tuple[float, float]:
    """One step; returns mean loss and share of the learnt tokens that were predicted."""
    longest = max(len(lesson.ids) for lesson in batch)
    ids = torch.full((len(batch), longest), TOKEN_IDS[PAD])
    labels = torch.full((len(batch), longest), IGNORED)
    for row, lesson in enumerate(batch):
        ids[row, : len(lesson.ids)] = torch.tensor(lesson.ids)
        labels[row, lesson.given : len(lesson.ids)] = ids[row, lesson.given : len(lesson.ids)]
    return _step(model, optimizer, ids, labels)


def _step(
    model: Qwen2ForCausalLM, optimizer: torch.optim.Optimizer, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """Padding is on the right and never attended to by what is learnt, so no mask is needed."""
    hidden = model.model(input_ids=ids).last_hidden_state  # (B, T, H)
    learnt = labels[:, 1:] != IGNORED
    logits, wanted = model.lm_head(hidden[:, :-1][learnt]), labels[:, 1:][learnt]  # (N, V), (N,)
    loss = torch.nn.functional.cross_entropy(logits, wanted)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), (logits.argmax(-1) == wanted).float().mean().item()


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
    main()
