"""How it stands with a model: loading, ready or down; and waiting for models no longer than is allowed."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from embodied_r_ros.core.errors import BackendError

# Takes a level ('info', 'warning', 'error') and a sentence for people.
Log = Callable[[str, str], None]

_PATIENCE_S = 10.0


class Backend(str, enum.Enum):
    """How it stands with the model."""

    LOADING = 'loading'
    READY = 'ready'
    DOWN = 'down'


async def probe(work: Callable[[], Awaitable[None]], timeout_s: float, log: Log) -> str | None:
    """Wait until a model can be used, with a log line when that takes long; None when it can, otherwise why not."""
    task = asyncio.ensure_future(work())
    try:
        await asyncio.wait([task], timeout=min(_PATIENCE_S, timeout_s))
        if not task.done() and timeout_s > _PATIENCE_S:
            log('warning', f'the model has not answered for {_PATIENCE_S:.0f} s; it is waited for')
            await asyncio.wait([task], timeout=timeout_s - _PATIENCE_S)
        if not task.done():
            return f'the model does not answer within {timeout_s:.0f} s; see whether its server hangs'
        task.result()
    except BackendError as error:
        return str(error)
    finally:
        task.cancel()
    return None


async def wait_or_cancel(tasks: Sequence[asyncio.Future[Any]], timeout_s: float) -> None:
    """Wait for tasks so long; those not done by then, or when this is cancelled, are cancelled and not waited for."""
    try:
        await asyncio.wait(tasks, timeout=timeout_s)
    finally:
        for task in tasks:
            if not task.done():
                task.add_done_callback(_let_go)
                task.cancel()


def _let_go(task: asyncio.Future[Any]) -> None:
    """Take note of what a task that was given up raised in the end; nobody waits for it."""
    if not task.cancelled():
        task.exception()
