"""Readers of foreign text take linear time: the worst cases of each pattern."""

from __future__ import annotations

import contextlib
import time

import pytest
from fake_time import FakeClock

from embodied_r_ros.app.stages import Stages
from embodied_r_ros.core.answers import match_choice, same_words, validate_question
from embodied_r_ros.core.citations import cited_frames, renumber
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.questions import read_question
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.core.replies import normalise_action, read_description, read_short_answer, read_thought
from embodied_r_ros.core.text import clean
from embodied_r_ros.core.words import telling_words
from embodied_r_ros.evaluation.phrase_reader import from_words, read_motion, read_sightings

CHOICES = ('lamp', 'sofa', 'red door', 'desk')
WINDOW = [
    from_words(1, 0, 1, '', 'sofa 20 deg left at 3.2 m'),
    from_words(1, 1, 2, 'moved forward 1.00 m', 'lamp 20 deg left at 3.2 m'),
]
PLAN = 'My instructions are: 1. go forward 3 m; 2. turn right 90 degrees; 3. go forward 2 m. Which step am I on?'
WHERE = CompactFormat().ask(Question(text='Where is the sofa now?'), WINDOW)
PROGRESS = CompactFormat().ask(Question(text=PLAN), WINDOW)
PAPER = PaperFormat().ask(Question(text='Where?', choices=CHOICES), WINDOW)


def read_as_thought(text):
    thought = PAPER.read(Completion(text=f'<think>{text}</think><answer>B</answer>'))
    return thought.cited, renumber(thought.thinking, [1, None])


def hear(text):
    stages = Stages(lambda *told: None, FakeClock())
    stages.begin('think')
    for start in range(0, len(text), 20):
        stages.heard(text[start : start + 20])


def ask_long(text):
    read_question(text[:16_384], (), [f'{index}{text[:60]}' for index in range(64)])


def ask_with_choices(text):
    choices = tuple(f'{index}{text[:2040]}' for index in range(3))
    validate_question(Question(text=text[:16_384], choices=choices))
    match_choice(text, choices)
    read_question('Which did I see first?', choices, ['sofa', 'lamp'])
    read_question(PLAN, choices, ['sofa', 'lamp'])


READERS = {
    'description': read_description,
    'action': normalise_action,
    'thought': read_as_thought,
    'bare thought': read_thought,
    'short answer': read_short_answer,
    'choice': lambda text: match_choice(text, CHOICES),
    'open answer': same_words,
    'citations': lambda text: cited_frames(text, 32),
    'renumbering': lambda text: renumber(text, range(32)),
    'words': telling_words,
    'conclusion': lambda text: PAPER.check(PAPER.read(Completion(text=f'<think>{text}</think><answer>B</answer>'))),
    'clean': clean,
    'stream': hear,
    'compact reply': lambda text: WHERE.read(Completion(text=f'<think> {text} </think> <answer> ahead </answer>')),
    'compact progress': lambda text: PROGRESS.read(Completion(text=f'{text} </think> <answer> i1 </answer>')),
    'question': ask_long,
    'choices': ask_with_choices,
    'motion': read_motion,
    'sightings': read_sightings,
}
UNITS = [
    *(
        ' ',
        '\n',
        '\n x',
        '\t',
        'a',
        '1',
        "'",
        '"',
        '\\',
        '.',
        '_',
        '-',
        '(',
        '<',
        '{',
        '[',
        '\x00',
        '\ud800',
        '\u0301',
        '\ufdfa',
    ),
    *(
        '. ',
        ', ',
        '; ',
        ' - ',
        '* ',
        '# ',
        '12 ',
        '1.\n',
        'A. ',
        'B\n',
        'so ',
        'the ',
        'the sofa ',
        '沙发',
        'の',
        '\u05d0\u05b0',
    ),
    *(
        '<think',
        '<think>',
        '</think>',
        '< / think ',
        '<answer>',
        '</answer>',
        '<answer> a </answer>\n',
        '<|im_end|>',
        '<b>',
    ),
    *(
        '```',
        '{"a":',
        '{"a": [',
        'Answer: ',
        'Action: ',
        'turn ',
        'moved slightly ',
        'turn left 90 deg ',
        'forward 2 m ',
    ),
    *(
        'Frame',
        'Frame ',
        'Frame 1 to ',
        'Frames 1, 2, 3, ',
        'Frames 0-99999, ',
        '1, ',
        'and 1 ',
        'because ',
        '\\boxed{',
    ),
    *('n1 o1 ', 'q1 n1 o1 ', 's1 forward 2m i1 ', 'now i', 'moved a, ', '5 deg left ', 'facing the ', 'not to '),
    *('not sure, ', 'cannot x ', 'B is wrong, ', 'not B, ', 'unclear '),
]
STARTS = ['', '<think>Frame', '{"action": "b', '1. a\n2.', 'Action: a\nNew: ', 'and ']


@pytest.mark.parametrize('chars', [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize('reader', READERS.values(), ids=READERS)
def test_a_reader_takes_linear_time(reader, chars):
    slowest = (0.0, '')
    for place, unit in enumerate(UNITS):
        text = f'{STARTS[place % len(STARTS)]}{unit * (chars // len(unit))}x'
        began = time.process_time()
        with contextlib.suppress(EmbodiedRError):
            reader(text)
        slowest = max(slowest, (time.process_time() - began, text[:40]))
    assert slowest[0] < 1.0, slowest  # a quadratic pattern takes seconds for 20,000 characters, hours for a million


@pytest.mark.parametrize('reader', READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    'text',
    [
        pytest.param('<think>x</think><answer>' + 'Answer: ' * 1024, id='answer-after-answer'),
        pytest.param('{"a": ' * 1500 + '1' + '}' * 1500, id='nested-1500-deep'),
        pytest.param('n1 o' + '1' * 5000 + ' <answer> ahead </answer>', id='a-tag-of-5000-digits'),
        pytest.param('go forward ' + '9' * 400 + ' m. turn left ' + '9' * 400 + ' degrees', id='numbers-of-400-digits'),
        pytest.param('sofa ' + '9' * 400 + ' deg left at ' + '9' * 400 + ' m', id='measures-of-400-digits'),
        pytest.param('{"new": ' + '9' * 5000 + ', "x": 1e999}', id='json-numbers'),
    ],
)
def test_odd_text_is_read_or_a_coded_error(reader, text):
    with contextlib.suppress(EmbodiedRError):
        reader(text)
