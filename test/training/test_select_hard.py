"""Selecting hard examples: the questions on which sampled answers differ are kept."""

from __future__ import annotations

import asyncio

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.models import ServerSettings, prompt_format
from embodied_r_ros.evaluation.samples import read_samples, write_samples
from training import select_hard

pytestmark = pytest.mark.system

ANSWERS = {'always': 'AAAAAAAA', 'never': 'BBBBBBBB', 'sometimes': 'AAABBBBB'}


def sample(name):
    observed = [{'stamp_ns': 1, 'action': '', 'text': 'a sofa'}]
    names = {'id': name, 'source': 'test', 'scene': name, 'category': 'any', 'question': f'Is it {name} so?'}
    return {**names, 'choices': ['yes', 'no'], 'answer': 'A', 'observations': observed}


def says(asked):
    name = next(name for name in ANSWERS if f'it {name} so' in asked['messages'][-1]['content'])
    return f'<think>hm</think><answer>{ANSWERS[name][asked["seed"]]}</answer>'


def run(folder, server):
    write_samples(folder / 's.jsonl', [*map(sample, ANSWERS), {**sample('unseen'), 'observations': []}])
    words = ['--samples', str(folder / 's.jsonl'), '--out', str(folder / 'hard.jsonl'), '--lm-url', server.url]
    return select_hard.main(words)


def test_the_questions_on_which_answers_differ_are_kept(tmp_path, capsys):
    with FakeOpenAI(says, latency_s=0.05) as server:
        assert run(tmp_path, server) == 0
    (kept,) = read_samples(tmp_path / 'hard.jsonl')
    assert (kept['id'], kept['pass_rate']) == ('sometimes', 0.375)
    assert server.max_concurrent == 8
    assert capsys.readouterr().out.endswith('1 always right, 1 never, 1 that cannot be asked\n')


def test_a_request_that_waits_for_its_turn_does_not_run_out_of_time():
    with FakeOpenAI(says, latency_s=0.2) as server:
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=1.0))
        asked = list(map(sample, ANSWERS))
        rates = asyncio.run(select_hard.pass_rates(asked, model, prompt_format('paper'), 8, 1.0, concurrency=2))
    assert rates == [1.0, 0.0, 0.375]
    assert server.max_concurrent == 2


def test_no_question_on_which_answers_differ_is_an_error(tmp_path, capsys):
    with FakeOpenAI('<think>hm</think><answer>A</answer>') as server:
        assert run(tmp_path, server) == 2
    assert 'has answers both right and wrong; take harder ones' in capsys.readouterr().err
