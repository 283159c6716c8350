"""From a question and a window of observations to an answer: select, ask, vote, match, cite, check.

The whole is a generator that yields requests for a language model and is sent its replies, so that it needs neither a
network nor an event loop; `adapters.lm.drive` runs it.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Generator, Sequence

from embodied_r_ros.core import answers, citations, memory
from embodied_r_ros.core.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    CannotTell,
    EmbodiedRError,
    InputError,
    ReplyError,
    UnsupportedQuestion,
)
from embodied_r_ros.core.formats import Prompt, PromptFormat, Thought
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.landmark_history import Scene, scene_of
from embodied_r_ros.core.landmark_report import landmarks_of, named_landmarks
from embodied_r_ros.core.latest_motion import is_key_frame
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer, Completion, ErrorCode, Evidence, Generation, Question
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.telling import told
from embodied_r_ros.core.text import clean
from embodied_r_ros.core.trajectory import Trajectory

# So many sampled thoughts are tried after one that does not follow what was seen.
SECOND_THOUGHTS = 3
_QUOTED_CHARS = 200
ODOMETRY_FRAME = 'odom'
# The first kind that an error is counts.
_CODES = (
    (UnsupportedQuestion, ErrorCode.QUESTION_UNSUPPORTED),
    (CannotTell, ErrorCode.CANNOT_TELL),
    (InputError, ErrorCode.BAD_QUESTION),
    (ReplyError, ErrorCode.BAD_REPLY),
    (BackendTimeout, ErrorCode.TIMEOUT),
    (BackendRefused, ErrorCode.SERVER_REFUSED),
)

Steps = Generator[list[Generation], list[Completion], Answer]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReasoningSettings(Settings):
    """How the reasoner is asked."""

    max_observations: int = setting(32, 'The reasoner gets at most this many observations.', within=(2, 1024))
    max_tokens: int = setting(2048, 'Thought and answer have at most this length.', unit='tokens', within=(16, 65536))
    temperature: float = setting(0.7, 'Several votes use this temperature; one vote is greedy.', within=(0.0, 2.0))
    seed: int = setting(0, 'The first vote uses this seed, and each further vote the next number.', within=(0, None))
    min_confidence: float = setting(
        0.0,
        'If a smaller share of the votes agrees, the code is CANNOT_TELL; a single vote has no confidence.',
        within=(0.0, 1.0),
    )
    force_answers: bool = setting(
        False, 'After a thought without a readable answer, the most likely choice counts as OK, not as CANNOT_TELL.'
    )


@dataclasses.dataclass(frozen=True)
class _Vote:
    """One thought, its choice (-1 for an open question), and what makes two votes equal."""

    thought: Thought
    choice: int
    key: str


def answer(
    question: Question,
    observations: Sequence[Observation],
    format: PromptFormat,  # noqa: A002 - the word that design and YAML use
    settings: ReasoningSettings,
    model_name: str = '',
    *,
    scene: Scene | None = None,
    odometry_frame: str = ODOMETRY_FRAME,
    may_force: bool = True,
) -> Steps:
    """Answer a question about a window of observations.

    Yields lists of requests that may run side by side and takes the list of their replies; `throw` an EmbodiedRError
    into it where a request failed. Frames are numbered by position in the prompt, and by key frame index in the
    answer's thinking, so that its 'Frame 57' is the 57 of the evidence. Timings are wall-clock seconds: 'prompt'
    (selecting, writing), 'think', 'read' and, where there was cause, 'rethink', 'force' and 'check'.

    Args:
        question: its window has been cut already.
        observations: the window, oldest first; with none the answer is WINDOW_EMPTY.
        format: how this reasoner is asked and read.
        settings: how much it is given, and how sure it must be.
        model_name: as the answer reports it.
        scene: the things that there were when the question was asked; those that the window shows unless given.
        odometry_frame: name of the frame that poses from odometry are in.
        may_force: whether one more request asks for the likeliest choice after a thought without a readable answer.

    Returns:
        the answer, its code OK, CANNOT_TELL or WINDOW_EMPTY.

    Raises:
        InputError: the question is malformed.
        UnsupportedQuestion: this reasoner knows no such question.
        CannotTell: the observations do not hold what is asked about.
        ReplyError: no thought could be read, or none matches a choice.
    """
    answers.validate_question(question)
    question = answers.clean_question(question)
    if not observations:
        message = 'no observation lies in the window; ask about a longer one, or wait for the first key frame'
        return Answer(error_code=ErrorCode.WINDOW_EMPTY, error_msg=message, model=model_name, prompt_id=format.id)
    clock = _Clock()
    scene = scene or scene_of(observations)
    chosen = choose(question, observations, settings.max_observations, scene)
    places = landmarks_of(scene, odometry_frame, observations[-1].pose) if format.tells_places else ()
    prompt = format.ask(question, chosen, places)
    clock.stop('prompt')
    completions = yield _requests(prompt, question.votes, settings)
    clock.stop('think')
    votes, unreadable = _read(prompt, question, completions)
    clock.stop('read')
    cannot_force = bool(question.choices) and not votes and prompt.force(completions[0]) is None
    if not votes and (isinstance(unreadable, CannotTell) or cannot_force):
        votes = yield from _second_thoughts(question, prompt, settings)
        clock.stop('rethink')
    is_forced = not votes
    if unreadable is not None and is_forced:
        vote = (yield from _forced(question, prompt, completions[0], settings)) if may_force else None
        if vote is None:
            raise unreadable
        votes = [vote]
        clock.stop('force')
    winners = _majority(votes)
    best = winners[0]
    confidence = len(winners) / question.votes if question.votes > 1 and not is_forced else math.nan
    consistency = math.nan
    if question.check_consistency and not is_forced:
        consistency = yield from _consistency(question, best, prompt, settings)
        clock.stop('check')
    unsure = confidence < settings.min_confidence or (is_forced and not settings.force_answers)
    why = _forced_text(unreadable) if is_forced else _unsure_text(len(winners), question.votes, settings)
    said = question.choices[best.choice] if best.choice >= 0 else best.thought.answer
    frame_numbers = [seen.index if is_key_frame(seen) else None for seen in chosen]
    return Answer(
        error_code=ErrorCode.CANNOT_TELL if unsure else ErrorCode.OK,
        error_msg=why if unsure or is_forced else '',
        answer=said,
        choice=best.choice,
        thinking=citations.renumber(best.thought.thinking, frame_numbers),
        confidence=confidence,
        consistency=consistency,
        evidence=_evidence(best.thought, chosen),
        landmarks=named_landmarks(
            scene, (question.text, *question.choices, said), odometry_frame, observations[-1].pose
        ),
        used=len(chosen),
        available=len(observations),
        seen_until_ns=max((seen.stamp_ns for seen in chosen if is_key_frame(seen)), default=0),
        timings_s=clock.spans_s,
        model=model_name,
        prompt_id=format.id,
        forced=is_forced,
    )


def choose(
    question: Question, observations: Sequence[Observation], n: int, scene: Scene | None = None
) -> list[Observation]:
    """At most n observations that a question is answered from, as they are told.

    The motion of those left out is told with the next one kept, so that the trajectory stays whole. Things are told
    where they are by all that was seen of them.

    Args:
        scene: the things that there are; those that the observations show unless given.
    """
    return as_told(observations, chosen_places(question, observations, n), scene)


def chosen_places(question: Question, observations: Sequence[Observation], n: int) -> list[int]:
    """Positions of the observations that `choose` takes, ascending: by the words of question and choices."""
    return memory.select(observations, ' '.join((question.text, *question.choices)), n)


def as_told(observations: Sequence[Observation], places: Sequence[int], scene: Scene | None) -> list[Observation]:
    """The observations at these places (ascending) as a reasoner is told of them; see `choose`."""
    return told(keep_motion(observations, places), scene or scene_of(observations))


def keep_motion(observations: Sequence[Observation], places: Sequence[int]) -> list[Observation]:
    """The observations at these places, each told with the motion of those left out before it; none before the first.

    How far the robot moved forward is filled in where it was not measured, see `core.trajectory`.

    Args:
        places: positions, ascending.
    """
    trajectory = Trajectory(observations)
    kept = [trajectory.observations[place] for place in places]
    for at in range(1, len(places)):
        if places[at] - places[at - 1] > 1:
            kept[at] = kept[at].with_motion(trajectory.stretch(places[at - 1] + 1, places[at] + 1))
    return kept


def failure(error: EmbodiedRError) -> Answer:
    """The answer that says what went wrong: a code to act on, and the error's own sentence."""
    # Else BackendUnavailable, and what an in-process model or a setting can do: nobody is there to think.
    code = next((code for kind, code in _CODES if isinstance(error, kind)), ErrorCode.SERVER_DOWN)
    return Answer(error_code=code, error_msg=str(error))


def _requests(prompt: Prompt, votes: int, settings: ReasoningSettings, attempt: int = 0) -> list[Generation]:
    greedy = votes == 1 and attempt == 0
    return [
        Generation(
            messages=prompt.messages,
            temperature=0.0 if greedy else settings.temperature,
            seed=settings.seed + attempt + vote,
            max_tokens=settings.max_tokens,
            stop=prompt.stop,
            options=prompt.options,
        )
        for vote in range(votes)
    ]


def _read(
    prompt: Prompt, question: Question, completions: Sequence[Completion]
) -> tuple[list[_Vote], ReplyError | CannotTell | None]:
    """The votes that can be read and follow what was seen, and the first error of those that do not, which count
    against the confidence."""
    votes, errors = [], []
    for completion in completions:
        try:
            votes.append(_vote(prompt.read(completion), question, completion))
        except (ReplyError, CannotTell) as error:
            errors.append(error)
    return votes, next(iter(errors), None)


def _second_thoughts(
    question: Question, prompt: Prompt, settings: ReasoningSettings
) -> Generator[list[Generation], list[Completion], list[_Vote]]:
    """The first of a few sampled thoughts that can be read and follows what was seen, as one vote; none for none."""
    for attempt in range(1, SECOND_THOUGHTS + 1):
        completions = yield _requests(prompt, 1, settings, attempt)
        votes, _ = _read(prompt, question, completions)
        if votes:
            return votes
    return []


def _forced(
    question: Question, prompt: Prompt, completion: Completion, settings: ReasoningSettings
) -> Generator[list[Generation], list[Completion], _Vote | None]:
    """The vote for the likeliest choice after a reply that cannot be read; None where it cannot be had."""
    demand = prompt.force(completion)
    if demand is None:
        return None
    try:
        completions = yield _requests(demand, 1, settings)
    except (BackendError, ReplyError):
        return None
    return next(iter(_read(demand, question, completions)[0]), None)


def _vote(thought: Thought, question: Question, completion: Completion) -> _Vote:
    if thought.astray:
        raise CannotTell(
            f'the thought does not follow what was seen ({thought.astray}), so its answer is rejected; '
            'ask in other words, or about another window'
        )
    if not question.choices:
        return _Vote(thought, -1, answers.same_words(thought.answer))
    index = answers.match_choice(thought.answer, question.choices)
    if index is None:
        offered = (choice[:_QUOTED_CHARS] for choice in question.choices)
        options = '; '.join(f'{answers.letter(i)}: {choice}' for i, choice in enumerate(offered))
        said = thought.answer[:_QUOTED_CHARS]
        raise ReplyError(f'one of the choices ({options}) was wanted, the model answered {said!r}', completion.text)
    return _Vote(thought, index, str(index))


def _majority(votes: Sequence[_Vote]) -> list[_Vote]:
    """The largest group of equal votes; among equally large ones that of the earliest vote."""
    groups: dict[str, list[_Vote]] = {}
    for vote in votes:
        groups.setdefault(vote.key, []).append(vote)
    return max(groups.values(), key=len)


def _consistency(
    question: Question, best: _Vote, prompt: Prompt, settings: ReasoningSettings
) -> Generator[list[Generation], list[Completion], float]:
    """1.0 when the thinking alone leads to the same answer, 0.0 to another or to none; NaN when the model failed."""
    again = prompt.check(best.thought)
    if again is None:
        return 0.0
    try:
        completions = yield _requests(again, 1, settings)
    except BackendError:
        return math.nan
    votes, _ = _read(again, question, completions)
    return float(bool(votes) and votes[0].key == best.key)


def with_age(answer: Answer, as_of_ns: int) -> Answer:
    """The answer with the age of what it rests on, at the ROS time that counts as now."""
    if not answer.seen_until_ns:
        return answer
    return dataclasses.replace(answer, stale_s=max(0, as_of_ns - answer.seen_until_ns) / NS_PER_S)


def _evidence(thought: Thought, chosen: Sequence[Observation]) -> tuple[Evidence, ...]:
    """The cited key frames; a position outside the prompt cites nothing, nor does one that is no key frame."""
    cited = [chosen[place] for place in thought.cited if 0 <= place < len(chosen)]
    return tuple(
        Evidence(
            camera=seen.camera,
            session=seen.session,
            index=seen.index,
            stamp_ns=seen.stamp_ns,
            text=clean(seen.words),
            pose=seen.pose,
        )
        for seen in cited
        if is_key_frame(seen)
    )


def _unsure_text(agree: int, votes: int, settings: ReasoningSettings) -> str:
    return (
        f'{agree} of {votes} thoughts agree, which is below min_confidence {settings.min_confidence:g}; '
        'look at the evidence, show the robot more, or ask for more votes'
    )


def _forced_text(unreadable: ReplyError | CannotTell | None) -> str:
    return f'the thought ended without an answer that can be read, and the likeliest choice is given: {unreadable}'


class _Clock:
    """Wall-clock seconds per stage."""

    def __init__(self) -> None:
        self.spans_s: dict[str, float] = {}
        self._last_s = time.monotonic()

    def stop(self, stage: str) -> None:
        now_s = time.monotonic()
        self.spans_s[stage] = now_s - self._last_s
        self._last_s = now_s
