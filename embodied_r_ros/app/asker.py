"""What reasoning_node does with a question, without ROS: window, wait, look again, think, within the deadline.

Everything here runs in one asyncio loop, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import time
from collections.abc import Callable

from embodied_r_ros.adapters.lm import LanguageModel, drive
from embodied_r_ros.app import focus, windows
from embodied_r_ros.app.model_health import Backend, Log, ModelHealth
from embodied_r_ros.app.observing import looked_again, with_detections
from embodied_r_ros.app.peer_services import Declined, PeerServices
from embodied_r_ros.app.prefix_warmer import PrefixWarmer
from embodied_r_ros.app.request import Request
from embodied_r_ros.app.session_landmarks import SessionLandmarks
from embodied_r_ros.app.stages import OnProgress, Stages
from embodied_r_ros.app.timeline import Timeline
from embodied_r_ros.core import answers, reasoning
from embodied_r_ros.core.errors import BackendError, BackendTimeout, CannotTell, EmbodiedRError
from embodied_r_ros.core.formats import PromptFormat
from embodied_r_ros.core.landmark_report import landmarks_of
from embodied_r_ros.core.latest_motion import with_latest_motion
from embodied_r_ros.core.memory import ObservationMemory, Window
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, ErrorCode, Key, Landmark, Pose
from embodied_r_ros.core.settings import Settings, setting

# A question waits at most so long, and this share of its deadline, for a model that is down to be probed once more.
_PROBE_S, _PROBE_SHARE = 2.0, 0.5
_LOAD_S = 1800.0
# A thought that was given up after this time casts doubt on the model; after less, on the deadline.
_DOUBT_S = 1.0
# Codes of a model that is reached and does not do its part.
_FAILURES = (ErrorCode.SERVER_REFUSED, ErrorCode.BAD_REPLY, ErrorCode.INTERNAL)
# A key frame should be described after this time.
_BEHIND_S = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskerSettings(Settings):
    """How questions are taken."""

    max_questions: int = setting(
        128, 'At most this many questions are answered at once; more get BUSY.', within=(1, 10000)
    )
    deadline_s: float = setting(
        30.0, 'A question without a deadline gets this wall-clock time.', unit='s', within=(0.01, 3600.0)
    )
    describe_share: float = setting(
        0.5, 'A question waits at most this share of its deadline for open descriptions.', within=(0.0, 1.0)
    )
    in_flight_s: float = setting(
        20.0,
        'A question does not wait for a key frame that is still undescribed after this wall-clock time.',
        unit='s',
        within=(0.0, 3600.0),
    )
    max_staleness_s: float = setting(
        40.0,
        'An answer reports that its newest observation is older than this; a key frame comes at least every 30 s.',
        unit='s',
        within=(0.1, 86400.0),
    )
    focus_frames: int = setting(
        focus.FOCUS_FRAMES, 'A second look covers at most this many key frames.', within=(1, 64)
    )
    focus_share: float = setting(0.5, 'A second look may take this share of the remaining time.', within=(0.05, 0.95))
    latest_motion: bool = setting(True, 'The reasoner gets the motion measured since the last key frame.')


class Asker:
    """Keeps what was observed, and answers questions about it.

    Args:
        settings, reasoning_settings: of the taking and of the thinking.
        memory: where observations go.
        lm: who thinks.
        prompt_format: how it is asked.
        peers: the other nodes, as a question needs them.
        log: gets a level ('info', 'warning', 'error') and a sentence for people.
        fault: gets a bug that a question ran into, and returns the sentence that the asker is told.
        now_s: the steady clock, the one that the asyncio loop keeps, in seconds.

    Attributes:
        counters: of questions by their codes, and others, by name.
        health: of the model.
        trouble: what became of the last question, where that was a fault of the model; '' once one is answered.
    """

    def __init__(
        self,
        settings: AskerSettings,
        reasoning_settings: reasoning.ReasoningSettings,
        memory: ObservationMemory,
        lm: LanguageModel,
        prompt_format: PromptFormat,
        peers: PeerServices,
        log: Log,
        fault: Callable[[BaseException], str],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self.health = ModelHealth(lm, 'think', log, fault, _LOAD_S, now_s)
        self.trouble = ''
        self.memory = memory
        self.timeline = Timeline(memory, settings.in_flight_s, now_s)
        self._settings = settings
        self._reasoning_settings = reasoning_settings
        self._lm = lm
        self._format = prompt_format
        self._peers = peers
        self._log = log
        self._fault = fault
        self._now_s = now_s
        self._open: set[asyncio.Task[Answer]] = set()
        self._pose: tuple[int, Pose] | None = None
        self._odometry_frame = reasoning.ODOMETRY_FRAME
        self._landmarks = SessionLandmarks(memory.max_observations)
        self._prefix_warmer = PrefixWarmer(
            lm, prompt_format, memory, self._landmarks, reasoning_settings.max_observations
        )

    @property
    def model(self) -> str:
        """Id of the model; a server's may be '' until it was reached."""
        return self._lm.name

    @property
    def open_questions(self) -> int:
        """Questions under way."""
        return len(self._open)

    def note_key_frame(self, key: Key, stamp_ns: int) -> None:
        """A key frame has come; what is written about it will follow."""
        if key[1] != self.timeline.session:
            self._pose = None
        self.timeline.key_frame(key, stamp_ns, self._peers.now_ns())

    def note_observation(self, observation: Observation) -> None:
        """Take in what perception found, or that it gave the key frame up."""
        if observation.given_up:
            self.timeline.given_up(observation.key)
            return
        same_ns = self.memory.window(observation.session, observation.stamp_ns, observation.stamp_ns)
        known = next((seen for seen in same_ns if seen.key == observation.key), None)
        if known is not None:
            observation = with_detections(observation, known)
        self.memory.add(observation)
        self._landmarks.note(observation)
        self.timeline.observed(observation, self._peers.now_ns())
        self._prefix_warmer.note()

    def note_pose(self, stamp_ns: int, pose: Pose, frame_id: str = '') -> None:
        """Where the robot is now, in a frame; left out where the stamp is not of the images' clock."""
        self._odometry_frame = frame_id or reasoning.ODOMETRY_FRAME
        if self.timeline.pose(stamp_ns, self._peers.now_ns()):
            self._pose = (stamp_ns, pose)
        else:
            self.counters['poses_ignored'] += 1

    async def run(self) -> None:
        """Get the model ready, however long that takes, and watch over it; have it read ahead, where it can."""
        await asyncio.gather(self.health.run(), self._read_ahead())

    async def _read_ahead(self) -> None:
        await self.health.until(Backend.READY)
        await self._prefix_warmer.run()

    async def interrupt(self) -> None:
        """End all questions under way; they are answered NOT_ACTIVE."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def ask(self, request: Request, on_progress: OnProgress | None = None) -> Answer:
        """Answer a question within its deadline, whatever happens. Cancelled, it answers CANCELLED."""
        stages = Stages(on_progress, self._now_s)
        deadline_s = request.deadline_s or self._settings.deadline_s
        self.counters['asked'] += 1
        if len(self._open) >= self._settings.max_questions:
            busy = f'{len(self._open)} questions are under way, as many as max_questions allows; ask again shortly'
            answer = Answer(error_code=ErrorCode.BUSY, error_msg=busy)
        else:
            answer = await self._within(deadline_s, request, stages)
        self._prefix_warmer.note()
        self._note(answer)
        timings_s = {**stages.finish(), **answer.timings_s, 'total': stages.total_s}
        present_ns = self.timeline.present_ns(self._peers.now_ns())
        answer = reasoning.with_age(answer, present_ns if request.as_of_ns is None else request.as_of_ns)
        answer = self._with_staleness(answer, request)
        return dataclasses.replace(answer, timings_s=timings_s, model=self._lm.name, prompt_id=self._format.id)

    def landmarks(self) -> tuple[int, int, tuple[Landmark, ...]]:
        """The present session, the stamp of its newest observation, and all its landmarks as known then."""
        window = self.memory.window(self.timeline.session)
        scene = self._landmarks.at(window[-1].session) if window else None
        if scene is None:
            return 0, 0, ()
        return window[-1].session, window[-1].stamp_ns, landmarks_of(scene, self._odometry_frame)

    @property
    def staleness(self) -> str:
        """What is wrong with the age of what is known; '' where nothing is."""
        behind_s = self.timeline.undescribed_s()
        if behind_s > _BEHIND_S:
            return f'a key frame of {behind_s:.0f} s ago is not described yet; see what perception_node says'
        return ''

    def _note(self, answer: Answer) -> None:
        """Count an answer, and take from it how it stands with the model."""
        code = answer.error_code
        self.counters[code.name.lower()] += 1
        self.counters['forced'] += answer.forced
        if code in _FAILURES:
            self.trouble = f'the last question got {code.name}: {answer.error_msg}'
        elif answer.used:
            self.trouble = ''
            self.health.worked()

    def _with_staleness(self, answer: Answer, request: Request) -> Answer:
        """The answer with a word about the age of what it rests on, where that is more than one should expect."""
        if not answer.used:
            return answer
        words = [answer.error_msg] if answer.error_msg else []
        if answer.stale_s > self._settings.max_staleness_s:
            words.append(f'the newest observation is {answer.stale_s:.0f} s old; see whether the camera still runs')
        if request.as_of_ns is None and request.end_ns is None and self.staleness:
            words.append(self.staleness)
        return dataclasses.replace(answer, error_msg='; '.join(words))

    async def _within(self, deadline_s: float, request: Request, stages: Stages) -> Answer:
        task = asyncio.ensure_future(self._answer(request, stages, self._now_s() + deadline_s))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            await asyncio.wait([task], timeout=deadline_s)
        except asyncio.CancelledError:
            return Answer(error_code=ErrorCode.CANCELLED, error_msg=f'cancelled by the asker during {stages.name!r}')
        finally:
            task.cancel()
        if not task.done():
            late = (
                f'no answer within the deadline of {deadline_s:.1f} s, spent last on {stages.name!r}; allow more time'
            )
            if stages.name == 'think' and stages.stage_s >= _DOUBT_S:
                self.health.doubt(BackendTimeout(f'a question was not answered: {late}'))
            return Answer(error_code=ErrorCode.TIMEOUT, error_msg=late)
        if task.cancelled():
            message = 'the node was deactivated while it worked on the question; activate it and ask again'
            return Answer(error_code=ErrorCode.NOT_ACTIVE, error_msg=message)
        error = task.exception()
        if isinstance(error, Declined):
            return Answer(error_code=error.code, error_msg=str(error))
        if isinstance(error, EmbodiedRError):
            return reasoning.failure(error)
        if error is not None:
            return Answer(error_code=ErrorCode.INTERNAL, error_msg=self._fault(error))
        return task.result()

    async def _answer(self, request: Request, stages: Stages, end_s: float) -> Answer:
        answers.validate_question(request.question)
        await self._model_ready(end_s)
        if request.fresh:
            await self._fresh(stages, end_s)
        observations = await self._window(request, stages, end_s)
        promising = self._promising(request, observations)
        if promising:
            observations = await self._focused(request, observations, promising, stages, end_s)
        answer = await self._think(request, observations, stages)
        in_doubt = answer.error_code is ErrorCode.CANNOT_TELL and not answer.forced
        if request.focus == 'auto' and not promising and in_doubt:
            keys = self._likeliest(request, observations)
            again = await self._focused(request, observations, keys, stages, end_s)
            if again is not observations:
                answer = await self._think(request, again, stages)
        return answer

    async def _model_ready(self, end_s: float) -> None:
        if self.health.backend is Backend.LOADING:
            raise Declined(ErrorCode.MODEL_LOADING, 'the model is being loaded or reached for; ask again shortly')
        if self.health.backend is Backend.DOWN:
            wait_s = min(_PROBE_S, _PROBE_SHARE * (end_s - self._now_s()))
            if not await self.health.soon_ready(wait_s):
                code = ErrorCode.SERVER_REFUSED if self.health.refuses else ErrorCode.SERVER_DOWN
                raise Declined(code, self.health.trouble)

    async def _fresh(self, stages: Stages, end_s: float) -> None:
        stages.begin('capture')
        key, stamp_ns = await self._peers.capture(end_s - self._now_s())
        self.note_key_frame(key, stamp_ns)
        stages.begin('describe')
        await self.timeline.wait_until(lambda: self.timeline.settled(key, stamp_ns), end_s)
        if self.timeline.settled(key, stamp_ns) and not self.timeline.has(key, stamp_ns):
            message = (
                f'key frame {key[2]}, taken for this question, is given up; see what perception_node says, ask again'
            )
            raise Declined(ErrorCode.NO_FRAMES, message)

    async def _window(self, request: Request, stages: Stages, end_s: float) -> Window:
        session = self.timeline.session
        if session is None:
            # Said before the window is cut: where /clock does not run yet, every window lies in the future.
            message = 'no key frame has come yet; see that the camera runs and that camera_node hears its topic'
            raise Declined(ErrorCode.NO_FRAMES, message)
        window = windows.cut(request, self.timeline.present_ns(self._peers.now_ns()))
        if self.timeline.in_flight(window.start_ns, window.end_ns):
            stages.begin('describe')
            until_s = self._now_s() + self._settings.describe_share * (end_s - self._now_s())
            await self.timeline.wait_until(lambda: not self.timeline.in_flight(window.start_ns, window.end_ns), until_s)
        seen = self.memory.window(session)
        observations = self.memory.window(session, window.start_ns, window.end_ns)
        if not observations:
            raise windows.nothing_in(window, seen, self.timeline.key_frames)
        reaches_present = self._settings.latest_motion and observations[-1] is seen[-1]
        if reaches_present and self._pose is not None and self._pose[0] <= window.end_ns:
            return with_latest_motion(observations, *self._pose)
        return observations

    def _promising(self, request: Request, observations: Window) -> list[Key]:
        """The key frames to look at again before thinking: 'auto' takes those that share words with the question."""
        if request.focus == 'always':
            return self._likeliest(request, observations)
        if request.focus == 'auto':
            found = focus.promising(request.question, observations, self._settings.focus_frames)
            return [seen.key for seen in found]
        return []

    def _likeliest(self, request: Request, observations: Window) -> list[Key]:
        found = focus.likeliest(request.question, observations, self._settings.focus_frames)
        return [seen.key for seen in found]

    async def _focused(
        self, request: Request, observations: Window, keys: list[Key], stages: Stages, end_s: float
    ) -> Window:
        """What was written, with what a second look adds; the same list where that is nothing."""
        stages.begin('focus')
        budget_s = self._settings.focus_share * (end_s - self._now_s())
        try:
            found = await self._peers.focus(keys, request.question.text, budget_s)
        except EmbodiedRError as error:
            if request.focus == 'always':
                raise
            self.counters['focus_failed'] += 1
            self._log('warning', f'answered without a second look: {error}')
            found = {}
        if not any(look.sightings or look.text for look in found.values()):
            return observations
        looked = {place: found[seen.key] for place, seen in enumerate(observations) if seen.key in found}
        return observations.changed({place: looked_again(observations[place], look) for place, look in looked.items()})

    async def _think(self, request: Request, observations: Window, stages: Stages) -> Answer:
        stages.begin('think')
        scene = self._landmarks.at(observations[-1].session, observations[-1].stamp_ns) if observations else None
        steps = reasoning.answer(
            request.question,
            observations,
            self._format,
            self._reasoning_settings,
            self._lm.name,
            scene=scene,
            odometry_frame=self._odometry_frame,
        )
        loop = asyncio.get_running_loop()

        def heard(piece: str) -> None:
            loop.call_soon_threadsafe(stages.heard, piece)

        try:
            return await drive(steps, self._lm, heard)
        except CannotTell as error:
            return reasoning.failure(error)
        except BackendError as error:
            self.health.doubt(error)
            raise
