"""A ROS domain that no other run on this machine uses."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence


def hold_domain(domains: Sequence[int]) -> tuple[int, socket.socket]:
    """One of these domains, held against all who take theirs here until the socket is closed.

    Args:
        domains: to choose from; DDS allows 0 to 101 on every system.

    Raises:
        RuntimeError: all of them are held.
    """
    for domain in random.sample(domains, len(domains)):
        held = socket.socket()
        try:
            # Whoever holds the port holds the domain.
            held.bind(('127.0.0.1', 25000 + domain))
        except OSError:
            held.close()
        else:
            return domain, held
    raise RuntimeError(
        f'a free ROS domain from {domains[0]} to {domains[-1]} is wanted, but other runs hold them all; wait for one'
    )
