"""VSI-Bench, EgoSchema, MVBench and captioned questions: rows become samples, or are rejected for a named reason."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from embodied_r_ros.evaluation.samples import SPLITS, read_samples, to_observations
from training import prepare
from training.sources.captions import read_captions
from training.sources.intake import Rejected


def written(path, entries):
    path.write_text(json.dumps(entries))
    return path


def prepared(source, tmp_path, entries, *words):
    """Exit status of the command on a JSON file of rows, and what it wrote."""
    questions = written(tmp_path / 'questions.json', entries)
    out = tmp_path / 'out.jsonl'
    status = prepare.main([source, '--questions', str(questions), '--out', str(out), *words])
    return status, read_samples(out) if out.exists() else None


def vsi(number, kind='object_rel_distance', truth='B', options=('A. lamp', 'B. bed', 'C. sofa', 'D. door'), **changes):
    return {
        'id': number,
        'dataset': 'scannet',
        'scene_name': 'scene0011_00',
        'question_type': kind,
        'question': 'Which is closest to the desk?',
        'ground_truth': truth,
        'options': options and list(options),
        **changes,
    }


def test_vsibench_asks_for_choices_and_for_numbers(tmp_path):
    number = vsi(4, 'object_size_estimation', '3.2', None, question='How long is the bed in metres?')
    status, (choice, size) = prepared('vsibench', tmp_path, [vsi(3), number])
    assert status == 0
    assert choice == {
        'id': 'vsibench-3',
        'source': 'vsibench',
        'scene': 'scene0011_00',
        'category': 'relative distance',
        'question': 'Which is closest to the desk?',
        'choices': ['lamp', 'bed', 'sofa', 'door'],
        'answer': 'B',
        'media': {'path': 'scannet/scene0011_00.mp4', 'start_s': 0.0, 'end_s': None},
        'split': choice['split'],
    }
    assert (size['category'], size['choices'], size['answer']) == ('object size', [], '3.2')


def test_rows_of_vsibench_as_its_parquet_files_have_them(tmp_path):
    number = vsi(7, 'object_counting', 4, None, pruned=False, __index_level_0__=7)
    status, (count,) = prepared('vsibench', tmp_path, [number])
    assert (status, count['category'], count['answer']) == (0, 'object count', '4')


def test_the_three_levels_of_direction_are_one_task(tmp_path):
    entries = [vsi(n, f'object_rel_direction_{level}') for n, level in enumerate(('easy', 'medium', 'hard'))]
    _, samples = prepared('vsibench', tmp_path, [*entries, vsi(9)], '--categories', 'relative direction')
    assert [sample['category'] for sample in samples] == ['relative direction'] * 3


@pytest.mark.parametrize(
    ('entry', 'choices'),
    [
        (vsi(0, options=('A. lamp', 'B. A. Smith')), ['lamp', 'A. Smith']),
        (vsi(0, options=('lamp', 'B. bed')), ['lamp', 'B. bed']),
        (vsi(0, options=('B. lamp', 'A. bed')), ['B. lamp', 'A. bed']),
    ],
    ids=['letters', 'not all have one', 'out of order'],
)
def test_letters_before_options_are_cut_where_all_have_theirs(entry, choices, tmp_path):
    _, (sample,) = prepared('vsibench', tmp_path, [entry])
    assert sample['choices'] == choices


@pytest.mark.parametrize(
    ('entry', 'reason'),
    [
        (vsi(1, truth='E'), 'the answer is none of the choices'),
        (vsi(1, truth='lots', options=None), 'the answer is no number, and there are no choices'),
        (vsi(1, options=('A. lamp', 5)), 'an option is no text'),
        (vsi(1, scene_name=''), 'there is no text in scene_name'),
        (vsi(1, question=' '), 'there is no text in question'),
    ],
    ids=['no such letter', 'no number', 'options are no text', 'no scene', 'no question'],
)
def test_rows_of_vsibench_that_make_no_sample_are_counted(entry, reason, tmp_path, capsys):
    status, samples = prepared('vsibench', tmp_path, [vsi(0), entry])
    assert (status, len(samples)) == (0, 1)
    assert f'rejected: relative distance, {reason}: 1 (1)' in capsys.readouterr().out


def test_the_debiased_variant_leaves_out_the_pruned_ids(tmp_path, capsys):
    pruned = tmp_path / 'pruned_ids.txt'
    pruned.write_text('1\n2\n')
    words = ['--pruned', str(pruned)]
    _, samples = prepared('vsibench', tmp_path, [vsi(n) for n in range(4)], *words)
    assert [sample['id'] for sample in samples] == ['vsibench-0', 'vsibench-3']
    assert 'it is pruned: text alone answers it: 2 (1, 2)' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('text', 'message'),
    [('77\n', 'lists no id of the questions'), (None, 'pruned ids cannot be read from')],
    ids=['of another release', 'missing'],
)
def test_pruned_ids_that_cannot_be_used_are_told(text, message, tmp_path, capsys):
    path = tmp_path / 'pruned.txt'
    if text:
        path.write_text(text)
    status, _ = prepared('vsibench', tmp_path, [vsi(0)], '--pruned', str(path))
    assert status == 2
    assert message in capsys.readouterr().err


def ego(name, **changes):
    return {'q_uid': name, 'question': 'What is C doing?', **{f'option {n}': f'thing {n}' for n in range(5)}, **changes}


def egoschema(tmp_path, entries, answers, *words):
    written(tmp_path / 'subset_answers.json', answers)
    return prepared('egoschema', tmp_path, entries, *words)


def test_egoschema_keeps_the_questions_with_a_public_answer(tmp_path, capsys):
    status, samples = egoschema(tmp_path, [ego('a'), ego('b'), ego('c')], {'a': 3, 'c': 0})
    assert status == 0
    assert [(s['id'], s['answer'], s['media']['path']) for s in samples] == [
        ('egoschema-a', 'D', 'a.mp4'),
        ('egoschema-c', 'A', 'c.mp4'),
    ]
    assert samples[0]['choices'] == [f'thing {n}' for n in range(5)]
    assert 'without a public answer      0        1        0' in capsys.readouterr().out


def test_answers_of_egoschema_may_lie_elsewhere(tmp_path):
    other = written(tmp_path / 'other.json', {'b': 1})
    _, samples = egoschema(tmp_path, [ego('a'), ego('b')], {'a': 3}, '--answers', str(other))
    assert [sample['id'] for sample in samples] == ['egoschema-b']


@pytest.mark.parametrize(
    ('answers', 'message'),
    [
        ({'a': 3, 'z': 1}, "1 of 2 answers belong to no question, as 'z'"),
        ({'a': 'D'}, 'was wanted as an object from q_uid to the number of the option'),
        ([1], 'was wanted as an object from q_uid to the number of the option'),
        ({'a': 5}, 'egoschema, the answer is none of the choices: 1 (a)'),
    ],
    ids=['of no question', 'letters', 'a list', 'no such option'],
)
def test_answers_of_egoschema_that_cannot_be_used_are_told(answers, message, tmp_path, capsys):
    status, _ = egoschema(tmp_path, [ego('a')], answers)
    assert status == 2
    assert message in capsys.readouterr().err


def nav(**changes):
    return {
        'video': 'x7.mp4',
        'question': 'What is the next action it should take?',
        'candidates': ['Move forward', 'Stop', 'Turn left and move forward'],
        'answer': 'Stop',
        **changes,
    }


def test_mvbench_is_numbered_by_its_rows(tmp_path, capsys):
    entries = [nav(), nav(answer='Dance'), nav(candidates='Stop'), nav(video='x8.mp4', answer='Move forward')]
    status, samples = prepared('mvbench', tmp_path, entries)
    assert status == 0
    assert [(s['id'], s['scene'], s['category'], s['answer'], s['media']['path']) for s in samples] == [
        ('mvbench-0', 'x7', 'egocentric navigation', 'B', 'x7.mp4'),
        ('mvbench-3', 'x8', 'egocentric navigation', 'A', 'x8.mp4'),
    ]
    printed = capsys.readouterr().out
    assert 'the answer is none of the choices: 1 (' in printed
    assert 'the candidates are no list of texts: 1 (' in printed


FRAMES = (
    'Frame 0: Observe: A street, tall buildings.\n'
    'Frame 1: After Move forward, Observe: 1. A sign, 2. a tree.\nIt says: "Frame shop".\n'
    'Frame 2: After nan, Observe: nan\n'
    'Frame 3: After rotate left, Observe: A square.'
)


def captioned(frames=FRAMES, **changes):
    asked = 'Question: What is ahead?  \nchoose:  \nA. A square.  \nB. A bus.'
    return {
        'Question_id': 7,
        'video_id': 'RealWorld_20.mp4',
        'question_category': 'Landmark Position',
        'question': f'Take the role of an agent. Video content: \n<\nIn words.\n{frames}\n>\n            {asked}',
        'answer': 'A',
        **changes,
    }


def test_captions_become_observations(tmp_path):
    status, (sample,) = prepared('captions', tmp_path, [captioned()])
    assert status == 0
    assert (sample['question'], sample['choices'], sample['answer']) == ('What is ahead?', ['A square.', 'A bus.'], 'A')
    assert sample['scene'] == 'RealWorld_20'
    assert sample['split'] in SPLITS
    assert [(o.action, o.text) for o in to_observations(sample)] == [
        ('', 'A street, tall buildings.'),
        ('moved forward', '1. A sign, 2. a tree. It says: "Frame shop".'),
        ('rotated left', 'A square.'),
    ]
    assert [entry['stamp_ns'] for entry in sample['observations']] == [0, 1_000_000_000, 3_000_000_000]


@pytest.mark.parametrize(
    ('question', 'reason'),
    [
        ('Question: What is ahead?\nchoose:\nA. x\nB. y', 'there are no captions above the question'),
        (captioned('no frame')['question'], 'there are no captions above the question'),
        (captioned('Frame 1: Observe: a')['question'], 'the frames of the captions are not numbered from 0'),
        (captioned('Frame 0: A street')['question'], 'a frame of the captions has no Observe'),
        (captioned('Frame 0: Observe: None')['question'], 'no frame of the captions was described'),
    ],
    ids=['no block', 'no frame', 'another number', 'no observation', 'all failed'],
)
def test_captions_that_cannot_be_read_are_rejected(question, reason):
    with pytest.raises(Rejected, match=reason):
        read_captions(question)


@pytest.mark.skipif(
    'EMBODIED_R_TEST_CAPTIONS' not in os.environ, reason='EMBODIED_R_TEST_CAPTIONS names no captioned questions'
)
def test_every_real_captioned_question_becomes_observations(tmp_path, capsys):
    path = pathlib.Path(os.environ['EMBODIED_R_TEST_CAPTIONS'])
    found = json.loads(path.read_text())
    assert prepare.main(['captions', '--questions', str(path), '--out', str(tmp_path / 'out.jsonl')]) == 0
    samples = read_samples(tmp_path / 'out.jsonl')
    assert len(samples) == len(found) > 0
    for sample, entry in zip(samples, found):
        observations = to_observations(sample)
        assert len(observations) == entry['question'].count('\nFrame ')
        assert observations[0].action == ''
        assert all(seen.action.startswith(('moved ', 'rotated ', 'tilted ')) for seen in observations[1:])
        assert all(len(seen.text) > 20 for seen in observations)
        assert f'{entry["answer"]}. {sample["choices"][ord(sample["answer"]) - ord("A")]}' in entry['question']
    assert 'rejected:' not in capsys.readouterr().out
