"""Whether answers rest on the frames they cite: how often the choice changes when those are taken away.

500 simulated questions, observed exactly. Each is asked again without the observations that its answer cites, and again
without as many others, drawn at random. Their motion stays: it is measured by the robot, not by who looked. The figure
`evidence` is the share of choices that change without the cited ones (`ours`) against without others (`baseline`).

    python -m benchmarks.evidence [--model DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import pathlib
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import Answer
from embodied_r_ros.evaluation.samples import Sample, from_observations, read_samples, to_observations
from embodied_r_ros.share import share_path
from training.evaluate import answer_all
from training.prepare import main as prepare

QUESTIONS, SEED = 500, 9
RESAMPLES = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.evidence', description='Evidence ablation.')
    parser.add_argument('--model', type=pathlib.Path, help='folder of the reasoner (default: the embedded one)')
    options = parser.parse_args(arguments)
    folder = options.model or share_path(pathlib.Path('data/reasoner'))
    file = pathlib.Path('out/evidence.jsonl')
    status = prepare(['world', '--questions', str(QUESTIONS), '--seed', str(SEED), '--out', str(file)])
    if status:
        return status
    samples = read_samples(file)
    answers = _ask(samples, folder)
    rng = random.Random(SEED)
    cited_away, others_away, asked = [], [], []
    for sample, answer in zip(samples, answers):
        seen = to_observations(sample)
        cited = sorted({evidence.index for evidence in answer.evidence})
        others = [observation.index for observation in seen if observation.index not in cited]
        if cited and len(others) >= len(cited) and answer.choice >= 0:
            asked.append(answer)
            cited_away.append(_without(sample, seen, cited))
            others_away.append(_without(sample, seen, rng.sample(others, len(cited))))
    changed = [
        np.array([before.choice != after.choice for before, after in zip(asked, _ask(part, folder))])
        for part in (cited_away, others_away)
    ]
    figure = {
        'ours': float(changed[0].mean()),
        'baseline': float(changed[1].mean()),
        'ratio': round(_ratio(*changed), 1),
        'unit': 'share of choices changed',
        'spread': _spread(*changed),
        'questions': len(asked),
    }
    print(json.dumps({'evidence': figure}))
    return 0


def _ask(samples: Sequence[Sample], folder: pathlib.Path) -> list[Answer]:
    replies = asyncio.run(answer_all(samples, NumpyLanguageModel(folder), CompactFormat()))
    return [reply.answer for reply in replies]


def _without(sample: Sample, seen: Sequence[Observation], away: Sequence[int]) -> Sample:
    """The sample as if nobody had looked at some of its key frames; that the robot moved there is known."""
    kept = [dataclasses.replace(o, sightings=(), text='') if o.index in away else o for o in seen]
    return {**sample, 'observations': from_observations(kept)}


def _ratio(cited: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
    """Changes without the cited against changes without others, which are counted from one half up."""
    return float(cited.sum() / max(others.sum(), 0.5))


def _spread(cited: NDArray[np.bool_], others: NDArray[np.bool_]) -> list[float]:
    """The 95 % interval of the ratio, by resampling questions."""
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(cited), (RESAMPLES, len(cited)))
    ratios = [_ratio(cited[questions], others[questions]) for questions in drawn]
    return [round(float(edge), 2) for edge in np.percentile(ratios, [2.5, 97.5])]


if __name__ == '__main__':
    raise SystemExit(main())
