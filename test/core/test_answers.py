"""Matching answers to choices, and checking questions."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.answers import clean_question, match_choice, same_words, validate_question
from embodied_r_ros.core.errors import InputError, ReplyError
from embodied_r_ros.core.prompts import PaperPrompt
from embodied_r_ros.core.records import Completion, Question

FOUR = ('lamp', 'sofa', 'red door', 'desk')


@pytest.mark.parametrize(
    ('answer', 'index'),
    [
        pytest.param('B', 1, id='letter'),
        pytest.param('b', 1, id='small-letter'),
        pytest.param(' B \n', 1, id='white-space'),
        pytest.param('(b)', 1, id='parentheses'),
        pytest.param('[B]', 1, id='brackets'),
        pytest.param('B.', 1, id='full-stop'),
        pytest.param('B)', 1, id='one-parenthesis'),
        pytest.param('**B**', 1, id='bold'),
        pytest.param('`B`', 1, id='code'),
        pytest.param('$\\boxed{B}$', 1, id='boxed'),
        pytest.param('"B"', 1, id='quoted'),
        pytest.param('Option B', 1, id='option'),
        pytest.param('option (b).', 1, id='option-parentheses'),
        pytest.param('Choice B', 1, id='choice'),
        pytest.param('Answer: B', 1, id='answer-colon'),
        pytest.param('The answer is B.', 1, id='the-answer-is'),
        pytest.param('The correct answer is option (B): the sofa.', 1, id='the-answer-is-with-words'),
        pytest.param('So, the answer is B', 1, id='so'),
        pytest.param('B is correct.', 1, id='is-correct'),
        pytest.param('B: the sofa', 1, id='colon-words'),
        pytest.param('B. The sofa.', 1, id='full-stop-words'),
        pytest.param('(B) sofa', 1, id='parentheses-words'),
        pytest.param('B - the sofa', 1, id='dash-words'),
        pytest.param('**B**: the sofa', 1, id='bold-words'),
        pytest.param('B sofa', 1, id='no-mark-words'),
        pytest.param('B: it stood left of me', 1, id='letter-and-a-reason'),
        pytest.param('sofa', 1, id='own-words'),
        pytest.param('The Sofa.', 1, id='own-words-case-article-point'),
        pytest.param('It is the sofa', 1, id='it-is'),
        pytest.param("It's a red door!", 2, id='its'),
        pytest.param('red-door', 2, id='punctuation'),
        pytest.param('A lamp', 0, id='article-before-own-words'),
        pytest.param('a sofa', 1, id='article-is-not-option-a'),
        pytest.param('A sofa', 1, id='capital-article-is-not-option-a'),
        pytest.param('A bed', None, id='article-before-another-noun'),
        pytest.param('a bed by the window', None, id='article-in-prose'),
        pytest.param('B: the lamp', None, id='letter-against-words'),
        pytest.param('A: sofa', None, id='article-letter-against-words'),
        pytest.param('B lamp', None, id='letter-against-words-no-mark'),
        pytest.param('E', None, id='letter-beyond-the-choices'),
        pytest.param('E: the sofa', None, id='letter-beyond-the-choices-with-words'),
        pytest.param('A or B', None, id='two-letters'),
        pytest.param('A, B', None, id='two-letters-comma'),
        pytest.param('A. or (C)', None, id='two-letters-marked'),
        pytest.param('not the sofa', None, id='negated'),
        pytest.param('the lamp next to the sofa', None, id='two-choices-named'),
        pytest.param('e.g. the sofa', None, id='eg-is-not-option-e'),
        pytest.param('', None, id='empty'),
        pytest.param('option', None, id='lead-in-only'),
    ],
)
def test_an_answer_means_a_choice(answer, index):
    assert match_choice(answer, FOUR) == index


@pytest.mark.parametrize(
    ('answer', 'choices', 'index'),
    [
        pytest.param('1.5 m', ('15 m', '1.5 m', '5 m'), 1, id='decimal-point'),
        pytest.param('-1', ('1', '-1'), 1, id='sign'),
        pytest.param('left', ('front left', 'left', 'back left'), 1, id='longer-choices-hold-it'),
        pytest.param('bed', ('bed', 'the bed'), 0, id='exact-before-article'),
        pytest.param('a bed', ('bed', 'the bed'), None, id='two-choices-alike'),
        pytest.param('A', ('B', 'A'), None, id='letter-and-own-words-at-odds'),
        pytest.param('A', ('A', 'B'), 0, id='choices-that-are-letters'),
        pytest.param('I go up and turn right', ('I descend.', 'I go up and turn right.'), 1, id='sentence'),
        pytest.param('Option one', ('option two', 'option one'), 1, id='choice-that-starts-with-option'),
        pytest.param('sofa, lamp, desk', ('lamp, sofa, desk', 'sofa, lamp, desk'), 1, id='order'),
        pytest.param('Z', tuple(f'thing {i}' for i in range(26)), 25, id='26-choices'),
        pytest.param('+', ('+', '-'), 0, id='no-words-at-all'),
    ],
)
def test_an_answer_means_one_of_these_choices(answer, choices, index):
    assert match_choice(answer, choices) == index


SIDES = ('on my right', 'on my left', 'behind me')


@pytest.mark.parametrize(
    ('answer', 'choices', 'index'),
    [
        pytest.param('选项B', FOUR, 1, id='chinese-option'),
        pytest.param('B选项', FOUR, 1, id='chinese-option-behind'),
        pytest.param('B项', FOUR, 1, id='chinese-item-behind'),
        pytest.param('B是正确的答案', FOUR, 1, id='chinese-is-the-right-answer'),
        pytest.param('選項B', FOUR, 1, id='chinese-option-traditional'),
        pytest.param('答：B', FOUR, 1, id='chinese-answer-short'),
        pytest.param('我认为答案是B', FOUR, 1, id='chinese-i-think'),
        pytest.param('我认为是B', FOUR, 1, id='chinese-i-think-it-is'),
        pytest.param('我认为不是B', FOUR, None, id='chinese-i-think-not'),
        pytest.param('应该是B', FOUR, 1, id='chinese-should-be'),
        pytest.param('不是B', FOUR, None, id='chinese-is-not'),
        pytest.param('不选B', FOUR, None, id='chinese-not-chosen'),
        pytest.param('I think B', FOUR, 1, id='i-think'),
        pytest.param('I believe that the answer is B', FOUR, 1, id='i-believe-that'),
        pytest.param('I would say the sofa', FOUR, 1, id='i-would-say'),
        pytest.param('I think a sofa', FOUR, 1, id='i-think-article'),
        pytest.param('I think A', FOUR, 0, id='i-think-letter-a'),
        pytest.param('I do not think B', FOUR, None, id='i-do-not-think'),
        pytest.param('I think not B', FOUR, None, id='i-think-not'),
        pytest.param('I think A or B', FOUR, None, id='i-think-hedge'),
        pytest.param('It must be B', FOUR, 1, id='it-must-be'),
        pytest.param('Most likely B', FOUR, 1, id='most-likely'),
        pytest.param('The letter is B', FOUR, 1, id='the-letter-is'),
        pytest.param('a choice', FOUR, None, id='article-before-choice'),
        pytest.param('<b>B</b>', FOUR, 1, id='html'),
        pytest.param('<p>The answer is <strong>B</strong>.<br/></p>', FOUR, 1, id='html-nested'),
        pytest.param('<b>A</b> or <b>B</b>', FOUR, None, id='html-hedge'),
        pytest.param('<B>', FOUR, 1, id='letter-in-angle-brackets'),
        pytest.param('The answer is B because ...', FOUR, 1, id='because-dots'),
        pytest.param('{"answer":"B"}', FOUR, 1, id='json'),
        pytest.param('{"answer": "sofa", "confidence": 0.9}', FOUR, 1, id='json-words'),
        pytest.param('{"answer":"A or B"}', FOUR, None, id='json-hedge'),
        pytest.param('Answer: ' * 1024, FOUR, None, id='lead-ins-without-end'),
        pytest.param('选项 B。', FOUR, 1, id='chinese-option-full-stop'),
        pytest.param('答案是B', FOUR, 1, id='chinese-answer'),
        pytest.param('答案：选项（B）', FOUR, 1, id='chinese-answer-option'),
        pytest.param('我选B，因为A在我后面', FOUR, 1, id='chinese-reason'),
        pytest.param('【B】', FOUR, 1, id='chinese-brackets'),
        pytest.param('Ｂ', FOUR, 1, id='full-width'),
        pytest.param('（Ｂ）', FOUR, 1, id='full-width-parentheses'),
        pytest.param('B。', FOUR, 1, id='ideographic-full-stop'),
        pytest.param('A或B', FOUR, None, id='chinese-hedge'),
        pytest.param('红色沙发', ('灯', '红色沙发'), 1, id='chinese-words'),
        pytest.param('答案是红色沙发。', ('灯', '红色沙发'), 1, id='chinese-answer-words'),
        pytest.param('B.红色沙发', ('灯', '红色沙发'), 1, id='chinese-letter-and-words'),
        pytest.param('A. 红色沙发', ('灯', '红色沙发'), None, id='chinese-letter-against-words'),
        pytest.param('ｒｅｄ　ｄｏｏｒ', FOUR, 2, id='full-width-words'),
        pytest.param('STRASSE', ('Platz', 'Straße'), 1, id='casefold'),
        pytest.param('cafe\u0301', ('bar', 'caf\u00e9'), 1, id='combining-accent'),
        pytest.param('The answer is B because A is behind me.', FOUR, 1, id='reason'),
        pytest.param('B because it is nearer than A', FOUR, 1, id='letter-and-reason'),
        pytest.param('B, since I turned left', SIDES, 1, id='letter-since'),
        pytest.param('The sofa, because I saw it last', FOUR, 1, id='words-and-reason'),
        pytest.param('because it rained', ('because it snowed', 'because it rained'), 1, id='choices-that-are-reasons'),
        pytest.param('Because A is near', FOUR, None, id='reason-alone'),
        pytest.param('I turned left, so the answer is B.', FOUR, 1, id='reason-first'),
        pytest.param('The answer is $\\boxed{\\text{B}}$.', FOUR, 1, id='boxed-in-a-sentence'),
        pytest.param('**The answer is: B**', FOUR, 1, id='bold-sentence'),
        pytest.param('B\n\nThe sofa stands there.', FOUR, 1, id='next-line'),
        pytest.param('**Answer:**\nB', FOUR, 1, id='lead-in-on-its-own-line'),
        pytest.param('It’s the sofa', FOUR, 1, id='curly-apostrophe'),
        pytest.param('A. on my right  B. on my left', SIDES, None, id='list'),
        pytest.param('A. right B. left C. back', SIDES, None, id='list-in-other-words'),
        pytest.param('A. on my right\nB. on my left\nC. behind me', SIDES, None, id='list-in-lines'),
        pytest.param('(A) on my right (B) on my left', SIDES, None, id='list-in-parentheses'),
        pytest.param('a) on my right, b) on my left', SIDES, None, id='list-small'),
        pytest.param('A. on my right or on my left', SIDES, None, id='letter-and-hedge'),
        pytest.param('A. on my right or maybe on my left', SIDES, None, id='letter-and-maybe'),
        pytest.param('on my right and on my left', SIDES, None, id='words-and-words'),
        pytest.param('on my right/on my left', SIDES, None, id='slash'),
        pytest.param('either A or B', FOUR, None, id='either'),
        pytest.param('both A and B', FOUR, None, id='both'),
        pytest.param('A/B', FOUR, None, id='letters-slash'),
        pytest.param('A & B', FOUR, None, id='letters-ampersand'),
        pytest.param('A or E', FOUR, None, id='hedge-beyond-the-choices'),
        pytest.param('B or B', FOUR, 1, id='twice-the-same'),
        pytest.param('not B', FOUR, None, id='not'),
        pytest.param('The answer is not B.', FOUR, None, id='answer-is-not'),
        pytest.param('Not A or B', FOUR, None, id='not-either'),
        pytest.param('neither A nor B', FOUR, None, id='neither'),
        pytest.param('B is wrong', FOUR, None, id='wrong'),
        pytest.param('B is wrong, so A', FOUR, 0, id='wrong-so'),
        pytest.param('B, not A', FOUR, 1, id='rather-than'),
        pytest.param('B? No, A.', FOUR, None, id='change-of-mind'),
        pytest.param('everything but B', FOUR, None, id='all-but'),
        pytest.param('A sofa is to the left', SIDES, None, id='article-in-open-words'),
        pytest.param('I am behind', FOUR, None, id='pronoun'),
        pytest.param('I', tuple('bed sofa tap rug mug cup vase hat key'.split()), 8, id='letter-i'),
        pytest.param('Plan B', FOUR, None, id='letter-in-a-name'),
        pytest.param('vitamin', ('vitamin A', 'vitamin B'), None, id='name-without-its-letter'),
        pytest.param('vitamin B', ('vitamin A', 'vitamin B'), 1, id='name-with-its-letter'),
        pytest.param('front left', ('left', 'front left'), 1, id='substring'),
        pytest.param('B. left, then right', ('left', 'left, then right'), 1, id='longer-choice-first'),
        pytest.param('A. left, then right', ('left', 'left, then right'), None, id='letter-against-the-longer-choice'),
        pytest.param('sofa lamp', ('lamp, sofa', 'sofa, lamp'), 1, id='commas-left-out'),
        pytest.param('3', ('2', '3', '13'), 1, id='number'),
        pytest.param('B. 3', ('2', '3', '13'), 1, id='letter-and-number'),
        pytest.param('B. 13', ('2', '3', '13'), None, id='letter-against-number'),
        pytest.param('3 chairs', ('2', '3'), None, id='number-of-things'),
        pytest.param('−1', ('1', '-1'), 1, id='minus-sign'),
        pytest.param('Answer: 1.5 m', ('15 m', '1.5 m', '5 m'), 1, id='decimal-after-lead-in'),
        pytest.param('2', ('4', '3', '2'), 2, id='number-is-no-place'),
        pytest.param('/', ('/', '.'), 0, id='mark'),
        pytest.param('B. ' + 'It stands there. ' * 6000, FOUR, 1, id='letter-and-100-kB'),
        pytest.param('it stands there ' * 6000 + 'B', FOUR, None, id='letter-behind-100-kB'),
        pytest.param(' ' * 100_000 + 'B', FOUR, 1, id='letter-behind-100-kB-of-blanks'),
        pytest.param('option ' * 15_000, FOUR, None, id='100-kB-of-lead-ins'),
        pytest.param('...', FOUR, None, id='marks-only'),
    ],
)
def test_an_answer_in_other_forms_means_one_choice_or_none(answer, choices, index):
    assert match_choice(answer, choices) == index


HIDDEN = ('I see the sofa.', 'I cannot see the sofa, but I see a lamp.', 'The sofa is not within my field of view.')


@pytest.mark.parametrize(
    ('answer', 'choices', 'index'),
    [
        pytest.param('B. Not sure, perhaps C', FOUR, None, id='not-sure-perhaps-another'),
        pytest.param('B. Not sure', FOUR, None, id='not-sure'),
        pytest.param('B. I am not really certain.', FOUR, None, id='not-really-certain'),
        pytest.param("B. I'm unsure", FOUR, None, id='unsure'),
        pytest.param("B (I don't know)", FOUR, None, id='do-not-know'),
        pytest.param('B, but I cannot tell which', FOUR, None, id='cannot-tell-which'),
        pytest.param('B. It is not possible to say', FOUR, None, id='not-possible-to-say'),
        pytest.param('The sofa, though it is hard to say', FOUR, None, id='hard-to-say'),
        pytest.param('B. It cannot be determined', FOUR, None, id='cannot-be-determined'),
        pytest.param('B. It is unclear whether it is nearer', FOUR, None, id='unclear-whether'),
        pytest.param('Not sure, perhaps B', FOUR, None, id='not-sure-before'),
        pytest.param('B，不确定', FOUR, None, id='chinese-not-sure'),
        pytest.param('B，我不知道', FOUR, None, id='chinese-do-not-know'),
        pytest.param('B. the sofa is wrong', FOUR, None, id='its-words-are-wrong'),
        pytest.param('B. The sofa is not the answer', FOUR, None, id='its-words-are-not-the-answer'),
        pytest.param("B. That isn't right", FOUR, None, id='that-is-not-right'),
        pytest.param('B. Wrong!', FOUR, None, id='wrong-alone'),
        pytest.param('B? No.', FOUR, None, id='no-alone'),
        pytest.param('B. Option B is incorrect', FOUR, None, id='letter-is-incorrect'),
        pytest.param('B. It is not B', FOUR, None, id='is-not-its-letter'),
        pytest.param("B. It can't be the sofa", FOUR, None, id='cannot-be-its-words'),
        pytest.param('B，不对', FOUR, None, id='chinese-wrong'),
        pytest.param('B. 红色沙发不对', ('灯', '红色沙发'), None, id='chinese-words-are-wrong'),
        # Answers all the same.
        pytest.param('B. The lamp is wrong', FOUR, 1, id='another-is-wrong'),
        pytest.param('B. It is not the lamp', FOUR, 1, id='not-another'),
        pytest.param('B. A is not the answer', FOUR, 1, id='another-letter-is-not-the-answer'),
        pytest.param('It is not A. The answer is B.', FOUR, 1, id='not-another-first'),
        pytest.param('A is wrong, so it is B', FOUR, 1, id='another-is-wrong-first'),
        pytest.param('No, it is B', FOUR, 1, id='no-before'),
        pytest.param('B. It is not far off', FOUR, 1, id='not-in-a-description'),
        pytest.param('B, no doubt', FOUR, 1, id='no-doubt'),
        pytest.param('B. No other thing is nearer', FOUR, 1, id='no-other'),
        pytest.param('B. I cannot tell how far it is', FOUR, 1, id='cannot-tell-how-far'),
        pytest.param('B. The way there is not clear', FOUR, 1, id='not-clear-as-a-way'),
        pytest.param('B, most likely', FOUR, 1, id='most-likely-behind'),
        pytest.param('B, because I am not sure that it is A', FOUR, 1, id='not-sure-in-a-reason'),
        pytest.param('B，没错', FOUR, 1, id='chinese-not-wrong'),
        pytest.param('B. That is not wrong', FOUR, 1, id='not-wrong'),
        pytest.param('B. There is no lamp beside it', FOUR, 1, id='no-in-a-description'),
        pytest.param('A. It is not right', ('to the left', 'to the right'), 0, id='right-is-a-side'),
        pytest.param('A. I was wrong at first', SIDES, 0, id='wrong-at-first'),
        *(pytest.param(f'{"ABC"[i]}. {HIDDEN[i]}', HIDDEN, i, id=f'not-in-the-choice-{i}') for i in range(3)),
        *(pytest.param(HIDDEN[i], HIDDEN, i, id=f'not-in-the-choice-{i}-alone') for i in range(3)),
        pytest.param('B. I cannot see the sofa', HIDDEN, 1, id='part-of-a-choice-with-not'),
        pytest.param('C. Not within my field of view', HIDDEN, 2, id='end-of-a-choice-with-not'),
        pytest.param('B. I am not sure', ('yes', 'I am not sure'), 1, id='the-choice-is-a-doubt'),
        pytest.param('B. Cannot be determined', ('left', 'Cannot be determined'), 1, id='the-choice-is-cannot-tell'),
        pytest.param('B. No', ('yes', 'no'), 1, id='the-choice-is-no'),
        pytest.param('A. No', ('yes', 'no'), None, id='the-other-choice-is-no'),
    ],
)
def test_an_answer_that_doubts_or_takes_itself_back_means_none(answer, choices, index):
    assert match_choice(answer, choices) == index


EIGHT = ('bed', 'sofa', 'tap', 'rug', 'mug', 'cup', 'vase', 'hat')


def read_and_match(reply, choices):
    """What the robot does with a reply: the answer block is read, then matched; None where it is unreadable."""
    try:
        return match_choice(PaperPrompt((), 0, Question(text='Which?')).read(Completion(text=reply)).answer, choices)
    except ReplyError:
        return None


# The numbered weaknesses of the reference implementation's rewards, one or more rows each.
@pytest.mark.parametrize(
    ('reply', 'choices', 'index'),
    [
        *(
            pytest.param(f'<think>x</think><answer>{prose}</answer>', EIGHT, None, id=f'1-prose-{prose.split()[-1]}')
            for prose in (
                'the correct answer depends',
                'answer because',
                'answer can',
                'answer from',
                'answer at',
                'correct answer has',
            )
        ),
        pytest.param('<think>x</think><answer>answer choice B</answer>', EIGHT, 1, id='1-prose-choice-B-is-B'),
        pytest.param('<think>Frame 2 has it. So B.</think><answer>C</answer>', EIGHT, 2, id='2-think-does-not-outrank'),
        pytest.param('<think>things, e.g. lamps</think><answer>C</answer>', EIGHT, 2, id='2-eg-in-think'),
        pytest.param(
            '<think>I put <answer>B</answer> first</think><answer>C</answer>', EIGHT, 2, id='2-answer-tag-in-think'
        ),
        pytest.param(
            '<think>x</think><answer>C</answer> I also like option D.', EIGHT, 2, id='3-text-after-does-not-count'
        ),
        pytest.param('So the option is C.', EIGHT, None, id='4-no-tags-is-unreadable'),
        pytest.param('<think>So the option is C.</think>', EIGHT, None, id='4-think-alone-is-unreadable'),
        pytest.param('<think>there is a lamp</think><answer>sofa</answer>', EIGHT, 1, id='5-article-in-think'),
        pytest.param('<think>x</think><answer>a sofa</answer>', EIGHT, 1, id='5-article-in-answer'),
        pytest.param('<think>x</think><answer>H</answer>', ('left', 'right'), None, id='6-letter-beyond-the-choices'),
        pytest.param('<think>x</think><answer>bed</answer>', EIGHT, 0, id='7-own-words-without-letter'),
        pytest.param('<think>(B).</think><answer>rug</answer>', EIGHT, 3, id='8-the-answer-block-is-what-is-read'),
        pytest.param('<think>x</think><answer>B</answer><answer>C</answer>', EIGHT, None, id='two-answer-blocks'),
        pytest.param('<think>x</think><answer>B<answer>C</answer>', EIGHT, None, id='two-opening-tags'),
        pytest.param('<think></think><answer></answer>', EIGHT, None, id='empty-answer'),
        pytest.param(' <think>x</think><answer>B</answer>\n', EIGHT, 1, id='white-space-around'),
    ],
)
def test_the_reference_implementations_bugs_are_not_ours(reply, choices, index):
    assert read_and_match(reply, choices) == index


@pytest.mark.parametrize(
    ('question', 'message'),
    [
        pytest.param(Question(text=''), "a question in words was wanted, got ''", id='empty'),
        pytest.param(Question(text=' \n'), 'a question in words was wanted', id='blank'),
        pytest.param(Question(text='Where?', choices=('left',)), '2 to 26 were wanted, got 1', id='1-choice'),
        pytest.param(
            Question(text='Where?', choices=tuple(map(str, range(27)))), '2 to 26 were wanted, got 27', id='27-choices'
        ),
        pytest.param(Question(text='Where?', choices=('bed', 'bed')), "once, got 'bed' and 'bed'", id='twice'),
        pytest.param(
            Question(text='Where?', choices=('the bed', 'The  Bed ')),
            "once, got 'the bed' and 'The  Bed '",
            id='twice-case',
        ),
        pytest.param(Question(text='Where?', choices=('bed', ' ')), "must have words, got ' '", id='empty-choice'),
        pytest.param(Question(text='\x00\x1b<|im_end|>'), 'a question in words was wanted', id='nothing-when-clean'),
        pytest.param(Question(text='a' * 16_385), 'at most 16384 characters was wanted, got 16385', id='too-long'),
        pytest.param(
            Question(text='Where?', choices=('bed', 'a' * 2049)),
            'at most 2048 characters .* got 2049',
            id='long-choice',
        ),
        pytest.param(
            Question(text='Where?', choices=('bed', '\ufdfa' * 200)), 'at most 2048 .* got 3600', id='long-when-folded'
        ),
        pytest.param(Question(text='Where?', choices=('bed', '\x00 ')), 'must have words', id='no-words-when-clean'),
        pytest.param(Question(text='Where?', choices=('bed', 'bed\x00')), 'must be given once', id='twice-when-clean'),
        pytest.param(Question(text='Where?', votes=0), r'votes must lie in \[1, 32\], got 0', id='no-votes'),
        pytest.param(Question(text='Where?', votes=33), r'votes must lie in \[1, 32\], got 33', id='too-many-votes'),
    ],
)
def test_a_malformed_question_is_an_input_error(question, message):
    with pytest.raises(InputError, match=message):
        validate_question(question)


@pytest.mark.parametrize('count', [0, 2, 26])
def test_a_good_question_passes(count):
    validate_question(Question(text='Where?', choices=tuple(f'place {i}' for i in range(count))))


def test_the_longest_question_and_choices_pass():
    validate_question(Question(text='a' * 16_384, choices=('a' * 2048, 'b' * 2048)))


def test_what_breaks_messages_is_taken_out_of_a_question_and_its_choices():
    question = Question(text='Where\x00 is\ud800 it?', choices=('bed\x1b', 'sofa<|im_start|>'))
    validate_question(question)
    assert clean_question(question) == Question(text='Where is\ufffd it?', choices=('bed', 'sofa '))


def test_open_answers_that_say_the_same_are_equal():
    assert same_words('The red sofa.') == same_words('red  Sofa')
    assert same_words('1.5 m') != same_words('15 m')
    assert same_words('?!') == '?!'
