"""Broken recordings: each is refused in words, or read with what is broken left out; none hangs or ends the process."""

from __future__ import annotations

import collections
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]

PROGRAM = Path(__file__).resolve().parents[1] / 'mutations.py'
COUNT = int(os.environ.get('EMBODIED_R_TEST_MUTATIONS', '60'))
HANG_S = 10.0
START_S = 60.0


def forward(source: IO[str], lines: queue.Queue[str]) -> None:
    """Put each line in the queue as it comes, and an empty one at the end."""
    for line in source:
        lines.put(line)
    lines.put('')


def run(folder: Path, first: int, last: int) -> dict[int, str]:
    """How each recording ended; a process that dies or hangs is started again behind the one that did it."""
    outcomes: dict[int, str] = {}
    while first < last:
        paths = os.pathsep.join((str(PROGRAM.parent), str(PROGRAM.parents[1])))
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), str(first), str(last)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, 'PYTHONPATH': paths},
        )  # fmt: skip
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=forward, args=(process.stdout, lines), daemon=True).start()
        begun = first
        while first < last:
            try:
                line = lines.get(timeout=START_S if first == begun else HANG_S)
            except queue.Empty:
                line = ''
                outcomes[first] = 'fault: it hangs'
                process.kill()
            if not line:
                outcomes.setdefault(first, f'fault: the process ended with {process.wait()}')
                first += 1
                break
            number, _, how = line.strip().partition(' ')
            outcomes[int(number)] = how
            first += 1
        process.wait()
    return outcomes


def test_a_mutated_recording_is_refused_in_words_or_read_as_far_as_it_is_sound(tmp_path: Path) -> None:
    outcomes = run(tmp_path, 0, COUNT)
    print(f'{COUNT} mutated recordings:', dict(collections.Counter(how.partition(':')[0] for how in outcomes.values())))
    assert {number: how for number, how in outcomes.items() if how.startswith('fault')} == {}
    assert sorted(outcomes) == list(range(COUNT))
