"""The page about own data, walked through: its questions, then its commands, as they stand, from top to bottom."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from embodied_r_ros.evaluation.question_file import read_questions

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs/own-data.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'^```(\w*)\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
(QUESTIONS,) = [text for language, text in BLOCKS if language == 'yaml']
COMMANDS = [
    shlex.split(line)
    for language, text in BLOCKS
    for line in text.splitlines()
    if language == 'bash' and line.startswith('.venv/bin/python')
]


@pytest.fixture
def folder(tmp_path):
    """The page's questions, with the parts of the checkout that its commands name."""
    for name in ('data', 'training', 'embodied_r_ros'):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / 'out/own').mkdir(parents=True)
    (tmp_path / 'out/own/questions.yaml').write_text(QUESTIONS, encoding='utf-8')
    return tmp_path


def test_the_page_has_ten_questions_that_can_all_be_asked(folder):
    found = read_questions(folder / 'out/own/questions.yaml', [folder / 'data/bags/seed1'])
    assert len(found.samples) == 10
    assert found.left_out == ()


@pytest.mark.system
@pytest.mark.torch
@pytest.mark.slow
def test_the_page_is_walked_through_on_the_sample_recording(folder):
    pytest.importorskip('torch')
    environment = {**os.environ, 'XDG_CACHE_HOME': str(folder / 'cache')}
    printed = []
    for words in COMMANDS:
        # What is shown is the way: the training that the page asks for takes minutes.
        words = [sys.executable, *words[1:]]
        if '--steps' in words:
            words[words.index('--steps') + 1] = '2'
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        printed.append(done.stdout)
    names = [words[2] for words in COMMANDS]
    assert names == ['embodied_r_ros', 'training.prepare', 'training.perceive', 'training.sft', 'embodied_r_ros']
    right = re.search(r'^all +10 +(\d+)\.0%', printed[0], re.MULTILINE)
    assert right and int(right[1]) >= 90
    assert 'on 10 questions of both' in printed[-1]
    for name in ('first', 'second'):
        assert (folder / f'out/own/{name}.html').read_text().count('<article') == 10
    asked = [json.loads(line) for line in (folder / 'out/own/asked.jsonl').read_text().splitlines()]
    assert len(asked) > 10
