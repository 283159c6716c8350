"""What a run came to, as JSON for programs and as a table for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from embodied_r_ros.core.answers import letter
from embodied_r_ros.core.frames import NS_PER_S
from embodied_r_ros.core.records import ErrorCode
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.evaluation.question_file import LeftOut
from embodied_r_ros.evaluation.run_folder import Reply
from embodied_r_ros.evaluation.samples import Sample, is_number
from embodied_r_ros.evaluation.scoring import counts, mean, paired, score, summary

DESCRIBE = 'describe'
NAMED = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """All that came of a run.

    Attributes:
        replies: in the order of the questions.
        left_out: questions that were not asked.
        describe_s: wall-clock seconds that each key frame took to be described.
    """

    replies: Sequence[Reply]
    left_out: Sequence[LeftOut] = ()
    describe_s: Sequence[float] = ()


def results(run: Run) -> dict[str, Any]:
    """Accuracy beside chance in all and per task, codes, models, evidence, latency by stage.

    All but `latency_s` is the same each time the same questions get the same answers. Questions without a true answer
    count in `questions` and `codes` alone.
    """
    scored = [reply for reply in run.replies if is_scored(reply.sample)]
    samples = [reply.sample for reply in scored]
    found: dict[str, Any] = {'scenes': 0, 'accuracy': None, 'interval': None, 'macro': None, 'macro_interval': None}
    found |= {'chance': None, 'per_task': {}}
    if scored:
        found |= summary(samples, np.array([score(reply.sample, reply.answer) for reply in scored]))
    return {
        **found,
        'questions': len(run.replies),
        'scored': len(scored),
        'to_read': [reply.sample['id'] for reply in run.replies if is_to_read(reply)],
        'left_out': by_reason(run.left_out),
        'codes': counts([reply.answer.error_code.name for reply in run.replies]),
        'models': _by_model(scored),
        'evidence': _evidence(run.replies),
        'latency_s': _latency(run),
    }


def by_reason(left_out: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """What was left out: each reason once, with how many questions it struck and where they stand."""
    where: dict[str, list[str]] = {}
    for one in left_out:
        where.setdefault(one.reason, []).append(one.where)
    return [{'reason': reason, 'count': len(places), 'where': places} for reason, places in where.items()]


def compared(replies: Sequence[Reply], others: Sequence[Reply]) -> dict[str, Any]:
    """This run less another, on the questions that both answered, and those whose answers changed."""
    other_by_id = {reply.sample['id']: reply for reply in others}
    both = [
        (reply, other_by_id[reply.sample['id']])
        for reply in replies
        if reply.sample['id'] in other_by_id and _same_question(reply.sample, other_by_id[reply.sample['id']].sample)
    ]
    scored = [(one, other) for one, other in both if is_scored(one.sample)]
    found: dict[str, Any] = {'questions': len(scored), 'only_here': len(replies) - len(both)}
    found['only_there'] = len(others) - len(both)
    if scored:
        scores = (np.array([score(pair[side].sample, pair[side].answer) for pair in scored]) for side in (0, 1))
        found |= paired([one.sample for one, _ in scored], *scores)
    changed = [(one, other) for one, other in both if said(one) != said(other)]
    found['changed'] = [
        {
            'id': one.sample['id'],
            'question': one.sample['question'],
            'truth': truth(one.sample),
            'here': said(one),
            'there': said(other),
        }
        for one, other in changed
    ]
    return found


def is_scored(sample: Sample) -> bool:
    """Whether there is a true answer to score with."""
    return sample['answer'] is not None


def is_to_read(reply: Reply) -> bool:
    """Whether a person must judge the answer: it has words of its own, which are not the true ones."""
    sample = reply.sample
    if sample['choices'] or reply.answer.error_code is not ErrorCode.OK:
        return False
    return not is_scored(sample) or not (is_number(sample['answer']) or score(sample, reply.answer) == 1.0)


def said(reply: Reply) -> str:
    """The answer in words, or the code of a failure."""
    return reply.answer.answer if reply.answer.error_code is ErrorCode.OK else reply.answer.error_code.name


def truth(sample: Sample) -> str:
    """The true answer in words; '' where there is none."""
    if not is_scored(sample):
        return ''
    if not sample['choices']:
        return str(sample['answer'])
    letters = [letter(index) for index in range(len(sample['choices']))]
    return str(sample['choices'][letters.index(sample['answer'])])


def inside(reply: Reply) -> bool | None:
    """Whether a cited key frame lies within an annotated interval; None where nothing is annotated."""
    spans = reply.sample.get('evidence_s')
    if not spans:
        return None
    seconds = [(cited.stamp_ns - reply.begin_ns) / NS_PER_S for cited in reply.answer.evidence]
    return any(first <= second <= last for second in seconds for first, last in spans)


def _same_question(sample: Sample, other: Sample) -> bool:
    return all(sample[name] == other.get(name) for name in ('question', 'choices', 'answer'))


def _by_model(replies: Sequence[Reply]) -> dict[str, Any]:
    """Questions and accuracy by the model that answered."""
    by_model: dict[str, list[float]] = {}
    for reply in replies:
        by_model.setdefault(reply.answer.model, []).append(score(reply.sample, reply.answer))
    return {model: {'questions': len(scores), 'accuracy': mean(np.array(scores))} for model, scores in by_model.items()}


def _evidence(replies: Sequence[Reply]) -> dict[str, Any] | None:
    """How many of the answers cite a key frame within the annotated interval; None where nothing is annotated."""
    told = [
        value for reply in replies if reply.answer.error_code is ErrorCode.OK and (value := inside(reply)) is not None
    ]
    return {'annotated': len(told), 'inside': mean(np.array(told))} if told else None


def _latency(run: Run) -> dict[str, Any]:
    """Median and 95th percentile of each stage, in wall-clock seconds."""
    spans: dict[str, list[float]] = {DESCRIBE: list(run.describe_s)} if run.describe_s else {}
    for reply in run.replies:
        for stage, seconds in reply.answer.timings_s.items():
            spans.setdefault(stage, []).append(seconds)
    return {
        stage: {f'p{percent}': round(percentile(values, percent), 4) for percent in (50, 95)}
        for stage, values in spans.items()
    }


def table(found: Mapping[str, Any]) -> str:
    """Results for people."""
    return '\n'.join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterable[str]:
    if found['accuracy'] is not None:
        width = max(22, *map(len, found['per_task']))
        yield f'{"task":{width}} {"n":>5} {"right":>6}  {"95 % interval":16} {"chance":>6}'
        macro = {**found, 'accuracy': found['macro'], 'interval': found['macro_interval'], 'questions': found['scored']}
        for name, entry in [*found['per_task'].items(), ('mean of tasks', macro), ('all', {**macro, **_of_all(found)})]:
            low, high = entry['interval']
            yield (
                f'{name:{width}} {entry["questions"]:5} {entry["accuracy"]:6.1%}  [{low:6.1%}, {high:6.1%}] '
                f'{entry["chance"]:6.1%}'
            )
    yield 'codes: ' + ', '.join(f'{code} {count}' for code, count in found['codes'].items())
    for model, entry in found['models'].items() if len(found['models']) > 1 else ():
        yield f'{model}: {entry["accuracy"]:.1%} of {entry["questions"]}'
    stages = (f'{stage} {entry["p50"]:.3f} ({entry["p95"]:.3f})' for stage, entry in found['latency_s'].items())
    yield 'seconds, median (95 %): ' + ', '.join(stages)
    if found['evidence']:
        told = found['evidence']
        yield f'evidence inside the annotated interval: {told["inside"]:.1%} of {told["annotated"]} answers'
    if found['to_read']:
        yield f'{len(found["to_read"])} open answers are to be read by a person: {", ".join(found["to_read"])}'
    for one in found['left_out']:
        more = ', …' if one['count'] > NAMED else ''
        yield f'left out: {one["count"]} ({", ".join(one["where"][:NAMED])}{more}): {one["reason"]}'
    if 'against' in found:
        yield from _against(found['against'])


def _of_all(found: Mapping[str, Any]) -> dict[str, Any]:
    return {'accuracy': found['accuracy'], 'interval': found['interval']}


def _against(found: Mapping[str, Any]) -> Iterable[str]:
    apart = f'{found["only_here"]} questions are of this run only, {found["only_there"]} of the other only'
    if 'difference' in found:
        low, high = found['interval']
        yield (
            f'against {found["accuracy"]:.1%} on {found["questions"]} questions of both: {found["difference"]:+.1%} '
            f'[{low:+.1%}, {high:+.1%}]; better on {found["better"]}, worse on {found["worse"]}; {apart}'
        )
    else:
        yield f'no question is scored in both runs; {apart}'
    for one in found['changed']:
        yield f'changed: {one["id"]}: {one["there"]} -> {one["here"]} (true: {one["truth"]})'
