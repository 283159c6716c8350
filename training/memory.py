"""The memory that a training run will need at most, told before it starts: an end with a sentence instead of a kill."""

from __future__ import annotations

import pathlib
import weakref
from collections.abc import Mapping
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from embodied_r_ros.core.errors import SettingsError

GB = 1e9
# What the process takes for each byte in use. On a CPU the C library keeps freed blocks that others do not fit into:
# 1.46 was measured in steps of training.sft with a model of 135 M parameters. On a GPU nothing was measured.
ALLOCATED_ON_CPU = 1.5
_PROBED = (16, 48)
_CGROUP = pathlib.Path('/sys/fs/cgroup')


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of what torch makes while this is on, and the most of them that were there at a time.

    Args:
        model: its weights do not count.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.most = self._live = 0
        self._known = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if 'empty' not in str(func):  # what is not written to takes no memory
            for leaf in tree_leaves(made):
                if isinstance(leaf, torch.Tensor):
                    self._count(leaf)
        return made

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), min(tensor.nbytes, storage.nbytes())
        if size and place not in self._known:
            self._known.add(place)
            self._live += size
            self.most = max(self.most, self._live)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._live -= size


def bytes_per_token(trainer: Any, *, learns: bool) -> float:
    """What a pass needs at its fullest, for each token of a row.

    That is behind the model's head: on the way back the copies of the logits lie beside all that was kept on the way
    there. What comes after it is not run.

    Args:
        trainer: one of TRL's that has a fused head on its model.
        learns: whether the pass goes back, and is not one that only scores.
    """
    model = trainer.model
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    most = []
    for length in _PROBED:
        ids = torch.ones(1, length, dtype=torch.long, device=trainer.accelerator.device)
        with _LiveBytes(model) as live, torch.set_grad_enabled(learns), trainer.accelerator.autocast():
            outputs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
            if learns:
                torch.autograd.grad(outputs.loss, trained[-1])
        del outputs
        most.append(live.most)
    taken = ALLOCATED_ON_CPU if trainer.accelerator.device.type == 'cpu' else 1.0
    return taken * (most[1] - most[0]) / (_PROBED[1] - _PROBED[0])


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
