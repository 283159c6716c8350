"""UrbanVideo-Bench: every quirk of its one text per question, and no row that is dropped without a word."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib

import pytest

from embodied_r_ros.evaluation.samples import read_samples, split_of
from training import prepare
from training.sources import urbanvideo
from training.sources.intake import Rejected
from training.sources.urbanvideo import read, route_of, split_question

QUESTION = 'Question: What is your next step?'
AND_ASKED = ('What is your next step?', ['I rise.', 'I turn left.', 'I hover.'])


@pytest.mark.parametrize(
    'whole',
    [
        f'{QUESTION}  \nchoose:  \nA. I rise.  \nB. I turn left.  \nC. I hover.  ',
        f'{QUESTION}\nChoose:\nA. I rise.\nB. I turn left.\nC. I hover.',
        f'{QUESTION}\nChoices:\nA. I rise.\nB. I turn left.\nC. I hover.',
        f'{QUESTION}\n\nChoice: A. I rise.  \n           B. I turn left.  \n           C. I hover.  ',
        f'{QUESTION}\nOptions:\nA. I rise.\nB. I turn left.\nC. I hover.',
        f'{QUESTION}  \nOption: A. I rise.\n  B. I turn left.\n  C. I hover.',
        f'{QUESTION}\nChoices:\nA.\tI rise.\nB.\tI turn left.\nC. I hover.',
        f'```\n{QUESTION}\nChoices:\nA. I rise.\nB. I turn left.\nC. I hover.\n\n```\n',
        f'```\n“““\n{QUESTION}\nChoices:\nA. I rise.\nB. I turn left.\nC. I hover.\n\n”””\n```\n',
        f'"""\n{QUESTION}\nchoose:\nA. I rise.\nB. I turn left.\nC. I hover.\n\n\n"""',
        f'````\n{QUESTION}\nchoose:\nA. I rise.  \nB. I turn left.  \nC. I hover.  \n````  ',
        f'{QUESTION}\nchoose:\nA. I \u200b\u200brise.\nB. I turn\nleft.\nC. I hover.',
        f'{QUESTION}\nchoose:\nA) I rise.\nB) I turn left.\nC I hover.',
        f'"""\n{QUESTION}\nchoose:\nAnswer: A. I rise.\nB. I turn left.\nC. I hover.\n\n"""',
        f'{QUESTION}\nchoose:\nA. I rise.\nB. I turn left.\nC. I hover.\nAnswer: B. I turn left.',
        'What is your next step?\nchoose:\nA. I rise.\nB. I turn left.\nC. I hover.',
    ],
    ids=[
        'choose', 'Choose', 'Choices', 'Choice, option A beside it', 'Options', 'Option', 'a tab behind the letter',
        'a code fence', 'curly quotes in a fence', 'triple quotes', 'four backticks', 'invisible spaces',
        'other marks', 'the answer told in place of an option', 'the answer told below', 'no label',
    ],
)  # fmt: skip
def test_question_and_options_are_told_apart(whole):
    row = {'Question_id': 7, 'video_id': 'EmbodiedCity_16_1.mp4', 'question_category': 'Action Generation'}
    made = read({**row, 'question': whole, 'answer': 'B'}, argparse.Namespace(media=None)).sample
    assert (made['question'], made['choices'], made['answer']) == (*AND_ASKED, 'B')


@pytest.mark.parametrize(
    ('whole', 'reason'),
    [
        ('Question: What now? A. I rise. B. I hover.', 'there is no header above the options'),
        ('Question: What now?\nchoose:\n', 'there is no option A below the header'),
        ('Question: What now?\nchoose:\nB. I rise.\nC. I hover.', 'there is no option A below the header'),
    ],
    ids=['no header', 'no options', 'no option A'],
)
def test_a_text_without_options_is_rejected(whole, reason):
    with pytest.raises(Rejected, match=reason):
        split_question(whole)


@pytest.mark.parametrize(
    ('video', 'route'),
    [
        ('EmbodiedCity_16_1.mp4', 'EmbodiedCity_16'),
        ('EmbodiedCity_89.mp4', 'EmbodiedCity_89'),
        ('AerialVLN_77_3DHE4R9OC59O5FXJ61DEZ84IL4AG28_5.mp4', 'AerialVLN_77_3DHE4R9OC59O5FXJ61DEZ84IL4AG28'),
        ('AerialVLN_21_34HJIJKLPEUHQQ21ZAVOSO4QR0YV4H.mp4', 'AerialVLN_21_34HJIJKLPEUHQQ21ZAVOSO4QR0YV4H'),
        ('RealWorld_20.mp4', 'RealWorld_20'),
        ('RealWorld_39_0.mp4', 'RealWorld_39'),
        ('RealWorld_GN_2_1.mp4', 'RealWorld_GN_2'),
        ('EmbodiedCity_16_1_rain_fog.mp4', 'EmbodiedCity_16'),
        ('AerialVLN_21_34HJIJKLPEUHQQ21ZAVOSO4QR0YV4H_5_rain_fog.mp4', 'AerialVLN_21_34HJIJKLPEUHQQ21ZAVOSO4QR0YV4H'),
    ],
)
def test_clips_of_one_flight_are_one_scene(video, route):
    assert route_of(video) == route


def test_a_video_without_a_route_is_rejected():
    with pytest.raises(Rejected, match='the name of its video tells no route'):
        route_of('holiday.mp4')


def rows(*changes):
    """One good row per change, changed."""
    good = {
        'Question_id': 0,
        'video_id': 'EmbodiedCity_16_1.mp4',
        'question_category': 'Landmark Position',
        'question': f'{QUESTION}\nchoose:\nA. I rise.\nB. I turn left.\nC. I hover.',
        'answer': 'C',
    }
    return [{**good, 'Question_id': number, **change} for number, change in enumerate(changes)]


def prepared(tmp_path, entries, *words):
    """Exit status of the command, and its file."""
    (tmp_path / 'MCQ.json').write_text(json.dumps(entries))
    out = tmp_path / 'out.jsonl'
    return prepare.main(['urbanvideo', '--questions', str(tmp_path / 'MCQ.json'), '--out', str(out), *words]), out


def test_every_row_is_a_sample_or_is_counted_by_its_reason(tmp_path, capsys):
    entries = rows(
        {},
        {'answer': 'D'},
        {'answer': None},
        {'question': 'What now?'},
        {'video_id': 'x.mp4'},
        {'question_category': 'Causal'},
        {'question': f'{QUESTION}\nchoose:\nA. I rise.\nB. I turn left.\nC. I rise.'},
        {'question': f'{QUESTION}\nchoose:\nA. I rise.\nB. I rise.', 'answer': 'A'},
        {'question': f'{QUESTION}\nchoose:\nA. I rise.\nB. ', 'answer': 'A'},
    )
    status, out = prepared(tmp_path, entries)
    assert status == 0
    first, twice = read_samples(out)
    assert first == {
        'id': 'urbanvideo-0',
        'source': 'urbanvideo',
        'scene': 'EmbodiedCity_16',
        'category': 'landmark position',
        'question': 'What is your next step?',
        'choices': ['I rise.', 'I turn left.', 'I hover.'],
        'answer': 'C',
        'media': {'path': 'EmbodiedCity_16_1.mp4', 'start_s': 0.0, 'end_s': None},
        'split': split_of('EmbodiedCity_16', 0),
    }
    assert (twice['choices'], twice['answer']) == (['I rise.', 'I turn left.'], 'A')
    assert capsys.readouterr().out.splitlines() == [
        'category            kept left out rejected',
        'causal                 0        1        0',
        'landmark position      2        0        6',
        'all                    2        1        6',
        'rejected: landmark position, a choice is empty, or there are more than 26: 1 (8)',
        'rejected: landmark position, the answer is none of the choices: 1 (1)',
        'rejected: landmark position, the name of its video tells no route: 1 (4)',
        'rejected: landmark position, there is but one choice: 1 (7)',
        'rejected: landmark position, there is no header above the options: 1 (3)',
        'rejected: landmark position, there is no text in answer: 1 (2)',
        'mended: a choice given twice was kept once: 1 (urbanvideo-6)',
        f'2 questions about 1 scenes in {out}: '
        + ', '.join(f'{2 * (split == first["split"])} {split}' for split in ('train', 'validation', 'test')),
    ]


def test_the_four_tasks_are_kept_unless_others_are_named(tmp_path, capsys):
    entries = rows(*({'question_category': name} for name in ('Action Generation', 'Causal', 'Duration')))
    for words, kept in (
        ([], ['action generation']),
        (['--categories', 'all'], ['action generation', 'causal', 'duration']),
        (['--categories', 'Duration', 'causal'], ['causal', 'duration']),
    ):
        status, out = prepared(tmp_path, entries, *words)
        assert status == 0
        assert [sample['category'] for sample in read_samples(out)] == kept
    with pytest.raises(SystemExit):
        prepared(tmp_path, entries, '--categories', 'dancing')
    assert "invalid choice: 'dancing' (choose from " in capsys.readouterr().err


def test_videos_are_looked_for_where_their_folder_is_known(tmp_path, capsys):
    media = tmp_path / 'videos'
    media.mkdir()
    (media / 'EmbodiedCity_16_1.mp4').touch()
    entries = rows({}, {'video_id': 'RealWorld_3.mp4'})
    status, out = prepared(tmp_path, entries, '--media', str(media))
    assert status == 0
    assert [sample['media']['path'] for sample in read_samples(out)] == [str(media / 'EmbodiedCity_16_1.mp4')]
    assert 'its video is missing: 1 (1)' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('entries', 'words', 'message'),
    [
        (rows({}), ['--media', 'nowhere'], 'nowhere is no folder of videos; leave out --media'),
        (rows({}), ['--media', '.'], 'no sample is left of the rows of '),
        (rows({'question_category': 'Causal'}), [], 'none is of a category that is kept'),
        (rows({'answer': 'F'}), [], 'landmark position, the answer is none of the choices: 1 (0)'),
        (rows({'question_category': 'Causal'}), ['--categories', 'all', '--media', '.'], 'its video is missing: 1 (0)'),
        (rows({}, {'Question_id': 0}), [], "the id 'urbanvideo-0' is given to several questions; ids must differ"),
    ],
    ids=['no folder', 'no video', 'none of the categories', 'no choice', 'nothing left of all', 'an id given twice'],
)
def test_what_cannot_be_used_ends_with_a_sentence(entries, words, message, tmp_path, capsys):
    status, out = prepared(tmp_path, entries, *words)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_same_seed_splits_alike_and_another_one_does_not(tmp_path):
    entries = rows(*({'video_id': f'RealWorld_{number}.mp4'} for number in range(40)))
    first = read_samples(prepared(tmp_path, entries)[1])
    assert read_samples(prepared(tmp_path, entries)[1]) == first
    again = read_samples(prepared(tmp_path, entries, '--seed', '1')[1])
    assert [{**sample, 'split': ''} for sample in again] == [{**sample, 'split': ''} for sample in first]
    assert again != first


@pytest.mark.skipif(
    'EMBODIED_R_TEST_URBANVIDEO' not in os.environ, reason='EMBODIED_R_TEST_URBANVIDEO names no MCQ.parquet'
)
def test_every_row_of_the_real_questions_becomes_a_sample(tmp_path, capsys):
    path = pathlib.Path(os.environ['EMBODIED_R_TEST_URBANVIDEO'])
    found = urbanvideo.read_rows([path], urbanvideo.COLUMNS)
    counts = collections.Counter(map(urbanvideo.category_of, found))
    words = ['urbanvideo', '--questions', str(path), '--categories', 'all', '--out', str(tmp_path / 'out.jsonl')]
    assert prepare.main(words) == 0
    samples = read_samples(tmp_path / 'out.jsonl')
    printed = capsys.readouterr().out
    assert len(samples) == len(found) == sum(counts.values())
    for category, count in counts.items():
        assert f'{category:21} {count:6}        0        0' in printed
    texts = ' '.join(' '.join((sample['question'], *sample['choices'])) for sample in samples)
    assert not [mark for mark in ('```', '"""', '“““', 'Answer:', '\n', '\u200b') if mark in texts]
    by_id = {f'urbanvideo-{row["Question_id"]}': row for row in found}
    for sample in samples:
        right = sample['choices'][ord(sample['answer']) - ord('A')]
        row = by_id[sample['id']]
        asked = ' '.join(row['question'].replace('\u200b', '').split())
        assert f'{row["answer"]}. {right}' in asked
