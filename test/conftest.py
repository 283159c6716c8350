"""Lets every test import the builders and fakes that lie beside this file."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

MARK_OF_A_FILE = re.compile(r'^pytestmark = \[?pytest\.mark\.(\w+)\b', re.MULTILINE)


def pytest_ignore_collect(collection_path: pathlib.Path, config: pytest.Config) -> bool | None:
    """Leave out a file whose every test `-m 'not ...'` deselects: torch or rclpy for nothing takes seconds."""
    wanted = config.option.markexpr
    if collection_path.suffix != '.py' or ' or ' in wanted:
        return None
    mark = MARK_OF_A_FILE.search(collection_path.read_text(encoding='utf-8'))
    return True if mark and re.search(rf'\bnot {mark[1]}\b', wanted) else None
