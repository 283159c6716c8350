"""Keep the questions on which sampled answers differ: a group that is all right or all wrong teaches GRPO nothing.

python -m training.spread --model out/sft --samples out/world.jsonl --format compact --out out/hard.jsonl
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.models import PROMPT_FORMATS, prompt_format
from training.asking import Asked, ask_all
from training.model_folder import load_model, load_tokenizer
from training.rewards import accuracy_reward
from training.samples import read_samples, write_samples

BATCH = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.spread', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--model', type=pathlib.Path, required=True, help='folder of the model that will be trained')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='file of samples with observations')
    parser.add_argument('--split', default=None, help='only the samples of this split')
    parser.add_argument('--format', choices=PROMPT_FORMATS, default='paper', help='prompt format (default %(default)s)')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='file of the samples that are kept')
    parser.add_argument('--tries', type=int, default=8, help='sampled answers to each question (default %(default)s)')
    parser.add_argument('--temperature', type=float, default=1.0, help='of the sampling (default %(default)s)')
    parser.add_argument('--max-tokens', type=int, default=768, help='of an answer (default %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the sampling (default %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default %(default)s)')
    options = parser.parse_args(arguments)
    try:
        keep_spread(options)
    except EmbodiedRError as error:
        print(f'training.spread: {error}', file=sys.stderr)
        return 2
    return 0


def keep_spread(options: argparse.Namespace) -> None:
    """Write the samples whose answers differ, each with its share of right ones as `pass_rate`; print the counts.

    Raises:
        InputError: no sample can be asked, or none is kept.
        SettingsError: the model cannot be used.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    samples = read_samples(options.samples, options.split)
    tokenizer = load_tokenizer(options.model)
    asked = ask_all(samples, prompt_format(options.format), lambda turns: len(_ids(tokenizer, turns)), sys.maxsize)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = load_model(options.model, torch.bfloat16 if device == 'cuda' else torch.float32).to(device).eval()
    shares = pass_rates(model, tokenizer, asked, options.tries, options.temperature, options.max_tokens)
    kept = [{**s, 'pass_rate': shares[s['id']]} for s in samples if 0.0 < shares.get(s['id'], 0.0) < 1.0]
    if not kept:
        raise InputError(f'none of {len(shares)} questions has answers both right and wrong; take harder ones')
    write_samples(options.out, kept)
    always, never = (sum(share == edge for share in shares.values()) for edge in (1.0, 0.0))
    print(
        f'{len(kept)} of {len(samples)} questions kept in {options.out}: {always} always right, {never} never right, '
        f'{len(samples) - len(shares)} that cannot be asked; mean {sum(shares.values()) / len(shares):.1%} right'
    )


def pass_rates(
    model: Any, tokenizer: Any, asked: Asked, tries: int, temperature: float, max_tokens: int
) -> dict[str, float]:
    """The share of sampled answers that are right, by sample id."""
    right = dict.fromkeys(asked.prompts, 0.0)
    room = model.config.max_position_embeddings - asked.longest
    rows = sorted(asked.rows * tries, key=lambda row: len(_ids(tokenizer, row['prompt'])))
    with tqdm(total=len(rows), disable=None, unit='answer') as bar:
        for batch in _batches(rows):
            texts = tokenizer.apply_chat_template(
                [row['prompt'] for row in batch], add_generation_prompt=True, tokenize=False
            )
            inputs = tokenizer(texts, padding=True, add_special_tokens=False, return_tensors='pt').to(model.device)
            with torch.inference_mode():
                said = model.generate(
                    input_ids=inputs['input_ids'],
                    attention_mask=inputs['attention_mask'],
                    do_sample=True,
                    temperature=temperature,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=min(max_tokens, room),
                )
            replies = tokenizer.batch_decode(said[:, inputs['input_ids'].shape[1] :], skip_special_tokens=True)
            columns = {name: [row[name] for row in batch] for name in ('answer', 'choices')}
            scores = accuracy_reward(replies, **columns, asked=[asked.prompts[row['id']] for row in batch])
            for row, score in zip(batch, scores):
                right[row['id']] += (score or 0.0) / tries
            bar.update(len(batch))
    return {name: round(share, 4) for name, share in right.items()}


def _ids(tokenizer: Any, turns: list[dict[str, str]]) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(turns, add_generation_prompt=True)['input_ids']
    return ids


def _batches(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


if __name__ == '__main__':
    sys.exit(main())
