"""Requests that are cancelled at any moment use nothing up."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.core.models import ServerSettings

pytestmark = pytest.mark.system

HELLO = [{'role': 'user', 'content': 'hello'}]
LOOP_STEPS = 60  # a chat with the fake server takes fewer
AT_ONCE = 50


def descriptors():
    return len(os.listdir('/proc/self/fd'))


async def cancel_after_steps(client, steps):
    task = asyncio.ensure_future(client.chat(HELLO))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cancel_at_random(client, chance):
    tasks = [asyncio.ensure_future(client.chat(HELLO)) for _ in range(AT_ONCE)]
    for task in tasks:
        asyncio.get_running_loop().call_later(chance.uniform(0.0, 0.012), task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)


def try_cancelling(count, **settings):
    """Cancel so many requests; returns how many of 200 ordinary ones are answered, and descriptors by the way."""
    chance, seen = random.Random(15), []

    async def main(server):
        client = OpenAIClient(ServerSettings(url=server.url, model='fake-model', timeout_s=30.0, **settings), LM_KEY)
        await client.chat(HELLO)
        for number in range(count // (LOOP_STEPS + AT_ONCE)):
            for steps in range(LOOP_STEPS):
                await cancel_after_steps(client, steps)
            await cancel_at_random(client, chance)
            if number % 5 == 0:
                seen.append(descriptors())
        replies = [await asyncio.gather(*(client.chat(HELLO) for _ in range(10))) for _ in range(20)]
        await client.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return sum(reply.text == 'hello there' for some in replies for reply in some)

    with FakeOpenAI('hello there') as server:
        before = descriptors()
        answered = asyncio.run(main(server))
        assert server.wait_until(lambda: descriptors() <= before)
    return answered, seen


def test_requests_cancelled_at_any_step_use_nothing_up():
    answered, seen = try_cancelling(550, max_concurrent_requests=4)
    assert answered == 200
    assert max(seen) <= min(seen) + 4 * 2 * 2


@pytest.mark.slow
def test_ten_thousand_cancelled_requests_use_nothing_up():
    answered, seen = try_cancelling(10_000)
    assert answered == 200
    assert max(seen) <= min(seen) + 8 * 2 * 2


def test_a_cancelled_handshake_leaves_no_connection_open():
    async def main():
        hung_up = []

        async def hold(reader, writer):
            await reader.read(-1)
            writer.close()
            hung_up.append(writer)

        server = await asyncio.start_server(hold, '127.0.0.1', 0)
        url = f'https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1'
        client = OpenAIClient(ServerSettings(url=url, model='m', timeout_s=30.0), LM_KEY)
        tasks = [asyncio.ensure_future(client.chat(HELLO)) for _ in range(8)]
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(500):
            if len(hung_up) == 8:
                break
            await asyncio.sleep(0.01)
        await client.aclose()
        server.close()
        return len(hung_up)

    assert asyncio.run(main()) == 8


def test_connections_are_used_again():
    async def main(server):
        client = OpenAIClient(ServerSettings(url=server.url, model='fake-model'), LM_KEY)
        for _ in range(10):
            await client.chat(HELLO)
        await client.aclose()

    with FakeOpenAI('hello there') as server:
        asyncio.run(main(server))
        assert server.connections == 1
