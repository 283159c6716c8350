"""Frames cited in a line of thought."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.citations import cited_frames, renumber


@pytest.mark.parametrize(
    ('thinking', 'cited'),
    [
        ('In Frame 3 the sofa is left.', (3,)),
        ('frame 3, then Frame 1, then frame 3', (1, 3)),
        ('Frame3 and frame #1', (1, 3)),
        ('Frame 1, Frame 2 and Frame 4', (1, 2, 4)),
        ('Frames 2 and 4 show it', (2, 4)),
        ('Frames 2, 4, and 5 show it', (2, 4, 5)),
        ('Frames 2, 3 and 4', (2, 3, 4)),
        ('Frames #2 & #4', (2, 4)),
        ('frames 1, 3-5 and 7', (1, 3, 4, 5, 7)),
        ('Frames 2 and 4 shows it', (2, 4)),
        ('frames 2-4', (2, 3, 4)),
        ('Frames 3 – 5', (3, 4, 5)),
        ('Frame 3-5', (3, 4, 5)),
        ('from Frame 2 to Frame 4', (2, 3, 4)),
        ('Frames 2 through 4', (2, 3, 4)),
        ('Frames 5-3', (3, 5)),
        ('Frames 8-99999', (8, 9)),
        ('Frame 10 is out of the window, frame #1 is not', (1,)),
        ('Frame 123456', ()),
        ('Frame 2.5', ()),
        ('After 3 steps, no frame is named', ()),
        ('keyframe 3', ()),
        ('', ()),
    ],
)
def test_cited_frames(thinking, cited):
    assert cited_frames(thinking, 10) == cited


@pytest.mark.parametrize(
    ('thinking', 'cited'),
    [
        ('In Frame 3, 2 chairs', (3,)),
        ('Frame 3, 4 and 5 m away', (3,)),
        ('frame 3 and 2 doors', (3,)),
        ('Frame 3 or 4', (3,)),
        ('Frame 8 to 9 metres', (8,)),
        ('Frame 3-5 m', (3,)),
        ('Frame 1, 2nd door', (1,)),
        ('Frame 1, 3 m ahead', (1,)),
        ('Frame 1 and 2.5 m', (1,)),
        ('Frames 2 and 3, 4 red chairs', (2, 3)),
        ('Frames 2, 3 and 4 chairs', (2, 3)),
        ('Frames 2, 5 people', (2,)),
        ('Frames 2 and 4 degrees', (2,)),
        ('Frames 2, 4° left', (2,)),
        ('Frames 8 to 9 metres', (8,)),
        ('Frames 2 and 3, 1st and 5th', (2, 3)),
    ],
)
def test_a_count_or_measure_after_a_frame_is_no_frame(thinking, cited):
    assert cited_frames(thinking, 10) == cited
    assert renumber(thinking, range(10)) == thinking


def test_renumbering_names_frames_by_key_frame_index():
    indices = [40, 41, 45]
    assert renumber('Frame 0, then frames 1 and 2 (2 m).', indices) == 'Frame 40, then frames 41 and 45 (2 m).'
    assert renumber('Frame 0, 2 chairs', indices) == 'Frame 40, 2 chairs'
    assert renumber('Frame 7', indices) == 'Frame 7?'
    assert renumber('no citation 1', indices) == 'no citation 1'


@pytest.mark.parametrize(
    ('thinking', 'told'),
    [
        ('It is left of me (Frame 2).', 'It is left of me (now).'),
        ('Frame #2', 'now'),
        ('Frames 0, 1 and 2', 'Frames 40, 41 and now'),
        ('Frames 2, 1 and 0', 'now, Frames 41 and 40'),
        ('from Frame 0 to Frame 2', 'from Frame 40 to now'),
        ('Frames 0-2', 'Frames 40-now'),
    ],
)
def test_a_frame_that_is_no_key_frame_is_now(thinking, told):
    assert renumber(thinking, [40, 41, None]) == told
