"""ROS domains that runs on one machine do not share."""

import pytest

from embodied_r_ros.ros_client.domain import hold_domain


def test_a_domain_is_held_until_its_socket_is_closed():
    domain, held = hold_domain([102])
    with pytest.raises(RuntimeError, match='a free ROS domain from 102 to 102 is wanted, but other runs hold them all'):
        hold_domain([domain])
    held.close()
    again, held = hold_domain([102])
    held.close()
    assert again == domain == 102


def test_two_runs_take_two_domains():
    taken = [hold_domain(range(102, 104)) for _ in range(2)]
    for _, held in taken:
        held.close()
    assert {domain for domain, _ in taken} == {102, 103}
