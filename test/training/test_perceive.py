"""Observing recordings: the robot's own perception, a cache that outlives a kill, failures that are listed."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import builders
import cv2
import dummy_backends
import pytest
from fake_openai import FakeOpenAI, Recorded

from embodied_r_ros.app.focus import FOCUS_FRAMES
from embodied_r_ros.core.models import EYES, PERCEIVERS
from embodied_r_ros.evaluation import perceiver_source
from embodied_r_ros.evaluation.pair_cache import key_of
from embodied_r_ros.evaluation.samples import read_samples
from training import perceive

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
QUESTION = 'Where is the red sofa?'


@functools.cache
def filmed(seed: int) -> bytes:
    """Four seconds of a camera that pans so far that it shows a new view each second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'video.avi'
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (160, 96))
        for view in builders.pan(40, 0.06, width=160, height=96, seed=seed):
            writer.write(view)
        writer.release()
        return path.read_bytes()


def video(path: Path, seed: int = 0) -> Path:
    path.write_bytes(filmed(seed))
    return path


def sample(name: str, path: Path | str, question: str = QUESTION, **media: object) -> dict[str, object]:
    return {
        'id': name,
        'source': 'test',
        'scene': name,
        'category': 'landmark position',
        'question': question,
        'choices': ['left', 'right'],
        'answer': 'A',
        'media': {'path': str(path), 'start_s': 0.0, 'end_s': None, **media},
    }


def write(file: Path, *samples: dict[str, object]) -> Path:
    file.write_text(''.join(json.dumps(one) + '\n' for one in samples))
    return file


def says(asked: dict) -> str:
    """What the fake model writes: a hash of all that it was shown, so that every pair has words of its own."""
    return json.dumps({'action': 'rotate left', 'new': f'view {key_of([json.dumps(asked["messages"])])[:8]}'})


@pytest.fixture
def server():
    with FakeOpenAI(says) as fake:
        yield fake


def run(samples: Path, out: Path, *more: str) -> int:
    return perceive.main(['--samples', str(samples), '--out', str(out), *more])


def asking(server: FakeOpenAI) -> tuple[str, ...]:
    return '--perception', 'openai', '--vlm-url', server.url


def texts(file: Path) -> list[list[str]]:
    return [[seen['text'] for seen in one['observations']] for one in read_samples(file)]


def pairs_asked(server: FakeOpenAI) -> list[Recorded]:
    """The requests about key frames, without the probe's."""
    return [chat for chat in server.chats if chat.json['max_tokens'] > 1]


def test_samples_get_what_the_model_wrote_and_known_pairs_are_not_asked_again(
    tmp_path: Path, server: FakeOpenAI
) -> None:
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    assert run(file, tmp_path / 'one.jsonl', *asking(server)) == 0
    (written,) = read_samples(tmp_path / 'one.jsonl')
    seen = written['observations']
    assert len(seen) == len(pairs_asked(server)) >= 4
    assert seen[0]['motion'] is None and seen[0]['action'] == ''
    assert all(entry['text'] == entry['prose'] for entry in seen)
    assert all(entry['text'].startswith('view ') for entry in seen)
    assert len({entry['text'] for entry in seen}) == len(seen)
    count = len(pairs_asked(server))
    cut = sample('b', tmp_path / 'v.avi', end_s=seen[-2]['stamp_ns'] / 1e9)
    both = write(tmp_path / 's2.jsonl', sample('a', tmp_path / 'v.avi'), cut)
    assert run(both, tmp_path / 'two.jsonl', *asking(server), '--cache', str(tmp_path / 'one.jsonl.cache')) == 0
    assert len(pairs_asked(server)) == count
    assert read_samples(tmp_path / 'two.jsonl')[0] == written
    assert read_samples(tmp_path / 'two.jsonl')[1]['observations'] == seen[:-1]


def test_many_are_asked_at_a_time_but_no_more_than_allowed(tmp_path: Path, server: FakeOpenAI) -> None:
    server.latency_s = 0.05
    videos = [video(tmp_path / f'{number}.avi', seed=number) for number in range(3)]
    file = write(tmp_path / 's.jsonl', *(sample(path.stem, path) for path in videos))
    assert run(file, tmp_path / 'o.jsonl', *asking(server), '--requests', '3') == 0
    assert server.max_concurrent == 3


def test_a_run_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path, server: FakeOpenAI) -> None:
    videos = [video(tmp_path / f'{number}.avi', seed=number) for number in range(3)]
    file = write(tmp_path / 's.jsonl', *(sample(path.stem, path) for path in videos))
    assert run(file, tmp_path / 'whole.jsonl', *asking(server)) == 0
    needed = len(pairs_asked(server))
    server.requests.clear()
    server.latency_s = 0.2
    command = [sys.executable, '-m', 'training.perceive', '--samples', str(file), '--out', str(tmp_path / 'o.jsonl')]
    killed = subprocess.Popen([*command, *asking(server), '--requests', '2'], cwd=ROOT, stderr=subprocess.DEVNULL)
    assert server.wait_until(lambda: len(pairs_asked(server)) >= 6, 120.0)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(10.0)
    begun = len(pairs_asked(server))
    assert 6 <= begun < needed
    assert not (tmp_path / 'o.jsonl').exists()
    server.latency_s = 0.0
    assert run(file, tmp_path / 'o.jsonl', *asking(server)) == 0
    assert (tmp_path / 'o.jsonl').read_bytes() == (tmp_path / 'whole.jsonl').read_bytes()
    assert len(pairs_asked(server)) <= needed + 2


def test_failed_frames_are_listed_left_out_and_tried_again(
    tmp_path: Path, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(perceiver_source, 'WAITS_S', (0.0,))
    file = write(
        tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')), sample('b', video(tmp_path / 'w.avi', seed=1))
    )
    assert run(file, tmp_path / 'whole.jsonl', *asking(server)) == 0
    first = next(m for m in (chat.json['messages'] for chat in pairs_asked(server)) if len(m[0]['content']) == 2)
    server.reply = lambda asked: '' if asked['messages'] == first else says(asked)
    assert run(file, tmp_path / 'o.jsonl', *asking(server)) == perceive.EXIT_SOME_FAILED
    (failure,) = map(json.loads, (tmp_path / 'o.jsonl.failed').read_text().splitlines())
    assert failure['index'] == 0
    assert 'a description was wanted' in failure['error']
    assert '1 frames or recordings failed' in capsys.readouterr().err
    assert len(read_samples(tmp_path / 'o.jsonl')) == 1
    server.reply = says
    server.requests.clear()
    assert run(file, tmp_path / 'o.jsonl', *asking(server)) == 0
    assert len(pairs_asked(server)) == 1
    assert not (tmp_path / 'o.jsonl.failed').exists()
    assert (tmp_path / 'o.jsonl').read_bytes() == (tmp_path / 'whole.jsonl').read_bytes()


def test_a_focus_pass_adds_to_the_words_of_the_question_free_one(tmp_path: Path, server: FakeOpenAI) -> None:
    path = video(tmp_path / 'v.avi')
    file = write(tmp_path / 's.jsonl', sample('a', path), sample('b', path, 'Where is the lamp?'))
    assert run(file, tmp_path / 'free.jsonl', *asking(server)) == 0
    free, count = texts(tmp_path / 'free.jsonl'), len(pairs_asked(server))
    assert free[0] == free[1]
    cache = ('--cache', str(tmp_path / 'free.jsonl.cache'))
    assert run(file, tmp_path / 'focus.jsonl', *asking(server), '--focus', *cache) == 0
    added = len(pairs_asked(server)) - count
    focused = texts(tmp_path / 'focus.jsonl')
    longer = [[new for old, new in zip(*one) if new != old] for one in zip(free, focused)]
    assert added == sum(map(len, longer)) == 2 * min(FOCUS_FRAMES, len(free[0]))
    assert focused[0] != focused[1]
    assert all(new.startswith(old) for one in zip(free, focused) for old, new in zip(*one))
    assert run(file, tmp_path / 'again.jsonl', *asking(server), *cache) == 0
    assert texts(tmp_path / 'again.jsonl') == free


def test_a_second_look_at_a_recording_with_odometry_and_tags_adds_what_the_question_names(tmp_path: Path) -> None:
    asked = {**sample('a', ROOT / 'data/bags/seed1'), 'question': 'Where is the monitor now?'}
    file = write(tmp_path / 's.jsonl', asked)
    labels = ('--labels', str(ROOT / 'data/bags/labels.yaml'))
    assert run(file, tmp_path / 'free.jsonl', *labels) == run(file, tmp_path / 'focus.jsonl', *labels, '--focus') == 0
    free, focused = (read_samples(tmp_path / name)[0]['observations'] for name in ('free.jsonl', 'focus.jsonl'))
    assert [one['motion'] for one in focused] == [one['motion'] for one in free]
    names = [[seen['name'] for one in entries for seen in one['sightings']] for entries in (free, focused)]
    assert set(names[1]) == set(names[0]) and 'monitor' in names[1]


def test_samples_with_observations_stay_as_they_are(tmp_path: Path) -> None:
    seen = {**sample('a', 'gone.avi'), 'observations': [{'stamp_ns': 1, 'action': '', 'text': 'a sofa'}]}
    assert run(write(tmp_path / 's.jsonl', seen), tmp_path / 'o.jsonl') == 0
    assert read_samples(tmp_path / 'o.jsonl') == [seen]


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds to the right at 5 Hz, with odometry."""
    views = [builders.jpeg(view).data for view in builders.pan(21, 0.06)]
    messages = [builders.recorded_jpeg(view, 100 + step / 5) for step, view in enumerate(views)]
    messages += [builders.recorded_odometry(builders.pose(y_m=-step / 10), 100 + step / 10) for step in range(46)]
    return builders.write_bag(tmp_path_factory.mktemp('bags') / 'bag', sorted(messages, key=lambda item: item.stamp_ns))


def test_odometry_is_used_unless_it_makes_the_label(tmp_path: Path, bag: Path) -> None:
    file = write(tmp_path / 's.jsonl', sample('with', bag), sample('without', bag, odometry=False))
    assert run(file, tmp_path / 'o.jsonl') == 0
    actions = [[seen['action'] for seen in one['observations'][1:]] for one in read_samples(tmp_path / 'o.jsonl')]
    assert all(re.search(r'\d m\b', action) for action in actions[0])
    assert not any(re.search(r'\d m\b', action) for action in actions[1])


def test_nothing_after_the_end_asked_for_is_looked_at(tmp_path: Path, bag: Path) -> None:
    file = write(tmp_path / 's.jsonl', sample('all', bag), sample('part', bag, start_s=0.9, end_s=2.1))
    assert run(file, tmp_path / 'o.jsonl') == 0
    stamps_s = [
        [seen['stamp_ns'] / 1e9 - 100 for seen in one['observations']] for one in read_samples(tmp_path / 'o.jsonl')
    ]
    assert stamps_s[0][-1] == pytest.approx(4.0)
    assert stamps_s[1][0] == pytest.approx(1.0)
    assert stamps_s[1][-1] == pytest.approx(2.0)


def cut_off(tmp_path: Path) -> Path:
    path = video(tmp_path / 'cut.avi')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def no_video(tmp_path: Path) -> Path:
    path = tmp_path / 'broken.avi'
    path.write_bytes(b'no video')
    return path


@pytest.mark.parametrize(
    ('make', 'media', 'message'),
    [
        (cut_off, {}, r'ends early: 4\.0 s are wanted, the images end at 1\.\d s; get it anew'),
        (lambda folder: video(folder / 'v.avi'), {'end_s': 9.0}, r'ends early: 9\.0 s are wanted, the images end at 3'),
        (lambda folder: folder / 'gone.avi', {}, 'must be a folder or file, got .*gone.avi'),
        (no_video, {}, 'must be one that OpenCV can decode'),
        (lambda folder: video(folder / 'v.avi'), {'start_s': 60.0}, 'found none in .* from 60 s'),
    ],
    ids=['cut off', 'shorter than asked for', 'not there', 'no video', 'begins after its end'],
)
def test_recordings_that_cannot_be_observed_are_listed(
    tmp_path: Path, make: object, media: dict[str, float], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = sample('good', video(tmp_path / 'good.avi', seed=1))
    file = write(tmp_path / 's.jsonl', sample('bad', make(tmp_path), **media), good)
    assert run(file, tmp_path / 'o.jsonl') == perceive.EXIT_SOME_FAILED
    assert [one['id'] for one in read_samples(tmp_path / 'o.jsonl')] == ['good']
    (failure,) = map(json.loads, (tmp_path / 'o.jsonl.failed').read_text().splitlines())
    assert failure['index'] is None
    assert re.search(message, failure['error'])
    assert '1 frames or recordings failed' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('change', 'arguments', 'message'),
    [
        ({'media': None}, (), "sample 'a' needs media with a path, got None; download the media first"),
        ({'media': {'path': 'v.avi', 'start_s': 3, 'end_s': 2}}, (), 'needs start_s before end_s, in seconds'),
        (None, (), 'holds no sample; there is nothing to look at'),
        ({}, ('--vlm-url', 'http://127.0.0.1:1/v1'), '--vlm-url and --vlm-model need --perception openai'),
        ({}, ('--requests', '0'), '--requests must be at least 1, got 0'),
    ],
    ids=['no media', 'ends before it starts', 'an empty file', 'a server for OpenCV', 'no requests'],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path,
    change: dict[str, object] | None,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path / 's.jsonl', *([] if change is None else [{**sample('a', 'v.avi'), **change}]))
    assert run(file, tmp_path / 'o.jsonl', *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'o.jsonl').exists()


def test_a_server_that_is_not_there_ends_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    assert run(file, tmp_path / 'o.jsonl', '--perception', 'openai', '--vlm-url', 'http://127.0.0.1:9/v1') == 2
    assert '127.0.0.1:9' in capsys.readouterr().err


def test_a_disk_that_takes_nothing_ends_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    assert run(file, tmp_path / 'o.jsonl', '--cache', str(file)) == 2
    assert 'training.perceive: ' in capsys.readouterr().err
    assert not (tmp_path / 'o.jsonl').exists()


def test_a_registered_backend_describes_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PERCEIVERS, 'dummy', dummy_backends.PERCEIVER)
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    assert run(file, tmp_path / 'o.jsonl', '--perception', 'dummy') == 0
    assert set(texts(tmp_path / 'o.jsonl')[0]) == {'a grey lamp'}


def test_a_registered_eye_looks_at_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EYES, 'dummy', dummy_backends.EYE)
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    assert run(file, tmp_path / 'o.jsonl', '--eyes', 'dummy') == 0
    assert texts(tmp_path / 'o.jsonl')[0][0] == 'plant 20 deg left at 2.0 m'


def test_an_eye_looks_beside_a_model_on_a_server_and_known_pairs_are_not_asked_again(
    tmp_path: Path, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EYES, 'dummy', dummy_backends.EYE)
    file = write(tmp_path / 's.jsonl', sample('a', video(tmp_path / 'v.avi')))
    kept = ('--cache', str(tmp_path / 'kept'))
    assert run(file, tmp_path / 'plain.jsonl', *asking(server), *kept) == 0
    count = len(pairs_asked(server))
    for out in ('one.jsonl', 'two.jsonl'):
        assert run(file, tmp_path / out, *asking(server), '--eyes', 'dummy', *kept) == 0
        first, *_ = texts(tmp_path / out)[0]
        assert first.startswith('plant 20 deg left at 2.0 m') and ' view ' in first
        assert len(pairs_asked(server)) == 2 * count
