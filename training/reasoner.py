"""The embedded reasoner before it has learnt anything: a small Qwen2 with heads set by hand to look back and to copy.

From a plain initialisation so small a model needs far more data than it is worth to discover copying. Heads that attend
one, two and three tokens back (through biases under the rotary embedding) and one induction head give it a start; what
training makes of them is free, and the checkpoint is a stock Qwen2.
"""

from __future__ import annotations

import math
import pathlib

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from embodied_r_ros.core.compact import BOS, EOS, PAD, UNKNOWN, vocabulary

CHAT_TEMPLATE = "{{ '<s> ' + messages[-1]['content'] }}"
LONGEST = 1536
ROPE_THETA = 1e6


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word of the compact language, split at white space."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary())}, unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side='left',
        model_max_length=LONGEST,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(hidden: int = 128, layers: int = 4, heads: int = 4, seed: int = 0) -> Qwen2ForCausalLM:
    """A Qwen2 of random weights with hand-set look-back and induction heads.

    Args:
        hidden: width; the feed-forward width is 8/3 of it, rounded down to a multiple of 32.
        layers: depth, at least 2.
        heads: attention heads, each with its own keys and values.
        seed: of the random weights.
    """
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(vocabulary()),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=vocabulary().index(BOS),
        eos_token_id=vocabulary().index(EOS),
        pad_token_id=vocabulary().index(PAD),
        initializer_range=0.04,
        rope_parameters={'rope_type': 'default', 'rope_theta': ROPE_THETA},
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        _set_look_back_heads(model)
        _set_induction_head(model)
    return model


def _set_look_back_heads(model: Qwen2ForCausalLM, strength: float = 8.0, frequencies: int = 6) -> None:
    """Let heads 0, 1, 2 of the first layer attend 1, 2, 3 tokens back: constant queries and keys, rotated into line."""
    attention, size = model.model.layers[0].self_attn, _head_size(model)
    for head, offset in enumerate((1, 2, 3)):
        rows = slice(head * size, (head + 1) * size)
        for projection in (attention.q_proj, attention.k_proj):
            projection.weight[rows] *= 0.1
            projection.bias[rows] = 0.0
        for index in range(frequencies):
            angle = offset * ROPE_THETA ** (-2 * index / size)
            cosine_row, sine_row = head * size + index, head * size + index + size // 2
            attention.k_proj.bias[cosine_row] = strength
            attention.q_proj.bias[cosine_row] = strength * math.cos(angle)
            attention.q_proj.bias[sine_row] = -strength * math.sin(angle)
        attention.o_proj.weight[:, rows] *= 0.5


def _set_induction_head(model: Qwen2ForCausalLM, sharpness: float = 25.0, gain: float = 1.8) -> None:
    """Head 0 of layer 0 writes the previous token into a free part of the residual; head 0 of layer 1 looks it up."""
    hidden, size, std = model.config.hidden_size, _head_size(model), model.config.initializer_range
    free = hidden - size
    generator = torch.Generator().manual_seed(0)
    head = slice(0, size)
    for layer in model.model.layers:
        layer.mlp.down_proj.weight *= 0.4
    model.model.embed_tokens.weight[:, free:] = 0.0
    previous = torch.randn(size, free, generator=generator) / math.sqrt(free)
    first = model.model.layers[0].self_attn
    first.v_proj.weight[head] = 0.0
    first.v_proj.weight[head, :free] = previous
    first.v_proj.bias[head] = 0.0
    first.o_proj.weight[:, head] = 0.0
    first.o_proj.weight[free:, head] = torch.eye(size) * std
    first.o_proj.weight[free:, size:] = 0.0
    model.model.layers[0].mlp.down_proj.weight[free:] = 0.0
    second = model.model.layers[1].self_attn
    for projection in (second.q_proj, second.k_proj):
        projection.weight[head] = 0.0
        projection.bias[head] = 0.0
    slow = [row for row in range(size) if row % (size // 2) >= size // 4]
    for index, row in enumerate(slow):
        second.k_proj.weight[row, free + index] = math.sqrt(sharpness)
        second.q_proj.weight[row, :free] = previous[index] * math.sqrt(sharpness)
    copied = torch.randn(size, free, generator=generator) / math.sqrt(free)
    second.v_proj.weight[head] = 0.0
    second.v_proj.weight[head, :free] = copied
    second.o_proj.weight[:, head] = 0.0
    second.o_proj.weight[:free, head] = copied.T * gain


def _head_size(model: Qwen2ForCausalLM) -> int:
    return int(model.config.hidden_size // model.config.num_attention_heads)


def save(model: Qwen2ForCausalLM, folder: pathlib.Path) -> None:
    """Write the model and its tokenizer as a Hugging Face folder.

    The tokenizer stands in the sub-folder `tokenizer` once more: beside a Qwen2 config.json, transformers reads any
    tokenizer as Qwen2's own, so servers are pointed there (`vllm serve FOLDER --tokenizer FOLDER/tokenizer`).
    """
    model.config.use_cache = True  # trainers turn it off
    model.save_pretrained(folder)
    for place in (folder, folder / 'tokenizer'):
        make_tokenizer().save_pretrained(place)
