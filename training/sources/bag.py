"""A robot's own bags: questions written by hand, and questions made from what the bag itself measured.

    python -m training.prepare bag runs/* --out out/bags.jsonl

Questions by hand are a YAML list:

    - question: Which way is the charging dock?
      choices: [to the left, to the right]
      answer: to the left       # or its letter; a number where there are no choices
      second: 12.5              # the moment at which it is asked, in seconds after the first image; else the end
      category: landmark position
      media: morning            # the bag's name, needed where several are given

`evaluate` takes the same file. `as_of_s` and `bag` are other names of `second` and `media`.
"""

from __future__ import annotations

import argparse
import collections
import math
import pathlib
import random
import string
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from embodied_r_ros.adapters.eye_tags import TagSettings
from embodied_r_ros.core.errors import InputError, UnsupportedQuestion
from embodied_r_ros.core.questions import TASKS, read_question
from embodied_r_ros.evaluation.progress import counted
from embodied_r_ros.evaluation.question_file import BY_HAND
from embodied_r_ros.evaluation.samples import SPLITS, Sample, is_number, split_of, write_samples
from training.sources.bag_questions import Counts, questions_of
from training.sources.bag_run import Run, read_run, site_of, triangulate

SHARES = (0.75, 0.05, 0.20)
OTHER_NAMES = {'as_of_s': 'second', 'bag': 'media'}


def add_parser(sources: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = sources.add_parser('bag', help="Ask about a robot's own bags, by hand or from odometry and tags.")
    parser.add_argument(
        'paths', type=pathlib.Path, nargs='+', metavar='PATH', help='Take these bags, with labels.yaml beside them.'
    )
    parser.add_argument(
        '--questions', type=pathlib.Path, metavar='F', help='Take the questions by hand from this YAML list.'
    )
    parser.add_argument(
        '--per-bag', type=int, default=40, help='Make up to this many questions from each bag (default: %(default)s).'
    )
    parser.add_argument('--site', default='', help='Name the site (default: as the metadata says, else the folder).')
    size = 'Take the tags to have sides of this many metres (default: %(default)s).'
    parser.add_argument('--tag-size', type=float, default=TagSettings().tag_size_m, help=size)
    parser.add_argument(
        '--seed', type=int, default=0, help='Seed the questions and the split with this number (default: %(default)s).'
    )
    names, told = ('TRAIN', 'VALIDATION', 'TEST'), 'Give the splits these shares of the sites (default: %(default)s).'
    parser.add_argument('--shares', type=float, nargs=3, default=SHARES, metavar=names, help=told)
    parser.add_argument('--out', type=pathlib.Path, required=True, help='Write the samples to this file of JSON lines.')
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the samples and a summary; returns the exit status."""
    names = [path.resolve().stem for path in options.paths]
    if options.per_bag < 0 or (options.per_bag == 0 and options.questions is None):
        raise InputError(f'questions are made from bags or given by --questions, got --per-bag {options.per_bag}')
    by_hand = read_questions(options.questions, names) if options.questions else []
    tallies: collections.defaultdict[str, Counts] = collections.defaultdict(collections.Counter)
    asked: collections.defaultdict[str, Counts] = collections.defaultdict(collections.Counter)
    samples, left_out = [], []
    for path, name in counted(list(zip(options.paths, names)), 'bags'):
        site = options.site or site_of(path)
        split = split_of(site, options.seed, tuple(options.shares))
        head = {'source': 'bag', 'scene': site, 'split': split}
        mine = [entry for entry in by_hand if entry['media'] == name]
        try:
            made = [_hand_sample(path, entry) for entry in mine]
            if options.per_bag:
                rng = random.Random(f'questions {options.seed} {site} {name}')
                whole = read_run(path, site, options.tag_size)
                made += _made(whole, options.per_bag, rng, asked[split], tallies[split])
        except InputError as error:
            left_out.append(str(error))
            continue
        samples += [{'id': f'bag-{site}-{name}-{number}', **head, **sample} for number, sample in enumerate(made)]
    for reason in left_out:
        print(f'left out: {reason}', file=sys.stderr)
    if not samples:
        raise InputError(f'no question is left of {len(names)} bags: {"; ".join(left_out)}')
    write_samples(options.out, samples)
    print(table(samples, sum(tallies.values(), collections.Counter())))
    return 0


def _made(run: Run, wanted: int, rng: random.Random, asked: Counts, tally: Counts) -> list[Sample]:
    samples = questions_of(run, wanted, rng, asked, tally)
    if not samples:
        places, others = triangulate(run.detections)
        raise InputError(
            f'{str(run.path)!r} leads to no question: {len(places)} things were seen three times from two places, '
            f'{len(others)} others were not; drive by more of the things that carry tags, and name them in labels.yaml'
        )
    return samples


def read_questions(path: pathlib.Path, bags: Sequence[str]) -> list[dict[str, Any]]:
    """Questions by hand, each with the bag that it is about, and its answer as a letter or number.

    Raises:
        InputError: the file cannot be read, or a question cannot be used; the message names it by its number.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f'questions must be a readable YAML file, got {str(path)!r}: {error}') from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f'{path} must hold a YAML list of questions, got {type(entries).__name__}')
    return [_read_question(entry, f'{path}, question {number}', bags) for number, entry in enumerate(entries, start=1)]


def _read_question(entry: Any, where: str, bags: Sequence[str]) -> dict[str, Any]:
    named = {OTHER_NAMES.get(name, name): value for name, value in entry.items()} if isinstance(entry, dict) else {}
    if not {'question', 'answer'} <= set(named) <= set(BY_HAND):
        raise InputError(f'{where} needs question and answer, and may have {", ".join(sorted(BY_HAND))}; got {entry!r}')
    choices = named.get('choices', [])
    if not isinstance(choices, list) or len(choices) == 1 or len(choices) > 26:
        raise InputError(f'{where} needs 2 to 26 choices, or none where the answer is a number, got {choices!r}')
    choices = [str(choice) for choice in choices]
    bag = named.get('media', bags[0] if len(bags) == 1 else None)
    if bag not in bags:
        raise InputError(f'{where} must name one of the bags {", ".join(bags)} as its media, got {bag!r}')
    second = named.get('second')
    if second is not None and not (isinstance(second, (int, float)) and 0 < second < math.inf):
        raise InputError(f'{where} needs its second after the first image, got {second!r}')
    text = str(named['question'])
    return {
        'category': str(named.get('category') or _category(text, choices)),
        'question': text,
        'choices': choices,
        'answer': _answer(str(named['answer']), choices, where),
        'second': second,
        'media': bag,
    }


def _answer(answer: str, choices: Sequence[str], where: str) -> str:
    letters = string.ascii_uppercase[: len(choices)]
    if not choices and is_number(answer):
        return answer
    if choices.count(answer) == 1:
        return letters[choices.index(answer)]
    if answer in list(letters):
        return answer
    wanted = f'one of {choices!r} or its letter' if choices else 'a number, since there are no choices'
    raise InputError(f'{where} needs as its answer {wanted}, got {answer!r}')


def _category(text: str, choices: Sequence[str]) -> str:
    try:
        return read_question(text, choices).task
    except UnsupportedQuestion:
        return 'by hand'


def _hand_sample(path: pathlib.Path, entry: dict[str, Any]) -> Sample:
    """A person's label owes nothing to odometry, so the observations may use it."""
    held = {'path': str(path), 'start_s': 0.0, 'end_s': entry['second'], 'odometry': True}
    return {key: entry[key] for key in ('category', 'question', 'choices', 'answer')} | {'media': held}


def table(samples: Sequence[Sample], tally: Counts) -> str:
    """Per task, what was kept and why the rest of the tries was not; then sites and questions of each split."""
    kept = collections.Counter(sample['category'] for sample in samples)
    reasons = ('near a border', 'asked before', 'not there')
    names = [*TASKS, *sorted(set(kept) - set(TASKS))]
    lines = [f'{"category":22} {"kept":>6} ' + ' '.join(f'{reason:>13}' for reason in reasons)]
    for name in names:
        lines.append(f'{name:22} {kept[name]:6} ' + ' '.join(f'{tally[name, reason]:13}' for reason in reasons))
    for split in SPLITS:
        of = [sample for sample in samples if sample['split'] == split]
        lines.append(f'{split:22} {len(of):6} questions about {len({sample["scene"] for sample in of})} sites')
    return '\n'.join(lines)
