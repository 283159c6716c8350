"""The language model through transformers, on tiny models."""

from __future__ import annotations

import asyncio

import pytest
from tiny_models import chain_folder, random_folder, with_template

from embodied_r_ros.adapters import lm_transformers
from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.adapters.lm_transformers import TransformersLanguageModel
from embodied_r_ros.core.errors import BackendError, BackendRefused, BackendUnavailable, ReplyError, SettingsError
from embodied_r_ros.core.records import Generation, Message

REPLY = '<think> the sofa is left </think> <answer> to-my-left </answer>'

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread():
    pytest.importorskip('transformers')
    pytest.importorskip('torch').set_num_threads(1)


@pytest.fixture
def chain(tmp_path):
    folder = chain_folder(tmp_path / 'chain', {'where': REPLY + ' after', 'when': 'it was now'})
    return TransformersLanguageModel(with_template(folder), device='cpu')


def request(text, **changes):
    return Generation(messages=(Message(role='user', content=text),), **changes)


def generate(model, text, on_text=None, **changes):
    return asyncio.run(model.generate(request(text, **changes), on_text))


@pytest.mark.parametrize(
    ('prompt', 'changes', 'text'),
    [
        pytest.param('words where', {'stop': ('</answer>',)}, REPLY, id='stop string kept'),
        pytest.param('where', {'stop': ('is',)}, '<think> the sofa is', id='another stop string'),
        pytest.param('where', {'max_tokens': 3}, '<think> the sofa', id='max tokens'),
        pytest.param('when', {}, 'it was now', id='end token left out'),
    ],
)
def test_replies_and_streams(chain, prompt, changes, text):
    pieces = []
    assert generate(chain, prompt, pieces.append, **changes).text == text
    assert ''.join(pieces) == text


def test_a_reply_is_over_behind_its_answer_block(chain):
    assert generate(chain, 'where').text == REPLY


@pytest.mark.parametrize(
    ('prompt', 'changes', 'is_cut'),
    [
        pytest.param('when', {'max_tokens': 3}, True, id='max tokens'),
        pytest.param('when', {'max_tokens': 4}, False, id='end token'),
        pytest.param('where', {}, False, id='answer'),
        pytest.param('where', {'stop': ('is',), 'max_tokens': 4}, False, id='stop string'),
    ],
)
def test_a_reply_tells_whether_it_was_cut_off(chain, prompt, changes, is_cut):
    assert generate(chain, prompt, **changes).is_cut is is_cut


def test_a_model_that_repeats_itself_is_stopped(tmp_path):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')
    pieces = []
    with pytest.raises(ReplyError, match=r"the model repeats '.*w\d+.*' without end") as caught:
        generate(model, 'w1', pieces.append, max_tokens=500)
    assert len(caught.value.raw) < 1500
    assert ''.join(pieces) == caught.value.raw


def test_loading_and_answering_print_nothing(tmp_path, capfd):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path)), device='cpu')
    generate(model, 'w1', max_tokens=4)
    assert capfd.readouterr() == ('', '')


def test_says_the_same_as_numpy(tmp_path):
    folder = with_template(random_folder(tmp_path))
    ours, theirs = NumpyLanguageModel(folder), TransformersLanguageModel(folder, device='cpu')
    for number in range(10):
        prompt = ' '.join(f'w{(number * step) % 92}' for step in range(1, 30))
        assert generate(theirs, prompt, max_tokens=20).text == generate(ours, prompt, max_tokens=20).text


@pytest.mark.parametrize(('faster', 'same'), [('float32', True), ('bfloat16', False)])
def test_16_bits_become_32_on_a_cpu_that_is_faster_with_them(tmp_path, monkeypatch, faster, same):
    monkeypatch.setattr(lm_transformers, 'faster_dtype', lambda device: faster)
    ours = NumpyLanguageModel(with_template(random_folder(tmp_path / 'full', eos_token_id=None)))
    folder = with_template(random_folder(tmp_path / 'half', eos_token_id=None, dtype='bfloat16'))
    theirs = TransformersLanguageModel(folder, device='cpu')
    prompts = [' '.join(f'w{(number * step) % 92}' for step in range(1, 30)) for number in range(10)]
    said = [[generate(model, prompt, max_tokens=20).text for prompt in prompts] for model in (ours, theirs)]
    assert (said[0] == said[1]) is same


def test_sampling_is_seeded(tmp_path):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')

    def sample(seed):
        return generate(model, 'w1 w2', temperature=1.0, seed=seed, max_tokens=8).text

    assert sample(4) == sample(4)
    assert sample(4) != sample(5)


def all_at_once(model, requests):
    """What comes of requests that are made at the same time, errors among it."""

    async def ask():
        return await asyncio.gather(*map(model.generate, requests), return_exceptions=True)

    return asyncio.run(ask())


@pytest.fixture
def batches(monkeypatch):
    """A function that begins to count the rows of each batch, and lets the device hold so many of them."""
    from transformers import Qwen2ForCausalLM

    generate = Qwen2ForCausalLM.generate

    def count(most=100):
        counted = []

        def counting(self, *, input_ids, **others):
            counted.append(len(input_ids))
            if len(input_ids) > most:
                raise RuntimeError('CUDA out of memory')
            return generate(self, input_ids=input_ids, **others)

        monkeypatch.setattr(Qwen2ForCausalLM, 'generate', counting)
        return counted

    return count


def mixed_requests():
    """Greedy and sampled ones, of other lengths of prompt and reply."""
    for number in range(20):
        prompt = ' '.join(f'w{(number * step) % 92}' for step in range(1, 3 + 2 * number))
        yield request(prompt, temperature=float(number % 2), seed=number % 5, max_tokens=5 + number)


@pytest.mark.parametrize(
    'most', [pytest.param(100, id='as they come'), pytest.param(3, id='more than the device holds')]
)
def test_requests_that_wait_are_replied_to_side_by_side_as_they_are_alone(tmp_path, batches, most):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')
    asked = list(mixed_requests())
    alone = [asyncio.run(model.generate(one)) for one in asked]
    counted = batches(most)
    together = all_at_once(model, asked)
    assert counted[:4] == ([16, 8, 4, 2] if most == 100 else [16, 1, 1, 1])
    assert [(reply.text, reply.tokens, reply.is_cut) for reply in together] == [
        (reply.text, reply.tokens, reply.is_cut) for reply in alone
    ]


def test_one_that_is_refused_repeats_itself_or_is_given_up_leaves_the_others_their_replies(tmp_path):
    folder = with_template(random_folder(tmp_path, eos_token_id=None, max_position_embeddings=300))
    model = TransformersLanguageModel(folder, device='cpu')

    async def ask():
        asked = [request('w1', max_tokens=290), request('w1 ' * 400), request('w5', max_tokens=2), request('w9')]
        tasks = [asyncio.ensure_future(model.generate(one)) for one in asked]
        await asyncio.sleep(0)
        tasks[3].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    endless, refused, short, given_up = asyncio.run(ask())
    assert isinstance(endless, ReplyError)
    assert isinstance(refused, BackendRefused)
    assert short.text == generate(model, 'w5', max_tokens=2).text
    assert isinstance(given_up, asyncio.CancelledError)


def test_what_is_streamed_or_chosen_waits_for_no_other_reply(tmp_path, batches):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')
    counted = batches()
    pieces = []

    async def ask():
        short = request('w1', max_tokens=4)
        work = [model.generate(short), model.generate(short, pieces.append), model.generate(short)]
        chosen = model.generate(request('w1', options=('w3', 'w4')))
        return await asyncio.gather(*work, chosen, model.generate(short), model.generate(short))

    first, streamed, *_, chosen, _, last = asyncio.run(ask())
    assert first.text == streamed.text == last.text == ''.join(pieces)
    assert chosen.text in ('w3', 'w4')
    assert counted == [1, 1, 1, 2]


def test_cancel_stops_the_model(tmp_path):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')
    pieces = []

    async def cancel():
        task = asyncio.create_task(model.generate(request('w1', max_tokens=500), pieces.append))
        while not pieces:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.generate(request('w1', max_tokens=1))
        await model.aclose()
        with pytest.raises(BackendUnavailable, match='closed'):
            await model.generate(request('w1'))

    asyncio.run(cancel())
    assert len(pieces) < 100


def test_a_prompt_longer_than_the_context_is_refused(tmp_path):
    folder = with_template(random_folder(tmp_path, eos_token_id=None, max_position_embeddings=20))
    model = TransformersLanguageModel(folder, device='cpu')
    assert generate(model, ' '.join(['w1'] * 17)).tokens == 2
    with pytest.raises(BackendRefused, match='must have fewer than 20 tokens, .* got 20'):
        generate(model, ' '.join(['w1'] * 19))


def test_a_device_that_fails_is_a_backend_error(chain, monkeypatch):
    def out_of_memory(self, **_):
        raise RuntimeError('CUDA out of memory')

    monkeypatch.setattr('transformers.Qwen2ForCausalLM.generate', out_of_memory)
    with pytest.raises(BackendError, match="failed on 'cpu' at .* prompt tokens: CUDA out of memory"):
        generate(chain, 'where')


def test_a_tokenizer_without_chat_template_is_refused(tmp_path):
    with pytest.raises(SettingsError, match='must have a chat template, found none'):
        TransformersLanguageModel(with_template(random_folder(tmp_path), None), device='cpu')


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(SettingsError, match='a model folder with config.json was wanted'):
        TransformersLanguageModel(tmp_path, device='cpu')


def test_weights_that_cannot_be_loaded_are_refused(tmp_path):
    folder = with_template(random_folder(tmp_path))
    (folder / 'model.safetensors').write_bytes(b'none')
    with pytest.raises(SettingsError, match='wanted a causal language model that transformers loads'):
        TransformersLanguageModel(folder, device='cpu')


def test_of_several_options_the_likeliest_is_the_reply(tmp_path):
    model = TransformersLanguageModel(with_template(random_folder(tmp_path, eos_token_id=None)), device='cpu')
    for number in range(5):
        likeliest = generate(model, f'w{number} w7', max_tokens=1).text
        others = [f'w{other}' for other in range(20, 26) if f'w{other}' != likeliest]
        assert generate(model, f'w{number} w7', options=(*others, likeliest)).text == likeliest
