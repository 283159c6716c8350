"""A robot with 16 key frames described, whom the latency figures ask."""

from __future__ import annotations

import array
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from sensor_msgs.msg import CompressedImage

from benchmarks._pictures import jpeg, pan
from embodied_r_ros.core.records import Answer, ErrorCode, Question
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import header
from embodied_r_ros.ros_client.graph import Graph

KEY_FRAMES = 16
QUESTION = Question(text='Where is the grey wall?', choices=('ahead', 'behind'))
DESCRIBE_S = 180.0
_PERIOD_S = 0.3


class Robot:
    """Camera, perception and reasoning nodes before two model servers, and a client that asks.

    Args:
        vlm_url, lm_url: of the model servers.
        vlm, lm: model names on them; '' where each serves one.
        max_tokens: of a thought.
        models: pair file of the models, for all but where they are; '' for the nodes' own.
    """

    def __init__(
        self, vlm_url: str, lm_url: str, vlm: str = '', lm: str = '', max_tokens: int = 2048, models: str = ''
    ) -> None:
        both = {'backend': 'openai', **({'models': models} if models else {})}
        perception = {**both, 'url': vlm_url, **({'model': vlm} if vlm else {})}
        reasoner = {**both, 'url': lm_url, **({'model': lm} if lm else {}), 'max_tokens': max_tokens}
        self._graph = Graph(
            {
                'camera_node': {'image_reliability': 'reliable', 'image_depth': 5},
                'perception_node': perception,
                'reasoning_node': {**reasoner, 'prompt_format': 'paper'},
            }
        )
        self.jpegs = [jpeg(picture) for picture in pan(KEY_FRAMES, 0.6 * 640, 640, 480, seed=0)]

    def __enter__(self) -> Robot:
        """Drive along the wall until all is described and the reasoner is ready."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._graph)
            self._drive()
            self._stack = stack.pop_all()
        return self

    def _drive(self) -> None:
        profile = qos.images('reliable', 5)
        self._images = self._graph.node.create_publisher(CompressedImage, 'image/compressed', profile)
        self._graph.spin_until(self._images.get_subscription_count, 'camera_node')
        for picture in self.jpegs:
            self._send(picture)
            self._graph.spin(_PERIOD_S)
        self._graph.spin_until(self._all_described, f'{KEY_FRAMES} descriptions', DESCRIBE_S)
        while self.ask().error_code is ErrorCode.MODEL_LOADING:
            self._graph.spin(0.1)

    def _all_described(self) -> bool:
        """What a model of random weights writes may be unreadable: then a key frame is given up, and that is all."""
        status = self._graph.status.get('perception_node', {})
        return int(status.get('key_frames', 0)) >= KEY_FRAMES and int(status['waiting']) == 0

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def ask(self, focus: str = 'off', fresh: bool = False) -> Answer:
        """Ask QUESTION; for `fresh` the camera shows something that is no key frame yet."""
        if fresh:
            self._send(self.jpegs[-1])
            self._graph.spin(0.05)
        return self._graph.ask(QUESTION.text, QUESTION.choices, focus=focus, fresh=fresh, deadline_s=120.0)

    def spans_s(self, repeats: int, readable: bool = True, **how: str | bool) -> Iterator[float]:
        """Seconds from a question to its answer, after one to warm up.

        Args:
            readable: False where the model may be of random weights, whose thoughts cannot be read.

        Raises:
            BrokenGraph: an answer is an error.
        """
        fine = {ErrorCode.OK} if readable else {ErrorCode.OK, ErrorCode.CANNOT_TELL, ErrorCode.BAD_REPLY}
        for number in range(repeats + 1):
            begun_s = time.monotonic()
            answer = self.ask(**how)
            if answer.error_code not in fine:
                self._graph.fail(f'an answer was wanted, got {answer.error_code.name}: {answer.error_msg}')
            if number:
                yield time.monotonic() - begun_s

    def _send(self, picture: bytes) -> None:
        message = CompressedImage(format='jpeg', header=header(time.time_ns(), 'camera'))
        message.data = array.array('B', picture)
        self._images.publish(message)
