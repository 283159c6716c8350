"""A real vLLM server of the embedded reasoner judges thoughts as the same weights do in process.

Serve it first, and name it in the environment:

    vllm serve data/reasoner --tokenizer data/reasoner/tokenizer --dtype float32
    EMBODIED_R_TEST_EMBEDDED_URL=http://127.0.0.1:8000 pytest test/training/test_served_judge.py
"""

import os

import pytest

pytest.importorskip('torch')
pytestmark = [pytest.mark.torch, pytest.mark.vllm, pytest.mark.usefixtures('one_thread')]

from embodied_r_ros.core.models import ServerSettings  # noqa: E402
from embodied_r_ros.share import share_path  # noqa: E402
from training.judge import HttpJudge, InProcessJudge  # noqa: E402
from training.trials import trials  # noqa: E402

URL = os.environ.get('EMBODIED_R_TEST_EMBEDDED_URL', '')
FOLDER = os.environ.get('EMBODIED_R_TEST_EMBEDDED_FOLDER', '') or share_path('data/reasoner')
MIN_EQUAL = 0.99


@pytest.mark.skipif(not URL, reason='EMBODIED_R_TEST_EMBEDDED_URL names no server of the embedded reasoner')
def test_the_served_judge_judges_as_in_process():
    tried = trials(100, seed=3)
    cases = [trial.case for part in (tried.true, tried.swapped, tried.unsupported) for trial in part]
    served = HttpJudge(ServerSettings(url=URL))
    try:
        there = served.judge(cases)
    finally:
        served.close()
    assert None not in there
    equal = sum(one == other for one, other in zip(there, InProcessJudge.load(FOLDER).judge(cases)))
    assert equal >= MIN_EQUAL * len(cases), f'{equal} of {len(cases)} judgements are equal'
