"""Reading what models write."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.errors import ReplyError
from embodied_r_ros.core.motion import ACTIONS
from embodied_r_ros.core.replies import (
    Described,
    answer_end,
    normalise_action,
    read_description,
    read_short_answer,
    read_thinking,
    read_thought,
)

NEW = 'A red sofa is now ahead, 2.5 m away.'


@pytest.mark.parametrize(
    ('reply', 'action', 'text'),
    [
        pytest.param('{"action": "rotate left", "new": "%s"}' % NEW, 'rotate left', NEW, id='json'),
        pytest.param('{"view": "%s"}' % NEW, '', NEW, id='json-first-frame'),
        pytest.param('{"relevant": "%s"}' % NEW, '', NEW, id='json-focus'),
        pytest.param(
            '```json\n{"action": "move forward", "new": "%s"}\n```' % NEW, 'move forward', NEW, id='json-in-fences'
        ),
        pytest.param('Sure!\n```\n{"new": "%s"}\n``` Done.' % NEW, '', NEW, id='json-between-words'),
        pytest.param(
            '{"action": "move forward", "new": "A red so', 'move forward', 'A red so', id='json-cut-in-a-string'
        ),
        pytest.param('{"action": "tilt upward", "new": "A \\', 'tilt upward', 'A', id='json-cut-in-an-escape'),
        pytest.param('{"action": "move left", "new": "x", "ex', 'move left', 'x', id='json-cut-in-a-key'),
        pytest.param('```json\n{"action": "move left", "new": ["x", "y"', 'move left', 'x; y', id='json-cut-in-a-list'),
        pytest.param(
            '{"action": "turned to the left", "new": "x"}', 'rotate left', 'x', id='json-action-in-other-words'
        ),
        pytest.param('{"action": null, "new": "x\ny"}', '', 'x\ny', id='json-raw-newline'),
        pytest.param('{"Action": "move up", "New": {"left": "sofa"}}', 'move upward', 'left: sofa', id='json-nested'),
        pytest.param(
            '{"action": "rotate right", "new": "x", "far": "door"}', 'rotate right', 'x door', id='json-other-keys'
        ),
        pytest.param('{"action": "", "new": ""}', '', '{"action": "", "new": ""}', id='json-empty-is-kept'),
        pytest.param('[1, 2]', '', '[1, 2]', id='json-of-another-kind-is-kept'),
        pytest.param(
            '1. Move forward\n2. %s\n3. None visible.' % NEW, 'move forward', f'{NEW} None visible.', id='numbered'
        ),
        pytest.param('1) Rotate left.\n\n2) %s' % NEW, 'rotate left', NEW, id='numbered-parentheses'),
        pytest.param('**1.** Move backward\n**2.** %s' % NEW, 'move backward', NEW, id='numbered-bold'),
        pytest.param('1. Action: tilt down\n2. New: %s' % NEW, 'tilt downward', NEW, id='numbered-and-labelled'),
        pytest.param('Action: move right\nNew: %s' % NEW, 'move right', NEW, id='labelled'),
        pytest.param('**Action:** move right\n**Observation:** %s' % NEW, 'move right', NEW, id='labelled-bold'),
        pytest.param('1. A sofa\n2. A door', '', 'A sofa A door', id='numbered-things'),
        pytest.param(
            'The sofa is 1.5 m away, the door 2.0 m, the bed 3.2 m.',
            '',
            'The sofa is 1.5 m away, the door 2.0 m, the bed 3.2 m.',
            id='distances-are-no-list',
        ),
        pytest.param(
            'The agent moved forward. %s' % NEW, 'move forward', f'The agent moved forward. {NEW}', id='prose'
        ),
        pytest.param('A street goes left of a tower.', '', 'A street goes left of a tower.', id='prose-without-action'),
        pytest.param('qwx ?', '', 'qwx ?', id='nonsense-is-kept'),
        pytest.param('A \x00sofa\ud800<|im_end|> left', '', 'A sofa\ufffd  left', id='cleaned'),
        pytest.param('{"new": "a \\u003c|im_end|> \\ud83d sofa"}', '', 'a   \ufffd sofa', id='json-escapes-cleaned'),
        pytest.param('<think>hm</think>{"new": "x"}', '', 'x', id='after-thinking'),
        pytest.param('<think>a sofa', '', 'a sofa', id='thinking-cut-off'),
        pytest.param(
            'As {"action": "...", "new": "..."}, so it went forward.</think>\n{"action":"move left","new":"x"}',
            'move left',
            'x',
            id='only-a-closing-tag-and-braces-in-the-thought',
        ),
        pytest.param('<think>a </think> ends it, so</think>{"new": "x"}', '', 'x', id='a-thought-quotes-its-tag'),
        pytest.param('A sofa.<think>more?', '', 'A sofa.', id='thinking-again-cut-off'),
        pytest.param('{"action": "向前移动", "new": "沙发"}', '', '向前移动: 沙发', id='action-in-another-language'),
        pytest.param('{"action": "向前移动"}', '', '向前移动', id='action-in-another-language-alone'),
        pytest.param('Action: 向前移动\nNew: 沙发', '', '向前移动: 沙发', id='labelled-in-another-language'),
    ],
)
def test_a_description_is_read(reply, action, text):
    assert read_description(reply) == Described(action=action, text=text)


def test_a_description_in_the_reasoning_field_is_read_where_the_content_is_empty():
    assert read_description('', 'I see {"new": "a sofa"}').text == 'a sofa'
    assert read_description('{"new": "a bed"}', 'I see a sofa').text == 'a bed'


@pytest.mark.parametrize('reply', ['', ' \n', '<think></think>', '{\n\n\n', '...'])
def test_an_empty_description_is_a_reply_error_that_keeps_the_raw_text(reply):
    with pytest.raises(ReplyError, match='a description was wanted') as caught:
        read_description(reply)
    assert caught.value.raw == reply


@pytest.mark.parametrize('action', ACTIONS)
def test_the_ten_actions_are_themselves(action):
    assert normalise_action(action) == action
    assert normalise_action(action.capitalize() + '.') == action


@pytest.mark.parametrize(
    ('text', 'action'),
    [
        ('moved forward 1.42 m, rotated left 32 deg', 'move forward'),
        ('Turn left', 'rotate left'),
        ('rotates 30 degrees to the right', 'rotate right'),
        ('pans slightly right', 'rotate right'),
        ('yaw clockwise', 'rotate right'),
        ('looking up', 'tilt upward'),
        ('tilts the camera down', 'tilt downward'),
        ('ascends', 'move upward'),
        ('flies down', 'move downward'),
        ('goes up and turns left', 'move upward'),
        ('walks straight ahead', 'move forward'),
        ('steps back', 'move backward'),
        ('strafe left', 'move left'),
        ('stayed still', ''),
        ('a house', ''),
        ('', ''),
    ],
)
def test_actions_are_normalised_to_the_ten(text, action):
    assert normalise_action(text) == action


@pytest.mark.parametrize(
    ('text', 'reasoning', 'thinking', 'answer'),
    [
        pytest.param('<think>t</think><answer>B</answer>', '', 't', 'B', id='tags'),
        pytest.param('<THINK>t</THINK>\n<Answer> B </Answer>', '', 't', 'B', id='case'),
        pytest.param('t\n<answer>B</answer>', '', 't', 'B', id='no-think-tags'),
        pytest.param('t</think><answer>B</answer>', '', 't', 'B', id='opening-tag-in-the-template'),
        pytest.param('<think>t <answer>B</answer>', '', 't', 'B', id='think-not-closed'),
        pytest.param('<think>t</think><answer>B', '', 't', 'B', id='answer-not-closed'),
        pytest.param('<answer>B</answer>', 't', 't', 'B', id='reasoning-field'),
        pytest.param('', '<think>t</think><answer>B</answer>', 't', 'B', id='all-in-the-reasoning-field'),
        pytest.param('', 't <answer>B</answer>', 't', 'B', id='all-in-the-reasoning-field-untagged'),
        pytest.param('<think>a</think>b<answer>B</answer>', '', 'a\nb', 'B', id='words-between'),
        pytest.param('<think>t</think><answer>the red sofa</answer>. Bye', '', 't', 'the red sofa', id='words-after'),
        pytest.param('<think>a </think> b</think><answer>B</answer>', '', 'a  b', 'B', id='a-thought-quotes-its-tag'),
        pytest.param(' b</think><answer>B</answer>', 'a', 'a\nb', 'B', id='split-at-a-quoted-tag'),
        pytest.param('<answer>B</answer>', 'so <answer>C</answer>', 'so <answer>C</answer>', 'B', id='two-answers'),
        pytest.param('<think>a\x1b<|im_end|></think><answer>B\ud800</answer>', '', 'a', 'B\ufffd', id='cleaned'),
    ],
)
def test_a_thought_is_split(text, reasoning, thinking, answer):
    assert read_thought(text, reasoning) == (thinking, answer)


@pytest.mark.parametrize(
    'text',
    [
        pytest.param('<think>t</think><answer>B</answer>', id='tags'),
        pytest.param('t</think> <ANSWER> B </ Answer>', id='opening-tag-in-the-template'),
        pytest.param('<think>so <answer>C</answer></think><answer>B</answer>', id='rehearsed-in-the-thought'),
    ],
)
def test_a_reply_is_over_behind_the_answer_that_follows_its_thinking(text):
    assert answer_end(text + ' and <answer>more</answer>') == len(text)
    assert all(answer_end(text[:end]) == -1 for end in range(len(text)))


@pytest.mark.parametrize('text', ['', 'B', '<answer>B</answer>', '<think>so <answer>B</answer>', '</think></answer>'])
def test_a_reply_whose_thinking_has_not_ended_is_not_over(text):
    assert answer_end(text) == -1


@pytest.mark.parametrize(
    ('is_cut', 'advice'),
    [(True, 'it was cut off there; allow more max_tokens'), (False, 'the model ended it there; take one that was')],
)
def test_only_a_reply_that_was_cut_off_is_said_to_need_more_tokens(is_cut, advice):
    with pytest.raises(ReplyError, match=advice):
        read_thought('<think>on and on', is_cut=is_cut)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('', "a thought and an answer were wanted, the model wrote ''", id='empty'),
        pytest.param('<think>on and on', 'an <answer> block was wanted', id='cut-off'),
        pytest.param('<think>t <answer>B</answer></think>', 'an <answer> block was wanted', id='answer-in-think-only'),
        pytest.param(
            '<answer>A</answer> <answer>A</answer>', 'one <answer> block was wanted, the reply has 2', id='two'
        ),
        pytest.param('<answer> </answer>', 'inside the <answer> block', id='empty-block'),
    ],
)
def test_an_unreadable_thought_is_a_reply_error_that_keeps_the_raw_text(text, message):
    with pytest.raises(ReplyError, match=message) as caught:
        read_thought(text)
    assert caught.value.raw == text


@pytest.mark.parametrize(
    ('text', 'reasoning', 'thinking'),
    [
        pytest.param('<think>on and on', '', 'on and on', id='cut-off'),
        pytest.param('on</think> and <answer>Q</answer>', '', 'on\nand', id='answer'),
        pytest.param('<think>on <answer>B</answer></think>', '', 'on <answer>B</answer>', id='answer-in-think-only'),
        pytest.param('', 'on', 'on', id='reasoning-field'),
        pytest.param('and', 'on', 'on\nand', id='both'),
        pytest.param('', '', '', id='nothing'),
    ],
)
def test_the_thinking_of_an_unreadable_thought_is_what_stands_before_its_answer(text, reasoning, thinking):
    assert read_thinking(text, reasoning) == thinking


@pytest.mark.parametrize(
    ('text', 'answer'),
    [('B', 'B'), ('<answer>B</answer>', 'B'), ('<think>t</think>B', 'B'), ('<think>t</think><answer>B', 'B')],
)
def test_a_short_answer_needs_no_tags(text, answer):
    assert read_short_answer(text) == answer


def test_an_empty_short_answer_is_a_reply_error():
    with pytest.raises(ReplyError, match='were wanted'):
        read_short_answer('')


@pytest.mark.parametrize(
    'reply',
    [
        pytest.param('{"new": ' + '[' * 40 + '"a sofa"' + ']' * 40 + '}', id='nested'),
        pytest.param('{"new": "a sofa", "x": ' + '[' * 100_000, id='nested-deeper-than-python-reads'),
        pytest.param('{"a": [' * 400 + '"a sofa"', id='nested-and-cut'),
        pytest.param('{"a": ' * 1500 + '"a sofa"' + '}' * 1500, id='nested-1500-deep'),
    ],
)
def test_a_nested_description_is_kept(reply):
    assert 'a sofa' in read_description(reply).text
