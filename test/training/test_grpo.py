"""GRPO as it is called: what it is told, what it leaves behind, and the sentences it ends with when it cannot run."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import statistics

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')
pytest.importorskip('tensorboard')

from accelerate.commands.config.config_args import load_config_from_file  # noqa: E402
from accelerate.commands.launch import launch_command_parser  # noqa: E402
from toy_grpo import COLOURS, WORDS, ColourJudge, make_settings, make_trainer, questions, write_model  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.core.models import prompt_format  # noqa: E402
from embodied_r_ros.core.settings import from_arguments  # noqa: E402
from embodied_r_ros.evaluation.samples import write_samples  # noqa: E402
from training import grpo, metrics  # noqa: E402
from training.grpo_settings import GrpoSettings, trl_config  # noqa: E402
from training.prompts import ask_all  # noqa: E402
from training.rewards import weights_at  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('start') / 'model', steps=40)


def sample(number=0, **changes):
    return {
        'id': f'q{number}', 'source': 'toy', 'scene': f's{number}', 'category': 'colour', 'choices': list(COLOURS),
        'question': f'Which colour is thing {number}?', 'answer': 'ABCD'[number % 4],
        'observations': [{'stamp_ns': 0, 'action': '', 'text': f'a thing {number}'}], **changes,
    }  # fmt: skip


@pytest.fixture
def call(start, tmp_path):
    """Call the command line on some samples; returns its status."""

    def called(*words, samples=None, model=start, out='out'):
        path = tmp_path / 'samples.jsonl'
        write_samples(path, [sample(number) for number in range(6)] if samples is None else samples)
        paths = ['--model', str(model), '--samples', str(path), '--out', str(tmp_path / out)]
        small = '--max-steps 2 --num-generations 4 --micro-batch 8 --max-completion-length 8 --weights 3:7:0'
        return grpo.main([*paths, *small.split(), *words])

    return called


def test_the_defaults_are_the_papers(tmp_path):
    settings = GrpoSettings()
    config = trl_config(settings, tmp_path, 100, settings.max_completion_length, processes=1)
    assert settings.schedule() is weights_at
    assert (settings.format, settings.epochs, settings.max_prompt_length) == ('paper', 12.0, 6144)
    told = {name: getattr(config, name) for name in ('loss_type', 'beta', 'epsilon', 'num_generations', 'temperature')}
    assert told == {'loss_type': 'grpo', 'beta': 0.001, 'epsilon': 0.2, 'num_generations': 8, 'temperature': 1.0}
    assert (config.learning_rate, config.max_completion_length) == (5e-7, 2048)
    assert config.generation_batch_size == 32
    assert config.steps_per_generation == config.gradient_accumulation_steps


def test_a_run_leaves_a_model_its_metrics_its_completions_and_what_made_it(call, start, tmp_path, capsys):
    odd = sample(8, observations=[])
    assert call(samples=[*(sample(number) for number in range(6)), odd]) == 0
    out = tmp_path / 'out'
    printed = capsys.readouterr().out
    assert 'left out: 1 InputError' in printed
    assert '6 questions, 2 steps, 0 of them done' in printed
    assert re.search(r'^needs 0\.0 GB of memory beside the loaded weights at most', printed, re.MULTILINE)
    steps, completions = metrics.read(out / 'metrics.jsonl'), metrics.read(out / 'completions.jsonl')
    assert [entry['step'] for entry in steps] == [1, 2]
    left_out = {'token_accuracy', 'consistency', 'consistency_ratio', 'judge_failures'}
    left_out |= {name for name in metrics.FIGURES if name.startswith('vllm_')}
    for entry in steps:
        assert {*metrics.FIGURES} - left_out <= entry.keys()
        assert entry['weights'] == {'format': 0.3, 'accuracy': 0.7, 'consistency': 0.0}
        own = [line for line in completions if line['step'] == entry['step']]
        assert len(own) == 16
        assert entry['ids'] == list(dict.fromkeys(line['id'] for line in own)) and len(entry['ids']) == 4
        assert entry['reward'] == pytest.approx(sum(line['reward'] for line in own) / 16)
        assert entry['accuracy'] == pytest.approx(sum(line['accuracy'] for line in own) / 16)
        assert entry['length'] == pytest.approx(sum(line['tokens'] for line in own) / 16)
    made = json.loads((out / 'training.json').read_text())
    assert made['model'] == str(start) and made['weights'] == '3:7:0' and made['steps'] == 2
    assert re.fullmatch(r'[0-9a-f]{64}', made['samples_sha256'])
    assert made['commit']
    assert (out / 'model.safetensors').exists() and (out / 'tokenizer' / 'tokenizer.json').exists()
    assert list((out / 'tensorboard').iterdir())


def test_a_finished_run_is_left_as_it_is_and_another_one_does_not_mix_with_it(call, tmp_path, capsys):
    assert call() == 0
    before = (tmp_path / 'out' / 'model.safetensors').read_bytes()
    assert call() == 0
    assert 'holds this run, and it is finished' in capsys.readouterr().out
    assert call('--beta', '0.5') == 2
    assert 'holds a run with beta 0.001, and now it is 0.5; name another folder' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'model.safetensors').read_bytes() == before


def test_a_model_of_another_making_is_not_written_over(call, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'training.json').write_text('{}')
    assert call() == 2
    assert 'holds a model that was made in another way; name another folder' in capsys.readouterr().err


def test_a_run_whose_last_checkpoint_is_its_end_only_saves_the_model(call, tmp_path):
    assert call() == 0
    before = (tmp_path / 'out' / 'model.safetensors').read_bytes()
    (tmp_path / 'out' / 'training.json').unlink()
    (tmp_path / 'out' / 'model.safetensors').unlink()
    assert call() == 0
    assert (tmp_path / 'out' / 'model.safetensors').read_bytes() == before
    assert len(metrics.read(tmp_path / 'out' / 'metrics.jsonl')) == 2


REFUSED = {
    'no model folder': (['--model', 'nowhere'], {}, "a model folder with config.json was wanted, 'nowhere'"),
    'no sample': ([], {'samples': []}, 'samples to train on were wanted, none of 0 is left'),
    'no sample that can be asked': (
        [],
        {'samples': [sample(observations=[])]},
        "none of 1 is left; the first reason: sample 'q0': observations to reason over were wanted",
    ),
    'no sample with observations': (
        [],
        {'samples': [{name: value for name, value in sample().items() if name != 'observations'}]},
        "sample 'q0' has no observations",
    ),
    'every prompt too long': (['--max-prompt-length', '10'], {}, 'tokens, and at most 10 are allowed'),
    'too few questions': (
        [],
        {'samples': [sample(0), sample(1)]},
        'at least 4 questions, those of one step, were wanted',
    ),
    'a batch that groups do not divide': (
        ['--micro-batch', '5'],
        {},
        'a step has 16 completions (prompts_per_step 4 x',
    ),
    'weights in words': (['--weights', 'all'], {}, "weights must be '' or 'FORMAT:ACCURACY:CONSISTENCY' in numbers"),
    'weights of nothing': (['--weights', '0:0:0'], {}, 'weights should be at least 0'),
    'a judge that reads no letters': (
        ['--weights', '0:9:1'],
        {},
        'a judge whose tokenizer has each of the letters A to Z',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_trained_ends_with_a_sentence(case, call, capsys):
    words, changes, sentence = REFUSED[case]
    assert call(*words, **changes) == 2
    told = capsys.readouterr().err
    assert 'training.grpo: ' in told
    assert sentence in told


def test_missing_samples_end_with_a_sentence(start, tmp_path, capsys):
    words = ['--model', str(start), '--samples', str(tmp_path / 'no.jsonl'), '--out', str(tmp_path / 'out')]
    assert grpo.main(words) == 2
    assert 'samples cannot be read from' in capsys.readouterr().err


def test_a_folder_without_a_model_is_named(start, tmp_path, call, capsys):
    (tmp_path / 'half').mkdir()
    for name in ('tokenizer_config.json', 'tokenizer.json', 'chat_template.jinja'):
        (tmp_path / 'half' / name).write_bytes((start / name).read_bytes())
    assert call(model=tmp_path / 'half') == 2
    assert 'a model folder with config.json was wanted' in capsys.readouterr().err


def test_replies_end_where_the_context_of_the_model_ends(start):
    asked = ask_all([sample()], prompt_format('paper'), lambda turns: 500, 6144)
    model = make_config(max_position_embeddings=512)
    assert grpo.completion_tokens(GrpoSettings(), asked, model) == 12
    assert grpo.completion_tokens(GrpoSettings(max_completion_length=8), asked, model) == 8
    with pytest.raises(SettingsError, match='a context longer than the longest prompt, 500 tokens, was wanted'):
        grpo.completion_tokens(GrpoSettings(), asked, make_config(max_position_embeddings=500))


def make_config(**values):
    return type('Config', (), values)()


class FailsOnFirst(ColourJudge):
    """Fails on the first case that it is given."""

    def judge(self, cases):
        return [None, *super().judge(cases)[1:]]


def advantages(start, out, answers, judge):
    """What eight replies to one question are worth that all think of red, each in its own words."""
    settings = make_settings(max_steps=2, prompts_per_step=1, num_generations=8, micro_batch=8, weights='1:7:2')
    trainer = make_trainer(start, out, settings, count=1, judge=judge)
    texts = [
        f'<think> {word} red </think> <answer> {answer} </answer> </s>' for word, answer in zip(WORDS[4:], answers)
    ]
    ids = [trainer.processing_class(text)['input_ids'] for text in texts]
    trainer._generate_single_turn = lambda *_: (ids, None)
    trainer.model.train()
    output = trainer._generate_and_score_completions([questions(1)[0][0]] * 8)
    return output['advantages'].tolist(), [rollout['reward'] for rollout in trainer.rollouts]


def test_eight_equal_completions_of_which_one_has_no_judgement_have_no_advantage(start, tmp_path):
    found, rewards = advantages(start, tmp_path, ['red'] * 8, FailsOnFirst())
    assert rewards == [None] + [pytest.approx(1.0)] * 7
    assert found == [0.0] * 8


def test_a_completion_without_a_judgement_does_not_move_the_others(start, tmp_path):
    answers = ['red', 'red', 'blue', 'red', 'blue', 'blue', 'red', 'blue']
    found, rewards = advantages(start, tmp_path, answers, FailsOnFirst())
    assert rewards[0] is None and found[0] == 0.0
    mean, spread = statistics.mean(rewards[1:]), statistics.stdev(rewards[1:])
    assert found[1:] == pytest.approx([(reward - mean) / (spread + 1e-4) for reward in rewards[1:]], rel=1e-4)


def test_passes_without_padding_give_what_one_pass_gives(start, tmp_path):
    settings = make_settings(max_steps=2, num_generations=4, micro_batch=16)
    trainer = make_trainer(start, tmp_path, settings)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 16, (19, 30), generator=generator)
    given, said = torch.randint(1, 13, (2, 19, 1), generator=generator)
    place = torch.arange(30)
    mask = ((place >= 12 - given) & (place < 12 + said)).long()
    ours = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 18, compute_entropy=True)
    stock = GRPOTrainer._get_per_token_logps_and_entropies(trainer, trainer.model, ids, mask, 18, compute_entropy=True)
    kept = mask[:, 12:].bool()
    for own, theirs in zip(ours[:2], stock[:2]):
        assert own.shape == (19, 18)
        assert torch.allclose(own[kept], theirs[kept], atol=1e-5)


@pytest.mark.parametrize(('vllm', 'sleeps'), [('none', False), ('colocate', True), ('server', False)])
def test_vllm_in_the_process_sleeps_while_the_model_learns(vllm, sleeps, tmp_path):
    config = trl_config(GrpoSettings(vllm=vllm), tmp_path, 1, 16, processes=1)
    assert config.vllm_enable_sleep_mode is sleeps


def test_low_rank_adapters_alone_are_trained(call, tmp_path):
    pytest.importorskip('peft')
    assert call('--lora-rank', '2', '--beta', '0.01') == 0
    assert (tmp_path / 'out' / 'adapter_model.safetensors').exists()
    assert not (tmp_path / 'out' / 'model.safetensors').exists()


CONFIGS = pathlib.Path(grpo.__file__).parent / 'configs'
LAUNCHES = re.findall(r'^ +(?:\S+=\S+ )?(accelerate launch .*)$', (CONFIGS / 'README.md').read_text(), re.MULTILINE)


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.stem)
def test_accelerate_reads_each_configuration(path):
    told = load_config_from_file(str(path))
    assert told.mixed_precision == 'bf16'
    assert told.to_dict()['distributed_type'] in ('NO', 'FSDP', 'DEEPSPEED')


@pytest.mark.parametrize('line', LAUNCHES, ids=lambda line: re.search(r'configs/(\w+)', line)[1])
def test_the_launch_lines_are_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parents[1])
    launch = launch_command_parser().parse_args(shlex.split(line)[2:])
    processes = launch.num_processes or load_config_from_file(launch.config_file).num_processes
    assert (launch.module, launch.training_script) == (True, 'training.grpo')
    options = grpo.command_line().parse_args(launch.training_script_args)
    settings = from_arguments(GrpoSettings, options)
    assert settings.prompts_per_step * settings.num_generations == 32
    assert settings.passes(processes) * settings.micro_batch * processes == 32


def test_the_launch_lines_are_for_1_4_and_8_gpus():
    assert len(LAUNCHES) == 4
    assert ['--num_processes 4' in line or '--num_processes 8' in line for line in LAUNCHES] == [
        False,
        True,
        True,
        True,
    ]
