"""A progress bar on standard error; none where that is no terminal, or tqdm is not installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')


def progress(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar that counts them; `total` where it is not their own length."""
    try:
        from tqdm import tqdm
    except ImportError:
        return iter(items)
    return iter(tqdm(items, total=total, unit=f' {unit}', disable=None, leave=False))
