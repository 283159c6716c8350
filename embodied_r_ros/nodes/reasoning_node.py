"""reasoning_node: answers spatial questions about what was observed, through a service and an action."""

from __future__ import annotations

import functools
import sys
from typing import Any

from embodied_r_interfaces import msg as messages
from embodied_r_interfaces.action import AskSpatial as AskSpatialAction
from embodied_r_interfaces.srv import AskSpatial
from nav_msgs.msg import Odometry
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from visualization_msgs.msg import MarkerArray

from embodied_r_ros.adapters import backends
from embodied_r_ros.app.asker import Asker, AskerSettings
from embodied_r_ros.app.model_health import Backend
from embodied_r_ros.app.stages import OnProgress
from embodied_r_ros.core import reasoning
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.memory import MemorySettings, ObservationMemory
from embodied_r_ros.core.models import REASONERS
from embodied_r_ros.core.mounting import FrameSettings, Mounting, MountingSettings
from embodied_r_ros.core.pose_track import PoseTrack
from embodied_r_ros.core.records import Answer, ErrorCode
from embodied_r_ros.core.text import clean
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.async_bridge import AsyncBridge, Cancelled
from embodied_r_ros.nodes.boundary import guarded
from embodied_r_ros.nodes.conversions import (
    header,
    ns_from_stamp,
    observation_from_message,
    pose_from_message,
)
from embodied_r_ros.nodes.diagnostics import Diagnostics, Judgement, Level
from embodied_r_ros.nodes.landmark_messages import array_to_message, markers
from embodied_r_ros.nodes.managed import ManagedNode
from embodied_r_ros.nodes.peer_services import RosPeerServices
from embodied_r_ros.nodes.process import run
from embodied_r_ros.nodes.requests import answer_to_message, request_from_message
from embodied_r_ros.nodes.transform_topics import TransformTopics

_TWICE = 'another reasoning_node answers to {!r} too; stop it, or give it a namespace of its own'

_NOT_ACTIVE = Answer(
    error_code=ErrorCode.NOT_ACTIVE, error_msg='reasoning_node is not active; activate it and ask again'
)
_RESULTS_KEPT_S = 30
_LANDMARKS_S = 0.5
_CANCELLED = Answer(error_code=ErrorCode.CANCELLED, error_msg='cancelled by the asker')


class ReasoningNode(ManagedNode):
    """Answers spatial questions from the observations of the present session."""

    def __init__(self, **options: Any) -> None:
        self._own = backends.own_settings(REASONERS)
        common = (AskerSettings, MemorySettings, FrameSettings, reasoning.ReasoningSettings, backends.ReasonerBackend)
        classes = (*common, *self._own)
        super().__init__('reasoning_node', *classes, **options)
        self._model = backends.reasoner_model(self.settings(backends.ReasonerBackend))
        self.diagnostics = Diagnostics(self, self._judge)
        self._group = ReentrantCallbackGroup()
        frames = self.settings(FrameSettings)
        self._mounting = Mounting(MountingSettings(base_frame=frames.base_frame, fixed_frame=frames.fixed_frame))
        self._track = PoseTrack(0.0, frames.max_speed_m_s, frames.max_turn_deg_s)
        self._key_frame_ns = 0
        refuse = functools.partial(self._leave_out, 'a transform')
        self._transforms = TransformTopics(self, self._mounting.push, refuse)
        self._goals: dict[bytes, Future] = {}
        self.create_service(AskSpatial, 'ask', self._on_ask, qos_profile=qos.SERVICES, callback_group=self._group)
        self.held(self._action_server())

    def configure(self) -> None:
        """Make the reasoner, the memory and the publishers."""
        lm = backends.reasoner(self._model, *map(self.settings, self._own))
        self._bridge = AsyncBridge(self, self.fault, self.fail)
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
            self.fault,
        )
        self._answers = self.held(self.create_publisher(messages.AnsweredQuestion, 'answers', qos.ANSWERS))
        self._landmarks = self.held(self.create_publisher(messages.LandmarkArray, 'landmarks', qos.LANDMARKS))
        self._markers = self.held(self.create_publisher(MarkerArray, 'markers', qos.LANDMARKS))

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
        self._is_news = False
        self.held(self.create_timer(_LANDMARKS_S, self._tell_landmarks, clock=Clock(clock_type=ClockType.STEADY_TIME)))
        if self.settings(AskerSettings).latest_motion:
            frames = self.settings(FrameSettings)
            if frames.base_frame or frames.fixed_frame:
                self._transforms.listen()
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
            self.counted(self._on_goal),
            callback_group=self._group,
            cancel_callback=guarded(self._on_cancel, self.fault, lambda *_: CancelResponse.ACCEPT),
            # Each status that is published lists all results that are kept, rclpy's default for 15 minutes.
            result_timeout=_RESULTS_KEPT_S,
            **profiles,
        )

    def _on_key_frame(self, message: messages.KeyFrame) -> None:
        self.diagnostics.seen('key_frame')
        try:
            stamp_ns = ns_from_stamp(message.header.stamp)
        except InputError as error:
            self._leave_out(f'key frame {message.index}', error)
            return
        self._key_frame_ns = stamp_ns
        if message.index == 0:
            self._mounting.reset()
        key = (message.camera, message.session, message.index)
        self._bridge.post(self._asker.note_key_frame, key, stamp_ns)

    def _on_observation(self, message: messages.Observation) -> None:
        self.diagnostics.seen('observation')
        try:
            observation = observation_from_message(message)
        except InputError as error:
            self._leave_out(f'observation {message.index}', error)
            return
        self._bridge.post(self._asker.note_observation, observation)
        self._is_news = True

    def _tell_landmarks(self) -> None:
        """Have what is new among the landmarks published, once somebody listens."""
        if self._is_news and (self._landmarks.get_subscription_count() or self._markers.get_subscription_count()):
            self._is_news = False
            self._bridge.post(self._publish_landmarks)

    def _publish_landmarks(self) -> None:
        session, stamp_ns, landmarks = self._asker.landmarks()
        if self.active:
            self._landmarks.publish(array_to_message(landmarks, session, stamp_ns))
            self._markers.publish(markers(landmarks))

    def _on_odometry(self, message: Odometry) -> None:
        try:
            stamp_ns, pose = ns_from_stamp(message.header.stamp), pose_from_message(message.pose.pose)
        except InputError as error:
            self._leave_out('odometry', error)
            return
        frame_id, child = clean(message.header.frame_id), clean(message.child_frame_id)
        placed = self._mounting.base_pose(pose, frame_id, child, stamp_ns)
        if placed is None:
            return
        self._track.push(stamp_ns, placed)
        # Across a jump nobody knows how the robot moved since the last key frame.
        if not self._track.jumped(self._key_frame_ns, stamp_ns):
            self._bridge.post(self._asker.note_pose, stamp_ns, placed, self._mounting.fixed_frame)

    def _leave_out(self, what: str, error: InputError | str) -> None:
        self.diagnostics.count('unusable')
        self.get_logger().error(f'{what} is left out: {error}', throttle_duration_sec=5.0)

    async def _on_ask(self, request: AskSpatial.Request, response: AskSpatial.Response) -> AskSpatial.Response:
        response.answer = await self._answer(request.question)
        return response

    async def _on_goal(self, goal: ServerGoalHandle) -> AskSpatialAction.Result:
        def tell(stage: str, thinking: str) -> None:
            if goal.is_active:
                goal.publish_feedback(AskSpatialAction.Feedback(stage=stage, partial_thinking=clean(thinking)))

        goal_id = bytes(goal.goal_id.uuid)
        answer = await self._answer(goal.request.question, goal, guarded(tell, self.fault))
        self._goals.pop(goal_id, None)
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
        self,
        question: messages.SpatialQuestion,
        goal: ServerGoalHandle | None = None,
        on_progress: OnProgress | None = None,
    ) -> messages.SpatialAnswer:
        """The answer to a question, whatever happens."""
        try:
            answer = await self._asked(question, goal, on_progress)
            self.diagnostics.took('answer', answer.timings_s.get('total', 0.0))
            message = answer_to_message(answer)
            if self.active and answer.error_code is not ErrorCode.BUSY:
                stamp = header(self.get_clock().now().nanoseconds)
                self._answers.publish(messages.AnsweredQuestion(header=stamp, question=question, answer=message))
            return message
        except Exception as error:  # noqa: BLE001 - the boundary of service and action
            return messages.SpatialAnswer(error_code=int(ErrorCode.INTERNAL), error_msg=self.fault(error))

    async def _asked(
        self, question: messages.SpatialQuestion, goal: ServerGoalHandle | None, on_progress: OnProgress | None
    ) -> Answer:
        if not self.active:
            return _NOT_ACTIVE
        try:
            request = request_from_message(question)
        except InputError as error:
            return reasoning.failure(error)
        future = self._bridge.submit(self._asker.ask(request, on_progress))
        if goal is not None:
            self._goals[bytes(goal.goal_id.uuid)] = future
            if goal.is_cancel_requested:
                self._bridge.cancel(future)
        try:
            answer: Answer = await future
        except Cancelled:
            return _CANCELLED if goal is not None and goal.is_cancel_requested else _NOT_ACTIVE
        return answer

    def _judge(self) -> Judgement:
        asker = self._asker
        for name, count in asker.counters.items():
            self.diagnostics.counters[name] = count
        self.diagnostics.tell('model', asker.model)
        self.diagnostics.tell('observations', len(asker.memory))
        self.diagnostics.tell('open_questions', asker.open_questions)
        health = asker.health
        self.diagnostics.tell('outages', health.outages)
        if self.count_services(self.resolve_service_name('ask')) > 1:
            return Level.ERROR, _TWICE.format(self.resolve_service_name('ask'))
        if health.backend is Backend.DOWN:
            return Level.ERROR, health.trouble
        if health.backend is Backend.LOADING:
            return Level.WARN, health.trouble or 'the model is being loaded or reached for'
        if not len(asker.memory):
            return Level.WARN, 'nothing is observed yet, so no question can be answered'
        trouble = health.trouble or asker.trouble or asker.staleness
        return (Level.WARN, trouble) if trouble else (Level.OK, f'{len(asker.memory)} observations to answer from')


def main() -> int:
    """The executable reasoning_node."""
    return run(ReasoningNode)


if __name__ == '__main__':
    sys.exit(main())
