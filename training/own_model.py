"""Supervised fine-tuning of any causal language model with a chat template, in the paper's prompt format.

python -m training.sft --model models/qwen --format paper --out out/sft

Lessons are questions about simulated walks, in many words, with worked thoughts in English; half of them are about
--samples where these are given. The same command goes on from the last checkpoint in --out. Low-rank adapters are
merged at the end, so that --out is a folder that training.grpo begins with and the robot runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate import PartialState
from datasets import IterableDataset
from trl import SFTConfig

from embodied_r_ros.adapters.lm_transformers import faster_dtype
from embodied_r_ros.core.errors import EmbodiedRError, InputError, SettingsError
from embodied_r_ros.core.settings import Settings, add_arguments, from_arguments, setting
from embodied_r_ros.evaluation.samples import Sample, read_samples
from training import memory
from training.grpo_settings import lora
from training.metrics import RunLog
from training.model_folder import load_model, load_tokenizer, save_tokenizer, template_tokens
from training.paper_lessons import PaperLesson, paper_lessons, paper_lessons_of
from training.run_folder import begin, finish, made_from, set_up
from training.teacher import Teacher

LOG_STEPS = 10
DTYPES = ('auto', 'float32', 'bfloat16')
MOST_TOO_LONG = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnModelSettings(Settings):
    """How a language model is taught the paper's prompt format."""

    steps: int = setting(500, 'The training takes this many steps.', within=(1, None))
    learning_rate: float = setting(
        5e-4,
        'The learning rate peaks here after a twentieth of the steps, and falls along a cosine.',
        within=(0.0, None),
    )
    lora_rank: int = setting(16, 'Low-rank adapters have this rank; 0 trains all weights.', within=(0, None))
    lessons: int = setting(8, 'A step has this many lessons, on all devices together.', within=(1, None))
    micro_batch: int = setting(1, 'A backward pass has this many lessons per device.', within=(1, None))
    max_tokens: int = setting(1024, 'Longer lessons are left out.', unit='tokens', within=(1, None))
    dtype: str = setting('auto', 'Arithmetic has this type; auto takes bfloat16 where it is faster.', choices=DTYPES)
    save_steps: int = setting(50, 'A checkpoint is written every this many steps.', within=(1, None))
    threads: int = setting(1, 'The training uses this many CPU threads.', within=(1, None))
    seed: int = setting(0, 'Lessons and adapters have this seed.', within=(0, None))

    def passes(self, processes: int) -> int:
        """Backward passes per step on each of this many processes.

        Raises:
            SettingsError: the lessons of a step cannot be dealt out evenly.
        """
        together = self.micro_batch * processes
        if self.lessons % together:
            raise SettingsError(
                f'a step has {self.lessons} lessons, which micro_batch {self.micro_batch} on {processes} process(es) '
                f'does not divide; choose a micro_batch so that {together} becomes a divisor'
            )
        return self.lessons // together


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.sft', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', type=pathlib.Path, required=True, help='Start from the model in this folder.')
    parser.add_argument('--format', default='paper', choices=['paper'], help='Teach this prompt format.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the model, checkpoints and logs here.')
    parser.add_argument('--samples', type=pathlib.Path, help='Make half of the lessons about the samples in this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--without', default=None, metavar='I/K', help='Leave out the scenes of this one of K folds.')
    add_arguments(parser, OwnModelSettings)
    options = parser.parse_args(arguments)
    try:
        train(options, from_arguments(OwnModelSettings, options))
    except EmbodiedRError as error:
        print(f'training.sft: {error}', file=sys.stderr)
        return 2
    return 0


def train(options: argparse.Namespace, settings: OwnModelSettings) -> None:
    """Train, from the start or from the last checkpoint, and save the model with what it was made from.

    Raises:
        InputError: there is nothing to learn from in the samples.
        SettingsError: the model or a setting cannot be used, or --out holds a run of other settings.
    """
    set_up(settings.threads)
    if settings.dtype == 'auto':
        settings = dataclasses.replace(settings, dtype=faster_dtype(PartialState().device.type))
    made = made_from(options, ('model', 'format', 'samples', 'split', 'without'), settings)
    samples = read_samples(options.samples, options.split, without=options.without) if options.samples else []
    if options.samples and not samples:
        raise InputError(f'samples to learn from were wanted, {options.samples} has none of those asked for')
    tokenizer = load_tokenizer(options.model)
    model = load_model(options.model, weights_dtype(settings))
    if begin(options.out, made):
        return
    trainer = Teacher(
        model=model,
        args=trl_config(settings, options.out, PartialState().num_processes),
        train_dataset=IterableDataset.from_generator(taught(settings, samples, tokenizer)),
        processing_class=tokenizer,
        peft_config=lora(settings.lora_rank),
    )
    if PartialState().num_processes == 1:
        print(memory_needed(trainer, settings), flush=True)
    about = f' and {len(samples)} samples' if samples else ''
    trainer.go_on(RunLog(options.out), f'lessons about simulated walks{about} in {settings.dtype}')
    save(trainer, settings, options.out)
    if PartialState().is_main_process:
        save_tokenizer(tokenizer, options.out)
        finish(options.out, made)


def memory_needed(trainer: Teacher, settings: OwnModelSettings) -> str:
    """The memory that a run of one process needs at most, for people.

    Raises:
        SettingsError: there is less.
    """
    a_pass = memory.bytes_per_token(trainer, learns=True) * settings.max_tokens * settings.micro_batch
    return memory.check(
        {
            'gradients and Adam': memory.learning_bytes(trainer.model),
            f'a backward pass of {settings.micro_batch} lessons': a_pass,
        },
        memory.free_bytes(trainer.accelerator.device),
        'lower micro_batch, which changes no result, or max_tokens, or train low-rank adapters (lora_rank)',
    )


def weights_dtype(settings: OwnModelSettings) -> torch.dtype:
    """Weights that are trained are kept in 32 bits; frozen ones in the type of the arithmetic."""
    return torch.bfloat16 if settings.lora_rank and settings.dtype == 'bfloat16' else torch.float32


def trl_config(settings: OwnModelSettings, out: pathlib.Path, processes: int) -> SFTConfig:
    """What TRL is told.

    Raises:
        SettingsError: as `OwnModelSettings.passes`.
    """
    gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(out),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.micro_batch,
        gradient_accumulation_steps=settings.passes(processes),
        learning_rate=settings.learning_rate,
        warmup_steps=0.05,
        lr_scheduler_type='cosine',
        completion_only_loss=True,
        max_length=None,
        use_cpu=not gpu,
        bf16=settings.dtype == 'bfloat16',
        gradient_checkpointing=gpu,
        dataloader_pin_memory=False,
        logging_steps=min(LOG_STEPS, settings.steps),
        save_steps=settings.save_steps,
        report_to='none',
        disable_tqdm=True,
        seed=settings.seed,
    )


def taught(
    settings: OwnModelSettings, samples: Sequence[Sample], tokenizer: Any
) -> Callable[[], Iterator[dict[str, Any]]]:
    """What makes the rows for TRL, chat turns of prompt and completion, without end.

    Raises:
        SettingsError: the chat template cannot write them, or hardly any fits into the length that is allowed.
    """

    def rows() -> Iterator[dict[str, Any]]:
        too_long = 0
        for lesson in stream(settings.seed, samples):
            prompt = [{'role': message.role, 'content': message.content} for message in lesson.prompt]
            completion = [{'role': 'assistant', 'content': lesson.reply}]
            length = template_tokens(tokenizer, prompt + completion, is_whole=True)
            if length <= settings.max_tokens:
                too_long = 0
                yield {'prompt': prompt, 'completion': completion}
                continue
            too_long += 1
            if too_long == MOST_TOO_LONG:
                raise SettingsError(
                    f'lessons of at most {settings.max_tokens} tokens were wanted, the last {MOST_TOO_LONG} were '
                    f'longer, the very last has {length}; raise max_tokens'
                )

    next(rows())
    return rows


def stream(seed: int, samples: Sequence[Sample]) -> Iterator[PaperLesson]:
    """Lessons without end: about simulated walks, and half of them about samples where there are any."""
    lessons = paper_lessons(f'own model {seed}')
    if not samples:
        return lessons
    return itertools.chain.from_iterable(zip(lessons, paper_lessons_of(samples, f'samples {seed}')))


def save(trainer: Teacher, settings: OwnModelSettings, out: pathlib.Path) -> None:
    """Write the model, adapters merged; over several processes they stay apart, and training.export merges them."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True  # trainers turn it off
    if settings.lora_rank and PartialState().num_processes == 1:
        model.merge_and_unload().save_pretrained(out)
    else:
        trainer.save_model()
