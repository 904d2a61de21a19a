"""The leaky bucket: when the next request of a token may leave this host.

Toggl counts a bucket per API token and address and calls one request a second safe
(https://engineering.toggl.com/docs/#api-rate-limiting). Turns are taken from one shared mark, the moment from which a
request may be sent; whoever finds it in the past sends and moves it on.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_toggl.core.errors import ConfigurationError

#: Requests leave this much further apart than the rate says, so that jitter on the way does not bring two of them
#: closer together than the bucket allows. With it at most 96 % of the rate is used.
MARGIN = 0.04


@dataclass(frozen=True)
class Pace:
    """How fast one token may ask.

    :param requests_per_second: the bucket's rate; Toggl's safe one is 1.
    """

    requests_per_second: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.requests_per_second <= 1000:
            raise ConfigurationError(
                f"requests_per_second is {self.requests_per_second}; it must be more than 0 and at most 1000."
            )

    @property
    def interval(self) -> float:
        """Seconds between two requests."""
        return (1 + MARGIN) / self.requests_per_second


@dataclass(frozen=True)
class Mark:
    """The shared mark of a token.

    :param free_at: from when the next request may be sent, in seconds since the epoch.
    :param set_at: when the mark was set; a clock that is now before it was turned back, and the mark means nothing.
    """

    free_at: float = 0.0
    set_at: float = 0.0


def wait_for_turn(mark: Mark, now: float) -> float:
    """Return for how many seconds the bucket is still full, 0 when a request may leave now."""
    if now < mark.set_at:
        return 0.0
    return max(0.0, mark.free_at - now)


def take_turn(pace: Pace, now: float) -> Mark:
    """Return the mark after a request that leaves now."""
    return Mark(free_at=now + pace.interval, set_at=now)


def hold_back(mark: Mark, seconds: float, now: float) -> Mark:
    """Return the mark after Toggl asked this token to wait (429), for all processes of the host."""
    return Mark(free_at=max(mark.free_at if now >= mark.set_at else 0.0, now + seconds), set_at=now)
