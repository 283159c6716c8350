"""GRPO on models of any size: the rows of a pass, the probabilities of vLLM, and warnings before it is late."""

from __future__ import annotations

import types

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('trl')

from toy_grpo import make_settings, make_trainer, write_model  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

from embodied_r_ros.core.errors import SettingsError  # noqa: E402
from training import grpo, memory, metrics  # noqa: E402
from training.grpo_settings import trl_config  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures('one_thread')]


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp('start') / 'model', steps=40)


@pytest.fixture
def seen_rows(monkeypatch):
    """The rows of each pass through TRL's own scoring and writing."""
    rows = {'scored': [], 'learnt': [], 'written': []}
    score, write = GRPOTrainer._get_per_token_logps_and_entropies, GRPOTrainer._generate_single_turn

    def scored(self, model, input_ids, *others, **named):
        rows['learnt' if torch.is_grad_enabled() else 'scored'].append(len(input_ids))
        return score(self, model, input_ids, *others, **named)

    def written(self, prompt_ids, *others):
        rows['written'].append(len(prompt_ids))
        return write(self, prompt_ids, *others)

    monkeypatch.setattr(GRPOTrainer, '_get_per_token_logps_and_entropies', scored)
    monkeypatch.setattr(GRPOTrainer, '_generate_single_turn', written)
    return rows


def test_passes_have_the_rows_that_were_asked_for(start, tmp_path, seen_rows):
    settings = make_settings(max_steps=1, num_generations=8, micro_batch=2, score_batch=4, write_batch=8)
    make_trainer(start, tmp_path / 'out', settings).train()
    assert seen_rows == {'scored': [4] * 8, 'learnt': [2] * 16, 'written': [8] * 4}


class FakeVllm:
    """Writes the same to each prompt, and tells log-probabilities of it; the first is as good as never written."""

    def sync_weights(self):
        """Nothing to do."""

    def generate(self, prompts, images, num_generations, profiler):
        told = [[[-30.0]], *([[-3.0]] for _ in prompts[1:])]
        return None, [[9, 2] for _ in prompts], [[likely[0], [0.0]] for likely in told], None


@pytest.mark.parametrize(
    ('correction', 'dropped'), [('sequence_mask', 1 / 64), ('token_truncate', 0.0)], ids=['mask', 'truncate']
)
def test_what_vllm_writes_keeps_its_probabilities_and_what_they_drop_is_logged(correction, dropped, start, tmp_path):
    settings = make_settings(max_steps=1, vllm_correction=correction, vllm_cap=1000.0)
    trainer = make_trainer(start, tmp_path / 'out', settings)
    trainer.use_vllm, trainer.vllm_generation, trainer._last_loaded_step = True, FakeVllm(), -1
    trainer.train()
    (entry,) = metrics.read(tmp_path / 'out' / 'metrics.jsonl')
    assert entry['vllm_dropped'] == pytest.approx(dropped)
    assert entry['vllm_ratio_max'] == pytest.approx(1000.0 if dropped == 0.0 else entry['vllm_ratio_max'])
    assert entry['vllm_ratio_max'] <= 1000.0
    assert entry['vllm_difference'] > 0.0


@pytest.mark.parametrize('correction', ['none', 'token_truncate', 'sequence_mask'])
def test_the_correction_is_told_to_trl(correction, tmp_path):
    config = trl_config(make_settings(vllm_correction=correction, vllm_cap=2.5), tmp_path, 1, 8, 1)
    assert config.vllm_importance_sampling_correction is (correction != 'none')
    if correction != 'none':
        told = (config.vllm_importance_sampling_mode, config.vllm_importance_sampling_clip_max)
        assert told == (correction, 2.5)


def spread(*shares):
    """What a watch prints over steps in which these shares of the groups have no spread."""
    watch, state = metrics.SpreadWatch(), types.SimpleNamespace(is_world_process_zero=True)
    for share in shares:
        watch.on_log(None, state, None, {'frac_reward_zero_std': share, 'reward': 0.25})


def test_steps_without_spread_are_warned_of_once(capsys):
    spread(*[1.0] * (metrics.STEPS_WITHOUT_SPREAD + 3))
    printed = capsys.readouterr().out
    assert printed.count('warning') == 1
    assert 'no question had replies of different reward (now 0.25 each)' in printed
    assert 'training.select_hard' in printed


def test_a_step_with_spread_starts_the_count_anew(capsys):
    spread(*[1.0] * (metrics.STEPS_WITHOUT_SPREAD - 1), 0.9, *[1.0] * (metrics.STEPS_WITHOUT_SPREAD - 1))
    assert capsys.readouterr().out == ''


def test_what_a_pass_needs_grows_with_the_layers(start, tmp_path):
    trainer = make_trainer(start, tmp_path / 'out', make_settings(max_steps=1))
    model = trainer.model
    layers = model.model.layers
    needed = {}
    for count in (2, 1):
        model.model.layers = layers[:count]
        needed[count] = memory.bytes_per_token(trainer, learns=True)
    hidden, middle = model.config.hidden_size, model.config.intermediate_size
    assert 4 * (6 * hidden + 3 * middle) < (needed[2] - needed[1]) / memory.ALLOCATED_ON_CPU
    assert (needed[2] - needed[1]) / memory.ALLOCATED_ON_CPU < 4 * (30 * hidden + 8 * middle)


@pytest.mark.parametrize(('learns', 'fewest', 'most'), [(True, 4, 12), (False, 2, 6)])
def test_what_a_pass_needs_counts_the_copies_of_the_logits(start, tmp_path, learns, fewest, most):
    trainer = make_trainer(start, tmp_path / 'out', make_settings(max_steps=1))
    model, needed = trainer.model, {}
    for vocabulary in (1000, 9000):
        model.resize_token_embeddings(vocabulary)
        needed[vocabulary] = memory.bytes_per_token(trainer, learns=learns) / memory.ALLOCATED_ON_CPU
    assert fewest * 4 * 8000 < needed[9000] - needed[1000] < most * 4 * 8000


def test_what_only_scores_needs_less_than_what_learns(start, tmp_path):
    trainer = make_trainer(start, tmp_path / 'out', make_settings(max_steps=1))
    scores, learns = (memory.bytes_per_token(trainer, learns=learns) for learns in (False, True))
    assert 0 < scores < learns / 2, 'nothing is kept for a way back'


def test_gradients_and_moments_count_for_what_is_trained(start, tmp_path):
    model = make_trainer(start, tmp_path / 'out', make_settings(max_steps=1)).model
    assert memory.learning_bytes(model) == 12 * sum(weight.numel() for weight in model.parameters())
    for weight in model.parameters():
        weight.requires_grad = False
    assert memory.learning_bytes(model) == 0
    assert memory.cache_bytes_per_token(model) == 2 * 2 * 32 * 4  # keys and values, layers, width, bytes


def test_the_memory_that_a_run_needs_is_told_and_grows_with_the_micro_batch(start, tmp_path):
    settings = make_settings(max_steps=1)
    trainer = make_trainer(start, tmp_path / 'out', settings)
    assert grpo.memory_needed(trainer, settings, 1000).startswith('needs 0.')
    with pytest.raises(
        SettingsError, match=r'GB of memory .* a backward pass of 64 replies\), and .* lower micro_batch'
    ):
        grpo.memory_needed(trainer, settings, 100_000_000)


def test_a_run_that_does_not_fit_ends_with_a_sentence():
    with pytest.raises(
        SettingsError, match=r'these settings need 3.0 GB .* \(2.0 a, 1.0 b\), and 2.5 GB are free; rest'
    ):
        memory.check({'a': 2e9, 'b': 1e9}, 2.5e9, 'rest')
    assert memory.check({'a': 2e9}, 2.5e9, 'rest').endswith('(2.0 a) of 2.5 GB that are free')


def test_free_memory_is_what_the_control_group_leaves(tmp_path, monkeypatch):
    device = torch.device('cpu')
    monkeypatch.setattr(memory, '_CGROUP', tmp_path)
    whole = memory.free_bytes(device)
    (tmp_path / 'memory.max').write_text('3000000\n')
    (tmp_path / 'memory.current').write_text('1000000\n')
    assert memory.free_bytes(device) == 2_000_000
    (tmp_path / 'memory.max').write_text('max\n')
    assert memory.free_bytes(device) == pytest.approx(whole, rel=0.5)
