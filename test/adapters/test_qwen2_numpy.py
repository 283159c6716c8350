"""The Qwen2 forward pass in numpy, held against transformers."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from tiny_models import random_folder, random_tensors, write_safetensors

from embodied_r_ros.adapters.qwen2_numpy import BLOCK_TOKENS, Qwen2Numpy, Qwen2Shape
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.share import share_dir

SHAPES = [
    pytest.param({}, id='grouped heads, tied'),
    pytest.param({'num_key_value_heads': 4, 'tie_word_embeddings': False}, id='full heads, untied'),
    pytest.param(
        {'num_key_value_heads': 1, 'rope_parameters': None, 'rope_theta': 1e6}, id='one key head, older config'
    ),
]


@pytest.fixture
def folder(tmp_path):
    return random_folder(tmp_path / 'model')


def change(folder, **changes):
    path = folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def by_steps(model, ids, start):
    return np.stack([model.step(ids[position], position) for position in range(start, len(ids))])


@pytest.mark.parametrize('changes', SHAPES)
def test_steps_and_blocks_agree(tmp_path, changes):
    model = Qwen2Numpy(random_folder(tmp_path, **changes))
    ids = np.random.default_rng(1).integers(0, 96, 3 * BLOCK_TOKENS + 5).tolist()
    whole = model.logits(ids)
    model.prefill(ids[:100])
    assert np.ptp(whole) > 1.0
    np.testing.assert_allclose(by_steps(model, ids, 100), whole[100:], atol=2e-5)


def test_a_later_token_does_not_change_earlier_logits(folder):
    model = Qwen2Numpy(folder)
    ids = list(range(80))
    before = model.logits(ids)
    after = model.logits([*ids[:-1], 90])
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert np.abs(before[-1] - after[-1]).max() > 0.01


@pytest.mark.parametrize('shared', [0, 1, 63, 64, 65, 130, 149, 150])
def test_what_came_before_changes_no_bit(folder, shared):
    rng = np.random.default_rng(shared)
    first, second = rng.integers(0, 96, (2, 151)).tolist()
    second[:shared] = first[:shared]
    warm, cold = Qwen2Numpy(folder), Qwen2Numpy(folder)
    warm.prefill(first[:150])
    by_steps(warm, first, 150)
    warm.prefill(second[:150])
    cold.prefill(second[:150])
    np.testing.assert_array_equal(by_steps(warm, second, 150), by_steps(cold, second, 150))


def test_a_shared_beginning_is_not_computed_again(folder):
    model = Qwen2Numpy(folder)
    prompts = (range(90), range(90), range(95), [*range(70), 0], range(40))
    assert [model.prefill(ids) for ids in prompts] == [90, 0, 31, 7, 40]


def test_the_cache_is_bounded_by_the_context(folder):
    change(folder, max_position_embeddings=10**9)
    assert Qwen2Shape.from_folder(folder).context == 8192


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param(
            {'architectures': ['LlamaForCausalLM']}, r"\['Qwen2ForCausalLM'\], found \['LlamaForCausalLM'\]", id='llama'
        ),
        pytest.param({'architectures': None}, 'architectures .* found None', id='no architecture'),
        pytest.param({'hidden_act': 'gelu'}, "hidden_act 'silu', found 'gelu'", id='activation'),
        pytest.param({'use_sliding_window': True}, 'use_sliding_window False, found True', id='sliding window'),
        pytest.param({'rope_parameters': {'rope_type': 'yarn'}}, "rope_type 'default', found 'yarn'", id='yarn'),
        pytest.param({'rope_scaling': {'type': 'linear'}}, "found 'linear'", id='linear scaling, older config'),
        pytest.param({'hidden_size': 'wide'}, 'must give the sizes of a Qwen2 model', id='not a number'),
        pytest.param({'num_attention_heads': 0}, 'must give the sizes of a Qwen2 model', id='no heads'),
        pytest.param(
            {'num_key_value_heads': 3}, 'heads in equal groups, found .* 3 key-value heads', id='uneven groups'
        ),
        pytest.param({'hidden_size': 12}, 'even head size .* found head size 3', id='odd head size'),
        pytest.param(
            {'intermediate_size': 32},
            r"gate_proj.weight' in .* must have shape \(32, 16\), found \(24, 16\)",
            id='shape',
        ),
        pytest.param(
            {'num_hidden_layers': 3}, "wanted tensor 'model.layers.2.input_layernorm.weight'", id='missing layer'
        ),
        pytest.param({'tie_word_embeddings': False}, "wanted tensor 'lm_head.weight'", id='missing head'),
    ],
)
def test_a_model_of_the_wrong_kind_is_refused(folder, changes, message):
    change(folder, **changes)
    with pytest.raises(SettingsError, match=message):
        Qwen2Numpy(folder)


def test_a_missing_folder_and_config_are_named(tmp_path):
    with pytest.raises(SettingsError, match='wanted a model folder .* at .*nowhere.*found none'):
        Qwen2Numpy(tmp_path / 'nowhere')
    with pytest.raises(SettingsError, match='wanted a readable config.json'):
        Qwen2Numpy(tmp_path)
    (tmp_path / 'config.json').write_text('[1]')
    with pytest.raises(SettingsError, match=r'must be an object, found \[1\]'):
        Qwen2Numpy(tmp_path)


def test_weights_that_are_not_finite_are_refused(folder):
    tensors = random_tensors(json.loads((folder / 'config.json').read_text()))
    tensors['model.norm.weight'][3] = np.nan
    write_safetensors(folder / 'model.safetensors', tensors)
    with pytest.raises(SettingsError, match="'model.norm.weight' .* must be finite"):
        Qwen2Numpy(folder)


def reference(folder, dtype='float32'):
    pytest.importorskip('torch').set_num_threads(1)
    transformers = pytest.importorskip('transformers')
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


@pytest.mark.torch
@pytest.mark.parametrize('changes', SHAPES)
def test_logits_equal_those_of_transformers(tmp_path, changes):
    model = reference(random_folder(tmp_path, **changes))
    ids = np.random.default_rng(2).integers(0, 96, 300).tolist()
    torch = pytest.importorskip('torch')
    with torch.no_grad():
        wanted = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(Qwen2Numpy(tmp_path).logits(ids), wanted, atol=1e-4)


@pytest.mark.torch
def test_reads_what_transformers_saves(tmp_path):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    config = transformers.Qwen2Config(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rope_parameters={'rope_type': 'default', 'rope_theta': 1e6},
        tie_word_embeddings=True, eos_token_id=2, initializer_range=0.2,
    )  # fmt: skip
    model = transformers.Qwen2ForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    ids = list(range(50))
    with torch.no_grad():
        wanted = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(Qwen2Numpy(tmp_path).logits(ids), wanted, atol=1e-4)


def real_folder() -> pathlib.Path:
    folder = share_dir() / 'data' / 'reasoner'
    if not (folder / 'model.safetensors').is_file():
        pytest.skip(f'no weights in {folder}')
    return folder


@pytest.mark.torch
@pytest.mark.parametrize('source', ['random', 'embedded'])
def test_greedy_tokens_of_200_prompts_equal_those_of_transformers(tmp_path, source):
    folder = random_folder(tmp_path, seed=7) if source == 'random' else real_folder()
    ours, theirs, rng = Qwen2Numpy(folder), reference(folder), np.random.default_rng(3)
    torch = pytest.importorskip('torch')
    for _ in range(200):
        prompt = rng.integers(3, ours.shape.vocabulary, rng.integers(2, 120)).tolist()
        with torch.inference_mode():
            wanted = theirs.generate(
                torch.tensor([prompt]), do_sample=False, max_new_tokens=24, eos_token_id=-1, pad_token_id=0
            )[0].tolist()
        ours.prefill(prompt[:-1])
        ids = list(prompt)
        while len(ids) < len(wanted):
            ids.append(int(ours.step(ids[-1], len(ids) - 1).argmax()))
        assert ids == wanted
