"""Whole graphs in real processes, with a model server on loopback."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from fake_openai import FakeOpenAI

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from demo_process import ROOT, Demo

THOUGHT = '<think>Frame 1 shows it.</think><answer>B</answer>'


@pytest.fixture
def server():
    with FakeOpenAI(reply=THOUGHT) as server:
        yield server


@pytest.fixture
def demo(tmp_path, server):
    """Start the demo: `demo({'walk': 4}, models=...)` asks four questions about the recording 'walk'."""
    started = []

    def start(counts, **options):
        (tmp_path / 'labels.yaml').write_text('0: sofa\n1: lamp\n2: desk\n3: plant\n')
        models = tmp_path / 'pair.yaml'
        models.write_text(
            'perception:\n  backend: opencv\n'
            f'reasoner:\n  backend: openai\n  url: {server.url}\n  model: fake-model\n  prompt_format: paper\n'
        )
        lines = [
            {
                'id': f'{recording}-{number}',
                'source': 'test',
                'scene': recording,
                'category': ('landmark_position', 'route_planning')[number % 2],
                'question': f'Where is thing {number} of {recording}?',
                'choices': ['left', 'right', 'ahead', 'behind'],
                'answer': 'AB'[number % 2],
                'media': {'path': recording, 'start_s': 0.0, 'end_s': 2.0 if number == 3 else None},
            }
            for recording, count in counts.items()
            for number in range(count)
        ]
        asked = tmp_path / 'questions.jsonl'
        asked.write_text(''.join(json.dumps(line) + '\n' for line in lines))
        options = {'questions': asked, 'models': models, 'rate': 4.0, **options}
        arguments = [word for name, value in options.items() for word in (f'--{name}', str(value))]
        process = subprocess.Popen(
            [sys.executable, '-m', 'embodied_r_ros.demo', *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'TMPDIR': str(tmp_path)},
        )
        started.append(process)
        return Demo(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=10)
