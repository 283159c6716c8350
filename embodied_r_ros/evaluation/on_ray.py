"""Work on many recordings as tasks of a Ray cluster: one task each, tried again where its worker died."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from embodied_r_ros.core.errors import BackendError, SettingsError
from embodied_r_ros.evaluation.pair_cache import CODE, code_key
from embodied_r_ros.evaluation.progress import progress

LOCAL = 'local'
# Of a worker that died or a machine that went away; an error of the work itself is the same another time.
RETRIES = 3
REACH_S = 5.0

Part = TypeVar('Part')
Found = TypeVar('Found')


def add_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--ray`."""
    where = 'Each recording is a task of the Ray cluster at this address (without an address: of this machine).'
    parser.add_argument('--ray', nargs='?', const=LOCAL, metavar='ADDRESS', help=where)


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a command was given, and its code: a task works at the same place of its machine, with the same code."""

    folder: str
    code: str

    @staticmethod
    def here() -> Home:
        """Of this process."""
        return Home(os.getcwd(), code_key(CODE))

    def enter(self) -> None:
        """Make relative paths mean here what they mean there.

        Raises:
            SettingsError: this machine lacks the folder, or has other code.
        """
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise SettingsError(
                f'{platform.node()} must have the folder {self.folder!r}, got {error.strerror}; mount it at the same '
                'path on all machines'
            ) from error
        if code_key(CODE) != self.code:
            raise SettingsError(
                f'{platform.node()} has another embodied_r_ros than the command; install the same on all machines'
            )


def on_ray(
    work: Callable[[Part], Found], parts: Sequence[Part], address: str
) -> Iterator[tuple[Part, Found | BackendError]]:
    """Each part with what the work came to, as the tasks end; an error where no worker got through with it.

    Args:
        work: which can be pickled; it runs in another process, maybe on another machine.
        parts: one for each recording.
        address: of the cluster, LOCAL for one of this machine alone.

    Raises:
        SettingsError: Ray is missing, or a machine lacks what the work needs.
        BackendError: there is no such cluster.
    """
    with _cluster(address) as ray, progress('recordings', len(parts)) as step:
        task = ray.remote(max_retries=RETRIES)(_work_at)
        home, held = Home.here(), ray.put(work)
        running = {task.remote(home, held, part): part for part in parts}
        while running:
            (ended,), _ = ray.wait(list(running), num_returns=1)
            part = running.pop(ended)
            yield part, _outcome(ray, ended)
            step()


def _work_at(home: Home, work: Callable[[Part], Found], part: Part) -> Found:
    home.enter()
    return work(part)


def _outcome(ray: Any, ended: Any) -> Any:
    """What a task came to; its own error is raised."""
    try:
        return ray.get(ended)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        why = str(error).strip().partition('\n')[0]
        return BackendError(f'no worker came to its end with it in {RETRIES + 1} tries: {why}; see the logs of Ray')


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Ray, connected; what it tells of its workers goes to standard error, as standard output is for results."""
    try:
        import ray
    except ImportError as error:
        raise SettingsError(f'--ray needs the Python package ray, got {error}; pip install ray') from error
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    options = {'include_dashboard': False} if address == LOCAL else {}
    try:
        _reach(address)
        ray.init(address=address, logging_level=logging.WARNING, **options)
    except Exception as error:  # Ray raises just that where a machine is too slow to start it
        raise BackendError(
            f'no Ray cluster can be used at {address!r}: {error}; start one with `ray start --head`, or leave the '
            'address out'
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise OSError where nothing listens at an address with a port, which Ray would try for minutes."""
    host, _, port = address.rpartition('/')[2].rpartition(':')
    if port.isdecimal():
        socket.create_connection((host, int(port)), REACH_S).close()
