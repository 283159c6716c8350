"""A real model server. Its words may be noise; its protocol, image handling, limits and errors are what is tested.

EMBODIED_R_TEST_VLM_URL=http://127.0.0.1:8101/v1 EMBODIED_R_TEST_VLM_MODEL=vl      (served with two images a prompt)
EMBODIED_R_TEST_LM_URL=http://127.0.0.1:8102/v1  EMBODIED_R_TEST_LM_MODEL=lm
python -m pytest -m vllm
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import time

import cv2
import httpx
import numpy as np
import pytest

from embodied_r_ros.adapters.lm import drive
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.adapters.openai_http import LM_KEY, VLM_KEY, OpenAIClient
from embodied_r_ros.adapters.perception_openai import OpenAIPerceiver, _message
from embodied_r_ros.core.errors import BackendRefused, BackendTimeout, ReplyError
from embodied_r_ros.core.models import PerceptionModel, ServerSettings
from embodied_r_ros.core.motion import ACTIONS
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.reasoning import ReasoningSettings, answer, failure
from embodied_r_ros.core.records import EncodedImage, Generation, KeyFrame, Message, Question
from embodied_r_ros.evaluation.phrase_reader import from_words

pytestmark = pytest.mark.vllm


def settings(which):
    url = os.environ.get(f'EMBODIED_R_TEST_{which}_URL', '')
    if not url:
        pytest.skip(f'EMBODIED_R_TEST_{which}_URL names no model server')
    return ServerSettings(url=url, model=os.environ.get(f'EMBODIED_R_TEST_{which}_MODEL', ''), timeout_s=120.0)


@pytest.fixture
def vlm():
    return settings('VLM')


@pytest.fixture
def lm():
    return settings('LM')


def use(thing, task):
    async def main():
        try:
            await thing.probe()
            return await task(thing)
        finally:
            await thing.aclose()

    return asyncio.run(main())


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    _, data = cv2.imencode('.jpg', cv2.resize(pixels, (320, 240), interpolation=cv2.INTER_NEAREST))
    return EncodedImage(data=data.tobytes())


def frame(index, seed):
    return KeyFrame(session=1, index=index, stamp_ns=index, frame_id='cam', image=picture(seed), reason='overlap')


def chat(server, images, text, on_text=None, **options):
    client = OpenAIClient(server, VLM_KEY)
    return use(client, lambda c: c.chat([_message([picture(i) for i in range(images)], text)], on_text, **options))


def test_two_images_are_taken(vlm):
    reply = chat(vlm, 2, 'What changed?', max_tokens=8)
    assert reply.tokens == 8 and reply.finish_reason == 'length'


def test_structured_output_has_the_schemas_form(vlm):
    schema = {'type': 'object', 'properties': {'action': {'enum': list(ACTIONS)}}, 'required': ['action'],
              'additionalProperties': False}  # fmt: skip
    form = {'type': 'json_schema', 'json_schema': {'name': 'x', 'strict': True, 'schema': schema}}
    reply = chat(vlm, 2, 'Which move?', max_tokens=512, response_format=form)
    assert reply.finish_reason == 'stop'
    assert json.loads(reply.text)['action'] in ACTIONS


def test_a_pair_of_key_frames_is_described(vlm):
    perceiver = OpenAIPerceiver(PerceptionModel(backend='openai', server=vlm, temperature=1.0, max_tokens=1024))
    got = use(perceiver, lambda p: p.describe(frame(0, 1), frame(1, 2)))
    assert got.action in ACTIONS and got.text and got.latency_s > 0.0


def test_streaming_comes_in_pieces(vlm):
    pieces = []
    reply = chat(vlm, 1, 'Describe.', pieces.append, max_tokens=64, seed=1, temperature=1.0)
    assert len(pieces) > 5 and ''.join(pieces) == reply.text and reply.tokens == 64


@pytest.mark.parametrize('streamed', [False, True])
def test_log_probabilities_come_with_each_token(vlm, streamed):
    reply = chat(vlm, 1, 'Describe.', (lambda piece: None) if streamed else None, max_tokens=6, logprobs=True)
    assert len(reply.logprobs) == reply.tokens == 6
    assert all(logprob <= 0.0 and math.isfinite(logprob) for _, logprob in reply.logprobs)


def test_too_many_images_are_refused_with_the_remedy(vlm):
    with pytest.raises(BackendRefused, match=r'HTTP 400: At most 2 image.*--limit-mm-per-prompt'):
        chat(vlm, 3, 'Describe.', max_tokens=4)


def test_an_over_long_prompt_is_refused_with_the_remedy(vlm):
    with pytest.raises(BackendRefused, match=r'HTTP 400: .*maximum context length.*lower max_observations'):
        chat(vlm, 1, 'word ' * 20000, max_tokens=4)


def test_an_unknown_model_is_named_with_those_served(vlm):
    client = OpenAIClient(ServerSettings(url=vlm.url, model='no-such-model'), VLM_KEY)
    with pytest.raises(BackendRefused, match="model 'no-such-model' was wanted, .* serves: "):
        use(client, lambda c: c.chat([]))


def test_the_focus_pass_finds_its_images_in_the_prefix_cache(vlm):
    def cached_tokens():
        text = httpx.get(vlm.url.removesuffix('/v1') + '/metrics', timeout=10.0).text
        found = re.findall(r'^vllm:prefix_cache_hits_total\{.*\} (\S+)$', text, re.MULTILINE)
        return sum(map(float, found)) if found else pytest.skip('the server counts no prefix cache hits')

    async def both(perceiver):
        seed = time.time_ns() % 2**31
        await perceiver.describe(frame(0, seed), frame(1, seed + 1))
        before = cached_tokens()
        await perceiver.focus(frame(0, seed), frame(1, seed + 1), 'Where is the sofa?')
        return cached_tokens() - before

    perceiver = OpenAIPerceiver(PerceptionModel(backend='openai', server=vlm, temperature=1.0, max_tokens=256))
    assert use(perceiver, both) >= 256


WINDOW = [
    from_words(session=1, index=i, stamp_ns=i, action='moved forward 1.00 m', text=f'thing {i}') for i in range(8)
]


def ask(server, question, window=WINDOW, **options):
    model = OpenAILanguageModel(server)

    async def think(model):
        steps = answer(question, window, PaperFormat(), ReasoningSettings(**{'max_tokens': 64, **options}), model.name)
        return await drive(steps, model)

    return use(model, think)


def test_noise_for_a_thought_is_bad_reply_and_keeps_the_raw_text(lm):
    with pytest.raises(ReplyError) as caught:
        ask(lm, Question(text='Which was first?', choices=('thing 1', 'thing 2'), votes=3))
    assert caught.value.raw and failure(caught.value).error_code.name == 'BAD_REPLY'


def test_an_over_long_thought_prompt_is_refused_with_the_remedy(lm):
    window = [from_words(session=1, index=i, stamp_ns=i, action='', text='word ' * 2000) for i in range(32)]
    with pytest.raises(BackendRefused, match='lower max_observations'):
        ask(lm, Question(text='Which was first?'), window)


def test_the_reasoner_streams_and_counts(lm):
    request = Generation(messages=(Message(role='user', content='hello'),), max_tokens=48, temperature=1.0, seed=1)
    pieces = []
    got = use(OpenAILanguageModel(lm), lambda model: model.generate(request, pieces.append))
    assert ''.join(pieces) == got.reasoning + got.text and 0 < got.tokens <= 48


def test_a_stop_string_is_kept(lm):
    request = Generation(messages=(Message(role='user', content='hello'),), max_tokens=200, temperature=1.0, seed=1)
    model = OpenAILanguageModel(lm)

    async def twice(model):
        whole = (await model.generate(request)).text
        stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
        return whole, stop, (await model.generate(Generation(**{**vars(request), 'stop': (stop,)}))).text

    whole, stop, cut = use(model, twice)
    assert cut == whole[: whole.index(stop)] + stop


def test_the_deadline_holds_against_a_working_server(lm):
    async def late(client):
        start_s = time.monotonic()
        with pytest.raises(BackendTimeout, match='within timeout_s'):
            await client.chat([{'role': 'user', 'content': 'hello'}], max_tokens=3500, ignore_eos=True)
        return time.monotonic() - start_s

    client = OpenAIClient(ServerSettings(url=lm.url, model=lm.model, timeout_s=0.5), LM_KEY)
    assert use(client, late) < 0.8
