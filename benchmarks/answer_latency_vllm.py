"""Seconds from a question to its answer through the graph with real model servers, and what the reference flow takes.

The servers are named by EMBODIED_R_TEST_VLM_URL and EMBODIED_R_TEST_LM_URL (with `_MODEL` where they serve several);
without them this is left out. Beside it: the same with a second look, and the share of its prompt tokens that vLLM
found in its prefix cache.

    python -m benchmarks.answer_latency_vllm [--repeats N] [--max-tokens N] [--models FILE]
"""

from __future__ import annotations

import argparse
import os
import re
import urllib.request
from collections.abc import Sequence

from benchmarks.__main__ import SKIPPED
from benchmarks._asking import Robot
from benchmarks._figure import tell, times
from benchmarks._reference import ReferenceFlow
from benchmarks.answer_latency import reference_s
from embodied_r_ros.core.models import ServerSettings, load_model_pair
from embodied_r_ros.core.statistics import percentile


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.answer_latency_vllm', description='Real servers.')
    parser.add_argument('--repeats', type=int, default=5, help='questions (default 5)')
    parser.add_argument('--max-tokens', type=int, default=512, help='of a thought (default 512)')
    parser.add_argument('--models', default='config/models/paper.yaml', help='pair file for lengths and temperatures')
    options = parser.parse_args(arguments)
    perception = load_model_pair(options.models).perception
    named = {name: os.environ.get(f'EMBODIED_R_TEST_{name}', '') for name in ('VLM_URL', 'LM_URL')}
    if not all(named.values()):
        print(f'EMBODIED_R_TEST_{next(name for name, url in named.items() if not url)} names no server')
        return SKIPPED
    vlm, lm = (ServerSettings(url=url).url for url in named.values())
    models = [os.environ.get(f'EMBODIED_R_TEST_{name}_MODEL', '') for name in ('VLM', 'LM')]
    models = [model or _only_model(url) for model, url in zip(models, (vlm, lm))]
    with Robot(vlm, lm, *models, max_tokens=options.max_tokens, models=options.models) as robot:
        ours = list(robot.spans_s(options.repeats, readable=False))
        before = _prefix_cache(vlm)
        focus = list(robot.spans_s(options.repeats, focus='always', readable=False))
        cache = [now - was for now, was in zip(_prefix_cache(vlm), before)]
        flow = ReferenceFlow(vlm, models[0], lm, models[1], (perception.max_tokens, options.max_tokens))
        baseline = reference_s(robot, flow, repeats=1)
    figure = times(
        ours,
        baseline,
        's',
        focus_s=percentile(focus, 50),
        prefix_cache_share=round(cache[1] / cache[0], 3) if cache[0] else None,
    )
    return tell(answer_latency_vllm=figure)


def _only_model(url: str) -> str:
    with urllib.request.urlopen(f'{url}/models') as reply:
        return re.findall(r'"id": ?"([^"]+)"', reply.read().decode())[0]


def _prefix_cache(url: str) -> tuple[float, float]:
    """Prompt tokens that vLLM looked for in its prefix cache, and those that it found; zeros for another server."""
    try:
        with urllib.request.urlopen(url.removesuffix('/v1') + '/metrics') as reply:
            text = reply.read().decode()
    except OSError:
        return 0.0, 0.0
    found = [re.findall(rf'^vllm:prefix_cache_{name}_total\{{.*\}} (\S+)$', text, re.M) for name in ('queries', 'hits')]
    return sum(map(float, found[0])), sum(map(float, found[1]))


if __name__ == '__main__':
    raise SystemExit(main())
