"""The memory that a training run will need at most, told before it starts: an end with a sentence instead of a kill."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import psutil
import torch

from embodied_r_ros.core.errors import SettingsError

GB = 1e9
_PROBED = (16, 48)
_CGROUP = pathlib.Path('/sys/fs/cgroup')


def bytes_per_token(trainer: Any) -> float:
    """What a forward pass keeps for the backward pass, for each token of a row.

    Args:
        trainer: one of TRL's that has a fused head on its model.
    """
    model = trainer.model
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = []
    for length in _PROBED:
        storages: dict[int, int] = {}

        def keep(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        ids = torch.ones(1, length, dtype=torch.long, device=trainer.accelerator.device)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), trainer.accelerator.autocast():
            outputs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
        kept.append(sum(storages.values()))
        del outputs
    return (kept[1] - kept[0]) / (_PROBED[1] - _PROBED[0])


def learning_bytes(model: torch.nn.Module) -> int:
    """Gradients and Adam's two moments of what is trained."""
    return sum(3 * weight.numel() * weight.element_size() for weight in model.parameters() if weight.requires_grad)


def cache_bytes_per_token(model: Any) -> int:
    """Keys and values of one token in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, 'num_key_value_heads', None) or config.num_attention_heads
    width = getattr(config, 'head_dim', None) or config.hidden_size // config.num_attention_heads
    size = next(model.parameters()).element_size()
    return 2 * int(config.num_hidden_layers * heads * width) * size


def free_bytes(device: torch.device) -> int:
    """What can still be had on a device; on a CPU the least of what the machine and its control group have left."""
    if device.type == 'cuda':
        return (
            torch.cuda.mem_get_info(device)[0]
            + torch.cuda.memory_reserved(device)
            - torch.cuda.memory_allocated(device)
        )
    left = [psutil.virtual_memory().available]
    try:
        most, used = ((_CGROUP / name).read_text(encoding='utf-8').strip() for name in ('memory.max', 'memory.current'))
        left.append(int(most) - int(used))
    except (OSError, ValueError):  # no such group, or one without a bound
        pass
    return min(left)


def check(parts: Mapping[str, float], free: float, advice: str) -> str:
    """Hold what a run needs against what is free.

    Args:
        parts: bytes that are needed beside the loaded weights, at the same time, by what for.
        free: bytes.
        advice: what to do where they are too many.

    Returns:
        the sentence for people where they are not.

    Raises:
        SettingsError: they are.
    """
    told = ', '.join(f'{size / GB:.1f} {name}' for name, size in parts.items())
    needed = f'{sum(parts.values()) / GB:.1f} GB of memory beside the loaded weights at most ({told})'
    if sum(parts.values()) > free:
        raise SettingsError(f'these settings need {needed}, and {free / GB:.1f} GB are free; {advice}')
    return f'needs {needed} of {free / GB:.1f} GB that are free'
