"""Supervised fine-tuning: the same seed learns the same, a few steps lower the loss, batches hold what they may."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from embodied_r_ros.core.compact import BOS, PAD, vocabulary  # noqa: E402
from training import sft  # noqa: E402
from training.lessons import TOKEN_IDS, Lesson  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]


def test_only_the_reply_is_learnt_and_padding_is_not():
    batch = sft.collate([{'ids': [(1, 5, 6, 7, 2), (1, 8, 2)], 'given': [2, 1]}])
    ignored, pad = sft.IGNORED, TOKEN_IDS[PAD]
    assert batch['input_ids'].tolist() == [[1, 5, 6, 7, 2], [1, 8, 2, pad, pad]]
    assert batch['labels'].tolist() == [[ignored, ignored, 6, 7, 2], [ignored, 8, 2, ignored, ignored]]
    assert batch['position_ids'].tolist() == [[0, 1, 2, 3, 4]] * 2


def test_batches_hold_lessons_of_like_length_and_hardly_more_than_they_may(monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 80)
    stream = (Lesson((TOKEN_IDS[BOS],) * (20 + 7 * number % 300), 1) for number in itertools.count())
    found = list(itertools.islice(sft.batches(stream, 1000, random.Random(0)), 20))
    padded = [len(batch) * max(len(lesson.ids) for lesson in batch) for batch in found if len(batch) > 1]
    assert max(padded) <= 1150  # a lesson may stand up to fifteen tokens out of order
    assert max(len(batch) for batch in found) > 5
    spread = [max(len(lesson.ids) for lesson in batch) - min(len(lesson.ids) for lesson in batch) for batch in found]
    assert sum(spread) / len(spread) < 60


def test_each_lesson_of_a_pool_is_learnt_once(monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 50)
    stream = (Lesson((number,) * (1 + number % 9), 0) for number in itertools.count())
    batches, numbers = sft.batches(stream, 30, random.Random(0)), []
    while len(numbers) < 50:
        numbers += [lesson.ids[0] for lesson in next(batches)]
    assert sorted(numbers) == list(range(50))


def test_a_lesson_longer_than_a_batch_is_a_batch_of_its_own(monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 3)
    stream = itertools.repeat(Lesson((1,) * 50, 1))
    assert [len(batch) for batch in itertools.islice(sft.batches(stream, 40, random.Random(0)), 3)] == [1, 1, 1]


def options(out, **changes):
    values = {
        'out': out, 'init': None, 'steps': 4, 'warm_up_steps': 2, 'learning_rate': 2e-3, 'batch_tokens': 600,
        'seed': 0, 'threads': 1, 'samples': None, 'split': None, 'without': None,
    }  # fmt: skip
    return argparse.Namespace(**{**values, **changes})


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A short run, with a checkpoint after each second step."""
    out = tmp_path_factory.mktemp('sft')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, 'POOL', 40)
        patch.setattr(sft, 'SAVE_STEPS', 2)
        sft.train(options(out))
        yield out


def weights(folder):
    return (folder / 'model.safetensors').read_bytes()


def test_a_run_leaves_a_model_and_what_made_it(run):
    made_by = json.loads((run / 'training.json').read_text())
    assert (made_by['seed'], made_by['steps']) == ('0', '4')
    assert 'commit' in made_by
    assert json.loads((run / 'config.json').read_text())['vocab_size'] == len(vocabulary())
    assert (run / 'tokenizer.json').exists()


def test_a_run_that_was_broken_off_ends_in_the_same_weights(run, tmp_path):
    whole, broken = weights(run), tmp_path / 'broken'
    shutil.copytree(run, broken)
    shutil.rmtree(broken / 'checkpoint-4')
    (broken / 'model.safetensors').unlink()
    sft.train(options(broken))
    assert weights(broken) == whole


def test_another_seed_ends_in_other_weights(run, tmp_path):
    sft.train(options(tmp_path, seed=1))
    assert weights(tmp_path) != weights(run)


def test_a_run_goes_on_from_a_model(run, tmp_path):
    sft.train(options(tmp_path, init=run, learning_rate=0.0))
    assert weights(tmp_path) == weights(run)


def test_half_of_the_lessons_are_about_samples_where_there_are_any(tmp_path, monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 40)
    monkeypatch.setattr(sft, 'lessons', lambda seed: itertools.repeat(Lesson((1,) * 9, 2)))
    monkeypatch.setattr(sft, 'lessons_of', lambda samples, seed: itertools.repeat(Lesson((2,) * 9, 3)))
    batches = itertools.islice(sft.taught(0, 600, [{'id': 'a'}]), 20)
    given = [number for batch in batches for number in batch['given']]
    assert given.count(2) == pytest.approx(given.count(3), abs=40)


def test_the_command_line_names_its_folder(capsys):
    with pytest.raises(SystemExit):
        sft.main([])
    assert 'the following arguments are required: --out' in capsys.readouterr().err
