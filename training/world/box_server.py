"""A server that draws boxes in simulated pictures, as a vision-language model would, to try the eye `boxes` with.

    python -m training.world.recording --seeds 7 --depth --out out/bags
    python -m training.world.box_server out/bags/seed7 --port 8000 --noise 0.05 0.05 0.03

It speaks OpenAI's chat API. It knows the pictures of these recordings by a digest of their bytes, and what they show
from the simulation; of any other picture it says that it shows nothing.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import random
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embodied_r_ros.adapters.bags import read_recording
from embodied_r_ros.core.box_replies import MOST_THINGS, THINGS
from embodied_r_ros.core.errors import EmbodiedRError, InputError
from embodied_r_ros.core.frames import ImageItem
from training.sources.bag_run import site_of
from training.sources.world_eyes import NOISE
from training.world.box_eyes import EyeNoise, drawn_boxes
from training.world.path import Station
from training.world.recording import station_of
from training.world.scene import Scene, Walk, make_walk
from training.world.sightlines import look

MODEL = 'boxes'


class BoxModel:
    """Tells which things the pictures that it knows show, and where, with the noise of an eye.

    Attributes:
        asked: how often it was shown a picture last, known or not.
        unknown: how often it did not know it.
    """

    def __init__(self, noise: EyeNoise, seed: int) -> None:
        self._noise, self._seed = noise, seed
        self._pictures: dict[str, tuple[Scene, Station]] = {}
        self.asked = self.unknown = 0

    def note(self, picture: bytes, scene: Scene, station: Station) -> None:
        """Know a picture: the bytes of its file, and from where in which place it was taken."""
        self._pictures[_digest(picture)] = scene, station

    def note_recording(self, bag: pathlib.Path, walk: Walk) -> None:
        """Know the pictures of a walk's recording."""
        for item in read_recording(bag):
            if isinstance(item, ImageItem) and item.frame.image is not None:
                self.note(item.frame.image.data, walk.scene, station_of(walk, item.stamp_ns))

    def reply(self, asked: Mapping[str, Any]) -> str:
        """What it says to the body of a chat request about one picture or two; the last one is described.

        A request without a schema only tries out whether it takes pictures.
        """
        if 'response_format' not in asked:
            return 'OK'
        schema = asked['response_format']['json_schema']['schema']
        parts = [part for part in asked['messages'][-1]['content'] if part['type'] == 'image_url']
        picture = base64.b64decode(parts[-1]['image_url']['url'].partition(',')[2])
        digest = _digest(picture)
        self.asked += 1
        self.unknown += digest not in self._pictures
        boxes = self._boxes(digest)
        described: dict[str, Any] = {
            'action': '',
            'new': f'In view: {", ".join(name for name, _ in boxes) or "nothing"}.',
        }
        if THINGS in schema['properties']:
            described[THINGS] = [{'name': name, 'box': list(map(round, box))} for name, box in boxes]
        return json.dumps(described)

    def _boxes(self, digest: str) -> list[tuple[str, tuple[float, float, float, float]]]:
        if digest not in self._pictures:
            return []
        scene, station = self._pictures[digest]
        rng = random.Random(f'{self._seed} {digest}')
        boxes = drawn_boxes(scene, look(scene, station), self._noise, rng)
        return sorted(boxes, key=lambda one: (one[1][0] - one[1][2]) * (one[1][3] - one[1][1]))[:MOST_THINGS]


def _digest(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


@contextlib.contextmanager
def serving(model: BoxModel, port: int = 0) -> Iterator[str]:
    """Serve the model on loopback; gives the URL of the API."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            self._send({'object': 'list', 'data': [{'id': MODEL, 'object': 'model'}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers['content-length'])))
            message = {'role': 'assistant', 'content': model.reply(asked)}
            self._send({'model': MODEL, 'choices': [{'index': 0, 'message': message, 'finish_reason': 'stop'}]})

        def _send(self, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header('content-type', 'application/json')
            self.send_header('content-length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name='box-server', daemon=True)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_address[1]}/v1'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def walk_of(bag: pathlib.Path) -> Walk:
    """The walk that was recorded.

    Raises:
        InputError: it is none through a made-up place.
    """
    site = site_of(bag)
    if not re.fullmatch(r'world-\d{1,9}', site):
        raise InputError(f"a recording of a site 'world-<seed>' is wanted, got {site!r} in {bag}; make one")
    return make_walk(int(site.removeprefix('world-')))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the URL, and serve until the process is ended; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m training.world.box_server', description=__doc__.split('\n')[0])
    told = 'Know the pictures of these recordings, as training.world.recording makes them.'
    parser.add_argument('bags', type=pathlib.Path, nargs='+', metavar='BAG', help=told)
    parser.add_argument('--port', type=int, default=0, help='Listen on this port of 127.0.0.1 (default: a free one).')
    told = 'Edges of boxes are off by this share, such shares of things missed and false (default: %(default)s).'
    parser.add_argument('--noise', type=float, nargs=3, default=NOISE, metavar=('JITTER', 'MISSED', 'FALSE'), help=told)
    parser.add_argument('--seed', type=int, default=0, help='Seed the noise with this number (default: %(default)s).')
    options = parser.parse_args(arguments)
    jitter, missed, false = options.noise
    model = BoxModel(EyeNoise(jitter=jitter, missed=missed, false=false), options.seed)
    try:
        for bag in options.bags:
            model.note_recording(bag, walk_of(bag))
    except EmbodiedRError as error:
        print(f'training.world.box_server: {error}', file=sys.stderr)
        return 2
    with serving(model, options.port) as url, contextlib.suppress(KeyboardInterrupt):
        print(url, flush=True)
        threading.Event().wait()
    return 0


if __name__ == '__main__':
    sys.exit(main())
