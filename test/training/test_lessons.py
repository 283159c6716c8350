"""Lessons: endless, a stream per seed, every sum right, every kind of question, never a walk of an evaluation."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from worked import check_arithmetic

from embodied_r_ros.core.answers import match_choice
from embodied_r_ros.core.compact import BOS, EOS, MAX_STEPS, NOWHERE, CompactFormat, vocabulary
from embodied_r_ros.core.errors import InputError
from embodied_r_ros.core.records import Completion, Question
from embodied_r_ros.evaluation.samples import read_samples, to_observations
from training import lessons as taught
from training import prepare
from training.lessons import CHECK_SHARE, DRILL_SHARE, TOKEN_IDS, UNSUPPORTED_SHARE, encode, lessons, lessons_of
from training.prompts import ask_sample

COUNT = 240
WORDS = vocabulary()


def words(ids):
    return ' '.join(WORDS[number] for number in ids)


@pytest.fixture(scope='module')
def stream():
    """The first lessons of a seed as (prompt, reply) in words, their tags taken off."""
    found = []
    for lesson in itertools.islice(lessons('test'), COUNT):
        prompt, reply = words(lesson.ids[: lesson.given]), words(lesson.ids[lesson.given :])
        assert prompt.startswith(f'{BOS} ') and reply.endswith(f' {EOS}')
        found.append((prompt.removeprefix(f'{BOS} '), reply.removesuffix(f' {EOS}')))
    return found


def drills(stream):
    return [entry for entry in stream if entry[0] == 'drill']


def checks(stream):
    return [entry for entry in stream if entry[0].startswith('check ')]


def questions(stream):
    return [entry for entry in stream if entry[0].startswith('s0 ')]


def test_lessons_are_questions_checks_and_drills_in_their_shares(stream):
    assert len(drills(stream)) + len(checks(stream)) + len(questions(stream)) == COUNT
    assert len(drills(stream)) / COUNT == pytest.approx(DRILL_SHARE / (1 + DRILL_SHARE), abs=0.06)
    assert len(checks(stream)) / COUNT == pytest.approx(CHECK_SHARE / (1 + DRILL_SHARE), abs=0.06)


def test_every_sum_that_is_taught_is_right(stream):
    for _, reply in stream:
        check_arithmetic(reply)


def test_replies_are_a_thought_and_an_answer_that_it_ends_in(stream):
    for _, reply in questions(stream):
        match = re.fullmatch(r'<think> (.*) </think> <answer> (.*) </answer>', reply)
        assert match[1].endswith(match[2])


def test_checks_give_the_thought_without_its_last_words_and_want_the_answer_alone(stream):
    for prompt, reply in checks(stream):
        answer = re.fullmatch(r'<answer> (.*) </answer>', reply)[1]
        given = re.fullmatch(r'check .* \? given (.*) \?', prompt)[1]
        assert not given.endswith(answer)


def test_a_quarter_of_the_checks_show_a_claim_without_what_it_rests_on_and_lead_nowhere(stream):
    nowhere = [prompt for prompt, reply in checks(stream) if reply == f'<answer> {NOWHERE} </answer>']
    assert len(nowhere) / len(checks(stream)) == pytest.approx(UNSUPPORTED_SHARE, abs=0.1)


def test_every_kind_of_question_and_answer_is_taught(stream):
    asked = [re.sub(r'.* \. ', '', prompt) for prompt, _ in questions(stream)]
    openings = {re.match(r'[a-z]+', text)[0] for text in asked}
    assert openings == {'where', 'go', 'at', 'from', 'nearest', 'order', 'first', 'plan'}
    assert {family for text in asked for family in re.findall(r': (\w+) \?', text)} == {
        'w4',
        'w8',
        'q4',
        'lr',
        'lrb',
        'a4',
    }
    assert any(' if s' in text for text in asked)


def test_short_and_long_logs_are_taught_up_to_the_most_that_are_served(stream):
    lengths = [len(re.findall(r'(?:^|\. )s\d+ ', prompt)) for prompt, _ in questions(stream)]
    assert max(lengths) > 20
    assert max(lengths) <= MAX_STEPS
    short = [length for length in lengths if length <= 4]
    assert set(short) == {1, 2, 3, 4}
    assert len(short) / len(lengths) == pytest.approx(0.18, abs=0.1)


def test_some_things_are_of_a_kind_and_told_apart_by_number(monkeypatch):
    asked, read_question = [], taught.read_question

    def noted(*question):
        text, choices, _ = question
        asked.append((' '.join([text, *choices]), read_question(*question).objects))
        return read_question(*question)

    monkeypatch.setattr(taught, 'read_question', noted)
    list(itertools.islice(lessons('of a kind'), 200))
    numbered = [(text, name) for text, objects in asked for name in objects if re.search(r' [234]$', name)]
    assert len(numbered) > 20
    assert all(re.search(rf'\b{name}\b', text) for text, name in numbered)


def test_prompt_and_reply_fit_the_context(stream):
    assert max(len(f'{prompt} {reply}'.split()) for prompt, reply in stream) < 1500


def test_the_same_seed_gives_the_same_lessons_and_another_others():
    first, again, other = (list(itertools.islice(lessons(seed), 10)) for seed in ('a', 'a', 'b'))
    assert first == again
    assert first != other


def test_no_lesson_is_about_a_walk_that_an_evaluation_could_have(monkeypatch):
    seeds, make_walk = [], taught.make_walk

    def noted(seed, *options):
        seeds.append(seed)
        return make_walk(seed, *options)

    monkeypatch.setattr(taught, 'make_walk', noted)
    list(itertools.islice(lessons('seeds'), 50))
    assert len(set(seeds)) > 5
    assert max(seeds) < 0


def test_a_word_that_the_language_lacks_is_no_lesson():
    assert [WORDS[number] for number in encode('s1 left 90deg')] == ['s1', 'left', '90deg']
    with pytest.raises(KeyError, match='sofa'):
        encode('see sofa')


def test_each_word_has_one_number():
    assert [TOKEN_IDS[word] for word in WORDS] == list(range(len(WORDS)))


def test_answers_are_spread_over_the_sides(stream):
    answers = [
        re.search(r'<answer> (.*) </answer>', reply)[1] for prompt, reply in questions(stream) if ': w4 ?' in prompt
    ]
    counts = [answers.count(word) for word in ('ahead', 'right', 'behind', 'left')]
    assert sum(counts) == len(answers)
    assert min(counts) > 0.5 * max(counts) or math.isclose(min(counts), max(counts), abs_tol=6)


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    path = tmp_path_factory.mktemp('lessons') / 'world.jsonl'
    assert prepare.main(['world', '--questions', '32', '--seed', '3', '--out', str(path)]) == 0
    return read_samples(path)


def test_lessons_about_samples_think_about_what_was_seen_and_come_to_their_answers(samples):
    prompts = {}
    for sample in samples:
        question = Question(text=sample['question'], choices=tuple(sample['choices']))
        prompt = CompactFormat().ask(question, to_observations(sample))
        prompts[unnamed(prompt.messages[0].content)] = prompt, question, sample
    for lesson in itertools.islice(lessons_of(samples, 'a'), len(samples)):
        said, reply = words(lesson.ids[: lesson.given]), words(lesson.ids[lesson.given :])
        if said.startswith(f'{BOS} check'):
            continue
        prompt, question, sample = prompts.pop(unnamed(said.removeprefix(f'{BOS} ')))
        answer = prompt.read(Completion(text=reply.removesuffix(f' {EOS}'))).answer
        assert match_choice(answer, question.choices) == 'ABCDEFG'.index(sample['answer'])
    assert len(prompts) < 0.3 * len(samples)


def unnamed(text):
    return re.sub(r'\bn\d+', 'n', text)


def test_samples_that_cannot_be_worked_out_are_an_error(samples):
    wrong = [{**sample, 'answer': 'AB'[sample['answer'] == 'A']} for sample in samples]
    with pytest.raises(InputError, match='none of 32 samples can be worked out'):
        next(lessons_of(wrong, 'a'))


def test_a_sample_with_replies_is_taught_by_them(samples):
    replies = ['<think> w4 </think> <answer> left </answer>', '<think> w4 </think> <answer> right </answer>']
    held = {**samples[0], 'replies': replies}
    asked = ask_sample(held, CompactFormat()).messages[-1].content
    taught_by = {
        (words(one.ids[: one.given]), words(one.ids[one.given :]))
        for one in itertools.islice(lessons_of([held], 'a'), 20)
    }
    assert taught_by == {(f'{BOS} {asked}', f'{reply} {EOS}') for reply in replies}


def test_a_sample_whose_replies_have_words_that_the_language_lacks_is_left_out(samples):
    foreign = {**samples[0], 'replies': ['the sofa is there']}
    with pytest.raises(InputError, match='none of 1 samples can be worked out'):
        next(lessons_of([foreign], 'a'))


def test_a_drill_beyond_the_words_of_the_language_is_left_out(monkeypatch):
    monkeypatch.setattr(taught, 'drill', lambda rng: 'drill : w4 ? p1 0deg 0 1000')
    assert all(WORDS.index('drill') not in lesson.ids for lesson in itertools.islice(lessons('drills'), 40))
