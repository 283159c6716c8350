"""A progress bar with the time that is left, on standard error; none where that is no terminal, or tqdm is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar('Item')


@contextlib.contextmanager
def progress(unit: str, total: int | None) -> Iterator[Callable[[], object]]:
    """What to call when another one of `total` (None where that is not known) is done, in a `with`."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda: None
        return
    with tqdm(total=total, unit=f' {unit}', disable=None, leave=False) as bar:
        yield bar.update


def counted(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar that counts those that are done; `total` where it is not their own length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(unit, total) as step:
        for item in items:
            yield item
            step()
