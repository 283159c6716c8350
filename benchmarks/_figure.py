"""What benchmarks share: `--repeats`, and what they print: the machine, and the figures as one JSON line."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

from embodied_r_ros.core.statistics import percentile


def repeats_of(name: str, default: int, arguments: Sequence[str] | None) -> int:
    """How often to measure, as `--repeats` on the command line of a benchmark says."""
    parser = argparse.ArgumentParser(prog=f'python -m benchmarks.{name}')
    parser.add_argument('--repeats', type=int, default=default, help='measurements of each (default: %(default)s)')
    repeats: int = parser.parse_args(arguments).repeats
    return repeats


def tell(**figures: dict[str, Any]) -> int:
    """Print the machine and the figures; returns the exit status."""
    print(machine())
    print(json.dumps(figures))
    return 0


def times(ours: Sequence[float], baseline: Sequence[float], unit: str, **more: Any) -> dict[str, Any]:
    """The figure of two lists of durations: medians, and how many times shorter ours are."""
    return _figure(ours, baseline, _over(percentile(baseline, 50), percentile(ours, 50)), unit, more)


def rates(ours: Sequence[float], baseline: Sequence[float], unit: str, **more: Any) -> dict[str, Any]:
    """The figure of two lists of rates: medians, and how many times higher ours are."""
    return _figure(ours, baseline, _over(percentile(ours, 50), percentile(baseline, 50)), unit, more)


def machine() -> str:
    """What the figures were measured on, and how busy it was."""
    model = next((line.split(':')[1].strip() for line in _lines('/proc/cpuinfo') if line.startswith('model name')), '')
    load = ' '.join(f'{load:.1f}' for load in os.getloadavg())
    now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M')
    cores = len(os.sched_getaffinity(0))
    return f'{model or platform.machine()}, {cores} cores, load {load}, Python {platform.python_version()}, {now} UTC'


def _figure(
    ours: Sequence[float], baseline: Sequence[float], ratio: float, unit: str, more: dict[str, Any]
) -> dict[str, Any]:
    return {
        'ours': _rounded(percentile(ours, 50)),
        'baseline': _rounded(percentile(baseline, 50)),
        'ratio': round(ratio, 2),
        'unit': unit,
        'spread': [_rounded(percentile(ours, edge)) for edge in (25, 75)],
        'baseline_spread': [_rounded(percentile(baseline, edge)) for edge in (25, 75)],
        'repeats': len(ours),
        'load': round(os.getloadavg()[0], 1),
        **{name: _rounded(value) if isinstance(value, float) else value for name, value in more.items()},
    }


def _over(high: float, low: float) -> float:
    return high / low if low else float('inf')


def _rounded(value: float) -> float:
    return float(f'{value:.4g}')


def _lines(path: str) -> list[str]:
    file = pathlib.Path(path)
    return file.read_text(encoding='utf-8').splitlines() if file.exists() else []
