"""The reader of the questions alone: it finds a planted giveaway, and nothing where there is none."""

from __future__ import annotations

import json
import random

import numpy as np

from training import question_only_baseline
from training.question_only_baseline import LEAST_CROSS_FITTED, main, question_only_right, question_only_shares

SIDES = ('ahead', 'right', 'behind', 'left')


def exam(count, giveaway, seed=0):
    """Questions about forty scenes whose answer is drawn by `giveaway(rng, noun, choices)`."""
    rng, samples = random.Random(seed), []
    for number in range(count):
        noun, choices = rng.choice(['sofa', 'lamp', 'desk', 'door']), rng.sample(SIDES, 4)
        right = giveaway(rng, noun, choices)
        samples.append(
            {
                'scene': f'scene-{number % 40}',
                'category': 'landmark position',
                'question': f'Where is the {noun} now?',
                'choices': choices,
                'answer': 'ABCD'[choices.index(right)],
            }
        )
    return samples


def share(samples, fit_on=None):
    return float(np.mean(question_only_right(samples, fit_on)))


def found(giveaway):
    """What a reader fitted on some questions gets right of others."""
    return share(exam(60, giveaway, seed=1), exam(120, giveaway))


def test_questions_without_a_giveaway_are_read_at_chance():
    assert abs(share(exam(200, lambda rng, noun, choices: rng.choice(choices))) - 0.25) < 0.09


def test_an_answer_that_is_likelier_than_others_is_found():
    def mostly_left(rng, noun, choices):
        return 'left' if rng.random() < 0.6 else rng.choice(choices)

    assert found(mostly_left) > 0.5


def test_a_word_of_the_question_that_gives_the_answer_away_is_found():
    tied = dict(zip(('sofa', 'lamp', 'desk', 'door'), SIDES))
    assert found(lambda rng, noun, choices: tied[noun]) > 0.9


def test_a_place_among_the_choices_that_gives_the_answer_away_is_found():
    assert found(lambda rng, noun, choices: choices[2]) > 0.9


def test_what_a_scene_teaches_does_not_help_in_it():
    answers = {scene: random.Random(scene).choice(SIDES) for scene in range(40)}
    samples = exam(120, lambda rng, noun, choices: choices[0])
    for number, sample in enumerate(samples):
        sample['question'] = f'Where is the thing of scene {number % 40}?'
        sample['answer'] = 'ABCD'[sample['choices'].index(answers[number % 40])]
    assert share(samples) < 0.45


def test_a_giveaway_is_found_by_a_reader_fitted_on_other_samples():
    def mostly_left(rng, noun, choices):
        return 'left' if rng.random() < 0.6 else rng.choice(choices)

    fit_on = exam(150, mostly_left, seed=1)
    assert share(exam(60, mostly_left, seed=2), fit_on) > 0.5
    assert share(exam(60, lambda rng, noun, choices: 'right', seed=3), fit_on) == 0.0


def test_the_same_seed_reads_the_same():
    samples = exam(40, lambda rng, noun, choices: rng.choice(choices))
    assert question_only_right(samples, seed=1).tolist() == question_only_right(samples, seed=1).tolist()
    assert question_only_right(samples).shape == (40,)


def test_shares_say_how_surely_the_answer_is_given_away():
    tied = dict(zip(('sofa', 'lamp', 'desk', 'door'), SIDES))
    given = question_only_shares(exam(120, lambda rng, noun, choices: tied[noun]))
    hidden = question_only_shares(exam(120, lambda rng, noun, choices: rng.choice(choices)))
    assert given.mean() > 0.6 > 0.4 > hidden.mean()
    assert given.max() <= 1.0


def test_numbers_are_read_as_what_is_usual_elsewhere():
    usual = {'How long is the bed?': 2.0, 'How long is the pen?': 0.1}
    samples = [
        {'scene': f'scene-{n}', 'category': 'size', 'question': asked, 'choices': [], 'answer': str(number)}
        for n in range(20)
        for asked, number in usual.items()
    ]
    assert question_only_right(samples).tolist() == [1.0] * 40
    assert question_only_shares(samples).tolist() == [1.0] * 40
    unlike = [{**sample, 'answer': '50'} for sample in samples[:2]]
    assert question_only_right(unlike, samples).tolist() == [0.0, 0.0]
    assert question_only_right(samples[:1], exam(8, lambda rng, noun, choices: choices[0])).tolist() == [0.0]


def test_the_splits_of_one_file_are_read_apart(tmp_path, capsys):
    samples = [
        {**sample, 'id': str(number), 'source': 'test', 'split': 'test' if number % 4 == 0 else 'train'}
        for number, sample in enumerate(exam(120, lambda rng, noun, choices: choices[2]))
    ]
    file = tmp_path / 's.jsonl'
    file.write_text(''.join(json.dumps(sample) + '\n' for sample in samples))
    splits = ['--fit-split', 'train', '--split', 'test']
    assert main(['--fit', str(file), '--samples', str(file), *splits]) == 0
    assert 'all                       30 question only 100.0% chance  25.0%' in capsys.readouterr().out
    assert main(['--samples', str(file)]) == 2
    assert f'at least {LEAST_CROSS_FITTED} questions were wanted, to fit' in capsys.readouterr().err


def test_enough_questions_are_read_by_readers_fitted_on_the_others(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(question_only_baseline, 'LEAST_CROSS_FITTED', 120)
    file = tmp_path / 's.jsonl'
    samples = exam(120, lambda rng, noun, choices: choices[2])
    entries = [{**sample, 'id': str(number), 'source': 'test'} for number, sample in enumerate(samples)]
    file.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
    assert main(['--samples', str(file)]) == 0
    assert 'all                      120 question only 100.0% chance  25.0%' in capsys.readouterr().out
