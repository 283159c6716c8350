"""The faulty server's faults as they come over the wire, and a soak of two minutes."""

import json
import subprocess
import sys
import time

import httpx
import pytest

pytestmark = pytest.mark.system
pytest.importorskip('rclpy')

from demo_process import ROOT  # noqa: E402

from benchmarks.soak.server import FaultyServer  # noqa: E402
from benchmarks.soak.server_faults import FAULTS  # noqa: E402

CHAT = {'messages': [{'role': 'user', 'content': 'Where?'}]}


@pytest.fixture(scope='module')
def server():
    with FaultyServer() as server:
        yield server


def served(server, **more):
    """Status and text of a chat with the model that the server lists; None where it fails, hangs or does not end."""
    try:
        model = httpx.get(f'{server.url}/models', timeout=1.0).json()['data'][0]['id']
        chat, begun_s = {'model': model, **CHAT, **more}, time.monotonic()
        with httpx.stream('POST', f'{server.url}/chat/completions', json=chat, timeout=1.0) as reply:
            body = b''
            for chunk in reply.iter_bytes():
                body += chunk
                if time.monotonic() > begun_s + 1.0:
                    return None
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    text = body.decode(errors='replace')
    pieces = [json.loads(line[6:]) for line in text.split('\n') if line.startswith('data: {"choices": [{"index"')]
    return reply.status_code, ''.join(piece['choices'][0]['delta'].get('content', '') for piece in pieces) or text


@pytest.mark.parametrize('fault', [name for name in FAULTS if name != 'big'])
@pytest.mark.parametrize('streams', [False, True], ids=['whole', 'streamed'])
def test_a_fault_changes_what_is_served_and_mending_ends_it(server, fault, streams):
    healthy = served(server, stream=streams)
    assert healthy is not None and healthy[0] == 200 and 'answer' in healthy[1]
    server.have(fault)
    faulty = served(server, stream=streams)
    server.mend()
    assert faulty is None or faulty[0] != 200 or '<answer>A' not in faulty[1]
    assert served(server, stream=streams) is not None


def test_an_unknown_fault_is_refused(server):
    with pytest.raises(ValueError, match="a fault must be one of refused, .*, got 'flood'"):
        server.have('flood')


@pytest.mark.slow
def test_the_graph_keeps_answering_for_two_minutes_of_faults():
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.soak', '--minutes', '2', '--seed', '1'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {*figures} >= set('asked answered coded unanswered worst_late_s recoveries growth_mb'.split())
    assert figures['unanswered'] == 0
