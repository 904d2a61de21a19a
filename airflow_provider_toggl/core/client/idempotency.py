"""Writes that must happen once: what leaves in doubt is looked up in Toggl before it is sent again.

Toggl has no idempotency keys. A request whose answer is lost may have been carried out, or not, or be carried out in a
moment; only Toggl's own lists tell which.
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

#: Seconds before each look for what a request in doubt may have made. More than one look, because Toggl may still be
#: at it when its connection has ended, and what is new takes it a while to show.
LOOKUP_DELAYS: tuple[float, ...] = (1.0, 4.0)
NO_DELAY: tuple[float, ...] = (0.0,)
#: Times that one write is sent before its trouble is raised.
MAX_SENDS = 3


#: Told whether there is doubt from now on.
Note = Callable[[bool], None]


def keep_no_note(doubt: bool) -> None:
    """Remember nothing: for who does not outlive the process."""


@dataclass(frozen=True)
class WriteResult(Generic[T]):
    """What came of a write.

    :param thing: what is there now.
    :param made: whether this request made it; False where it was found.
    """

    thing: T
    made: bool


def is_outcome_unknown(error: ApiError) -> bool:
    """Whether a write that failed like this may have been carried out.

    Refusals (4xx, a used-up quota) were not carried out, nor was what never left. 408 is a refusal that says that
    somebody waited in vain, which may be a proxy.
    """
    if isinstance(error, NotSent):
        return False
    return isinstance(error, ConnectionTrouble | ServerTrouble | MalformedAnswer) or error.status == 408


def write_once(
    send: Callable[[], T],
    find: Callable[[], T | None],
    *,
    in_doubt: bool = False,
    note: Note = keep_no_note,
    settle: Callable[[T], WriteResult[T]] | None = None,
    clock: Clock | None = None,
) -> WriteResult[T]:
    """Send a write until its effect is there, and never while an earlier one may have had it.

    :param send: sends it, and returns what Toggl says that it made.
    :param find: looks in Toggl for what it would have made.
    :param in_doubt: an earlier try may have sent it, so that it is looked up first.
    :param note: told, before the request leaves, that from now on there is doubt, and when there is none any more; for
        who must remember it beyond this process.
    :param settle: given what was made after a look had found nothing; looks whether the earlier request was carried
        out late.
    :raises OutcomeUnknown: whether it was carried out could not be looked up; it was not sent again.
    :raises QuotaExhausted: as ``note`` was told last; likewise ``RateLimited``.
    :raises ApiError: Toggl refuses it; or it could not be sent, and was not there at the last look.
    """
    clock = clock or SystemClock()
    looked, pauses = in_doubt, NO_DELAY
    trouble: ApiError | None = None
    for sends in range(MAX_SENDS + 1):
        if in_doubt:
            found = _look(find, pauses, clock, trouble)
            if found is not None:
                note(False)
                return WriteResult(found, made=False)
        if sends == MAX_SENDS and trouble is not None:
            raise trouble
        note(True)
        try:
            thing = send()
        except ApiError as error:
            if not is_outcome_unknown(error):
                # One that was sent before it may still be carried out.
                note(looked)
                raise
            log.warning("%s Whether it was carried out is not known: it is looked up before it is sent again.", error)
            trouble, in_doubt, looked, pauses = error, True, True, LOOKUP_DELAYS
        else:
            done = settle(thing) if settle and looked else WriteResult(thing, made=True)
            note(False)
            return done
    raise AssertionError("the loop ends by itself")


def _look(find: Callable[[], T | None], pauses: Sequence[float], clock: Clock, trouble: ApiError | None) -> T | None:
    """Look as often as there are pauses, and return the first that is found."""
    try:
        for pause in pauses:
            if pause:
                clock.sleep(pause)
            found = find()
            if found is not None:
                return found
    except (QuotaExhausted, RateLimited, OutcomeUnknown):
        raise
    except ApiError as error:
        first = f"{trouble} " if trouble else "An earlier try of the task may have sent the request. "
        raise OutcomeUnknown(
            f"{first}Whether Toggl carried it out is not known, for it could not be looked up ({error}). It was not "
            "sent again. Run the task again: it begins with the look.",
            status=error.status,
            text=error.text,
        ) from error
    return None
