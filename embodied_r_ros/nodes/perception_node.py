"""perception_node: writes down what each key frame shows, as it comes, before anyone asks."""

from __future__ import annotations

import functools
import sys
from typing import Any

from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.srv import Focus
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import CompressedImage

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.eye_detections import DetectionEye
from embodied_r_ros.adapters.looking import Looking, LookingSettings
from embodied_r_ros.app.depth_waiting import DepthWaiting, DepthWaitSettings
from embodied_r_ros.app.describer import Describer, DescriberSettings, Reading
from embodied_r_ros.app.detection_waiting import DetectionWaiting, DetectionWaitSettings
from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.core.answers import MAX_QUESTION_CHARS
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.memory import MemorySettings
from embodied_r_ros.core.models import EYES, PERCEIVERS
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import ErrorCode, KeyFrame
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.async_bridge import AsyncBridge, Cancelled
from embodied_r_ros.nodes.conversions import (
    KEY_FIELDS,
    NS_PER_S,
    fields_of,
    key_frame_from_message,
    ns_from_stamp,
    observation_to_message,
    sighting_to_message,
)
from embodied_r_ros.nodes.depth_topic import KEY_FRAME_DEPTH, depth_from_message
from embodied_r_ros.nodes.detection_topics import DetectionTopics
from embodied_r_ros.nodes.diagnostics import Diagnostics, Judgement, Level
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.process import run

MAX_FOCUS_INDICES = 64


class PerceptionNode(ManagedNode):
    """Describes key frames with OpenCV or a vision-language model, and looks at them again when asked to."""

    def __init__(self, **options: Any) -> None:
        self._own = backends.own_settings(PERCEIVERS, EYES)
        classes = (DescriberSettings, DepthWaitSettings, DetectionWaitSettings, MemorySettings)
        super().__init__('perception_node', *classes, backends.PerceptionBackend, *self._own, **options)
        self._model = backends.perception_model(self.settings(backends.PerceptionBackend))
        self.diagnostics = Diagnostics(self, self._judge)
        self.create_service(
            Focus, 'focus', self._on_focus, qos_profile=qos.SERVICES, callback_group=ReentrantCallbackGroup()
        )

    def configure(self) -> None:
        """Make the perceiver, the describer around it, and the publisher."""
        perceiver, heard = backends.perceiver_in_graph(self._model, *map(self.settings, self._own))
        self._bridge = AsyncBridge(self, self.fault, self.fail)
        self._bridge.on_stop(perceiver.aclose)
        self.held(self._bridge, self._bridge.stop)
        depth = self.settings(MemorySettings).memory_observations
        self._observations = self.held(
            self.create_publisher(messages.Observation, 'observations', qos.observations(depth))
        )
        self._describer = Describer(self.settings(DescriberSettings), perceiver, self._described, self.log, self.fault)
        self._detections = self._waiting_for(heard['detections']) if 'detections' in heard else None
        self._depth = DepthWaiting(self.settings(DepthWaitSettings), self._describer.add)

    def activate(self) -> None:
        """Listen for key frames; the model is reached for meanwhile."""
        self._running = self._bridge.spawn(self._describer.run())
        self.held(self.create_subscription(messages.KeyFrame, 'key_frames', self._on_key_frame, qos.KEY_FRAMES))
        self.held(self.create_subscription(CompressedImage, KEY_FRAME_DEPTH, self._on_depth, qos.KEY_FRAMES))
        if self._detections is not None:
            post, waiting = self._bridge.post, self._detections
            hear, push = functools.partial(post, waiting.detections), functools.partial(post, waiting.transform)
            DetectionTopics(self, hear, push, self._leave_out).listen()
        self.diagnostics.start()

    def deactivate(self) -> None:
        """End what is being described."""
        self._bridge.end(self._running)

    def _on_key_frame(self, message: messages.KeyFrame) -> None:
        self.diagnostics.count('received')
        self.diagnostics.seen('key_frame')
        try:
            frame = key_frame_from_message(message)
        except InputError as error:
            self.diagnostics.count('unusable')
            self.get_logger().error(f'key frame {message.index} is left out: {error}', throttle_duration_sec=5.0)
            given_up = messages.Observation(header=message.header, given_up=True, **fields_of(message, KEY_FIELDS))
            self._observations.publish(given_up)
            return
        if self._detections is not None:
            self._bridge.post(self._detections.key_frame, frame)
        self._bridge.post(self._depth.key_frame, frame, self.count_publishers(KEY_FRAME_DEPTH) > 0)

    def _waiting_for(self, eye: DetectionEye) -> DetectionWaiting:
        looking = Looking((), self.settings(LookingSettings))
        settings, held = self.settings(DetectionWaitSettings), self._describer.held
        return DetectionWaiting(settings, eye, looking, held, self._publish)

    def _leave_out(self, sentence: str) -> None:
        self.diagnostics.count('bad_detection_message')
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _on_depth(self, message: CompressedImage) -> None:
        self.diagnostics.count('depth_received')
        try:
            stamp_ns, depth = ns_from_stamp(message.header.stamp), depth_from_message(message)
        except InputError as error:
            self.diagnostics.count('bad_depth_message')
            self.get_logger().error(f'the depth of a key frame is left out: {error}', throttle_duration_sec=5.0)
            return
        self._bridge.post(self._depth.depth, stamp_ns, depth)

    def _described(self, observation: Observation, frame: KeyFrame) -> None:
        if not observation.given_up:
            self.diagnostics.took('describe', observation.latency_s)
        if self._detections is None:
            self._publish(observation, frame)
        else:
            self._detections.observed(observation, frame)

    def _publish(self, observation: Observation, frame: KeyFrame) -> None:
        self._observations.publish(observation_to_message(observation, frame.frame_id))

    async def _on_focus(self, request: Focus.Request, response: Focus.Response) -> Focus.Response:
        refusal = self._focus_refusal(request)
        if refusal is not None:
            response.error_code, response.error_msg = int(refusal[0]), refusal[1]
            return response
        self.diagnostics.count('focus')
        budget_s = ns_from_stamp(request.deadline) / NS_PER_S or None
        keys = [(request.camera, request.session, index) for index in request.indices]
        work = self._describer.focus(keys, clean(request.question), budget_s)
        try:
            readings: list[Reading] = await self._bridge.submit(work)
        except Declined as error:
            response.error_code, response.error_msg = int(error.code), str(error)
            return response
        except Cancelled as error:
            response.error_code, response.error_msg = int(ErrorCode.NOT_ACTIVE), str(error)
            return response
        response.success, response.error_code = True, int(ErrorCode.OK)
        response.readings = [
            messages.FocusReading(
                index=seen.key[2],
                status=int(seen.status),
                sightings=list(map(sighting_to_message, seen.found.sightings)),
                text=clean(seen.found.text),
                error_msg=clean(seen.error_msg),
            )
            for seen in readings
        ]
        return response

    def _focus_refusal(self, request: Focus.Request) -> tuple[ErrorCode, str] | None:
        if not self.active:
            return ErrorCode.NOT_ACTIVE, 'perception_node is not active; activate it and ask again'
        if not request.question.strip():
            return ErrorCode.BAD_QUESTION, f'a question in words was wanted, got {request.question!r}'
        if len(request.question) > MAX_QUESTION_CHARS or len(request.indices) > MAX_FOCUS_INDICES:
            return ErrorCode.BAD_QUESTION, (
                f'a focus request has at most {MAX_QUESTION_CHARS} characters and {MAX_FOCUS_INDICES} indices, got '
                f'{len(request.question)!r} and {len(request.indices)!r}; ask for less'
            )
        try:
            deadline_ns = ns_from_stamp(request.deadline)
        except InputError as error:
            return ErrorCode.BAD_QUESTION, str(error)
        if deadline_ns < 0:
            return ErrorCode.BAD_QUESTION, f'deadline must be positive or zero, got {deadline_ns!r} ns'
        health = self._describer.health
        if health.backend is Backend.LOADING:
            return ErrorCode.MODEL_LOADING, 'the model is being loaded or reached for; ask again shortly'
        if health.backend is Backend.DOWN:
            return ErrorCode.SERVER_DOWN, health.trouble
        return None

    def _judge(self) -> Judgement:
        describer = self._describer
        for name, count in describer.counters.items():
            self.diagnostics.counters[name] = count
        self.diagnostics.tell('model', describer.model)
        self.diagnostics.tell('waiting', describer.waiting)
        self.diagnostics.tell('held_bytes', describer.held_bytes)
        self.diagnostics.counters['depth_missed'] = self._depth.missed
        if self._detections is not None:
            for kind, count in self._detections.left_out.items():
                self.diagnostics.counters[f'bad_{kind}'] = count
        health = describer.health
        self.diagnostics.tell('outages', health.outages)
        if health.backend is Backend.DOWN:
            return Level.ERROR, health.trouble
        if health.backend is Backend.LOADING:
            return Level.WARN, health.trouble or 'the model is being loaded or reached for'
        if health.trouble or describer.trouble:
            return Level.WARN, health.trouble or describer.trouble
        if describer.waiting > self.settings(DescriberSettings).max_concurrent_descriptions:
            return Level.WARN, f'{describer.waiting} key frames wait to be described'
        return Level.OK, 'describing key frames as they come'


def main() -> int:
    """The executable perception_node."""
    return run(PerceptionNode)


if __name__ == '__main__':
    sys.exit(main())
