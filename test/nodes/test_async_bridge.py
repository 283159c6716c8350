"""AsyncBridge over a real executor: what it costs, and that a cancel and a stop hold."""

import asyncio
import threading
import time

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from embodied_r_ros.core.errors import BackendTimeout, EmbodiedRError, ReplyError
from embodied_r_ros.nodes.async_bridge import AsyncBridge, Cancelled

pytestmark = pytest.mark.ros


class Spun:
    """A node that spins in a thread, its bridge, and the bugs that the bridge reported."""

    def __init__(self):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=31)
        self.node = Node('bridge_test', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.bugs = []
        self.bridge = AsyncBridge(self.node, self.bugs.append, self.bugs.append)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def awaited(self, work, timeout_s=10.0):
        """What an `async def` callback that awaits the work gets: (result or error, seconds)."""
        done = threading.Event()
        box = []

        async def callback():
            begin = time.monotonic()
            try:
                value = await self.bridge.submit(work)
            except EmbodiedRError as error:
                value = error
            box.extend((value, time.monotonic() - begin))
            done.set()

        self.executor.create_task(callback)
        assert done.wait(timeout_s), 'the awaiting callback was never resumed'
        return tuple(box)

    def close(self):
        self.bridge.stop()
        self.executor.shutdown()
        self.context.try_shutdown()
        self.thread.join(2.0)


@pytest.fixture
def spun():
    spun = Spun()
    yield spun
    spun.close()


async def value_after(seconds, value):
    await asyncio.sleep(seconds)
    return value


class Endless:
    """Work without an end of its own, with the events that it has begun and that it was cancelled."""

    def __init__(self):
        self.begun, self.cancelled = threading.Event(), threading.Event()

    async def work(self):
        self.begun.set()
        try:
            await asyncio.sleep(3600.0)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def stubborn(seconds, begun=None):
    """Resists its cancellation for a while."""
    if begun is not None:
        begun.set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


def test_a_result_resumes_the_awaiting_callback_within_milliseconds(spun):
    overheads = []
    for i in range(50):
        value, seconds = spun.awaited(value_after(0.0, i))
        assert value == i
        overheads.append(seconds)
    assert min(overheads) < 0.02  # the others tell how busy the machine is


def test_an_error_reaches_the_awaiting_callback(spun):
    async def fails():
        raise ReplyError('no answer in the reply', raw='hm')

    error, _ = spun.awaited(fails())
    assert isinstance(error, ReplyError) and error.raw == 'hm'


def test_a_cancel_reaches_the_coroutine_and_its_caller(spun):
    endless = Endless()
    future = spun.bridge.submit(endless.work())
    assert endless.begun.wait(5.0)
    spun.bridge.cancel(future)
    assert endless.cancelled.wait(5.0)
    wait_until(future.done)
    assert isinstance(future.exception(), Cancelled)


def test_posts_run_in_order_and_a_bug_in_one_is_reported(spun):
    seen = []
    spun.bridge.post(seen.append, 1)
    spun.bridge.post(seen.index, 'not there')
    spun.bridge.post(seen.append, 2)
    wait_until(lambda: len(seen) == 2)
    assert seen == [1, 2]
    assert [type(bug) for bug in spun.bugs] == [ValueError]


def test_a_bug_in_a_background_coroutine_is_reported(spun):
    async def bug():
        raise KeyError('lost')

    spun.bridge.spawn(bug())
    wait_until(lambda: spun.bugs)
    assert isinstance(spun.bugs[0], KeyError)


def test_a_service_can_be_called_from_the_loop(spun):
    def serve(_, response):
        response.message = 'served'
        return response

    spun.node.create_service(Trigger, 'give', serve, callback_group=ReentrantCallbackGroup())
    client = spun.node.create_client(Trigger, 'give', callback_group=ReentrantCallbackGroup())
    assert client.wait_for_service(5.0)

    async def call():
        return await spun.bridge.ros(client.call_async(Trigger.Request()), 3.0)

    response, _ = spun.awaited(call())
    assert response.message == 'served'


def test_a_service_that_never_answers_is_a_timeout(spun):
    client = spun.node.create_client(Trigger, 'nobody')

    async def call():
        return await spun.bridge.ros(client.call_async(Trigger.Request()), 0.2)

    error, _ = spun.awaited(call())
    assert isinstance(error, BackendTimeout) and 'no response within 0.2 s' in str(error)


def test_stop_in_flight_cancels_closes_and_ends(spun):
    closed = []

    async def close():
        closed.append(threading.current_thread().name)

    spun.bridge.on_stop(close)
    submitted, spawned = Endless(), Endless()
    future = spun.bridge.submit(submitted.work())
    spun.bridge.spawn(spawned.work())
    assert submitted.begun.wait(5.0) and spawned.begun.wait(5.0)
    assert spun.bridge.stop(timeout_s=10.0)
    assert submitted.cancelled.is_set() and spawned.cancelled.is_set()
    assert isinstance(future.exception(), Cancelled)
    assert closed == ['models']


def test_stop_does_not_wait_for_what_resists(spun):
    begun = threading.Event()
    future = spun.bridge.submit(stubborn(30.0, begun))
    assert begun.wait(5.0)
    begin = time.monotonic()
    spun.bridge.stop(timeout_s=0.5)
    assert time.monotonic() - begin < 10.0
    assert isinstance(future.exception(), Cancelled)


def test_after_stop_new_work_is_refused(spun):
    spun.bridge.stop()
    error, _ = spun.awaited(value_after(0.0, None))
    assert isinstance(error, Cancelled) and 'shutting down' in str(error)


def wait_until(condition, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.01)
