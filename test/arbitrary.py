"""Arbitrary values for property tests; what may come of them is a result, or one of the package's kinds of error.

EMBODIED_R_TEST_EXAMPLES says how many examples all property tests have together; each takes its share.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from embodied_r_ros.core.errors import EmbodiedRError

EXAMPLES = int(os.environ.get('EMBODIED_R_TEST_EXAMPLES', '3000'))
_CHECKS = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
    HealthCheck.filter_too_much,
]
settings.register_profile('ci', derandomize=True)
settings.register_profile('local', derandomize=False)
settings.load_profile('ci' if os.environ.get('CI') else 'local')


def share(percent: float, shrink: bool = True) -> settings:
    """The settings of a property test that has so many of 100 of the examples.

    Args:
        shrink: False where each failing example takes seconds.
    """
    phases = tuple(phase for phase in Phase if shrink or phase is not Phase.shrink)
    count = max(1, round(EXAMPLES * percent / 100))
    return settings(max_examples=count, deadline=None, database=None, phases=phases, suppress_health_check=_CHECKS)


def outcome(function: Any, *args: Any, **named: Any) -> Any:
    """What a function returns; None where it raises one of the five kinds. Whatever else it raises is a failure."""
    try:
        return function(*args, **named)
    except EmbodiedRError:
        return None


# Text of any characters, lone surrogates and NUL too, as a program may pass it; `sent_texts` is what DDS carries.
texts = st.text(st.characters(exclude_categories=()), max_size=30)
sent_texts = st.text(st.characters(exclude_categories=('Cs',), exclude_characters='\0'), max_size=30)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 10**400, 0.0, 1e300, -1e300, float('nan'), float('inf')]),
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
_FRAGMENTS = (
    '<think>', '</think>', '<answer>', '</answer>', '< ANSWER >', 'A', 'B', 'Z', 'left', 'the desk lamp', 'Answer: ',
    'Frame 1', 'Frames 0, 2 and 3-9', 'frame 99999999999999999999', 'Action: move forward', 'New: a wall', '\ud83d',
    '1. turn left', '2) a sofa', '{"action": "rotate left", "new": ', '"x"', '}', '[', ']', '```json', '\n', ' ' * 300,
    ',', ';', ' or ', 'because', '选项B', '\0', '\x1b[2J', '<|im_end|>', '\ufeff', '\u2028', 's0 o1 q1 n12 : w4', 'deg',
    '-', '1e999',
)  # fmt: skip
replies = st.lists(st.sampled_from(_FRAGMENTS) | texts, max_size=12).map(''.join)


def near(keys: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """JSON objects that have some of these keys, each with a value of its kind or any; or any JSON value."""
    return st.fixed_dictionaries({}, optional={key: value | json_values for key, value in keys.items()}) | json_values


_message = near({'role': texts, 'content': replies, 'reasoning': replies, 'reasoning_content': replies})
_logprobs = near({'content': st.lists(near({'token': texts, 'logprob': numbers}), max_size=2)})
_choice = near(
    {
        'index': numbers, 'message': _message, 'delta': _message, 'logprobs': _logprobs, 'stop_reason': texts,
        'finish_reason': st.sampled_from(['stop', 'length', None]),
    }
)  # fmt: skip
completions = near(
    {
        'choices': st.lists(_choice, max_size=3),
        'usage': near({'completion_tokens': numbers}),
        'error': near({'message': texts, 'code': numbers}),
        'model': texts,
    }
)
