"""Supervised fine-tuning: the same seed learns the same, a few steps lower the loss, batches hold what they may."""

from __future__ import annotations

import itertools
import json
import random
import shutil

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from toy_grpo import write_model  # noqa: E402

from embodied_r_ros.core.compact import BOS, PAD, vocabulary  # noqa: E402
from embodied_r_ros.evaluation.samples import write_samples  # noqa: E402
from training import metrics, sft  # noqa: E402
from training.lessons import TOKEN_IDS, Lesson  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]


def test_only_the_reply_is_learnt_and_padding_is_not():
    batch = sft.collate([{'ids': [(1, 5, 6, 7, 2), (1, 8, 2)], 'given': [2, 1], 'dice': [(3,), ()]}])
    ignored, pad = sft.IGNORED, TOKEN_IDS[PAD]
    assert batch['input_ids'].tolist() == [[1, 5, 6, 7, 2], [1, 8, 2, pad, pad]]
    assert batch['labels'].tolist() == [[ignored, ignored, 6, ignored, 2], [ignored, 8, 2, ignored, ignored]]
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


def call(out, *words):
    """Call the command line; a short run, unless the words say otherwise."""
    small = '--steps 4 --warm-up-steps 2 --batch-tokens 600'
    return sft.main(['--out', str(out), *small.split(), *words])


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A short run, with a checkpoint and a line of metrics after each second step."""
    out = tmp_path_factory.mktemp('sft') / 'run'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, 'POOL', 40)
        patch.setattr(sft, 'SAVE_STEPS', 2)
        patch.setattr(sft, 'LOG_STEPS', 2)
        assert call(out) == 0
        yield out


def weights(folder):
    return (folder / 'model.safetensors').read_bytes()


def test_a_run_leaves_a_model_its_metrics_and_what_made_it(run):
    made_by = json.loads((run / 'training.json').read_text())
    assert (made_by['seed'], made_by['steps'], made_by['init']) == (0, 4, '')
    assert made_by['commit']
    assert json.loads((run / 'config.json').read_text())['vocab_size'] == len(vocabulary())
    assert (run / 'tokenizer.json').exists()
    assert [path.name for path in run.glob('checkpoint-*')] == ['checkpoint-4']
    steps = metrics.read(run / 'metrics.jsonl')
    assert [entry['step'] for entry in steps] == [2, 4]
    assert all(entry['loss'] > 0 and 0 <= entry['token_accuracy'] <= 1 for entry in steps)
    assert list((run / 'tensorboard').iterdir())


def test_a_run_that_was_broken_off_ends_in_the_same_weights(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sft.Teacher, 'training_step', breaking_off_at(3))
        with pytest.raises(KeyboardInterrupt):
            call(tmp_path / 'broken')
    assert [path.name for path in (tmp_path / 'broken').glob('checkpoint-*')] == ['checkpoint-2']
    assert call(tmp_path / 'broken') == 0
    assert weights(tmp_path / 'broken') == weights(run)
    assert metrics.read(tmp_path / 'broken' / 'metrics.jsonl') == metrics.read(run / 'metrics.jsonl')


def breaking_off_at(step):
    """A trainer's step that ends the run in place of the n-th one."""
    whole, taken = sft.Teacher.training_step, itertools.count(1)

    def training_step(self, *inputs, **others):
        if next(taken) == step:
            raise KeyboardInterrupt
        return whole(self, *inputs, **others)

    return training_step


def test_a_run_whose_last_checkpoint_is_its_end_only_saves_the_model(run, tmp_path):
    shutil.copytree(run, tmp_path / 'copy')
    for name in ('training.json', 'model.safetensors'):
        (tmp_path / 'copy' / name).unlink()
    assert call(tmp_path / 'copy') == 0
    assert weights(tmp_path / 'copy') == weights(run)


def test_a_finished_run_is_left_as_it_is_and_another_one_does_not_mix_with_it(run, capsys):
    before = weights(run)
    assert call(run) == 0
    assert 'holds this run, and it is finished' in capsys.readouterr().out
    assert call(run, '--seed', '1') == 2
    assert 'holds a run with seed 0, and now it is 1; name another folder' in capsys.readouterr().err
    assert weights(run) == before


def test_another_seed_ends_in_other_weights(run, tmp_path):
    assert call(tmp_path, '--seed', '1') == 0
    assert weights(tmp_path) != weights(run)


def test_a_run_goes_on_from_a_model(run, tmp_path):
    assert call(tmp_path, '--init', str(run), '--learning-rate', '0') == 0
    assert weights(tmp_path) == weights(run)


def test_a_model_of_another_language_is_not_gone_on_from(tmp_path, capsys):
    write_model(tmp_path / 'other', steps=0)
    assert call(tmp_path / 'out', '--init', str(tmp_path / 'other')) == 2
    assert '--init needs a model of the compact language' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--steps', '0'], 'steps must lie in >= 1, got 0'),
        (['--init', 'nowhere'], "a model folder with config.json was wanted, 'nowhere'"),
        (['--samples', 'nowhere.jsonl'], "samples cannot be read from 'nowhere.jsonl'"),
    ],
    ids=['no step', 'no model', 'no samples'],
)
def test_what_cannot_be_taught_ends_with_a_sentence(words, sentence, tmp_path, capsys):
    assert call(tmp_path / 'out', *words) == 2
    assert f'training.sft: {sentence}' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_samples_of_which_none_is_asked_for_end_with_a_sentence(tmp_path, capsys):
    write_samples(tmp_path / 'samples.jsonl', [])
    assert call(tmp_path / 'out', '--samples', str(tmp_path / 'samples.jsonl')) == 2
    assert 'samples to learn from were wanted' in capsys.readouterr().err


def test_half_of_the_lessons_are_about_samples_where_there_are_any(tmp_path, monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 40)
    monkeypatch.setattr(sft, 'lessons', lambda seed: itertools.repeat(Lesson((1,) * 9, 2)))
    monkeypatch.setattr(sft, 'lessons_of', lambda samples, seed: itertools.repeat(Lesson((2,) * 9, 3)))
    batches = itertools.islice(sft.taught(0, 600, [{'id': 'a'}]), 20)
    given = [number for batch in batches for number in batch['given']]
    assert given.count(2) == pytest.approx(given.count(3), abs=40)


def test_all_samples_are_learnt_from(monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 40)
    monkeypatch.setattr(sft, 'lessons', lambda seed: itertools.repeat(Lesson((1,) * 9, 2)))
    monkeypatch.setattr(
        sft,
        'lessons_of',
        lambda samples, seed: (Lesson((2,) * 9, sample['given']) for sample in itertools.cycle(samples)),
    )
    found = sft.dataset(sft.SftSettings(batch_tokens=600), [{'given': number} for number in range(3, 8)])
    given = {number for batch in itertools.islice(found, 5) for number in batch['given']}
    assert given == {2, 3, 4, 5, 6, 7}


def test_the_command_line_names_its_folder(capsys):
    with pytest.raises(SystemExit):
        sft.main([])
    assert 'the following arguments are required: --out' in capsys.readouterr().err
