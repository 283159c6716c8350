"""The embedded reasoner on a real vLLM server, asked through reasoning_node, chooses as it does in process.

Serve it first, and name it in the environment:

    vllm serve data/reasoner --tokenizer data/reasoner/tokenizer --dtype float32 --served-model-name embedded
    EMBODIED_R_TEST_EMBEDDED_URL=http://127.0.0.1:8000 pytest test/nodes/test_served_reasoner.py
"""

import asyncio
import dataclasses
import os
import pathlib

import pytest

pytestmark = [pytest.mark.ros, pytest.mark.vllm]
pytest.importorskip('embodied_r_interfaces')

from embodied_r_interfaces import msg as messages  # noqa: E402

from embodied_r_ros.adapters.lm_numpy import NumpyLanguageModel  # noqa: E402
from embodied_r_ros.core.compact import CompactFormat  # noqa: E402
from embodied_r_ros.evaluation.samples import read_samples, to_observations  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.nodes.conversions import observation_to_message  # noqa: E402
from embodied_r_ros.ros_client.graph import Graph  # noqa: E402
from embodied_r_ros.share import share_path  # noqa: E402
from training.evaluate import answer_all  # noqa: E402
from training.prepare import main as prepare  # noqa: E402

URL = os.environ.get('EMBODIED_R_TEST_EMBEDDED_URL', '')
FOLDER = os.environ.get('EMBODIED_R_TEST_EMBEDDED_FOLDER', '') or share_path('data/reasoner')
QUESTIONS, SEED, MIN_EQUAL = 200, 7, 0.98
APART_NS = 1_000 * 10**9


@pytest.mark.skipif(not URL, reason='EMBODIED_R_TEST_EMBEDDED_URL names no server of the embedded reasoner')
def test_the_served_reasoner_chooses_as_in_process(tmp_path):
    file = tmp_path / 'samples.jsonl'
    prepare(['world', '--questions', str(QUESTIONS), '--seed', str(SEED), '--out', str(file)])
    samples = read_samples(file)
    model = NumpyLanguageModel(pathlib.Path(FOLDER))
    here = [reply.answer.choice for reply in asyncio.run(answer_all(samples, model, CompactFormat()))]
    with Graph({'reasoning_node': {'url': URL, 'backend': 'openai', 'prompt_format': 'compact'}}) as graph:
        publisher = graph.node.create_publisher(messages.Observation, 'observations', qos.observations(100))
        graph.spin_until(publisher.get_subscription_count, 'the listener')
        there = [choice_of(graph, publisher, one, number * APART_NS) for number, one in enumerate(samples, start=1)]
    equal = sum(one == other for one, other in zip(here, there))
    assert equal >= MIN_EQUAL * QUESTIONS, f'{equal} of {QUESTIONS} choices are equal'
    print(f'{equal} of {QUESTIONS} choices are equal')


def choice_of(graph, publisher, sample, session):
    """The choice that the node makes when it has seen the sample's observations, in a session of their own."""
    seen = [
        dataclasses.replace(o, session=session, index=index, stamp_ns=session + o.stamp_ns)
        for index, o in enumerate(to_observations(sample))
    ]
    for observation in seen:
        publisher.publish(observation_to_message(observation))
    asked = {'question': sample['question'], 'choices': sample['choices'], 'as_of_ns': seen[-1].stamp_ns}
    answers = []

    def has_seen_all():
        answers.append(graph.ask(**asked, deadline_s=60.0))
        return answers[-1].available == len(seen)

    graph.spin_until(has_seen_all, 'the answer', 90.0)
    return answers[-1].choice
