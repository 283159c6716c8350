"""Fine-tuning of any language model: what is learnt, what a run leaves, how it goes on, and what it refuses."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')
pytest.importorskip('peft')

from tiny_models import make_foreign, random_folder, with_template  # noqa: E402

from embodied_r_ros.adapters.weights import prompt_format_of  # noqa: E402
from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.evaluation.samples import write_samples  # noqa: E402
from training import metrics, own_model, sft  # noqa: E402
from training.model_folder import load_model, load_tokenizer  # noqa: E402
from training.own_model import OwnModelSettings  # noqa: E402
from training.teacher import Teacher  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

TEMPLATE = "{% for turn in messages %}{{ turn['role'] + ' ' + turn['content'] + ' </s> ' }}{% endfor %}{% if add_generation_prompt %}assistant {% endif %}"  # noqa: E501
ALL, ADAPTERS = '0', '4'


def write_model(folder, template=TEMPLATE):
    """A model of random weights, its tokenizer none of the compact language; transformers reads that as it is alone."""
    make_foreign(with_template(random_folder(folder, max_position_embeddings=4096), template))
    (folder / 'tokenizer').mkdir()
    for name in ('tokenizer.json', 'tokenizer_config.json'):
        shutil.copy(folder / name, folder / 'tokenizer' / name)
    return folder


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('start') / 'model')


def call(start, out, *words):
    """Call the command line; a short run, unless the words say otherwise."""
    small = '--format paper --steps 4 --lessons 2 --save-steps 2 --learning-rate 0.01 --dtype float32'
    return sft.main(['--model', str(start), '--out', str(out), *small.split(), *words])


@pytest.fixture(scope='module', params=[ALL, ADAPTERS], ids=['all weights', 'adapters'])
def run(request, start, tmp_path_factory):
    """A short run with a line of metrics after each step, and what was trained."""
    out = tmp_path_factory.mktemp('own') / 'run'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_model, 'LOG_STEPS', 1)
        assert call(start, out, '--lora-rank', request.param) == 0
        yield out, request.param


def weights(folder):
    return (folder / 'model.safetensors').read_bytes()


def test_a_run_leaves_a_model_that_the_robot_can_ask_and_what_made_it(run, start):
    out, rank = run
    assert prompt_format_of(out) == 'paper'
    assert not (out / 'adapter_config.json').exists()
    assert weights(out) != weights(start)
    assert load_model(out, torch.float32).config.use_cache
    assert load_tokenizer(out).chat_template == TEMPLATE
    made = json.loads((out / 'training.json').read_text())
    assert (made['model'], made['format'], made['lora_rank'], made['dtype']) == (
        str(start),
        'paper',
        int(rank),
        'float32',
    )
    assert made['commit']


def test_it_logs_each_step_and_learns(run):
    steps = metrics.read(run[0] / 'metrics.jsonl')
    assert [entry['step'] for entry in steps] == [1, 2, 3, 4]
    assert steps[-1]['loss'] < steps[0]['loss']


def test_a_run_that_was_broken_off_ends_in_the_same_weights(run, start, tmp_path, monkeypatch):
    whole, taken = Teacher.training_step, itertools.count(1)

    def training_step(self, *inputs, **others):
        if next(taken) == 6:  # the second lesson of step 3
            raise KeyboardInterrupt
        return whole(self, *inputs, **others)

    monkeypatch.setattr(own_model, 'LOG_STEPS', 1)
    with monkeypatch.context() as patch:
        patch.setattr(Teacher, 'training_step', training_step)
        with pytest.raises(KeyboardInterrupt):
            call(start, tmp_path / 'broken', '--lora-rank', run[1])
    assert [path.name for path in (tmp_path / 'broken').glob('checkpoint-*')] == ['checkpoint-2']
    assert call(start, tmp_path / 'broken', '--lora-rank', run[1]) == 0
    assert weights(tmp_path / 'broken') == weights(run[0])
    assert metrics.read(tmp_path / 'broken' / 'metrics.jsonl') == metrics.read(run[0] / 'metrics.jsonl')


def test_a_finished_run_is_left_as_it_is_and_another_one_does_not_mix_with_it(run, start, capsys):
    out, rank = run
    assert call(start, out, '--lora-rank', rank) == 0
    assert 'holds this run, and it is finished' in capsys.readouterr().out
    assert call(start, out, '--lora-rank', rank, '--dtype', 'bfloat16') == 2
    assert "holds a run with dtype 'float32', and now it is 'bfloat16'" in capsys.readouterr().err


def test_only_the_reply_is_learnt(start, tmp_path):
    tokenizer, settings = load_tokenizer(start), OwnModelSettings(lora_rank=0)
    rows = own_model.taught(settings, [], tokenizer)
    trainer = Teacher(
        model=load_model(start, torch.float32),
        args=own_model.trl_config(settings, tmp_path, 1),
        train_dataset=own_model.IterableDataset.from_generator(rows),
        processing_class=tokenizer,
    )
    for given, row in zip(rows(), itertools.islice(trainer.train_dataset, 3)):
        learnt = [label for label in row['labels'] if label != -100]
        begun = len(row['labels']) - len(learnt)
        assert learnt == row['input_ids'][begun:]
        reply = tokenizer(given['completion'][0]['content'] + ' </s>', add_special_tokens=False)['input_ids']
        assert learnt == reply


@pytest.mark.parametrize('dtype', ['auto', 'bfloat16'])
def test_arithmetic_in_fewer_bits(dtype, start, tmp_path):
    assert call(start, tmp_path / 'out', '--steps', '1', '--dtype', dtype) == 0
    made = json.loads((tmp_path / 'out' / 'training.json').read_text())
    assert made['dtype'] in ('float32', 'bfloat16') and dtype in ('auto', made['dtype'])


def test_a_long_lesson_is_left_out(start):
    tokenizer = load_tokenizer(start)
    lengths = [
        len(tokenizer.apply_chat_template(row['prompt'] + row['completion'])['input_ids'])
        for row in itertools.islice(own_model.taught(OwnModelSettings(max_tokens=300), [], tokenizer)(), 20)
    ]
    assert 200 < max(lengths) <= 300


def test_half_of_the_lessons_are_about_samples_where_there_are_any(samples):
    questions = {entry['question'] for entry in samples}
    found = [
        any(question in lesson.prompt[-1].content for question in questions)
        for lesson in itertools.islice(own_model.stream(0, samples), 8)
    ]
    assert found == [False, True] * 4


@pytest.fixture
def samples():
    observations = [
        {
            'stamp_ns': 0, 'action': '', 'text': 'lamp straight ahead at 3.0 m',
            'sightings': [{'name': 'lamp', 'bearing_left_deg': 0.0, 'elevation_deg': 0.0, 'distance_m': 3.0}],
        }
    ]  # fmt: skip
    return [
        {
            'id': 'q0', 'source': 'toy', 'scene': 's0', 'category': 'landmark position', 'answer': 'B',
            'question': 'Where is the lamp now?', 'choices': ['left', 'ahead'], 'observations': observations,
        }
    ]  # fmt: skip


REFUSED = {
    'no model': (['--model', 'nowhere'], "a model folder with config.json was wanted, 'nowhere' does not exist"),
    'uneven': (['--micro-batch', '4'], 'a step has 2 lessons, which micro_batch 4 on 1 process.es. does not divide'),
    'too short': (['--max-tokens', '100'], 'lessons of at most 100 tokens were wanted, the last 5 were longer'),
    'no samples': (['--samples', 'empty.jsonl'], 'samples to learn from were wanted, empty.jsonl has none'),
    'no template': (['--model', 'mute'], 'a chat template that writes turns of system, user, assistant was wanted'),
}


@pytest.mark.parametrize(('words', 'message'), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_ends_with_a_sentence(words, message, start, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_model, 'MOST_TOO_LONG', 5)
    write_samples(tmp_path / 'empty.jsonl', [])
    write_model(tmp_path / 'mute', "{{ raise_exception('no system turns') }}")
    assert call(start, tmp_path / 'out', *words) == 2
    with pytest.raises(SettingsError, match=message):
        raise SettingsError(capsys.readouterr().err)


@pytest.mark.parametrize(
    'error',
    [
        torch.OutOfMemoryError('CUDA out of memory.'),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    ],
    ids=['GPU', 'CPU'],
)
def test_a_step_that_finds_no_memory_ends_with_a_sentence(error, start, tmp_path, monkeypatch, capsys):
    def training_step(self, *inputs, **others):
        raise error

    monkeypatch.setattr(Teacher, 'training_step', training_step)
    assert call(start, tmp_path / 'out') == 2
    assert f'step 1 ran out of memory ({error}); start anew with a lower micro_batch' in capsys.readouterr().err


def test_another_failure_of_a_step_is_not_taken_for_a_lack_of_memory(start, tmp_path, monkeypatch):
    def training_step(self, *inputs, **others):
        raise RuntimeError('something else')

    monkeypatch.setattr(Teacher, 'training_step', training_step)
    with pytest.raises(RuntimeError, match='something else'):
        call(start, tmp_path / 'out')
