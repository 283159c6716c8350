"""What camera_node costs with raw 1280x720 images at 30 Hz: CPU, images lost, delay of key frames, memory.

python -m benchmarks.ingest_raw [--seconds S]
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks._figure import tell
from benchmarks._ingest import measure


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    return tell(ingest_raw=measure('ingest_raw', 'raw', arguments))


if __name__ == '__main__':
    raise SystemExit(main())
