"""Reading foreign text takes linear time: a megabyte of the worst case is read at once, whatever reads it."""

import contextlib
import time

import pytest

from embodied_r_ros.app.stages import Stages
from embodied_r_ros.core import answers, citations, questions, replies, words
from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.text import clean

LENGTH = 1_000_000
# A thousandth of a second per kilobyte; quadratic time would take minutes.
ALLOWED_S = 1.0

UNITS = {
    'a word before blanks': 'Frame' + ' ' * 400,
    'a word before a number': 'Frame 1 ',
    'a list of frames': 'Frames 1, 2 and 3, ',
    'a range of frames': 'Frame 1 to ',
    'lines': '\n',
    'lines with a word': 'wall\n',
    'blanks': ' ',
    'brackets of tags': '<',
    'tags begun': '<think',
    'tags opened': '<think>',
    'tags closed': '</think>',
    'answers opened': '<answer>',
    'JSON opened': '{"a":',
    'lists opened': '[',
    'quotation marks': '"',
    'code': '```',
    'lead-ins': 'Answer: ',
    'options': 'A. left ',
    'items': '1. ',
    'moves': 'moved forward a little ',
    'fillers': 'go to the ',
    'digits': '1',
    'commas': ',',
    'articles': 'a ',
    'one word': 'a',
    'combining marks': 'e\u0301',
    'a sign that stands for eighteen': '\ufdfa',
    'Han': '\u95e8',
    'Thai': '\u0e01',
}
READERS = {
    'clean': clean,
    'description': replies.read_description,
    'thought': replies.read_thought,
    'thought and answer': lambda text: replies.read_thought(f'<think>{text}</think><answer>{text}</answer>'),
    'short answer': replies.read_short_answer,
    'action': replies.normalise_action,
    'choice': lambda text: answers.match_choice(text, ['left', text[:100]]),
    'open answer': answers.same_words,
    'telling words': words.telling_words,
    'progress': lambda text: heard(text),
    # A thought is shorter when it comes here, and a question is refused when it is longer.
    'citations': lambda text: citations.cited_frames(text[: replies.MAX_REPLY_CHARS], 30),
    'renumbered': lambda text: citations.renumber(text[: replies.MAX_REPLY_CHARS], range(30)),
    'question': lambda text: questions.read_question(text[: answers.MAX_QUESTION_CHARS], ('to my left', 'behind me')),
}


def heard(text):
    stages = Stages(lambda *_: None, time.monotonic)
    for start in range(0, len(text), 50):
        stages.heard(text[start : start + 50])


@pytest.mark.parametrize('unit', UNITS.values(), ids=UNITS)
@pytest.mark.parametrize('read', READERS.values(), ids=READERS)
def test_a_megabyte_of_the_worst_case_is_read_at_once(read, unit):
    text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    begun_s = time.process_time()
    for start in ('', 'wall '):
        with contextlib.suppress(EmbodiedRError):
            read(start + text)
    assert time.process_time() - begun_s < ALLOWED_S
