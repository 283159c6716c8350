"""Questions by service, action and SpatialClient at a steady rate, each noted with its end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from embodied_r_interfaces.action import AskSpatial as AskSpatialAction
from embodied_r_interfaces.msg import SpatialAnswer
from embodied_r_interfaces.srv import AskSpatial
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from benchmarks.soak.tally import RAISED, REJECTED, Asked
from embodied_r_ros.app.request import FOCUS_MODES, Request
from embodied_r_ros.core.records import ErrorCode, Question
from embodied_r_ros.nodes import qos
from embodied_r_ros.nodes.requests import request_to_message
from embodied_r_ros.ros_client.spatial_client import SpatialClient

WAYS = ('service', 'action', 'client', 'client_progress')
DEADLINES_S = (1.0, 2.0, 3.0, 5.0)
PERIOD_S = 0.25
CHOICES = ('left', 'right', 'ahead', 'behind')
TEXTS = ('Where is the grey wall?', 'Which way did I turn?', 'What is behind the wall I saw first?')


class Asker:
    """Asks in a thread of its own from `with` to `stop`.

    Args:
        beside: a node whose context and namespace are taken.
        seed: of what is asked and how.

    Attributes:
        asked: all questions, oldest first.
    """

    def __init__(self, beside: Node, seed: int) -> None:
        self.asked: list[Asked] = []
        self._random = random.Random(seed)
        namespace = beside.get_namespace()
        self._node = Node('soak_asker', context=beside.context, namespace=namespace, start_parameter_services=False)
        self._service = self._node.create_client(AskSpatial, 'ask', qos_profile=qos.SERVICES)
        profiles = {f'{name}_service_qos_profile': qos.SERVICES for name in ('goal', 'result', 'cancel')}
        self._action = ActionClient(self._node, AskSpatialAction, 'ask_spatial', **profiles)
        self._executor = SingleThreadedExecutor(context=beside.context)
        self._executor.add_node(self._node)
        self._client = SpatialClient(beside)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._spin, self._run)]

    def __enter__(self) -> Asker:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._executor.shutdown(timeout_sec=1.0)
        self._client.close()
        self._action.destroy()
        self._node.destroy_node()

    def stop(self) -> None:
        """Ask no more; what is open may still end."""
        self._stopped.set()

    def first_ok_s(self, since_s: float) -> float | None:
        """When the first OK answer came to a question asked since then; None where there is none yet."""
        ends_s = []
        for asked in reversed(self.asked):
            if asked.at_s < since_s:
                break
            if asked.code == ErrorCode.OK.name and asked.ended_s is not None:
                ends_s.append(asked.ended_s)
        return min(ends_s, default=None)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(PERIOD_S):
            way = WAYS[number % len(WAYS)]
            number += 1
            request = self._request()
            asked = Asked(way=way, at_s=time.monotonic(), deadline_s=request.deadline_s or 0.0)
            self.asked.append(asked)
            if way == 'service':
                self._executor.create_task(self._through_service, asked, request)
            elif way == 'action':
                cancel_after_s = self._random.uniform(0.0, 0.2) if self._random.random() < 0.3 else None
                self._executor.create_task(self._through_action, asked, request, cancel_after_s)
            else:
                threading.Thread(target=self._through_client, args=(asked, request), daemon=True).start()

    def _request(self) -> Request:
        choices = CHOICES[: self._random.choice((2, 3, 4))]
        return Request(
            question=Question(
                text=self._random.choice(TEXTS), choices=choices, votes=self._random.choice((1, 1, 1, 3))
            ),
            last_s=self._random.choice((None, None, 60.0)),
            focus=self._random.choice((FOCUS_MODES[0],) * 8 + FOCUS_MODES[1:]),
            fresh=self._random.random() < 0.1,
            deadline_s=self._random.choice(DEADLINES_S),
        )

    async def _through_service(self, asked: Asked, request: Request) -> None:
        response = await self._service.call_async(AskSpatial.Request(question=request_to_message(request)))
        _note(asked, response.answer)

    async def _through_action(self, asked: Asked, request: Request, cancel_after_s: float | None) -> None:
        goal = await self._action.send_goal_async(AskSpatialAction.Goal(question=request_to_message(request)))
        if not goal.accepted:
            asked.end(REJECTED, 'the goal was declined', '')
            return
        if cancel_after_s is not None:
            timer = threading.Timer(cancel_after_s, lambda: self._executor.create_task(goal.cancel_goal_async))
            timer.daemon = True
            timer.start()
        result = await goal.get_result_async()
        _note(asked, result.result.answer)

    def _through_client(self, asked: Asked, request: Request) -> None:
        question = request.question
        on_progress: Callable[[str, str], None] | None = None
        if asked.way == 'client_progress':
            on_progress = _ignore
        how: dict[str, Any] = {name: getattr(request, name) for name in ('last_s', 'focus', 'fresh', 'deadline_s')}
        try:
            answer = self._client.ask(
                question.text, question.choices, votes=question.votes, on_progress=on_progress, **how
            )
        except Exception as error:  # noqa: BLE001 - whatever the client raises is what is looked for
            asked.end(RAISED, repr(error), '')
        else:
            asked.end(answer.error_code.name, answer.error_msg, answer.answer)


def _ignore(stage: str, text: str) -> None:
    """Progress is wanted, and what it says is not looked at."""


def _note(asked: Asked, answer: SpatialAnswer) -> None:
    names = {code.value: code.name for code in ErrorCode}
    asked.end(names.get(answer.error_code, f'code {answer.error_code}'), answer.error_msg, answer.answer)
