"""Supervised fine-tuning: the same seed learns the same, a few steps lower the loss, batches hold what they may."""

from __future__ import annotations

import argparse
import itertools
import json
import random

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('transformers')

from embodied_r_ros.core.compact import BOS, vocabulary  # noqa: E402
from training import sft  # noqa: E402
from training.lessons import TOKEN_IDS, Lesson, lessons  # noqa: E402
from training.reasoner import make_model  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

SMALL = {'hidden': 32, 'layers': 2, 'heads': 4}


@pytest.fixture(scope='module')
def taught():
    """A few lessons of moderate length."""
    return [lesson for lesson in itertools.islice(lessons('sft test'), 60) if len(lesson.ids) < 250][:24]


def learnt(taught, steps, seed=0):
    """The losses of some steps on the same few lessons."""
    model = make_model(**SMALL, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return [sft.learn(model, optimizer, taught[:6])[0] for _ in range(steps)]


def test_two_runs_of_the_same_seed_have_the_same_losses(taught):
    first, again, other = learnt(taught, 4), learnt(taught, 4), learnt(taught, 4, seed=1)
    assert first == again
    assert first != other


def test_a_few_steps_lower_the_loss(taught):
    losses = learnt(taught, 15)
    assert losses[-1] < 0.85 * losses[0]


def test_the_help_names_the_default_number_of_tokens(capsys):
    with pytest.raises(SystemExit):
        sft.main(['--help'])
    assert 'tokens to learn from (default 2.6e+07)' in ' '.join(capsys.readouterr().out.split())


def test_only_the_reply_is_learnt(taught):
    model = make_model(**SMALL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    lesson = taught[0]
    (loss, right) = sft.learn(model, optimizer, [lesson])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([lesson.ids])).logits[0]
    wanted = torch.tensor(lesson.ids[lesson.given :])
    said = logits[lesson.given - 1 : len(lesson.ids) - 1]
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(said, wanted).item(), rel=1e-4)
    assert right == pytest.approx((said.argmax(-1) == wanted).float().mean().item())


def test_padding_changes_nothing(taught):
    model = make_model(**SMALL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    short, long = sorted(taught, key=lambda lesson: len(lesson.ids))[:: len(taught) - 1]
    alone = [sft.learn(model, optimizer, [lesson])[0] for lesson in (short, long)]
    counts = [len(lesson.ids) - lesson.given for lesson in (short, long)]
    together = sft.learn(model, optimizer, [short, long])[0]
    mean = sum(loss * count for loss, count in zip(alone, counts)) / sum(counts)
    assert together == pytest.approx(mean, rel=1e-4)


def test_the_rate_falls_along_a_cosine():
    assert sft.schedule(0.0) == pytest.approx(1.0)
    assert sft.schedule(0.5) == pytest.approx(0.51)
    assert sft.schedule(1.0) == sft.schedule(7.0) == pytest.approx(0.02)
    shares = [sft.schedule(step / 20) for step in range(21)]
    assert shares == sorted(shares, reverse=True)


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
        'out': out, 'init': None, 'tokens': 4000.0, 'warm_up_steps': 2, 'learning_rate': 2e-3, 'batch_tokens': 2000,
        'hidden': 32, 'layers': 2, 'seed': 0, 'threads': 1,
    }  # fmt: skip
    return argparse.Namespace(**{**values, **changes})


def test_a_run_leaves_a_model_and_what_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 60)
    first, again = tmp_path / 'first', tmp_path / 'again'
    for out in (first, again):
        out.mkdir()
        sft.train(options(out))
    assert (first / 'model.safetensors').read_bytes() == (again / 'model.safetensors').read_bytes()
    made_by = json.loads((first / 'training.json').read_text())
    assert made_by['seed'] == '0'
    assert int(made_by['tokens_seen']) >= 4000
    assert json.loads((first / 'config.json').read_text())['vocab_size'] == len(vocabulary())
    assert (first / 'tokenizer.json').exists()


def test_a_run_goes_on_from_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(sft, 'POOL', 60)
    first, second = tmp_path / 'first', tmp_path / 'second'
    for out in (first, second):
        out.mkdir()
    trained = sft.train(options(first))
    kept = sft.train(options(second, init=first, learning_rate=0.0))
    assert all(torch.equal(tensor, kept.state_dict()[name]) for name, tensor in trained.state_dict().items())


def test_the_command_line_names_its_folder(capsys):
    with pytest.raises(SystemExit):
        sft.main([])
    assert 'the following arguments are required: --out' in capsys.readouterr().err
