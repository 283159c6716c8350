"""What camera_node costs with 1280x720 JPEG images at 30 Hz: CPU, images lost, delay of key frames, memory.

python -m benchmarks.ingest_jpeg [--seconds S]
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks._figure import tell
from benchmarks._ingest import measure


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    return tell(ingest_jpeg=measure('ingest_jpeg', 'compressed', arguments))


if __name__ == '__main__':
    raise SystemExit(main())
