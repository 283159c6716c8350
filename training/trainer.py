"""TRL's GRPOTrainer with what a run needs beyond it: exact resuming, rollouts kept for the log, little padding."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from training.rewards import Parts, Reply, StagedReward, text_of
from training.run_folder import Resumable

SCORED, WRITTEN = 8, 16


class EpochSampler(RepeatSampler):
    """TRL's sampler, with an order that seed and epoch alone decide, so that a resumed run goes on in it."""

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch next."""
        self.generator.manual_seed(1_000_003 * self.seed + epoch)


class StagedTrainer(Resumable, GRPOTrainer):
    """GRPO on a staged reward.

    Each step generates what it learns from, so that a checkpoint has no completions to keep.

    Args:
        model: to train.
        reward: the only one.
        score_batch: completions in a pass that only scores.
        write_batch: completions that are written side by side on a CPU.
        options: what GRPOTrainer takes by name.

    Attributes:
        reward: as given.
        rollouts: of the last step on all processes: id, reward and its parts (None where left out), tokens, text.
    """

    def __init__(
        self, model: Any, reward: StagedReward, *, score_batch: int = SCORED, write_batch: int = WRITTEN, **options: Any
    ) -> None:
        super().__init__(model, [reward], **options)
        self.reward = reward
        self._score_batch, self._write_batch = score_batch, write_batch
        self.rollouts: list[dict[str, Any]] = []

    def _get_train_sampler(self, dataset: Any = None) -> EpochSampler:
        return EpochSampler(
            self.train_dataset,
            mini_repeat_count=self.num_generations,
            batch_size=self.args.generation_batch_size // self.num_generations,
            repeat_count=self.num_iterations * self.args.steps_per_generation,
            seed=self.args.seed,
        )

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Reply], completion_ids_list: list[Any]
    ) -> torch.Tensor:
        """As TRL, and keep the rollouts."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        first = self.accelerator.process_index * len(prompts)
        own = rewards[first : first + len(prompts), 0].tolist()
        if self.reward.parts is not None:
            told = _by_completion(self.reward.parts)
            lengths = [len(ids) for ids in completion_ids_list]
            self.rollouts = gather_object(
                [
                    {'id': row['id'], 'reward': None if math.isnan(value) else value, **parts, 'tokens': length}
                    | {'text': text_of(completion)}
                    for row, value, parts, length, completion in zip(inputs, own, told, lengths, completions)
                ]
            )
        return rewards

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, *others: Any
    ) -> tuple[list[list[int]], Any]:
        """As TRL; on a CPU some rows at a time, so that few wait for the longest and their cache stays small.

        What vLLM writes comes in one piece, with the probabilities that the loss is corrected by.
        """
        if self.use_vllm or self.accelerator.device.type != 'cpu':
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, *others)
        completions: list[list[int]] = []
        for first in range(0, len(prompt_ids), self._write_batch):
            rows = prompt_ids[first : first + self._write_batch]
            completions += super()._generate_single_turn(rows, images, multimodal_fields, *others)[0]
        return completions, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL, and count the completions that the correction of vLLM's probabilities takes out of the loss."""
        output = super()._generate_and_score_completions(inputs)
        if 'importance_sampling_ratio' in output:
            weighed = output['importance_sampling_ratio'] * output['completion_mask']  # (B, T) or (B, 1) by (B, T)
            dropped = self.accelerator.gather((weighed == 0).all(1).float()).mean().item()
            self._metrics['train' if self.model.training else 'eval']['vllm_dropped'].append(dropped)
        return output

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """As TRL, in passes of rows of similar length, each without the columns that none of its rows uses.

        Args:
            model: policy or reference.
            input_ids: (B, P + C), prompts padded on the left, completions on the right.
            attention_mask: (B, P + C).
            logits_to_keep: C.
            batch_size: None where the pass is one to learn from, whose rows are few already; else `score_batch` counts.
            others: passed on.

        Returns:
            log-probabilities (B, C), entropies (B, C) or None, load-balancing loss or None; 0 where there is padding.
        """
        prompt, width = input_ids.size(1) - logits_to_keep, input_ids.size(1)
        order = attention_mask.sum(1).argsort(stable=True)
        found = []
        for rows in order.split(self._score_batch):
            used = attention_mask[rows].any(0).nonzero().flatten()
            begin, end = min(int(used[0]), prompt - 1), max(int(used[-1]) + 1, prompt + 1)
            logps, entropies, aux = super()._get_per_token_logps_and_entropies(
                model, input_ids[rows, begin:end], attention_mask[rows, begin:end], end - prompt, **others
            )
            pad = functools.partial(torch.nn.functional.pad, pad=(0, width - end))
            found.append([*(None if part is None else pad(part) for part in (logps, entropies)), aux])
        back = order.argsort()
        logps, entropies = (None if parts[0] is None else torch.cat(parts)[back] for parts in list(zip(*found))[:2])
        losses = [aux for *_, aux in found if aux is not None]
        return logps, entropies, torch.stack(losses).mean() if losses else None


def _by_completion(parts: Parts) -> list[dict[str, float | None]]:
    """The parts of the reward of each completion; consistency is left out while it weighs nothing."""
    rows: list[dict[str, float | None]] = [
        {'format': form, 'accuracy': right} for form, right in zip(parts.format, parts.accuracy)
    ]
    for row, follows in zip(rows, parts.consistency):
        row['consistency'] = follows
    return rows
