"""The table of training arms: means of seeds, compared question by question, from what the evaluations left."""

from __future__ import annotations

import json

import pytest

from training import arms

WORDS = ['--arms', 'sft', 'grpo', '--against', 'sft', '--seeds', '0', '1', '--sets', 'short']


def write(folder, arm, seed, scores, consistency, cpu='1.5 0.5\n'):
    """The files of an arm with a seed; two questions about each scene."""
    entries = [{'id': f'q{n}', 'scene': f's{n // 2}', 'score': float(score)} for n, score in enumerate(scores)]
    (folder / f'{arm}-{seed}.short.jsonl').write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    (folder / f'{arm}-{seed}.short.json').write_text(json.dumps({'consistency': consistency}))
    (folder / f'{arm}-{seed}.cpu').write_text(cpu)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, 'sft', 0, [1, 0, 1, 0, 1, 0, 1, 0], 0.5)
    write(tmp_path, 'sft', 1, [1, 0, 1, 0, 1, 0, 1, 0], 0.5)
    write(tmp_path, 'grpo', 0, [1, 1, 1, 0, 1, 0, 1, 0], 0.875, '10.0 1.0\n20.0 1.0\n')
    write(tmp_path, 'grpo', 1, [1, 1, 1, 1, 1, 0, 1, 0], None)
    return tmp_path


def test_a_row_has_each_seed_the_mean_and_the_paired_difference(folder, capsys):
    assert arms.main([str(folder), *WORDS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'short: 8 questions about 4 scenes, seeds 0, 1'
    assert lines[4] == '| sft | 2, 2 | 50.0%, 50.0% | 50.00% | 50.0%, 50.0% |  |'
    # Scenes differ by 50, 25, 0 and 0 points: 18.75 on average, 3.182 standard errors of 11.97 to either side.
    assert lines[5] == '| grpo | 32, 2 | 62.5%, 75.0% | 68.75% | 87.5%, none | +18.75 (-19.34 to +56.84) |'


def test_an_arm_that_was_asked_other_questions_is_told(folder, capsys):
    write(folder, 'grpo', 1, [1, 1], None)
    assert arms.main([str(folder), *WORDS]) == 2
    assert "training.arms: the same questions were wanted of all seeds of 'grpo', in 'short' seed 1 has others" in (
        capsys.readouterr().err
    )
    write(folder, 'grpo', 0, [1, 1], None)
    assert arms.main([str(folder), *WORDS]) == 2
    assert "the same questions were wanted of 'grpo' and 'sft', those of 'short' differ" in capsys.readouterr().err


def test_an_arm_that_was_not_run_is_told(folder, capsys):
    (folder / 'grpo-1.cpu').unlink()
    assert arms.main([str(folder), *WORDS]) == 2
    assert "grpo-1.cpu' was wanted and cannot be read: No such file or directory; run the arm first" in (
        capsys.readouterr().err
    )
