"""The errors: one root, told apart by what the caller can do."""

from __future__ import annotations

import pytest

from embodied_r_ros.core import errors


@pytest.mark.parametrize(
    ('kind', 'parent'),
    [
        (errors.SettingsError, errors.EmbodiedRError),
        (errors.InputError, errors.EmbodiedRError),
        (errors.UnsupportedQuestion, errors.InputError),
        (errors.CannotTell, errors.InputError),
        (errors.BackendError, errors.EmbodiedRError),
        (errors.BackendTimeout, errors.BackendError),
        (errors.BackendUnavailable, errors.BackendError),
        (errors.BackendRefused, errors.BackendError),
        (errors.ReplyError, errors.EmbodiedRError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_each_error_has_the_parent_that_says_what_to_do(kind, parent):
    assert kind.__base__ is parent


def test_the_five_kinds_exclude_each_other():
    kinds = (errors.SettingsError, errors.InputError, errors.BackendError, errors.ReplyError)
    assert not any(issubclass(a, b) for a in kinds for b in kinds if a is not b)


def test_an_unreadable_reply_is_kept():
    error = errors.ReplyError('no answer in it', 'hm')
    assert (str(error), error.raw) == ('no answer in it', 'hm')
