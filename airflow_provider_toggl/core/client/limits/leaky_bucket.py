"""The leaky bucket: when the next request with a token may be sent. No I/O.

Toggl keeps one bucket per API token and IP address, and calls one request a second safe
(https://engineering.toggl.com/docs/#api-rate-limiting). Toggl counts a request when it arrives, which is
some time between sending it and receiving its response. So the next request is sent one interval after the previous
*response*: whatever the network delays, Toggl sees the two at least one interval apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_toggl.core.errors import ConfigurationError

#: Seconds after which a request without a response counts as answered; the next one follows an interval later. By then
#: it has reached Toggl, its connection could not be opened, or its process has died.
RESPONSE_TIMEOUT = 30.0
#: Seconds that a response takes, as estimates assume before the first one; not measured at Toggl.
ASSUMED_RESPONSE_SECONDS = 0.2
#: Divisor of the moving average of response times: each new response counts one fifth.
AVERAGED_RESPONSES = 5
#: The shortest wait in seconds, so that waiting processes do not lock the shared state without pause.
MIN_WAIT = 0.01
#: A process reads the clock before it locks the state, so its time may be a little older than the stored one. Only a
#: larger step back, in seconds, means that the clock was set back.
CLOCK_TOLERANCE = 30.0


@dataclass(frozen=True)
class Pace:
    """How fast one token may send requests.

    :param requests_per_second: an upper bound; its inverse is the pause after each response. Toggl calls 1 safe.
    """

    requests_per_second: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.requests_per_second <= 1000:
            raise ConfigurationError(
                f"requests_per_second is {self.requests_per_second}; it must be more than 0 and at most 1000."
            )

    @property
    def interval(self) -> float:
        """Seconds between a response and the next request."""
        return 1 / self.requests_per_second


@dataclass(frozen=True)
class BucketState:
    """The last request with a token. All times are seconds since the epoch.

    :param permit: the number of the permit (``token_state.Permit``) of that request. Numbers only grow.
    :param granted_at: when the permit was granted; 0 before the first one.
    :param answered_at: when the request was answered or failed; None before the first one and while it is in flight.
    :param closed_until: until when a 429 pauses the requests.
    :param response_seconds: the moving average of how long responses take.
    """

    permit: int = 0
    granted_at: float = 0.0
    answered_at: float | None = None
    closed_until: float = 0.0
    response_seconds: float = ASSUMED_RESPONSE_SECONDS


def seconds_per_permit(state: BucketState, pace: Pace) -> float:
    """Return about how many seconds lie between two permits while processes wait."""
    return pace.interval + state.response_seconds


def seconds_to_wait(state: BucketState, pace: Pace, now: float) -> float:
    """Return the seconds after which a caller may ask again, 0 if a request may be sent now.

    While a request is in flight this is one interval. Its response, whenever it comes, starts a full interval, so
    asking sooner is never useful.
    """
    if _clock_was_set_back(state, now):
        return 0.0
    if state.answered_at is None and now < state.granted_at + RESPONSE_TIMEOUT:
        wait = pace.interval
    else:
        answered_at = state.granted_at + RESPONSE_TIMEOUT if state.answered_at is None else state.answered_at
        wait = answered_at + pace.interval - now
    wait = max(wait, state.closed_until - now)
    return max(wait, MIN_WAIT) if wait > 0 else 0.0


def grant(state: BucketState, permit: int, now: float) -> BucketState:
    """Return the state after a permit was granted."""
    closed_until = 0.0 if _clock_was_set_back(state, now) else state.closed_until
    return BucketState(permit, granted_at=now, closed_until=closed_until, response_seconds=state.response_seconds)


def record_answer(state: BucketState, permit: int, now: float) -> BucketState:
    """Return the state after the request of a permit was answered or failed.

    A response after :data:`RESPONSE_TIMEOUT`, when another permit was granted, changes nothing.
    """
    if permit != state.permit:
        return state
    took = min(RESPONSE_TIMEOUT, max(0.0, now - state.granted_at))
    average = state.response_seconds + (took - state.response_seconds) / AVERAGED_RESPONSES
    return replace(state, answered_at=now, response_seconds=average)


def pause_bucket(state: BucketState, seconds: float, now: float) -> BucketState:
    """Return the state after Toggl asked for a pause (429)."""
    closed_until = now + seconds
    if _clock_was_set_back(state, now):
        return replace(state, granted_at=now, answered_at=now, closed_until=closed_until)
    return replace(state, closed_until=max(state.closed_until, closed_until))


def _clock_was_set_back(state: BucketState, now: float) -> bool:
    """Return whether the state is from before the clock was set back, so that its times mean nothing."""
    return now < state.granted_at - CLOCK_TOLERANCE
