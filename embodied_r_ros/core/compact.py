"""The embedded reasoner's prompt format: a log of coarse steps, a question in tags, a thought that looks up and adds.

    s0 start see n12 o0 right15deg 3m . s1 left 90deg . s2 forward 2m see n40 o2 ahead 4m . where q1 n12 : w4 ?

Step i is tagged s{i}, what is seen after it o{i}; things asked about are tagged q{k}. Names are mapped to name
tokens n{j} and back by program, so any noun will do. Questions are read by core.questions; nothing else is answered.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import zlib
from collections.abc import Iterable, Sequence

from embodied_r_ros.core.asking import Ask, log_for, tie
from embodied_r_ros.core.coarse import ANGLE_DEG, MAX_DISTANCE_CELLS, CoarseLog, CoarseStep, coarse_log
from embodied_r_ros.core.compact_words import amount, bearing, metres
from embodied_r_ros.core.conclusions import has_words
from embodied_r_ros.core.errors import CannotTell, InputError, ReplyError
from embodied_r_ros.core.following import astray
from embodied_r_ros.core.formats import Thought
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.one_of_several import meant
from embodied_r_ros.core.question_words import (
    ACTION_GENERATION,
    APPEARANCE_ORDER,
    COUNTERFACTUAL,
    FAMILIES,
    LANDMARK_POSITION,
    LEFT,
    MAX_INSTRUCTIONS,
    PROGRESS_EVALUATION,
    RELATIVE_DIRECTION,
    RELATIVE_DISTANCE,
    RIGHT,
    ROUTE_PLANNING,
)
from embodied_r_ros.core.questions import ParsedQuestion, read_question
from embodied_r_ros.core.records import Completion, Landmark, Message, Question
from embodied_r_ros.core.replies import MAX_REPLY_CHARS
from embodied_r_ros.core.text import clean

MAX_STEPS = 32
MAX_NAMES = 64
MAX_COORDINATE = 80
CANDIDATES = 4
PAD, BOS, EOS, UNKNOWN = '<pad>', '<s>', '</s>', '<unk>'
# The verdict on a thought that leads to no answer.
NOWHERE = '?'

_WORDS = (
    'start see stay forward left right ahead behind . , ; : ? = - where if go to at facing from nearest of '
    'order first plan now dir dist min rest check given drill'
).split()


def vocabulary() -> list[str]:
    """Every token of the compact language, special tokens first; the position is the token's id."""
    tokens = [PAD, BOS, EOS, UNKNOWN, '<think>', '</think>', '<answer>', '</answer>', *_WORDS]
    tokens += [*FAMILIES, *(word for family in FAMILIES.values() for word in family)]
    tokens += [f'{tag}{index}' for tag in 'sop' for index in range(MAX_STEPS + 1)]
    tokens += [f'q{index}' for index in range(1, 6)] + [f'r{index}' for index in range(1, 6)]
    tokens += [f'i{index}' for index in range(1, MAX_INSTRUCTIONS + 1)]
    tokens += [f'{angle}deg' for angle in range(0, 360, ANGLE_DEG)]
    tokens += [bearing(angle) for angle in range(ANGLE_DEG - 180, 181, ANGLE_DEG)]
    tokens += [metres(cells) for cells in range(MAX_DISTANCE_CELLS + 1)]
    tokens += [str(number) for number in range(-MAX_COORDINATE, 2 * MAX_COORDINATE + 1)]
    tokens += [f'n{index}' for index in range(MAX_NAMES)]
    return list(dict.fromkeys(tokens))


def name_tokens(names: Iterable[str]) -> dict[str, str]:
    """A name token for each name: the same for a name whatever else is in the log, as far as they do not collide."""
    tokens: dict[str, str] = {}
    taken: set[int] = set()
    for name in names:
        slot = zlib.crc32(name.encode()) % MAX_NAMES
        while slot in taken:
            slot = (slot + 1) % MAX_NAMES
        taken.add(slot)
        tokens[name] = f'n{slot}'
    return tokens


def write_log(log: CoarseLog, names: dict[str, str]) -> str:
    """The steps and sightings as tokens."""
    parts = []
    for index, step in enumerate(log.steps):
        part = f's{index} {amount(step)}'
        if step.sightings:
            seen = (f'{names[s.name]} o{index} {bearing(s.bearing)} {metres(s.cells)}' for s in step.sightings)
            part += ' see ' + ' , '.join(seen)
        parts.append(part)
    return ' . '.join(parts) + ' .'


def write_ask(ask: Ask, names: dict[str, str]) -> str:
    """The question as tokens."""
    question = ask.question
    tagged = [f'q{index} {names[name]}' for index, name in enumerate(question.objects, start=1)]
    if question.task == LANDMARK_POSITION:
        return f'where {tagged[0]} : {question.family} ?'
    if question.task == COUNTERFACTUAL:
        steps = ' '.join(f's{index}' for index in ask.mirrored)
        late = ' now' if ask.late else ''
        return f'where {tagged[0]}{late} if {steps} {question.side} : {question.family} ?'
    if question.task == ACTION_GENERATION:
        return f'go to {tagged[0]} : {question.family} ?'
    if question.task == RELATIVE_DIRECTION:
        return f'at {tagged[0]} facing {tagged[1]} where {tagged[2]} : {question.family} ?'
    if question.task == ROUTE_PLANNING:
        return f'from {tagged[0]} facing {tagged[1]} to {tagged[2]} to {tagged[3]} ?'
    if question.task == RELATIVE_DISTANCE:
        return f'nearest {tagged[0]} of {" ".join(tagged[1:])} ?'
    if question.task == APPEARANCE_ORDER:
        return f'{question.family} {" ".join(tagged)} ?'
    return f'plan {write_plan(question.plan)} now ?'


def write_plan(plan: Sequence[tuple[str, int]]) -> str:
    """Instructions as tokens, 'i1 forward 3m i2 left 90deg'."""
    return ' '.join(f'i{index} {amount(CoarseStep(kind, size))}' for index, (kind, size) in enumerate(plan, start=1))


def possible_answers(question: ParsedQuestion) -> list[str]:
    """Every answer that a question can have, as tokens."""
    tags = [f'q{index}' for index in range(1, len(question.objects) + 1)]
    if question.task == APPEARANCE_ORDER:
        taken = itertools.permutations(tags, 1 if question.family == 'first' else len(tags))
        return [' '.join(tags) for tags in taken]
    if question.task == RELATIVE_DISTANCE:
        return tags[1:]
    if question.task == ROUTE_PLANNING:
        return [' '.join(pair) for pair in itertools.product(FAMILIES['lrb'], repeat=2)]
    if question.task == PROGRESS_EVALUATION:
        return [f'i{index}' for index in range(1, len(question.plan) + 1)]
    return list(FAMILIES[question.family])


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
            astray=astray(thinking, self._ask, self._log, self._names) if self._wants_thought else '',
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
        ask = _as_taught(tie(parsed, log))
        names = name_tokens(log.where_seen())
        return CompactPrompt(f'{write_log(log, names)} {write_ask(ask, names)}', ask, log, names, note)

    def opening(self, observations: Sequence[Observation]) -> str:
        """The log, which precedes most questions; '' where the window is beyond what the reasoner was trained on."""
        log = coarse_log(observations)
        seen = log.where_seen()
        return '' if _too_much(len(log.steps), len(seen)) else write_log(log, name_tokens(seen))


def _as_taught(ask: Ask) -> Ask:
    """With as many candidates as the reasoner was taught to compare: the last one is repeated for those that lack."""
    question = ask.question
    count = len(question.objects) - 1
    if question.task != RELATIVE_DISTANCE or count >= CANDIDATES:
        return ask
    last, repeated = question.options.get(f'q{count + 1}'), range(count + 2, CANDIDATES + 2)
    padded = dataclasses.replace(
        question,
        objects=question.objects + question.objects[-1:] * len(repeated),
        options=question.options | ({} if last is None else {f'q{index}': last for index in repeated}),
    )
    return dataclasses.replace(ask, question=padded)


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


def write_check(ask: Ask, names: dict[str, str], thinking: str) -> str:
    """The consistency question: what was asked, and the thinking without its conclusion."""
    return f'check {write_ask(ask, names)} given {conclusion_cut(ask.question, thinking)} ?'


def conclusion_cut(question: ParsedQuestion, thinking: str) -> str:
    """The thinking up to, but without, the words that state the answer."""
    tokens = thinking.split()
    if question.task == APPEARANCE_ORDER:
        marks = [index for index, token in enumerate(tokens) if token in ('order', 'first')]
        return ' '.join(tokens[: marks[-1]] if marks else tokens)
    if question.task == ROUTE_PLANNING:
        return ' '.join(tokens[:-2])
    return ' '.join(tokens[:-1])
