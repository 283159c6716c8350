"""Thoughts whose end is known, to try a judge on: worked about simulated walks, true or swapped by program."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.coarse import coarse_log
from embodied_r_ros.core.compact import CompactFormat, CompactPrompt, name_tokens, tie
from embodied_r_ros.core.questions import TASKS, read_question
from embodied_r_ros.core.records import Completion, Question
from training.judge import Case, Trial
from training.world.questions import questions_about, until
from training.world.scene import make_walk
from training.world.swaps import swapped
from training.world.thoughts import Worked, think
from training.world.views import EXACT, KeyFrameRule, observe

# Walks of their own: lessons have seeds below 0, samples of the world count up from a million.
FIRST_WALK, WALKS_APART = 100_000, 10_000
# How often a swap is drawn anew until it leads to another of the choices.
SWAPS = 24


def trials(count: int, seed: int = 0, compact: bool = True) -> tuple[list[Trial], list[Trial]]:
    """Thoughts about simulated walks, of the eight tasks in turn.

    Args:
        count: of each kind.
        seed: of the walks, below 90.
        compact: whether the judge is asked in the compact language; otherwise in the paper's words, and the thoughts
            have their nouns.

    Returns:
        (worked thoughts, thoughts swapped to lead to another of the choices), `count` of each.
    """
    kept: tuple[list[Trial], list[Trial]] = ([], [])
    walk_seeds = itertools.count(FIRST_WALK + WALKS_APART * seed)
    while min(map(len, kept)) < count:
        for true, other in _about_walk(next(walk_seeds), compact):
            for trials_, trial in zip(kept, (true, other)):
                trials_.extend([trial] if trial else [])
    return kept[0][:count], kept[1][:count]


def _about_walk(walk_seed: int, compact: bool) -> Iterator[tuple[Trial | None, Trial | None]]:
    """The trials of each question about a walk."""
    rng, walk = random.Random(f'trials {walk_seed}'), make_walk(walk_seed)
    observations = observe(walk, KeyFrameRule(), EXACT, rng)
    for sample in questions_about(walk, observations, TASKS, rng):
        question = Question(text=sample['question'], choices=tuple(sample['choices']))
        seen = until(observations, sample.get('end_s', math.inf))
        prompt, log = CompactFormat().ask(question, seen), coarse_log(seen)
        ask = tie(read_question(question.text, question.choices, log.first_seen()), log)
        worked = think(log, ask, name_tokens(log.first_seen()))
        swaps = filter(None, (swapped(rng, ask, worked) for _ in range(SWAPS)))
        others = (_trial(question, prompt, other, compact) for other in swaps)
        true = _trial(question, prompt, worked, compact)
        yield true, next((other for other in others if other and other != true), None)


def _trial(question: Question, prompt: CompactPrompt, worked: Worked, compact: bool) -> Trial | None:
    """None where the answer is none of the choices."""
    thought = prompt.read(Completion(text=worked.reply))
    choice = match_choice(thought.answer, question.choices)
    if choice is None:
        return None
    thinking = thought.raw_thinking if compact else thought.thinking
    asked = prompt if compact else None
    case = Case(question=question.text, choices=question.choices, thinking=thinking, asked=asked)
    return Trial(case=case, leads_to=choice)
