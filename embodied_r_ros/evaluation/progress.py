"""A progress bar with the time that is left, on standard error; none where that is no terminal, or tqdm is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(unit: str, total: int) -> Iterator[Callable[[], object]]:
    """What to call when another one of `total` is done, in a `with`."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda: None
        return
    with tqdm(total=total, unit=f' {unit}', disable=None, leave=False) as bar:
        yield bar.update
