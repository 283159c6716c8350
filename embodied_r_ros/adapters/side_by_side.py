"""Work that is done side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Found = TypeVar('Found')


async def all_or_none(works: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """What all come to, in their order; where one raises, the others end before its error is passed on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
