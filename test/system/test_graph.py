"""The robot's nodes as processes: active, asked, watched, killed and started again."""

import pytest

pytestmark = pytest.mark.system
pytest.importorskip('rclpy')

from demo_process import record  # noqa: E402
from embodied_r_interfaces import msg as messages  # noqa: E402

from embodied_r_ros.core.errors import InputError  # noqa: E402
from embodied_r_ros.core.records import ErrorCode  # noqa: E402
from embodied_r_ros.nodes import qos  # noqa: E402
from embodied_r_ros.ros_client.graph import TOPICS, Graph  # noqa: E402
from embodied_r_ros.ros_client.processes import BrokenGraph  # noqa: E402


def test_nodes_in_a_namespace_are_asked_and_their_diagnostics_read():
    with Graph({'reasoning_node': {'max_questions': 3}}, namespace='/robot_1') as graph:
        assert graph.ask('Where is the sofa?', deadline_s=10.0).error_code is ErrorCode.NO_FRAMES
        graph.spin_until(lambda: 'no_frames' in graph.status.get('reasoning_node', {}), 'its diagnostics', 10.0)
        assert graph.status['reasoning_node']['no_frames'] == '1'
        assert graph.node.get_node_names_and_namespaces().count(('reasoning_node', '/robot_1')) == 1
        assert graph.processes.cpu_s('reasoning_node') > 0.0


def test_a_killed_node_is_started_again_and_counts_from_nothing():
    with Graph({'reasoning_node': {}}) as graph:
        graph.ask('Where is the sofa?', deadline_s=10.0)
        graph.spin_until(lambda: 'asked' in graph.status.get('reasoning_node', {}), 'its diagnostics', 10.0)
        graph.processes.kill('reasoning_node')
        graph.check()
        graph.restart('reasoning_node')
        graph.spin_until(lambda: graph.status.get('reasoning_node'), 'new diagnostics', 10.0)
        assert 'asked' not in graph.status['reasoning_node']
        assert graph.ask('Where is the sofa?', deadline_s=10.0).error_code is ErrorCode.NO_FRAMES


@pytest.mark.slow
def test_each_recording_is_played_as_a_session_of_its_own(tmp_path):
    recording = record(tmp_path / 'walk')
    nodes = {'camera_node': {'use_sim_time': True, 'image_reliability': 'reliable', 'image_depth': 100}}
    seen = []
    with Graph(nodes, remaps=TOPICS) as graph:
        graph.node.create_subscription(messages.KeyFrame, 'key_frames', seen.append, qos.KEY_FRAMES)
        for _ in range(2):
            assert graph.play(recording, rate=4.0) == 1_000 * 10**9
        graph.spin_until(lambda: len(seen) % 2 == 0, 'key frames', 10.0)
    sessions = [key.session for key in seen]
    assert len(set(sessions)) == 2
    assert [sessions.count(session) for session in set(sessions)] == [len(seen) // 2] * 2


def test_a_node_that_refuses_its_parameters_is_one_sentence_with_the_place_of_the_logs(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    with pytest.raises(BrokenGraph, match=r"^camera_node ended with status 2: .*'speed'.*; the logs are in \S+$"):
        Graph({'camera_node': {'speed': 3}}).__enter__()


def test_a_recording_that_cannot_be_read_is_refused_before_anything_is_played(tmp_path):
    with Graph({'camera_node': {}}) as graph, pytest.raises(InputError):
        graph.play(tmp_path / 'nothing')


def test_the_time_for_all_has_a_limit():
    with Graph({'camera_node': {}}, limit_s=0.0) as graph:
        graph.spin(0.01)
        with pytest.raises(
            BrokenGraph, match='playing and asking took more than 0 s; allow more time; the logs are in '
        ):
            graph.check()
