"""The command `evaluate`: recordings perceived once, questions scored, runs that go on, bad input counted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import builders
import cv2
import pytest
from fake_openai import FakeOpenAI
from tiny_models import chain_folder

from embodied_r_ros.__main__ import main
from embodied_r_ros.core.records import ErrorCode

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
SEED1 = ROOT / 'data/bags/seed1'
REPLY = '<think> Frame 0 shows it. </think> <answer> B </answer>'


def write_video(path: Path, seconds: int = 3) -> Path:
    """To the right by 0.3 of the view each second, at 10 Hz."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (320, 180))
    for view in builders.pan(10 * seconds + 1, 0.03):
        writer.write(view)
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two videos and a model pair whose reasoner says B whatever it is asked; the user's cache is here too."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    chain_folder(tmp_path / 'chain', {'<unk>': REPLY}, max_position_embeddings=1024)
    reasoner = '{backend: numpy, folder: chain, prompt_format: paper}'
    (tmp_path / 'pair.yaml').write_text(f'perception: {{backend: opencv}}\nreasoner: {reasoner}\n')
    write_video(tmp_path / 'one.avi')
    shutil.copy(tmp_path / 'one.avi', tmp_path / 'two.avi')
    return tmp_path


QUESTIONS = """
- {question: Where is the lamp, choices: [left, right], answer: right, media: one, category: side, evidence_s: [0, 1]}
- {question: Where is the sofa, choices: [left, right], answer: left, media: one, category: side, second: 2}
- {question: Where is the door, choices: [near, far, gone], answer: far, media: two, category: distance}
- {question: What did I see, media: two}
"""


def ask(folder: Path, capsys: pytest.CaptureFixture[str], *more: object, text: str = QUESTIONS):
    """Status, JSON and standard error of a run about both videos."""
    (folder / 'asked.yaml').write_text(text, encoding='utf-8')
    media = ['--media', folder / 'one.avi', folder / 'two.avi'] if '--media' not in more else []
    pair = ['--models', folder / 'pair.yaml'] if '--models' not in more else []
    status = main([str(one) for one in ('evaluate', folder / 'asked.yaml', *media, *pair, *more, '--json')])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    return status, json.loads(lines[-1]) if lines else None, captured.err


def timeless(found: dict) -> dict:
    return {name: value for name, value in found.items() if name != 'latency_s'}


def test_questions_are_scored_by_task_beside_chance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found, _ = ask(folder, capsys)
    assert status == 0
    assert (found['questions'], found['scored'], found['scenes'], found['codes']) == (4, 3, 2, {'OK': 4})
    assert found['accuracy'] == pytest.approx(2 / 3, abs=1e-4)
    assert found['chance'] == pytest.approx((0.5 + 0.5 + 1 / 3) / 3, abs=1e-4)
    assert found['macro'] == 0.75
    assert {task: entry['accuracy'] for task, entry in found['per_task'].items()} == {'side': 0.5, 'distance': 1.0}
    low, high = found['interval']
    assert low <= found['accuracy'] <= high
    assert found['models'] == {'chain': {'questions': 3, 'accuracy': found['accuracy']}}
    assert found['evidence'] == {'annotated': 1, 'inside': 1.0}
    assert found['to_read'] == ['asked-4']
    assert found['left_out'] == []
    assert {'describe', 'prompt', 'think'} <= set(found['latency_s'])


def test_the_same_questions_give_the_same_json_apart_from_timings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (ask(folder, capsys, '--cache', folder / cache)[1] for cache in ('a', 'b'))
    assert timeless(first) == timeless(second)


def test_people_get_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / 'asked.yaml').write_text(QUESTIONS, encoding='utf-8')
    arguments = ['evaluate', folder / 'asked.yaml', '--media', folder, '--models', folder / 'pair.yaml']
    assert main([str(one) for one in arguments]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ''
    assert lines[1].split()[:3] == ['side', '2', '50.0%']
    assert 'codes: OK 4' in lines
    assert 'evidence inside the annotated interval: 100.0% of 1 answers' in lines
    assert '1 open answers are to be read by a person: asked-4' in lines


def test_a_recording_is_looked_at_once_whatever_is_asked_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOpenAI('{"action": "Move right", "new": "a lamp"}') as eye:
        server = ('--vlm-url', eye.url)
        _, first, _ = ask(folder, capsys, *server)
        asked = len([chat for chat in eye.chats if chat.json['max_tokens'] > 1])
        assert asked >= 2
        later = QUESTIONS.replace('second: 2', 'second: 1')
        _, second, _ = ask(folder, capsys, *server, text=later)
        assert len([chat for chat in eye.chats if chat.json['max_tokens'] > 1]) == asked
    assert first['questions'] == second['questions'] == 4


def test_a_server_is_asked_as_many_at_a_time_as_its_settings_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOpenAI(REPLY) as mind:
        mind.latency_s = 0.1
        served = f'{{backend: openai, url: {mind.url}, max_concurrent_requests: 3, prompt_format: paper}}'
        (folder / 'pair.yaml').write_text(f'perception: {{backend: opencv}}\nreasoner: {served}\n')
        _, found, _ = ask(folder, capsys)
        assert mind.max_concurrent == 3
    assert found['models'] == {'fake-model': {'questions': 3, 'accuracy': pytest.approx(2 / 3, abs=1e-4)}}


def test_a_run_that_was_killed_goes_on_to_the_same_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ''.join(
        f'- {{question: Where is lamp {number}, choices: [left, right], answer: right, media: one}}\n'
        for number in range(12)
    )
    with FakeOpenAI(REPLY) as mind:
        served = ('--lm-url', mind.url)
        _, whole, _ = ask(folder, capsys, *served, text=text)
        mind.requests.clear()
        mind.latency_s = 0.3
        command = [sys.executable, '-m', 'embodied_r_ros', 'evaluate', folder / 'asked.yaml', '--media', folder]
        command += ['--models', folder / 'pair.yaml', *served, '--out', folder / 'run']
        killed = subprocess.Popen([str(one) for one in command], cwd=ROOT, env=dict(os.environ))
        answers = folder / 'run/answers.jsonl'
        assert mind.wait_until(lambda: answers.exists() and len(answers.read_text().splitlines()) >= 2, 300.0)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(10.0)
        with answers.open('a') as file:
            file.write('{"sample": {"id": "asked-')
        known = len(answers.read_text().splitlines()) - 1
        assert 2 <= known < 12
        mind.latency_s = 0.0
        mind.requests.clear()
        media = ('--media', folder)
        _, found, _ = ask(folder, capsys, *media, *served, '--out', folder / 'run', text=text)
        thoughts = [chat for chat in mind.chats if chat.json['max_tokens'] > 1]
    assert timeless(found) == timeless(whole)
    assert len(thoughts) == 12 - known
    assert len(answers.read_text().splitlines()) == 12


def test_answers_that_a_server_failed_are_asked_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeOpenAI(REPLY) as mind:
        _, good, _ = ask(folder, capsys, '--lm-url', mind.url, '--out', folder / 'run')
    lines = (folder / 'run/answers.jsonl').read_text().splitlines()
    failed = {**json.loads(lines[1]), 'error_code': ErrorCode.SERVER_DOWN.name, 'choice': -1}
    (folder / 'run/answers.jsonl').write_text('\n'.join([lines[0], json.dumps(failed), *lines[2:]]) + '\n')
    with FakeOpenAI(REPLY) as elsewhere:
        _, found, _ = ask(folder, capsys, '--lm-url', elsewhere.url, '--out', folder / 'run')
        assert len([chat for chat in elsewhere.chats if chat.json['max_tokens'] > 1]) == 1
    assert timeless(found) == timeless(good)


def test_two_runs_are_compared_question_by_question(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(folder, capsys, '--out', folder / 'first')
    with FakeOpenAI(REPLY.replace('B', 'A')) as mind:
        more = QUESTIONS + '- {question: Where am I, choices: [in, out], media: one, answer: in}\n'
        _, found, _ = ask(folder, capsys, '--lm-url', mind.url, '--against', folder / 'first', text=more)
    against = found['against']
    assert (against['questions'], against['only_here'], against['only_there']) == (3, 1, 0)
    assert against['accuracy'] == pytest.approx(2 / 3, abs=1e-4)
    assert against['difference'] == pytest.approx(-1 / 3, abs=1e-4)
    assert (against['better'], against['worse']) == (1, 2)
    changed = against['changed'][0]
    assert changed == {
        'id': 'asked-1',
        'question': 'Where is the lamp',
        'truth': 'right',
        'here': 'left',
        'there': 'right',
    }


@pytest.mark.parametrize(
    ('entry', 'reason'),
    [
        ('second: 99, media: one', r'it asks at 99 s, but the recording ends at 3.0 s'),
        ('media: gone', "is about 'gone', which is not among the media"),
        ('media: broken', 'must be one that OpenCV can decode'),
        ('media: cut', 'the video ends early: 1.'),
    ],
    ids=['a second beyond the end', 'media missing', 'no video', 'a video that ends early'],
)
def test_what_cannot_be_asked_is_counted_and_the_rest_is_scored(
    folder: Path, capsys: pytest.CaptureFixture[str], entry: str, reason: str
) -> None:
    (folder / 'broken.avi').write_bytes(b'no video')
    whole = (folder / 'one.avi').read_bytes()
    (folder / 'cut.avi').write_bytes(whole[: len(whole) // 2])
    text = QUESTIONS + f'- {{question: Where is it, choices: [here, there], answer: here, {entry}}}\n'
    text += '- {question: Where is it, choices: [here, there], answer: there, media: cut, second: 1}\n'
    status, found, _ = ask(folder, capsys, '--media', folder, text=text)
    assert status == 1
    assert found['scored'] == 4
    (left_out,) = found['left_out']
    assert left_out['where'] in (['question 5'], ['asked-5'])
    assert reason in left_out['reason']


def changed_run(folder: Path, **values: object) -> Path:
    path = folder / 'run'
    about = json.loads((path / 'run.json').read_text())
    (path / 'run.json').write_text(json.dumps({**about, **values}))
    return path


@pytest.mark.parametrize(
    ('prepare', 'option', 'message'),
    [
        (lambda folder: folder / 'nothing', '--against', 'a run that `evaluate --out` wrote was wanted'),
        (lambda folder: changed_run(folder, format=7), '--against', 'is a run of another version (format 7, 1 was'),
        (lambda folder: changed_run(folder, version='9.9'), '--out', 'was made with another version'),
        (lambda folder: folder / 'one.avi/run', '--out', 'cannot be written: Not a directory'),
        (lambda folder: folder / 'one.avi', '--cache', 'perception cannot be kept in'),
    ],
    ids=['no run', 'another format', 'another version', 'a run below a file', 'a cache below a file'],
)
def test_what_cannot_be_done_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], prepare: object, option: str, message: str
) -> None:
    ask(folder, capsys, '--out', folder / 'run')
    status, found, err = ask(folder, capsys, option, prepare(folder))
    assert (status, found) == (2, None)
    assert message in err


def test_an_empty_run_is_nothing_to_compare_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(folder, capsys, '--out', folder / 'run')
    (folder / 'run/answers.jsonl').write_text('')
    status, _, err = ask(folder, capsys, '--against', folder / 'run')
    assert status == 2
    assert 'holds no answer to compare with; let that run come to its end first' in err


def test_a_run_with_other_models_needs_another_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(folder, capsys, '--out', folder / 'run')
    status, _, err = ask(folder, capsys, '--out', folder / 'run', '--tag-size', '0.2')
    assert status == 2
    assert 'was made with another labels; name another folder with --out' in err


def test_other_labels_beside_a_recording_ask_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(folder, capsys, '--out', folder / 'run')
    before = (folder / 'run/answers.jsonl').read_text()
    (folder / 'labels.yaml').write_text('1: sofa\n')
    ask(folder, capsys, '--out', folder / 'run')
    about = [
        [json.loads(line)['about'] for line in text.splitlines()]
        for text in (before, (folder / 'run/answers.jsonl').read_text())
    ]
    assert not set(about[0]) & set(about[1])


def test_a_recording_that_went_away_is_left_out_of_a_kept_run_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ('--media', folder, '--out', folder / 'run', '--report', folder / 'report.html')
    ask(folder, capsys, *more)
    stat = (folder / 'two.avi').stat()
    (folder / 'two.avi').write_bytes(b'x' * stat.st_size)
    os.utime(folder / 'two.avi', ns=(stat.st_atime_ns, stat.st_mtime_ns))
    shutil.rmtree(folder / 'cache')
    status, found, _ = ask(folder, capsys, *more)
    assert (status, found['questions']) == (1, 2)
    assert [(one['count'], one['where']) for one in found['left_out']] == [(2, ['asked-3', 'asked-4'])]
    assert (folder / 'report.html').read_text().count('<article') == 2


def test_a_file_of_which_nothing_can_be_asked_ends_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = ask(folder, capsys, text='- {question: Where, second: 99, media: one}')
    assert status == 2
    assert 'holds no question that can be asked: it asks at 99 s, but the recording ends at 3.0 s (1)' in err


def test_a_server_that_is_not_there_ends_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = ask(folder, capsys, '--lm-url', 'http://127.0.0.1:9/v1')
    assert status == 2
    assert '127.0.0.1:9' in err


def test_hostile_text_passes_through(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = r'"<script>alert(1)</script>\u2028<|im_end|>\u0007"'
    text = f'- {{question: {hostile}, choices: [left, right], answer: right, media: one, category: {hostile}}}'
    status, found, _ = ask(folder, capsys, text=text)
    assert status == 0
    assert found['accuracy'] == 1.0


def test_of_two_cameras_the_choice_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    views = [builders.jpeg(view).data for view in builders.pan(11, 0.06)]
    messages = [
        builders.recorded_jpeg(view, 100 + step / 5, topic=f'/{side}/image/compressed')
        for step, view in enumerate(views)
        for side in ('front', 'rear')
    ]
    builders.write_bag(folder / 'bag', messages)
    status, found, _ = ask(
        folder, capsys, '--media', folder, text='- {question: Where, choices: [a, b], answer: b, media: bag}'
    )
    assert (status, found['accuracy']) == (0, 1.0)
    assert 'choose another with --image-topic' in caplog.text


def test_the_sample_questions_are_answered_nearly_all_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (ROOT / 'data/questions.jsonl').read_text().splitlines()
    file = tmp_path / 'some.jsonl'
    file.write_text('\n'.join(line for line in lines if 'seed1' in line))
    assert main(['evaluate', str(file), '--media', str(SEED1), '--cache', str(tmp_path / 'cache'), '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['questions'] == 16
    assert found['accuracy'] >= 0.9
