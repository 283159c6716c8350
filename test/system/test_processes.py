"""Programs as processes: watched, measured, killed, started again, and stopped at the end."""

import os
import time

import pytest

from embodied_r_ros.ros_client.processes import BrokenGraph, Processes

pytestmark = pytest.mark.system

# A program of the standard library that runs what it is given.
MODULE = 'timeit'
SLEEP = ('-n', '1', '-r', '1', 'import time; print("here", flush=True); time.sleep(60)')
SAY = ('-n', '1', '-r', '1', 'print("enough")')
RAISE = ('-n', '1', '-r', '1', 'raise OSError("no such thing")')


@pytest.fixture
def processes(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    with Processes(os.environ) as processes:
        yield processes


def ended(processes, name, timeout_s=20.0):
    """The exit status of a program that ends by itself."""
    end_s = time.monotonic() + timeout_s
    while processes.status(name) is None:
        assert time.monotonic() < end_s, f'{name} goes on'
        time.sleep(0.01)
    return processes.status(name)


def test_a_running_program_is_measured_and_not_complained_of(processes):
    processes.start('sleeper', MODULE, SLEEP)
    assert processes.status('sleeper') is None
    assert processes.cpu_s('sleeper') >= 0.0 and processes.resident_mb('sleeper') > 0.0
    assert processes.threads('sleeper') >= 1 and processes.descriptors('sleeper') >= 3
    processes.check()


def test_a_program_that_ought_to_last_is_missed_when_it_ends_and_its_last_words_are_told(processes):
    processes.start('talker', MODULE, SAY)
    assert ended(processes, 'talker') == 0
    with pytest.raises(BrokenGraph, match=r'^talker ended with status 0: 1 loop, .*; the logs are in \S+$'):
        processes.check()


def test_a_program_that_may_end_is_missed_only_when_it_fails(processes):
    processes.start('talker', MODULE, SAY, lasting=False)
    assert ended(processes, 'talker') == 0
    processes.check()
    processes.start('failing', MODULE, RAISE, lasting=False)
    assert ended(processes, 'failing') == 1
    with pytest.raises(BrokenGraph, match='failing ended with status 1: OSError: no such thing; the logs are in '):
        processes.check()


def test_a_killed_program_is_not_missed_and_is_started_again(processes):
    processes.start('sleeper', MODULE, SLEEP)
    processes.kill('sleeper')
    processes.check()
    with pytest.raises(BrokenGraph, match='sleeper is not running'):
        processes.cpu_s('sleeper')
    processes.restart('sleeper')
    assert processes.resident_mb('sleeper') > 0.0
    processes.check()


@pytest.mark.parametrize(
    ('error', 'kept'),
    [(None, False), (KeyboardInterrupt, False), (BrokenGraph, True)],
    ids=['fine', 'interrupted', 'broken'],
)
def test_logs_are_kept_where_the_sentence_names_them(error, kept, tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    try:
        with Processes(os.environ) as processes:
            processes.start('talker', MODULE, SAY)
            ended(processes, 'talker')
            if error is not None:
                raise error
    except (KeyboardInterrupt, BrokenGraph):
        pass
    assert [path.name for path in tmp_path.glob('*/*')] == (['talker.log'] if kept else [])


def test_all_are_stopped_at_the_end():
    with Processes(os.environ) as processes:
        processes.start('sleeper', MODULE, SLEEP)
    assert processes.status('sleeper') is not None
