"""Thoughts whose end is known, to try a judge on: about simulated walks, worked, swapped by program, or only claims."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.asking import tie, understood
from embodied_r_ros.core.compact import CompactFormat, CompactPrompt, name_tokens
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.core.records import Completion, Question
from training.admission import Trial, Trials
from training.judge import Case
from training.paper_lessons import in_english
from training.world.questions import questions_about, until
from training.world.scene import make_walk
from training.world.swaps import claimed, swapped
from training.world.thoughts import Worked, think
from training.world.views import EXACT, KeyFrameRule, observe

# Walks of their own: lessons have seeds below 0, samples of the world count up from a million.
FIRST_WALK, WALKS_APART = 100_000, 10_000
# How often a swap is drawn anew until it leads to another of the choices.
SWAPS = 24


# How claims without evidence are put in the paper's words, where most but not all of them are cut off as conclusions.
CLAIMS = (
    'So it is {0}.',
    'The answer is {0}.',
    'I think it must be {0}.',
    'Clearly, {0} is the correct answer.',
    'Let me think about the question. Therefore it is {0}.',
    'Based on all the frames, I am sure that it is {0}.',
    'Let me recall the video. The right choice is therefore {0}, I believe.',
    'Everything that I saw points to {0}.',
)


def trials(count: int, seed: int = 0, compact: bool = True) -> Trials:
    """Thoughts about simulated walks, of the eight tasks in turn.

    Args:
        count: of each kind.
        seed: of the walks, below 90.
        compact: whether the judge is asked in the compact language; otherwise in the paper's words, and the thoughts
            are English.
    """
    kept: tuple[list[Trial], list[Trial], list[Trial]] = ([], [], [])
    walk_seeds = itertools.count(FIRST_WALK + WALKS_APART * seed)
    while min(map(len, kept)) < count:
        for found in _about_walk(next(walk_seeds), compact):
            for trials_, trial in zip(kept, found):
                trials_.extend([trial] if trial else [])
    true, swaps, claims = (trials_[:count] for trials_ in kept)
    return Trials(true=true, swapped=swaps, unsupported=claims)


def _about_walk(walk_seed: int, compact: bool) -> Iterator[tuple[Trial | None, Trial | None, Trial | None]]:
    """The trials of each question about a walk: true, swapped, unsupported."""
    rng, walk = random.Random(f'trials {walk_seed}'), make_walk(walk_seed)
    claims_rng = random.Random(f'claims {walk_seed}')
    observations = observe(walk, KeyFrameRule(), EXACT, rng)
    for sample in questions_about(walk, observations, TASKS, rng):
        question = Question(text=sample['question'], choices=tuple(sample['choices']))
        seen = until(observations, sample.get('end_s', math.inf))
        prompt = CompactFormat().ask(question, seen)
        parsed, log = understood(question.text, question.choices, seen)
        ask = tie(parsed, log)
        worked = think(log, ask, name_tokens(log.where_seen()))
        swaps = filter(None, (swapped(rng, ask, worked) for _ in range(SWAPS)))
        nouns = None if compact else ask.question.objects
        others = (_trial(question, prompt, other, nouns) for other in swaps)
        true = _trial(question, prompt, worked, nouns)
        other = next((other for other in others if other and other != true), None)
        claim, written = claims_rng.choice(_claims(question, prompt))
        thinking = claims_rng.choice(CLAIMS).format(question.choices[claim])
        if compact:
            thinking = claimed(claims_rng, ask, worked, written)
        yield true, other, Trial(case=_case(question, prompt, thinking, compact), leads_to=claim)


def _claims(question: Question, prompt: CompactPrompt) -> list[tuple[int, str]]:
    """The choices, each with an answer in the compact language that means it."""
    told = ((match_choice(words, question.choices), written) for written, words in prompt.answers().items())
    return [(choice, written) for choice, written in told if choice is not None]


def _trial(question: Question, prompt: CompactPrompt, worked: Worked, nouns: Sequence[str] | None) -> Trial | None:
    """A worked thought, in English where its nouns are told; None where its answer is none of the choices."""
    thought = prompt.read(Completion(text=worked.reply))
    choice = match_choice(thought.answer, question.choices)
    if choice is None:
        return None
    thinking = thought.raw_thinking if nouns is None else in_english(thought.thinking, nouns)
    return Trial(case=_case(question, prompt, thinking, nouns is None), leads_to=choice)


def _case(question: Question, prompt: CompactPrompt, thinking: str, compact: bool) -> Case:
    asked = prompt if compact else None
    return Case(question=question.text, choices=question.choices, thinking=thinking, asked=asked)
