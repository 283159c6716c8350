"""What a run writes down as it goes: a line per step in metrics.jsonl, one per completion in completions.jsonl."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transformers import TrainerCallback

from embodied_r_ros.core.errors import SettingsError
from training.rewards import Parts

SHOWN = (
    'reward', 'format', 'accuracy', 'consistency', 'groups_without_spread', 'length', 'kl', 'entropy', 'vllm_dropped',
    'seconds',
)  # fmt: skip
STEPS_WITHOUT_SPREAD = 5
SHOWN_WITHOUT_REWARD = ('loss', 'token_accuracy', 'learning_rate')
# Names in metrics.jsonl, and TRL's for the same.
FIGURES = {
    'loss': 'loss',
    'token_accuracy': 'mean_token_accuracy',
    'grad_norm': 'grad_norm',
    'learning_rate': 'learning_rate',
    'reward': 'reward',
    'reward_std': 'reward_std',
    'format': 'rewards/format',
    'accuracy': 'rewards/accuracy',
    'consistency': 'rewards/consistency',
    'consistency_ratio': 'consistency_ratio',
    'unreadable': 'unreadable',
    'judge_failures': 'judge_failures',
    'length': 'completions/mean_length',
    'clipped': 'completions/clipped_ratio',
    'groups_without_spread': 'frac_reward_zero_std',
    'entropy': 'entropy',
    'kl': 'kl',
    'vllm_ratio_min': 'sampling/importance_sampling_ratio/min',
    'vllm_ratio_mean': 'sampling/importance_sampling_ratio/mean',
    'vllm_ratio_max': 'sampling/importance_sampling_ratio/max',
    'vllm_difference': 'sampling/sampling_logp_difference/mean',
    'vllm_dropped': 'vllm_dropped',
    'tokens_seen': 'num_tokens',
    'seconds': 'step_time',
}


class RunLog(TrainerCallback):
    """Writes the files; lines beyond the checkpoint that a run goes on from are taken back first.

    Args:
        folder: of the run.
        last: gives the rollouts of the last step, and the parts of their rewards; None where nothing is rewarded.
    """

    def __init__(
        self, folder: pathlib.Path, last: Callable[[], tuple[list[dict[str, Any]], Parts | None]] | None = None
    ) -> None:
        self.metrics, self.completions = folder / 'metrics.jsonl', folder / 'completions.jsonl'
        self._last = last

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take back what was written after the checkpoint."""
        if state.is_world_process_zero:
            for path in (self.metrics, self.completions):
                keep_up_to(path, state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Write the step."""
        if not state.is_world_process_zero or logs is None or 'loss' not in logs:
            return
        entry: dict[str, Any] = {'step': state.global_step, 'epoch': state.epoch}
        entry |= {name: logs[theirs] for name, theirs in FIGURES.items() if theirs in logs}
        rollouts, parts = self._last() if self._last else ([], None)
        if parts:
            entry['weights'] = dataclasses.asdict(parts.weights)
            entry['ids'] = list(dict.fromkeys(rollout['id'] for rollout in rollouts))
            append(self.completions, [{'step': state.global_step, **rollout} for rollout in rollouts])
        print(line(entry, state.max_steps), flush=True)
        append(self.metrics, [entry])


class SpreadWatch(TrainerCallback):
    """Warns where steps in a row have no group whose rewards differ, since nothing is learnt from those."""

    def __init__(self) -> None:
        self._steps = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Count the step."""
        if logs is None or 'frac_reward_zero_std' not in logs:
            return
        self._steps = self._steps + 1 if logs['frac_reward_zero_std'] == 1.0 else 0
        if self._steps == STEPS_WITHOUT_SPREAD and state.is_world_process_zero:
            print(
                f'warning: in {STEPS_WITHOUT_SPREAD} steps no question had replies of different reward (now '
                f'{logs["reward"]:.2f} each), and nothing was learnt; fine-tune with training.sft first where replies '
                'are unreadable, select questions with training.select_hard, or raise temperature or num_generations',
                flush=True,
            )


def line(entry: Mapping[str, Any], steps: int) -> str:
    """A step for people."""
    shown = SHOWN if 'reward' in entry else SHOWN_WITHOUT_REWARD
    told = ' '.join(f'{name} {entry[name]:.3g}' for name in shown if entry.get(name) is not None)
    return f'step {entry["step"]}/{steps} {told}'


def append(path: pathlib.Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to a file of JSON lines.

    Raises:
        SettingsError: they cannot be written.
    """
    try:
        with path.open('a', encoding='utf-8') as file:
            file.writelines(json.dumps(entry) + '\n' for entry in entries)
    except OSError as error:
        raise SettingsError(
            f'{str(path)!r} cannot be written: {error.strerror}; make room and start again with the same command'
        ) from error


def keep_up_to(path: pathlib.Path, step: int) -> None:
    """Take back the lines of later steps, and a last line that was not written to its end."""
    if not path.exists():
        return
    kept = []
    with path.open(encoding='utf-8') as lines:
        for line in lines:
            if not line.endswith('\n') or json.loads(line)['step'] > step:
                break
            kept.append(line)
    unfinished = path.with_suffix('.part')
    unfinished.write_text(''.join(kept), encoding='utf-8')
    os.replace(unfinished, path)


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines."""
    with path.open(encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]
