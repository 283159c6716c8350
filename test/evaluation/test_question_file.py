"""Question files: written by people or programs, recordings found by name, bad entries left out by a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from embodied_r_ros.core.errors import InputError
from embodied_r_ros.evaluation.question_file import read_questions

SAMPLE = {
    'id': 'a', 'source': 'test', 'scene': 's', 'category': 'position', 'question': 'Where is the lamp?',
    'choices': ['left', 'right'], 'answer': 'B', 'media': {'path': 'bags/morning'},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two bags, as far as their names are concerned."""
    for name in ('morning', 'evening.mcap'):
        (tmp_path / 'bags' / name).mkdir(parents=True)
    return tmp_path


def yaml_file(folder: Path, text: str) -> Path:
    file = folder / 'asked.yaml'
    file.write_text(text, encoding='utf-8')
    return file


def read(folder: Path, text: str, *media: str):
    return read_questions(yaml_file(folder, text), [folder / 'bags' / name for name in media])


def test_a_question_by_hand_becomes_a_sample(folder: Path) -> None:
    text = """
    - question: Which way is the dock?
      choices: [to the left, to the right]
      answer: to the right
      second: 12.5
      media: morning
      category: docking
      evidence_s: [3, 6.5]
    """
    found = read(folder, text, 'morning', 'evening.mcap')
    assert found.left_out == ()
    assert found.samples == (
        {
            'id': 'asked-1',
            'source': 'by hand',
            'scene': 'morning',
            'category': 'docking',
            'question': 'Which way is the dock?',
            'choices': ['to the left', 'to the right'],
            'answer': 'B',
            'media': {'path': str(folder / 'bags/morning'), 'start_s': 0.0, 'end_s': 12.5, 'odometry': True},
            'evidence_s': [[3.0, 6.5]],
        },
    )


@pytest.mark.parametrize(
    ('answer', 'choices', 'truth'),
    [
        ('B', '[near, far]', 'B'),
        ('far', '[near, far]', 'B'),
        ('yes', '[yes, no]', 'A'),
        ('2', '[1, 2, 3]', 'B'),
        ('3.2', '[]', '3.2'),
        ('the hall', '[]', 'the hall'),
    ],
    ids=['letter', 'words', 'a bare yes', 'a number among choices', 'a number', 'an open question'],
)
def test_an_answer_is_a_letter_words_or_a_number(folder: Path, answer: str, choices: str, truth: str) -> None:
    (sample,) = read(folder, f'[{{question: Where, choices: {choices}, answer: {answer}}}]', 'morning').samples
    assert sample['answer'] == truth


def test_a_question_may_have_no_answer_and_its_task_is_read_from_its_form(folder: Path) -> None:
    text = '[{question: Where is the lamp}, {question: "Where is the lamp now?", choices: [on my left, behind me]}]'
    open_one, told = read(folder, text, 'morning').samples
    assert open_one['answer'] is None
    assert open_one['media']['end_s'] is None
    assert told['category'] == 'landmark position'


def test_the_only_recording_needs_no_name_and_a_folder_is_looked_into(folder: Path) -> None:
    assert read(folder, '[{question: Where}]', 'morning').samples[0]['media']['path'] == str(folder / 'bags/morning')
    found = read_questions(yaml_file(folder, '[{question: Where, media: morning}]'), [folder / 'bags'])
    assert found.samples[0]['media']['path'] == str(folder / 'bags/morning')


def test_without_media_the_paths_in_the_file_count_from_its_folder(folder: Path) -> None:
    (sample,) = read_questions(yaml_file(folder, '[{question: Where, media: bags/evening.mcap}]')).samples
    assert sample['media']['path'] == str(folder / 'bags/evening.mcap')
    assert sample['scene'] == 'evening'


def test_samples_are_read_by_the_line_and_keep_their_scene(folder: Path) -> None:
    seen = {**SAMPLE, 'id': 'b', 'observations': [], 'media': None}
    file = folder / 'asked.jsonl'
    file.write_text(json.dumps(SAMPLE) + '\n\n' + json.dumps(seen) + '\n')
    first, second = read_questions(file).samples
    assert (first['id'], first['scene'], first['media']['end_s']) == ('a', 's', None)
    assert second['observations'] == []


@pytest.mark.parametrize(
    ('entry', 'reason'),
    [
        ('{question: Where, chioces: [a, b]}', "the column 'chioces', which is unknown; known are question, choices"),
        ('{choices: [a, b]}', "must have a question, and may have choices, .* got {'choices': \\['a', 'b'\\]"),
        ('just words', "must have a question, .* got 'just words'"),
        ('{question: Where, choices: [a, b], answer: c}', r"one of \['a', 'b'\] or its letter, got 'c'"),
        ('{question: Where, choices: a}', "needs its choices as a list, got 'a'"),
        ('{question: Where, choices: [a]}', 'no choices .* or 2 to 26 were wanted, got 1'),
        ('{question: Where, choices: [a, A]}', 'each choice must be given once'),
        ('{question: "  "}', 'a question in words was wanted'),
        ('{question: Where, second: soon}', "must be asked at a second from 0 on, or at the end, got 'soon'"),
        ('{question: Where, second: -1}', 'must be asked at a second from 0 on, or at the end, got -1'),
        ('{question: Where, media: noon}', "is about 'noon', which is not among the media"),
        ('{question: Where, media: ../../secret}', 'which is not among the media'),
        ('{question: Where, media: [morning]}', r"must name one of 2 media, got \['morning'\]"),
        ('{question: Where, evidence_s: [5, 3], media: morning}', r'a list of \[start, end\] .*, got \[5, 3\]'),
    ],
    ids=[
        'an unknown column', 'no question', 'no mapping', 'an answer that is no choice', 'choices as text',
        'one choice', 'a choice given twice', 'blanks', 'a second in words', 'a second before the beginning',
        'media that are not there', 'media elsewhere', 'media as a list', 'an interval that ends first',
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_left_out_by_a_sentence_and_the_rest_counts(
    folder: Path, entry: str, reason: str
) -> None:
    entry = entry if 'media' in entry or not entry.startswith('{') else entry[:-1] + ', media: morning}'
    found = read(folder, f'[{{question: Where is it, media: morning}}, {entry}]', 'morning', 'evening.mcap')
    assert [sample['id'] for sample in found.samples] == ['asked-1']
    (left_out,) = found.left_out
    assert left_out.where == 'question 2'
    assert re.search(reason, left_out.reason)


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('{"id": ', 'is no JSON'),
        ('[' * 100_000, 'is no JSON'),
        ('{"id": "x"}', 'lacks source, scene, category'),
        (json.dumps({**SAMPLE, 'id': 'b', 'answer': 'C'}), "the answer 'C' is none of the letters 'AB'"),
        (json.dumps(SAMPLE), "has the id 'a' of an earlier one; ids must differ"),
        (json.dumps({**SAMPLE, 'id': 'b', 'question': 3}), 'needs its question in words, got 3'),
        (json.dumps({**SAMPLE, 'id': 'b', 'media': 'x'}), "must name its media, or hold observations, got 'x'"),
        (json.dumps({**SAMPLE, 'id': 'b', 'media': {'path': 'bags/morning', 'start_s': 3, 'end_s': 2}}), 'swap them'),
    ],
    ids=['cut off', 'nested', 'columns missing', 'no choice', 'an id again', 'a number', 'no media', 'ends first'],
)
def test_a_line_that_is_no_sample_is_left_out(folder: Path, line: str, reason: str) -> None:
    file = folder / 'asked.jsonl'
    file.write_text(f'{json.dumps(SAMPLE)}\n{line}\n')
    found = read_questions(file)
    assert [sample['id'] for sample in found.samples] == ['a']
    (left_out,) = found.left_out
    assert left_out.where == 'line 2'
    assert reason in left_out.reason


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('gone.yaml', None, 'a YAML list of questions was wanted, .* it cannot be read'),
        ('gone.jsonl', None, 'questions cannot be read from'),
        ('asked.yaml', b'question: Where', 'must hold a YAML list of questions, got dict'),
        ('asked.yaml', b'[', 'a YAML list of questions was wanted'),
        (
            'asked.yaml',
            b'- {question: Where?, choices: [a, b]}',
            'line 1 is no YAML .*; a text with a colon, or with a question mark within braces, needs quotation marks',
        ),
        ('asked.yaml', b'', 'holds no question'),
        ('asked.yaml', b'[]', 'holds no question'),
        ('asked.jsonl', b'\n', 'holds no question'),
        ('asked.jsonl', b'\xff\xfe', 'must be text in UTF-8'),
    ],
    ids=[
        'no YAML file',
        'no file',
        'no list',
        'no YAML',
        'a question mark within braces',
        'nothing',
        'an empty list',
        'empty lines',
        'no text',
    ],
)
def test_a_file_without_questions_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_questions(tmp_path / name)


def test_media_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'media must be a recording, or a folder of some, got .*gone'):
        read_questions(yaml_file(tmp_path, '[{question: Where}]'), [tmp_path / 'gone'])
