"""Export: the folder that is written says the same through each reader, and its card what it was made from."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')
pytest.importorskip('trl')

from toy_grpo import SIGNS, write_model  # noqa: E402

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel  # noqa: E402
from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from training import export  # noqa: E402
from training.model_folder import load_model, load_tokenizer  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

MADE = {'model': '/home/someone/out/sft', 'samples': '/data/world.jsonl', 'seed': 7, 'commit': 'abc123', 'judge': ''}
PART = {'questions': 10, 'accuracy': 0.9, 'interval': [0.8, 1.0], 'chance': 0.25, 'question_only': 0.27}
OF_TASK = {**PART, 'accuracy': 0.5, 'question_only': None}
SCORES = {**PART, 'macro': 0.91, 'consistency': None, 'per_task': {'route planning': OF_TASK}}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp('trained') / 'model', steps=40)
    (folder / 'training.json').write_text(json.dumps(MADE))
    return folder


def greedy_numpy(folder, prompt):
    return list(NumpyLanguageModel(folder).generate_ids(prompt, max_tokens=12))


def greedy_transformers(folder, prompt):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12)[0, len(prompt) :].tolist()
    return [token for token in ids if token != model.config.eos_token_id]


def test_each_reader_of_the_folder_says_the_same(trained, tmp_path):
    export.export(trained, tmp_path / 'out')
    tokenizer = load_tokenizer(tmp_path / 'out')
    said = set()
    for sign in SIGNS:
        prompt = tokenizer.apply_chat_template([{'role': 'user', 'content': sign}])['input_ids']
        assert prompt == [1, tokenizer.get_vocab()[sign]]
        reply = greedy_numpy(tmp_path / 'out', prompt)
        assert 5 <= len(reply) <= 12
        assert reply == greedy_transformers(tmp_path / 'out', prompt) == greedy_transformers(trained, prompt)
        said.add(tuple(reply))
    assert said


def test_adapters_are_merged(trained, tmp_path):
    peft = pytest.importorskip('peft')
    torch.manual_seed(0)
    settings = peft.LoraConfig(r=2, target_modules='all-linear', init_lora_weights=False, task_type='CAUSAL_LM')
    adapted = peft.get_peft_model(load_model(trained, torch.float32), settings)
    adapted.save_pretrained(tmp_path / 'adapters')
    load_tokenizer(trained).save_pretrained(tmp_path / 'adapters')
    export.export(tmp_path / 'adapters', tmp_path / 'out')
    prompt = torch.tensor([[1, 9]])
    with torch.no_grad():
        wanted, plain = adapted(prompt).logits, load_model(trained, torch.float32)(prompt).logits
        found = load_model(tmp_path / 'out', torch.float32)(prompt).logits
    assert torch.allclose(found, wanted, atol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-2)
    assert not (tmp_path / 'out' / 'adapter_config.json').exists()


def test_weights_are_averaged_with_those_of_another_model(trained, tmp_path, capsys):
    start = write_model(tmp_path / 'start', steps=0)
    words = ['--model', str(trained), '--average-with', str(start), '--share', '0.75', '--out', str(tmp_path / 'out')]
    assert export.main(words) == 0
    found, mine, theirs = (
        dict(load_model(folder, torch.float32).named_parameters()) for folder in (tmp_path / 'out', trained, start)
    )
    assert any(not torch.equal(mine[name], theirs[name]) for name in mine)
    for name in mine:
        assert torch.allclose(found[name], 0.75 * mine[name] + 0.25 * theirs[name], atol=1e-6)
    made = json.loads((tmp_path / 'out' / 'training.json').read_text())
    assert made == MADE | {'averaged_with': str(start), 'share': 0.75}
    card = (tmp_path / 'out' / 'README.md').read_text()
    assert '| averaged_with | `start` |' in card.splitlines() and str(tmp_path) not in card


def test_models_that_do_not_average_are_refused(trained, tmp_path):
    narrow = transformers.Qwen2Config.from_pretrained(trained, hidden_size=16)
    transformers.Qwen2ForCausalLM(narrow).save_pretrained(tmp_path / 'narrow')
    with pytest.raises(SettingsError, match='must have the same weights, these differ in [0-9]+, such as model'):
        export.export(trained, tmp_path / 'out', average_with=tmp_path / 'narrow')
    for share in (0.0, 1.0, float('nan')):
        with pytest.raises(SettingsError, match='--share must be between 0 and 1'):
            export.export(trained, tmp_path / 'out', average_with=trained, share=share)
    assert not (tmp_path / 'out').exists()


def test_the_card_says_what_the_model_was_made_from_and_how_good_it_is(trained, tmp_path, capsys):
    (tmp_path / 'scores.json').write_text(json.dumps(SCORES))
    words = ['--model', str(trained), '--out', str(tmp_path / 'out'), '--scores', str(tmp_path / 'scores.json')]
    assert export.main(words) == 0
    assert 'MB of weights' in capsys.readouterr().out
    card = (tmp_path / 'out' / 'README.md').read_text()
    assert card.startswith('---\nlibrary_name: transformers\n')
    for line in (
        '| model | `sft` |',
        '| samples | `world.jsonl` |',
        '| seed | `7` |',
        '| commit | `abc123` |',
        '| route planning | 10 | 50.0% | 80.0% to 100.0% | 25.0% | - |',
        '| all | 10 | 90.0% | 80.0% to 100.0% | 25.0% | 27.0% |',
        'Mean over tasks 91.0%.',
        '    vllm serve out --tokenizer out/tokenizer',
    ):
        assert line in card.splitlines()
    assert 'someone' not in card and 'judge' not in card
    assert json.loads((tmp_path / 'out' / 'training.json').read_text()) == MADE
    assert not (tmp_path / 'out.part').exists()


def test_a_card_says_what_is_not_known():
    card = export.card('some', {}, {}, own_tokenizer=False)
    assert 'Not written down where it was trained.' in card
    assert 'Not measured.' in card
    assert '    vllm serve some\n' in card


def test_what_cannot_be_exported_ends_with_a_sentence(trained, tmp_path, capsys):
    def told(*words):
        assert export.main([*words]) == 2
        return capsys.readouterr().err

    out = str(tmp_path / 'out')
    assert 'a model folder with config.json was wanted' in told('--model', str(tmp_path / 'no'), '--out', out)
    assert 'that does not exist yet was wanted' in told('--model', str(trained), '--out', str(tmp_path))
    assert 'cannot be read' in told('--model', str(trained), '--out', out, '--scores', str(tmp_path / 'no.json'))
    (tmp_path / 'list.json').write_text('[1]')
    (tmp_path / 'odd.json').write_text('{"accuracy": 1}')
    for name, sentence in (
        ('list.json', 'a JSON object was wanted'),
        ('odd.json', 'scores as training.evaluate --json'),
    ):
        assert sentence in told('--model', str(trained), '--out', out, '--scores', str(tmp_path / name))
    assert not (tmp_path / 'out').exists()


def test_an_adapter_is_no_model_to_start_from(tmp_path):
    (tmp_path / 'adapter_config.json').write_text('{}')
    with pytest.raises(SettingsError, match='holds adapters alone; merge them .python -m training.export'):
        load_model(tmp_path, torch.float32)
