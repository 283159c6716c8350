"""Train a reasoner with reinforcement learning (GRPO) on questions whose answers are known.

python -m training.grpo --model out/sft --samples out/world.jsonl --format compact --out out/grpo

One run goes through the stages of the rewards. The same command goes on from the last checkpoint in --out. More than
one GPU is the matter of `accelerate launch`, with one of the files in training/configs.
"""

from __future__ import annotations

import argparse
import functools
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset

from embodied_r_ros.core.errors import EmbodiedRError, SettingsError
from embodied_r_ros.core.models import ServerSettings, prompt_format
from embodied_r_ros.core.settings import add_arguments, from_arguments
from embodied_r_ros.evaluation.samples import read_samples
from training import memory
from training.grpo_settings import GrpoSettings, lora, trl_config
from training.judge import Case, HttpJudge, InProcessJudge, Judge
from training.metrics import RunLog, SpreadWatch
from training.model_folder import load_model, load_tokenizer, save_tokenizer, template_tokens
from training.prompts import Asked, ask_all
from training.rewards import StagedReward
from training.run_folder import begin, finish, made_from, set_up
from training.trainer import StagedTrainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = command_line().parse_args(arguments)
    try:
        run(options, from_arguments(GrpoSettings, options))
    except EmbodiedRError as error:
        print(f'training.grpo: {error}', file=sys.stderr)
        return 2
    return 0


def command_line() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog='python -m training.grpo', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', type=pathlib.Path, required=True, help='Start from the model in this folder.')
    parser.add_argument('--samples', type=pathlib.Path, required=True, help='Read observed samples from this file.')
    parser.add_argument('--split', default=None, help='Take only the samples of this split: train, validation or test.')
    parser.add_argument('--without', default=None, metavar='I/K', help='Leave out the scenes of this one of K folds.')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the model, checkpoints and logs here.')
    parser.add_argument('--judge', type=pathlib.Path, help='Judge with the model in this folder (default: --model).')
    parser.add_argument('--judge-url', default='', help='Judge with the model on this server, in place of a folder.')
    add_arguments(parser, GrpoSettings)
    return parser


def run(options: argparse.Namespace, settings: GrpoSettings) -> None:
    """Train, from the start or from the last checkpoint, and save the model with what it was made from.

    Raises:
        InputError: there is nothing to train on.
        SettingsError: a model or a setting cannot be used, or --out holds a run of other settings.
    """
    set_up(settings.threads)
    made = made_from(options, ('model', 'samples', 'split', 'without', 'judge', 'judge_url'), settings)
    if begin(options.out, made):
        return
    trainer = make_trainer(options, settings)
    trainer.add_callback(SpreadWatch())
    log = RunLog(options.out, lambda: (trainer.rollouts, trainer.reward.parts))
    trainer.go_on(log, f'{len(trainer.train_dataset)} questions')
    trainer.save_model()
    if PartialState().is_main_process:
        save_tokenizer(trainer.processing_class, options.out)
        finish(options.out, {**made, 'steps': trainer.args.max_steps})


def make_trainer(options: argparse.Namespace, settings: GrpoSettings) -> StagedTrainer:
    """The trainer of a run, with its model, its questions and its reward.

    Raises:
        InputError: there is nothing to train on.
        SettingsError: a model or a setting cannot be used.
    """
    tokenizer = load_tokenizer(options.model)
    asked = ask_all(
        read_samples(options.samples, options.split, without=options.without),
        prompt_format(settings.format),
        functools.partial(template_tokens, tokenizer),
        settings.max_prompt_length,
    )
    if asked.left_out and PartialState().is_main_process:
        print('left out: ' + ', '.join(f'{count} {reason}' for reason, count in asked.left_out.items()))
    steps_per_epoch = settings.steps_per_epoch(len(asked.rows))
    steps = settings.max_steps or math.ceil(settings.epochs * steps_per_epoch)
    frozen = settings.lora_rank > 0 and torch.cuda.is_available()
    model = load_model(options.model, torch.bfloat16 if frozen else torch.float32)
    tokens = completion_tokens(settings, asked, model.config)
    schedule = settings.schedule()
    # Before GRPOConfig: behind it DeepSpeed ZeRO-3 loads every model in shards, and a judge is read whole.
    judge = None if settings.weights and not schedule(0.0, 1.0).consistency else judge_of(options, asked)
    args = trl_config(settings, options.out, steps, tokens, PartialState().num_processes)
    try:
        trainer = StagedTrainer(
            model,
            StagedReward(asked.prompts, steps / steps_per_epoch, judge, schedule),
            args=args,
            train_dataset=Dataset.from_list(asked.rows),
            processing_class=tokenizer,
            peft_config=lora(settings.lora_rank),
            score_batch=settings.score_batch,
            write_batch=settings.write_batch,
        )
    except ImportError as error:
        raise SettingsError(f'these settings need a library that cannot be imported: {error}') from error
    if PartialState().num_processes == 1:
        print(memory_needed(trainer, settings, asked.longest + tokens), flush=True)
    return trainer


def memory_needed(trainer: StagedTrainer, settings: GrpoSettings, longest: int) -> str:
    """The memory that a run of one process needs at most, for people.

    Args:
        trainer: with its models loaded.
        settings: of the run.
        longest: tokens of a question and its reply at most.

    Raises:
        SettingsError: there is less.
    """
    learning, scoring = (memory.bytes_per_token(trainer, learns=learns) for learns in (True, False))
    passes = {
        f'a backward pass of {settings.micro_batch} replies': settings.micro_batch * learning,
        f'scoring {settings.score_batch} replies': settings.score_batch * scoring,
    }
    if settings.vllm == 'none':
        rows = trainer.args.generation_batch_size
        if trainer.accelerator.device.type == 'cpu':
            rows = min(rows, settings.write_batch)
        passes[f'writing {rows} replies'] = rows * memory.cache_bytes_per_token(trainer.model)
    largest = max(passes, key=passes.__getitem__)
    parts = {'gradients and Adam': memory.learning_bytes(trainer.model), largest: passes[largest] * longest}
    return memory.check(
        parts,
        memory.free_bytes(trainer.accelerator.device),
        f'the longest question and reply have {longest} tokens: lower micro_batch, which changes no result, or '
        'max_completion_length, or train low-rank adapters (lora_rank)',
    )


def completion_tokens(settings: GrpoSettings, asked: Asked, config: Any) -> int:
    """How long a reply may be: what the settings allow, as far as the model's context has room behind each prompt.

    Raises:
        SettingsError: there is no room.
    """
    room = getattr(config, 'max_position_embeddings', sys.maxsize) - asked.longest
    if room < 1:
        raise SettingsError(
            f'a context longer than the longest prompt, {asked.longest} tokens, was wanted, the model has '
            f'{config.max_position_embeddings}; lower max_prompt_length'
        )
    return min(settings.max_completion_length, room)


def judge_of(options: argparse.Namespace, asked: Asked) -> Judge:
    """Who judges consistency: a server, or a frozen model in this process (by default the one training starts from).

    Raises:
        BackendError: no server answers.
        SettingsError: it cannot read the language of the questions, which else would come out stages later.
    """
    if options.judge_url:
        judge: Judge = HttpJudge(ServerSettings(url=options.judge_url))
    else:
        dtype = 'bfloat16' if torch.cuda.is_available() else 'float32'
        judge = InProcessJudge.load(options.judge or options.model, str(PartialState().device), dtype)
    row = next((row for row in asked.rows if row['choices']), None)
    if row:
        prompt = asked.prompts[row['id']]
        judge.judge([Case(question=row['question'], choices=tuple(row['choices']), thinking='so', asked=prompt)])
    return judge


if __name__ == '__main__':
    sys.exit(main())
