"""The word-level tokenizer."""

from __future__ import annotations

import json

import pytest
from tiny_models import tokenizer_json

from embodied_r_ros.adapters.tokenizer import WordTokenizer
from embodied_r_ros.core.errors import SettingsError

WORDS = ['red', 'door', '</answer>', 'é']


def write(folder, content):
    path = folder / 'tokenizer.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ('text', 'ids'),
    [
        pytest.param('red door', [4, 5], id='words'),
        pytest.param('  red\n\tdoor ', [4, 5], id='any white space'),
        pytest.param('red\u3000door\u00a0red', [4, 5, 4], id='white space of unicode'),
        pytest.param('red\x1fdoor', [3], id='an ascii separator is no white space'),
        pytest.param('red sofa', [4, 3], id='unknown word'),
        pytest.param('red,', [3], id='punctuation is part of the word'),
        pytest.param('<s> red </answer>', [1, 4, 6], id='added token and ordinary tag'),
        pytest.param('red</s>door', [4, 2, 5], id='added token inside a word'),
        pytest.param('', [], id='nothing'),
        pytest.param('é', [7], id='not ascii'),
    ],
)
def test_encodes(tmp_path, text, ids):
    assert WordTokenizer.from_file(write(tmp_path, tokenizer_json(WORDS))).encode(text) == ids


def test_decodes_to_words_joined_with_spaces(tmp_path):
    tokenizer = WordTokenizer.from_file(write(tmp_path, tokenizer_json(WORDS)))
    assert tokenizer.decode([4, 5, 6]) == 'red door </answer>'
    assert len(tokenizer) == 8
    assert 'door' in tokenizer
    assert 'sofa' not in tokenizer


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        pytest.param('{', 'cannot read it', id='not json'),
        pytest.param('[]', 'must hold a WordLevel tokenizer', id='not an object'),
        pytest.param(tokenizer_json(WORDS, model={'type': 'BPE'}), "found model 'BPE'", id='another model'),
        pytest.param(tokenizer_json(WORDS, pre_tokenizer={'type': 'ByteLevel'}), "'ByteLevel'", id='another split'),
        pytest.param(tokenizer_json(WORDS, normalizer={'type': 'NFC'}), "normalizer 'NFC'", id='a normalizer'),
        pytest.param(
            tokenizer_json(WORDS, model={'type': 'WordLevel', 'vocab': {'a': 0}, 'unk_token': '[UNK]'}),
            r"unk_token .* must be in its vocabulary, got '\[UNK\]'",
            id='unknown token unknown',
        ),
    ],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path, content, message):
    with pytest.raises(SettingsError, match=message):
        WordTokenizer.from_file(write(tmp_path, content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match='wanted a tokenizer at .*nowhere'):
        WordTokenizer.from_file(tmp_path / 'nowhere.json')


@pytest.mark.torch
def test_gives_the_same_ids_as_the_tokenizers_library(tmp_path):
    tokenizers = pytest.importorskip('tokenizers')
    theirs = tokenizers.Tokenizer(
        tokenizers.models.WordLevel(tokenizer_json(WORDS)['model']['vocab'], unk_token='<unk>')
    )
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    theirs.add_special_tokens(['<pad>', '<s>', '</s>', '<unk>'])
    theirs.save(str(tmp_path / 'tokenizer.json'))
    ours = WordTokenizer.from_file(tmp_path / 'tokenizer.json')
    for text in ('<s> red door', 'red</s>door sofa', ' \n', 'red\x1cdoor\x85red\u2009é', 'é\u200bé <pad><unk> < s>'):
        assert ours.encode(text) == theirs.encode(text).ids
        assert ours.decode(ours.encode(text)) == theirs.decode(theirs.encode(text).ids, skip_special_tokens=False)
