"""What the benchmarks are made of: figures, the reference flow, and a server that takes a fixed time."""

import asyncio
import itertools
import os
import subprocess
import sys
import time

import pytest

from benchmarks.__main__ import FOLDER, SKIPPED
from benchmarks._figure import rates, times
from benchmarks._pictures import jpeg, pan
from benchmarks._reference import ReferenceFlow, key_frames
from benchmarks._server import MODEL, Server
from benchmarks.key_frames import bag_pictures, fresh_picker, same, same_step
from embodied_r_ros.adapters.lm_openai import OpenAILanguageModel
from embodied_r_ros.core.models import ServerSettings
from embodied_r_ros.core.records import Generation, Message, Question
from embodied_r_ros.share import share_path


def test_each_figure_has_a_script_of_its_name():
    figures = (
        'answer_latency answer_latency_focus answer_latency_vllm key_frames node_overhead ingest_raw ingest_jpeg '
        'captioning evaluation fleet memory reasoner evidence'
    )
    assert set(figures.split()) <= {path.stem for path in FOLDER.glob('*.py')}


def test_durations_and_rates_say_how_many_times_better_ours_are():
    assert times([2.0, 1.0, 3.0], [8.0], 's', worst_s=3.14159) | {'load': 0} == {
        'ours': 2.0, 'baseline': 8.0, 'ratio': 4.0, 'unit': 's', 'spread': [1.0, 3.0], 'baseline_spread': [8.0, 8.0],
        'repeats': 3, 'load': 0, 'worst_s': 3.142,
    }  # fmt: skip
    assert rates([30.0], [10.0], 'answers per second')['ratio'] == 3.0


def test_the_reference_takes_a_key_frame_where_less_than_half_of_the_last_one_is_in_view():
    assert key_frames(pan(8, 0.095 * 640, 640, 360, seed=1)) == [0, 6]


@pytest.mark.parametrize(
    ('ours', 'theirs', 'share'),
    [
        pytest.param([0, 5], [0, 5], 1.0, id='the same'),
        pytest.param([0, 6], [0, 5], 1.0, id='one late'),
        pytest.param([0, 7], [0, 5], 0.5, id='two late'),
        pytest.param([0, 5, 9], [0, 5], 0.8, id='one too many'),
    ],
)
def test_a_key_frame_is_the_same_with_a_partner_within_one_frame(ours, theirs, share):
    assert same([(ours, theirs)]) == same([(theirs, ours)]) == share


@pytest.mark.parametrize(('every', 'share'), [(3, 1.0), (4, 1.0), (5, 0.667), (9, 0.333)])
def test_a_step_is_the_same_when_both_begin_at_the_same_key_frame(every, share):
    def picker():
        seen = itertools.count()
        return lambda picture: next(seen) % every == 0

    assert same_step(picker, [(range(10), [0, 3, 7])]) == share


@pytest.mark.system
def test_ours_takes_the_steps_of_the_reference_on_a_walk():
    pictures = bag_pictures(share_path('data/bags/seed3'))
    assert same_step(fresh_picker, [(pictures, key_frames(pictures))]) >= 0.85


@pytest.mark.system
def test_the_reference_flow_calls_the_models_one_after_another():
    pictures = [jpeg(picture) for picture in pan(4, 0.6 * 320, 320, 240, seed=0)]
    with Server(0.05) as server:
        begun_s = time.monotonic()
        flow = ReferenceFlow(server.url, MODEL, server.url, MODEL)
        assert '<answer>A</answer>' in flow.answer(pictures, Question(text='Where?', choices=('here', 'there')))
        assert len(server.spent_s()) == 5
        assert time.monotonic() - begun_s >= 5 * 0.05


@pytest.mark.system
def test_the_server_takes_its_time_for_each_chat_and_no_more_at_once_than_it_has_slots():
    async def ask(url, count):
        robots = [OpenAILanguageModel(ServerSettings(url=url, model=MODEL)) for _ in range(count)]
        request = Generation(messages=(Message(role='user', content='Where?'),))
        said = await asyncio.gather(*(robot.generate(request, lambda piece: None) for robot in robots))
        for robot in robots:
            await robot.aclose()
        return said

    with Server(0.1, slots=2) as server:
        said = asyncio.run(ask(server.url, 4))
        spent_s = sorted(server.spent_s())
        assert server.spent_s() == []
    assert all(completion.text.endswith('<answer>A</answer>') for completion in said)
    assert spent_s[1] >= 0.1 and spent_s[2] >= 0.2


@pytest.mark.ros
def test_a_figure_that_needs_a_server_is_left_out_by_name():
    pytest.importorskip('embodied_r_interfaces')
    environment = {name: value for name, value in os.environ.items() if not name.startswith('EMBODIED_R_TEST')}
    command = [sys.executable, '-m', 'benchmarks.answer_latency_vllm']
    done = subprocess.run(command, cwd=FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (SKIPPED, 'EMBODIED_R_TEST_VLM_URL names no server\n')
