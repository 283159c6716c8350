"""What is left of a thought when its conclusion is cut off."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.conclusions import has_words, without_conclusion
from embodied_r_ros.core.records import Question

THINGS = ('the lamp', 'the bed', 'the red sofa', 'the door')
NEAREST = Question(text='Which of these is nearest to the desk?', choices=THINGS)
SIDES = Question(text='Where is the lamp now?', choices=('to my left', 'to my right', 'behind me'))
STEPS = Question(text='I was told: 1. go 3 m, 2. turn left. Which step am I on?', choices=('step 1', 'step 2'))
FACT = 'The sofa is 2 m off, the bed 3 m.'


@pytest.mark.parametrize(
    ('question', 'thinking', 'kept'),
    [
        # Claims, wherever they stand.
        pytest.param(NEAREST, f'{FACT} So it is the red sofa.', FACT, id='so-it-is'),
        pytest.param(NEAREST, f'{FACT}\nThe answer is C.', FACT, id='the-answer-is-its-letter'),
        pytest.param(NEAREST, f'{FACT} C', FACT, id='its-letter-alone'),
        pytest.param(NEAREST, f'The red sofa! {FACT} The red sofa.', FACT, id='its-words-before-and-behind'),
        pytest.param(
            NEAREST, f'{FACT} Therefore, the red sofa is nearest to the desk.', FACT, id='words-of-the-question'
        ),
        pytest.param(NEAREST, f'{FACT} Hence the correct answer must be option C: the red sofa.', FACT, id='both'),
        pytest.param(NEAREST, f'I think the answer is B. {FACT}', FACT, id='claim-before'),
        pytest.param(NEAREST, 'So it is the lamp.', '', id='nothing-but-a-claim'),
        pytest.param(NEAREST, 'It is the lamp. The lamp. A.', '', id='nothing-but-claims'),
        pytest.param(
            SIDES,
            'At 90 degrees. Based on all the frames, I am sure that it is to my left.',
            'At 90 degrees.',
            id='sure',
        ),
        pytest.param(STEPS, 'I went 2 m so far. Step 1', 'I went 2 m so far.', id='step-by-number'),
        # The end of the last sentence.
        pytest.param(
            NEAREST,
            'The sofa is 2 m off and the bed 3 m, so it is the red sofa.',
            'The sofa is 2 m off and the bed 3 m',
            id='clause',
        ),
        pytest.param(NEAREST, f'{FACT} Therefore the closest one is the red sofa.', FACT, id='other-words'),
        pytest.param(SIDES, 'I turned, which means that the lamp is now to my left.', 'I turned', id='which-means'),
        # Reasons stay.
        pytest.param(NEAREST, FACT, FACT, id='facts-name-choices'),
        pytest.param(NEAREST, 'The lamp is nearer than the bed.', 'The lamp is nearer than the bed.', id='comparison'),
        pytest.param(
            NEAREST, 'A lamp stands there. I see it.', 'A lamp stands there. I see it.', id='article-and-pronoun'
        ),
        pytest.param(SIDES, 'It was to my left. Then I turned.', 'It was to my left. Then I turned.', id='was'),
        pytest.param(SIDES, 'So I turned 90 degrees. I stopped.', 'So I turned 90 degrees. I stopped.', id='so-before'),
        pytest.param(SIDES, 'So it is 90 degrees to my left', 'So it is 90 degrees to my left', id='so-with-a-number'),
        pytest.param(SIDES, 'So far it stayed to my left', 'So far it stayed to my left', id='so-far'),
        pytest.param(Question(text='Where?'), 'So it is left.', 'So it is left.', id='open-question'),
        pytest.param(NEAREST, '', '', id='nothing'),
    ],
)
def test_claims_and_the_conclusion_are_cut_and_reasons_stay(question, thinking, kept):
    assert without_conclusion(thinking, question) == kept


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a', True),
        ('7', True),
        ('左', True),
        ('', False),
        (' \n', False),
        ('\u200b', False),
        ('...', False),
        ('\u2060-', False),
    ],
)
def test_words_are_what_can_be_read(text, expected):
    assert has_words(text) is expected
