"""OVO-S-Bench: rows as its repository documents them become samples that are asked at their second."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from embodied_r_ros.evaluation.question_file import read_questions
from embodied_r_ros.evaluation.samples import read_samples
from training import prepare
from training.sources import ovosbench
from training.sources.intake import Rejected


def row(name: str = '1.1.1_0', **changes: object) -> dict[str, object]:
    return {
        'id': name,
        'source_dataset': 'scannetpp',
        'video_id': '036bce3393',
        'video_path': 'scannetpp/036bce3393.mp4',
        'level': 1,
        'task_main_category': '1.1',
        'task_subcategory': '1.1.1',
        'task_type_name': 'Object position',
        'question': 'Where is the lamp now?',
        'options': [['A', 'to my left'], ['B', 'to my right']],
        'query_times': [12.5],
        'evidence_times': [[3.0, 6.5]],
        'answers': ['B'],
        **changes,
    }


def prepared(folder: Path, rows: object, *words: str) -> tuple[int, list[dict]]:
    (folder / 'rows.json').write_text(json.dumps(rows))
    out = folder / 'out.jsonl'
    status = prepare.main(['ovosbench', '--questions', str(folder / 'rows.json'), '--out', str(out), *words])
    return status, read_samples(out) if out.exists() else []


def test_a_row_becomes_a_sample_that_sees_only_what_came_before_its_query_time(tmp_path: Path) -> None:
    status, (sample,) = prepared(tmp_path, [row()])
    assert status == 0
    assert sample == {
        'id': 'ovosbench-1.1.1_0_q0',
        'source': 'ovosbench',
        'scene': 'scannetpp/036bce3393',
        'category': '1.1.1 object position',
        'question': 'Where is the lamp now?',
        'choices': ['to my left', 'to my right'],
        'answer': 'B',
        'media': {'path': 'scannetpp/036bce3393.mp4', 'start_s': 0.0, 'end_s': 12.5},
        'evidence_s': [[3.0, 6.5]],
        'split': sample['split'],
    }


def test_its_samples_can_be_evaluated_with_their_evidence(tmp_path: Path) -> None:
    video = tmp_path / 'videos/scannetpp/036bce3393.mp4'
    video.parent.mkdir(parents=True)
    video.write_bytes(b'')
    prepared(tmp_path, [row()], '--media', str(tmp_path / 'videos'))
    (sample,) = read_questions(tmp_path / 'out.jsonl').samples
    assert sample['media'] == {'path': str(video), 'start_s': 0.0, 'end_s': 12.5, 'odometry': True}
    assert sample['evidence_s'] == [[3.0, 6.5]]


@pytest.mark.parametrize(
    'options',
    [
        [['A', 'to my left'], ['B', 'to my right']],
        [{'key': 'A', 'value': 'to my left'}, {'key': 'B', 'value': 'to my right'}],
        {'A': 'to my left', 'B': 'to my right'},
    ],
    ids=['pairs', 'keys and values', 'an object'],
)
def test_options_come_in_several_shapes(tmp_path: Path, options: object) -> None:
    _, (sample,) = prepared(tmp_path, {'annotations': [row(options=options)]})
    assert sample['choices'] == ['to my left', 'to my right']


@pytest.mark.parametrize(
    ('answers', 'right'),
    [(['A', 'B', 'A'], ['A', 'B', 'A']), (['A', 'B'], ['A', 'B', 'B']), (['B'], ['B'] * 3), ('B', ['B'] * 3)],
    ids=['one each', 'the last for the rest', 'one for all', 'a text'],
)
def test_a_row_that_is_asked_at_several_times_is_so_many_questions(
    tmp_path: Path, answers: object, right: list[str]
) -> None:
    _, samples = prepared(tmp_path, [row(query_times=[12.5, 16, 20], answers=answers)])
    assert [sample['id'] for sample in samples] == [f'ovosbench-1.1.1_0_q{number}' for number in range(3)]
    assert [sample['media']['end_s'] for sample in samples] == [12.5, 16.0, 20.0]
    assert [sample['answer'] for sample in samples] == right


def test_corrections_within_a_row_count(tmp_path: Path) -> None:
    corrected = {'question': 'Where is the bed now?', 'options': {'A': 'near', 'B': 'far'}, 'answers': ['A'], 'why': 1}
    _, (sample,) = prepared(tmp_path, [row(re_constructed=corrected)])
    assert (sample['question'], sample['choices'], sample['answer']) == ('Where is the bed now?', ['near', 'far'], 'A')
    _, (sample,) = prepared(tmp_path, [row(re_constructed=None)])
    assert sample['question'] == 'Where is the lamp now?'


def test_labels_are_compared_as_the_benchmark_compares_them(tmp_path: Path) -> None:
    _, (sample,) = prepared(tmp_path, [row(answers=[' b '])])
    assert sample['answer'] == 'B'


def test_levels_are_kept_as_asked(tmp_path: Path) -> None:
    rows = [row(f'{level}_0', level=level) for level in (1, '2', 4)]
    _, samples = prepared(tmp_path, rows, '--levels', '2', '4')
    assert [sample['id'] for sample in samples] == ['ovosbench-2_0_q0', 'ovosbench-4_0_q0']


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'options': [['A', 'data:image/png;base64,xx'], ['B', 'data:image/png;base64,yy']]}, 'a choice is a picture'),
        ({'options': 'A or B'}, 'the options are no list'),
        ({'options': [['A'], ['B', 'x']]}, 'an option is no text with its label'),
        ({'answers': []}, 'there is no answer'),
        ({'answers': None}, 'there is no answer'),
        ({'options': [['A', 'DATA:image/PNG;base64,xx'], ['B', 'b']]}, 'a choice is a picture'),
        ({'answers': ['C']}, 'the answer is none of the choices'),
        ({'query_times': []}, 'there is no query time'),
        ({'query_times': ['soon']}, 'there is no query time'),
        ({'question': ''}, 'there is no text in question'),
    ],
    ids=[
        'pictures',
        'text',
        'no pair',
        'no answer',
        'null',
        'one picture',
        'another label',
        'no time',
        'a time in words',
        'no question',
    ],
)
def test_a_row_that_makes_no_sample_is_rejected_for_a_reason(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        ovosbench.read(row(**changes), argparse.Namespace(media=None))


def test_intervals_that_are_none_are_left_out(tmp_path: Path) -> None:
    _, (sample,) = prepared(tmp_path, [row(evidence_times=[[3, 2], 'x', [1, 2], None])])
    assert sample['evidence_s'] == [[1.0, 2.0]]
