"""Questions that their words give away are left out, by a language model's votes or by the fitted reader."""

from __future__ import annotations

import random
import re

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.evaluation.samples import read_samples, write_samples
from training import prepare, unbias

SIDES = ('ahead', 'right', 'behind', 'left')


def samples(count, given_away=0, **changes):
    """Questions of 40 scenes; the first `given_away` name their answer."""
    rng, made = random.Random(0), []
    for number in range(count):
        choices = rng.sample(SIDES, 4)
        right = rng.choice(choices)
        told = f', {right} of it all' if number < given_away else ''
        made.append(
            {
                'id': f's{number}',
                'source': 'world',
                'scene': f'scene-{number % 40}',
                'category': 'told' if told else 'hidden',
                'question': f'Where is the sofa{told}?',
                'choices': choices,
                'answer': 'ABCD'[choices.index(right)],
                **changes,
            }
        )
    return made


def unbiased(tmp_path, made, *words):
    write_samples(tmp_path / 'in.jsonl', made)
    status = prepare.main(
        ['unbias', '--samples', str(tmp_path / 'in.jsonl'), '--out', str(tmp_path / 'out.jsonl'), *words]
    )
    return status, tmp_path / 'out.jsonl'


def reply_by_words(request):
    """Right where the question names its answer; always the first choice elsewhere."""
    asked = request['messages'][-1]['content']
    told = re.search(r'sofa, (\w+) of', asked)
    return re.search(rf'([A-D])\. {told[1]}', asked)[1] if told else 'A'


def test_the_fitted_reader_leaves_out_what_it_is_sure_of(tmp_path, capsys):
    status, out = unbiased(tmp_path, samples(240, given_away=120))
    assert status == 0
    kept = [sample['category'] for sample in read_samples(out)]
    assert kept.count('hidden') > 110
    assert kept.count('told') < 24
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ['category', 'kept', 'left', 'out'], 'so few questions measure no share'
    assert table[1].split()[0] == 'told'
    assert table[-1].split()[:3] == ['all', str(len(kept)), str(240 - len(kept))]


@pytest.mark.system
def test_a_language_model_votes_with_the_choices_in_many_orders(tmp_path, capsys):
    with FakeOpenAI(reply=reply_by_words) as server:
        status, out = unbiased(tmp_path, samples(8, given_away=3), '--lm-url', server.url, '--votes', '6')
        asked = [chat.json['messages'] for chat in server.chats]
    assert status == 0
    assert [sample['id'] for sample in read_samples(out)] == [f's{n}' for n in range(3, 8)]
    assert len(asked) == 8 * 6
    orders = {tuple(re.findall(r'[A-D]\. (\w+)', turns[0]['content'])) for turns in asked}
    assert len(orders) > 12
    assert 'fake-model: 0 of 48 replies held no answer' in capsys.readouterr().out


@pytest.mark.system
def test_votes_that_hold_no_answer_count_as_wrong_and_are_told(tmp_path, capsys):
    with FakeOpenAI(reply='I cannot see the video.') as server:
        status, out = unbiased(tmp_path, samples(3), '--lm-url', server.url, '--votes', '2')
    assert status == 0
    assert len(read_samples(out)) == 3
    assert '6 of 6 replies held no answer' in capsys.readouterr().out


@pytest.mark.system
def test_the_threshold_is_a_share_of_the_votes(tmp_path):
    with FakeOpenAI(reply='A') as server:
        words = ['--lm-url', server.url, '--votes', '4']
        _, out = unbiased(tmp_path, samples(8), *words)
        assert len(read_samples(out)) == 8
        _, out = unbiased(tmp_path, samples(8), *words, '--threshold', '0.25')
        assert 0 < len(read_samples(out)) < 8


@pytest.mark.system
def test_numbers_are_voted_on_by_how_near_they_come(tmp_path):
    made = [{**sample, 'choices': [], 'answer': answer} for sample, answer in zip(samples(3), ['2.0', '2.2', '9'])]
    with FakeOpenAI(reply='2.0') as server:
        _, out = unbiased(tmp_path, made, '--lm-url', server.url, '--votes', '1', '--threshold', '0.75')
        assert 'Write only the number' in server.chats[0].json['messages'][0]['content']
    assert [sample['answer'] for sample in read_samples(out)] == ['9']


@pytest.mark.system
def test_votes_go_on_where_the_server_failed(tmp_path, capsys):
    counted = []

    def dies(request):
        counted.append(request)
        if len(counted) == 9:
            server.status, server.error = 400, 'out of order'
        return 'A'

    words = ['--votes', '1']
    with FakeOpenAI(reply=dies) as server:
        status, out = unbiased(tmp_path, samples(30), '--lm-url', server.url, *words)
        assert status == 2
        assert 'out of order' in capsys.readouterr().err
        assert not out.exists()
        begun = len(counted)
        server.status = 200
        status, out = unbiased(tmp_path, samples(30), '--lm-url', server.url, *words)
        assert status == 0
        assert len(counted) - begun < 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in.jsonl', 'out.jsonl']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--threshold', '0'], r'--threshold must lie in (0, 1], got 0.0'),
        (['--threshold', '1.5'], r'--threshold must lie in (0, 1], got 1.5'),
        (['--votes', '0'], '--votes must be at least 1, got 0'),
        (['--threshold', '0.01'], 'none of the 8 samples of '),
    ],
)
def test_what_cannot_be_done_is_told(words, message, tmp_path, capsys):
    status, out = unbiased(tmp_path, samples(8), *words)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_table_counts_per_category():
    lines = unbias.table(samples(4, given_away=1), [0.9, 0.1, 0.2, 0.8], 0.8, True).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ['told', '0', '1', '90.0%'],
        ['hidden', '2', '1', '36.7%'],
        ['all', '2', '2', '50.0%'],
    ]
