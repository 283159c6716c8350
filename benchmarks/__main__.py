"""Run the benchmarks, all or those named, and gather their figures in out/bench.json.

    python -m benchmarks [NAME]...

A benchmark is a module of this folder. Its last line is a JSON object that maps each figure to its `ours`, `baseline`,
`ratio`, `unit` and `spread`; one that cannot run here says why on its last line and exits with 77.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

FOLDER = pathlib.Path(__file__).resolve().parent
OUT = FOLDER.parent / 'out/bench.json'
KEYS = {'ours', 'baseline', 'ratio', 'unit', 'spread'}
SKIPPED = 77


def main(arguments: Sequence[str] | None = None, folder: pathlib.Path = FOLDER, out: pathlib.Path = OUT) -> int:
    """Exit status: 0, or 1 when a benchmark failed or there was none to run."""
    known = sorted(path.stem for path in folder.glob('*.py') if not path.stem.startswith('_'))
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description='Run benchmarks into out/bench.json.')
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'all unless told: {", ".join(known) or "none yet"}')
    names = parser.parse_args(arguments).names or known
    if not names or set(names) - set(known):
        sys.stderr.write(
            f'wanted benchmarks of {str(folder)!r}, got {names!r}; there are: {", ".join(known) or "none"}\n'
        )
        return 1
    figures = json.loads(out.read_text(encoding='utf-8')) if out.exists() and names != known else {}
    failed = False
    for name in names:
        begun = time.monotonic()
        print(f'{name} ... ', end='', flush=True)
        done = subprocess.run(
            [sys.executable, '-m', f'{folder.name}.{name}'], cwd=folder.parent, stdout=subprocess.PIPE, text=True
        )
        last = (done.stdout.strip().splitlines() or [''])[-1]
        found = read_figures(last) if done.returncode == 0 else None
        if found is not None:
            figures.update(found)
            print(f'{time.monotonic() - begun:.0f} s')
        elif done.returncode == SKIPPED:
            print(f'left out: {last}')
        else:
            failed = True
            print(f'failed with status {done.returncode}: {last!r}')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2, sort_keys=True) + '\n', encoding='utf-8')
    print(out)
    return int(failed)


def read_figures(line: str) -> dict[str, Any] | None:
    """The figures on a benchmark's last line; None where it is no such line."""
    try:
        figures = json.loads(line)
    except ValueError:
        return None
    if not isinstance(figures, dict) or not figures:
        return None
    return figures if all(isinstance(figure, dict) and set(figure) >= KEYS for figure in figures.values()) else None


if __name__ == '__main__':
    sys.exit(main())
