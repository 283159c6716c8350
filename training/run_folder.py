"""The folder of a training run: what the run is made from, checkpoints that are whole, and going on from the last one.

A folder holds one run. The same command goes on in it from its newest checkpoint; another command is refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import pathlib
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from torch.utils.tensorboard import SummaryWriter
from transformers import PrinterCallback
from transformers.integrations import TensorBoardCallback

from embodied_r_ros.core.errors import SettingsError
from training.metrics import RunLog

STARTED, FINISHED = 'run.json', 'training.json'
CHECKPOINT = 'checkpoint-'
UNFINISHED = '.unfinished'
NO_MEMORY_ON_CPU = "can't allocate memory"  # a RuntimeError like any other


def set_up(threads: int) -> None:
    """Settle what a process of training shares: the device, the threads, and quiet about names that TRL still uses."""
    PartialState(cpu=not torch.cuda.is_available())
    torch.set_num_threads(threads)
    warnings.simplefilter('ignore', FutureWarning)


def made_from(options: argparse.Namespace, names: Sequence[str], settings: Any) -> dict[str, Any]:
    """What a run is made from: options by name, its settings, the content of its samples, and the commit.

    Raises:
        SettingsError: the samples cannot be read.
    """
    told = {name: str(getattr(options, name) or '') for name in names} | dataclasses.asdict(settings)
    if options.samples:
        try:
            told['samples_sha256'] = hashlib.sha256(options.samples.read_bytes()).hexdigest()
        except OSError as error:
            raise SettingsError(f'samples cannot be read from {str(options.samples)!r}: {error.strerror}') from error
    return told | {'commit': commit()}


def commit() -> str:
    """The checkout's commit, marked where files differ from it; '' outside a checkout."""
    done = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=40'],
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def begin(out: pathlib.Path, made: Mapping[str, Any]) -> bool:
    """Write down what the run in a folder is made from; returns whether it is finished already.

    Raises:
        SettingsError: the folder holds a checkpoint or a model made from something else.
    """
    if PartialState().is_main_process:
        out.mkdir(parents=True, exist_ok=True)
    started, finished = out / STARTED, (out / FINISHED).exists()
    if finished and not started.exists():
        raise SettingsError(f'{out} holds a model that was made in another way; name another folder with --out')
    if started.exists() and (finished or newest_checkpoint(out)):
        before = json.loads(started.read_text(encoding='utf-8'))
        for name, value in made.items():
            if name != 'commit' and before.get(name) != value:
                raise SettingsError(
                    f'{out} holds a run with {name} {before.get(name)!r}, and now it is {value!r}; name another folder '
                    'with --out, or remove this one'
                )
        if finished:
            print(f'{out} holds this run, and it is finished')
        return finished
    if PartialState().is_main_process:
        started.write_text(json.dumps(made, indent=1), encoding='utf-8')
    return False


def finish(out: pathlib.Path, made: Mapping[str, Any]) -> None:
    """Write down that the run in a folder is finished, beside its model."""
    (out / FINISHED).write_text(json.dumps(made, indent=1), encoding='utf-8')


class Resumable:
    """To be mixed into one of TRL's trainers: checkpoints are whole, and training goes on from the newest one."""

    args: Any
    state: Any
    accelerator: Any

    def go_on(self, log: RunLog, taught: str) -> None:
        """Train to the end from the newest checkpoint on, logging into the folder of the run.

        Args:
            log: of the steps.
            taught: what is learnt from, for people.

        Raises:
            SettingsError: the device has run out of memory, or a checkpoint cannot be written.
        """
        trainer: Any = self
        out, steps = pathlib.Path(self.args.output_dir), self.args.max_steps
        checkpoint = newest_checkpoint(out)
        step = (step_of(checkpoint) or 0) if checkpoint else 0
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(log)
        if PartialState().is_main_process:
            trainer.add_callback(TensorBoardCallback(SummaryWriter(str(out / 'tensorboard'), purge_step=step)))
            print(f'{taught}, {steps} steps, {step} of them done', flush=True)
        if step == steps:
            trainer._load_from_checkpoint(str(checkpoint))
            return
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and NO_MEMORY_ON_CPU not in str(error):
                raise
            raise SettingsError(
                f'step {self.state.global_step + 1} ran out of memory ({str(error).splitlines()[0]}); start anew with '
                'a lower micro_batch, or with shorter prompts and replies'
            ) from error

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None here: `training.export` writes one that says what the model was made from."""

    def _get_output_dir(self, trial: Any) -> str:
        """Where a checkpoint is written before it gets its place."""
        return str(pathlib.Path(self.args.output_dir) / UNFINISHED)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint, put it into its place when it is whole, and only then remove the ones before it.

        Raises:
            SettingsError: it cannot be written; the one before it stays.
        """
        out, unfinished = pathlib.Path(self.args.output_dir), pathlib.Path(self._get_output_dir(trial))
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]  # the trainer's
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            before = newest_checkpoint(out)
            kept = f'{before} is whole' if before else 'there is none before it'
            raise SettingsError(
                f'the checkpoint of step {self.state.global_step} could not be written to {str(out)!r} ({error}); '
                f'{kept}; make room and start again with the same command'
            ) from error
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            name = f'{CHECKPOINT}{self.state.global_step}'
            shutil.rmtree(out / name, ignore_errors=True)
            (unfinished / name).replace(out / name)
            shutil.rmtree(unfinished)
            for older in checkpoints(out)[:-1]:
                shutil.rmtree(older)


def checkpoints(out: pathlib.Path) -> list[pathlib.Path]:
    """The whole checkpoints of a run, by step."""
    found = {}
    for folder in out.glob(f'{CHECKPOINT}*'):
        step = step_of(folder)
        if step is not None:
            found[step] = folder
    return [found[step] for step in sorted(found)]


def newest_checkpoint(out: pathlib.Path) -> pathlib.Path | None:
    """The last whole checkpoint of a run, None where there is none."""
    return next(reversed(checkpoints(out)), None)


def step_of(checkpoint: pathlib.Path) -> int | None:
    """The step that a checkpoint was written at; None for one that is not whole, whose state, written last, lacks."""
    try:
        return int(json.loads((checkpoint / 'trainer_state.json').read_text(encoding='utf-8'))['global_step'])
    except (OSError, ValueError, KeyError, TypeError):
        return None
