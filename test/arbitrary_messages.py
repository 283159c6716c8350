"""Arbitrary messages of any type, as they arrive: every field may hold whatever its type allows."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from arbitrary import sent_texts
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from rosidl_parser.definition import (
    AbstractString,
    AbstractWString,
    Array,
    BasicType,
    BoundedSequence,
    NamespacedType,
    UnboundedSequence,
)

_BITS = {f'{sign}int{bits}': (sign, bits) for sign in ('', 'u') for bits in (8, 16, 32, 64)}
MAX_ELEMENTS = 3


def published(message: Any) -> Any:
    """The message as a listener gets it; raises where it cannot be sent."""
    return deserialize_message(serialize_message(message), type(message))


def can_be_published(message: Any) -> bool:
    """It is sent, and comes as it was; text that NUL or a lone surrogate breaks is not."""
    assert repr(published(message)) == repr(message)
    return True


@functools.cache
def messages_of(kind: type) -> st.SearchStrategy[Any]:
    """Messages of a type, as they arrive."""
    fields = {
        name: _values(slot) for name, slot in zip(kind.get_fields_and_field_types(), kind.SLOT_TYPES, strict=True)
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: published(kind(**values)))


def _values(slot: Any) -> st.SearchStrategy[Any]:
    if isinstance(slot, NamespacedType):
        module = importlib.import_module('.'.join(slot.namespaces))
        return messages_of(getattr(module, slot.name))
    if isinstance(slot, Array):
        return st.lists(_values(slot.value_type), min_size=slot.size, max_size=slot.size)
    if isinstance(slot, (UnboundedSequence, BoundedSequence)):
        if isinstance(slot.value_type, BasicType) and slot.value_type.typename == 'uint8':
            return st.binary(max_size=40)
        return st.lists(_values(slot.value_type), max_size=MAX_ELEMENTS)
    if isinstance(slot, (AbstractString, AbstractWString)):
        return sent_texts
    return _basic(slot.typename)


def _basic(name: str) -> st.SearchStrategy[Any]:
    if name == 'boolean':
        return st.booleans()
    if name in ('float', 'double'):
        width = 32 if name == 'float' else 64
        plain = st.floats(-10.0, 10.0, width=width)
        return plain | st.floats(width=width)
    if name in ('octet', 'uint8'):
        return st.integers(0, 5) | st.integers(0, 255)
    sign, bits = _BITS[name]
    low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(0, 100) | st.integers(low, high) | st.sampled_from([low, high])
