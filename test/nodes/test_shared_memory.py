"""A node that others no longer reach through shared memory starts anew."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('rclpy')

from embodied_r_ros.nodes.shared_memory import replaced_ports  # noqa: E402

MAPS = (
    '7f01 rw-s 0 00:19 41 /dev/shm/fastrtps_port7415{}\n'
    '7f02 rw-s 0 00:19 42 /dev/shm/fastrtps_port7413 (deleted)\n'
    '7f03 rw-s 0 00:19 43 /dev/shm/fastrtps_8a1b (deleted)\n'
)
UDP = (
    '  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n'
    '  1: 0100007F:1CF7 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 501 2 0 0\n'
    '  2: 0100007F:1CF5 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 502 2 0 0\n'
)


@pytest.fixture
def proc(tmp_path):
    """A process that listens to port 7415 (1CF7), and writes to 7413, another's."""
    (tmp_path / 'fd').mkdir()
    (tmp_path / 'net').mkdir()
    (tmp_path / 'fd/3').symlink_to('socket:[501]')
    (tmp_path / 'fd/4').symlink_to('/dev/null')
    (tmp_path / 'net/udp').write_text(UDP)
    return tmp_path


@pytest.mark.parametrize(('state', 'ports'), [('', []), (' (deleted)', [7415])], ids=['in place', 'replaced'])
def test_a_replaced_port_of_the_process_itself_counts(proc, state, ports):
    (proc / 'maps').write_text(MAPS.format(state))
    assert replaced_ports(proc) == ports


def test_where_there_is_no_proc_nothing_is_replaced(tmp_path):
    assert replaced_ports(tmp_path / 'none') == []


def port_file(pid):
    """The file of the port that a process listens to; None while it has none."""
    listens = subprocess.run(['cat', f'/proc/{pid}/net/udp'], capture_output=True, text=True, check=True).stdout
    own = {os.readlink(link) for link in pathlib.Path(f'/proc/{pid}/fd').iterdir() if link.is_symlink()}
    rows = (line.split() for line in listens.splitlines()[1:])
    ports = {int(row[1].rpartition(':')[2], 16) for row in rows if f'socket:[{row[9]}]' in own}
    mapped = re.findall(r'(/dev/shm/fast\w+_port(\d+))$', pathlib.Path(f'/proc/{pid}/maps').read_text(), re.MULTILINE)
    return next((pathlib.Path(path) for path, port in mapped if int(port) in ports and int(port) % 2), None)


def wait_for(found, what, timeout_s=60.0):
    end_s = time.monotonic() + timeout_s
    while not (result := found()):
        assert time.monotonic() < end_s, f'waited in vain for {what}'
        time.sleep(0.05)
    return result


def test_a_node_whose_port_was_replaced_starts_anew_in_the_same_process(tmp_path):
    log = tmp_path / 'log'
    with log.open('w') as file:
        command = [sys.executable, '-m', 'embodied_r_ros.nodes.camera_node', '--ros-args', '-p', 'autostart:=true']
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: log.read_text().count('listening to') == 1, 'the node')
        wait_for(lambda: port_file(process.pid), 'its port').unlink()
        wait_for(lambda: log.read_text().count('listening to') == 2, 'the node once more')
        assert 'the node starts anew' in log.read_text()
        assert wait_for(lambda: port_file(process.pid), 'a port in place').exists()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
