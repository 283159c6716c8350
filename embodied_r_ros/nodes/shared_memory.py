"""Sees that this process no longer hears what others send it through shared memory.

Fast DDS hands messages to a process through a file in /dev/shm, its port. A process that gets no CPU for a second while
another one starts is taken for dead: the other one puts a new file in the port's place, and everybody writes there,
while the first process listens to the old one for good.
"""

from __future__ import annotations

import os
import pathlib
import re

_PROC = pathlib.Path('/proc/self')
_DELETED = re.compile(r'/dev/shm/fast(?:rtps|dds)_port(\d+) \(deleted\)$', re.MULTILINE)


def replaced_ports(proc: pathlib.Path = _PROC) -> list[int]:
    """The ports of this process whose files were replaced; none where there is no /proc.

    A port has the number of the UDP port that the process listens to beside it. Files of other processes' ports, to
    which this one writes, do not count: Fast DDS opens them anew.
    """
    try:
        deleted = {int(number) for number in _DELETED.findall((proc / 'maps').read_text())}
        return sorted(deleted & _udp_ports(proc)) if deleted else []
    except OSError:
        return []


def _udp_ports(proc: pathlib.Path) -> set[int]:
    own = set()
    for link in (proc / 'fd').iterdir():
        try:
            own.add(os.readlink(link))
        except OSError:  # closed meanwhile
            continue
    rows = (line.split() for line in (proc / 'net/udp').read_text().splitlines()[1:])
    return {int(row[1].rpartition(':')[2], 16) for row in rows if f'socket:[{row[9]}]' in own}
