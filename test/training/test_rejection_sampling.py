"""Rejection sampling: the right ones among sampled replies are kept with their questions."""

from __future__ import annotations

import collections

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from tiny_models import chain_folder  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

from embodied_r_ros.evaluation.samples import read_samples, write_samples  # noqa: E402
from training import rejection_sampling  # noqa: E402
from training.reasoner import CHAT_TEMPLATE  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

LEFT = '<think> hm </think> <answer> left </answer>'
SIDES = ['left', 'right', 'ahead', 'behind']


@pytest.fixture(autouse=True)
def any_thought_will_do(monkeypatch):
    """What a parrot thinks follows nothing that was seen."""
    monkeypatch.setattr('embodied_r_ros.core.compact.astray', lambda *_: '')


@pytest.fixture(scope='module')
def parrot(tmp_path_factory):
    """A model folder that is likeliest to say LEFT to a question, and sampled often does not."""
    folder = chain_folder(tmp_path_factory.mktemp('models') / 'parrot', {'?': LEFT})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / 'tokenizer.json'),
        pad_token='<pad>', bos_token='<s>', eos_token='</s>', unk_token='<unk>',
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder / 'tokenizer')
    return folder


def sample(name, answer, things=1):
    seen = '; '.join(f'{thing} straight ahead at 2.0 m' for thing in ('sofa', 'lamp', 'desk')[:things])
    return {
        'id': name,
        'source': 'test',
        'scene': name,
        'category': 'landmark position',
        'question': 'Where is the sofa now?',
        'choices': SIDES,
        'answer': answer,
        'observations': [{'stamp_ns': 0, 'action': '', 'text': seen}],
    }


def run(folder, model, samples, *words):
    write_samples(folder / 's.jsonl', samples)
    files = ['--model', str(model), '--samples', str(folder / 's.jsonl'), '--out', str(folder / 'right.jsonl')]
    return rejection_sampling.main(
        [*files, '--format', 'compact', '--tries', '4', '--max-completion-length', '9', *words]
    )


def test_the_right_replies_are_kept_with_their_questions(parrot, tmp_path, capsys):
    asked = [sample('left', 'A'), sample('right', 'B'), sample('left too', 'A', things=3)]
    odd = {**sample('odd', 'A'), 'question': 'Why is the sky blue?'}
    assert run(tmp_path, parrot, [*asked, odd], '--temperature', '0.01') == 0
    kept = read_samples(tmp_path / 'right.jsonl')
    assert kept == [{**asked[0], 'replies': [LEFT] * 4}, {**asked[2], 'replies': [LEFT] * 4}]
    assert capsys.readouterr().out.startswith('8 of 12 replies are right, to 2 of 3 questions, in ')


def test_wrong_and_unreadable_replies_are_left_out(parrot, tmp_path):
    words = ['--tries', '64']
    assert run(tmp_path, parrot, [sample('left', 'A')], *words) == 0
    (kept,) = read_samples(tmp_path / 'right.jsonl')
    assert 0 < len(kept['replies']) < 64
    assert all('<answer> left </answer>' in reply for reply in kept['replies'])


def test_the_same_seed_samples_the_same_and_another_others(parrot, tmp_path):
    found = collections.defaultdict(list)
    for seed in ('0', '0', '1'):
        assert run(tmp_path, parrot, [sample('left', 'A')], '--tries', '64', '--seed', seed) == 0
        found[seed].append(read_samples(tmp_path / 'right.jsonl'))
    assert found['0'][0] == found['0'][1]
    assert found['0'][0] != found['1'][0]


def test_questions_of_which_none_is_answered_right_end_with_a_sentence(parrot, tmp_path, capsys):
    assert run(tmp_path, parrot, [sample('right', 'B')], '--temperature', '0.01') == 2
    said = capsys.readouterr().err
    assert 'training.rejection_sampling: none of 1 questions was answered right; take easier ones' in said
    assert not (tmp_path / 'right.jsonl').exists()
