"""Without torch or transformers, the reasoner backend of that name says what to install."""

from __future__ import annotations

import sys

import pytest

from embodied_r_ros.adapters.lm_transformers import TransformersLanguageModel
from embodied_r_ros.core.errors import SettingsError


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(
        SettingsError, match=r'needs torch, which cannot be imported .* install .embodied_r_ros\[transformers\]'
    ):
        TransformersLanguageModel(str(tmp_path))
