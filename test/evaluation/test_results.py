"""What answers count, and what a run comes to."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.records import Answer, ErrorCode, Evidence
from embodied_r_ros.evaluation.question_file import LeftOut
from embodied_r_ros.evaluation.results import Run, compared, inside, is_to_read, results, table
from embodied_r_ros.evaluation.run_folder import Reply
from embodied_r_ros.evaluation.scoring import score


def sample(answer: str | None, choices: tuple[str, ...] = (), name: str = 'a', **more: object) -> dict:
    return {
        'id': name,
        'source': 'test',
        'scene': name,
        'category': 'any',
        'question': 'What?',
        'choices': list(choices),
        'answer': answer,
        **more,
    }


@pytest.mark.parametrize(
    ('truth', 'choices', 'answer', 'counts', 'to_read'),
    [
        ('B', ('left', 'right'), Answer(answer='right', choice=1), 1.0, False),
        ('B', ('left', 'right'), Answer(answer='left', choice=0), 0.0, False),
        ('B', ('left', 'right'), Answer(error_code=ErrorCode.CANNOT_TELL, choice=1, forced=True), 0.0, False),
        ('2', (), Answer(answer='2 m'), 1.0, False),
        ('2', (), Answer(answer='about 2.5 m'), 0.6, False),
        ('2', (), Answer(answer='far'), 0.0, False),
        ('the hall', (), Answer(answer='Hall.'), 1.0, False),
        ('the hall', (), Answer(answer='the corridor'), 0.0, True),
        ('the hall', (), Answer(error_code=ErrorCode.BAD_REPLY), 0.0, False),
    ],
    ids=[
        'the true choice', 'another choice', 'a choice that was forced', 'the number', 'a number near it',
        'no number', 'the same words', 'other words', 'no answer',
    ],
)  # fmt: skip
def test_an_answer_counts_by_choice_number_or_words(
    truth: str, choices: tuple[str, ...], answer: Answer, counts: float, to_read: bool
) -> None:
    asked = sample(truth, choices)
    assert score(asked, answer) == pytest.approx(counts)
    assert is_to_read(Reply(sample=asked, answer=answer)) == to_read


def test_evidence_is_inside_where_a_cited_key_frame_lies_in_an_annotated_interval() -> None:
    cited = (Evidence(session=0, index=2, stamp_ns=14_000_000_000, text='a lamp'),)
    answer = Answer(answer='x', choice=0, evidence=cited)
    for spans, found in (([[3.5, 4.5]], True), ([[0, 1], [4, 4]], True), ([[5, 9]], False), ([], None), (None, None)):
        reply = Reply(sample=sample('A', ('x', 'y'), evidence_s=spans), answer=answer, begin_ns=10_000_000_000)
        assert inside(reply) is found


def test_answers_are_split_by_the_model_that_gave_them() -> None:
    right, wrong = Answer(answer='x', choice=0, model='small'), Answer(answer='y', choice=1, model='large')
    replies = [
        Reply(sample=sample('A', ('x', 'y'), str(number)), answer=answer)
        for number, answer in enumerate((right, wrong, right))
    ]
    found = results(Run(replies=replies))
    assert found['models'] == {
        'small': {'questions': 2, 'accuracy': 1.0},
        'large': {'questions': 1, 'accuracy': 0.0},
    }
    told = table(found).splitlines()
    assert 'small: 100.0% of 2' in told


def test_what_was_left_out_for_one_reason_is_told_once_with_its_count() -> None:
    left_out = [LeftOut('line 9', 'is no JSON'), *(LeftOut(f'q{number}', 'the bag is gone') for number in range(5))]
    found = results(Run(replies=[Reply(sample=sample(None), answer=Answer(answer='x'))], left_out=left_out))
    assert found['left_out'] == [
        {'reason': 'is no JSON', 'count': 1, 'where': ['line 9']},
        {'reason': 'the bag is gone', 'count': 5, 'where': ['q0', 'q1', 'q2', 'q3', 'q4']},
    ]
    assert table(found).splitlines()[-2:] == [
        'left out: 1 (line 9): is no JSON',
        'left out: 5 (q0, q1, q2, …): the bag is gone',
    ]


def test_questions_without_a_true_answer_are_counted_and_listed_but_not_scored() -> None:
    replies = [Reply(sample=sample(None), answer=Answer(answer='in the hall'))]
    found = results(Run(replies=replies))
    assert (found['questions'], found['scored'], found['accuracy'], found['to_read']) == (1, 0, None, ['a'])
    assert table(found).splitlines()[0] == 'codes: OK 1'


def test_a_question_that_changed_is_not_compared() -> None:
    here = Reply(sample=sample('A', ('x', 'y')), answer=Answer(answer='x', choice=0))
    there = Reply(sample=sample('B', ('x', 'y')), answer=Answer(answer='x', choice=0))
    found = compared([here], [there])
    assert found == {'questions': 0, 'only_here': 1, 'only_there': 1, 'changed': []}
    assert table({**results(Run(replies=[here])), 'against': found}).splitlines()[-1] == (
        'no question is scored in both runs; 1 questions are of this run only, 1 of the other only'
    )
