"""Sampled replies: hard questions are those on which answers differ, right replies are kept with their questions."""

from __future__ import annotations

import asyncio

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.errors import BackendRefused, ReplyError
from embodied_r_ros.core.models import ServerSettings, prompt_format
from embodied_r_ros.core.records import Completion
from embodied_r_ros.evaluation.samples import read_samples, write_samples
from training import rejection_sampling, sampling, select_hard
from training.sampling import SamplingSettings

ANSWERS = {'always': 'AAAAAAAA', 'never': 'BBBBBBBB', 'sometimes': 'AAABBBBB'}


def sample(name):
    observed = [{'stamp_ns': 1, 'action': '', 'text': 'a sofa'}]
    names = {'id': name, 'source': 'test', 'scene': name, 'category': 'any', 'question': f'Is it {name} so?'}
    return {**names, 'choices': ['yes', 'no'], 'answer': 'A', 'observations': observed}


ASKED = list(map(sample, ANSWERS))


def reply(name, seed):
    return f'<think>hm {seed}</think><answer>{ANSWERS[name][seed % 8]}</answer>'


def says(asked):
    name = next(name for name in ANSWERS if f'it {name} so' in asked['messages'][-1]['content'])
    return reply(name, asked['seed'])


def run(command, folder, server, *words, out='out.jsonl'):
    write_samples(folder / 's.jsonl', [*ASKED, {**sample('unseen'), 'observations': []}])
    files = ['--samples', str(folder / 's.jsonl'), '--out', str(folder / out)]
    return command.main([*files, '--lm-url', server.url, *words])


class Moody:
    """A language model that refuses one question, and repeats itself without end at one seed of another."""

    name = 'moody'
    closed = False

    async def probe(self):
        pass

    async def generate(self, request, on_text=None):
        asked = request.messages[-1].content
        if 'it never so' in asked:
            raise BackendRefused('the prompt is too long')
        if 'it always so' in asked and request.seed == 3:
            raise ReplyError('it repeats itself', 'so so so so')
        return Completion(text='<think>hm</think><answer>A</answer>')

    async def aclose(self):
        self.closed = True


@pytest.mark.system
def test_the_questions_on_which_answers_differ_are_kept(tmp_path, capsys):
    with FakeOpenAI(says, latency_s=0.05) as server:
        assert run(select_hard, tmp_path, server) == 0
    (kept,) = read_samples(tmp_path / 'out.jsonl')
    assert (kept['id'], kept['pass_rate']) == ('sometimes', 0.375)
    assert server.max_concurrent == 8
    assert capsys.readouterr().out.endswith('1 always right, 1 never, 1 that cannot be asked\n')


@pytest.mark.system
def test_no_question_on_which_answers_differ_is_an_error(tmp_path, capsys):
    with FakeOpenAI('<think>hm</think><answer>A</answer>') as server:
        assert run(select_hard, tmp_path, server) == 2
    assert 'has answers both right and wrong; take harder ones' in capsys.readouterr().err


@pytest.mark.system
def test_the_right_replies_are_kept_with_their_questions(tmp_path, capsys):
    with FakeOpenAI(says) as server:
        assert run(rejection_sampling, tmp_path, server, '--temperature', '0.7', '--max-completion-length', '99') == 0
    assert read_samples(tmp_path / 'out.jsonl') == [
        {**sample('always'), 'replies': [reply('always', seed) for seed in range(8)]},
        {**sample('sometimes'), 'replies': [reply('sometimes', seed) for seed in range(3)]},
    ]
    told = capsys.readouterr().out
    assert told.startswith('11 of 24 replies are right, to 2 of 3 questions, in ')
    assert told.endswith('; 1 questions cannot be asked\n')
    assert {(asked['temperature'], asked['max_tokens']) for asked in (chat.json for chat in server.chats[1:])} == {
        (0.7, 99)
    }


@pytest.mark.system
def test_another_seed_samples_other_replies(tmp_path):
    with FakeOpenAI(says) as server:
        found = []
        for seed in '011':
            assert run(rejection_sampling, tmp_path, server, '--tries', '2', '--seed', seed) == 0
            found.append(read_samples(tmp_path / 'out.jsonl')[0]['replies'])
    assert found == [[reply('always', seed) for seed in seeds] for seeds in ((0, 1), (2, 3), (2, 3))]


@pytest.mark.system
def test_questions_of_which_none_is_answered_right_end_with_a_sentence(tmp_path, capsys):
    with FakeOpenAI('<think>hm</think><answer>B</answer>') as server:
        assert run(rejection_sampling, tmp_path, server) == 2
    said = capsys.readouterr().err
    assert 'training.rejection_sampling: none of 4 questions was answered right; take easier ones' in said
    assert not (tmp_path / 'out.jsonl').exists()


@pytest.mark.system
def test_a_request_that_waits_for_its_turn_does_not_run_out_of_time():
    with FakeOpenAI(says, latency_s=0.2) as server:
        model = OpenAILanguageModel(ServerSettings(url=server.url, timeout_s=1.0))
        work = sampling.sampled(ASKED, model, prompt_format('paper'), SamplingSettings(), concurrency=2)
        found = asyncio.run(work)
    assert [one.right_share for one in found] == [1.0, 0.0, 0.375]
    assert server.max_concurrent == 2


def test_an_endless_reply_is_a_wrong_one_and_a_refused_question_is_left_out():
    model = Moody()
    work = sampling.sampled(ASKED, model, prompt_format('paper'), SamplingSettings(), concurrency=1)
    always, never, sometimes = asyncio.run(work)
    assert never is None
    assert sometimes.scores == [1.0] * 8
    assert always.scores == [1.0] * 3 + [0.0] + [1.0] * 4
    assert always.replies[3] == 'so so so so'
    assert model.closed


def test_why_no_question_at_all_can_be_asked_is_told():
    work = sampling.sampled([sample('never')], Moody(), prompt_format('paper'), SamplingSettings(), concurrency=1)
    with pytest.raises(BackendRefused, match='the prompt is too long'):
        asyncio.run(work)
