"""Writes that must take effect once: if the outcome is unknown, it is looked up before the write is sent again.

Toggl has no idempotency keys. If the response to a write is lost, Toggl may have carried it out, may still carry it
out, or may never have received it. Only Toggl's own lists show which.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_toggl.core.client.transport import NotSent
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import (
    ApiError,
    ConnectionTrouble,
    MalformedAnswer,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    ServerTrouble,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds before each lookup of a write with an unknown outcome. There are several, because Toggl may carry it out
#: after the connection has ended, and new objects take a while to appear in lists.
LOOKUP_DELAYS: tuple[float, ...] = (1.0, 4.0)
NO_DELAY: tuple[float, ...] = (0.0,)
#: How often one write is sent before its error is raised.
MAX_SENDS = 3

#: Called with True before the outcome may become unknown, with False when no request can still take effect.
RecordDoubt = Callable[[bool], None]


def record_nothing(in_doubt: bool) -> None:
    """Record nothing, for callers that do not outlive the process."""


@dataclass(frozen=True)
class WriteResult(Generic[T]):
    """The result of a write.

    :param value: the object that exists now.
    :param created: whether this write created it; False if it was found.
    """

    value: T
    created: bool


def is_outcome_unknown(error: ApiError) -> bool:
    """Return whether a write that failed with this error may have been carried out.

    A request that Toggl refused (4xx) or that was never sent was not carried out. 408 is an exception: a proxy may send
    it while Toggl still works on the request.
    """
    if isinstance(error, NotSent):
        return False
    return isinstance(error, ConnectionTrouble | ServerTrouble | MalformedAnswer) or error.status == 408


def write_once(
    send: Callable[[], T],
    find: Callable[[], T | None],
    *,
    in_doubt: bool = False,
    record_doubt: RecordDoubt = record_nothing,
    resolve_duplicate: Callable[[T], WriteResult[T]] | None = None,
    clock: Clock | None = None,
) -> WriteResult[T]:
    """Send a write until it has taken effect; again only after a lookup found nothing of an earlier request.

    :param send: sends it, and returns the object that Toggl says it created.
    :param find: looks up the object that the write would have created.
    :param in_doubt: whether an earlier try may have sent it, so that it must be looked up first.
    :param record_doubt: called before the request is sent, and when its outcome is known, for callers that must
        remember this beyond the process.
    :param resolve_duplicate: called with a created object if a lookup before had found nothing. It checks whether the
        earlier request was carried out late.
    :raises OutcomeUnknown: the lookup failed, so the write was not sent again.
    :raises QuotaExhausted: the quota is used up; ``record_doubt`` has the state. Likewise ``RateLimited``.
    :raises ApiError: Toggl refuses the write, or it could not be sent, or after ``MAX_SENDS`` requests the last
        lookup found nothing.
    """
    clock = clock or SystemClock()
    pending, delays = in_doubt, NO_DELAY
    last_error: ApiError | None = None
    for sends in range(MAX_SENDS + 1):
        if in_doubt:
            found = _look_up(find, delays, clock, last_error)
            if found is not None:
                record_doubt(False)
                return WriteResult(found, created=False)
        if sends == MAX_SENDS and last_error is not None:
            raise last_error
        record_doubt(True)
        try:
            value = send()
        except ApiError as error:
            if not is_outcome_unknown(error):
                # A request that was sent before this one may still be carried out.
                record_doubt(pending)
                raise
            log.warning("%s The outcome is unknown: it is looked up before the request is sent again.", error)
            last_error, in_doubt, pending, delays = error, True, True, LOOKUP_DELAYS
        else:
            result = resolve_duplicate(value) if resolve_duplicate and pending else WriteResult(value, created=True)
            record_doubt(False)
            return result
    raise AssertionError("the loop returns or raises")


def _look_up(
    find: Callable[[], T | None], delays: Sequence[float], clock: Clock, last_error: ApiError | None
) -> T | None:
    """Look up once after each delay, and return the first object that is found."""
    try:
        for delay in delays:
            if delay:
                clock.sleep(delay)
            found = find()
            if found is not None:
                return found
    except (QuotaExhausted, RateLimited, OutcomeUnknown):
        raise
    except ApiError as error:
        first = f"{last_error} " if last_error else "An earlier try of the task may have sent the request. "
        raise OutcomeUnknown(
            f"{first}Whether Toggl carried it out is unknown, because the lookup failed ({error}). The request was not "
            "sent again. Run the task again: it starts with the lookup.",
            status=error.status,
            text=error.text,
        ) from error
    return None
