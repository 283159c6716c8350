"""The graph for minutes under questions and faults at random: every question ends, nothing grows, all comes back.

    python -m benchmarks.soak [--minutes N] [--seed N] [--faults NAME,NAME]

The last line is a JSON object: asked, answered (OK), coded, unanswered, worst_late_s, recoveries (fault -> most seconds
until all was back, null for never), growth_mb (of the node that grew most) and excluded (service and action calls to a
killed node). The exit status is 1 where a mark was missed, with a sentence about it on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence

from benchmarks._figure import machine
from benchmarks.soak.trial import FAULTS, Trial

LATE_S, LATE_IN_CI_S = 0.3, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    options = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f'seed {seed}; {machine()}', flush=True)
    trial = Trial(60.0 * options.minutes, seed, options.faults)
    trial.run()
    missed = trial.noted.misses(LATE_IN_CI_S if os.environ.get('CI') else LATE_S)
    print('\n'.join(trial.noted.table()))
    print(json.dumps(trial.noted.figures()), flush=True)
    for sentence in missed:
        sys.stderr.write(f'{sentence}\n')
    return int(bool(missed))


def _faults(text: str) -> list[str]:
    names = text.split(',')
    if set(names) - set(FAULTS):
        raise argparse.ArgumentTypeError(f'faults must be of {", ".join(FAULTS)}, got {text!r}')
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.soak', description='The graph under faults at random.')
    parser.add_argument('--minutes', type=float, default=2.0, help='how long (default: %(default)s)')
    parser.add_argument('--seed', type=int, help='of a soak that is to be repeated; without it a new one')
    parser.add_argument('--faults', type=_faults, default=list(FAULTS), help='only these, separated by commas')
    return parser


if __name__ == '__main__':
    sys.exit(main())
