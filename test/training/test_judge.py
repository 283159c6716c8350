"""Judges: what they are asked, in process and over HTTP, what they say, and which of them are admitted."""

from __future__ import annotations

import collections

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.errors import BackendRefused, BackendUnavailable, InputError
from embodied_r_ros.core.models import ServerSettings
from training.judge import Admission, Case, HttpJudge, Trial, admit, pose
from training.trials import trials

CHOICES = ('the lamp', 'the bed', 'the sofa', 'the door')
CASE = Case(question='Which is nearest?', choices=CHOICES, thinking='The sofa is 2 m off.')


def spoken(case, seed=0):
    return '\n'.join(message.content for message in pose(case, seed).messages)


def numbered(count):
    return [Case(question='Which is nearest?', choices=CHOICES, thinking=f'{n} m, the sofa.') for n in range(count)]


@pytest.fixture(scope='module')
def tried():
    return trials(16)


@pytest.fixture
def serve():
    """Start a fake server; returns it and the judge behind it."""
    open_ = []

    def start(reply='A', timeout_s=5.0, at_once=4, **settings):
        server = FakeOpenAI(reply, **settings).start()
        open_.append(server.stop)
        limits = ServerSettings(url=server.url, timeout_s=timeout_s, max_concurrent_requests=at_once, retries=0)
        judge = HttpJudge(limits)
        open_.append(judge.close)
        return server, judge

    yield start
    for close in reversed(open_):
        close()


def test_the_choices_are_shown_in_another_order_that_is_mapped_back():
    text, candidates = spoken(CASE), pose(CASE, 0).candidates
    assert sorted(candidates.values()) == [0, 1, 2, 3]
    for shown, index in candidates.items():
        assert f'\n{shown}. {CHOICES[index]}\n' in text


def test_the_order_is_drawn_from_seed_and_case():
    orders = collections.Counter(tuple(pose(case, 0).candidates.values()) for case in numbered(240))
    assert len(orders) == 24
    assert max(orders.values()) < 30
    assert pose(CASE, 0) == pose(CASE, 0)
    assert any(pose(CASE, 0) != pose(CASE, seed) for seed in range(1, 5))


def test_the_judge_reads_question_choices_and_thinking_but_no_observation(tried):
    case = tried[0][0].case
    text = spoken(Case(question=case.question, choices=case.choices, thinking='I saw it.', asked=None))
    assert case.question in text
    assert 'I saw it.' in text
    assert case.asked.messages[0].content.startswith('s0 start ')
    for each in tried[0]:
        assert spoken(each.case).startswith('check ')
        assert 's0 start ' not in spoken(each.case)


def test_the_compact_candidates_are_the_answers_that_mean_a_choice(tried):
    for trial in (*tried[0], *tried[1]):
        candidates, answers = pose(trial.case, 0).candidates, trial.case.asked.answers()
        meant = {written: match_choice(words, trial.case.choices) for written, words in answers.items()}
        assert candidates == {written: index for written, index in meant.items() if index is not None}
        assert trial.leads_to in candidates.values()
        assert spoken(trial.case).endswith(' ? <answer>')


@pytest.mark.system
class TestHttp:
    """A judge behind a server."""

    def test_it_asks_for_one_token_among_the_letters(self, serve):
        server, judge = serve(reply='B')
        assert judge.judge([CASE]) == [pose(CASE, 0).candidates['B']]
        asked = server.chats[0].json
        assert (asked['max_tokens'], asked['temperature']) == (1, 0.0)
        assert asked['structured_outputs'] == {'choice': ['A', 'B', 'C', 'D']}
        assert asked['messages'][-1]['content'] == spoken(CASE)

    def test_compact_candidates_are_told_without_white_space_and_their_reply_is_read_so(self, serve, tried):
        trial = next(trial for trial in tried[0] if ' ' in next(iter(pose(trial.case, 0).candidates)))
        candidates = pose(trial.case, 0).candidates
        written = next(written for written, index in candidates.items() if index == trial.leads_to)
        server, judge = serve(reply=f' {written}')
        assert judge.judge([trial.case]) == [trial.leads_to]
        asked = server.chats[0].json
        assert asked['structured_outputs']['choice'] == [''.join(one.split()) for one in candidates]
        assert asked['max_tokens'] == len(written.split())

    def test_as_many_requests_as_allowed_are_under_way_and_each_has_its_own_time(self, serve):
        server, judge = serve(latency_s=0.1, timeout_s=1.5, at_once=2)
        assert None not in judge.judge(numbered(32))
        assert (server.max_concurrent, len(server.chats)) == (2, 32)

    def test_equal_cases_are_asked_once(self, serve):
        server, judge = serve()
        assert len(set(judge.judge([CASE] * 5))) == 1
        assert len(server.chats) == 1

    @pytest.mark.parametrize(
        ('settings', 'reason'),
        [
            pytest.param({'status': 500, 'error': 'overloaded'}, 'overloaded', id='error of the server'),
            pytest.param({'status': 400, 'error': 'too long'}, 'too long', id='declined'),
            pytest.param({'hang': True, 'timeout_s': 0.1}, 'within timeout_s 0.1 s', id='no answer in time'),
            pytest.param({'raw': b'{"choices": []}'}, 'choices', id='no chat completion'),
            pytest.param({'reply': 'I think so'}, "'I think so' is none of A, B, C, D", id='not a candidate'),
            pytest.param({'reply': ''}, 'is none of A, B, C, D', id='nothing'),
        ],
    )
    def test_a_request_that_fails_has_no_judgement_and_is_named(self, serve, caplog, settings, reason):
        _, judge = serve(**settings)
        assert judge.judge([CASE]) == [None]
        assert '1 of 1 thoughts were not judged, the first because ' in caplog.text
        assert reason in caplog.text

    def test_one_that_fails_does_not_take_the_others_with_it(self, serve):
        _, judge = serve(status=400, error='too long', failures=1)
        assert judge.judge(numbered(6)).count(None) == 1

    def test_a_server_that_is_not_there_is_an_error_at_once(self):
        with pytest.raises(BackendUnavailable, match='nobody answers'):
            HttpJudge(ServerSettings(url='http://127.0.0.1:9', retries=0))

    def test_a_server_without_the_model_is_an_error_at_once(self, serve):
        server, _ = serve()
        with pytest.raises(BackendRefused, match="model 'other' was wanted"):
            HttpJudge(ServerSettings(url=server.url, model='other'))


class Tells:
    """A judge of trials: `wrong` of them it gets wrong, `failed` it does not judge."""

    def __init__(self, known, wrong=0, failed=0):
        self.known = {trial.case: trial.leads_to for trials_ in known for trial in trials_}
        self.wrong, self.failed = wrong, failed

    def judge(self, cases):
        told = [self.known[case] for case in cases]
        told[: self.wrong] = [choice + 1 for choice in told[: self.wrong]]
        return told[: len(told) - self.failed] + [None] * self.failed


def numbered_trials(count):
    cases = numbered(2 * count)
    return [[Trial(case=case, leads_to=2) for case in part] for part in (cases[:count], cases[count:])]


@pytest.mark.parametrize(
    ('wrong', 'failed', 'admitted'),
    [
        pytest.param(0, 0, True, id='all right'),
        pytest.param(2, 5, True, id='just enough'),
        pytest.param(3, 0, False, id='true thoughts misjudged'),
        pytest.param(0, 6, False, id='swapped thoughts not judged'),
    ],
)
def test_a_judge_is_admitted_by_its_shares_of_true_and_swapped_thoughts(wrong, failed, admitted):
    known = numbered_trials(100)
    found = admit(Tells(known, wrong, failed), *known)
    assert found == Admission(true=1 - wrong / 100, swapped=1 - failed / 100, true_cases=100, swapped_cases=100)
    assert found.admitted is admitted


def test_an_admission_says_its_figures():
    known = numbered_trials(50)
    assert str(admit(Tells(known, wrong=2), *known)) == (
        'judge not admitted: right on 96.0% of 50 true thoughts (at least 98% wanted), '
        'followed 100.0% of 50 swapped ones (at least 95%)'
    )


def test_a_judge_that_answers_from_the_question_alone_is_not_admitted(tried):
    known = {trial.case.question: trial.leads_to for trial in tried[0]}

    class Stubborn:
        def judge(self, cases):
            return [known.get(case.question) for case in cases]

    found = admit(Stubborn(), *tried)
    assert found.true > 0.9
    assert found.swapped < 0.1


def test_nothing_to_try_a_judge_on_is_an_error():
    with pytest.raises(InputError, match='true and swapped thoughts to try a judge on were wanted, got 2 and 0'):
        admit(Tells([]), numbered_trials(2)[0], [])


class TestTrials:
    """Thoughts whose end is known."""

    def test_there_are_as_many_as_asked_for_of_all_tasks_and_the_same_each_time(self, tried):
        again = trials(16)
        assert [len(part) for part in tried] == [16, 16]
        for part, other in zip(tried, again):
            assert [(t.case.question, t.case.thinking, t.leads_to) for t in part] == [
                (t.case.question, t.case.thinking, t.leads_to) for t in other
            ]
            assert len({t.case.asked.messages[0].content.split(' . ')[-1].split()[0] for t in part}) >= 5

    def test_another_seed_takes_other_walks(self, tried):
        assert not {t.case.thinking for t in tried[0]} & {t.case.thinking for t in trials(8, seed=1)[0]}

    def test_a_swapped_thought_leads_to_another_choice_than_the_true_one(self, tried):
        truth = {trial.case.question: trial.leads_to for trial in tried[0]}
        common = [trial for trial in tried[1] if trial.case.question in truth]
        assert len(common) > 8
        for trial in common:
            assert trial.leads_to != truth[trial.case.question]

    def test_in_the_papers_words_the_thoughts_have_their_nouns(self):
        for trial in trials(8, compact=False)[0]:
            assert trial.case.asked is None
            assert 'q1 n' not in trial.case.thinking
