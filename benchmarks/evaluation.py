"""How many questions a second `evaluate` gets answered: 500 about 20 bags, one model server that takes up 8 at once.

Perception and reasoner are both on the server, 0.5 s a call. The bags are the sample bags, each several times with
other bytes, and nothing is known of them before. The baseline asks one at a time, a tenth of the questions, about a
tenth of the bags.

    python -m benchmarks.evaluation [--bags N]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pathlib
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from benchmarks._figure import rates, tell
from benchmarks._server import MODEL, Server
from embodied_r_ros.__main__ import main as command
from embodied_r_ros.share import share_path

LATENCY_S, SLOTS = 0.5, 8
QUESTIONS_PER_BAG = 25
ASKED_FROM_S, ASKED_TO_S = 8.0, 16.0
IMAGE = 'sensor_msgs/msg/CompressedImage'


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.evaluation', description='Questions about many bags.')
    parser.add_argument('--bags', type=int, default=20, help='with 25 questions about each (default 20)')
    count = parser.parse_args(arguments).bags
    with tempfile.TemporaryDirectory() as place, Server(LATENCY_S, SLOTS) as server:
        folder = pathlib.Path(place)
        bags = [_write_bag(folder / f'bag{number}', number) for number in range(count)]
        ours_s = _evaluate(folder / 'ours', bags, server, SLOTS)
        calls = len(server.spent_s())
        few = bags[: max(1, count // 10)]
        baseline_s = _evaluate(folder / 'baseline', few, server, 1)
    figure = rates(
        [count * QUESTIONS_PER_BAG / ours_s],
        [len(few) * QUESTIONS_PER_BAG / baseline_s],
        f'questions per second, {count * QUESTIONS_PER_BAG} about {count} bags',
        server_busy=calls * LATENCY_S / SLOTS / ours_s,
    )
    return tell(evaluation=figure)


def _evaluate(folder: pathlib.Path, bags: Sequence[pathlib.Path], server: Server, at_once: int) -> float:
    """Seconds that the command takes for the questions about these bags."""
    folder.mkdir()
    (folder / 'questions.jsonl').write_text(''.join(f'{line}\n' for bag in bags for line in _questions(bag)))
    model = {'backend': 'openai', 'url': server.url, 'model': MODEL, 'max_concurrent_requests': at_once}
    # JSON is YAML.
    (folder / 'pair.yaml').write_text(
        json.dumps({'perception': model, 'reasoner': {**model, 'prompt_format': 'paper'}})
    )
    words = ['evaluate', str(folder / 'questions.jsonl'), '--models', str(folder / 'pair.yaml'), '--json']
    printed = io.StringIO()
    begun_s = time.monotonic()
    with contextlib.redirect_stdout(printed):
        status = command([*words, '--cache', str(folder / 'cache')])
    spent_s = time.monotonic() - begun_s
    codes = json.loads(printed.getvalue())['codes'] if status == 0 else {}
    if codes != {'OK': len(bags) * QUESTIONS_PER_BAG}:
        raise RuntimeError(f'all questions were to be answered, got status {status} and codes {codes!r}')
    return spent_s


def _questions(bag: pathlib.Path) -> list[str]:
    """Samples about a bag, their seconds spread over its second half."""
    every_s = (ASKED_TO_S - ASKED_FROM_S) / QUESTIONS_PER_BAG
    return [
        json.dumps(
            {
                'id': f'{bag.name}-{number}',
                'source': 'benchmark',
                'scene': bag.name,
                'category': 'landmark position',
                'question': f'Where is thing {number}?',
                'choices': ['left', 'right'],
                'answer': 'A',
                'media': {'path': str(bag), 'end_s': ASKED_FROM_S + number * every_s},
            }
        )
        for number in range(QUESTIONS_PER_BAG)
    ]


def _write_bag(folder: pathlib.Path, number: int) -> pathlib.Path:
    """A sample bag whose images have bytes of their own, so that no description of another one stands for it."""
    types = get_typestore(Stores.ROS2_JAZZY)
    sample = share_path(f'data/bags/seed{number % 3 + 1}')
    with AnyReader([sample]) as reader, Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            one.topic: writer.add_connection(one.topic, one.msgtype, typestore=types) for one in reader.connections
        }
        for connection, stamp_ns, data in reader.messages():
            if connection.msgtype == IMAGE:
                message = types.deserialize_cdr(data, IMAGE)
                # What follows the end of a JPEG is not decoded.
                message.data = np.append(message.data, np.uint8(number))
                data = types.serialize_cdr(message, IMAGE)
            writer.write(topics[connection.topic], stamp_ns, data)
    return folder


if __name__ == '__main__':
    raise SystemExit(main())
