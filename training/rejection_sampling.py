"""Sample replies to questions and keep those whose answer is right, for supervised fine-tuning on them (training.sft).

python -m training.rejection_sampling --model out/sft --samples out/world.jsonl --format compact --out out/right.jsonl
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.models import PROMPT_FORMATS, prompt_format
from embodied_r_ros.core.settings import Settings, add_arguments, from_arguments, setting
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.samples import read_samples, write_samples
from training.model_folder import load_model, load_tokenizer
from training.prompts import ask_all
from training.rewards import accuracy_reward
from training.run_folder import set_up


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingSettings(Settings):
    """How replies are sampled; the defaults are those of a group of training.grpo."""

    format: str = setting('paper', 'The model is asked in this prompt format.', choices=PROMPT_FORMATS)
    tries: int = setting(8, 'So many replies to each question are sampled.', within=(1, None))
    temperature: float = setting(1.0, 'Replies are sampled at this temperature.', within=(0.01, None))
    max_prompt_length: int = setting(6144, 'Longer prompts are left out.', unit='tokens', within=(1, None))
    max_completion_length: int = setting(2048, 'A reply has at most this length.', unit='tokens', within=(1, None))
    rows: int = setting(64, 'So many replies are written side by side.', within=(1, None))
    threads: int = setting(1, 'The sampling uses so many CPU threads.', within=(1, None))
    seed: int = setting(0, 'The sampling has this seed.', within=(0, None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.rejection_sampling', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument('--model', type=pathlib.Path, required=True, help='Sample from the model in this folder.')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Read observed samples from this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write samples with their right replies here.')
    add_arguments(parser, SamplingSettings)
    options = parser.parse_args(arguments)
    try:
        keep_right(options, from_arguments(SamplingSettings, options))
    except EmbodiedRError as error:
        print(f'training.rejection_sampling: {error}', file=sys.stderr)
        return 2
    return 0


def keep_right(options: argparse.Namespace, settings: SamplingSettings) -> None:
    """Write the samples that were answered right at least once, each with all its right `replies`; print the counts.

    Raises:
        InputError: no question can be asked, or no reply is right.
        SettingsError: the model cannot be used.
    """
    set_up(settings.threads)
    samples = read_samples(options.samples, options.split)
    tokenizer, model = load_tokenizer(options.model), load_model(options.model, torch.float32)
    asked = ask_all(
        samples,
        prompt_format(settings.format),
        lambda turns: len(tokenizer.apply_chat_template(turns, add_generation_prompt=True)['input_ids']),
        settings.max_prompt_length,
    )
    right: dict[str, list[str]] = {}
    for row, replies in sampled(model, tokenizer, asked.rows, settings):
        truth = {name: [row[name]] * len(replies) for name in ('answer', 'choices')}
        scores = accuracy_reward(replies, **truth, asked=[asked.prompts[row['id']]] * len(replies))
        right[row['id']] = [reply for reply, score in zip(replies, scores) if score == 1.0]
    kept = [{**sample, 'replies': right[sample['id']]} for sample in samples if right.get(sample['id'])]
    if not kept:
        raise InputError(f'none of {len(samples)} questions was answered right; take easier ones, or a better model')
    write_samples(options.out, kept)
    count, tries = sum(map(len, right.values())), settings.tries * len(right)
    print(
        f'{count} of {tries} replies are right, to {len(kept)} of {len(right)} questions, in {options.out}; '
        f'{len(samples) - len(right)} questions cannot be asked'
    )


def sampled(
    model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], settings: SamplingSettings
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Replies to each row of `training.prompts.ask_all`, `tries` of them, questions of similar length side by side."""
    torch.manual_seed(settings.seed)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = model.to(device).eval()
    prompts = [tokenizer.apply_chat_template(row['prompt'], add_generation_prompt=True)['input_ids'] for row in rows]
    order = sorted(range(len(rows)), key=lambda index: len(prompts[index]))
    together = max(1, settings.rows // settings.tries)
    for first in counted(range(0, len(order), together), 'batches', -(-len(order) // together)):
        batch = order[first : first + together]
        inputs = tokenizer.pad({'input_ids': [prompts[index] for index in batch]}, return_tensors='pt').to(device)
        with torch.inference_mode():
            written = model.generate(
                **inputs,
                do_sample=True,
                temperature=settings.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=settings.tries,
                max_new_tokens=settings.max_completion_length,
            )[:, inputs['input_ids'].shape[1] :]
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        for place, index in enumerate(batch):
            yield rows[index], texts[place * settings.tries : (place + 1) * settings.tries]


if __name__ == '__main__':
    sys.exit(main())
