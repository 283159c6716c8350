"""GGUF files: what is in them comes out as a folder, and what is none is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

torch = pytest.importorskip('torch')
gguf = pytest.importorskip('gguf')

from embodied_r_ros.adapters.weights import prompt_format_of  # noqa: E402
from training import from_gguf  # noqa: E402
from training.model_folder import load_model, load_tokenizer  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

TEMPLATE = "{% for turn in messages %}{{ turn['content'] }}{% endfor %}"
HIDDEN, MIDDLE, HEADS, LETTERS = 32, 64, 4, [chr(number) for number in range(ord('a'), ord('z') + 1)]
WORDS = ['<s>', '</s>', *LETTERS, 'ab']


def write_gguf(path, template=TEMPLATE):
    """A Llama of one layer whose tokens are letters; returns its embedding."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, 'llama')
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(MIDDLE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model('gpt2')
    writer.add_token_list(WORDS)
    writer.add_token_types([3, 3, *[1] * (len(WORDS) - 2)])
    writer.add_token_merges(['a b'])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    if template:
        writer.add_chat_template(template)
    shapes = {'token_embd': (len(WORDS), HIDDEN), 'output_norm': (HIDDEN,)}
    shapes |= {f'blk.0.{name}_norm': (HIDDEN,) for name in ('attn', 'ffn')}
    shapes |= {f'blk.0.attn_{name}': (HIDDEN, HIDDEN) for name in ('q', 'k', 'v', 'output')}
    shapes |= {f'blk.0.ffn_{name}': (MIDDLE, HIDDEN) for name in ('gate', 'up')} | {'blk.0.ffn_down': (HIDDEN, MIDDLE)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(f'{name}.weight', tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors['token_embd']


@pytest.mark.parametrize(('words', 'exact'), [([], 0.0), (['--dtype', 'bfloat16'], 0.02)], ids=['float32', 'bfloat16'])
def test_a_file_becomes_a_folder_that_trainers_and_robot_load(words, exact, tmp_path, capsys):
    embedding = write_gguf(tmp_path / 'small.gguf')
    out = tmp_path / 'small'
    assert from_gguf.main([str(tmp_path / 'small.gguf'), '--out', str(out), *words]) == 0
    assert 'MB of weights' in capsys.readouterr().out
    model, tokenizer = load_model(out, torch.float32), load_tokenizer(out)
    found = model.get_input_embeddings().weight.detach().numpy()
    assert np.abs(found - embedding).max() <= exact
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer('cab', add_special_tokens=False)['input_ids'] == [WORDS.index('c'), WORDS.index('ab')]
    assert prompt_format_of(out) == 'paper'
    assert 'quantization_config' not in json.loads((out / 'config.json').read_text())


@pytest.mark.parametrize(
    ('name', 'write', 'message'),
    [
        ('missing.gguf', None, "a GGUF file was wanted, '.*missing.gguf' is none; name a file that ends in .gguf"),
        ('small.bin', lambda path: path.write_bytes(b'GGUF'), "a GGUF file was wanted, '.*small.bin' is none"),
        ('small.gguf', lambda path: path.write_bytes(b'none'), 'a GGUF file of a model that transformers knows was'),
        ('small.gguf', lambda path: write_gguf(path, ''), 'a model with a chat template was wanted, .* has none'),
    ],
    ids=['missing', 'another file', 'damaged', 'no chat template'],
)
def test_what_is_no_model_to_chat_with_is_refused(name, write, message, tmp_path, capsys):
    if write:
        write(tmp_path / name)
    assert from_gguf.main([str(tmp_path / name), '--out', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert re.search(f'^training.from_gguf: {message}', error, re.MULTILINE), error
    assert not (tmp_path / 'out').exists()


def test_a_folder_that_exists_is_not_written_over(tmp_path, capsys):
    write_gguf(tmp_path / 'small.gguf')
    (tmp_path / 'out').mkdir()
    assert from_gguf.main([str(tmp_path / 'small.gguf'), '--out', str(tmp_path / 'out')]) == 2
    assert 'a folder that does not exist yet was wanted' in capsys.readouterr().err
