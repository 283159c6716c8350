"""The landmarks of the present session, kept as observations come."""

from __future__ import annotations

from embodied_r_ros.core.landmark_history import LandmarkHistory, Scene
from embodied_r_ros.core.observations import Observation


class SessionLandmarks:
    """Things with places, of the session heard of last. It belongs to one thread.

    Args:
        max_observations: so many are kept to tell what was known at a moment of the past.
    """

    def __init__(self, max_observations: int) -> None:
        self._most = max_observations
        self._session: int | None = None
        self._history = LandmarkHistory(max_observations)

    def note(self, observation: Observation) -> None:
        """Take in an observation, in any order of stamps; one of another session begins anew."""
        if observation.session != self._session:
            self._session, self._history = observation.session, LandmarkHistory(self._most)
        self._history.note(observation)

    def at(self, session: int | None, as_of_ns: int | None = None) -> Scene | None:
        """The things as the observations up to this stamp tell them; None for a session that is not kept."""
        return self._history.at(as_of_ns) if session == self._session is not None else None
