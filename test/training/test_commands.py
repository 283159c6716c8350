"""The command lines of training, as a person reads them."""

from __future__ import annotations

import importlib
import re

import pytest

pytestmark = pytest.mark.torch
for needed in ('torch', 'trl'):
    pytest.importorskip(needed)

SOURCES = ('bag', 'captions', 'egoschema', 'mvbench', 'unbias', 'urbanvideo', 'vsibench', 'world')
COMMANDS = [
    *('arms', 'evaluate', 'export', 'grpo', 'perceive', 'prepare', 'question_only_baseline', 'rejection_sampling'),
    *('select_hard', 'sft', 'world.recording', 'world.truth'),
    *(f'prepare {source}' for source in SOURCES),
]
# An option's help stands behind two spaces, or in the next line where the option is long.
HELP = re.compile(r'^ {2,4}(?P<option>\S.*?)(?: {2,}|\n {20,})(?P<help>\S.*)$', re.MULTILINE)


@pytest.mark.parametrize('command', COMMANDS)
def test_each_help_text_is_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('COLUMNS', '10000')
    name, *words = command.split()
    with pytest.raises(SystemExit):
        importlib.import_module(f'training.{name}').main([*words, '--help'])
    _, _, options = capsys.readouterr().out.partition('\n\n')
    told = {found['option']: found['help'] for found in HELP.finditer(options) if found['option'] != '-h, --help'}
    assert told
    assert [text for text in told.values() if not re.fullmatch(r'[A-Z].*[.)]', text)] == []
