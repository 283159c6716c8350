"""The reasoner before it has learnt anything: its heads look back, it learns to copy at once, and others load it."""

from __future__ import annotations

import asyncio
import json

import pytest

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel  # noqa: E402
from embodied_r_ros.core.compact import BOS, EOS, PAD, vocabulary  # noqa: E402
from embodied_r_ros.core.records import Generation, Message  # noqa: E402
from training.reasoner import LONGEST, make_model, make_tokenizer, save  # noqa: E402
from training.sft import warm_up  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

PROMPT = 's0 start see n12 o0 right15deg 3m . s1 left 90deg . where q1 n12 : w4 ?'


@pytest.fixture(scope='module')
def model():
    return make_model(seed=0).eval()


@pytest.fixture(scope='module')
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp('reasoner')
    save(model, folder)
    return folder


def random_ids(rows, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(len(vocabulary()) - 8, generator=generator)[:length] + 8 for _ in range(rows)])


def attention(model, ids):
    """What each head of each layer attends: (layers, rows, heads, to, from)."""
    model.set_attn_implementation('eager')
    with torch.no_grad():
        return torch.stack(model(input_ids=ids, output_attentions=True).attentions)


@pytest.mark.parametrize('back', [1, 2, 3])
def test_the_first_heads_look_back_by_one_two_and_three_tokens(model, back):
    weights = attention(model, random_ids(4, 60))[0][:, back - 1]
    on_it = torch.diagonal(weights, offset=-back, dim1=1, dim2=2)
    assert on_it.mean() > 0.5
    assert (weights.argmax(-1)[:, back:] == torch.arange(60 - back)).float().mean() > 0.95


def test_the_induction_head_looks_at_what_followed_the_same_token_before(model):
    first = random_ids(4, 24)
    weights = attention(model, torch.cat([first, first], 1))[1][:, 0]
    looked_at = weights[:, 24:].argmax(-1)  # at its second occurrence, token i should look at place i + 1
    hits = (looked_at[:, :-1] == torch.arange(1, 24)).float().mean()
    assert hits > 0.25  # by chance 1 in 40; the rest is for the warm-up


def test_the_same_seed_gives_the_same_weights_and_another_others():
    small = {'hidden': 64, 'layers': 2, 'heads': 4}
    first, again, other = (make_model(**small, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_short_warm_up_teaches_it_to_copy_and_a_plain_model_nothing():
    model = make_model(hidden=64, layers=2, seed=0)
    plain = transformers.Qwen2ForCausalLM(model.config)
    assert warm_up(model, 60, seed=0) > 0.7
    assert warm_up(plain, 30, seed=0) < 0.05


@pytest.mark.slow
def test_a_short_warm_up_teaches_the_whole_model_to_copy():
    assert warm_up(make_model(seed=0), 60, seed=0) > 0.8


def test_it_is_small_and_takes_the_longest_prompts(model):
    assert sum(parameter.numel() for parameter in model.parameters()) < 1.2e6
    assert model.config.max_position_embeddings == LONGEST


def test_each_word_of_the_language_is_one_token():
    tokenizer, words = make_tokenizer(), vocabulary()
    assert tokenizer(PROMPT)['input_ids'] == [words.index(word) for word in PROMPT.split()]
    assert tokenizer('n12 sofa')['input_ids'] == [words.index('n12'), tokenizer.unk_token_id]
    assert tokenizer.decode(tokenizer(PROMPT)['input_ids']) == PROMPT


def test_a_chat_is_its_last_message_after_the_beginning_token():
    chat = [{'role': 'system', 'content': 'hm'}, {'role': 'user', 'content': PROMPT}]
    assert make_tokenizer().apply_chat_template(chat, tokenize=False) == f'{BOS} {PROMPT}'


def test_the_folder_loads_in_transformers(model, folder):
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert type(loaded).__name__ == 'Qwen2ForCausalLM'
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / 'tokenizer')
    assert tokenizer(PROMPT)['input_ids'] == make_tokenizer()(PROMPT)['input_ids']
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (BOS, EOS, PAD)


def test_the_config_names_the_special_tokens(folder):
    config, words = json.loads((folder / 'config.json').read_text()), vocabulary()
    assert [words[config[f'{name}_token_id']] for name in ('bos', 'eos', 'pad')] == [BOS, EOS, PAD]
    assert config['vocab_size'] == len(words)


def test_the_folder_is_served_in_numpy_with_the_same_tokens(model, folder):
    served = NumpyLanguageModel(folder)
    request = Generation(messages=(Message(role='user', content=PROMPT),), max_tokens=16)
    try:
        completion = asyncio.run(served.generate(request))
    finally:
        asyncio.run(served.aclose())
    ids = make_tokenizer()(f'{BOS} {PROMPT}', return_tensors='pt')['input_ids']
    with torch.no_grad():
        whole = model.generate(ids, max_new_tokens=16, do_sample=False)
    told = make_tokenizer().convert_ids_to_tokens(whole[0, ids.shape[1] :].tolist())
    assert completion.text.split() == told[: len(completion.text.split())]
    assert completion.tokens >= 1
