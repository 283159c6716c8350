"""Make samples to train on and to evaluate with.

python -m training.prepare world --questions 2000 --seed 7 --out out/world.jsonl
python -m training.prepare urbanvideo --questions MCQ.parquet --out out/urbanvideo.jsonl
python -m training.prepare unbias --samples out/urbanvideo.jsonl --out out/unbiased.jsonl
"""

from __future__ import annotations

import argparse
import sys

from embodied_r_ros.core.errors import EmbodiedRError
from training import unbias
from training.sources import bag, captions, egoschema, mvbench, ovosbench, urbanvideo, vsibench, world

COMMANDS = (world, bag, urbanvideo, vsibench, egoschema, mvbench, ovosbench, captions, unbias)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.prepare', description=(__doc__ or '').split('\n')[0])
    sources = parser.add_subparsers(dest='source', required=True)
    for command in COMMANDS:
        command.add_parser(sources)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except EmbodiedRError as error:
        print(f'training.prepare: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
