"""Recordings as tasks of a Ray cluster: the same result as in one process, whatever becomes of a worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import builders
import cv2
import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.__main__ import main
from embodied_r_ros.core.errors import BackendError, InputError, SettingsError
from embodied_r_ros.evaluation.on_ray import RETRIES, Home, on_ray
from training import perceive

pytestmark = pytest.mark.system

VIDEOS = 4
THOUGHT = '<think> Frame 0 shows it. </think> <answer> B </answer>'
SIGHT = json.dumps({'action': 'rotate left', 'new': 'a lamp'})


@pytest.fixture(scope='module')
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of this machine alone, with two workers."""
    pytest.importorskip('ray', reason='needs Ray: pip install -r requirements/ray.txt')
    from ray.cluster_utils import Cluster

    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    started = Cluster(initialize_head=True, head_node_args={'num_cpus': 2, 'include_dashboard': False})
    yield started.address
    started.shutdown()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Videos, and questions and samples about them."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for number in range(VIDEOS):
        writer = cv2.VideoWriter(str(tmp_path / f'{number}.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (160, 96))
        for view in builders.pan(31, 0.06, width=160, height=96, seed=number):
            writer.write(view)
        writer.release()
    asked = [{'question': f'Where is thing {n}', 'choices': ['left', 'right'], 'media': str(n // 2)} for n in range(8)]
    asked = [{**one, 'answer': 'right'} for one in asked]
    asked += [{**asked[-1], 'second': 99, 'media': media} for media in ('3', '0')]
    (tmp_path / 'asked.yaml').write_text(json.dumps(asked))
    samples = [
        {**one, 'id': f's{n}', 'source': 'test', 'scene': 's', 'category': 'c', 'answer': 'A',
         'media': {'path': str(tmp_path / f'{one["media"]}.avi')}}
        for n, one in enumerate(asked[:8])
    ]  # fmt: skip
    samples.append({**samples[0], 'id': 'seen', 'observations': [{'stamp_ns': 1, 'action': '', 'text': 'a sofa'}]})
    (tmp_path / 'samples.jsonl').write_text(''.join(json.dumps(one) + '\n' for one in samples))
    return tmp_path


def evaluated(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict:
    """The JSON of an evaluation of which two questions must be left out; timings apart."""
    assert main(['evaluate', str(folder / 'asked.yaml'), '--media', str(folder), '--json', *more]) == 1
    found = json.loads(capsys.readouterr().out)
    return {name: value for name, value in found.items() if name != 'latency_s'}


def looks(server: FakeOpenAI) -> int:
    return len([chat for chat in server.chats if chat.json['max_tokens'] > 1])


def workers() -> list[int]:
    """Process ids of the workers below this process that have a task."""
    parents, busy = {}, []
    for entry in Path('/proc').iterdir():
        try:
            parents[int(entry.name)] = int((entry / 'stat').read_text().rpartition(')')[2].split()[1])
            if (entry / 'cmdline').read_bytes().startswith(b'ray::_work_at'):
                busy.append(int(entry.name))
        except (ValueError, OSError):
            continue

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    return list(filter(is_ours, busy))


@contextlib.contextmanager
def killing(eye: FakeOpenAI, of_one: int) -> Iterator[list[int]]:
    """One of two workers is killed while a server is about to answer both; yields its process id, once it is dead.

    Args:
        of_one: so many looks come from one worker before it has an answer.
    """
    killed: list[int] = []
    eye.latency_s = 5.0

    def kill() -> None:
        if eye.wait_until(lambda: looks(eye) > of_one and len(workers()) == 2, 120.0):
            killed.extend(workers()[:1])
            os.kill(killed[0], signal.SIGKILL)
        eye.latency_s = 0.0

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield killed
    thread.join(120.0)


def test_an_evaluation_of_which_a_worker_is_killed_comes_to_the_same(
    cluster: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOpenAI(SIGHT) as eye, FakeOpenAI(THOUGHT) as mind:
        servers = ('--vlm-url', eye.url, '--lm-url', mind.url)
        alone = evaluated(folder, capsys, *servers, '--cache', str(folder / 'alone'))
        needed = looks(eye)
        eye.requests.clear()
        with killing(eye, needed // VIDEOS) as killed:
            found = evaluated(folder, capsys, *servers, '--cache', str(folder / 'ray'), '--ray', cluster)
        assert killed
        assert looks(eye) > needed, 'the pairs that the killed worker was asking about are asked again'
        eye.requests.clear()
        again = evaluated(folder, capsys, *servers, '--cache', str(folder / 'ray'))
        assert looks(eye) == 0, 'what the tasks perceived is in the cache that was named'
    assert found == again == alone
    assert (found['questions'], found['accuracy']) == (8, 1.0)
    assert [one['where'] for one in found['left_out']] == [['asked-9', 'asked-10']]


def test_perceiving_of_which_a_worker_is_killed_writes_the_same(cluster: str, folder: Path) -> None:
    with FakeOpenAI(SIGHT) as eye:
        words = ['--samples', str(folder / 'samples.jsonl'), '--perception', 'openai', '--vlm-url', eye.url]
        assert perceive.main([*words, '--out', str(folder / 'alone.jsonl')]) == 0
        needed = looks(eye)
        eye.requests.clear()
        with killing(eye, needed // VIDEOS) as killed:
            assert perceive.main([*words, '--out', str(folder / 'ray.jsonl'), '--ray', cluster]) == 0
        assert killed
        assert looks(eye) > needed
    assert (folder / 'ray.jsonl').read_bytes() == (folder / 'alone.jsonl').read_bytes()


def test_a_recording_that_kills_its_worker_each_time_is_given_up_and_the_others_are_done(
    cluster: str, tmp_path: Path
) -> None:
    tries = tmp_path / 'tries'

    def work(part: str) -> str:
        if part == 'bad':
            with tries.open('a') as file:
                file.write('x')
            os._exit(1)
        return part.upper()

    found = dict(on_ray(work, ['bad', 'good'], cluster))
    assert found['good'] == 'GOOD'
    assert isinstance(found['bad'], BackendError)
    assert str(found['bad']).startswith(f'no worker came to its end with it in {RETRIES + 1} tries: ')
    assert tries.read_text() == 'x' * (RETRIES + 1)


def test_what_a_task_itself_finds_wrong_is_raised_as_it_is(cluster: str) -> None:
    def work(part: str) -> None:
        raise InputError(f'a bag was wanted, got {part!r}')

    with pytest.raises(InputError, match="^a bag was wanted, got 'x'$"):
        list(on_ray(work, ['x'], cluster))


def test_tasks_find_relative_paths_where_the_command_was_given(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'here').write_text('found')
    monkeypatch.chdir(tmp_path)
    assert list(on_ray(lambda part: Path(part).read_text(), ['here'], cluster)) == [('here', 'found')]


@pytest.mark.parametrize('address', ['127.0.0.1:9', 'nonsense'])
def test_a_cluster_that_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    pytest.importorskip('ray', reason='needs Ray: pip install -r requirements/ray.txt')
    assert main(['evaluate', str(folder / 'asked.yaml'), '--media', str(folder), '--ray', address]) == 2
    assert f'no Ray cluster can be used at {address!r}: ' in capsys.readouterr().err


def test_without_ray_both_commands_say_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert main(['evaluate', str(folder / 'asked.yaml'), '--media', str(folder), '--ray']) == 2
    words = ['--samples', str(folder / 'samples.jsonl'), '--out', str(folder / 'o.jsonl')]
    assert perceive.main([*words, '--ray']) == 2
    assert capsys.readouterr().err.count('--ray needs the Python package ray, got ') == 2


def test_real_nodes_are_asked_on_one_machine_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ['evaluate', str(folder / 'asked.yaml'), '--media', str(folder), '--through', 'graph', '--ray']
    assert main(words) == 2
    assert "--ray needs --through offline, got 'graph'; leave one of them out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('home', 'message'),
    [
        (Home('/not/there', Home.here().code), "must have the folder '/not/there', got No such file or directory"),
        (Home(os.getcwd(), 'other'), 'has another embodied_r_ros than the command; install the same'),
    ],
    ids=['no folder', 'other code'],
)
def test_a_machine_that_is_not_like_the_first_is_refused(home: Home, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        home.enter()
