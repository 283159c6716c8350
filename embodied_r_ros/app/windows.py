"""The window of a question: cut, or found empty."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from embodied_r_ros.app.peer_services import Declined
from embodied_r_ros.app.request import Request
from embodied_r_ros.core.observations import Observation
from embodied_r_ros.core.records import ErrorCode


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """Stamps that count, both ends included; a start of None is the session's begin."""

    start_ns: int | None
    end_ns: int
    as_of_ns: int


def cut(request: Request, present_ns: int) -> Window:
    """The window of a request.

    Args:
        present_ns: ROS time that counts as now where the request names none.

    Raises:
        Declined: it lies in the future (WINDOW_EMPTY).
    """
    as_of_ns = present_ns if request.as_of_ns is None else request.as_of_ns
    start_ns, end_ns = request.window(as_of_ns)
    if start_ns is not None and start_ns > as_of_ns:
        ahead_s = (start_ns - as_of_ns) / 1e9
        message = f'the window begins {ahead_s:.1f} s in the future of as_of; ask about what has been seen'
        raise Declined(ErrorCode.WINDOW_EMPTY, message)
    return Window(start_ns=start_ns, end_ns=end_ns, as_of_ns=as_of_ns)


def nothing_in(window: Window, seen: Sequence[Observation], key_frames: int) -> Declined:
    """Why a window holds nothing.

    Args:
        seen: all observations of the session.
        key_frames: how many have come in the session.
    """
    if not seen:
        message = (
            f'{key_frames} key frames of this session have come, but none is described yet; ask again shortly, and see '
            'what perception_node says about its model'
        )
        return Declined(ErrorCode.NO_FRAMES, message)
    first_s, last_s = ((window.as_of_ns - seen[place].stamp_ns) / 1e9 for place in (0, -1))
    message = (
        f'no key frame lies in the window; this session has {len(seen)}, from {first_s:.1f} s to {last_s:.1f} s before '
        'as_of; ask about a window that reaches them'
    )
    return Declined(ErrorCode.WINDOW_EMPTY, message)
