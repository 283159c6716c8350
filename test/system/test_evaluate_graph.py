"""`evaluate --through graph`: questions reach real nodes when their second of the replayed recording comes."""

import json

import pytest
from fake_openai import FakeOpenAI

pytestmark = pytest.mark.system
pytest.importorskip('rclpy')

from demo_process import record  # noqa: E402

from embodied_r_ros.__main__ import main  # noqa: E402
from embodied_r_ros.ros_client import replaying  # noqa: E402
from embodied_r_ros.ros_client.processes import BrokenGraph  # noqa: E402

THOUGHT = '<think>Frame 0 shows it.</think><answer>right</answer>'
QUESTIONS = """
- {question: Where is the sofa, choices: [left, right], answer: left, second: 2, media: walk}
- {question: Where is the plant, choices: [left, right], answer: right, media: walk}
- {question: Where is the lamp, choices: [left, right], answer: right, second: 99, media: walk}
- {question: Where is the desk, choices: [left, right], answer: right, media: film.avi}
"""


@pytest.fixture
def folder(tmp_path):
    """A recording of four seconds, a file that cannot be played, and questions."""
    (tmp_path / 'labels.yaml').write_text('0: sofa\n1: lamp\n2: desk\n3: plant\n')
    (tmp_path / 'film.avi').write_bytes(b'')
    (tmp_path / 'asked.yaml').write_text(QUESTIONS)
    record(tmp_path / 'walk')
    return tmp_path


def evaluated(folder, server, capsys, *more):
    """Exit status and JSON of a run through the graph."""
    reasoner = f'{{backend: openai, url: {server.url}, model: fake-model, prompt_format: paper}}'
    (folder / 'pair.yaml').write_text(f'perception: {{backend: opencv}}\nreasoner: {reasoner}\n')
    words = ['evaluate', folder / 'asked.yaml', '--media', folder, '--models', folder / 'pair.yaml', *more, '--json']
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    assert captured.out, captured.err
    return status, json.loads(captured.out.splitlines()[-1])


def seen_before(prompts, question):
    """What of the prompt with a question is not the question."""
    (prompt,) = [prompt for prompt in prompts if question in prompt]
    return prompt.replace(question, '')


@pytest.mark.slow
def test_each_question_is_asked_at_its_second_and_a_kept_run_starts_no_node_again(folder, capsys, monkeypatch):
    run = ('--through', 'graph', '--out', folder / 'run', '--report', folder / 'report.html')
    with FakeOpenAI(THOUGHT) as server:
        status, found = evaluated(folder, server, capsys, *run)
        prompts = [chat.json['messages'][-1]['content'] for chat in server.chats]
        _, offline = evaluated(folder, server, capsys, '--cache', folder / 'cache')
    assert status == 1
    assert (found['questions'], found['accuracy'], found['codes']) == (2, 0.5, {'OK': 2})
    reasons = {where: one['reason'] for one in found['left_out'] for where in one['where']}
    assert reasons['asked-3'].startswith('it asks at 99 s, but the recording ends at 4')
    assert reasons['asked-4'].startswith('nodes are played rosbag2 recordings, got the video')
    seen = {word: seen_before(prompts, f'Where is the {word}') for word in ('sofa', 'plant')}
    assert 'sofa' in seen['sofa'] and 'plant' not in seen['sofa']
    assert 'plant' in seen['plant']
    assert offline['accuracy'] == found['accuracy']
    report = (folder / 'report.html').read_text()
    assert report.count('<article') == 2
    assert 'id="m0-0"' in report
    lines = [json.loads(line) for line in (folder / 'run/answers.jsonl').read_text().splitlines()]
    assert 0 < len(lines[0]['seen']) < len(lines[1]['seen'])

    monkeypatch.setattr(replaying, 'Graph', None)
    (folder / 'asked.yaml').write_text('\n'.join(QUESTIONS.splitlines()[:3]))
    status, again = evaluated(folder, server, capsys, *run)
    assert status == 0
    assert (again['questions'], again['accuracy']) == (2, 0.5)
    assert (folder / 'report.html').read_text().count('<symbol') == report.count('<symbol')


class Broken:
    """A graph that does not come up."""

    def __init__(self, nodes, **_):
        assert nodes['perception_node']['tag_size_m'] == 0.2

    def __enter__(self):
        raise BrokenGraph('perception_node ended with status 2: no; the logs are in here')

    def __exit__(self, *_):
        pass


def test_a_graph_that_cannot_start_is_one_sentence(folder, capsys, monkeypatch):
    monkeypatch.setattr(replaying, 'Graph', Broken)
    words = ['evaluate', folder / 'asked.yaml', '--media', folder, '--through', 'graph', '--tag-size', '0.2']
    assert main([str(word) for word in words]) == 2
    assert capsys.readouterr().err == 'perception_node ended with status 2: no; the logs are in here\n'
