"""How fast the embedded reasoner thinks in numpy, against transformers' `generate`, both with one thread.

Tokens per second of the same greedy reply to the same prompt, reading the prompt apart; beside it, milliseconds from a
question to its first token when the observations were read ahead, and when nothing was.

    python -m benchmarks.reasoner [--repeats N]
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.__main__ import SKIPPED
from benchmarks._figure import rates, repeats_of, tell
from benchmarks.memory import observations
from embodied_r_ros.adapters.lm_numpy import BEGIN, NumpyLanguageModel
from embodied_r_ros.adapters.tokenizer import WordTokenizer
from embodied_r_ros.core.compact import CompactFormat
from embodied_r_ros.core.statistics import percentile
from embodied_r_ros.share import share_path

KEY_FRAMES = 14


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure as one JSON line; returns the exit status."""
    repeats = repeats_of('reasoner', 15, arguments)
    if importlib.util.find_spec('transformers') is None:
        print('transformers is not installed, and the baseline is its; set up the extra `training`')
        return SKIPPED
    if os.environ.get('OMP_NUM_THREADS') != '1':
        # It is read when numpy and torch are loaded.
        command = [sys.executable, '-m', 'benchmarks.reasoner', '--repeats', str(repeats)]
        os.execve(sys.executable, command, {**os.environ, 'OMP_NUM_THREADS': '1'})
    folder = share_path('data/reasoner')
    tokenizer = WordTokenizer.from_file(folder / 'tokenizer.json')
    log = CompactFormat().opening(observations(KEY_FRAMES))
    seen = tokenizer.encode(f'{BEGIN} {log}')
    prompt = [*seen, *tokenizer.encode(f'where q1 {re.findall("n[0-9]+", log)[0]} : w4 ?')]
    model = NumpyLanguageModel(folder)
    ours, reply = _numpy(model, prompt)
    theirs, same = _transformers(folder, prompt)
    if reply != same:
        print(f'the two must say the same, numpy says {reply!r}, transformers {same!r}')
        return 1
    figure = rates(
        [len(reply) / ours() for _ in range(repeats + 1)][1:],
        [len(reply) / theirs() for _ in range(repeats + 1)][1:],
        'tokens per second',
        prompt_tokens=len(prompt),
        reply_tokens=len(reply),
        first_token_ms=percentile([_first_token_ms(model, seen, prompt) for _ in range(repeats)], 50),
        first_token_worst_ms=percentile([_first_token_ms(model, seen, prompt) for _ in range(repeats)], 100),
        first_token_nothing_read_ms=percentile([_first_token_ms(model, [0], prompt) for _ in range(repeats)], 50),
    )
    return tell(reasoner=figure)


def _numpy(model: NumpyLanguageModel, prompt: list[int]) -> tuple[Callable[[], float], list[int]]:
    """Seconds of a reply, the prompt read already; and the reply."""

    def span_s() -> float:
        model._model.prefill(prompt[:-1])
        begun_s = time.perf_counter()
        list(model.generate_ids(prompt))
        return time.perf_counter() - begun_s

    return span_s, list(model.generate_ids(prompt))


def _transformers(folder: pathlib.Path, prompt: list[int]) -> tuple[Callable[[], float], list[int]]:
    """The same of transformers: seconds of a whole reply less those of its first token."""
    import torch

    from training.model_folder import load_model

    torch.set_num_threads(1)
    model = load_model(folder, torch.float32).eval()
    ids = torch.tensor([prompt])

    def generate(most: int) -> list[int]:
        with torch.inference_mode():
            made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most)
        eos = model.config.eos_token_id
        return [token for token in made[0, len(prompt) :].tolist() if token not in (eos, model.config.pad_token_id)]

    def timed_s(most: int) -> float:
        begun_s = time.perf_counter()
        generate(most)
        return time.perf_counter() - begun_s

    reply = generate(2048)
    return lambda: timed_s(2048) - timed_s(1), reply


def _first_token_ms(model: NumpyLanguageModel, read: list[int], prompt: list[int]) -> float:
    model._model.prefill(read)
    begun_s = time.perf_counter()
    next(model.generate_ids(prompt))
    return 1e3 * (time.perf_counter() - begun_s)


if __name__ == '__main__':
    raise SystemExit(main())
