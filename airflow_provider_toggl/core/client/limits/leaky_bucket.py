"""The leaky bucket: when the next request of a token may leave this host.

Toggl counts a bucket per API token and address and calls one request a second safe
(https://engineering.toggl.com/docs/#api-rate-limiting). What counts there is when requests arrive, and that is known
only roughly here: a request arrives after it has left and before its answer is back. So the next one leaves a whole
interval after the last one left, its connection being open, and a little more; and where an answer is late, so that
the request may have arrived late too, a whole interval after the answer, as long as that costs little of the rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_toggl.core.errors import ConfigurationError

#: Requests leave this much further apart than the rate says, whatever their answers do.
MARGIN = 0.02
#: Beyond it, this share of the time may go into waiting for late answers, and at most so many seconds at once.
#: With both, at least 94 % of the rate is left.
CARE = 0.04
MOST_CARE = 0.5
#: A request that has not left so long after its turn was taken (its connection did not open) loses the turn.
LONGEST_DEPARTURE = 15.0
#: How often to look whether the last request has left, or is answered, in seconds.
LOOK_EVERY = 0.02
#: Readings of one clock by several processes come in a little out of order; only this far back is a clock turned back.
TURNED_BACK = 30.0


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
class BucketState:
    """The last request of a token from this host; all times in seconds since the epoch.

    :param taken_at: when its turn was taken, 0 before the first one.
    :param left_at: when it left, None while its connection is being opened.
    :param answered_at: when its answer, or the news that there will be none, was there.
    :param closed_until: until when Toggl wants to hear nothing (429).
    :param care: seconds that may still be spent on late answers.
    """

    taken_at: float = 0.0
    left_at: float | None = None
    answered_at: float | None = None
    closed_until: float = 0.0
    care: float = MOST_CARE


def wait_for_turn(mark: BucketState, pace: Pace, now: float) -> float:
    """Return for how many seconds no request may leave, 0 when one may leave now; ask again after them."""
    if _is_turned_back(mark, now):
        return 0.0
    return max(0.0, mark.closed_until - now, _wait_for_last(mark, pace, now))


def take_turn(mark: BucketState, pace: Pace, now: float) -> BucketState:
    """Return the mark once a request has the turn; nobody else's has it until this one left."""
    if _is_turned_back(mark, now):
        return BucketState(taken_at=now)
    spent = max(0.0, min(now, _surely_free_at(mark, pace, now)) - _free_at(mark, pace))
    care = min(MOST_CARE, max(0.0, mark.care - spent) + CARE * (now - mark.taken_at))
    return BucketState(taken_at=now, closed_until=mark.closed_until, care=max(0.0, care))


def depart(mark: BucketState, now: float) -> BucketState:
    """Return the mark once the request that has the turn leaves; it may leave again, to where it was redirected."""
    return replace(mark, left_at=now)


def settle(mark: BucketState, now: float) -> BucketState:
    """Return the mark once the request is answered, or has failed."""
    return replace(mark, left_at=mark.taken_at if mark.left_at is None else mark.left_at, answered_at=now)


def hold_back(mark: BucketState, seconds: float, now: float) -> BucketState:
    """Return the mark after Toggl asked this token to wait (429), for all processes of the host."""
    if _is_turned_back(mark, now):
        return BucketState(taken_at=now, left_at=now, answered_at=now, closed_until=now + seconds)
    return replace(mark, closed_until=max(mark.closed_until, now + seconds))


def _wait_for_last(mark: BucketState, pace: Pace, now: float) -> float:
    if mark.left_at is None and now < mark.taken_at + LONGEST_DEPARTURE:
        return max(_free_at(mark, pace) - now, LOOK_EVERY)
    if now < _free_at(mark, pace):
        return _free_at(mark, pace) - now
    left = min(_surely_free_at(mark, pace, now), _free_at(mark, pace) + mark.care) - now
    return left if mark.answered_at is not None else min(left, LOOK_EVERY)


def _free_at(mark: BucketState, pace: Pace) -> float:
    """From when the bucket has room if the last request arrived at once."""
    return (mark.taken_at if mark.left_at is None else mark.left_at) + pace.interval


def _surely_free_at(mark: BucketState, pace: Pace, now: float) -> float:
    """From when the bucket has room even if the last request arrived only just before its answer left."""
    arrived = now if mark.answered_at is None else mark.answered_at
    return max(_free_at(mark, pace), arrived + 1 / pace.requests_per_second)


def _is_turned_back(mark: BucketState, now: float) -> bool:
    """Whether the clock was turned back since, so that the mark means nothing."""
    return now < mark.taken_at - TURNED_BACK
