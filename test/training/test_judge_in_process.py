"""The judge in this process: it says what its model says of each thought alone, and declines what it cannot read."""

from __future__ import annotations

import copy
import dataclasses

import pytest

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

from embodied_r_ros.core.answers import letter  # noqa: E402
from embodied_r_ros.core.compact import vocabulary  # noqa: E402
from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from embodied_r_ros.share import share_path  # noqa: E402
from training.judge import NO_CHOICE, Case, InProcessJudge, pose  # noqa: E402
from training.reasoner import make_model, make_tokenizer, save  # noqa: E402
from training.trials import trials  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]

IN_ENGLISH = Case(question='Which is nearest?', choices=('lamp', 'bed', 'sofa'), thinking='The bed is 2 m off.')


@pytest.fixture(scope='module')
def cases():
    tried = trials(20, seed=1)
    return [trial.case for part in (tried.true, tried.swapped, tried.unsupported) for trial in part]


@pytest.fixture(scope='module')
def reasoner():
    return share_path('data/reasoner')


@pytest.fixture(scope='module')
def judge(reasoner):
    return InProcessJudge.load(reasoner)


def tokenizer_of(words):
    """A tokenizer with these words and no others."""
    known = {word: index for index, word in enumerate(dict.fromkeys(['<pad>', '<unk>', *words]))}
    made = Tokenizer(models.WordLevel(known, unk_token='<unk>'))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token='<pad>', unk_token='<unk>')
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    return tokenizer


def alone(model, tokenizer, case):
    """The judgement by one pass over the prompt and each token said, constrained greedily."""
    posed = pose(case, 0)
    if posed is None:
        return NO_CHOICE
    ids = tokenizer.apply_chat_template([{'role': 'user', 'content': posed.messages[-1].content}], tokenize=False)
    ids = tokenizer(ids, add_special_tokens=False)['input_ids']
    left = {tuple(tokenizer(said)['input_ids']): choice for said, choice in posed.candidates.items()}
    place = 0
    while len(left) > 1:
        with torch.inference_mode():
            scores = model(torch.tensor([ids])).logits[0, -1]
        best = max({said[place] for said in left}, key=lambda token: scores[token])
        left = {said: choice for said, choice in left.items() if said[place] == best}
        ids, place = [*ids, best], place + 1
    return next(iter(left.values()))


@pytest.mark.parametrize('batch_tokens', [1, 600, 50_000])
def test_many_thoughts_are_judged_as_each_alone(reasoner, cases, batch_tokens):
    model, tokenizer = transformers.Qwen2ForCausalLM.from_pretrained(reasoner), make_tokenizer()
    judge = InProcessJudge(copy.deepcopy(model), tokenizer, batch_tokens=batch_tokens)
    together = judge.judge([*cases, cases[0]])
    assert together == [alone(model, tokenizer, case) for case in (*cases, cases[0])]


def test_the_embedded_reasoner_follows_most_worked_thoughts(judge):
    true = trials(40, seed=2).true
    told = judge.judge([trial.case for trial in true])
    assert sum(choice == trial.leads_to for choice, trial in zip(told, true)) >= 32


def test_a_thought_beyond_what_the_model_reads_has_no_judgement(judge, cases, caplog):
    long = dataclasses.replace(cases[0], thinking=cases[0].thinking + ' p0 0deg 0 0 ;' * 400)
    told = judge.judge([cases[0], long])
    assert told[0] is not None
    assert told[1] is None
    assert '1 of 2 thoughts were not judged: too long, or no candidate' in caplog.text


def test_no_cases_are_judged_without_a_word(judge):
    assert judge.judge([]) == []


@pytest.mark.parametrize('shown', ['A', 'B', 'C'])
def test_in_english_the_letter_of_the_highest_score_decides(shown):
    tokenizer = tokenizer_of(letter(index) for index in range(26))
    model = make_model(hidden=32, layers=2)
    model.lm_head = torch.nn.Linear(32, len(tokenizer))
    torch.nn.init.zeros_(model.lm_head.weight)
    with torch.no_grad():
        torch.nn.init.zeros_(model.lm_head.bias)
        model.lm_head.bias[tokenizer.convert_tokens_to_ids(shown)] += 1.0
    assert InProcessJudge(model, tokenizer).judge([IN_ENGLISH]) == [pose(IN_ENGLISH, 0).candidates[shown]]


@pytest.mark.parametrize(
    ('words', 'case', 'message'),
    [
        pytest.param(
            vocabulary(), IN_ENGLISH, r"letters A to Z as one token was wanted, this one reads 'A' as", id='paper'
        ),
        pytest.param(['A', 'left'], None, r'words of the compact language as one token was wanted', id='compact'),
    ],
)
def test_a_judge_with_another_tokenizer_is_an_error(words, case, message, cases):
    judge = InProcessJudge(make_model(hidden=32, layers=2), tokenizer_of(words))
    with pytest.raises(SettingsError, match=message):
        judge.judge([case or cases[0]])


def test_a_tokenizer_without_a_chat_template_is_an_error():
    tokenizer = tokenizer_of(['A'])
    tokenizer.chat_template = None
    with pytest.raises(SettingsError, match='a judge whose tokenizer has a chat template was wanted'):
        InProcessJudge(make_model(hidden=32, layers=2), tokenizer)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match='a judge was wanted in .*, it cannot be loaded'):
        InProcessJudge.load(tmp_path)


def test_a_saved_model_is_loaded_with_the_tokenizer_of_its_own(tmp_path, cases):
    save(make_model(hidden=32, layers=2), tmp_path)
    assert None not in InProcessJudge.load(tmp_path).judge(cases[:4])
