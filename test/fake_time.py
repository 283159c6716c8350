"""An asyncio loop with a simulated clock: it jumps to the next timer as soon as nothing else is left to do.

A wait of an hour costs no time and takes exactly an hour by the loop's clock, however busy the machine is. All that
waits must wait in the loop: a thread or a socket is not waited for.
"""

import asyncio
import selectors


class FakeClock:
    """A steady clock in seconds that moves only when it is told to; called, it tells the time."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class _Jump(selectors.DefaultSelector):
    """Moves the clock where others wait."""

    def __init__(self, clock):
        super().__init__()
        self._fake_clock = clock

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError('every task waits, and no timer is set that would wake one')
        self._fake_clock.now_s += timeout
        return super().select(0.0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock):
        self.time = clock
        super().__init__(_Jump(clock))


def run(coroutine, clock=None):
    """Run a coroutine as asyncio.run does, in simulated time.

    Args:
        clock: the FakeClock that the loop keeps; one of its own where none is given.
    """
    loop = _Loop(clock or FakeClock())
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(_end_what_is_left())
        loop.close()


async def _end_what_is_left():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
