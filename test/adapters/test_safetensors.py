"""The reader of safetensors files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_models import write_safetensors

from embodied_r_ros.adapters.safetensors import read_safetensors
from embodied_r_ros.core.errors import SettingsError

VALUES = np.array([[0.0, 1.0, -2.5], [0.15625, 3.0e4, -1e-3]], np.float32)


def test_reads_32_16_and_brain_16_bit_numbers(tmp_path):
    brain = (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    path = tmp_path / 'model.safetensors'
    tensors = {'full': VALUES, 'half': VALUES.astype(np.float16), 'brain': brain}
    write_safetensors(path, tensors, {'half': 'F16', 'brain': 'BF16'})
    read = read_safetensors(path)
    assert set(read) == {'full', 'half', 'brain'}
    assert all(tensor.dtype == np.float32 for tensor in read.values())
    np.testing.assert_array_equal(read['full'], VALUES)
    np.testing.assert_allclose(read['half'], VALUES, rtol=1e-3)
    np.testing.assert_allclose(read['brain'], VALUES, rtol=1e-2)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match='wanted weights at .*model.safetensors.*cannot read'):
        read_safetensors(tmp_path / 'model.safetensors')


@pytest.mark.parametrize(
    'content',
    [
        pytest.param(b'', id='empty'),
        pytest.param(b'version https://git-lfs.github.com/spec/v1', id='a pointer to a large file'),
        pytest.param((2).to_bytes(8, 'little') + b'[]', id='the table is a list'),
        pytest.param((9).to_bytes(8, 'little') + b'{"a": {}}', id='no number format'),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, content):
    path = tmp_path / 'model.safetensors'
    path.write_bytes(content)
    with pytest.raises(SettingsError, match='must be a safetensors file'):
        read_safetensors(path)


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / 'model.safetensors'
    write_safetensors(path, {'full': VALUES})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SettingsError, match='must be a safetensors file'):
        read_safetensors(path)


def test_another_number_format_is_refused(tmp_path):
    path = tmp_path / 'model.safetensors'
    head = json.dumps({'a': {'dtype': 'I8', 'shape': [1], 'data_offsets': [0, 1]}}).encode()
    path.write_bytes(len(head).to_bytes(8, 'little') + head + b'\0')
    with pytest.raises(SettingsError, match="F32, F16 or BF16 tensors.*number format 'I8'"):
        read_safetensors(path)
