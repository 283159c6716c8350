"""reasoning_node: answers spatial questions about what was observed, through a service and an action."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Duration
from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.action import AskSpatial as AskSpatialAction
from embodied_r_interfaces.srv import AskSpatial, Capture, Focus
from nav_msgs.msg import Odometry
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.task import Future

from embodied_r_ros.adapters import backends
from embodied_r_ros.adapters.perception import Description
from embodied_r_ros.app.asker import Asker, AskerSettings
from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.app.readiness import Backend
from embodied_r_ros.app.stages import OnProgress
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.errors import BackendUnavailable, InputError
from embodied_r_ros.core.memory import MemorySettings, ObservationMemory
from embodied_r_ros.core.models import REASONERS
from embodied_r_ros.core.records import Answer, ErrorCode, Key
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.async_bridge import AsyncBridge, Cancelled
from embodied_r_ros.nodes.conversions import (
    NS_PER_S,
    header,
    ns_from_stamp,
    observation_from_message,
    pose_from_message,
    sighting_from_message,
)
from embodied_r_ros.nodes.diagnostics import Diagnostics, Judgement, Level
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.process import run
from embodied_r_ros.nodes.rclpy_internals import allow_late_response
from embodied_r_ros.nodes.requests import answer_to_message, request_from_message

_NOT_ACTIVE = Answer(
    error_code=ErrorCode.NOT_ACTIVE, error_msg='reasoning_node is not active; activate it and ask again'
)


class RosPeerServices:
    """camera_node and perception_node as a question needs them, called from the bridge's loop; a `PeerServices`."""

    def __init__(self, node: ManagedNode, bridge: AsyncBridge, group: ReentrantCallbackGroup) -> None:
        self._node = node
        self._bridge = bridge
        self._capture = node.held(
            node.create_client(Capture, 'capture', qos_profile=qos.SERVICES, callback_group=group)
        )
        self._focus = node.held(node.create_client(Focus, 'focus', qos_profile=qos.SERVICES, callback_group=group))

    def now_ns(self) -> int:
        """ROS time."""
        return int(self._node.get_clock().now().nanoseconds)

    async def capture(self, timeout_s: float) -> tuple[Key, int]:
        """Key and stamp of the newest frame, made a key frame."""
        response = await self._call(self._capture, Capture.Request(), timeout_s)
        return (response.camera, response.session, response.index), ns_from_stamp(response.stamp)

    async def focus(self, keys: Sequence[Key], question: str, timeout_s: float) -> dict[Key, Description]:
        """What a second look at key frames of one camera and session found."""
        camera, session, _ = keys[0]
        allowed_ns = round(timeout_s * NS_PER_S)
        deadline = Duration(sec=allowed_ns // NS_PER_S, nanosec=allowed_ns % NS_PER_S)
        indices = [index for _, _, index in keys]
        request = Focus.Request(camera=camera, session=session, indices=indices, question=question, deadline=deadline)
        response = await self._call(self._focus, request, timeout_s + 0.5)
        return {
            (camera, session, seen.index): Description(
                sightings=tuple(map(sighting_from_message, seen.sightings)), text=seen.text
            )
            for seen in response.readings
            if seen.status == messages.FocusReading.FOUND
        }

    async def _call(self, client: Client, request: Any, timeout_s: float) -> Any:
        if not client.service_is_ready():
            name = self._node.resolve_service_name(client.srv_name)
            raise BackendUnavailable(f'nobody offers the service {name!r}; start the node that does, or ask without it')
        future = client.call_async(request)
        try:
            response = await self._bridge.ros(future, timeout_s)
        finally:
            client.remove_pending_request(future)
        if not response.success:
            raise Declined(ErrorCode(response.error_code), response.error_msg)
        return response


class ReasoningNode(ManagedNode):
    """Answers spatial questions from the observations of the present session."""

    def __init__(self, **options: Any) -> None:
        self._own = backends.own_settings(REASONERS)
        classes = (AskerSettings, MemorySettings, reasoning.ReasoningSettings, backends.ReasonerBackend, *self._own)
        super().__init__('reasoning_node', *classes, **options)
        self._model = backends.reasoner_model(self.settings(backends.ReasonerBackend))
        self.diagnostics = Diagnostics(self, self._judge)
        self._group = ReentrantCallbackGroup()

    def configure(self) -> None:
        """Make the reasoner, the memory, and what is offered to others."""
        lm = backends.reasoner(self._model, *map(self.settings, self._own))
        self._bridge = AsyncBridge(self, self.fail)
        self._bridge.on_stop(lm.aclose)
        self.held(self._bridge, self._bridge.stop)
        self._asker = Asker(
            self.settings(AskerSettings),
            self.settings(reasoning.ReasoningSettings),
            ObservationMemory(self.settings(MemorySettings).memory_observations),
            lm,
            backends.prompt_format(self._model),
            RosPeerServices(self, self._bridge, self._group),
            self.log,
        )
        self._answers = self.held(self.create_publisher(messages.AnsweredQuestion, 'answers', qos.ANSWERS))
        service = self.create_service(
            AskSpatial, 'ask', self._on_ask, qos_profile=qos.SERVICES, callback_group=self._group
        )
        self.held(allow_late_response(service))
        self._goals: dict[bytes, Future] = {}
        self.held(self._action_server())

    def activate(self) -> None:
        """Listen for what is seen; the model is reached for meanwhile."""
        depth = self.settings(MemorySettings).memory_observations
        self._running = self._bridge.spawn(self._asker.run())
        self.held(self.create_subscription(messages.KeyFrame, 'key_frames', self._on_key_frame, qos.KEY_FRAMES))
        self.held(
            self.create_subscription(
                messages.Observation, 'observations', self._on_observation, qos.observations(depth)
            )
        )
        if self.settings(AskerSettings).latest_motion:
            self.held(self.create_subscription(Odometry, 'odom', self._on_odometry, qos.ODOMETRY))
        self.diagnostics.start()

    def deactivate(self) -> None:
        """End the questions under way, each with an answer."""
        self._bridge.end(self._running)
        self._bridge.finish(self._asker.interrupt())

    def _action_server(self) -> ActionServer:
        profiles = {f'{name}_service_qos_profile': qos.SERVICES for name in ('goal', 'result', 'cancel')}
        return ActionServer(
            self,
            AskSpatialAction,
            'ask_spatial',
            self._on_goal,
            callback_group=self._group,
            cancel_callback=self._on_cancel,
            **profiles,
        )

    def _on_key_frame(self, message: messages.KeyFrame) -> None:
        self.diagnostics.seen('key_frame')
        stamp_ns = ns_from_stamp(message.header.stamp)
        key = (message.camera, message.session, message.index)
        self._bridge.post(self._asker.note_key_frame, key, stamp_ns)

    def _on_observation(self, message: messages.Observation) -> None:
        self.diagnostics.seen('observation')
        try:
            observation = observation_from_message(message)
        except InputError as error:
            self.diagnostics.count('unusable')
            self.get_logger().error(f'observation {message.index} is left out: {error}', throttle_duration_sec=5.0)
            return
        self._bridge.post(self._asker.note_observation, observation)

    def _on_odometry(self, message: Odometry) -> None:
        try:
            pose = pose_from_message(message.pose.pose)
        except InputError as error:
            self.get_logger().warning(f'odometry is left out: {error}', throttle_duration_sec=5.0)
            return
        self._bridge.post(self._asker.note_pose, ns_from_stamp(message.header.stamp), pose)

    async def _on_ask(self, request: AskSpatial.Request, response: AskSpatial.Response) -> AskSpatial.Response:
        response.answer = await self._answer(request.question)
        return response

    async def _on_goal(self, goal: ServerGoalHandle) -> AskSpatialAction.Result:
        def tell(stage: str, thinking: str) -> None:
            if goal.is_active:
                goal.publish_feedback(AskSpatialAction.Feedback(stage=stage, partial_thinking=thinking))

        answer = await self._answer(goal.request.question, bytes(goal.goal_id.uuid), tell)
        if goal.is_cancel_requested:
            goal.canceled()
        elif answer.error_code == ErrorCode.OK:
            goal.succeed()
        else:
            goal.abort()
        return AskSpatialAction.Result(answer=answer)

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        future = self._goals.get(bytes(goal.goal_id.uuid))
        if future is not None:
            self._bridge.cancel(future)
        return CancelResponse.ACCEPT

    async def _answer(
        self, question: messages.SpatialQuestion, goal_id: bytes = b'', on_progress: OnProgress | None = None
    ) -> messages.SpatialAnswer:
        if not self.active:
            return answer_to_message(_NOT_ACTIVE)
        try:
            request = request_from_message(question)
        except InputError as error:
            answer = reasoning.failure(error)
        else:
            future = self._bridge.submit(self._asker.ask(request, on_progress))
            if goal_id:
                self._goals[goal_id] = future
            try:
                answer = await future
            except Cancelled:
                answer = _NOT_ACTIVE
            finally:
                self._goals.pop(goal_id, None)
        self.diagnostics.took('answer', answer.timings_s.get('total', 0.0))
        message = answer_to_message(answer)
        if self.active and answer.error_code is not ErrorCode.BUSY:
            stamp = header(self.get_clock().now().nanoseconds)
            self._answers.publish(messages.AnsweredQuestion(header=stamp, question=question, answer=message))
        return message

    def _judge(self) -> Judgement:
        asker = self._asker
        for name, count in asker.counters.items():
            self.diagnostics.counters[name] = count
        self.diagnostics.tell('model', asker.model)
        self.diagnostics.tell('observations', len(asker.memory))
        self.diagnostics.tell('open_questions', asker.open_questions)
        if asker.backend is Backend.DOWN:
            return Level.ERROR, asker.trouble
        if asker.backend is Backend.LOADING:
            return Level.WARN, 'the model is being loaded or reached for'
        return Level.OK, f'{len(asker.memory)} observations to answer from'


def main() -> int:
    """The executable reasoning_node."""
    return run(ReasoningNode)


if __name__ == '__main__':
    sys.exit(main())
