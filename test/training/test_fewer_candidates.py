"""The shipped reasoner compares two or three things as well as four, though all its lessons had four."""

from __future__ import annotations

import json
import pathlib
import string
from typing import Any

import pytest

from embodied_r_ros.core.questions import RELATIVE_DISTANCE
from embodied_r_ros.evaluation.samples import Sample, read_samples, write_samples
from training import evaluate, prepare


@pytest.fixture(scope='module')
def compared(tmp_path_factory: Any) -> list[Sample]:
    """Questions about four candidates, on simulated walks."""
    path = tmp_path_factory.mktemp('compared') / 'walks.jsonl'
    assert prepare.main(['world', '--questions', '400', '--seed', '7', '--out', str(path)]) == 0
    return [sample for sample in read_samples(path) if sample['category'] == RELATIVE_DISTANCE]


def cut(sample: Sample, count: int) -> Sample:
    """With the true candidate and the first of the others."""
    true = string.ascii_uppercase.index(sample['answer'])
    others = [place for place in range(len(sample['choices'])) if place != true]
    kept = sorted([true, *others[: count - 1]])
    choices = [sample['choices'][place] for place in kept]
    return sample | {'choices': choices, 'answer': string.ascii_uppercase[kept.index(true)]}


@pytest.mark.parametrize('count', [2, 3, 4])
def test_fewer_candidates_are_compared_as_well(
    count: int, compared: list[Sample], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'cut.jsonl'
    write_samples(path, (cut(sample, count) for sample in compared))
    capsys.readouterr()
    assert evaluate.main(['--samples', str(path), '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(compared) >= 40
    assert report['accuracy'] >= 0.95, report
