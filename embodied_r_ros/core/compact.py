"""The embedded reasoner's prompt format: a log of coarse steps, a question in tags, a thought that looks up and adds.

Prompts and replies are in `core.compact_language`. Questions are read by core.questions; nothing else is answered.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from embodied_r_ros.core.coarse import CoarseLog, coarse_log
from embodied_r_ros.core.compact_language import (
    MAX_NAMES,
    MAX_STEPS,
    Ask,
    amount,
    bearing,
    conclusion_cut,
    log_for,
    metres,
    name_tokens,
    possible_answers,
    tie,
    write_ask,
    write_check,
    write_log,
)
from embodied_r_ros.core.conclusions import has_words
from embodied_r_ros.core.errors import CannotTell, InputError, ReplyError
from embodied_r_ros.core.following import astray
from embodied_r_ros.core.formats import Thought
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.one_of_several import meant
from embodied_r_ros.core.question_words import (
    APPEARANCE_ORDER,
    FAMILIES,
    LEFT,
    PROGRESS_EVALUATION,
    RIGHT,
    ROUTE_PLANNING,
)
from embodied_r_ros.core.questions import read_question
from embodied_r_ros.core.records import Completion, Landmark, Message, Question
from embodied_r_ros.core.replies import MAX_REPLY_CHARS
from embodied_r_ros.core.text import clean


class CompactPrompt:
    """A question in the compact language; implements `core.formats.Prompt`."""

    stop = ('</answer>',)
    options: tuple[str, ...] = ()

    def __init__(
        self,
        content: str,
        ask: Ask,
        log: CoarseLog,
        names: dict[str, str],
        note: str = '',
        *,
        wants_thought: bool = True,
    ) -> None:
        self.messages = (Message(role='user', content=content),)
        self._ask, self._question, self._log, self._names, self._note = ask, ask.question, log, names, note
        self._wants_thought = wants_thought

    def force(self, completion: Completion) -> None:
        """Nothing: this reasoner was taught to answer after its thought alone."""

    def check(self, thought: Thought) -> CompactPrompt | None:
        """Ask for the answer that the thinking alone leads to; its own last words are left out.

        None where nothing is left.
        """
        if not has_words(conclusion_cut(self._ask.question, thought.raw_thinking)):
            return None
        content = write_check(self._ask, self._names, thought.raw_thinking)
        return CompactPrompt(content, self._ask, self._log, self._names, wants_thought=False)

    def read(self, completion: Completion) -> Thought:
        """Read '<think> ... </think> <answer> ... </answer>'.

        Raises:
            ReplyError: the reply is not of that form, or the answer is no word of the question's answers.
        """
        text = clean(f'{completion.reasoning} {completion.text}'[-MAX_REPLY_CHARS:]).strip()
        start = text.find('<answer> ', max(0, text.rfind('</think>')))
        answer, closed, _ = text[start:].removeprefix('<answer> ').partition(' </answer>')
        if start < 0 or not closed or not answer.strip() or '<' in answer:
            raise ReplyError(f'wanted <think> ... </think> <answer> ... </answer>, got {text[-120:]!r}', text)
        thinking = text[:start].strip().removeprefix('<think>').removesuffix('</think>').strip()
        return Thought(
            thinking=self._note + self._english(thinking),
            answer=self._answer(answer.strip(), text),
            cited=self._cited(thinking),
            raw_thinking=thinking,
            astray=astray(thinking, self._moves(), self._sightings()) if self._wants_thought else '',
        )

    def answers(self) -> dict[str, str]:
        """Every answer that the question can have: in the compact language, and in words as `read` tells it."""
        return {answer: self._answer(answer, '') for answer in possible_answers(self._question)}

    def _answer(self, answer: str, text: str) -> str:
        question = self._question
        if answer in question.options:
            return question.options[answer]
        if question.task == APPEARANCE_ORDER:
            alike = [words for tags, words in question.options.items() if self._steps(tags) == self._steps(answer)]
            if len(alike) == 1:
                return alike[0]
        words = {
            word: word.replace('-', ' ') if question.family == 'a4' else word
            for word in FAMILIES.get(question.family, ())
        }
        words |= {f'q{index}': name for index, name in enumerate(question.objects, start=1)}
        words |= {f'i{index}': f'step {index}' for index in range(1, len(question.plan) + 1)}
        if question.task == ROUTE_PLANNING:
            words |= {'left': 'turn left', 'right': 'turn right', 'behind': 'turn back'}
        parts = answer.split()
        if not all(part in words for part in parts):
            raise ReplyError(f'the answer {answer[:120]!r} is none of {", ".join(words)}', text)
        return (', then ' if question.task == ROUTE_PLANNING else ', ').join(words[part] for part in parts)

    def _steps(self, tags: str) -> list[int]:
        """The steps after which things were first seen: those seen at one step are in no order of their own."""
        seen = self._log.where_seen()
        steps = {f'q{index}': seen[name][0] for index, name in enumerate(self._question.objects, start=1)}
        return [steps.get(tag, -1) for tag in tags.split()]

    def _moves(self) -> list[str]:
        """The moves that a thought writes."""
        if self._question.task == APPEARANCE_ORDER:
            return []
        if self._question.task == PROGRESS_EVALUATION:
            return [
                f's{index} {amount(s)}' for index, s in enumerate(self._log.steps) if s.kind not in ('start', 'stay')
            ]
        taken, supposed = (
            [f's{index} {amount(step)}' for index, step in enumerate(log.steps)]
            for log in (self._log, self._log.mirrored(self._ask.mirrored))
        )
        return taken[1:] + supposed[self._ask.mirrored[0] :] if self._ask.late else supposed[1:]

    def _sightings(self) -> list[str]:
        """The sightings that a thought looks up."""
        seen = self._log.where_seen()
        tagged = [
            (f'q{index} {self._names[name]}', *seen[name]) for index, name in enumerate(self._question.objects, 1)
        ]
        if self._question.task == APPEARANCE_ORDER:
            return [f'{tag} o{step}' for tag, step, _ in tagged]
        return [f'{tag} o{step} {bearing(at.bearing)} {metres(at.cells)}' for tag, step, at in tagged]

    def _cited(self, thinking: str) -> tuple[int, ...]:
        """The frames of the sightings that the thought looked up; for progress, of the instruction it ended in."""
        if self._question.task == PROGRESS_EVALUATION:
            now = re.search(r'now (i\d{1,3})', thinking)
            steps = [
                int(s)
                for s, i in re.findall(r's(\d{1,3}) \S{1,99} \S{1,99} (i\d{1,3})', thinking)
                if now and i == now[1]
            ]
            found = {frame for step in steps if step < len(self._log.steps) for frame in self._log.steps[step].frames}
            return tuple(sorted(found))
        names = {token: name for name, token in self._names.items()}
        seen = self._log.where_seen()
        looked_up = re.findall(r'q\d (n\d{1,3}) o(\d{1,3})', thinking)
        return tuple(
            sorted(
                {
                    seen[names[token]][1].frame
                    for token, tag in looked_up
                    if token in names and names[token] in seen and seen[names[token]][0] == int(tag)
                }
            )
        )

    def _english(self, thinking: str) -> str:
        """The thought with its nouns and bearings, and with the frames it looks up named."""
        names = {token: name for name, token in self._names.items()}
        seen = self._log.where_seen()

        def frame(match: re.Match[str]) -> str:
            name = names.get(match[1], match[1])
            if name not in seen or seen[name][0] != int(match[2]):
                return f'{name} o{match[2]}'
            return f'{name} (Frame {seen[name][1].frame})'

        text = re.sub(r'(n\d{1,3}) o(\d{1,3})', frame, thinking)
        text = re.sub(rf'\b({LEFT}|{RIGHT})(\d{{1,3}}deg)', r'\1 \2', text)
        return re.sub(r'\bn\d{1,3}\b', lambda match: names.get(match[0], match[0]), text)


class CompactFormat:
    """The prompt format 'compact'; implements `core.formats.PromptFormat`."""

    id = 'compact-2'
    tells_places = False

    def ask(
        self, question: Question, observations: Sequence[Observation], places: Sequence[Landmark] = ()
    ) -> CompactPrompt:
        """Put what was measured and a question of the eight forms into the compact language.

        Raises:
            UnsupportedQuestion: the question is none of the forms.
            CannotTell: a thing asked about was never seen, or the window is beyond what the reasoner was trained on.
            InputError: there is no observation.
        """
        if not observations:
            raise InputError('there is no observation to reason over; wait for key frames or widen the window')
        newest = coarse_log(observations)
        seen = newest.where_seen()
        (text, *choices), note = meant([question.text, *question.choices], newest)
        parsed = read_question(text, choices, seen)
        asked = dict(zip(choices, question.choices))
        parsed = dataclasses.replace(parsed, options={key: asked[choice] for key, choice in parsed.options.items()})
        log = log_for(parsed, observations)
        trouble = _too_much(len(log.steps), len(seen))
        if trouble:
            raise CannotTell(trouble)
        ask = tie(parsed, log)
        names = name_tokens(log.where_seen())
        return CompactPrompt(f'{write_log(log, names)} {write_ask(ask, names)}', ask, log, names, note)

    def opening(self, observations: Sequence[Observation]) -> str:
        """The log, which precedes most questions; '' where the window is beyond what the reasoner was trained on."""
        log = coarse_log(observations)
        seen = log.where_seen()
        return '' if _too_much(len(log.steps), len(seen)) else write_log(log, name_tokens(seen))


def _too_much(steps: int, names: int) -> str:
    """In which way a log is beyond what the reasoner was trained on; '' where it is not."""
    if steps > MAX_STEPS:
        return (
            f'the window holds {steps - 1} moves, and the embedded reasoner follows '
            f'at most {MAX_STEPS - 1}; ask about a shorter one'
        )
    if names > MAX_NAMES:
        return f'the window names {names} things, and the embedded reasoner tells at most {MAX_NAMES} apart'
    return ''
