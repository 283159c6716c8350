"""Forward pass of a small Qwen2 language model in plain numpy, float32, with a cache of keys and values.

Arithmetic as in transformers' Qwen2ForCausalLM: RMS norm, rotary positions, biases on queries, keys and values,
grouped heads, SwiGLU, tied or untied embeddings. On loading, what can be done once is: norm gains and the attention
scale go into the matrices, biases become a row, queries, keys and values share a product, and each rotary pair is laid
out as one complex number.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embodied_r_ros.adapters.safetensors import read_safetensors
from embodied_r_ros.core.errors import SettingsError

Array = npt.NDArray[np.float32]

BLOCK_TOKENS = 64
MAX_CONTEXT = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class Qwen2Shape:
    """Sizes and constants of a model, from its config.json."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    context: int
    rope_theta: float
    epsilon: float
    tied: bool
    eos_ids: tuple[int, ...]

    @classmethod
    def from_folder(cls, folder: pathlib.Path) -> Qwen2Shape:
        """Read config.json of a Hugging Face folder, as transformers 4 or 5 writes it.

        Raises:
            SettingsError: there is none, or it is not a Qwen2 language model that this file can compute.
        """
        config = read_config(folder)
        rope = config.get('rope_parameters') or {}
        scaling = config.get('rope_scaling') or rope
        for name, wanted, found in (
            ('architectures', ['Qwen2ForCausalLM'], config.get('architectures')),
            ('hidden_act', 'silu', config.get('hidden_act', 'silu')),
            ('use_sliding_window', False, config.get('use_sliding_window') or False),
            ('rope_type', 'default', scaling.get('rope_type', scaling.get('type', 'default'))),
        ):
            if found != wanted:
                raise SettingsError(f'the reasoner in {str(folder)!r} must have {name} {wanted!r}, found {found!r}')
        eos = config.get('eos_token_id')
        try:
            heads = int(config['num_attention_heads'])
            shape = cls(
                vocabulary=int(config['vocab_size']),
                hidden=int(config['hidden_size']),
                layers=int(config['num_hidden_layers']),
                heads=heads,
                kv_heads=int(config.get('num_key_value_heads') or heads),
                head_dim=int(config.get('head_dim') or config['hidden_size'] // heads),
                intermediate=int(config['intermediate_size']),
                context=min(int(config['max_position_embeddings']), MAX_CONTEXT),
                rope_theta=float(rope.get('rope_theta') or config.get('rope_theta') or 10000.0),
                epsilon=float(config.get('rms_norm_eps', 1e-6)),
                tied=bool(config.get('tie_word_embeddings', False)),
                eos_ids=tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise SettingsError(
                f'{str(folder / "config.json")!r} must give the sizes of a Qwen2 model, found no usable {error}'
            ) from error
        if shape.heads % shape.kv_heads or shape.head_dim % 2:
            raise SettingsError(
                f'{str(folder / "config.json")!r} must have an even head size and heads in equal groups, found head '
                f'size {shape.head_dim!r}, {shape.heads!r} heads, {shape.kv_heads!r} key-value heads'
            )
        return shape


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """config.json of a Hugging Face folder.

    Raises:
        SettingsError: the folder or the file is missing or unreadable.
    """
    if not folder.is_dir():
        raise SettingsError(
            f'wanted a model folder (config.json, model.safetensors, tokenizer.json) at {str(folder)!r}, found none'
        )
    try:
        config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SettingsError(f'wanted a readable config.json in {str(folder)!r}: {error}') from error
    if not isinstance(config, dict):
        raise SettingsError(f'config.json in {str(folder)!r} must be an object, found {config!r}')
    return config


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layer:
    qkv: Array  # (hidden + 1, (heads + 2 kv_heads) head_dim); the last row is the bias
    out: Array  # (heads head_dim, hidden)
    gate_up: Array  # (hidden, 2 intermediate)
    down: Array  # (intermediate, hidden)


class Qwen2Numpy:
    """A Qwen2 model over one sequence. Not thread-safe."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Read config.json and model.safetensors of a Hugging Face folder.

        Raises:
            SettingsError: a file is missing or of the wrong kind; a tensor is missing, of the wrong shape or not
                finite.
        """
        shape = self.shape = Qwen2Shape.from_folder(folder)
        self._load(_Tensors(folder / 'model.safetensors'))
        self._group = shape.heads // shape.kv_heads
        self._keys = np.empty((shape.layers, shape.kv_heads, shape.context, shape.head_dim), np.float32)
        self._values = np.empty_like(self._keys)
        self._rotations = _rotations(shape)
        self._ones = np.ones(shape.hidden + 1, np.float32)
        self._prefilled: list[int] = []

    def _load(self, tensors: _Tensors) -> None:
        shape = self.shape
        q_size, kv_size = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self._embedding = tensors.get('model.embed_tokens.weight', shape.vocabulary, shape.hidden)
        self._layers = []
        for number in range(shape.layers):
            at = f'model.layers.{number}.'
            gain = tensors.get(at + 'input_layernorm.weight', shape.hidden)
            parts = []
            for name, size, heads in (('q', q_size, shape.heads), ('k', kv_size, shape.kv_heads), ('v', kv_size, 0)):
                weight = tensors.get(f'{at}self_attn.{name}_proj.weight', size, shape.hidden) * gain
                bias = tensors.get(f'{at}self_attn.{name}_proj.bias', size)
                part = np.concatenate([weight, bias[:, None]], axis=1)
                if name == 'q':
                    part *= np.float32(1.0 / math.sqrt(shape.head_dim))
                parts.append(_pair_up(part, heads, shape.head_dim) if heads else part)
            gain = tensors.get(at + 'post_attention_layernorm.weight', shape.hidden)
            gate = tensors.get(at + 'mlp.gate_proj.weight', shape.intermediate, shape.hidden)
            up = tensors.get(at + 'mlp.up_proj.weight', shape.intermediate, shape.hidden)
            self._layers.append(
                _Layer(
                    qkv=_columns(np.concatenate(parts)),
                    out=_columns(tensors.get(at + 'self_attn.o_proj.weight', shape.hidden, q_size)),
                    gate_up=_columns(np.concatenate([gate, up]) * gain),
                    down=_columns(tensors.get(at + 'mlp.down_proj.weight', shape.hidden, shape.intermediate)),
                )
            )
        head = self._embedding
        if not shape.tied:
            head = tensors.get('lm_head.weight', shape.vocabulary, shape.hidden)
        self._head = _columns(head * tensors.get('model.norm.weight', shape.hidden))

    def prefill(self, ids: Sequence[int]) -> int:
        """Fill the cache for positions 0 to len(ids) - 1, keeping what the prompt before shares with this one.

        Positions are computed in blocks that begin at multiples of BLOCK_TOKENS, and only whole blocks (or a whole
        prompt) are kept, so that the numbers are bit for bit those of a cold run, whatever came before.

        Returns:
            How many positions were computed; the others were kept.
        """
        ids = list(ids)
        same = next((at for at, pair in enumerate(zip(ids, self._prefilled)) if pair[0] != pair[1]), None)
        if same is None:
            same = min(len(ids), len(self._prefilled))
        kept = same if same == len(ids) == len(self._prefilled) else same // BLOCK_TOKENS * BLOCK_TOKENS
        del self._prefilled[kept:]
        for start in range(kept, len(ids), BLOCK_TOKENS):
            block = ids[start : start + BLOCK_TOKENS]
            self._block(block, start)
            self._prefilled += block
        return len(ids) - kept

    def logits(self, ids: Sequence[int]) -> Array:
        """Logits at every position of a sequence, shape (len(ids), vocabulary): for tests and for scoring a text."""
        self._prefilled = []
        blocks = [self._block(ids[at : at + BLOCK_TOKENS], at) for at in range(0, len(ids), BLOCK_TOKENS)]
        return self._unit(np.concatenate(blocks)) @ self._head

    def step(self, token: int, position: int) -> Array:
        """Logits, shape (vocabulary,), for the token after `token` at `position`; the cache is full before it."""
        shape, group = self.shape, self._group
        rotation, end = self._rotations[position], position + 1
        q_size, kv_size = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        qk_size, width = q_size + kv_size, shape.intermediate
        inverse, epsilon = 1.0 / shape.hidden, shape.epsilon
        with_one = self._ones
        x = self._embedding[token].copy()
        for layer, keys, values in zip(self._layers, self._keys, self._values):
            np.multiply(x, 1.0 / math.sqrt(x.dot(x) * inverse + epsilon), out=with_one[:-1])
            qkv = with_one.dot(layer.qkv)
            pairs = qkv[:qk_size].view(np.complex64)
            np.multiply(pairs, rotation, out=pairs)
            keys[:, position] = qkv[q_size:qk_size].reshape(shape.kv_heads, shape.head_dim)
            values[:, position] = qkv[qk_size:].reshape(shape.kv_heads, shape.head_dim)
            query = qkv[:q_size].reshape(shape.kv_heads, group, shape.head_dim)
            scores = np.matmul(query, keys[:, :end].transpose(0, 2, 1))
            scores -= np.maximum.reduce(scores, axis=2, keepdims=True)
            np.exp(scores, out=scores)
            mixed = np.matmul(scores, values[:, :end])
            mixed /= np.add.reduce(scores, axis=2, keepdims=True)
            x += mixed.reshape(q_size).dot(layer.out)
            gate_up = (x * (1.0 / math.sqrt(x.dot(x) * inverse + epsilon))).dot(layer.gate_up)
            x += _swiglu(gate_up[:width], gate_up[width:]).dot(layer.down)
        x *= 1.0 / math.sqrt(x.dot(x) * inverse + epsilon)
        logits: Array = x.dot(self._head)
        return logits

    def _block(self, ids: Sequence[int], start: int) -> Array:
        """Hidden states before the last norm, shape (len(ids), hidden), of a block whose past is in the cache."""
        shape, count, end = self.shape, len(ids), start + len(ids)
        q_size, width = shape.heads * shape.head_dim, shape.intermediate
        qk_size = q_size + shape.kv_heads * shape.head_dim
        future = np.triu(np.full((count, end), -np.inf, np.float32), k=start + 1)
        x = self._embedding[np.asarray(ids, np.intp)]
        for layer, keys, values in zip(self._layers, self._keys, self._values):
            qkv = self._unit(x) @ layer.qkv[:-1] + layer.qkv[-1]
            pairs = np.ascontiguousarray(qkv[:, :qk_size]).view(np.complex64) * self._rotations[start:end]
            rotated = pairs.view(np.float32)
            heads = (count, shape.kv_heads, -1, shape.head_dim)
            keys[:, start:end] = rotated[:, q_size:].reshape(heads)[:, :, 0].transpose(1, 0, 2)
            values[:, start:end] = qkv[:, qk_size:].reshape(heads)[:, :, 0].transpose(1, 0, 2)
            query = rotated[:, :q_size].reshape(heads).transpose(1, 2, 0, 3)
            scores = query @ keys[:, None, :end].transpose(0, 1, 3, 2) + future
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            mixed = scores @ values[:, None, :end] / scores.sum(axis=-1, keepdims=True)
            x = x + mixed.transpose(2, 0, 1, 3).reshape(count, q_size) @ layer.out
            gate_up = self._unit(x) @ layer.gate_up
            x = x + _swiglu(gate_up[:, :width], gate_up[:, width:]) @ layer.down
        return x

    def _unit(self, x: Array) -> Array:
        """RMS norm over the last axis, without its gain."""
        scale: Array = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(self.shape.epsilon))
        return x * scale


class _Tensors:
    """The tensors of a file, each held against the shape that the config wants."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._tensors: Mapping[str, Array] = read_safetensors(path)

    def get(self, name: str, *shape: int) -> Array:
        if name not in self._tensors:
            raise SettingsError(f'wanted tensor {name!r} of shape {shape!r} in {str(self._path)!r}, found none')
        tensor = self._tensors[name]
        if tensor.shape != shape:
            raise SettingsError(
                f'tensor {name!r} in {str(self._path)!r} must have shape {shape!r}, found {tensor.shape!r}'
            )
        if not np.isfinite(tensor).all():
            raise SettingsError(f'tensor {name!r} in {str(self._path)!r} must be finite, found NaN or infinity')
        return tensor


def _columns(weight: Array) -> Array:
    """A torch weight (out, in) as a contiguous (in, out)."""
    return np.ascontiguousarray(weight.T, np.float32)


def _pair_up(weight: Array, heads: int, head_dim: int) -> Array:
    """Reorder each head's rows from (i, i + half) halves to neighbours, so that a rotary pair is one complex number."""
    halves = weight.reshape(heads, 2, head_dim // 2, -1)
    return np.ascontiguousarray(halves.transpose(0, 2, 1, 3)).reshape(weight.shape)


def _rotations(shape: Qwen2Shape) -> npt.NDArray[np.complex64]:
    """Rotary factors, shape (context, (heads + kv_heads) head_dim / 2), for queries and keys of all heads."""
    exponents = np.arange(0, shape.head_dim, 2) / shape.head_dim
    frequencies = (shape.rope_theta**-exponents).astype(np.float32)
    angles = np.arange(shape.context, dtype=np.float32)[:, None] * frequencies
    factors = np.cos(angles) + 1j * np.sin(angles)
    return np.tile(factors.astype(np.complex64), (1, shape.heads + shape.kv_heads))


def _swiglu(gate: Array, up: Array) -> Array:
    # A gate below -88 overflows to infinity here, and gives the zero that it should.
    with np.errstate(over='ignore'):
        divisor: Array = np.exp(-gate)
    divisor += 1.0
    result: Array = gate * up
    result /= divisor
    return result
