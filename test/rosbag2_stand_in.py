"""Stands for rosbag2_py, which no wheel has: the part of its API that is used, over rosbags, which it then hides.

Names, arguments and what is raised are those of ROS 2 Jazzy: a reader refuses what it has no storage plugin for with a
RuntimeError, messages come as (topic, bytes, nanoseconds), and only the reader for compression unpacks.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader


class StorageOptions:
    def __init__(self, uri: str, storage_id: str = '') -> None:
        self.uri, self.storage_id = uri, storage_id


class ConverterOptions:
    def __init__(self, input_serialization_format: str = '', output_serialization_format: str = '') -> None:
        self.formats = input_serialization_format, output_serialization_format


class StorageFilter:
    def __init__(self, topics: list[str] = ()) -> None:
        self.topics = list(topics)


class Info:
    def read_metadata(self, uri: str, storage_id: str) -> types.SimpleNamespace:
        path = Path(uri)
        if path.is_dir() and not (path / 'metadata.yaml').exists():
            raise RuntimeError(f'Could not find metadata in bag directory: "{uri}"')
        if path.suffix == '.bag':
            raise RuntimeError('No plugin detected that could open the file')
        with AnyReader([path]) as reader:
            topics = [
                types.SimpleNamespace(
                    topic_metadata=types.SimpleNamespace(name=one.topic, type=one.msgtype),
                    message_count=one.msgcount,
                )
                for one in reader.connections
            ]
        mode = ''
        if path.is_dir():
            with Reader(path) as reader:
                mode = reader.compression_mode or ''
        kind = 'mcap' if path.suffix == '.mcap' or list(path.glob('*.mcap*')) else 'sqlite3'
        return types.SimpleNamespace(storage_identifier=kind, compression_mode=mode, topics_with_message_count=topics)


class SequentialCompressionReader:
    unpacks = True

    def open(self, storage: StorageOptions, converter: ConverterOptions) -> None:
        if Info().read_metadata(storage.uri, storage.storage_id).storage_identifier != storage.storage_id:
            raise RuntimeError('No storage could be initialized from the inputs.')
        if Info().read_metadata(storage.uri, '').compression_mode and not self.unpacks:
            raise RuntimeError('No storage could be initialized from the inputs.')
        assert converter.formats == ('cdr', 'cdr')
        self._bag = AnyReader([Path(storage.uri)])
        self._bag.open()
        self.set_filter(StorageFilter())

    def set_filter(self, chosen: StorageFilter) -> None:
        wanted = [one for one in self._bag.connections if not chosen.topics or one.topic in chosen.topics]
        self._messages = self._bag.messages(connections=wanted) if wanted else iter(())
        self._next = next(self._messages, None)

    def has_next(self) -> bool:
        return self._next is not None

    def read_next(self) -> tuple[str, bytes, int]:
        connection, stamp_ns, data = self._next
        self._next = next(self._messages, None)
        return connection.topic, bytes(data), stamp_ns


class SequentialReader(SequentialCompressionReader):
    unpacks = False


def install() -> None:
    """Be rosbag2_py from now on, and let rosbags be missing for whoever imports its reader later."""
    sys.modules['rosbag2_py'] = sys.modules[__name__]
    sys.modules['rosbags.highlevel'] = None
