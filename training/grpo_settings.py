"""How GRPO is run: its settings, whose defaults are the paper's, and what TRL is told."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from trl import GRPOConfig

from embodied_r_ros.core.errors import InputError, SettingsError
from embodied_r_ros.core.models import PROMPT_FORMATS
from embodied_r_ros.core.settings import Settings, setting
from training.rewards import Weights, weights_at

VLLM_MODES = ('none', 'colocate', 'server')
VLLM_CORRECTIONS = ('none', 'token_truncate', 'token_mask', 'sequence_truncate', 'sequence_mask')
Schedule = Callable[[float, float], Weights]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrpoSettings(Settings):
    """How the reasoner is trained; the defaults are those of the paper (sections on GRPO and on rewards)."""

    format: str = setting('paper', 'The reasoner is asked in this prompt format.', choices=PROMPT_FORMATS)
    epochs: float = setting(12.0, 'The training takes this many passes over the samples.', within=(0.01, None))
    max_steps: int = setting(0, 'The training takes this many steps; 0 counts epochs instead.', within=(0, None))
    weights: str = setting('', "Rewards weigh FORMAT:ACCURACY:CONSISTENCY, as in '1:7:0'; '' goes through the stages.")
    learning_rate: float = setting(
        5e-7,
        'The learning rate peaks here after a twentieth of the steps, and falls along a cosine.',
        within=(0.0, None),
    )
    beta: float = setting(0.001, 'The divergence from the first model has this weight.', within=(0.0, None))
    epsilon: float = setting(0.2, 'The ratio of new to old probabilities is clipped by this.', within=(0.0, None))
    temperature: float = setting(1.0, 'Completions are sampled at this temperature.', within=(0.01, None))
    num_generations: int = setting(8, 'A group has this many completions of one question.', within=(2, None))
    prompts_per_step: int = setting(4, 'A step has this many questions, on all devices together.', within=(1, None))
    micro_batch: int = setting(8, 'A backward pass has this many completions per device.', within=(1, None))
    score_batch: int = setting(8, 'A pass that only scores has this many completions per device.', within=(1, None))
    write_batch: int = setting(
        16, 'On a CPU this many completions are written side by side; a GPU writes all of a step.', within=(1, None)
    )
    max_prompt_length: int = setting(6144, 'Longer prompts are left out.', unit='tokens', within=(1, None))
    max_completion_length: int = setting(
        2048, 'A reply has at most this length, or what the context leaves.', unit='tokens', within=(1, None)
    )
    lora_rank: int = setting(0, 'Low-rank adapters have this rank; 0 trains all weights.', within=(0, None))
    vllm: str = setting(
        'none', 'Completions are written without vLLM, by vLLM in the process, or by its server.', choices=VLLM_MODES
    )
    vllm_url: str = setting('http://127.0.0.1:8000', 'The server of `trl vllm-serve` is at this address.')
    vllm_correction: str = setting(
        'token_truncate',
        "The ratio of the model's probabilities to vLLM's weighs the loss, of each token or of a whole completion: "
        'at most vllm_cap (truncate), or 0 where it is greater (mask).',
        choices=VLLM_CORRECTIONS,
    )
    vllm_cap: float = setting(2.0, 'That ratio is limited to this.', within=(1.0, None))
    save_steps: int = setting(50, 'A checkpoint is written every this many steps.', within=(1, None))
    threads: int = setting(1, 'The training uses this many CPU threads.', within=(1, None))
    seed: int = setting(0, 'Data order and sampling have this seed.', within=(0, None))

    def schedule(self) -> Schedule:
        """The weights of the rewards by epoch: the stages, or the same ones throughout.

        Raises:
            SettingsError: `weights` cannot be read.
        """
        if not self.weights:
            return weights_at
        try:
            form, accuracy, consistency = (float(part) for part in self.weights.split(':'))
        except ValueError as error:
            raise SettingsError(
                f"weights must be '' or 'FORMAT:ACCURACY:CONSISTENCY' in numbers, got {self.weights!r}"
            ) from error
        fixed = Weights(format=form, accuracy=accuracy, consistency=consistency)
        return lambda epoch, epochs: fixed

    def steps_per_epoch(self, questions: int) -> int:
        """Steps of a pass over this many questions; the last ones that fill no step are left out, others in each epoch.

        Raises:
            InputError: they do not fill one step.
        """
        if questions < self.prompts_per_step:
            raise InputError(
                f'at least {self.prompts_per_step} questions, those of one step, were wanted, got {questions}; prepare '
                'more samples or lower prompts_per_step'
            )
        return questions // self.prompts_per_step

    def passes(self, processes: int) -> int:
        """Backward passes per step on each of this many processes.

        Raises:
            SettingsError: the completions of a step cannot be dealt out evenly.
        """
        completions, together = self.prompts_per_step * self.num_generations, self.micro_batch * processes
        if completions % together:
            raise SettingsError(
                f'a step has {completions} completions (prompts_per_step {self.prompts_per_step} x num_generations '
                f'{self.num_generations}), which micro_batch {self.micro_batch} on {processes} process(es) does not '
                f'divide; choose a micro_batch so that {together} becomes a divisor'
            )
        return completions // together


def trl_config(
    settings: GrpoSettings, out: pathlib.Path, steps: int, completion_tokens: int, processes: int
) -> GRPOConfig:
    """What TRL is told.

    Args:
        settings: of the run.
        out: its folder.
        steps: in all.
        completion_tokens: of a reply at most.
        processes: that run side by side.

    Raises:
        SettingsError: as `GrpoSettings.passes`.
    """
    gpu = torch.cuda.is_available()
    corrects = settings.vllm_correction != 'none'
    return GRPOConfig(
        output_dir=str(out),
        max_steps=steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type='cosine',
        warmup_steps=0.05,
        loss_type='grpo',
        scale_rewards='group',
        beta=settings.beta,
        epsilon=settings.epsilon,
        num_iterations=1,
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        num_generations=settings.num_generations,
        max_completion_length=completion_tokens,
        per_device_train_batch_size=settings.micro_batch,
        gradient_accumulation_steps=settings.passes(processes),
        use_cpu=not gpu,
        bf16=gpu,
        gradient_checkpointing=gpu,
        # While the model learns, vLLM in the process gives its share of the card back.
        vllm_enable_sleep_mode=settings.vllm == 'colocate',
        use_vllm=settings.vllm != 'none',
        vllm_server_base_url=settings.vllm_url,
        vllm_gpu_memory_utilization=0.4,
        vllm_importance_sampling_correction=corrects,
        vllm_importance_sampling_clip_max=settings.vllm_cap,
        vllm_max_model_length=settings.max_prompt_length + completion_tokens,
        save_steps=settings.save_steps,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        seed=settings.seed,
        **({} if settings.vllm == 'none' else {'vllm_mode': settings.vllm}),
        **({'vllm_importance_sampling_mode': settings.vllm_correction} if corrects else {}),
    )


def lora(rank: int) -> Any:
    """Low-rank adapters on every linear layer but the head; None for rank 0.

    Raises:
        SettingsError: peft is not installed.
    """
    if not rank:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise SettingsError(f'lora_rank {rank} needs peft, which cannot be imported ({error}); install it') from error
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules='all-linear', task_type='CAUSAL_LM')
