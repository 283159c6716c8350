"""Runs that are broken off: they go on as if they had not been, and only from checkpoints that are whole."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from toy_grpo import COLOURS, make_settings, make_trainer, write_model  # noqa: E402
from transformers import TrainerCallback  # noqa: E402

from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.evaluation.samples import write_samples  # noqa: E402
from training import metrics  # noqa: E402
from training.run_folder import checkpoints, newest_checkpoint, step_of  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Three steps are an epoch, and the stages change at steps 1.5 and 3.
SETTINGS = {'max_steps': 9, 'save_steps': 2, 'num_generations': 4, 'micro_batch': 8, 'seed': 3}
QUESTIONS = 14


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('start') / 'model')


class BrokenOff(Exception):
    """Stands for whatever ends a process."""


class BreakOff(TrainerCallback):
    """Ends the run in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise BrokenOff


def go_on(start, out, broken_off_at=None, **changes):
    """Run to the end or to a step, from the newest checkpoint."""
    trainer = make_trainer(start, out, make_settings(**{**SETTINGS, **changes}), QUESTIONS)
    if broken_off_at is not None:
        trainer.add_callback(BreakOff(broken_off_at))
    checkpoint = newest_checkpoint(out)
    if checkpoint:
        torch.manual_seed(time.monotonic_ns())
    with contextlib.suppress(BrokenOff):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def told(out):
    """All that a run has written, but for how long it took."""
    steps = [{**entry, 'seconds': 0.0} for entry in metrics.read(out / 'metrics.jsonl')]
    return steps, metrics.read(out / 'completions.jsonl')


def test_a_run_broken_off_three_times_is_the_run_that_was_not(start, tmp_path):
    go_on(start, tmp_path / 'whole')
    for step in (1, 5, 8):
        go_on(start, tmp_path / 'broken', broken_off_at=step)
    go_on(start, tmp_path / 'broken')
    whole, broken = told(tmp_path / 'whole'), told(tmp_path / 'broken')
    assert broken == whole
    steps = whole[0]
    assert [entry['step'] for entry in steps] == list(range(1, 10))
    assert {tuple(entry['weights'].values()) for entry in steps} == {(0.7, 0.3, 0.0), (0.3, 0.7, 0.0), (0.1, 0.7, 0.2)}
    assert len({entry['grad_norm'] for entry in steps}) == 9
    epochs = [[name for entry in steps[first : first + 3] for name in entry['ids']] for first in (0, 3, 6)]
    assert all(len(set(epoch)) == 12 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_another_seed_is_another_run(start, tmp_path):
    go_on(start, tmp_path / 'one', max_steps=2)
    go_on(start, tmp_path / 'other', max_steps=2, seed=4)
    assert told(tmp_path / 'one') != told(tmp_path / 'other')


def test_a_checkpoint_that_is_not_whole_is_ignored(start, tmp_path):
    go_on(start, tmp_path, max_steps=2)
    assert [step_of(folder) for folder in checkpoints(tmp_path)] == [2]
    for name, state in (('checkpoint-4', None), ('checkpoint-6', '{"global_st'), ('checkpoint-8', '{}')):
        shutil.copytree(tmp_path / 'checkpoint-2', tmp_path / name)
        (tmp_path / name / 'trainer_state.json').unlink()
        if state:
            (tmp_path / name / 'trainer_state.json').write_text(state)
    shutil.copytree(tmp_path / 'checkpoint-2', tmp_path / '.unfinished' / 'checkpoint-3')
    assert newest_checkpoint(tmp_path) == tmp_path / 'checkpoint-2'
    go_on(start, tmp_path, max_steps=4)
    assert newest_checkpoint(tmp_path) == tmp_path / 'checkpoint-4'
    assert [entry['step'] for entry in metrics.read(tmp_path / 'metrics.jsonl')] == [1, 2, 3, 4]


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / 'nothing') is None


@pytest.fixture
def no_room():
    """No file may grow beyond some bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before_it(start, tmp_path, no_room):
    go_on(start, tmp_path, max_steps=2)
    kept = {path.name: path.read_bytes() for path in (tmp_path / 'checkpoint-2').iterdir()}
    trainer = make_trainer(start, tmp_path, make_settings(**{**SETTINGS, 'max_steps': 4}), QUESTIONS)
    no_room(20_000)
    with pytest.raises(
        SettingsError, match=r'the checkpoint of step 4 could not be written .*checkpoint-2 is whole; make'
    ):
        trainer.train(resume_from_checkpoint=str(newest_checkpoint(tmp_path)))
    assert newest_checkpoint(tmp_path) == tmp_path / 'checkpoint-2'
    assert {path.name: path.read_bytes() for path in (tmp_path / 'checkpoint-2').iterdir()} == kept
    assert not (tmp_path / '.unfinished').exists() and not (tmp_path / 'checkpoint-4').exists()


def command(start, samples, out):
    """GRPO as it is called; the questions are put in words that the model does not know, its replies are still read."""
    options = (
        '--format paper --max-steps 12 --prompts-per-step 4 --num-generations 4 --micro-batch 8 --save-steps 2 '
        '--weights 3:7:0 --learning-rate 3e-3 --max-completion-length 8'
    )
    paths = ['--model', str(start), '--samples', str(samples), '--out', str(out)]
    return [sys.executable, '-m', 'training.grpo', *paths, *options.split()]


def write_questions(path):
    def sample(number):
        return {
            'id': f'q{number}', 'source': 'toy', 'scene': f's{number}', 'category': 'colour', 'choices': list(COLOURS),
            'question': f'Which colour is thing {number}?', 'answer': 'ABCD'[number % 4],
            'observations': [{'stamp_ns': 0, 'action': '', 'text': f'a thing {number}'}],
        }  # fmt: skip

    write_samples(path, [sample(number) for number in range(QUESTIONS)])
    return path


@pytest.mark.slow
def test_a_process_killed_three_times_has_the_ids_and_losses_of_one_that_was_not(start, tmp_path):
    pytest.importorskip('tensorboard')
    samples, out = write_questions(tmp_path / 'samples.jsonl'), tmp_path / 'killed'
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}

    def started(folder):
        return subprocess.Popen(command(start, samples, folder), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    for written in (1, 5, 8):
        process = started(out)
        log = out / 'metrics.jsonl'
        while not log.exists() or len(log.read_text().splitlines()) < written:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert started(out).wait() == 0
    assert started(tmp_path / 'whole').wait() == 0
    assert told(out) == told(tmp_path / 'whole')
    assert [entry['step'] for entry in told(out)[0]] == list(range(1, 13))
    weights = [(folder / 'model.safetensors').read_bytes() for folder in (out, tmp_path / 'whole')]
    assert weights[0] == weights[1]
    assert json.loads((out / 'training.json').read_text())['seed'] == 0
