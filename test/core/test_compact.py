"""The compact prompt format: what the embedded reasoner is told, how its replies are read, and what it must decline."""

from __future__ import annotations

import random
import re

import pytest

from embodied_r_ros.core.asking import tie
from embodied_r_ros.core.coarse import coarse_log
from embodied_r_ros.core.compact import (
    BOS,
    EOS,
    MAX_NAMES,
    MAX_STEPS,
    PAD,
    UNKNOWN,
    CompactFormat,
    conclusion_cut,
    name_tokens,
    vocabulary,
    write_check,
    write_plan,
)
from embodied_r_ros.core.errors import CannotTell, InputError, ReplyError, UnsupportedQuestion
from embodied_r_ros.core.formats import Thought
from embodied_r_ros.core.questions import FORMS, ParsedQuestion, read_question
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.evaluation.phrase_reader import from_words

SIDES = ('in front of me', 'to my right', 'behind me', 'to my left')


def seen(*entries):
    """Observations of (action, text) pairs."""
    return [
        from_words(session=1, index=10 + number, stamp_ns=number, action=action, text=text)
        for number, (action, text) in enumerate(entries)
    ]


FLAT = seen(
    ('', 'sofa 30 deg right at 3.0 m; floor lamp straight ahead at 2.0 m'),
    ('moved forward 1.00 m', 'nothing new'),
    ('rotated left 90 deg', 'desk straight ahead at 2.5 m'),
    ('moved forward 2.00 m', 'door 15 deg left at 4.0 m'),
    ('rotated right 45 deg', 'nothing new'),
)
NAMES = name_tokens(['sofa', 'floor lamp', 'desk', 'door'])
SOFA, LAMP, DESK, DOOR = NAMES.values()
LOG = (
    f's0 start see {SOFA} o0 right30deg 3m , {LAMP} o0 ahead 2m . s1 forward 1m . '
    f's2 left 90deg see {DESK} o2 ahead 2.5m . s3 forward 2m see {DOOR} o3 left15deg 4m . s4 right 45deg .'
)


def asked(text, choices=(), observations=FLAT):
    return CompactFormat().ask(Question(text=text, choices=tuple(choices)), observations)


def told(prompt):
    (message,) = prompt.messages
    assert message.role == 'user'
    return message.content


TURN_RIGHT = 'If I had turned right instead of left at my first turn, where would the sofa be now?'
ASKED = {
    'landmark position': ('Where is the sofa now?', SIDES, f'where q1 {SOFA} : w4 ?'),
    'open': ('Where is the floor lamp now?', (), f'where q1 {LAMP} : w8 ?'),
    'left or right': ('Where is the desk now?', ('left', 'right'), f'where q1 {DESK} : lr ?'),
    'counterfactual': (TURN_RIGHT, SIDES, f'where q1 {SOFA} if s2 right : w4 ?'),
    'action': ('What should I do next to get to the door?', (), f'go to q1 {DOOR} : a4 ?'),
    'distance': (
        'Which of these is closest to the desk?',
        ('the sofa', 'the floor lamp', 'the door'),
        f'nearest q1 {DESK} of q2 {SOFA} q3 {LAMP} q4 {DOOR} q5 {DOOR} ?',
    ),
    'direction': (
        'Standing at the sofa and facing the desk, where is the door?',
        ('front-left', 'front-right', 'back-left', 'back-right'),
        f'at q1 {SOFA} facing q2 {DESK} where q3 {DOOR} : q4 ?',
    ),
    'route': (
        FORMS['route planning'].replace('the lamp', 'the floor lamp'),
        (),
        f'from q1 {SOFA} facing q2 {LAMP} to q3 {DESK} to q4 {DOOR} ?',
    ),
    'order': (
        'In which order did I first see the desk, the sofa and the door?',
        ('sofa, desk, door', 'desk, door, sofa'),
        f'order q1 {DESK} q2 {SOFA} q3 {DOOR} ?',
    ),
    'progress': (
        'My instructions are: 1. go forward 1 m; 2. turn left 90 degrees; 3. go forward 3 m. Which step am I on?',
        ('step 1', 'step 2', 'step 3'),
        'plan i1 forward 1m i2 left 90deg i3 forward 3m now ?',
    ),
}


@pytest.mark.parametrize(('text', 'choices', 'words'), ASKED.values(), ids=ASKED)
def test_a_log_and_a_question_are_told_in_the_compact_language(text, choices, words):
    assert told(asked(text, choices)) == f'{LOG} {words}'


def test_a_thing_is_where_it_was_seen_last_but_counts_from_its_first_sighting_on_where_that_decides():
    again = seen(
        ('', 'sofa straight ahead at 4.0 m; desk straight ahead at 2.0 m'),
        ('rotated left 90 deg', 'nothing new'),
        ('moved forward 1.00 m', 'sofa 90 deg right at 3.0 m'),
    )
    newest = f's0 start see {DESK} o0 ahead 2m . s1 left 90deg . s2 forward 1m see {SOFA} o2 right90deg 3m .'
    assert told(asked('Where is the sofa now?', SIDES, again)).startswith(newest)
    first = f's0 start see {SOFA} o0 ahead 4m , {DESK} o0 ahead 2m .'
    for question in ('order', 'counterfactual'):
        text = ASKED[question][0].replace(' and the door', '').replace('desk, ', 'desk and ')
        assert told(asked(text, (), again)).startswith(first)


def test_a_thing_seen_only_after_the_supposed_turn_began_is_marked():
    text = TURN_RIGHT.replace('sofa', 'desk')
    assert told(asked(text, SIDES)) == f'{LOG} where q1 {DESK} now if s2 right : w4 ?'


def test_every_token_of_a_prompt_is_in_the_vocabulary():
    rng, words = random.Random(0), set(vocabulary())
    nouns = ['sofa', 'x-ray machine', 'first aid kit', 'TV stand', 'zebra', 'Büste', 'no. 7', "chef's table", 'hat']
    for _ in range(100):
        entries = []
        for _ in range(rng.randint(1, 20)):
            turned = f'rotated {rng.choice(["left", "right"])} {rng.randint(1, 180)} deg'
            action = rng.choice([turned, f'moved forward {rng.uniform(0, 12):.2f} m'])
            where = f'{rng.randint(1, 180)} deg {rng.choice(["left", "right"])} at {rng.uniform(0.1, 30):.1f} m'
            sighting = f'{rng.choice(nouns)} {where}'
            entries.append((action, rng.choice([sighting, 'nothing new'])))
        entries.append(('moved forward 1.00 m', 'sofa straight ahead at 2.0 m'))
        assert set(told(asked('Where is the sofa now?', SIDES, seen(*entries))).split()) <= words


def test_the_vocabulary_starts_with_the_special_tokens_and_has_each_word_once():
    words = vocabulary()
    assert words[:4] == [PAD, BOS, EOS, UNKNOWN]
    assert len(set(words)) == len(words) < 800
    assert not [word for word in words if ' ' in word]


def test_names_have_the_same_tokens_whatever_else_is_there():
    assert name_tokens(['sofa'])['sofa'] == SOFA
    many = name_tokens(f'thing {number}' for number in range(MAX_NAMES))
    assert len(set(many.values())) == MAX_NAMES
    assert set(many.values()) <= set(vocabulary())


def reply(prompt, thinking, answer):
    return prompt.read(Completion(text=f'<think> {thinking} </think> <answer> {answer} </answer>'))


ANSWERS = {
    'a side': ('landmark position', 'left', 'to my left'),
    'an open direction': ('open', 'front-left', 'front-left'),
    'an open action': ('action', 'turn-around', 'turn around'),
    'a thing': ('distance', 'q4', 'the door'),
    'the last thing, repeated': ('distance', 'q5', 'the door'),
    'an order': ('order', 'q2 q1 q3', 'sofa, desk, door'),
    'an order that is no choice': ('order', 'q3 q1 q2', 'door, desk, sofa'),
    'an open route': ('route', 'left behind', 'turn left, then turn back'),
    'an instruction': ('progress', 'i2', 'step 2'),
    'an instruction that is no choice': ('progress', 'i3', 'step 3'),
}


@pytest.mark.parametrize(('question', 'answer', 'words'), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_told_in_the_words_of_the_choices_or_of_the_question(question, answer, words):
    text, choices, _ = ASKED[question]
    assert reply(asked(text, choices), 'hm', answer).answer == words


def test_the_thinking_is_told_with_its_nouns_and_frames():
    thinking = f'p0 0deg 0 0 . q1 {SOFA} o0 right30deg 3m ; {LAMP} o0 ; {DESK} left'
    thought = reply(asked('Where is the sofa now?', SIDES), thinking, 'left')
    assert thought.thinking == 'p0 0deg 0 0 . q1 sofa (Frame 0) right 30deg 3m ; floor lamp (Frame 0) ; desk left'
    assert thought.raw_thinking == thinking


def test_only_sightings_that_were_looked_up_rightly_are_cited():
    prompt = asked('Where is the sofa now?', SIDES)
    assert reply(prompt, f'q1 {DOOR} o3 left ; q2 {SOFA} o0', 'left').cited == (0, 3)
    assert reply(prompt, f'q1 {DOOR} o2 left ; {SOFA} o0 ; q1 n99 o0', 'left').cited == ()
    assert reply(prompt, '', 'left').cited == ()


def test_progress_cites_the_frames_of_the_instruction_under_way():
    text, choices, _ = ASKED['progress']
    rows = (
        's1 forward 1m i1 forward 1m - 1m = 0m',
        's2 left 90deg i2 left 90deg - 90deg = 0deg',
        's3 forward 2m i3 forward 3m - 2m = 1m',
    )
    thinking = ' ; '.join(rows) + ' . now i3'
    assert reply(asked(text, choices), thinking, 'i3').cited == (3,)
    assert reply(asked(text, choices), thinking.replace('now i3', 'now i2'), 'i2').cited == (1, 2)


def test_a_reply_split_off_by_a_server_is_read_whole():
    prompt = asked('Where is the sofa now?', SIDES)
    thought = prompt.read(Completion(reasoning='hm', text='<answer> left </answer>'))
    assert (thought.raw_thinking, thought.answer) == ('hm', 'to my left')
    assert prompt.read(Completion(text='hm </think> <answer> left </answer> </s>')).answer == 'to my left'
    assert prompt.stop == ('</answer>',)


@pytest.mark.parametrize(
    'text',
    [
        '',
        '<think> hm </think>',
        '<think> hm </think> <answer> </answer>',
        '<think> hm </think> <answer> left',
        'left',
    ],
    ids=['nothing', 'no answer', 'an empty answer', 'cut off', 'bare'],
)
def test_a_malformed_reply_is_a_reply_error_that_keeps_it(text):
    with pytest.raises(ReplyError, match='wanted <think> ... </think> <answer> ... </answer>, got ') as caught:
        asked('Where is the sofa now?', SIDES).read(Completion(text=text))
    assert caught.value.raw == text


@pytest.mark.parametrize(
    ('question', 'answer', 'words'),
    [
        ('landmark position', 'front-left', 'ahead, right, behind, left, q1'),
        ('distance', 'q7', 'q1, q2, q3, q4'),
        ('progress', 'i4', 'i1, i2, i3'),
        ('route', 'left ahead', 'q1, q2, q3, q4, left, right, behind'),
    ],
)
def test_an_answer_that_is_none_of_the_questions_is_a_reply_error(question, answer, words):
    text, choices, _ = ASKED[question]
    with pytest.raises(ReplyError, match=f"the answer '{answer}' is none of {words}"):
        reply(asked(text, choices), 'hm', answer)


CANNOT_TELL = {
    'never seen': (
        'Where is the piano now?',
        "'piano' was not seen in the window; seen were: desk, door, floor lamp, sofa",
    ),
    'no such turn': (
        TURN_RIGHT.replace('first', 'third'),
        'the question is about turn 3, but the window holds 2 turns',
    ),
    'that very side': (
        TURN_RIGHT.replace('first', 'last').replace('instead of left', 'instead of right'),
        "supposes a turn to the right instead, but that turn went to 'right'",
    ),
}


@pytest.mark.parametrize(('text', 'message'), CANNOT_TELL.values(), ids=CANNOT_TELL)
def test_what_the_window_does_not_hold_cannot_be_told(text, message):
    with pytest.raises(CannotTell, match=message):
        asked(text, SIDES)


def test_nothing_seen_is_said():
    with pytest.raises(CannotTell, match="'sofa' was not seen in the window; seen were: nothing"):
        asked('Where is the sofa now?', SIDES, seen(('', 'nothing new')))


def test_what_was_seen_at_no_known_distance_is_not_told_as_never_seen():
    with pytest.raises(CannotTell, match=r"'sofa' was seen, but at no known distance, .* calibrate the camera"):
        asked('Where is the sofa now?', SIDES, seen(('', 'sofa 20 deg left; desk straight ahead at 2.0 m')))


def test_a_turn_that_swings_to_both_sides_cannot_be_told():
    swung = seen(
        ('', 'sofa straight ahead at 2.0 m'),
        ('rotated left 90 deg', 'desk straight ahead at 2.0 m'),
        ('rotated right 45 deg', 'door straight ahead at 2.0 m'),
    )
    with pytest.raises(CannotTell, match="but that turn went to 'both'"):
        asked(TURN_RIGHT, SIDES, swung)


def zigzag(moves):
    return seen(
        ('', 'sofa straight ahead at 2.0 m'),
        *[('rotated left 90 deg', f'thing {n} straight ahead at 2.0 m') for n in range(moves)],
    )


def test_a_window_of_too_many_moves_is_declined():
    assert told(asked('Where is the sofa now?', SIDES, zigzag(MAX_STEPS - 1)))
    with pytest.raises(
        CannotTell,
        match=f'the window holds {MAX_STEPS} moves, and the embedded reasoner follows at most {MAX_STEPS - 1}',
    ):
        asked('Where is the sofa now?', SIDES, zigzag(MAX_STEPS))
    assert CompactFormat().opening(zigzag(MAX_STEPS)) == ''


def test_a_window_of_too_many_things_is_declined():
    crowd = '; '.join(f'thing {number} straight ahead at 2.0 m' for number in range(MAX_NAMES))
    assert told(asked('Where is the thing 3 now?', SIDES, seen(('', crowd))))
    with pytest.raises(
        CannotTell, match=f'names {MAX_NAMES + 1} things, and the embedded reasoner tells at most {MAX_NAMES} apart'
    ):
        asked('Where is the thing 3 now?', SIDES, seen(('', f'{crowd}; sofa straight ahead at 2.0 m')))
    assert CompactFormat().opening(seen(('', f'{crowd}; sofa straight ahead at 2.0 m'))) == ''


@pytest.mark.parametrize('moves', [0, 1, MAX_STEPS - 1])
def test_every_prompt_about_the_same_observations_begins_with_their_opening(moves):
    opening = CompactFormat().opening(zigzag(moves))
    assert opening.startswith('s0 start see ')
    assert told(asked('Where is the sofa now?', SIDES, zigzag(moves))).startswith(f'{opening} where q1 ')
    action = 'What should I do next to get to the sofa?'
    assert told(asked(action, (), zigzag(moves))).startswith(f'{opening} go to q1 ')


def test_a_question_needs_an_observation():
    with pytest.raises(
        InputError, match='there is no observation to reason over; wait for key frames or widen the window'
    ):
        asked('Where is the sofa now?', SIDES, [])


def test_a_question_of_another_kind_is_declined_with_the_forms():
    with pytest.raises(UnsupportedQuestion, match=re.escape(FORMS['landmark position'])):
        asked('What colour is the sofa?', ('red', 'blue'))


@pytest.mark.parametrize('name', ['TV stand', 'First Aid Kit', 'x-ray machine', 'bus stop', "chef's table"])
def test_any_noun_is_asked_about_in_any_case(name):
    observations = seen(('', f'{name} 20 deg left at 3.0 m; lamp straight ahead at 2.0 m'))
    prompt = asked(f'Where is the {name} now?', SIDES, observations)
    token = name_tokens([name.lower()])[name.lower()]
    assert told(prompt).endswith(f'where q1 {token} : w4 ?')
    assert reply(prompt, f'q1 {token} o0', 'left').thinking == f'q1 {name.lower()} (Frame 0)'


@pytest.mark.parametrize('name', ['Büste', 'café table', 'no. 7', 'sofa (red)'])
def test_a_noun_of_other_letters_is_asked_about(name):
    observations = seen(('', f'{name} 20 deg left at 3.0 m; lamp straight ahead at 2.0 m'))
    assert told(asked(f'Where is the {name} now?', SIDES, observations)).endswith(' : w4 ?')


def checked(question, thinking, answer):
    text, choices, _ = ASKED[question]
    return asked(text, choices).check(Thought(thinking='', answer=answer, raw_thinking=thinking))


def test_a_check_asks_with_the_thinking_but_without_the_log_or_the_conclusion():
    thinking = f'q1 {SOFA} o0 right30deg 3m = 285deg left'
    prompt = checked('landmark position', thinking, 'to my left')
    assert told(prompt) == f'check where q1 {SOFA} : w4 ? given q1 {SOFA} o0 right30deg 3m = 285deg ?'
    assert reply(prompt, '', 'left').answer == 'to my left'


def test_a_check_of_a_counterfactual_is_told_as_it_is_taught():
    ask = tie(read_question(TURN_RIGHT, SIDES), coarse_log(FLAT))
    thinking = f'q1 {SOFA} o0 = 285deg left'
    assert told(checked('counterfactual', thinking, 'to my left')) == write_check(ask, NAMES, thinking)


def test_a_check_reads_the_question_as_it_was_read():
    prompt = asked('In which direction is the first aid kit?', SIDES, seen(('', 'first aid kit 20 deg left at 3.0 m')))
    (kit,) = name_tokens(['first aid kit']).values()
    thought = Thought(thinking='', answer='to my left', raw_thinking=f'q1 {kit} o0 = 345deg ahead')
    assert told(prompt).endswith(': w4 ?')
    assert told(prompt.check(thought)).startswith(f'check where q1 {kit} : w4 ?')


@pytest.mark.parametrize(
    ('question', 'thinking'),
    [('landmark position', 'left'), ('landmark position', ''), ('landmark position', '\u200b x')],
)
def test_there_is_no_check_of_a_thought_that_is_all_conclusion(question, thinking):
    assert checked(question, thinking, 'to my left') is None


@pytest.mark.parametrize(
    ('question', 'thinking', 'cut'),
    [
        ('landmark position', 'a = 285deg left', 'a = 285deg'),
        ('route planning', 'a right left . right left', 'a right left .'),
        ('appearance order', 'q1 o0 min q1 o0 . order q1 q2', 'q1 o0 min q1 o0 .'),
        ('appearance order', 'q1 o0 min q1 o0 . first q1', 'q1 o0 min q1 o0 .'),
        ('appearance order', 'q1 o0', 'q1 o0'),
        ('landmark position', '', ''),
    ],
)
def test_the_conclusion_of_a_thought_is_cut_off(question, thinking, cut):
    assert conclusion_cut(ParsedQuestion(task=question), thinking) == cut


def test_a_counterfactual_is_tied_to_the_steps_of_its_turn():
    log = coarse_log(FLAT)
    assert tie(read_question(TURN_RIGHT, SIDES), log).mirrored == (2,)
    assert tie(
        read_question(
            TURN_RIGHT.replace('first', 'last').replace('right', 'x').replace('left', 'right').replace('x', 'left'),
            SIDES,
        ),
        log,
    ).mirrored == (4,)


def test_a_plan_is_told_in_tokens():
    assert write_plan((('forward', 5), ('left', 345))) == 'i1 forward 2.5m i2 left 345deg'


def test_things_first_seen_at_one_step_are_told_in_the_order_of_the_only_choice_that_agrees():
    text = 'In which order did I first see the sofa, the floor lamp and the desk?'
    reply = Completion(text='<think> order q1 q2 q3 </think> <answer> q1 q2 q3 </answer>')
    only = asked(text, ('floor lamp, sofa, desk', 'desk, sofa, floor lamp', 'sofa, desk, floor lamp'))
    assert only.read(reply).answer == 'floor lamp, sofa, desk'
    none = asked(text, ('desk, floor lamp, sofa', 'desk, sofa, floor lamp', 'sofa, desk, floor lamp'))
    assert none.read(reply).answer == 'sofa, floor lamp, desk'
