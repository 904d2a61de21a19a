"""What a named reader may be, and where it may stand."""

from __future__ import annotations

from airflow_provider_toggl.core.errors import ConfigurationError, EventNotFound

_LONGEST = 250


def check_name(name: str) -> None:
    """Refuse what is no name of a reader.

    :raises ConfigurationError: it is empty, very long, or has what cannot be printed.
    """
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise ConfigurationError(
            f"A consumer's name has 1 to {_LONGEST} printable characters; this is none: {name[:40]!r}."
        )


def check_place(seq: int, last_seq: int) -> None:
    """Refuse a place where no event has been yet: it would be passed over when it comes.

    :raises EventNotFound: it is one.
    """
    if not 0 <= seq <= last_seq:
        raise EventNotFound(
            f"The event store has no place {seq}; its last is {last_seq}. Was it moved or begun anew since?"
        )


def no_event(seq: int) -> EventNotFound:
    """Return the error for a place that has no event, or has it no more."""
    return EventNotFound(
        f"The event store has no event {seq}. Retention may have removed it; `airflow toggl events list` shows what is "
        "there."
    )
