"""A real language model through all that the project does with one: `make test-lm`, or any GGUF file by environment."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import pathlib
import resource
import shlex
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from fake_openai import FakeOpenAI  # noqa: E402

from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel  # noqa: E402
from embodied_r_ros.adapters.lm_transformers import TransformersLanguageModel  # noqa: E402
from embodied_r_ros.adapters.weights import prompt_format_of  # noqa: E402
from embodied_r_ros.core.models import ServerSettings  # noqa: E402
from embodied_r_ros.core.records import Generation, Message  # noqa: E402
from training import metrics  # noqa: E402
from training.model_folder import load_tokenizer  # noqa: E402

FILE = os.environ.get('EMBODIED_R_TEST_GGUF', '')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.usefixtures('one_thread'),
    pytest.mark.skipif(not FILE, reason='EMBODIED_R_TEST_GGUF names no GGUF file'),
]

ASKED = (Message(role='system', content='Be brief.'), Message(role='user', content='Name the capital of France.'))


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Where all is written; at the end the seconds and the memory of the largest process are told."""
    begun = time.monotonic()
    yield tmp_path_factory.mktemp('small')
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s, peak_kb = sum(one.ru_utime + one.ru_stime for one in used), max(one.ru_maxrss for one in used)
    print(
        f'\nlanguage model: {time.monotonic() - begun:.0f} s, {cpu_s:.0f} s of CPU time, '
        f'{peak_kb / 1e6:.1f} GB at most in one process'
    )


def command(*words: object, cwd: pathlib.Path | None = None) -> str:
    """What a command of the project prints."""
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, '-m', *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def folder(place):
    command('training.from_gguf', FILE, '--out', place / 'small')
    return place / 'small'


@pytest.fixture(scope='module')
def samples(place):
    walks = '--seed 7 --per-walk 2 --legs 1 2 --things 5 7 --seconds 3 8'.split()
    command('training.prepare', 'world', '--questions', 4, *walks, '--out', place / 'samples.jsonl')
    return place / 'samples.jsonl'


@pytest.fixture(scope='module')
def tuned(place, folder):
    words = '--format paper --steps 2 --lessons 1 --max-tokens 480'.split()
    command('training.sft', '--model', folder, *words, '--out', place / 'tuned')
    return place / 'tuned'


@pytest.fixture(scope='module')
def reinforced(place, tuned, samples):
    words = (
        '--max-steps 2 --prompts-per-step 1 --num-generations 2 --micro-batch 1 --max-completion-length 32 '
        '--lora-rank 4 --weights 1:1:0'
    ).split()
    command('training.grpo', '--model', tuned, '--samples', samples, *words, '--out', place / 'reinforced')
    return place / 'reinforced'


@pytest.fixture(scope='module')
def exported(place, reinforced):
    command('training.export', '--model', reinforced, '--out', place / 'exported')
    return place / 'exported'


def test_the_chat_template_comes_along(folder):
    turns = [{'role': turn.role, 'content': turn.content} for turn in ASKED]
    text = load_tokenizer(folder).apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    places = [text.index(part) for part in ('system', 'Be brief.', 'user', 'Name the capital of France.', 'assistant')]
    assert places == sorted(places)
    assert prompt_format_of(folder) == 'paper'


def test_both_backends_say_the_same_and_know_a_capital(folder):
    model = TransformersLanguageModel(folder, device='cpu')

    def reply(request):
        turns = tuple(Message(role=turn['role'], content=turn['content']) for turn in request['messages'])
        work = model.generate(Generation(messages=turns, max_tokens=request['max_tokens']))
        with concurrent.futures.ThreadPoolExecutor() as thread:  # beside the loop that the server runs in
            return thread.submit(asyncio.run, work).result().text

    async def ask(backend):
        try:
            return (await backend.generate(Generation(messages=ASKED, max_tokens=24))).text
        finally:
            await backend.aclose()

    with FakeOpenAI(reply=reply) as server:
        served = asyncio.run(ask(OpenAILanguageModel(ServerSettings(url=server.url))))
    assert served == asyncio.run(ask(model))
    assert 'Paris' in served


def test_it_is_taught(tuned):
    (entry,) = metrics.read(tuned / 'metrics.jsonl')
    assert entry['step'] == 2 and 0.0 < entry['loss'] < 5.0
    assert prompt_format_of(tuned) == 'paper'


def test_it_is_reinforced(reinforced):
    steps = metrics.read(reinforced / 'metrics.jsonl')
    assert [entry['step'] for entry in steps] == [1, 2]
    assert len(metrics.read(reinforced / 'completions.jsonl')) == 4


def test_what_is_exported_is_evaluated_by_the_line_of_its_card(exported, samples, place):
    card = (exported / 'README.md').read_text()
    (line,) = [line.strip() for line in card.splitlines() if 'training.evaluate' in line]
    words = shlex.split(line.replace('SAMPLES', str(samples)))
    assert words[:3] == ['python', '-m', 'training.evaluate']
    report = json.loads(command(*words[2:], '--json', cwd=place))
    assert report['questions'] == 4 and sum(report['codes'].values()) == 4
