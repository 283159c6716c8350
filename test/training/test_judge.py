"""Judges: what they are asked, in process and over HTTP, what they say, and which of them are admitted."""

from __future__ import annotations

import collections
import dataclasses
import re

import pytest
from fake_openai import FakeOpenAI

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.compact import NOWHERE
from embodied_r_ros.core.errors import BackendRefused, BackendUnavailable, InputError
from embodied_r_ros.core.models import ServerSettings
from training.admission import Admission, Trial, Trials, admit
from training.judge import NO_CHOICE, Case, HttpJudge, pose
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
    case = tried.true[0].case
    text = spoken(Case(question=case.question, choices=case.choices, thinking='I saw it.', asked=None))
    assert case.question in text
    assert 'I saw it.' in text
    assert case.asked.messages[0].content.startswith('s0 start ')
    for each in tried.true:
        assert spoken(each.case).startswith('check ')
        assert 's0 start ' not in spoken(each.case)


def test_the_compact_candidates_are_the_answers_that_mean_a_choice_and_the_verdict_that_none_does(tried):
    for trial in (*tried.true, *tried.swapped):
        candidates, answers = pose(trial.case, 0).candidates, trial.case.asked.answers()
        meant = {written: match_choice(words, trial.case.choices) for written, words in answers.items()}
        assert candidates == {
            **{written: index for written, index in meant.items() if index is not None},
            NOWHERE: NO_CHOICE,
        }
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
        trial = next(trial for trial in tried.true if ' ' in next(iter(pose(trial.case, 0).candidates)))
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
    """A judge that follows true and swapped thoughts and no claims, but for the odd judgement, by place."""

    def __init__(self, known, odd=()):
        self.known = {trial.case: trial.leads_to for trial in (*known.true, *known.swapped)}
        self.odd = dict(odd)

    def judge(self, cases):
        told = [self.known.get(case, NO_CHOICE) for case in cases]
        return [self.odd.get(place, choice) for place, choice in enumerate(told)]


def numbered_trials(count):
    cases = [Trial(case=case, leads_to=2) for case in numbered(3 * count)]
    return Trials(true=cases[:count], swapped=cases[count : 2 * count], unsupported=cases[2 * count :])


@pytest.mark.parametrize(
    ('odd', 'admitted'),
    [
        pytest.param({}, True, id='all right'),
        pytest.param({0: 1, 1: 1, 100: 1, 101: NO_CHOICE, 102: None, 103: 1, 104: 1}, True, id='just enough'),
        pytest.param({0: 1, 1: NO_CHOICE, 2: None}, False, id='true thoughts misjudged'),
        pytest.param(dict.fromkeys(range(100, 106)), False, id='swapped thoughts not judged'),
        pytest.param(dict.fromkeys(range(200, 235), 2), True, id='a few claims followed'),
        pytest.param(dict.fromkeys(range(200, 236), 2), False, id='claims followed'),
        pytest.param(dict.fromkeys(range(200, 236)), False, id='claims not judged'),
        pytest.param(dict.fromkeys(range(200, 300), 1), True, id='claims taken for another choice'),
    ],
)
def test_a_judge_is_admitted_by_what_it_makes_of_true_and_swapped_thoughts_and_of_claims(odd, admitted):
    known = numbered_trials(100)
    found = admit(Tells(known, odd), known)
    assert found.admitted is admitted
    assert (found.chance, found.cases) == (0.25, (100, 100, 100))


def test_an_admission_says_its_figures():
    known = numbered_trials(50)
    found = admit(Tells(known, {0: 1, 1: 1, 100: 2}), known)
    assert found == Admission(true=0.96, swapped=1.0, unsupported=0.02, chance=0.25, cases=(50, 50, 50))
    assert str(found) == (
        'judge not admitted: right on 96.0% of 50 true thoughts (at least 98% wanted), '
        'followed 100.0% of 50 swapped ones (at least 95%) '
        'and 2.0% of 50 claims without evidence (at most 35.0%, chance is 25.0%)'
    )


def test_a_judge_that_answers_from_the_question_alone_is_not_admitted(tried):
    known = {trial.case.question: trial.leads_to for trial in tried.true}

    class Stubborn:
        def judge(self, cases):
            return [known.get(case.question) for case in cases]

    found = admit(Stubborn(), tried)
    assert found.true > 0.9
    assert found.swapped < 0.1


def test_a_judge_that_believes_the_last_word_is_not_admitted(tried):
    claims = {trial.case: trial.leads_to for part in (tried.true, tried.swapped, tried.unsupported) for trial in part}

    class Gullible:
        def judge(self, cases):
            return [claims[case] for case in cases]

    found = admit(Gullible(), tried)
    assert (found.true, found.swapped, found.unsupported) == (1.0, 1.0, 1.0)
    assert not found.admitted


def test_nothing_to_try_a_judge_on_is_an_error():
    known = numbered_trials(2)
    for kind in ('true', 'swapped', 'unsupported'):
        with pytest.raises(
            InputError, match='true, swapped and unsupported thoughts to try a judge on were wanted, got'
        ):
            admit(Tells(known), dataclasses.replace(known, **{kind: []}))


def kinds(tried):
    return tried.true, tried.swapped, tried.unsupported


class TestTrials:
    """Thoughts whose end is known."""

    def test_there_are_as_many_as_asked_for_of_all_tasks_and_the_same_each_time(self, tried):
        again = trials(16)
        assert [len(part) for part in kinds(tried)] == [16, 16, 16]
        for part, other in zip(kinds(tried), kinds(again)):
            assert [(t.case.question, t.case.thinking, t.leads_to) for t in part] == [
                (t.case.question, t.case.thinking, t.leads_to) for t in other
            ]
            assert len({t.case.asked.messages[0].content.split(' . ')[-1].split()[0] for t in part}) >= 5

    def test_another_seed_takes_other_walks(self, tried):
        assert not {t.case.thinking for t in tried.true} & {t.case.thinking for t in trials(8, seed=1).true}

    def test_a_swapped_thought_leads_to_another_choice_than_the_true_one(self, tried):
        truth = {trial.case.question: trial.leads_to for trial in tried.true}
        common = [trial for trial in tried.swapped if trial.case.question in truth]
        assert len(common) > 8
        for trial in common:
            assert trial.leads_to != truth[trial.case.question]

    def test_a_claim_is_in_the_language_of_the_judge_and_drawn_whatever_is_true(self):
        found = trials(160, seed=2)
        truth = {trial.case.question: trial.leads_to for trial in found.true}
        right = [truth.get(trial.case.question) == trial.leads_to for trial in found.unsupported]
        assert 0.1 < sum(right) / len(right) < 0.4
        for trial in found.unsupported:
            written = [text for text in trial.case.asked.answers() if trial.case.thinking.endswith(text)]
            assert match_choice(trial.case.asked.answers()[max(written, key=len)], trial.case.choices) == trial.leads_to

    def test_in_the_papers_words_the_thoughts_are_english(self):
        for trial in trials(16, compact=False).true:
            assert trial.case.asked is None
            assert not re.search(r'\b[nopqrs]\d', trial.case.thinking)
            assert trial.case.thinking.endswith('.')

    def test_in_the_papers_words_claims_are_english_and_few_outlast_the_cut(self):
        claims = trials(80, compact=False).unsupported
        for trial in claims:
            assert trial.case.choices[trial.leads_to] in trial.case.thinking
        seen = sum(claim_is_posed(trial) for trial in claims)
        assert 0 < seen / len(claims) < 0.3


def claim_is_posed(trial):
    posed = pose(trial.case, 0)
    return (
        posed is not None and trial.case.choices[trial.leads_to] in posed.messages[-1].content.rpartition('Thought:')[2]
    )
