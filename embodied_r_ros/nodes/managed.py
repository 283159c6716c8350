"""What every node shares: a guarded life cycle and checked parameters.

A node in full:

    class EchoNode(ManagedNode):
        '''Repeats what it hears.'''

        def __init__(self, **options: Any) -> None:
            super().__init__('echo_node', EchoSettings, **options)
            self._settings = self.settings(EchoSettings)

        def configure(self) -> None:
            self._echo = self.held(self.create_publisher(String, 'echo', 10))

        def activate(self) -> None:
            self.held(self.create_subscription(String, 'chatter', self._echo.publish, 10))

    def main() -> int:
        return run(EchoNode)
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from rclpy.client import Client
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.nodes import parameters
from embodied_r_ros.nodes.boundary import Faults, guarded, internal_response

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2

Entity = TypeVar('Entity')
Kind = TypeVar('Kind')

_Step: TypeAlias = 'Callable[[ManagedNode], None]'
_Transition: TypeAlias = 'Callable[[ManagedNode, LifecycleState], TransitionCallbackReturn]'


def _transition(on_failure: TransitionCallbackReturn) -> Callable[[_Step], _Transition]:
    """Log what a transition raises, which rclpy would swallow; under `autostart` a failure also ends the process."""

    def wrap(step: _Step) -> _Transition:
        @functools.wraps(step)
        def logged(self: ManagedNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                step(self)
            except EmbodiedRError as error:
                self.get_logger().error(f'{step.__name__} failed: {error}')
            except Exception:  # noqa: BLE001 - rclpy would swallow it without a line
                self.get_logger().error(f'{step.__name__} failed:\n{traceback.format_exc()}')
            else:
                return TransitionCallbackReturn.SUCCESS
            if self.autostart:
                self.end(EXIT_FAILED)
            return on_failure

        return logged

    return wrap


class ManagedNode(LifecycleNode):
    """A lifecycle node that destroys what a transition created when the opposite transition runs.

    Subclasses override `configure`, `activate`, `deactivate` and `cleanup`, plain methods that may raise. Whatever
    these create goes through `held` and is destroyed, last one first, by the transition that mirrors theirs, or at once
    where theirs fails. What others ask is created in the constructor and answers for as long as the node lives: a
    server that goes away leaves whoever has just asked without an answer.

    Callbacks of subscriptions, services and timers have a boundary: a bug inside one is logged with its place, counted
    in `faults`, answered with INTERNAL where somebody waits, and does not end the node.

    Args:
        name: node name.
        settings_classes: settings dataclasses, declared as parameters and read back with `settings`.
        options: passed on to LifecycleNode (`context`, `namespace`, `parameter_overrides`, ...).

    Attributes:
        faults: the bugs that callbacks ran into.
        open_calls: service calls and goals that wait for their end.

    Raises:
        SettingsError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, *settings_classes: type[Any], **options: Any) -> None:
        self.exit_status: int | None = None
        self.faults = Faults(self.log)
        self.open_calls = 0
        super().__init__(name, **options)
        self._life = contextlib.ExitStack()
        self._scopes: list[contextlib.ExitStack] = []
        classes: tuple[type[Any], ...] = (parameters.NodeSettings, *settings_classes)
        try:
            self._settings_of = {cls: parameters.declare(self, cls) for cls in classes}
            parameters.refuse_unknown(self)
        except EmbodiedRError:
            self.destroy_node()
            raise

    def settings(self, cls: type[Kind]) -> Kind:
        """The settings of one of the classes given to the constructor."""
        return self._settings_of[cls]

    @property
    def autostart(self) -> bool:
        """True when the node configures and activates itself, and a failed transition ends the process."""
        return self.settings(parameters.NodeSettings).autostart

    @property
    def active(self) -> bool:
        """True from the beginning of `activate` to the end of `deactivate`."""
        return len(self._scopes) == 2

    def create_subscription(
        self, kind: type[Any], topic: str, callback: Callable[..., None], *rest: Any, **how: Any
    ) -> Any:
        """As rclpy does, with a boundary around the callback."""
        return super().create_subscription(kind, topic, guarded(callback, self.fault), *rest, **how)

    def create_timer(self, period_s: float, callback: Callable[[], None], *rest: Any, **how: Any) -> Any:
        """As rclpy does, with a boundary around the callback."""
        return super().create_timer(period_s, guarded(callback, self.fault), *rest, **how)

    def create_service(self, kind: type[Any], name: str, callback: Callable[..., Any], *rest: Any, **how: Any) -> Any:
        """As rclpy does, with a boundary around the callback; what is under way counts in `open_calls`."""
        guard = guarded(callback, self.fault, internal_response)
        return super().create_service(kind, name, self.counted(guard), *rest, **how)

    def counted(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function that counts in `open_calls` while it runs; another callback is returned as it is."""
        if not inspect.iscoroutinefunction(callback):
            return callback

        @functools.wraps(callback)
        async def counting(*arguments: Any) -> Any:
            self.open_calls += 1
            try:
                return await callback(*arguments)
            finally:
                self.open_calls -= 1

        return counting

    def configure(self) -> None:
        """Create publishers and clients."""

    def activate(self) -> None:
        """Create subscriptions and timers; start warm-up as a task of its own."""

    def deactivate(self) -> None:
        """Stop what `activate` started and did not hand to `held`. Runs before held entities go."""

    def cleanup(self) -> None:
        """Stop what `configure` started and did not hand to `held`. Runs before held entities go."""

    def held(self, entity: Entity, undo: Callable[[], object] | None = None) -> Entity:
        """Tie an entity to the transition under way, or, between transitions, to the state the node is in.

        In the constructor that is the life of the node.

        Args:
            entity: publisher, subscription, service, client, timer, or anything with a `destroy` method.
            undo: called instead of destroying the entity.

        Returns:
            The entity.
        """
        (self._scopes or [self._life])[-1].callback(undo or functools.partial(self._destroy, entity))
        return entity

    def start(self) -> bool:
        """Configure and activate where `autostart` is set; False when that failed."""
        if not self.autostart:
            return True
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def end(self, status: int) -> None:
        """Have `run` leave its loop and end the process with this exit status; callable from any thread."""
        if self.exit_status is None:
            self.exit_status = status
        if self.executor is not None:
            self.executor.wake()

    def fault(self, error: BaseException) -> str:
        """Take in a bug of ours that does not end the node; callable from any thread.

        Returns:
            a sentence about it, for whoever waits for an answer.
        """
        return self.faults.note(error)

    def fail(self, error: BaseException) -> None:
        """End with what a part that cannot go on has raised; callable from any thread."""
        self.log('error', str(error) if isinstance(error, (EmbodiedRError, OSError)) else self.fault(error))
        self.end(EXIT_FAILED)

    def log(self, level: str, sentence: str) -> None:
        """Log a sentence at a level: 'info', 'warning' or 'error'; callable from any thread."""
        logger = self.get_logger()
        # rclpy binds a call site to one severity, so each level has its own.
        if level == 'error':
            logger.error(sentence)
        elif level == 'warning':
            logger.warning(sentence)
        else:
            logger.info(sentence)

    def close(self) -> None:
        """Undo all that is held, from whatever state, and destroy the node; an undo step that fails is logged."""
        try:
            with self._life:
                self._leave(0)
        except Exception:  # noqa: BLE001 - the process is on its way out
            self.get_logger().error(f'closing left an error behind:\n{traceback.format_exc()}')
        self.destroy_node()

    @_transition(TransitionCallbackReturn.FAILURE)
    def on_configure(self) -> None:
        """Unconfigured to inactive."""
        self._enter(self.configure)

    @_transition(TransitionCallbackReturn.FAILURE)
    def on_activate(self) -> None:
        """Inactive to active."""
        self._enter(self.activate)

    # After FAILURE the state machine would return to a state whose entities are already destroyed. ERROR leads to
    # on_error, and from there to unconfigured, which matches what is left.
    @_transition(TransitionCallbackReturn.ERROR)
    def on_deactivate(self) -> None:
        """Active to inactive."""
        self._leave(1)

    @_transition(TransitionCallbackReturn.ERROR)
    def on_cleanup(self) -> None:
        """Inactive to unconfigured."""
        self._leave(0)

    @_transition(TransitionCallbackReturn.ERROR)
    def on_shutdown(self) -> None:
        """Any state to finalized, which ends the process."""
        self._leave(0)
        self.end(EXIT_OK)

    @_transition(TransitionCallbackReturn.FAILURE)
    def on_error(self) -> None:
        """From an error to unconfigured; what is left is destroyed."""
        self._leave(0)

    def _enter(self, hook: Callable[[], None]) -> None:
        self._scopes.append(contextlib.ExitStack())
        try:
            hook()
        except Exception:
            self._scopes.pop().close()
            raise

    def _leave(self, depth: int) -> None:
        """Go down to so many open scopes; every hook and undo step runs, the first error is raised in the end."""
        with contextlib.ExitStack() as steps:
            if depth == 0 and self._scopes:
                steps.callback(self._close_scope, self.cleanup)
            if len(self._scopes) == 2:
                steps.callback(self._close_scope, self.deactivate)

    def _close_scope(self, hook: Callable[[], None]) -> None:
        try:
            with self._scopes[-1]:
                hook()
        finally:
            self._scopes.pop()

    def _destroy(self, entity: Any) -> None:
        destroyers = (
            (Publisher, self.destroy_publisher),
            (Subscription, self.destroy_subscription),
            (Service, self.destroy_service),
            (Client, self.destroy_client),
            (Timer, self.destroy_timer),
        )
        for kind, destroy in destroyers:
            if isinstance(entity, kind):
                destroy(entity)
                return
        entity.destroy()
