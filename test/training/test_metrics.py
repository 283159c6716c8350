"""The files of a training run: what is written is read back, and what lies beyond a checkpoint is taken back."""

import json

import pytest

pytest.importorskip('transformers')

from training import metrics

pytestmark = pytest.mark.torch


def test_a_line_ends_at_a_newline_only(tmp_path):
    path = tmp_path / 'completions.jsonl'
    entries = [{'step': step, 'text': 'left\u2028right\x85'} for step in (1, 2, 3)]
    path.write_text(''.join(json.dumps(entry, ensure_ascii=False) + '\n' for entry in entries), encoding='utf-8')
    assert metrics.read(path) == entries
    metrics.keep_up_to(path, 2)
    assert metrics.read(path) == entries[:2]


def test_a_line_that_was_not_written_to_its_end_is_taken_back(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    metrics.append(path, [{'step': 1}])
    path.write_text(path.read_text(encoding='utf-8') + '{"step": 2', encoding='utf-8')
    metrics.keep_up_to(path, 2)
    assert metrics.read(path) == [{'step': 1}]
