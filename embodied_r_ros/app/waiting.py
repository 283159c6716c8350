"""Waiting for tasks no longer than is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any


async def wait_or_cancel(tasks: Sequence[asyncio.Future[Any]], timeout_s: float) -> None:
    """Wait for tasks so long; those not done by then, or when this is cancelled, are cancelled and not waited for."""
    try:
        await asyncio.wait(tasks, timeout=timeout_s)
    finally:
        for task in tasks:
            let_go(task)


def let_go(task: asyncio.Future[Any]) -> None:
    """Cancel a task that nobody waits for any more, and take note of what it raises in the end."""
    task.add_done_callback(_take_note)
    task.cancel()


def _take_note(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
