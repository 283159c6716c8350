"""The embedded reasoner as a language model: prompt, stops, streaming, sampling, cancel."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time

import numpy as np
import pytest
from tiny_models import SPECIAL, chain_folder, random_folder, tokenizer_json

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.adapters.qwen2_numpy import Qwen2Numpy
from embodied_r_ros.adapters.tokenizer import WordTokenizer
from embodied_r_ros.core.errors import BackendRefused, BackendUnavailable, SettingsError
from embodied_r_ros.core.records import Generation, Message

REPLY = '<think> the sofa is left </think> <answer> to-my-left </answer>'


def request(text, **changes):
    return Generation(
        messages=(Message(role='system', content='ignored'), Message(role='user', content=text)), **changes
    )


def generate(model, text, on_text=None, **changes):
    return asyncio.run(model.generate(request(text, **changes), on_text))


@pytest.fixture
def chain(tmp_path):
    return NumpyLanguageModel(chain_folder(tmp_path / 'chain', {'where': REPLY + ' after', 'when': 'it was now'}))


@pytest.fixture
def model(tmp_path):
    return NumpyLanguageModel(random_folder(tmp_path / 'random', eos_token_id=None))


def test_replies_up_to_the_end_of_the_answer(chain):
    completion = generate(chain, 'some words where')
    assert completion.text == REPLY
    assert completion.tokens == len(REPLY.split())
    assert completion.latency_s > 0.0
    assert completion.reasoning == ''
    assert chain.name == 'chain'


def test_an_end_token_ends_the_reply_and_is_left_out(chain):
    assert generate(chain, 'when').text == 'it was now'


def test_max_tokens_ends_the_reply(chain):
    completion = generate(chain, 'where', max_tokens=3)
    assert (completion.text, completion.tokens) == ('<think> the sofa', 3)


@pytest.mark.parametrize(
    ('stop', 'text'),
    [
        pytest.param('</think>', '<think> the sofa is left </think>', id='a word'),
        pytest.param('sofa is', '<think> the sofa is', id='across words'),
        pytest.param('o', '<think> the so', id='inside a word'),
        pytest.param('never', REPLY, id='never said'),
    ],
)
def test_a_stop_string_ends_the_reply_and_is_kept(chain, stop, text):
    pieces = []
    assert generate(chain, 'where', pieces.append, stop=(stop,)).text == text
    assert ''.join(pieces) == text


def test_the_prompt_is_the_begin_token_and_the_last_message(chain, tmp_path):
    seen = []
    chain.generate_ids = lambda ids, **_: seen.append(ids) or iter(())
    generate(chain, 'it was')
    tokenizer = WordTokenizer.from_file(tmp_path / 'chain' / 'tokenizer.json')
    assert [tokenizer.decode(ids) for ids in seen] == ['<s> it was']


def test_streams_word_by_word_in_the_event_loop(chain):
    pieces, threads = [], set()

    def on_text(piece):
        pieces.append(piece)
        threads.add(threading.current_thread())

    assert ''.join(itertools.chain([generate(chain, 'where', on_text).text])) == ''.join(pieces)
    assert pieces[:3] == ['<think>', ' the', ' sofa']
    assert threads == {threading.main_thread()}


def test_the_same_question_gets_the_same_reply_whatever_was_asked_before(model, tmp_path):
    prompts = [' '.join(f'w{(start * step) % 92}' for step in range(1, 90)) for start in (3, 3, 5, 3)]
    warm = [generate(model, prompt, max_tokens=40).text for prompt in prompts]
    cold = [generate(NumpyLanguageModel(tmp_path / 'random'), prompt, max_tokens=40).text for prompt in prompts]
    assert warm == cold
    assert warm[0] != warm[2]


def test_sampling_is_seeded(model):
    def sample(seed):
        return generate(model, 'w1 w2', temperature=1.0, seed=seed, max_tokens=12).text

    assert sample(4) == sample(4)
    assert len({sample(seed) for seed in range(8)}) == 8


@pytest.mark.parametrize('temperature', [0.5, 2.0])
def test_samples_follow_the_softmax_of_the_logits(model, tmp_path, temperature):
    logits = Qwen2Numpy(tmp_path / 'random').logits([1, 5, 9])[-1].astype(np.float64) / temperature
    wanted = np.exp(logits - logits.max())
    wanted /= wanted.sum()
    draws = [next(model.generate_ids([1, 5, 9], temperature=temperature, seed=seed)) for seed in range(800)]
    drawn = np.bincount(draws, minlength=96) / len(draws)
    # Half the summed difference; its expectation is below 0.5 * sqrt(96 / 800) = 0.17 for the flattest distribution.
    assert 0.5 * np.abs(drawn - wanted).sum() < 0.2


def test_a_low_temperature_comes_down_to_greedy(model):
    greedy = list(model.generate_ids([1, 5, 9], max_tokens=10))
    assert list(model.generate_ids([1, 5, 9], temperature=1e-6, seed=1, max_tokens=10)) == greedy


class HeldModel(NumpyLanguageModel):
    """Holds its first reply before the second token until it is let go.

    Attributes:
        tokens: tokens of all replies so far.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.tokens = 0
        self.speaks = threading.Event()
        self.let_go = threading.Event()

    def generate_ids(self, prompt, **options):
        for token in super().generate_ids(prompt, **options):
            self.tokens += 1
            yield token
            self.speaks.set()
            assert self.let_go.wait(10.0)

    async def until_it_speaks(self):
        assert await asyncio.to_thread(self.speaks.wait, 10.0)


@pytest.fixture
def held(tmp_path):
    return HeldModel(random_folder(tmp_path / 'random', eos_token_id=None))


def test_cancel_stops_the_model_at_the_next_token(held):
    async def cancel_one_and_ask_another():
        task = asyncio.create_task(held.generate(request('w1', max_tokens=400)))
        await held.until_it_speaks()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let_go.set()
        await held.generate(request('w2', max_tokens=1))

    asyncio.run(cancel_one_and_ask_another())
    assert held.tokens == 2 + 1


def test_requests_at_once_are_answered_one_after_another(model):
    async def ask_all():
        requests = [request(f'w{number}', max_tokens=5) for number in range(20)]
        return await asyncio.gather(*(model.generate(each) for each in requests))

    together = [completion.text for completion in asyncio.run(ask_all())]
    assert together == [generate(model, f'w{number}', max_tokens=5).text for number in range(20)]


def test_closing_ends_what_runs_and_refuses_more(held):
    async def close_while_running():
        task = asyncio.create_task(held.generate(request('w1', max_tokens=400)))
        waiting = asyncio.create_task(held.generate(request('w2')))
        await held.until_it_speaks()
        await held.aclose()
        held.let_go.set()
        return await asyncio.gather(task, waiting, held.generate(request('w3')), return_exceptions=True)

    for error in asyncio.run(close_while_running()):
        with pytest.raises(BackendUnavailable, match='must be open to answer, it was closed'):
            raise error
    assert held.tokens == 2


def test_the_context_bounds_prompt_and_reply(tmp_path):
    model = NumpyLanguageModel(random_folder(tmp_path, eos_token_id=None, max_position_embeddings=20))
    assert generate(model, ' '.join(['w1'] * 17)).tokens == 3
    assert generate(model, ' '.join(['w1'] * 19)).tokens == 1
    with pytest.raises(BackendRefused, match='must have 1 to 20 tokens, .* got 21; ask about a shorter window'):
        generate(model, ' '.join(['w1'] * 20))


def test_a_probe_of_a_loaded_model_passes(model):
    assert asyncio.run(model.probe()) is None


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        pytest.param(
            [f'w{number}' for number in range(93)], 'found token ids up to 96 for 96 embeddings', id='too many words'
        ),
        pytest.param(None, "must hold '<s>', which begins each prompt", id='no begin token'),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path, words, message):
    folder = random_folder(tmp_path)
    content = tokenizer_json(words or [])
    if words is None:
        content['added_tokens'] = []
        content['model']['vocab'] = {word: number for number, word in enumerate(SPECIAL) if word != '<s>'}
    (folder / 'tokenizer.json').write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=message):
        NumpyLanguageModel(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SettingsError, match='wanted a model folder .*nowhere'):
        NumpyLanguageModel(tmp_path / 'nowhere')


def test_a_long_reply_takes_no_longer_than_steering_allows(tmp_path):
    folder = random_folder(
        tmp_path, hidden_size=128, num_hidden_layers=4, num_key_value_heads=4, intermediate_size=320, eos_token_id=None
    )
    model = NumpyLanguageModel(folder)
    start_s = time.thread_time()  # other load on the machine does not count
    assert len(list(model.generate_ids([4, 5, 6], max_tokens=400))) == 400
    assert time.thread_time() - start_s < 2.0
