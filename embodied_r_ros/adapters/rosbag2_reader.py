"""Recordings through rosbag2_py, which comes with ROS 2 from apt: for a robot without rosbags, which only pip has."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_STORAGES = {'.mcap': 'mcap', '.db3': 'sqlite3'}


@dataclasses.dataclass(frozen=True)
class Topic:
    """A topic of a recording, with the names that a connection of rosbags has."""

    topic: str
    msgtype: str
    msgcount: int


class Rosbag2Reader:
    """A recording, with the part of the reader of rosbags that this package uses.

    Args:
        path: of a rosbag2 folder with metadata, or of one of its files.

    Raises:
        ImportError: rosbag2_py is not installed.
        RuntimeError: it cannot read the recording.
    """

    def __init__(self, path: Path) -> None:
        import rosbag2_py

        self._rosbag2 = rosbag2_py
        self._path, self._storage = str(path), _STORAGES.get(path.suffix, '')
        metadata = self._rosbag2.Info().read_metadata(self._path, self._storage)
        self._storage = metadata.storage_identifier
        self._compressed = metadata.compression_mode.upper() not in ('', 'NONE')
        self.connections = [
            Topic(one.topic_metadata.name, one.topic_metadata.type, one.message_count)
            for one in metadata.topics_with_message_count
        ]

    def messages(self, connections: Sequence[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """The messages of some topics: topic, stamp of recording in nanoseconds, CDR bytes.

        Raises:
            RuntimeError: the recording cannot be read further.
        """
        by_name = {one.topic: one for one in connections}
        reader = self._opened()
        reader.set_filter(self._rosbag2.StorageFilter(topics=list(by_name)))
        while reader.has_next():
            name, data, stamp_ns = reader.read_next()[:3]
            yield by_name[name], stamp_ns, data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """A message from its CDR bytes.

        Raises:
            LookupError: its type is not installed.
            RuntimeError: the bytes are no such message.
        """
        from rclpy.serialization import deserialize_message

        found = message_class(kind)
        if found is None:
            raise LookupError(f'the message type {kind} is not installed')
        return deserialize_message(bytes(data), found)

    def close(self) -> None:
        """Nothing stays open: each pass over the messages has a reader of its own."""

    def _opened(self) -> Any:
        kind = self._rosbag2.SequentialCompressionReader if self._compressed else self._rosbag2.SequentialReader
        reader = kind()
        reader.open(
            self._rosbag2.StorageOptions(uri=self._path, storage_id=self._storage),
            self._rosbag2.ConverterOptions(input_serialization_format='cdr', output_serialization_format='cdr'),
        )
        return reader


def message_class(kind: str) -> type | None:
    """The class of a message type such as 'sensor_msgs/msg/Image'; None where it is not installed."""
    package, _, name = kind.rpartition('/')
    try:
        return getattr(importlib.import_module(package.replace('/', '.')), name)
    except (ImportError, AttributeError):
        return None
