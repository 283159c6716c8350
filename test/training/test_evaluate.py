"""Evaluation: accuracy with interval, baselines and codes, of scripted models put through the robot's own code."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re

import pytest
from fake_openai import FakeOpenAI
from tiny_models import chain_folder, make_foreign, with_template

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.asking import tie, understood
from embodied_r_ros.core.compact import CompactFormat, name_tokens
from embodied_r_ros.core.errors import BackendUnavailable
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.core.records import Answer, Completion, ErrorCode, Question
from embodied_r_ros.evaluation.samples import from_observations, write_samples
from training import evaluate
from training.evaluate import answer_all, compare, judged, score, summarise, table
from training.judge import NO_CHOICE
from training.world.questions import questions_about, until
from training.world.scene import make_walk
from training.world.thoughts import think
from training.world.views import EXACT, KeyFrameRule, observe


class Scripted:
    """A language model that looks its replies up by the prompt."""

    name = 'scripted'

    def __init__(self, replies, otherwise='hm'):
        self.replies, self.otherwise, self.closed = replies, otherwise, False

    async def probe(self):
        pass

    async def ping(self):
        pass

    async def generate(self, request, on_text=None):
        reply = self.replies.get(request.messages[-1].content, self.otherwise)
        if isinstance(reply, Exception):
            raise reply
        return Completion(text=reply)

    async def aclose(self):
        self.closed = True


@pytest.fixture(scope='module')
def exam():
    """Samples about four walks, and the worked reply to the prompt of each."""
    entries, replies = [], {}
    for seed in range(4):
        walk = make_walk(seed)
        seen = observe(walk, KeyFrameRule(), EXACT, random.Random(0))
        for number, entry in enumerate(questions_about(walk, seen, TASKS, random.Random(seed))):
            held = until(seen, entry.pop('end_s', math.inf))
            entries.append({'id': f'{seed}-{number}', **entry, 'observations': from_observations(held)})
            parsed, log = understood(entry['question'], entry['choices'], held)
            prompt = CompactFormat().ask(Question(text=entry['question'], choices=tuple(entry['choices'])), held)
            replies[prompt.messages[0].content] = think(log, tie(parsed, log), name_tokens(log.where_seen())).reply
    return entries, replies


def answered(entries, model):
    return asyncio.run(answer_all(entries, model, CompactFormat()))


@pytest.fixture(scope='module')
def whole(exam):
    """The answers of a model that knows every reply."""
    return answered(exam[0], Scripted(exam[1]))


def test_a_model_that_thinks_the_worked_thoughts_is_right_throughout(exam, whole):
    entries, _ = exam
    report = summarise(entries, whole)
    assert (report['accuracy'], report['macro']) == (1.0, 1.0)
    assert report['interval'] == report['macro_interval'] == [pytest.approx(0.025**0.25, abs=1e-4), 1.0]  # of 4 scenes
    assert report['codes'] == {'OK': len(entries)}
    assert report['questions'] == len(entries) > 25
    assert report['scenes'] == 4
    assert set(report['per_task']) == set(TASKS)
    assert 0.24 < report['chance'] < 0.29
    assert report['consistency'] is None
    assert report['question_only'] is None, 'so few questions fit no reader'
    assert {entry['question_only'] for entry in report['per_task'].values()} == {None}


def test_enough_questions_are_read_alone_as_well(exam, whole, monkeypatch):
    monkeypatch.setattr(evaluate, 'LEAST_CROSS_FITTED', 8)
    report = summarise(exam[0], whole)
    assert 0.0 <= report['question_only'] <= 1.0
    assert f'{report["question_only"]:.1%}' in table(report).split('\n')[-2]


def test_evidence_comes_with_the_answers(exam, whole):
    for sample, reply in zip(exam[0], whole):
        assert reply.answer.evidence
        assert {evidence.index for evidence in reply.answer.evidence} <= set(range(len(sample['observations'])))


def test_a_model_that_is_right_half_the_time_lies_in_its_interval(exam):
    entries, replies = exam
    kept = {prompt: reply for number, (prompt, reply) in enumerate(replies.items()) if number % 2}
    report = summarise(entries, answered(entries, Scripted(kept)))
    low, high = report['interval']
    assert report['accuracy'] == pytest.approx(0.5, abs=0.02)
    assert low <= report['accuracy'] <= high
    assert report['codes']['BAD_REPLY'] == pytest.approx(len(entries) / 2, abs=1)


def test_what_cannot_be_answered_is_wrong_and_counted_by_its_code(exam):
    entries, replies = exam
    odd = {**entries[0], 'question': 'Why is the sky blue?'}
    unseen = {**entries[0], 'question': 'Where is the unicorn now?', 'choices': ['left', 'right']}
    empty = {**entries[0], 'observations': []}
    answers = [reply.answer for reply in answered([entries[0], odd, unseen, empty], Scripted(replies))]
    assert [answer.error_code for answer in answers] == [
        ErrorCode.OK,
        ErrorCode.QUESTION_UNSUPPORTED,
        ErrorCode.CANNOT_TELL,
        ErrorCode.WINDOW_EMPTY,
    ]
    assert [score(entries[0], answer) for answer in answers] == [1.0, 0.0, 0.0, 0.0]


def test_a_model_that_fails_is_a_code_too(exam):
    entries, _ = exam
    model = Scripted({}, otherwise=BackendUnavailable('gone'))
    (reply,) = answered(entries[:1], model)
    assert (reply.answer.error_code, reply.answer.error_msg) == (ErrorCode.SERVER_DOWN, 'gone')
    assert reply.completion is None
    assert model.closed


def numbered(count):
    """Samples whose choices tell them apart."""
    return [
        {
            'id': f'{n}',
            'source': 'test',
            'scene': f'{n}',
            'category': 'any',
            'question': f'Which is number {n}?',
            'choices': ['none', f'number {n}'],
            'answer': 'B',
            'observations': [{'stamp_ns': 1, 'action': '', 'text': 'a sofa'}],
        }
        for n in range(count)
    ]


def evaluated(folder, server, entries, *more):
    """What the command line makes of samples that a server is asked about: the kept answers."""
    write_samples(folder / 'samples.jsonl', entries)
    words = ['--samples', str(folder / 'samples.jsonl'), '--answers', str(folder / 'answers.jsonl')]
    assert evaluate.main([*words, *more, '--lm-url', server.url, '--json']) == 0
    return [json.loads(line) for line in (folder / 'answers.jsonl').read_text(encoding='utf-8').split('\n')[:-1]]


@pytest.mark.system
def test_replies_may_be_as_long_as_is_said(tmp_path, capsys):
    with FakeOpenAI('<think>hm</think><answer>B</answer>') as server:
        evaluated(tmp_path, server, numbered(2), '--max-tokens', '400')
        asked = [chat.json['max_tokens'] for chat in server.chats if chat.json['max_tokens'] > 1]
        assert asked == [400, 400]
        words = ['--samples', str(tmp_path / 'samples.jsonl'), '--lm-url', server.url]
        assert evaluate.main([*words, '--max-tokens', '4']) == 2
    assert 'max_tokens' in capsys.readouterr().err


@pytest.mark.system
def test_a_server_is_asked_as_much_as_it_takes_and_the_answers_keep_their_order(tmp_path):
    entries = numbered(24)
    with FakeOpenAI('<think>hm</think><answer>B</answer>', latency_s=0.5) as server:
        answers = evaluated(tmp_path, server, entries)
    assert server.max_concurrent == 8
    assert [answer['answer'] for answer in answers] == [f'number {n}' for n in range(24)]
    thinking_s = sorted(answer['timings_s']['think'] for answer in answers)
    assert thinking_s[0] >= 0.5
    assert thinking_s[16] < 1.5, 'waiting for a turn is no thinking, and the last third waits for two'


@pytest.mark.system
def test_a_request_that_fails_costs_its_own_sample_alone(tmp_path):
    with FakeOpenAI('<think>hm</think><answer>B</answer>', status=400, error='no', failures=1) as server:
        answers = evaluated(tmp_path, server, numbered(12))
    codes = [answer['error_code'] for answer in answers]
    assert (codes.count('SERVER_REFUSED'), codes.count('OK')) == (1, 11)


def test_a_model_in_this_process_is_asked_one_at_a_time(exam, whole):
    class Counting(Scripted):
        now = most = 0

        async def generate(self, request, on_text=None):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.0)
            self.now -= 1
            return await super().generate(request)

    model = Counting(exam[1])
    replies = answered(exam[0][:8], model)
    assert model.most == 1
    assert [reply.completion for reply in replies] == [reply.completion for reply in whole[:8]]


class Reader:
    """A judge that reads the conclusion of a compact thought, or says what it is told to."""

    def __init__(self, always=None):
        self.always, self.cases = always, []

    def judge(self, cases):
        self.cases = list(cases)
        return [self._choice(case) if self.always is None else self.always for case in cases]

    def _choice(self, case):
        reason = r'(?:deg|order|first|now|min \d+|\.)'
        ends = [text for text in case.asked.answers() if re.search(f'{reason} {text}$', case.thinking)]
        return match_choice(case.asked.answers()[max(ends, key=len)], case.choices) if ends else NO_CHOICE


def test_consistency_is_what_an_admitted_judge_says_of_the_thoughts(exam, monkeypatch):
    monkeypatch.setattr(evaluate, 'TRIALS', 16)
    entries, replies = exam
    first = dict(list(replies.items())[:16])
    lied = {prompt: reply for prompt, reply in first.items() if ': w4 ?' in prompt}
    for prompt, reply in lied.items():
        said = reply.rsplit('<answer> ')[-1].removesuffix(' </answer>')
        other = next(word for word in ('left', 'right') if word != said)
        first[prompt] = reply.replace(f'<answer> {said}', f'<answer> {other}')
    answers = answered(entries[:16], Scripted(first))
    made = sum(reply.answer.choice >= 0 for reply in answers)
    found = judged(entries[:16], answers, CompactFormat(), Reader())
    assert lied and made == 16
    assert found['consistency'] == pytest.approx(1 - len(lied) / 16, abs=1e-4)
    assert found['judge'].startswith('judge admitted')


def test_without_an_admitted_judge_there_is_no_figure_of_consistency(exam, monkeypatch):
    monkeypatch.setattr(evaluate, 'TRIALS', 16)
    entries, replies = exam
    found = judged(entries[:4], answered(entries[:4], Scripted(replies)), CompactFormat(), Reader(always=0))
    assert found['consistency'] is None
    assert found['judge'].startswith('judge not admitted')


def test_two_models_are_compared_question_by_question(exam, whole):
    entries, replies = exam
    kept = {prompt: reply for number, (prompt, reply) in enumerate(replies.items()) if number % 4}
    part = answered(entries, Scripted(kept))
    found = compare(entries, whole, part)
    low, high = found['interval']
    assert found['difference'] == pytest.approx(0.25, abs=0.02)
    assert 0 < low <= found['difference'] <= high
    assert (found['better'], found['worse']) == (math.ceil(len(entries) / 4), 0)
    assert compare(entries, part, whole)['difference'] == -found['difference']


def test_a_number_is_scored_by_its_relative_accuracy():
    sample = {'choices': [], 'answer': '2.0'}
    assert score(sample, Answer(answer='2 m')) == 1.0
    assert 0.0 < score(sample, Answer(answer='2.5 m')) < 1.0
    assert score(sample, Answer()) == 0.0


def test_the_table_tells_each_task_and_all(exam, whole):
    entries, _ = exam
    report = summarise(entries, whole)
    lines = table(report).split('\n')
    assert len(lines) == 1 + len(TASKS) + 2 + 1
    assert lines[1].startswith('landmark position')
    assert lines[-2].split()[:3] == ['all', str(len(entries)), '100.0%']
    assert lines[-1] == f'codes: OK {len(entries)}'
    told = table({**report, 'consistency': 0.5, 'judge': 'judge admitted', 'tokens': 99.6}).split('\n')
    assert told[-2:] == [
        'length: 100 tokens a reply',
        'consistency: 50.0% of the answers follow from their thinking alone; judge admitted',
    ]


@pytest.fixture
def parrot(tmp_path):
    """A model folder that answers 'step 1' to everything."""
    return chain_folder(tmp_path / 'parrot', {'?': '<think> now </think> <answer> i1 </answer>'})


def plans(entries):
    """Questions about a plan that is not begun, as which the first three of the choices count as right in turn."""
    text = 'My instructions are: 1. go forward 1 m; 2. turn left 90 degrees; 3. go forward 3 m. Which step am I on?'
    asked = {'question': text, 'choices': ['step 1', 'step 2', 'step 3'], 'category': 'progress evaluation'}
    first = [{**entry, **asked, 'observations': entry['observations'][:1]} for entry in entries]
    return [{**entry, 'answer': 'ABC'[number % 3]} for number, entry in enumerate(first)]


def test_the_command_line_prints_one_json_line(exam, parrot, tmp_path, capsys):
    path = tmp_path / 'samples.jsonl'
    entries = plans(exam[0])
    write_samples(path, entries)
    kept = tmp_path / 'answers' / 'all.jsonl'
    words = ['--samples', str(path), '--model', str(parrot), '--json', '--against', str(parrot), '--answers', str(kept)]
    assert evaluate.main(words) == 0
    report = json.loads(capsys.readouterr().out)
    right = sum(entry['answer'] == 'A' for entry in entries)
    assert report['accuracy'] == pytest.approx(right / len(entries), abs=1e-4)
    assert report['against']['difference'] == 0.0
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line['id'] for line in lines] == [entry['id'] for entry in entries]
    assert [line['scene'] for line in lines] == [entry['scene'] for entry in entries]
    assert 0 < sum(line['score'] for line in lines) == right < len(lines)
    assert {line['thinking'] for line in lines} == {'now'}
    assert {line['error_code'] for line in lines} == {'OK'}


@pytest.mark.torch
def test_any_other_model_is_evaluated_by_its_folder_alone(exam, tmp_path, capsys):
    path, reply = tmp_path / 'samples.jsonl', '<think> hm </think> <answer> A </answer>'
    entries = exam[0][:2]
    write_samples(path, entries)
    other = make_foreign(
        with_template(chain_folder(tmp_path / 'other', {'<unk>': reply}, max_position_embeddings=4096))
    )
    assert evaluate.main(['--samples', str(path), '--model', str(other), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['codes'] == {'OK': len(entries)}


def test_the_command_line_prints_a_table(exam, parrot, tmp_path, capsys):
    path = tmp_path / 'samples.jsonl'
    write_samples(path, plans(exam[0])[:2])
    assert evaluate.main(['--samples', str(path), '--model', str(parrot)]) == 0
    assert capsys.readouterr().out.startswith('task ')


def test_a_missing_model_or_file_ends_with_a_sentence(exam, tmp_path, capsys):
    assert evaluate.main(['--samples', str(tmp_path / 'no.jsonl')]) == 2
    assert 'training.evaluate: samples cannot be read from' in capsys.readouterr().err
    path = tmp_path / 'samples.jsonl'
    write_samples(path, exam[0][:1])
    assert evaluate.main(['--samples', str(path), '--model', str(tmp_path / 'no model')]) == 2
    assert 'training.evaluate: ' in capsys.readouterr().err
