"""The quality of service of each topic and service, by name."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITIES = ('best_effort', 'reliable')


def _profile(depth: int, *, reliable: bool = True, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


# What nodes tell each other is latched: a node that is started again is refilled from its neighbours.
KEY_FRAMES = _profile(64, latched=True)
ANSWERS = _profile(1, latched=True)
LANDMARKS = _profile(1, latched=True)


def observations(memory_bound: int) -> QoSProfile:
    """Observations, as deep as the memory that is to be refilled from them."""
    return _profile(memory_bound, latched=True)


def images(reliability: str, depth: int) -> QoSProfile:
    """Camera images; `reliability` is one of RELIABILITIES."""
    return _profile(depth, reliable=reliability == 'reliable')


# With the default depth of 10, 90 of 100 simultaneous requests are lost without an error.
SERVICES = _profile(200)

# Best effort on the listening side matches both kinds of sender.
ODOMETRY = _profile(100, reliable=False)
CAMERA_INFO = _profile(1, reliable=False)
DEPTH = _profile(5, reliable=False)
DETECTIONS = _profile(20, reliable=False)

DIAGNOSTICS = _profile(10)
CLOCK = _profile(1, reliable=False)

# A recording's topics as they are played: reliable matches listeners of both kinds.
PLAYED = _profile(20)
KEPT = _profile(1, latched=True)

# Several senders tell fixed transforms, one message each, and a recording is one sender for all of them.
TRANSFORMS = _profile(100)
FIXED_TRANSFORMS = _profile(1000, latched=True)
