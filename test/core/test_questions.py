"""The English questions that are known: each phrasing reads to its task, things and options; others name the forms."""

from __future__ import annotations

import itertools
import re

import pytest

from embodied_r_ros.core.errors import UnsupportedQuestion
from embodied_r_ros.core.question_words import FAMILIES, action_word, direction_word, read_plan, turn_words
from embodied_r_ros.core.questions import FORMS, TASKS, read_question
from training.world.phrasings import ACTIONS, ORDINALS, PHRASINGS, SIDES

THINGS = {
    'plain': ('sofa', 'lamp', 'desk', 'door'),
    'of two words': ('floor lamp', 'coat rack', 'trash can', 'bus stop'),
    'odd': ('first aid kit', 'x-ray machine', 'tv stand', 'zebra crossing sign'),
    'one in another': ('door', 'fire door', 'light', 'traffic light'),
    'like other words': ('order desk', 'left luggage office', 'turnstile', 'way sign'),
    'with marks': ("chef's table", '3d printer', 'tag 7', 'r2-d2'),
}
ROUTES = ('left, then left', 'left, then right', 'right, then left', 'right, then right')


def phrasings(*tasks):
    """(phrasing, things) of tasks, each wording with each kind of things."""
    rows = [(text, names) for task in tasks for text in PHRASINGS[task] for names in THINGS.values()]
    ids = [f'{text[:34]} - {kind}' for task in tasks for text in PHRASINGS[task] for kind in THINGS]
    return pytest.mark.parametrize(('text', 'names'), rows, ids=ids)


def read(text, choices, names):
    return read_question(text, tuple(choices), [*names, 'window', 'stool'])


def sides():
    return pytest.mark.parametrize('words', SIDES, ids=lambda words: words['ahead'])


@sides()
@phrasings('landmark position')
def test_where_a_thing_is(text, names, words):
    parsed = read(text.format(*names), words.values(), names)
    assert (parsed.task, parsed.objects, parsed.family) == ('landmark position', names[:1], 'w4')
    assert parsed.options == words


@phrasings('counterfactual')
def test_where_a_thing_would_be_after_another_turn(text, names):
    for (number, ordinal), (side, other) in zip(
        enumerate(ORDINALS, 1), itertools.cycle([('left', 'right'), ('right', 'left')])
    ):
        parsed = read(text.format(*names, side=side, other=other, ordinal=ordinal), SIDES[1].values(), names)
        assert (parsed.task, parsed.objects, parsed.family) == ('counterfactual', names[:1], 'w4')
        assert (parsed.turn, parsed.side, parsed.options) == (number, side, SIDES[1])
    assert read(text.format(*names, side='left', other='right', ordinal='last'), (), names).turn == -1


@pytest.mark.parametrize('words', ACTIONS, ids=lambda words: words['forward'])
@phrasings('action generation')
def test_what_to_do_to_reach_a_thing(text, names, words):
    parsed = read(text.format(*names), words.values(), names)
    assert (parsed.task, parsed.objects, parsed.family, parsed.options) == ('action generation', names[:1], 'a4', words)


@phrasings('relative distance')
def test_which_thing_is_nearest(text, names):
    choices = [f'the {name}' for name in names[1:]]
    parsed = read(text.format(*names), choices, names)
    assert (parsed.task, parsed.objects) == ('relative distance', names)
    assert parsed.options == dict(zip(('q2', 'q3', 'q4'), choices))


@phrasings('relative direction')
def test_where_a_thing_is_for_one_who_stands_elsewhere(text, names):
    for family in ('q4', 'lr', 'lrb', 'w4', 'w8'):
        parsed = read(text.format(*names), FAMILIES[family], names)
        assert (parsed.task, parsed.objects, parsed.family) == ('relative direction', names[:3], family)
        assert parsed.options == {word: word for word in FAMILIES[family]}


@phrasings('route planning')
def test_which_turns_a_route_takes(text, names):
    parsed = read(text.format(*names), ROUTES, names)
    assert (parsed.task, parsed.objects) == ('route planning', names)
    assert parsed.options == {route.replace(', then', ''): route for route in ROUTES}


@phrasings('appearance order')
def test_in_which_order_things_were_seen(text, names):
    choices = [', '.join(order) for order in itertools.islice(itertools.permutations(names), 0, 24, 7)]
    parsed = read(text.format(list=', the '.join(names[:-1]) + f' and the {names[-1]}'), choices, names)
    assert (parsed.task, parsed.objects, parsed.family) == ('appearance order', names, 'order')
    assert parsed.options == {' '.join(f'q{names.index(name) + 1}' for name in c.split(', ')): c for c in choices}


PLAN = '1. go forward 3 m; 2. turn right 90 degrees; 3. go forward 1.5 m; 4. turn left 45 degrees'


@pytest.mark.parametrize('text', PHRASINGS['progress evaluation'])
def test_which_instruction_is_under_way(text):
    parsed = read(text.format(plan=PLAN), ('step 1', 'step 4'), ())
    assert parsed.task == 'progress evaluation'
    assert parsed.plan == (('forward', 6), ('right', 90), ('forward', 3), ('left', 45))
    assert parsed.options == {'i1': 'step 1', 'i4': 'step 4'}


@pytest.mark.parametrize('task', TASKS)
def test_each_form_that_is_named_to_people_is_read_without_choices_and_without_known_things(task):
    parsed = read_question(FORMS[task])
    assert (parsed.task, parsed.options) == (task, {})
    one, three = (
        {'landmark position', 'counterfactual', 'action generation'},
        {'relative direction', 'appearance order'},
    )
    counts = dict.fromkeys(one, 1) | dict.fromkeys(three, 3)
    counts |= {'progress evaluation': 0, 'route planning': 4, 'relative distance': 5}
    assert parsed.objects == ('sofa', 'lamp', 'desk', 'door', 'shelf')[: counts[task]]


@pytest.mark.parametrize(
    ('task', 'family'), [('landmark position', 'w8'), ('counterfactual', 'w8'), ('relative direction', 'q4')]
)
def test_an_open_question_is_answered_in_a_family_of_its_task(task, family):
    assert read_question(FORMS[task]).family == family


OTHER_WORDINGS = {
    'where, lower case': ('where is the sofa', SIDES[0].values(), 'landmark position', ('sofa',)),
    'where, shouted': ('WHERE IS THE SOFA?!', SIDES[0].values(), 'landmark position', ('sofa',)),
    'where, spaced': ('  Where  is the\nsofa ? ', SIDES[0].values(), 'landmark position', ('sofa',)),
    'to my left or right': ('On which side of me is the sofa?', ('left', 'right'), 'landmark position', ('sofa',)),
    'my thing': ('Where is my desk from where I stand?', SIDES[1].values(), 'landmark position', ('desk',)),
    'the last turn': (
        'Had my last turn been to the left rather than to the right, where would the sofa be now?',
        SIDES[0].values(),
        'counterfactual',
        ('sofa',),
    ),
    'the 2nd turn': ('If I had turned left at my 2nd turn, where would the sofa be?', (), 'counterfactual', ('sofa',)),
    'head for': ('Which way should I turn to head for the sofa?', ACTIONS[0].values(), 'action generation', ('sofa',)),
    'do first': ('What should I do first to get to the sofa?', ACTIONS[1].values(), 'action generation', ('sofa',)),
    'nearest, listed': (
        'Which is nearest to the sofa: the lamp or the desk?',
        (),
        'relative distance',
        ('sofa', 'lamp', 'desk'),
    ),
    'nearest, bare choices': (
        'Which is closest to the sofa?',
        ('lamp', 'desk'),
        'relative distance',
        ('sofa', 'lamp', 'desk'),
    ),
    'looking': (
        'Standing at the sofa and looking at the lamp, where is the desk?',
        FAMILIES['q4'],
        'relative direction',
        ('sofa', 'lamp', 'desk'),
    ),
    'turn around': (
        FORMS['route planning'],
        ('left, then around', 'right and back'),
        'route planning',
        ('sofa', 'lamp', 'desk', 'door'),
    ),
    'order of two': (
        'In which order did I see the desk and the sofa?',
        ('sofa, desk', 'desk, sofa'),
        'appearance order',
        ('desk', 'sofa'),
    ),
    'which first': (
        'Which did I see first, the desk or the sofa?',
        ('the sofa', 'the desk'),
        'appearance order',
        ('sofa', 'desk'),
    ),
    'which first, open': ('Which did I see first, the desk or the sofa?', (), 'appearance order', ('desk', 'sofa')),
}


@pytest.mark.parametrize(('text', 'choices', 'task', 'objects'), OTHER_WORDINGS.values(), ids=OTHER_WORDINGS)
def test_other_wordings_are_read(text, choices, task, objects):
    parsed = read_question(text, tuple(choices), ['sofa', 'lamp', 'desk', 'door'])
    assert (parsed.task, parsed.objects) == (task, objects)
    assert set(parsed.options.values()) == set(choices)


UNSUPPORTED = {
    'empty': ('', ()),
    'colour': ('What colour is the sofa?', ('red', 'blue')),
    'count': ('How many chairs did I see?', ('1', '2')),
    'yes or no': ('Is the sofa left of the lamp?', ('yes', 'no')),
    'why': ('Why is the sky blue?', ()),
    'no thing': ('Where am I?', ()),
    'how far': ('How far is the sofa from the lamp?', ('1 m', '2 m')),
    'farthest': ('Which is farthest from the sofa?', ('the lamp', 'the desk', 'the door')),
    'choices that are no directions': ('Where is the sofa now?', ('red', 'blue')),
    'two choices of one meaning': ('Where is the sofa now?', ('ahead', 'in front of me')),
    'a choice that is no action': ('What should I do next to get to the sofa?', ('turn left', 'sing')),
    'a choice that is no turn': (FORMS['route planning'], ('left, then left', 'left, then up')),
    'an order of other things': ('In which order did I see the sofa and the lamp?', ('sofa, lamp', 'lamp, desk')),
    'an order of five': ('In which order did I see the sofa, the lamp, the desk, the door and the bed?', ()),
    'nearest of one': ('Which of these is nearest to the sofa?', ('the lamp',)),
    'nearest of five': ('Which of these is nearest to the sofa?', tuple(f'the thing {n}x' for n in range(5))),
    'one instruction': ('My instructions are: 1. go forward 3 m. Which step am I on?', ('step 1', 'step 2')),
    'seventeen instructions': (f'The plan is: {"go forward 1 m; " * 17}. Which step am I on?', ()),
    'a step beyond the plan': (f'The plan is: {PLAN}. At which step of it am I?', ('step 1', 'step 5')),
    'a step twice': (f'The plan is: {PLAN}. At which step of it am I?', ('step 1', 'the first')),
    'no turn named': ('If I had turned left instead, which lamp would be nearest?', ()),
}  # fmt: skip


@pytest.mark.parametrize('name', ['box \\u', 'box \\1', 'box \\g<0>', 'box (', 'box ['])
def test_a_name_with_marks_of_a_pattern_is_a_name(name):
    assert read_question(f'Where is the {name} now?', (), [name]).objects == (name,)


@pytest.mark.parametrize('amount', ['9' * 400, '1.' + '9' * 400])
def test_a_number_without_end_is_no_instruction(amount):
    with pytest.raises(UnsupportedQuestion):
        read_question(f'1. go forward {amount} m; 2. turn left {amount} degrees. Which step am I on?')


@pytest.mark.parametrize(('text', 'choices'), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_any_other_question_is_unsupported_and_the_forms_are_named(text, choices):
    with pytest.raises(
        UnsupportedQuestion, match=f'the embedded reasoner cannot read {re.escape(repr(text))}'
    ) as caught:
        read_question(text, choices, ['sofa', 'lamp', 'desk', 'door'])
    assert all(f'[{task}] {form}' in str(caught.value) for task, form in FORMS.items())
    assert repr(list(choices)) in str(caught.value)


GUESSED = {
    'another time': ('Where was the sofa when I started?', SIDES[0].values()),
    'at the start': ('Where was the sofa at the start?', SIDES[0].values()),
    'before a turn': ('Where was the sofa before I turned?', SIDES[0].values()),
    'after a turn': ('Where will the sofa be after I turn left?', SIDES[0].values()),
    'supposed turn': ('Where would the sofa be if I turned around?', SIDES[0].values()),
    'supposed walk': ('Where would the sofa be if I had walked further?', SIDES[0].values()),
    'no turn': ('If I had not turned, where would the sofa be?', SIDES[0].values()),
    'side not': ('On which side is the sofa not?', ('left', 'right')),
    'own place': ('Where was I when I saw the sofa?', ()),
    'own way': ('Which way was I facing when I saw the sofa?', ('left', 'right')),
    'own turn': ('Which way did I turn at the sofa?', ('left', 'right')),
    'first turn': ('Which turn did I take first?', ('left', 'right')),
    'to buy': ('What should I buy first?', ('the sofa', 'the lamp')),
    'to avoid': ('What should I avoid on the way to the sofa?', ('turn left', 'turn right')),
    'not closest': ('Which of these is not closest to the sofa?', ('the lamp', 'the desk', 'the door')),
    'closest to me': ('Which is closest to me: the sofa, the lamp or the desk?', ()),
    'reverse order': ('In reverse order, which did I see: the sofa, the lamp and the desk?', ()),
    'alphabetical order': ('In which alphabetical order are the sofa, the lamp and the desk?', ()),
    'steps done': (f'My instructions are: {PLAN}. How many steps have I done?', ('1', '2')),
    'next step': (f'My instructions are: {PLAN}. Which step comes next?', ('step 1', 'step 2')),
    'way in all': (f'My instructions are: {PLAN}. How far do I walk in all?', ()),
}  # fmt: skip


@pytest.mark.parametrize(('text', 'choices'), GUESSED.values(), ids=GUESSED)
def test_a_question_that_only_looks_like_a_form_is_not_guessed_at(text, choices):
    with pytest.raises(UnsupportedQuestion):
        read_question(text, tuple(choices), ['sofa', 'lamp', 'desk', 'door'])


@pytest.mark.parametrize(
    ('choice', 'word'),
    [
        ('left', 'left'), ('to the right', 'right'), ('on my left-hand side', 'left'), ('in front of me', 'ahead'),
        ('straight ahead', 'ahead'), ('behind me', 'behind'), ('at the back', 'behind'), ('to the rear', 'behind'),
        ('front-left', 'front-left'), ('ahead and to the right', 'front-right'), ('behind, on the left', 'back-left'),
        ('back right', 'back-right'), ('Left', 'left'), ('left or right', ''), ('in front and behind', ''), ('up', ''),
        ('', ''),
    ],
)  # fmt: skip
def test_a_direction_is_read_from_english(choice, word):
    assert direction_word(choice) == word


@pytest.mark.parametrize(
    ('choice', 'word'),
    [
        ('go straight ahead', 'forward'), ('keep going', 'forward'), ('continue', 'forward'), ('walk on', 'forward'),
        ('move forward', 'forward'), ('turn left', 'turn-left'), ('rotate right', 'turn-right'),
        ('turn around', 'turn-around'),
        ('turn back', 'turn-around'), ('make a U-turn', 'turn-around'), ('turn 180 degrees', 'turn-around'),
        ('sing', ''), ('', ''),
    ],
)  # fmt: skip
def test_an_action_is_read_from_english(choice, word):
    assert action_word(choice) == word


@pytest.mark.parametrize(
    ('choice', 'words'),
    [
        ('left, then right', 'left right'), ('left and right', 'left right'), ('Turn left; turn back', 'left behind'),
        ('right/left', 'right left'), ('right, then turn around', 'right behind'), ('left, then up', ''), ('ahead', ''),
    ],
)  # fmt: skip
def test_turns_are_read_from_english(choice, words):
    assert turn_words(choice) == words


@pytest.mark.parametrize(
    ('text', 'plan'),
    [
        ('go forward 3 m', [('forward', 6)]),
        ('walk straight ahead for 2.5 metres, then turn left by 90 degrees', [('forward', 5), ('left', 90)]),
        ('turn to the right 45 deg; turn around', [('right', 45), ('right', 180)]),
        ('2 meters forward, turning left 20 degrees', [('forward', 4), ('left', 15)]),
        ('go forward 0.1 m; go forward 99 m', [('forward', 1), ('forward', 20)]),
        ('turn left 2 degrees; turn right 400 degrees', [('left', 15), ('right', 345)]),
        ('turn left; go forward', []),
    ],
    ids=[
        'metres', 'in words', 'around', 'the other way round', 'least and most metres', 'least and most degrees',
        'no amounts',
    ],
)  # fmt: skip
def test_instructions_are_read_on_the_coarse_grid(text, plan):
    assert list(read_plan(text)) == plan


@pytest.mark.parametrize(
    ('choices', 'options'),
    [
        (('step 2', 'step 3'), {'i2': 'step 2', 'i3': 'step 3'}),
        (('2', '3.'), {'i2': '2', 'i3': '3.'}),
        (('the second', 'the last'), {'i2': 'the second', 'i4': 'the last'}),
        (('turn right 90 degrees', 'go forward 1.5 m'), {'i2': 'turn right 90 degrees', 'i3': 'go forward 1.5 m'}),
        (
            ('2. turn right 90 degrees', '4. turn left 45 degrees'),
            {'i2': '2. turn right 90 degrees', 'i4': '4. turn left 45 degrees'},
        ),
    ],
    ids=['steps', 'numbers', 'ordinals', 'instructions', 'numbered instructions'],
)  # fmt: skip
def test_an_instruction_may_be_named_in_several_ways(choices, options):
    assert read_question(f'The plan is: {PLAN}. At which step of it am I?', choices).options == options
