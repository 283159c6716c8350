"""Lessons for any language model in the paper's prompt format: worked thoughts in English, questions in many words."""

from __future__ import annotations

import collections
import dataclasses
import random
import re
from collections.abc import Iterator, Sequence

from embodied_r_ros.core import question_words as forms
from embodied_r_ros.core.answers import letter, match_choice
from embodied_r_ros.core.asking import tie, understood
from embodied_r_ros.core.compact import CompactFormat, name_tokens
from embodied_r_ros.core.errors import InputError, ReplyError
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.questions import TASKS
from embodied_r_ros.core.reasoning import ReasoningSettings, choose
from embodied_r_ros.core.records import Completion, Message, Question
from embodied_r_ros.evaluation.samples import Sample, to_observations
from training.world.phrasings import PHRASINGS
from training.world.questions import Examiner, until
from training.world.scene import make_walk
from training.world.thoughts import think
from training.world.views import EXACT, ROBOT, KeyFrameRule, observe

QUESTIONS_PER_WALK = 4
LEGS = ((1, 2), (2, 4), (4, 8), (8, 12))
NOISY_SHARE, OPEN_SHARE = 0.3, 0.1
# Questions that make sense without their choices.
OPEN = (forms.LANDMARK_POSITION, forms.COUNTERFACTUAL, forms.ACTION_GENERATION, forms.RELATIVE_DIRECTION)

# The ways in which people ask beside those that the embedded reasoner reads.
PARAPHRASES = {
    forms.LANDMARK_POSITION: (
        'Tell me where I would find the {0} at this moment.',
        'Relative to where I am looking now, where is the {0}?',
        'I want to look at the {0}. To which side do I turn my head?',
        'What is the present direction of the {0} as seen from me?',
    ),
    forms.COUNTERFACTUAL: (
        'Imagine that I had gone {side} at the {ordinal} turn and not {other}. On which side would the {0} now be?',
        'What if the {ordinal} turn had been a turn to the {side}, not to the {other}? Where would I see the {0}?',
    ),
    forms.PROGRESS_EVALUATION: (
        'These are my orders: {plan}. How far have I come?',
        'Of the following instructions, which am I carrying out at this moment? {plan}.',
    ),
    forms.ACTION_GENERATION: (
        'I would like to go to the {0}. What do I do first?',
        'Pick the move that brings me towards the {0}.',
        'Suppose the {0} is my goal; which move comes next?',
    ),
    forms.RELATIVE_DISTANCE: (
        'What stands nearest to the {0}?',
        'Of these things, which has the shortest way to the {0}?',
        'Somebody waits at the {0}. Which of these can be reached from there in the fewest steps?',
    ),
    forms.RELATIVE_DIRECTION: (
        'My back is against the {0} and I look towards the {1}. Where do I see the {2}?',
        'Seen by somebody at the {0} who faces the {1}, where is the {2}?',
        'Picture yourself beside the {0}, with the {1} straight before you. On which side is the {2}?',
    ),
    forms.ROUTE_PLANNING: (
        'Beside the {0}, looking at the {1}: my way leads to the {1}, on to the {2} and on to the {3}. What are the '
        'two turns?',
        'Plan my turns: from the {0} straight to the {1}, from there to the {2}, and at last to the {3}.',
    ),
    forms.APPEARANCE_ORDER: (
        'Sort the {list} by the time at which they were first in view.',
        'Which of the {list} did I see first, which next, and so on?',
    ),
}

# What the compact language writes short, in the order in which it is spelt out.
_SPELT: tuple[tuple[str, str], ...] = (
    (r'\bp\d+ (\d+)deg (-?\d+) (-?\d+)', r'(\2, \3) facing \1 deg'),
    (r'\br\d (-?\d+) (-?\d+)', r'(\1, \2)'),
    (r'm (-?\d+) (-?\d+) \(', r'm by (\1, \2) to ('),
    (r'deg \((-?\d+, -?\d+\) facing)', r'deg at (\1'),
    (r'm \((-?\d+, -?\d+\) facing)', r'm from (\1'),
    (r'ahead from', 'ahead, from'),
    (r'= (\d+deg) (-?\d+) (-?\d+) (\(-?\d+, -?\d+\))', r'= \1, off by (\2, \3), so at \4'),
    (r'= (-?\d+) (-?\d+) dir ', r'= (\1, \2), direction '),
    (r'= (-?\d+) (-?\d+) dist (\d+) ', r'= (\1, \2), distance \3 for '),
    (r'\bs(\d+) ', r'step \1 '),
    (r'\bi(\d+)\b', r'instruction \1'),
    (r'\brest ', 'with a rest of '),
    (r'\bmin (\d+) ', r'the least is \1, '),
    (r'\bmin ', 'first is '),
    (r'\bnow ', 'now at '),
    (r'(\d)deg\b', r'\1 deg'),
    (r'(\d)m\b', r'\1 m'),
    (r' ([;.])(?= |$)', r'\1'),
    (r'\bdeg (?=[a-z-]+([;.]|$))', 'deg, '),
    (r'^(?=\(0, 0\))', 'start at '),
)


@dataclasses.dataclass(frozen=True)
class PaperLesson:
    """The chat turns of a prompt, and the reply that is learnt."""

    prompt: tuple[Message, ...]
    reply: str


def paper_lessons(seed: str) -> Iterator[PaperLesson]:
    """An endless stream about simulated walks; these have seeds below 0, which no evaluation has."""
    rng = random.Random(seed)
    asked: collections.Counter[tuple[str, ...]] = collections.Counter()
    while True:
        yield from _about_one_walk(rng, asked)


def paper_lessons_of(samples: Sequence[Sample], seed: str) -> Iterator[PaperLesson]:
    """Lessons about samples, without end, in a new order each time round, their choices too.

    Only thoughts that come to the sample's answer are taught; what was seen wrongly leads others astray.

    Raises:
        InputError: no thought comes to the answer of its sample.
    """
    rng = random.Random(seed)
    known = list(samples)
    while known:
        rng.shuffle(known)
        kept = []
        for sample in known:
            truth = sample['choices'][ord(sample['answer']) - ord('A')] if sample['choices'] else ''
            choices = rng.sample(sample['choices'], len(sample['choices']))
            lesson = _lesson(sample['question'], sample['question'], choices, truth, to_observations(sample))
            if lesson:
                kept.append(sample)
                yield lesson
        known = kept
    raise InputError(f'none of {len(samples)} samples can be worked out from its observations; take other ones')


def _about_one_walk(rng: random.Random, asked: collections.Counter[tuple[str, ...]]) -> Iterator[PaperLesson]:
    walk = make_walk(-rng.randrange(1, 2**40), rng.choice(LEGS), (5, 14), (2.0, 60.0))
    rule = KeyFrameRule.draw(rng)
    truth = observe(walk, rule, EXACT, random.Random(0))
    observations = observe(walk, rule, ROBOT, rng) if rng.random() < NOISY_SHARE else truth
    examiner = Examiner(walk, truth, rng, asked)
    for task in rng.choices(TASKS, k=QUESTIONS_PER_WALK):
        draft = examiner.draft(task)
        if draft is None:
            continue
        asked[draft.target] += 1
        plain, words = PHRASINGS[task][0], rng.choice(PHRASINGS[task] + PARAPHRASES[task])
        plain, words = (text.format(*draft.slots, **draft.extra) for text in (plain, words))
        choices = rng.sample(draft.choices, len(draft.choices))
        is_open = task in OPEN and rng.random() < OPEN_SHARE
        lesson = _lesson(plain, words, choices, draft.truth, until(observations, draft.end_s), is_open)
        if lesson:
            yield lesson


def _lesson(
    plain: str,
    words: str,
    choices: Sequence[str],
    truth: str,
    observations: Sequence[Observation],
    is_open: bool = False,
) -> PaperLesson | None:
    """A lesson; None where the worked thought does not come to the truth.

    Args:
        plain: the question as the embedded reasoner reads it.
        words: the question as it is asked.
        choices: of it.
        truth: the right one.
        observations: it is answered from these.
        is_open: whether the choices are kept back.
    """
    question = Question(text=plain, choices=tuple(choices))
    try:
        seen = choose(question, observations, ReasoningSettings().max_observations)
        parsed, log = understood(question.text, question.choices, seen)
        worked = think(log, tie(parsed, log), name_tokens(log.where_seen()))
        thought = CompactFormat().ask(question, seen).read(Completion(text=worked.reply))
    except (InputError, ReplyError, KeyError):
        return None
    right = match_choice(thought.answer, question.choices)
    if not truth or right != choices.index(truth):
        return None
    asked = PaperFormat().ask(Question(text=words, choices=() if is_open else question.choices), seen)
    thinking = f'{in_english(thought.thinking, parsed.objects)} So it is: {truth}.'
    answer = truth if is_open else letter(right)
    return PaperLesson(asked.messages, f'<think> {thinking} </think><answer> {answer} </answer>')


def in_english(thinking: str, nouns: Sequence[str]) -> str:
    """A thought that the compact format has read, with its tags and units spelt out.

    Args:
        thinking: as `core.formats.Thought` has it.
        nouns: of the things asked about, in their order.
    """
    for pattern, spelt in _SPELT:
        thinking = re.sub(pattern, spelt, thinking)
    named = {f'q{index}': noun for index, noun in enumerate(nouns, start=1)}
    for tag, noun in named.items():
        thinking = thinking.replace(f'{tag} {noun}', noun)
    thinking = re.sub(r'\bq\d\b', lambda tag: named.get(tag[0], tag[0]), thinking).strip(' .')
    return re.sub(r'(^|\. )([a-z])', lambda start: start[0].upper(), f'{thinking}.')
