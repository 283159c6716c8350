"""Frames cited in a line of thought."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.citations import cited_frames, renumber


@pytest.mark.parametrize(
    ('thinking', 'cited'),
    [
        ('In Frame 3 the sofa is left.', (3,)),
        ('frame 3, then Frame 1, then frame 3', (1, 3)),
        ('Frames 2 and 4 show it', (2, 4)),
        ('Frames 2, 4, and 5 show it', (2, 4, 5)),
        ('frames 2-4', (2, 3, 4)),
        ('from Frame 2 to Frame 4', (2, 3, 4)),
        ('Frame 10 is out of the window, frame #1 is not', (1,)),
        ('Frame 1, 3 m ahead', (1,)),
        ('Frame 1 and 2.5 m', (1,)),
        ('After 3 steps, no frame is named', ()),
        ('', ()),
    ],
)
def test_cited_frames(thinking, cited):
    assert cited_frames(thinking, 10) == cited


def test_renumbering_names_frames_by_key_frame_index():
    indices = [40, 41, 45]
    assert renumber('Frame 0, then frames 1 and 2 (2 m).', indices) == 'Frame 40, then frames 41 and 45 (2 m).'
    assert renumber('Frame 7', indices) == 'Frame 7?'
    assert renumber('no citation 1', indices) == 'no citation 1'
