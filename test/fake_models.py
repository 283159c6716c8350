"""Hand-written models for node tests: they do what they are told, and note what they were asked."""

import asyncio

from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.core.errors import BackendUnavailable
from embodied_r_ros.core.records import Completion, EncodedImage, KeyFrame, Motion, Pose
from embodied_r_ros.evaluation.phrase_reader import from_words

NS = 1_000_000_000
SESSION = 1_000 * NS
JPEG = b'\xff\xd8\xff' + bytes(97)


def key_frame(index, session=SESSION, nbytes=100, **changes):
    image = EncodedImage(data=JPEG[:3] + bytes(nbytes - 3))
    stamp_ns = session + index * NS
    values = {'reason': 'overlap' if index else 'first', 'frame_id': 'camera', **changes}
    return KeyFrame(session=session, index=index, stamp_ns=stamp_ns, image=image, **values)


def observation(index, session=SESSION, **changes):
    values = {
        'action': 'moved forward 1.00 m' if index else '',
        'text': f'thing {index} straight ahead at 2.0 m',
        **changes,
    }
    return from_words(session, index, session + index * NS, **values)


def pose_at(x_m):
    return Pose(x_m=x_m, y_m=0.0, z_m=0.0, qx=0.0, qy=0.0, qz=0.0, qw=1.0)


class FakePerceiver:
    """Describes each key frame by its index.

    Attributes:
        down: probe, ping and describe raise BackendUnavailable with this sentence while it is set.
        failures: errors to raise first, per index.
        held: while set, describe waits for it to be cleared.
        calls: (index of the previous key frame or None, index) in the order asked; max_at_once: side by side.
    """

    name = 'fake-vlm'
    source = 'openai'

    def __init__(self):
        self.down = ''
        self.failures = {}
        self.latency_s = 0.0
        self.focus_latency_s = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = []
        self.cancelled = []
        self.at_once = self.max_at_once = self.probes = 0
        self.closed = False

    async def probe(self):
        self.probes += 1
        await self.ping()

    async def ping(self):
        if self.down:
            raise BackendUnavailable(self.down)

    async def describe(self, previous, current):
        self.calls.append((None if previous is None else previous.index, current.index))
        self.at_once += 1
        self.max_at_once = max(self.max_at_once, self.at_once)
        try:
            await self.gate.wait()
            await asyncio.sleep(self.latency_s)
            if self.down:
                raise BackendUnavailable(self.down)
            if self.failures.get(current.index):
                raise self.failures[current.index].pop(0)
            return Description(motion=Motion(name='moved'), text=f'saw {current.index}')
        except asyncio.CancelledError:
            self.cancelled.append(current.index)
            raise
        finally:
            self.at_once -= 1

    async def focus(self, previous, current, question_text):
        await asyncio.sleep(self.focus_latency_s)
        if self.failures.get(current.index):
            raise self.failures[current.index].pop(0)
        return Description(text=f'with {question_text!r} in mind: {current.index}')

    async def aclose(self):
        self.closed = True


class FakeReasoner:
    """Thinks as told, in pieces.

    Attributes:
        reply: text, a function that makes it, or an error to raise.
        latency_s: before the reply.
        down: probe, ping and generate raise BackendUnavailable with this sentence while it is set.
        cancelled_s: when requests were cancelled, by the loop's clock.
    """

    name = 'fake-lm'

    def __init__(self, reply='<think>Frame 1 shows it.</think><answer>A</answer>', latency_s=0.0):
        self.reply = reply
        self.latency_s = latency_s
        self.down = ''
        self.hang_probe = False
        self.requests = []
        self.cancelled_s = []
        self.probes = 0

    async def probe(self):
        self.probes += 1
        if self.hang_probe:
            await asyncio.sleep(3600.0)
        await self.ping()

    async def ping(self):
        if self.down:
            raise BackendUnavailable(self.down)

    async def generate(self, request, on_text=None):
        self.requests.append(request)
        if self.down:
            raise BackendUnavailable(self.down)
        reply = self.reply() if callable(self.reply) else self.reply
        half = len(reply) // 2 if isinstance(reply, str) else 0
        if on_text is not None and half:
            on_text(reply[:half])
        try:
            await asyncio.sleep(self.latency_s)
        except asyncio.CancelledError:
            self.cancelled_s.append(asyncio.get_running_loop().time())
            raise
        if isinstance(reply, Exception):
            raise reply
        if on_text is not None:
            on_text(reply[half:])
        return Completion(text=reply, latency_s=self.latency_s)

    async def aclose(self):
        pass
