"""Token sequences with common beginnings packed as trees, so that a model reads what they share only once.

The completions of a group begin alike and are often equal; a judge that reads eight of them as one tree does a fraction
of the work. Each token attends to those that lead to it, whatever else stands in the tree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]

MAX_NODES = 1024
MIN_SHARED = 0.5
ATTENTION, BLOCK = 'trees', 64


@dataclasses.dataclass(frozen=True)
class Tree:
    """Sequences in one tree.

    Attributes:
        tokens: (N,) int64, each common beginning once.
        depths: (N,) int64, how many tokens come before it.
        sees: (N, N) bool, whether the token of a row has that of a column before it, or is it.
        ends: the node that each sequence ends in.
    """

    tokens: NDArray[np.int64]
    depths: NDArray[np.int64]
    sees: NDArray[np.bool_]
    ends: dict[Tokens, int]


def trees(sequences: Iterable[Tokens]) -> list[Tree]:
    """Pack sequences, none of them empty and each once, with those that share at least half of their tokens.

    A tree has at most MAX_NODES tokens, unless a single sequence is longer.
    """
    packed: list[list[tuple[Tokens, int]]] = []
    last: Tokens = ()
    nodes = 0
    for sequence in sorted(set(sequences)):
        common = shared(last, sequence)
        nodes += len(sequence) - common
        if not packed or common < MIN_SHARED * len(sequence) or nodes > MAX_NODES:
            packed.append([])
            nodes, common = len(sequence), 0
        packed[-1].append((sequence, common))
        last = sequence
    return [_tree(part) for part in packed]


def shared(one: Tokens, other: Tokens) -> int:
    """How many tokens two sequences begin with in common."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(place for place in range(most) if one[place] != other[place])


def _tree(sequences: Sequence[tuple[Tokens, int]]) -> Tree:
    """The tree of sequences that are sorted, each with how many tokens it shares with the one before it."""
    size = sum(len(sequence) - common for sequence, common in sequences)
    tokens, depths = np.zeros((2, size), dtype=np.int64)
    sees = np.zeros((size, size), dtype=np.bool_)
    ends: dict[Tokens, int] = {}
    path: list[int] = []
    begin = 0
    for sequence, common in sequences:
        end = begin + len(sequence) - common
        tokens[begin:end], depths[begin:end] = sequence[common:], range(common, len(sequence))
        sees[begin:end, path[:common]] = True
        sees[begin:end, begin:end] = np.tri(end - begin, dtype=np.bool_)
        path[common:] = range(begin, end)
        ends[sequence], begin = path[-1], end
    return Tree(tokens, depths, sees, ends)


def batches(packed: Sequence[Tree], max_tokens: int) -> Iterator[list[Tree]]:
    """Trees of similar size together, no batch above `max_tokens` with its padding unless it is a single tree."""
    batch: list[Tree] = []
    for tree in sorted(packed, key=lambda tree: len(tree.tokens)):
        if batch and len(tree.tokens) * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(tree)
    if batch:
        yield batch


def prepare(model: Any) -> None:
    """Let a model of transformers read trees faster: no token looks at those behind it, so blocks of them are left out.

    From then on it is for `next_scores` alone.
    """
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def attend(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **others: Any
    ) -> tuple[Any, None]:  # query, key, value: (B, H, T, D); attention_mask: (B, 1, T, T)
        import torch

        seen = []
        for begin in range(0, query.shape[2], BLOCK):
            end = begin + BLOCK
            keys, values, mask = key[:, :, :end], value[:, :, :end], attention_mask[:, :, begin:end, :end]
            part, _ = sdpa_attention_forward(module, query[:, :, begin:end], keys, values, mask, **others)
            seen.append(part)
        return torch.cat(seen, 1), None

    AttentionInterface.register(ATTENTION, attend)
    model.set_attn_implementation(ATTENTION)


def next_scores(model: Any, sequences: Iterable[Tokens], max_tokens: int) -> dict[Tokens, Any]:
    """What a causal language model makes of the token after each sequence.

    Args:
        model: of transformers, as `prepare` left it or with other attention that takes a mask (sdpa, eager).
        sequences: none of them empty.
        max_tokens: of one forward pass, padding included.

    Returns:
        the scores (logits) of all tokens after each sequence, (V,), float32, on the CPU.
    """
    import torch

    scores: dict[Tokens, Any] = {}
    for batch in batches(trees(sequences), max_tokens):
        longest = len(batch[-1].tokens)
        ids, depths = np.zeros((2, len(batch), longest), dtype=np.int64)  # (B, T)
        sees = np.tile(np.eye(longest, dtype=np.bool_), (len(batch), 1, 1))  # (B, T, T); padding sees itself
        for row, tree in enumerate(batch):
            size = len(tree.tokens)
            ids[row, :size], depths[row, :size], sees[row, :size, :size] = tree.tokens, tree.depths, tree.sees
        ends = [(row, node) for row, tree in enumerate(batch) for node in tree.ends.values()]
        with torch.inference_mode():
            unseen = torch.from_numpy(~sees[:, None]).to(model.device)
            mask = torch.zeros(unseen.shape, dtype=model.dtype, device=model.device)
            hidden = model.base_model(
                input_ids=torch.from_numpy(ids).to(model.device),
                position_ids=torch.from_numpy(depths).to(model.device),
                attention_mask=mask.masked_fill_(unseen, torch.finfo(model.dtype).min),
                use_cache=False,
            ).last_hidden_state  # (B, T, H)
            rows, nodes = torch.tensor(ends, device=model.device).T
            told = model.get_output_embeddings()(hidden[rows, nodes]).float().cpu()  # (E, V)
        scores.update(zip((sequence for tree in batch for sequence in tree.ends), told))
    return scores
