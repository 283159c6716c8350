"""Sequences packed as trees: nothing is lost or read twice, and a model makes of them what it makes of each alone."""

from __future__ import annotations

import copy
import random

import pytest

from training import packing

torch = pytest.importorskip('torch')

from training.reasoner import make_model  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]


def words(text):
    return tuple(text.encode())


def branching(seed=0, count=40):
    """Random sequences, of which most branch off an earlier one, and some are the beginning of another."""
    rng = random.Random(seed)
    found = [tuple(rng.randrange(8, 500) for _ in range(30))]
    for _ in range(count):
        begun = rng.choice(found)[: rng.randrange(1, 31)] if rng.random() < 0.8 else ()
        found.append((*begun, *(rng.randrange(8, 500) for _ in range(rng.randrange(1, 20)))))
    return [*found, found[0][:7], found[0]]


def read_back(tree, node):
    """The tokens that a node sees, by their depth."""
    before = sorted(tree.sees[node].nonzero()[0], key=lambda other: tree.depths[other])
    assert [tree.depths[other] for other in before] == list(range(len(before)))
    return tuple(int(tree.tokens[other]) for other in before)


def test_each_sequence_is_read_back_from_its_end():
    sequences = branching()
    packed = packing.trees(sequences)
    assert {sequence for tree in packed for sequence in tree.ends} == set(sequences)
    for tree in packed:
        assert {read_back(tree, node): node for node in tree.ends.values()} == tree.ends


@pytest.mark.parametrize(
    ('texts', 'nodes'),
    [
        pytest.param(['abcdef', 'abcdef'], [6], id='equal ones once'),
        pytest.param(['abcdef', 'abcdxy'], [8], id='what they share once'),
        pytest.param(['abcdef', 'abcd'], [6], id='a beginning is no token more'),
        pytest.param(['abcdef', 'abcxyzuvw'], [6, 9], id='apart where less than half is shared'),
        pytest.param(['abcdef', 'ghijkl'], [6, 6], id='apart where nothing is shared'),
        pytest.param(['abcdef', 'abcdu', 'abcdxy', 'abcdxz'], [9, 6], id='apart where a tree is full'),
        pytest.param(['abcdefghijklm'], [13], id='one that is longer than a tree'),
        pytest.param([], [], id='none'),
    ],
)
def test_a_tree_holds_what_is_shared_once(texts, nodes, monkeypatch):
    monkeypatch.setattr(packing, 'MAX_NODES', 9)
    assert [len(tree.tokens) for tree in packing.trees(map(words, texts))] == nodes


def test_a_batch_stays_below_its_tokens():
    packed = packing.trees(branching(count=80))
    batches = list(packing.batches(packed, 100))
    assert sum(map(len, batches)) == len(packed) > len(batches)
    assert all(len(batch) * max(len(tree.tokens) for tree in batch) <= 100 or len(batch) == 1 for batch in batches)


@pytest.mark.parametrize('prepared', [False, True], ids=['as it came', 'prepared'])
@pytest.mark.parametrize('max_tokens', [1, 200, 100_000])
def test_the_scores_are_those_of_each_sequence_alone(max_tokens, prepared, monkeypatch):
    monkeypatch.setattr(packing, 'BLOCK', 16)
    model, sequences = make_model(hidden=32, layers=2, seed=1).eval(), branching(seed=3, count=16)
    reader = copy.deepcopy(model)
    if prepared:
        packing.prepare(reader)
    scores = packing.next_scores(reader, sequences, max_tokens)
    assert set(scores) == set(sequences)
    with torch.inference_mode():
        for sequence, told in scores.items():
            alone = model(torch.tensor([sequence])).logits[0, -1]
            torch.testing.assert_close(told, alone, atol=1e-4, rtol=1e-4)
