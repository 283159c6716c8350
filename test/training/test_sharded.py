"""The recipes for several GPUs, with a tiny model on two gloo ranks: the judge, two steps, the export.

pip install --no-build-isolation -r requirements/deepspeed.txt && pytest -m slow test/training/test_sharded.py
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import random
import subprocess
import sys

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')
pytest.importorskip('tensorboard')

from safetensors.torch import load_file  # noqa: E402
from toy_grpo import COLOURS, SIGNS, write_model  # noqa: E402

from embodied_r_ros.core.answers import LETTERS  # noqa: E402
from embodied_r_ros.core.models import prompt_format  # noqa: E402
from embodied_r_ros.evaluation.samples import write_samples  # noqa: E402
from training import grpo, metrics  # noqa: E402
from training.export import export  # noqa: E402
from training.judge import InProcessJudge  # noqa: E402
from training.model_folder import load_model, load_tokenizer  # noqa: E402
from training.prompts import ask_sample  # noqa: E402
from training.rewards import consistency_reward  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.usefixtures('one_thread')]

ROOT = pathlib.Path(grpo.__file__).parents[1]
RECIPES = {'fsdp2': 'torch', 'zero3': 'deepspeed'}
SAMPLES = [
    {
        'id': f'q{number}', 'source': 'toy', 'scene': f's{number}', 'category': 'colour', 'choices': list(COLOURS),
        'question': f'Which colour is thing {number}?', 'answer': 'ABCD'[number % 4],
        'observations': [{'stamp_ns': 0, 'action': '', 'text': f'a thing {number}'}],
    }
    for number in range(8)
]  # fmt: skip


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    """A model that answers these questions in the right form, with thoughts and colours at random."""
    folder = write_model(tmp_path_factory.mktemp('start') / 'model', steps=0, words=LETTERS)
    model, tokenizer, rng = load_model(folder, torch.float32), load_tokenizer(folder), random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        prompts = [ask_sample(rng.choice(SAMPLES), prompt_format('paper')).messages for _ in range(16)]
        turns = [[{'role': turn.role, 'content': turn.content} for turn in messages] for messages in prompts]
        asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        told = [f' <think> {rng.choice(SIGNS)} </think> <answer> {rng.choice(COLOURS)} </answer> </s>' for _ in turns]
        ids = tokenizer(
            [one + reply for one, reply in zip(asked, told)],
            add_special_tokens=False, return_tensors='pt', padding=True,
        )  # fmt: skip
        labels = ids['input_ids'].clone()
        labels[:, :-7] = -100
        model(**ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def launch(recipe, *words):
    """Run the recipe's own configuration on two processes without a GPU."""
    told = ['--config_file', f'training/configs/{recipe}.yaml', '--num_processes', '2', '--mixed_precision', 'no']
    done = subprocess.run(
        [sys.executable, 'test/training/sharded_on_cpu.py', *told, '-m', 'training.grpo', *map(str, words)],
        cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': '.'}, timeout=1800, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.parametrize('recipe', RECIPES)
def test_a_recipe_loads_its_judge_learns_and_leaves_a_model(recipe, start, tmp_path):
    if importlib.util.find_spec(RECIPES[recipe]) is None:
        pytest.skip(f'{RECIPES[recipe]} is not installed: requirements/{RECIPES[recipe]}.txt')
    write_samples(tmp_path / 'samples.jsonl', SAMPLES)
    out = tmp_path / 'out'
    paths = ('--model', start, '--samples', tmp_path / 'samples.jsonl', '--out', out)
    small = '--max-steps 2 --prompts-per-step 4 --num-generations 8 --micro-batch 8 --max-completion-length 8'
    launch(recipe, *paths, *small.split(), '--weights', '1:1:1', '--learning-rate', '1e-2')

    first, last = metrics.read(out / 'metrics.jsonl')
    assert abs(first['kl']) < 1e-5  # the reference is the model that the run began from, on both ranks
    assert last['learning_rate'] > 0
    rows = metrics.read(out / 'completions.jsonl')
    samples = [next(sample for sample in SAMPLES if sample['id'] == row['id']) for row in rows]
    columns = {name: [sample[name] for sample in samples] for name in ('question', 'choices', 'answer')}
    judged = consistency_reward([row['text'] for row in rows], judge=InProcessJudge.load(start), **columns)
    assert len(rows) == 64 and any(row['accuracy'] for row in rows)
    assert [row['consistency'] for row in rows] == judged  # whichever rank judged

    saved = load_file(out / 'model.safetensors')
    assert torch.equal(
        saved.get('lm_head.weight', saved['model.embed_tokens.weight']), saved['model.embed_tokens.weight']
    )
    export(out, tmp_path / 'exported')
    before, after = (load_model(folder, torch.float32).state_dict() for folder in (start, tmp_path / 'exported'))
    assert {name: tensor.shape for name, tensor in before.items()} == {n: tensor.shape for n, tensor in after.items()}
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)
