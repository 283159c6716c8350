"""Sample replies to questions and keep those whose answer is right, for supervised fine-tuning on them (training.sft).

python -m training.rejection_sampling --model out/sft --samples out/world.jsonl --out out/right.jsonl
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
    parser = command_line('rejection_sampling', __doc__ or '', 'Write samples with their right replies here.')
    try:
        keep_right(parser.parse_args(arguments))
    except EmbodiedRError as error:
        print(f'training.rejection_sampling: {error}', file=sys.stderr)
        return 2
    return 0


def keep_right(options: argparse.Namespace) -> None:
    """Write the samples that were answered right at least once, each with all its right `replies`; print the counts.

    Raises:
        InputError: no reply is right.
        SettingsError, BackendError: the model cannot be used.
    """
    asked = sample_all(options)
    kept = [{**sample, 'replies': found.right} for sample, found in asked if found and found.right]
    if not kept:
        raise InputError(f'none of {len(asked)} questions was answered right; take easier ones, or a better model')
    write_samples(options.out, kept)
    answered = [found for _, found in asked if found]
    right, tries = sum(len(found.right) for found in answered), sum(len(found.replies) for found in answered)
    print(
        f'{right} of {tries} replies are right, to {len(kept)} of {len(answered)} questions, in {options.out}; '
        f'{len(asked) - len(answered)} questions cannot be asked'
    )


if __name__ == '__main__':
    sys.exit(main())
