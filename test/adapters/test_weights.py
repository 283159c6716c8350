"""What a folder of weights is taken for."""

from __future__ import annotations

import pytest
from tiny_models import foreign_folder, random_folder

from embodied_r_ros.adapters.weights import check_folder, prompt_format_of
from embodied_r_ros.core.errors import SettingsError


@pytest.mark.parametrize(('write', 'name'), [(random_folder, 'compact'), (foreign_folder, 'paper')])
def test_the_tokenizer_tells_the_prompt_format(write, name, tmp_path):
    assert prompt_format_of(write(tmp_path)) == name


def test_a_tokenizer_in_the_sub_folder_tells_it_first(tmp_path):
    foreign_folder(tmp_path)
    random_folder(tmp_path / 'tokenizer')
    assert prompt_format_of(tmp_path) == 'compact'


@pytest.mark.parametrize(
    ('make', 'name', 'message'),
    [
        pytest.param(None, 'nowhere', "'nowhere' does not exist; see that the path is right", id='missing'),
        pytest.param(
            None, 'org/Some-135M', 'does not exist; .*hf download org/Some-135M --local-dir FOLDER', id='hub name'
        ),
        pytest.param('small.gguf', 'small.gguf', 'is a GGUF file; .* training.from_gguf small.gguf --out', id='gguf'),
        pytest.param('notes/a.txt', 'notes', "'notes' has none; name the folder", id='other things'),
        pytest.param('lora/adapter_config.json', 'lora', 'alone; .* training.export --model lora', id='adapters'),
    ],
)
def test_what_is_no_model_folder_is_refused_with_what_to_do(make, name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if make:
        (tmp_path / make).parent.mkdir(exist_ok=True)
        (tmp_path / make).write_text('{}')
    with pytest.raises(SettingsError, match=f'a model folder with config.json was wanted, .*{message}'):
        check_folder(name)
