"""The rewards: what earns them, the twelve known ways to get them wrong, and their sum by stage."""

from __future__ import annotations

import math
import time
import types

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.errors import BackendRefused, InputError, SettingsError
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.prompts import PaperFormat
from embodied_r_ros.core.records import Question
from embodied_r_ros.evaluation.phrase_reader import from_words
from embodied_r_ros.evaluation.scoring import relative_accuracy
from training.judge import NO_CHOICE, HttpJudge, pose
from training.rewards import (
    STAGES,
    StagedReward,
    Weights,
    accuracy_reward,
    consistency_reward,
    format_reward,
    weights_at,
)

SOFA = ('the lamp', 'the bed', 'the sofa', 'the door')
QUESTION = 'Which is nearest?'
ASKED = PaperFormat().ask(
    Question(text=QUESTION, choices=SOFA), [from_words(session=0, index=0, stamp_ns=0, action='', text='a sofa')]
)


class Says:
    """A judge that says the same of each case, and counts how often it was called."""

    def __init__(self, choice):
        self.choice, self.calls = choice, []

    def judge(self, cases):
        self.calls.append(list(cases))
        return [self.choice] * len(cases)


class Never:
    """A judge that must not be called."""

    def judge(self, cases):
        raise AssertionError(f'called with {len(cases)} cases')


class ByLastLetter:
    """A judge that reads nothing but the letter at the end of the thought."""

    def judge(self, cases):
        return [pose(case, 0).candidates.get(case.thinking.rstrip('.')[-1]) for case in cases]


def reply(answer, thinking='The sofa is 2 m off, the others are further.'):
    return f'<think>{thinking}</think><answer>{answer}</answer>'


def accuracy(completion, truth, choices=SOFA):
    return accuracy_reward([completion], [truth], [choices])[0]


def consistency(completion, truth, judge, choices=SOFA):
    return consistency_reward([completion], [QUESTION], [choices], [truth], judge)[0]


@pytest.mark.parametrize(
    ('completion', 'expected'),
    [
        pytest.param(reply('C'), 1.0, id='think, then answer'),
        pytest.param(f' \n{reply("C")}\n', 1.0, id='white space around'),
        pytest.param('<think>\na\n</think>\n\n<answer>\nC\n</answer>', 1.0, id='over lines'),
        pytest.param('<think> p0 0deg </think> <answer> left </answer>', 1.0, id='compact'),
        pytest.param('<think>2 < 3 and 4 > 3</think><answer>C</answer>', 1.0, id='other angle brackets'),
        pytest.param([{'role': 'assistant', 'content': reply('C')}], 1.0, id='chat turns'),
        pytest.param([{'role': 'assistant', 'content': None}], 0.0, id='chat turn without words'),
        pytest.param('', 0.0, id='nothing'),
        pytest.param('<answer>C</answer>', 0.0, id='no thought'),
        pytest.param('<think>a</think>', 0.0, id='no answer'),
        pytest.param('<think> \n </think><answer>C</answer>', 0.0, id='empty thought'),
        pytest.param('<think>a</think><answer> </answer>', 0.0, id='empty answer'),
        pytest.param('<think>\u200b</think><answer>C</answer>', 0.0, id='thought without width'),
        pytest.param('<think>...</think><answer>C</answer>', 0.0, id='thought of points'),
        pytest.param('<think>a</think><answer>-</answer>', 0.0, id='answer of a dash'),
        pytest.param(reply('C') + '<answer>D</answer>', 0.0, id='two answers'),
        pytest.param('<think>a</think>' + reply('C'), 0.0, id='two thoughts'),
        pytest.param('<think>a<answer>B</answer></think><answer>C</answer>', 0.0, id='answer inside the thought'),
        pytest.param('<think>a</answer>b</think><answer>C</answer>', 0.0, id='one tag inside the thought'),
        pytest.param('<think>a</think><answer><answer></answer>', 0.0, id='one tag as the answer'),
        pytest.param('<answer>C</answer><think>a</think>', 0.0, id='answer first'),
        pytest.param(reply('C') + ' I am sure.', 0.0, id='words behind'),
        pytest.param('So: ' + reply('C'), 0.0, id='words before'),
        pytest.param('<think>a</think>so<answer>C</answer>', 0.0, id='words between'),
        pytest.param('<think>a</think><answer>C', 0.0, id='answer not closed'),
        pytest.param('<think>a<answer>C</answer>', 0.0, id='thought not closed'),
    ],
)
def test_only_one_thought_and_then_one_answer_have_the_format(completion, expected):
    assert format_reward([completion], other=['column']) == [expected]


@pytest.mark.parametrize('start', ['<think>', '<think>a</think><answer>', '<think>a</think>'])
def test_the_format_of_a_long_reply_is_read_in_linear_time(start):
    began = time.process_time()
    assert format_reward([start + unit * (100_000 // len(unit)) for unit in ('a', ' ', '<', '< ', 'a ')]) == [0.0] * 5
    assert time.process_time() - began < 2  # a quadratic pattern takes minutes


def share_granted_for_a_letter_at_the_end():
    count = 200
    completions = [reply('C', f'I saw {number} things. So C.') for number in range(count)]
    told = consistency_reward(completions, [QUESTION] * count, [SOFA] * count, ['C'] * count, ByLastLetter())
    return sum(told) / count < 0.4


def calls_for_eight_completions():
    judge = Says(2)
    consistency_reward([reply('C', f'{n} m off.') for n in range(8)], [QUESTION] * 8, [SOFA] * 8, ['C'] * 8, judge)
    return [len(cases) for cases in judge.calls]


def error_of_a_judge_without_a_key():
    with FakeOpenAI(reply='C', key='secret') as server, pytest.raises(BackendRefused) as caught:
        HttpJudge(ServerSettings(url=server.url))
    return 'EMBODIED_R_LM_API_KEY' in str(caught.value)


@pytest.mark.parametrize(
    ('reward', 'expected'),
    [
        pytest.param(lambda: accuracy(reply('the correct answer depends on it'), 'D'), 0.0, id='1 answer depends: D'),
        pytest.param(lambda: accuracy(reply('answer because it is near'), 'B'), 0.0, id='1 answer because: B'),
        pytest.param(lambda: accuracy(reply('answer can be seen'), 'C'), 0.0, id='1 answer can: C'),
        pytest.param(lambda: accuracy(reply('answer at the end'), 'A'), 0.0, id='1 answer at: A'),
        pytest.param(lambda: accuracy(reply('answer choice B'), 'C'), 0.0, id='1 answer choice B: C'),
        pytest.param(lambda: accuracy(reply('answer choice B'), 'B'), 1.0, id='1 answer choice B is B'),
        pytest.param(lambda: accuracy(reply('C', 'It is near. So B.'), 'C'), 1.0, id='2 thought does not outrank'),
        pytest.param(lambda: accuracy(reply('C', 'It is near. So B.'), 'B'), 0.0, id='2 thought earns nothing'),
        pytest.param(lambda: accuracy(reply('C', 'e.g. the bed'), 'C'), 1.0, id='2 e.g. is no option E'),
        pytest.param(lambda: accuracy(reply('C') + ' or option D.', 'C'), 1.0, id='3 text behind does not outrank'),
        pytest.param(lambda: accuracy(reply('C') + ' or option D.', 'D'), 0.0, id='3 text behind earns nothing'),
        pytest.param(lambda: accuracy('So the option is C.', 'C'), 0.0, id='4 no answer block'),
        pytest.param(lambda: accuracy(reply('bed', 'I see a lamp.'), 'A'), 0.0, id='5 article in the thought'),
        pytest.param(lambda: accuracy(reply('a bed'), 'A'), 0.0, id='5 article in the answer'),
        pytest.param(lambda: accuracy(reply('G'), 'D'), 0.0, id='6 letter beyond the choices'),
        pytest.param(lambda: accuracy(reply('C'), 'B', SOFA[:2]), 0.0, id='6 letter beyond two choices'),
        pytest.param(lambda: accuracy(reply('bed'), 'B'), 1.0, id="7 the choice's words"),
        pytest.param(
            lambda: consistency(reply('C', 'option A. So A.'), 'C', Says(2)), 1.0, id='8 answer block is read'
        ),
        pytest.param(lambda: consistency(reply('A', 'answer C. So C.'), 'C', Never()), 0.0, id='8 and nothing else'),
        pytest.param(error_of_a_judge_without_a_key, True, id='9 no key is an error'),
        pytest.param(lambda: consistency(reply('C'), 'C', Says(None)), None, id='10 judge failure is no 0'),
        pytest.param(lambda: consistency(reply('C', 'So C.'), 'C', Says(None)), None, id='10 nor is it granted'),
        pytest.param(calls_for_eight_completions, [8], id='11 all completions in one call'),
        pytest.param(share_granted_for_a_letter_at_the_end, True, id='12 a letter in the thought is no reason'),
    ],
)
def test_none_of_the_twelve_known_bugs_is_here(reward, expected):
    assert reward() == expected


@pytest.mark.parametrize(
    ('completion', 'judge', 'expected'),
    [
        pytest.param(reply('C'), Says(2), 1.0, id='right and followed'),
        pytest.param(reply('C'), Says(1), 0.0, id='right, but the thought leads elsewhere'),
        pytest.param(reply('C'), Says(None), None, id='judge failed'),
        pytest.param(reply('B'), Never(), 0.0, id='wrong, though the judge might agree'),
        pytest.param('<answer>C</answer>', Never(), 0.0, id='right without a thought'),
        pytest.param(reply('C', '\u200b'), Never(), 0.0, id='right with a thought without width'),
        pytest.param(reply('C'), Says(NO_CHOICE), 0.0, id='right, but the thought leads nowhere'),
        pytest.param('C', Never(), 0.0, id='unreadable'),
    ],
)
def test_consistency_is_granted_where_answer_judge_and_truth_are_one(completion, judge, expected):
    assert consistency(completion, 'C', judge) == expected


def test_the_judge_sees_question_choices_and_thinking_only():
    judge = Says(2)
    consistency(reply('C', 'The sofa is near.'), 'C', judge)
    ((case,),) = judge.calls
    assert (case.question, case.choices, case.thinking) == (QUESTION, SOFA, 'The sofa is near.')
    assert 'answer>' not in ''.join(message.content for message in pose(case, 0).messages)


def test_a_compact_reply_is_read_by_the_prompt_that_was_asked_and_judged_in_its_own_words():
    seen = [
        from_words(session=0, index=0, stamp_ns=0, action='', text='sofa 30 deg right at 2.0 m'),
        from_words(
            session=0, index=1, stamp_ns=10**9, action='rotated left 90 deg', text='desk straight ahead at 2.5 m'
        ),
    ]
    choices = ('behind me', 'to my right')
    asked = CompactFormat().ask(Question(text='Where is the sofa now?', choices=choices), seen)
    name = asked.messages[0].content.split(' q1 ')[1].split()[0]
    thinking = f's1 left 90deg . q1 {name} o0 right30deg 2m'
    completion = f'<think> {thinking} </think> <answer> right </answer>'
    columns = {'choices': [choices], 'answer': ['B'], 'asked': [asked]}
    assert accuracy_reward([completion], **columns) == [1.0]
    judge = Says(1)
    assert consistency_reward([completion], ['Where is the sofa now?'], judge=judge, **columns) == [1.0]
    assert judge.calls[0][0].thinking == thinking
    unfounded = completion.replace('left 90deg', 'left 45deg')
    assert accuracy_reward([unfounded], **columns) == [0.0]


@pytest.mark.parametrize(
    ('answer', 'truth', 'expected'),
    [
        pytest.param('4', '4', 1.0, id='exact'),
        pytest.param('about 4.0 metres', '4', 1.0, id='among words'),
        pytest.param('3', '4', 0.6, id='a quarter off'),
        pytest.param('2', '4', 0.1, id='half off'),
        pytest.param('1.9', '4', 0.0, id='further off'),
        pytest.param('4.3', '4', 0.9, id='over by 7.5 %'),
        pytest.param('1,200', '1200', 1.0, id='thousands'),
        pytest.param('-2', '-2', 1.0, id='negative'),
        pytest.param('3 or 4', '4', 0.0, id='two numbers'),
        pytest.param('four', '4', 0.0, id='no digits'),
        pytest.param('0', '0', 1.0, id='nought'),
        pytest.param('1', '0', 0.0, id='not nought'),
    ],
)
def test_a_number_earns_the_share_of_confidences_that_it_meets(answer, truth, expected):
    assert relative_accuracy(answer, truth) == pytest.approx(expected)
    assert accuracy(reply(answer), truth, choices=()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('truth', 'choices', 'message'),
    [
        pytest.param('E', SOFA, "the letter of one of the 4 choices, got 'E'; mend the sample", id='beyond'),
        pytest.param('', SOFA, "got ''; mend the sample", id='empty'),
        pytest.param('B', (), "should be a number, got 'B'; mend the sample", id='letter without choices'),
    ],
)
def test_a_truth_that_is_no_choice_is_an_error(truth, choices, message):
    with pytest.raises(InputError, match=message):
        accuracy(reply('C'), truth, choices)


@pytest.mark.parametrize(
    ('epoch', 'ratio'),
    [(0.0, (7, 3, 0)), (1.99, (7, 3, 0)), (2.0, (3, 7, 0)), (3.99, (3, 7, 0)), (4.0, (1, 7, 2)), (12.0, (1, 7, 2))],
)
def test_the_weights_of_twelve_epochs_are_those_of_the_paper(epoch, ratio):
    weights = weights_at(epoch, 12.0)
    assert (weights.format, weights.accuracy, weights.consistency) == pytest.approx([part / 10 for part in ratio])


def test_a_shorter_training_goes_through_the_same_stages():
    met = [weights_at(epoch / 100, 1.5) for epoch in range(150)]
    assert [met.count(weights) for _, weights in STAGES] == [25, 25, 100]


@pytest.mark.parametrize('parts', [(0, 0, 0), (1, -1, 3), (1, math.inf, 0)], ids=['none', 'negative', 'infinite'])
def test_weights_that_weigh_nothing_are_an_error(parts):
    with pytest.raises(SettingsError, match='weights should be at least 0 and one of them above, got'):
        Weights(**dict(zip(('format', 'accuracy', 'consistency'), parts)))


def staged(completions, judge, epoch, truth='C', choices=SOFA, **options):
    """Rewards of a group, and the reward function that gave them."""
    count = len(completions)
    reward = StagedReward({'one': ASKED}, 12.0, judge, **options)
    told = reward(
        prompts=[[{'role': 'user', 'content': QUESTION}]] * count,
        completions=completions,
        completion_ids=[[1]] * count,
        id=['one'] * count,
        question=[QUESTION] * count,
        choices=[list(choices)] * count,
        answer=[truth] * count,
        trainer_state=types.SimpleNamespace(epoch=epoch),
        log_extra=print,
    )
    return told, reward


RIGHT, WRONG, BARE, NOISE = reply('C'), reply('B'), '<answer>C</answer>', 'I cannot tell.'


@pytest.mark.parametrize(
    ('epoch', 'expected'),
    [(0.5, [1.0, 0.7, 0.3, 0.0]), (2.5, [1.0, 0.3, 0.7, 0.0]), (None, [1.0, 0.7, 0.3, 0.0])],
    ids=['first stage', 'second stage', 'before the first step'],
)
def test_while_consistency_weighs_nothing_the_judge_is_not_called(epoch, expected):
    told, reward = staged([RIGHT, WRONG, BARE, NOISE], Never(), epoch)
    assert told == pytest.approx(expected)
    assert reward.parts.consistency == ()


def test_in_the_last_stage_consistency_counts():
    told, _ = staged([RIGHT, WRONG, BARE, NOISE], Says(2), 8.0)
    assert told == pytest.approx([1.0, 0.1, 0.7, 0.0])
    assert staged([RIGHT], Says(1), 8.0)[0] == pytest.approx([0.8])


def test_of_eight_equal_completions_the_one_whose_judge_failed_has_no_reward():
    class FailsOnce(Says):
        def judge(self, cases):
            return [None if index == 5 else 2 for index in range(len(cases))]

    told, reward = staged([RIGHT] * 8, FailsOnce(2), 8.0)
    assert told == [None if index == 5 else pytest.approx(1.0) for index in range(8)]
    assert (reward.parts.judge_failures, reward.parts.consistency_ratio) == (1, 1.0)


def test_the_parts_of_the_last_call_are_kept_and_logged():
    logged = {}
    reward = StagedReward({'one': ASKED}, 12.0, Says(2))
    completions = [RIGHT, RIGHT, WRONG, NOISE]
    columns = {'question': [QUESTION] * 4, 'choices': [SOFA] * 4, 'answer': ['C', 'C', 'C', 'C']}
    state = types.SimpleNamespace(epoch=8.0)
    reward([None] * 4, completions, id=['one'] * 4, trainer_state=state, log_metric=logged.__setitem__, **columns)
    parts = reward.parts
    assert (parts.format, parts.accuracy) == ((1.0, 1.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0))
    assert (parts.consistency, parts.unreadable, parts.judge_failures) == ((1.0, 1.0, 0.0, 0.0), 1, 0)
    assert logged == {
        'rewards/format': 0.75,
        'rewards/accuracy': 0.5,
        'rewards/consistency': 0.5,
        'unreadable': 0.25,
        'consistency_ratio': 1.0,
        'judge_failures': 0.0,
    }


def test_what_is_not_known_is_not_logged():
    _, reward = staged([WRONG, NOISE], Says(2), 8.0)
    assert math.isnan(reward.parts.consistency_ratio)
    assert 'consistency_ratio' not in reward.parts.metrics()


def test_a_number_is_weighed_without_consistency():
    told, reward = staged([reply('3'), 'three'], Never(), 8.0, truth='4', choices=())
    assert told == pytest.approx([(1 + 7 * 0.6) / 8, 0.0])
    assert reward.parts.judge_failures == 0


def test_other_weights_can_be_given_and_need_no_judge_where_consistency_weighs_nothing():
    told, _ = staged(
        [RIGHT, WRONG], None, 8.0, weights=lambda epoch, epochs: Weights(format=1, accuracy=4, consistency=0)
    )
    assert told == pytest.approx([1.0, 0.2])


def test_consistency_without_a_judge_is_an_error_before_the_training():
    with pytest.raises(SettingsError, match='a judge is wanted, consistency counts from epoch 4 of 12 on'):
        StagedReward({'one': ASKED}, 12.0, None)
