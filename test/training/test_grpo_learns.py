"""The learning test: GRPO with the staged reward teaches a toy task, and what is broken in it does not."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from toy_grpo import COLOURS, make_settings, make_trainer, write_model  # noqa: E402

from training import metrics, rewards  # noqa: E402
from training.trainer import StagedTrainer  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

STEPS, LAST = 60, 10


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('start') / 'model')


def figures(start, out, seed=0):
    """What the completions of a run are like in its first step, at the end of its first stage and in its last steps."""
    make_trainer(start, out, make_settings(max_steps=STEPS, save_steps=STEPS, seed=seed)).train()
    written = metrics.read(out / 'completions.jsonl')
    spans = {'begins': (1, 1), 'stage 1': (STEPS // 12, STEPS // 6), 'ends': (STEPS - LAST + 1, STEPS)}
    return {
        name: told([entry for entry in written if first <= entry['step'] <= last])
        for name, (first, last) in spans.items()
    }


def told(completions):
    """Shares of completions that have the form, that answer right, and of these that think what they answer."""
    forms = [re.fullmatch(r'<think> (\w+) </think> <answer> (\w+) </answer>', entry['text']) for entry in completions]
    right = [
        form
        for form, entry in zip(forms, completions)
        if form and form[2] == COLOURS[int(entry['id'].removeprefix('q'))]
    ]
    return {
        'format': sum(map(bool, forms)) / len(forms),
        'accuracy': len(right) / len(forms),
        'consistency': sum(form[1] == form[2] for form in right) / max(1, len(right)),
    }


def is_learnt(found):
    stage, ends = found['stage 1'], found['ends']
    return stage['format'] > 0.75 and ends['format'] > 0.85 and ends['accuracy'] > 0.8 and ends['consistency'] > 0.85


def test_the_task_is_learnt(start, tmp_path):
    found = figures(start, tmp_path)
    begins = found['begins']
    assert begins['format'] < 0.75 and begins['accuracy'] < 0.5 and begins['consistency'] < 0.6
    assert is_learnt(found), found


@pytest.mark.slow
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_the_task_is_learnt_with_other_seeds(start, tmp_path, seed):
    found = figures(start, tmp_path, seed)
    print(seed, found)
    assert is_learnt(found), found


def dead(completions, *_, **__):
    return [0.0] * len(completions)


def advantages_become(monkeypatch, change):
    """Let the trainer learn from changed advantages."""
    sound = StagedTrainer._generate_and_score_completions

    def broken(self, inputs):
        output = sound(self, inputs)
        return {**output, 'advantages': change(output['advantages'])}

    monkeypatch.setattr(StagedTrainer, '_generate_and_score_completions', broken)


sound_reward = rewards.StagedReward.__call__


def no_reward(self, prompts, completions, **columns):
    return dead(sound_reward(self, prompts, completions, **columns))


BROKEN = {
    'the sign': lambda patch: advantages_become(patch, lambda advantages: -advantages),
    'an advantage that is another completion’s': lambda patch: advantages_become(patch, lambda a: a.roll(1)),
    'an advantage that is always 1': lambda patch: advantages_become(patch, torch.ones_like),
    'the reward of format': lambda patch: patch.setattr(rewards, 'format_reward', dead),
    'the reward of accuracy': lambda patch: patch.setattr(rewards, 'accuracy_reward', dead),
    'the reward of consistency': lambda patch: patch.setattr(rewards, 'consistency_reward', dead),
    'all rewards': lambda patch: patch.setattr(rewards.StagedReward, '__call__', no_reward),
}


@pytest.mark.slow
@pytest.mark.parametrize('part', BROKEN)
def test_the_task_is_not_learnt_when_broken_is(part, start, tmp_path, monkeypatch):
    BROKEN[part](monkeypatch)
    found = figures(start, tmp_path)
    print(part, found)
    assert not is_learnt(found), found
