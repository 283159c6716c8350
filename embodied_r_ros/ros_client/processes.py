"""Programs of ours as processes by name: each with a log, watched, and taken down whatever happens."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

STOP_S = 3.0


class BrokenGraph(Exception):
    """A process died or did not do its part; the sentence says which one, and where the logs are."""


@dataclasses.dataclass
class _Program:
    command: list[str]
    lasting: bool
    process: subprocess.Popen[bytes] | None = None


class Processes:
    """Python modules run as programs; in a `with`, at whose end they are stopped.

    Args:
        environment: of the processes; this package is put on their path.

    Attributes:
        logs: folder with a NAME.log of each process; kept where the `with` ends in BrokenGraph, otherwise removed.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        root = str(pathlib.Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [environment.get('PYTHONPATH')])]
        # One BLAS thread each: the models are small, and there are more processes than a small machine has cores.
        self._environment = {**environment, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(paths)}
        self._programs: dict[str, _Program] = {}
        self.logs = pathlib.Path(tempfile.mkdtemp(prefix='embodied_r_graph_'))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop()
        if kind is None or not issubclass(kind, BrokenGraph):
            shutil.rmtree(self.logs, ignore_errors=True)

    def start(self, name: str, module: str, arguments: Sequence[str] = (), *, lasting: bool = True) -> None:
        """Start a module as a program.

        Args:
            lasting: False where it may end by itself, with status 0.
        """
        self._programs[name] = _Program([sys.executable, '-m', module, *arguments], lasting)
        self.restart(name)

    def restart(self, name: str) -> None:
        """Start a program again, with the same arguments; its log goes on. It is killed first where it still runs."""
        self.kill(name)
        program = self._programs[name]
        with open(self.logs / f'{name}.log', 'ab') as log:
            program.process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C in a terminal is for this process alone, which takes the others down.
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a process at once, by SIGKILL; `check` does not miss it."""
        process, self._programs[name].process = self._programs[name].process, None
        if process is not None:
            process.kill()
            process.wait()

    def status(self, name: str) -> int | None:
        """The exit status of a process; None while it runs, and once it was killed."""
        process = self._programs[name].process
        return None if process is None else process.poll()

    def check(self) -> None:
        """Check that every program runs, or has ended as it may.

        Raises:
            BrokenGraph: one ended.
        """
        for name, program in self._programs.items():
            status = self.status(name)
            if status is not None and (program.lasting or status != 0):
                self.fail(f'{name} ended with status {status}: {self.last_line(name)}')

    def fail(self, sentence: str) -> NoReturn:
        """Give up.

        Raises:
            BrokenGraph: with the sentence and where the logs are.
        """
        raise BrokenGraph(f'{sentence}; the logs are in {self.logs}')

    def cpu_s(self, name: str) -> float:
        """CPU seconds that a running process has used."""
        fields = self._proc(name, 'stat').rpartition(') ')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_mb(self, name: str) -> float:
        """Resident memory of a running process."""
        return self._proc_number(name, 'VmRSS') / 1e3

    def threads(self, name: str) -> int:
        """Threads of a running process."""
        return self._proc_number(name, 'Threads')

    def descriptors(self, name: str) -> int:
        """Open file descriptors of a running process."""
        return sum(1 for _ in self._proc_path(name, 'fd').iterdir())

    def _proc_number(self, name: str, field: str) -> int:
        lines = self._proc(name, 'status').splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1])

    def _proc(self, name: str, file: str) -> str:
        return self._proc_path(name, file).read_text(encoding='utf-8')

    def _proc_path(self, name: str, file: str) -> pathlib.Path:
        process = self._programs[name].process
        if process is None or process.poll() is not None:
            self.fail(f'{name} is not running, its {file} cannot be read')
        return pathlib.Path(f'/proc/{process.pid}/{file}')

    def last_line(self, name: str) -> str:
        """The last words of a process in its log."""
        lines = (self.logs / f'{name}.log').read_text(errors='replace').split('\n')
        return next((line.strip() for line in reversed(lines) if line.strip()), 'it wrote nothing')

    def _stop(self) -> None:
        running = [program.process for program in self._programs.values() if program.process is not None]
        for process in running:
            process.send_signal(signal.SIGINT)
        end_s = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.01, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
