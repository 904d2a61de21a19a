"""The key by which duplicate deliveries of one event are found."""

from __future__ import annotations

import hashlib
import json

from airflow_provider_toggl.core.events.model import NewEvent

_LONGEST = 40
"""Digits of an id that are kept as they are: twice those of 64 bits. An index of PostgreSQL takes 2,700 bytes."""


def event_key(event: NewEvent) -> str:
    """Return a short text that is the same for all deliveries of one event of one subscription, and for no others.

    Toggl's ids decide and not the body, whose ``timestamp`` changes with each attempt. An id of 0 or below identifies
    nothing; there the body decides, without that ``timestamp``. A copy that was requested is an event of its own.
    """
    key = number_key(event.event_id) if event.event_id > 0 else f"body-{_fingerprint(event.body)}"
    if event.copy_of is not None:
        # The copies of one event differ by when they were made.
        key += f"/copy-{event.copy_of}-{event.received_at.timestamp():.6f}"
    return f"{number_key(event.subscription_id)}/{key}"


def number_key(number: int) -> str:
    """Return a short text that stands for a whole number of any size."""
    digits = str(number)
    return digits if len(digits) <= _LONGEST else f"sha256-{hashlib.sha256(digits.encode()).hexdigest()}"


def _fingerprint(body: bytes) -> str:
    """Return a digest of a JSON object without its ``timestamp``, or of the bytes where they are none.

    Objects become tuples of all their members, repeated names too, and fractions stay texts: nothing that tells two
    bodies apart is lost on the way.
    """
    try:
        members = json.loads(body, object_pairs_hook=tuple, parse_float=str.encode, parse_constant=str.encode)
        if isinstance(members, tuple):
            body = repr(tuple(pair for pair in members if pair[0] != "timestamp")).encode()
    except (ValueError, RecursionError):
        pass
    return hashlib.sha256(body).hexdigest()
