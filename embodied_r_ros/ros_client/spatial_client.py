"""Ask the robot from a program: a navigation stack, a behaviour tree, a script.

with SpatialClient() as client:
    answer = client.ask('Which way is the dock?', ['left', 'right'], last_s=60.0, deadline_s=5.0)
if answer.error_code is ErrorCode.OK:
    steer(answer.answer)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import rclpy
from embodied_r_interfaces.action import AskSpatial as AskSpatialAction
from embodied_r_interfaces.msg import SpatialQuestion
from embodied_r_interfaces.srv import AskSpatial
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.client import Client
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from embodied_r_ros.app.request import LATEST_S, Request
from embodied_r_ros.app.stages import OnProgress
from embodied_r_ros.core.answers import validate_question
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Answer, ErrorCode, Question
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.conversions import NS_PER_S
from embodied_r_ros.nodes.requests import answer_from_message, request_to_message

# An answer that the node sends at the deadline needs this long to come.
GRACE_S = 0.2
_CLOSE_S = 1.0
_POLL_S = 0.02

_logger = logging.getLogger(__name__)


class SpatialClient:
    """Asks reasoning_node and waits for its answer, from any thread.

    It has a node, an executor and a thread of its own: `ask` may be called inside a callback of another node without
    holding up what that node's executor does for the answer. Close it, or use it in a `with`.

    Args:
        node: another node whose context and namespace are taken; without one the default context is used where rclpy is
            initialised, and a context of its own where it is not.
        namespace: of the reasoning node; overrides that of `node`.
    """

    def __init__(self, node: Node | None = None, namespace: str | None = None) -> None:
        self._context, self._owns_context = _context(node)
        if namespace is None:
            namespace = '' if node is None else node.get_namespace()
        self._node = Node('spatial_client', context=self._context, namespace=namespace, start_parameter_services=False)
        self._service = self._node.create_client(AskSpatial, 'ask', qos_profile=qos.SERVICES)
        profiles = {f'{name}_service_qos_profile': qos.SERVICES for name in ('goal', 'result', 'cancel')}
        self._action = ActionClient(self._node, AskSpatialAction, 'ask_spatial', **profiles)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._closed = False
        self._thread = threading.Thread(target=self._spin, name='spatial_client', daemon=True)
        self._thread.start()

    def ask(
        self,
        question: str,
        choices: Sequence[str] = (),
        *,
        last_s: float | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        as_of_ns: int | None = None,
        focus: str = 'off',
        fresh: bool = False,
        votes: int = 1,
        check_consistency: bool = False,
        deadline_s: float = 30.0,
        on_progress: OnProgress | None = None,
    ) -> Answer:
        """Ask, and wait for the answer, with an error code where that failed. It never raises, whatever comes back.

        It returns at most 0.3 s after the deadline on an idle machine, whether the node lives or not.

        Args:
            question: in words, without the choices.
            choices: none for an open question, otherwise 2 to 26.
            last_s: the window's length before as_of, above 0; None is all of the session.
            start_ns, end_ns: or its bounds, ROS time.
            as_of_ns: ROS time that counts as now.
            focus: 'off', 'auto' or 'always' look at key frames again.
            fresh: capture and describe the newest frame first.
            votes: sampled thoughts that vote.
            check_consistency: ask again with the thinking alone.
            deadline_s: wall-clock seconds allowed in all.
            on_progress: gets the stage and the thinking so far, from another thread; the action is used then. Where it
                raises, the log says so, and it is not called again for this question.
        """
        asked = Question(text=question, choices=tuple(choices), votes=votes, check_consistency=check_consistency)
        try:
            request = Request(
                question=asked,
                start_ns=start_ns,
                end_ns=end_ns,
                last_s=last_s,
                as_of_ns=as_of_ns,
                focus=focus,
                fresh=fresh,
                deadline_s=deadline_s,
            )
            message = _checked_message(request)
        except InputError as error:
            return _failed(ErrorCode.BAD_QUESTION, str(error))
        return self._send(message, time.monotonic() + deadline_s, on_progress)

    def close(self) -> None:
        """Let go of the node and the thread."""
        self._closed = True
        self._executor.shutdown(timeout_sec=_CLOSE_S)
        self._thread.join(_CLOSE_S)
        self._action.destroy()
        self._node.destroy_node()
        if self._owns_context:
            self._context.try_shutdown()

    def __enter__(self) -> SpatialClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, message: SpatialQuestion, end_s: float, on_progress: OnProgress | None) -> Answer:
        begun_s = time.monotonic()
        is_ready = self._service.service_is_ready if on_progress is None else self._action.server_is_ready
        try:
            while not is_ready():
                if time.monotonic() > end_s:
                    name = self._node.resolve_service_name('ask')
                    waited_s = end_s - begun_s
                    return _failed(
                        ErrorCode.NOT_ACTIVE, f'nobody offers {name!r} within {waited_s:.1f} s; start reasoning_node'
                    )
                time.sleep(_POLL_S)
        except (InvalidHandle, RuntimeError) as error:
            return _failed(ErrorCode.NOT_ACTIVE, f'the client can ask no more ({error}); make a new one')
        call = _Call(message, on_progress)
        work = call.through_service if on_progress is None else call.through_action
        self._executor.create_task(work, self._service if on_progress is None else self._action)
        try:
            if call.done.wait(max(0.0, end_s - time.monotonic()) + GRACE_S):
                return call.answer
        except BaseException:
            # As at Ctrl-C, after which the process may end: the goal is cancelled first.
            self._executor.create_task(call.give_up)
            call.given_up.wait(_CLOSE_S)
            raise
        self._executor.create_task(call.give_up)
        late = 'reasoning_node did not answer within the deadline; see whether it still runs'
        return _failed(ErrorCode.TIMEOUT, late)

    def _spin(self) -> None:
        while not self._closed:
            try:
                self._executor.spin()
                return
            except (ExternalShutdownException, ShutdownException):
                return
            except Exception:
                if self._closed:
                    return
                _logger.exception('the executor of a SpatialClient met an error, and goes on')


class _Call:
    """One question on its way; all but the events and the answer belongs to the executor's thread."""

    def __init__(self, message: SpatialQuestion, on_progress: OnProgress | None) -> None:
        self.done = threading.Event()
        self.given_up = threading.Event()
        self.answer = Answer()
        self._message = message
        self._on_progress = on_progress
        self._goal: ClientGoalHandle | None = None

    async def through_service(self, client: Client) -> None:
        await self._finish(self._by_service(client))

    async def through_action(self, client: ActionClient) -> None:
        await self._finish(self._by_action(client))

    def give_up(self) -> None:
        """Cancel the goal where it is still open; nobody waits for its answer."""
        if self._goal is not None and not self.done.is_set():
            self._goal.cancel_goal_async()
        self.given_up.set()

    async def _by_service(self, client: Client) -> Answer:
        response = await client.call_async(AskSpatial.Request(question=self._message))
        return answer_from_message(response.answer)

    async def _by_action(self, client: ActionClient) -> Answer:
        goal = AskSpatialAction.Goal(question=self._message)
        self._goal = await client.send_goal_async(goal, feedback_callback=self._on_feedback)
        if not self._goal.accepted:
            return _failed(ErrorCode.NOT_ACTIVE, 'reasoning_node did not take the question; see its log')
        if self.given_up.is_set():
            self._goal.cancel_goal_async()
        result = await self._goal.get_result_async()
        return answer_from_message(result.result.answer)

    async def _finish(self, asking: Coroutine[Any, Any, Answer]) -> None:
        try:
            self.answer = await asking
        except InputError as error:
            self.answer = _failed(ErrorCode.INTERNAL, f'the answer of reasoning_node cannot be used: {error}')
        except Exception as error:
            _logger.exception('a question could not be sent, or its answer not be read')
            self.answer = _failed(ErrorCode.INTERNAL, f'{type(error).__name__} in the client: {error}')
        self.done.set()

    def _on_feedback(self, message: AskSpatialAction.Impl.FeedbackMessage) -> None:
        if self._on_progress is None or self.done.is_set():
            return
        try:
            self._on_progress(message.feedback.stage, message.feedback.partial_thinking)
        except Exception:
            _logger.exception('on_progress raised, and is not called again for this question')
            self._on_progress = None


def _checked_message(request: Request) -> SpatialQuestion:
    """The request as a message that can be serialised; rclpy would find out only in the executor's thread.

    Raises:
        InputError: the question is refused, or a number does not fit; an end or as_of of 0 would read as 'not given'.
    """
    validate_question(request.question)
    stamps = (('start_ns', request.start_ns, 0), ('end_ns', request.end_ns, 1), ('as_of_ns', request.as_of_ns, 1))
    for name, stamp_ns, lowest_ns in stamps:
        if stamp_ns is not None and not lowest_ns <= stamp_ns < LATEST_S * NS_PER_S:
            raise InputError(
                f'{name} must be ROS time in nanoseconds, at least {lowest_ns} and below {LATEST_S} s, got '
                f'{stamp_ns!r}; leave it out where there is none'
            )
    if request.deadline_s is None or not 0.0 < request.deadline_s < LATEST_S:
        raise InputError(f'deadline_s must be positive and below {LATEST_S} s, got {request.deadline_s!r}')
    return request_to_message(request)


def _context(node: Node | None) -> tuple[Context, bool]:
    if node is not None:
        return node.context, False
    default = rclpy.get_default_context()
    if default.ok():
        return default, False
    own = Context()
    rclpy.init(context=own, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    return own, True


def _failed(code: ErrorCode, message: str) -> Answer:
    return Answer(error_code=code, error_msg=message)
