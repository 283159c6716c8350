"""From a question and observations to an answer, against scripted thoughts."""

from __future__ import annotations

import math

import pytest
from scripted_reasoning import CHOICES, POSE, WINDOW, reply, run, seen

from embodied_r_ros.core.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    CannotTell,
    InputError,
    ReplyError,
    UnsupportedQuestion,
)
from embodied_r_ros.core.reasoning import ReasoningSettings, choose, failure, keep_motion
from embodied_r_ros.core.records import Completion, ErrorCode, Question


def test_one_vote_is_greedy_and_has_no_confidence():
    got, asked = run(Question(text='What is near?', choices=CHOICES), WINDOW, [reply('B')])
    assert (got.error_code, got.answer, got.choice) == (ErrorCode.OK, 'lamp', 1)
    assert math.isnan(got.confidence) and math.isnan(got.consistency)
    assert [request.temperature for request in asked[0]] == [0.0]
    assert (got.model, got.prompt_id) == ('tiny', 'paper')
    assert (got.used, got.available, got.seen_until_ns) == (3, 3, 450)


def test_the_evidence_is_what_the_thinking_cites_with_words_stamp_and_pose():
    got, _ = run(Question(text='What is near?', choices=CHOICES), WINDOW, [reply('A', 'Frames 1 and 2, not Frame 9.')])
    assert [(e.session, e.index, e.stamp_ns, e.pose) for e in got.evidence] == [(7, 41, 410, POSE), (7, 45, 450, None)]
    assert got.evidence[0].text == 'moved forward 1.00 m: a sofa'


def test_the_thinking_names_frames_by_key_frame_index_as_the_evidence_does():
    got, _ = run(Question(text='What is near?', choices=CHOICES), WINDOW, [reply('A', 'Frame 2 has it.')])
    assert got.thinking == 'Frame 45 has it.'
    assert [e.index for e in got.evidence] == [45]


def test_question_answer_and_evidence_are_clean():
    window = [seen(40, 'a sofa\x00<|im_end|>\ud800', action='')]
    question = Question(text='What\x00 is near?', choices=('sofa\ud800', 'lamp'))
    got, asked = run(question, window, [reply('A', 'Frame 0\x1b')])
    assert (got.answer, got.thinking, got.evidence[0].text) == ('sofa\ufffd', 'Frame 40', 'a sofa \ufffd')
    assert 'Question: What is near?' in asked[0][0].messages[-1].content


def test_nothing_cited_is_no_evidence():
    got, _ = run(Question(text='What is near?', choices=CHOICES), WINDOW, [reply('A', 'I guess.')])
    assert got.evidence == ()


def test_votes_are_sampled_side_by_side_and_the_majority_wins():
    question = Question(text='What is near?', choices=CHOICES, votes=4)
    got, asked = run(
        question, WINDOW, [reply('A'), reply('lamp', 'Frame 2.'), reply('(b)', 'other'), reply('B', 'third')]
    )
    assert (got.answer, got.confidence, got.thinking) == ('lamp', 0.75, 'Frame 45.')
    assert [request.seed for request in asked[0]] == [0, 1, 2, 3]
    assert {request.temperature for request in asked[0]} == {0.7}


def test_of_equally_many_votes_the_earliest_wins():
    got, _ = run(Question(text='Near?', choices=CHOICES, votes=2), WINDOW, [reply('C'), reply('A')])
    assert (got.answer, got.confidence) == ('desk', 0.5)


def test_unreadable_votes_count_against_the_confidence():
    question = Question(text='Near?', choices=CHOICES, votes=4)
    got, _ = run(question, WINDOW, [Completion(text='mumble'), reply('A'), reply('Q'), reply('A')])
    assert (got.answer, got.confidence) == ('sofa', 0.5)


def test_when_no_vote_can_be_read_the_first_error_is_raised():
    question = Question(text='Near?', choices=CHOICES, votes=2)
    with pytest.raises(ReplyError, match='an <answer> block was wanted') as caught:
        run(question, WINDOW, [Completion(text='mumble'), Completion(text='')], BackendError('hm'))
    assert caught.value.raw == 'mumble'


def test_an_answer_that_matches_no_choice_is_a_reply_error_that_names_it():
    with pytest.raises(ReplyError, match=r"A: sofa; B: lamp; C: desk.* the model answered 'bed'") as caught:
        run(Question(text='Near?', choices=CHOICES), WINDOW, [reply('bed')], [reply('bed')])
    assert '<answer>bed</answer>' in caught.value.raw


def test_an_open_answer_stays_in_words_and_equal_words_are_one_vote():
    question = Question(text='What is near?', votes=3)
    got, _ = run(question, WINDOW, [reply('the red sofa'), reply('A lamp'), reply('Red sofa.')])
    assert (got.answer, got.choice) == ('the red sofa', -1)
    assert got.confidence == pytest.approx(2 / 3)


def test_below_the_least_confidence_the_answer_is_cannot_tell():
    settings = ReasoningSettings(min_confidence=0.6)
    question = Question(text='Near?', choices=CHOICES, votes=2)
    got, _ = run(question, WINDOW, [reply('A'), reply('B')], settings=settings)
    assert (got.error_code, got.answer) == (ErrorCode.CANNOT_TELL, 'sofa')
    assert '1 of 2 thoughts agree, which is below min_confidence 0.6' in got.error_msg


def test_one_vote_is_never_below_the_least_confidence():
    got, _ = run(
        Question(text='Near?', choices=CHOICES), WINDOW, [reply('A')], settings=ReasoningSettings(min_confidence=1.0)
    )
    assert got.error_code == ErrorCode.OK


@pytest.mark.parametrize(
    ('said', 'consistency'),
    [
        pytest.param([Completion(text='B')], 1.0, id='same'),
        pytest.param([Completion(text='<answer>lamp</answer>')], 1.0, id='same-in-words'),
        pytest.param([Completion(text='A')], 0.0, id='other'),
        pytest.param([Completion(text='who knows')], 0.0, id='none'),
        pytest.param(BackendTimeout('late'), math.nan, id='model-failed'),
    ],
)
def test_consistency_asks_again_with_the_thinking_but_without_observations(said, consistency):
    question = Question(text='What is near?', choices=CHOICES, check_consistency=True)
    got, asked = run(question, WINDOW, [reply('B', 'Frame 2 is close.')], said)
    assert got.answer == 'lamp'
    assert got.consistency == pytest.approx(consistency, nan_ok=True)
    prompt = asked[1][0].messages[-1].content
    assert 'Frame 2 is close.' in prompt and 'B. lamp' in prompt and 'Observe' not in prompt
    assert set(got.timings_s) == {'prompt', 'think', 'read', 'check'}


def test_a_thought_that_only_claims_its_answer_is_consistent_with_none_without_asking():
    question = Question(text='What is near?', choices=CHOICES, check_consistency=True)
    got, asked = run(question, WINDOW, [reply('B', 'So the answer is B, the lamp.')])
    assert (got.answer, got.consistency, len(asked)) == ('lamp', 0.0, 1)


def test_timings_are_told_per_stage():
    got, _ = run(Question(text='Near?', choices=CHOICES), WINDOW, [reply('A')])
    assert set(got.timings_s) == {'prompt', 'think', 'read'}
    assert all(span_s >= 0.0 for span_s in got.timings_s.values())


def test_an_empty_window_is_said_without_asking_the_model():
    got, asked = run(Question(text='Near?', choices=CHOICES), [])
    assert got.error_code == ErrorCode.WINDOW_EMPTY and asked == []
    assert 'no observation lies in the window' in got.error_msg


def test_a_malformed_question_is_raised_before_anything_else():
    with pytest.raises(InputError, match='a question in words was wanted'):
        run(Question(text=''), [])


def test_a_failing_model_ends_the_generator():
    with pytest.raises(BackendUnavailable, match='gone'):
        run(Question(text='Near?', choices=CHOICES), WINDOW, BackendUnavailable('gone'))


def test_at_most_max_observations_are_used_and_told():
    window = [seen(index) for index in range(100)]
    got, asked = run(Question(text='Near?'), window, [reply('a wall')], settings=ReasoningSettings(max_observations=5))
    assert (got.used, got.available, got.seen_until_ns) == (5, 100, 990)
    assert 'Frame 4: After' in asked[0][0].messages[1].content and 'Frame 5:' not in asked[0][0].messages[1].content


def walk(*actions):
    return [seen(index, action=action) for index, action in enumerate(actions)]


@pytest.mark.parametrize(
    ('kept', 'actions'),
    [
        pytest.param(
            (0, 1, 2, 3), ['', 'moved forward 1.00 m', 'rotated left 30 deg', 'moved forward 0.50 m'], id='all'
        ),
        pytest.param(
            (0, 2, 3), ['', 'moved forward 1.00 m, rotated left 30 deg', 'moved forward 0.50 m'], id='one gone'
        ),
        pytest.param((0, 3), ['', 'moved forward 1.00 m, rotated left 30 deg, moved forward 0.50 m'], id='a stretch'),
        pytest.param((2, 3), ['rotated left 30 deg', 'moved forward 0.50 m'], id='nothing precedes the first'),
        pytest.param((0, 1), ['', 'moved forward 1.00 m'], id='nothing follows the last'),
    ],
)
def test_the_motion_of_what_is_left_out_is_told_with_the_next_one_kept(kept, actions):
    observations = walk('', 'moved forward 1.00 m', 'rotated left 30 deg', 'moved forward 0.50 m')
    whole = keep_motion(observations, kept)
    assert [(one.index, one.action) for one in whole] == list(zip(kept, actions))
    assert [one.text for one in whole] == ['a wall'] * len(kept)


def test_what_stayed_still_or_went_on_in_the_same_way_is_summed_up():
    observations = walk('', 'moved forward 1.00 m', 'stayed still', 'moved forward 1.25 m', 'rotated left 10 deg')
    whole = keep_motion(observations, [0, 4])
    assert whole[1].action == 'moved forward 2.25 m, rotated left 10 deg'


def test_whatever_is_chosen_the_way_from_the_first_to_the_last_stays_whole():
    observations = walk('', *['moved forward 0.50 m', 'rotated left 15 deg'] * 20)
    chosen = choose(Question(text='Where is the sofa?', choices=CHOICES), observations, 9)
    assert len(chosen) == 9 and chosen[0].index == 0 and chosen[-1].index == 40
    turned_deg = sum(move.amount for one in chosen[1:] for move in one.moves if move.kind == 'turn')
    assert turned_deg == pytest.approx(20 * 15.0, abs=4.0)


def test_the_evidence_of_an_observation_that_tells_of_others_keeps_its_own_index_and_stamp():
    observations = walk('', *['moved forward 0.50 m'] * 9)
    question = Question(text='What is near?', choices=CHOICES)
    got, asked = run(question, observations, [reply('A', 'Frame 1.')], settings=ReasoningSettings(max_observations=2))
    assert [(cited.index, cited.stamp_ns) for cited in got.evidence] == [(9, 90)]
    assert got.thinking == 'Frame 9.'
    assert (got.used, got.available) == (2, 10)
    assert 'Frame 1: After Move forward 4.50 m, ' in str(asked[0][0].messages)


def test_observations_are_chosen_by_the_words_of_the_choices_too():
    window = [seen(index, 'a fountain' if index == 37 else 'a wall') for index in range(100)]
    chosen = choose(Question(text='Which did I pass?', choices=('the fountain', 'the gate')), window, 4)
    assert 37 in [observation.index for observation in chosen]


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (BackendTimeout('late'), ErrorCode.TIMEOUT),
        (BackendUnavailable('gone'), ErrorCode.SERVER_DOWN),
        (BackendRefused('no'), ErrorCode.SERVER_REFUSED),
        (BackendError('broken'), ErrorCode.SERVER_DOWN),
        (ReplyError('what?', 'raw'), ErrorCode.BAD_REPLY),
        (InputError('bad'), ErrorCode.BAD_QUESTION),
        (UnsupportedQuestion('not that'), ErrorCode.QUESTION_UNSUPPORTED),
        (CannotTell('not seen'), ErrorCode.CANNOT_TELL),
    ],
)
def test_each_failure_has_its_code_and_keeps_its_sentence(error, code):
    got = failure(error)
    assert (got.error_code, got.error_msg, got.answer, got.choice) == (code, str(error), '', -1)
