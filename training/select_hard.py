"""Keep the questions on which sampled answers differ: a group that is all right or all wrong teaches GRPO nothing.

python -m training.select_hard --model out/sft --samples out/world.jsonl --split train --out out/hard.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.evaluation.samples import write_samples
from training.sampling import command_line, sample_all


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = command_line('select_hard', __doc__ or '', 'Write the samples that are kept to this file.')
    try:
        keep_hard(parser.parse_args(arguments))
    except EmbodiedRError as error:
        print(f'training.select_hard: {error}', file=sys.stderr)
        return 2
    return 0


def keep_hard(options: argparse.Namespace) -> None:
    """Write the samples whose answers differ, each with its share of right ones as `pass_rate`; print the counts.

    Raises:
        InputError: none is kept.
        SettingsError, BackendError: the model cannot be used.
    """
    shares = [(sample, found.right_share if found else None) for sample, found in sample_all(options)]
    kept = [
        {**sample, 'pass_rate': round(share, 4)} for sample, share in shares if share is not None and 0.0 < share < 1.0
    ]
    if not kept:
        raise InputError(f'none of {len(shares)} questions has answers both right and wrong; take harder ones')
    write_samples(options.out, kept)
    counts = [share for _, share in shares]
    print(
        f'{len(kept)} of {len(shares)} questions kept in {options.out}: {counts.count(1.0)} always right, '
        f'{counts.count(0.0)} never, {counts.count(None)} that cannot be asked'
    )


if __name__ == '__main__':
    sys.exit(main())
