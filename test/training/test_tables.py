"""Question files: Parquet, JSON and JSON lines are read alike, and a bad one is told apart by what is wrong."""

from __future__ import annotations

import io
import json

import pytest

from embodied_r_ros.core.errors import InputError
from training.sources.tables import read_json, read_rows

pytest.importorskip('pyarrow')
import pyarrow.json
import pyarrow.parquet

ROWS = [{'id': 1, 'question': 'Where?'}, {'id': 2, 'question': 'Wo – jetzt?'}]
COLUMNS = ('id', 'question')


def written(folder, name, rows=ROWS):
    path = folder / name
    lines = '\n'.join(map(json.dumps, rows)) + '\n\n'
    if name.endswith('.parquet'):
        # Read from lines: a table made from Python objects would bring pandas in, which takes a while.
        pyarrow.parquet.write_table(pyarrow.json.read_json(io.BytesIO(lines.encode())), path)
    elif name.endswith('.jsonl'):
        path.write_text(lines)
    else:
        path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize('name', ['q.parquet', 'q.json', 'q.jsonl'])
def test_rows_are_read_from_each_kind_of_file(name, tmp_path):
    path = written(tmp_path, name)
    before = path.read_bytes()
    assert read_rows([path], COLUMNS) == ROWS
    assert path.read_bytes() == before


@pytest.mark.parametrize('mark', ['\x85', '\u2028', '\u2029'])
def test_a_line_ends_at_a_newline_only(mark, tmp_path):
    rows = [{'id': 1, 'question': f'Where{mark}?'}, {'id': 2, 'question': 'How far?'}]
    path = tmp_path / 'q.jsonl'
    path.write_text(''.join(json.dumps(row, ensure_ascii=False) + '\r\n' for row in rows), encoding='utf-8')
    assert read_rows([path], COLUMNS) == rows


def test_several_files_are_read_one_after_the_other(tmp_path):
    assert read_rows([written(tmp_path, 'a.jsonl'), written(tmp_path, 'b.parquet')], COLUMNS) == ROWS * 2


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])
    return path


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda at: at / 'no.parquet', r"questions cannot be read from '.*no\.parquet': there is no such file"),
        (lambda at: at / 'no.json', r"questions cannot be read from '.*no\.json': No such file"),
        (lambda at: cut(written(at, 'q.parquet')), r'q\.parquet is no Parquet, or was cut off \(\d+ bytes\): .*again'),
        (lambda at: cut(written(at, 'q.json')), r'q\.json is no JSON, or was cut off: .*fetch it again'),
        (lambda at: cut(written(at, 'q.jsonl')), r'q\.jsonl, line 2 is no JSON, or was cut off: .*fetch it again'),
        (lambda at: written(at, 'q.parquet').rename(at / 'q.json'), r'json is no text, so no JSON: .*end in \.parquet'),
        (lambda at: written(at, 'q.json', {'a': 1}), 'was wanted as a list of objects, one per question'),
        (lambda at: written(at, 'q.json', [1]), 'was wanted as a list of objects, one per question'),
        (lambda at: written(at, 'q.json', []), r'q\.json has no row; a file of questions was wanted'),
        (
            lambda at: written(at, 'q.parquet', [{'id': 1, 'text': 'Where?'}]),
            r'q\.parquet, row 1 lacks question: the columns id, question were wanted, it has id, text; is it another',
        ),
        (lambda at: written(at, 'q.jsonl', [*ROWS, {'id': 3}]), r'q\.jsonl, row 3 lacks question: .* it has id;'),
    ],
    ids=[
        'no Parquet file', 'no JSON file', 'Parquet cut off', 'JSON cut off', 'a line cut off', 'Parquet named JSON',
        'one object', 'no objects', 'no row', 'another column', 'a column missing once',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told(make, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_rows([make(tmp_path)], COLUMNS)


def test_any_json_is_read(tmp_path):
    assert read_json(written(tmp_path, 'answers.json', {'a': 1})) == {'a': 1}
