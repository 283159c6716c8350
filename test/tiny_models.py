"""Builders of small model folders for tests, written byte by byte, so that no test of numpy code needs torch."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np

SPECIAL = ('<pad>', '<s>', '</s>', '<unk>')
TEMPLATE = "{{ bos_token }} {{ messages[-1]['content'] }}"


def tokenizer_json(words: list[str], **changes: Any) -> dict[str, Any]:
    """The content of a tokenizer.json over some words, special tokens first."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *words))}
    plain = {'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True}
    added = [{'id': number, 'content': word, **plain} for number, word in enumerate(SPECIAL)]
    content = {
        'version': '1.0',
        'normalizer': None,
        'pre_tokenizer': {'type': 'WhitespaceSplit'},
        'model': {'type': 'WordLevel', 'vocab': vocabulary, 'unk_token': '<unk>'},
        'added_tokens': added,
        'decoder': None,
        'post_processor': None,
    }
    return {**content, **changes}


def write_safetensors(path: pathlib.Path, tensors: dict[str, np.ndarray], kinds: dict[str, str] | None = None) -> None:
    """Write a safetensors file; `kinds` names the format of tensors that are not F32."""
    table: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
    body = b''
    for name, tensor in tensors.items():
        kind = (kinds or {}).get(name, 'F32')
        raw = tensor.tobytes()
        table[name] = {'dtype': kind, 'shape': list(tensor.shape), 'data_offsets': [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(table).encode()
    path.write_bytes(len(head).to_bytes(8, 'little') + head + body)


def config_json(vocabulary: int, **changes: Any) -> dict[str, Any]:
    """The content of a config.json of a model of two layers."""
    config = {
        'architectures': ['Qwen2ForCausalLM'],
        'model_type': 'qwen2',
        'vocab_size': vocabulary,
        'hidden_size': 16,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'num_key_value_heads': 2,
        'intermediate_size': 24,
        'max_position_embeddings': 512,
        'rms_norm_eps': 1e-6,
        'rope_parameters': {'rope_type': 'default', 'rope_theta': 10000.0},
        'tie_word_embeddings': True,
        'eos_token_id': 2,
    }
    return {**config, **changes}


def random_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors of the shapes that a config wants."""
    rng = np.random.default_rng(seed)
    hidden, middle = config['hidden_size'], config['intermediate_size']
    head = hidden // config['num_attention_heads']
    narrow = head * config['num_key_value_heads']
    shapes: dict[str, tuple[int, ...]] = {'model.embed_tokens.weight': (config['vocab_size'], hidden)}
    for layer in range(config['num_hidden_layers']):
        at = f'model.layers.{layer}.'
        shapes[at + 'input_layernorm.weight'] = shapes[at + 'post_attention_layernorm.weight'] = (hidden,)
        for name, size in (('q', hidden), ('k', narrow), ('v', narrow)):
            shapes[f'{at}self_attn.{name}_proj.weight'] = (size, hidden)
            shapes[f'{at}self_attn.{name}_proj.bias'] = (size,)
        shapes[at + 'self_attn.o_proj.weight'] = (hidden, hidden)
        shapes[at + 'mlp.gate_proj.weight'] = shapes[at + 'mlp.up_proj.weight'] = (middle, hidden)
        shapes[at + 'mlp.down_proj.weight'] = (hidden, middle)
    shapes['model.norm.weight'] = (hidden,)
    if not config['tie_word_embeddings']:
        shapes['lm_head.weight'] = (config['vocab_size'], hidden)
    return {
        name: (rng.normal(0.0, 0.3, shape) + (1.0 if 'norm' in name else 0.0)).astype(np.float32)
        for name, shape in shapes.items()
    }


def write_folder(
    folder: pathlib.Path, config: dict[str, Any], tensors: dict[str, np.ndarray], words: list[str]
) -> pathlib.Path:
    """Write a Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'tokenizer.json').write_text(json.dumps(tokenizer_json(words)))
    write_safetensors(folder / 'model.safetensors', tensors)
    return folder


def with_template(folder: pathlib.Path, template: str | None = TEMPLATE) -> pathlib.Path:
    """Give a folder's tokenizer a chat template."""
    settings = {'tokenizer_class': 'PreTrainedTokenizerFast', 'chat_template': template}
    settings.update(zip(('pad_token', 'bos_token', 'eos_token', 'unk_token'), SPECIAL))
    (folder / 'tokenizer_config.json').write_text(json.dumps(settings))
    return folder


def random_folder(folder: pathlib.Path, seed: int = 0, **changes: Any) -> pathlib.Path:
    """A model of 96 words with random weights; `changes` go to its config."""
    words = [f'w{number}' for number in range(92)]
    config = config_json(len(words) + len(SPECIAL), **changes)
    return write_folder(folder, config, random_tensors(config, seed), words)


def foreign_folder(folder: pathlib.Path, **changes: Any) -> pathlib.Path:
    """As `random_folder`, with a tokenizer that is none of the compact language, and a chat template."""
    return make_foreign(with_template(random_folder(folder, **changes)))


def make_foreign(folder: pathlib.Path) -> pathlib.Path:
    """Give a folder a tokenizer that is none of the compact language, with the same words."""
    path = folder / 'tokenizer.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'normalizer': {'type': 'NFC'}}))
    return folder


def chain_folder(folder: pathlib.Path, replies: dict[str, str], **changes: Any) -> pathlib.Path:
    """A model that says, after a prompt that ends in a key of `replies`, the words of its value, then '</s>'.

    Its layers do nothing, so that the next word hangs on the last one alone; a word may follow one word only.
    """
    follows: dict[str, str] = {}
    for last, reply in replies.items():
        chain = [last, *reply.split(), '</s>']
        follows.update(zip(chain, chain[1:]))
    words = sorted({*follows, *follows.values()} - set(SPECIAL))
    number = {word: index for index, word in enumerate((*SPECIAL, *words))}
    size = -(-len(number) // 4) * 4
    config = config_json(len(number), hidden_size=size, num_hidden_layers=1, num_attention_heads=2, **changes)
    config.update(num_key_value_heads=2, tie_word_embeddings=False)
    tensors = {name: np.zeros_like(tensor) for name, tensor in random_tensors(config).items()}
    tensors['model.norm.weight'] += 1.0
    tensors['model.embed_tokens.weight'] += np.eye(len(number), size, dtype=np.float32)
    for before, after in follows.items():
        tensors['lm_head.weight'][number[after], number[before]] = 1.0
    return write_folder(folder, config, tensors, words)
