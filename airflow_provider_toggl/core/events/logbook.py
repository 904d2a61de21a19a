"""What a store keeps beside its events for people who look: refusals, notes, and numbers over time. All bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

KEPT_FOR = timedelta(days=14)
"""How long numbers over time are kept."""
MOST_REFUSALS = 5_000
"""Refusals that are kept, the newest ones."""
LONGEST_REASON = 300
"""Characters kept of a reason."""


@dataclass(frozen=True)
class Refused:
    """Deliveries that were refused for one reason within some seconds. Nothing of their bodies is in it.

    :param outcome: as in the receiver's table of decisions; ``rejected`` where it was stored and could not be landed.
    :param reason: what was wrong.
    :param times: how many there were.
    :param first_at: when the first came, UTC, by the receiver's clock.
    :param size: bytes that the last one announced, None where it did not.
    :param seq: its place in the store, of one that was stored; so are what it is about, and its ``event_id``.
    """

    conn_id: str
    outcome: str
    reason: str
    times: int
    first_at: datetime
    last_at: datetime
    size: int | None = None
    seq: int | None = None
    entity: str | None = None
    action: str | None = None
    entity_id: int | None = None
    event_id: int | None = None


@dataclass(frozen=True)
class KeptRefusal:
    """A refusal of the store, by its number."""

    number: int
    refused: Refused


@dataclass(frozen=True)
class RefusalFilter:
    """Which refusals are wanted; what is not given does not matter.

    :param rejected: only those that landing rejected, or only those that were not stored.
    :param lowest: only those of events of this place or a later one; ``highest``: or an earlier one.
    :param entity: nothing is known of what was not stored; likewise ``action`` and ``number``.
    :param number: an id of Toggl's: the event's, or that of what changed.
    :param at_from: aware; the last of them came then or later. ``at_until``: the first came before.
    """

    rejected: bool | None = None
    lowest: int | None = None
    highest: int | None = None
    entity: str | None = None
    action: str | None = None
    number: int | None = None
    at_from: datetime | None = None
    at_until: datetime | None = None


EVERY_REFUSAL = RefusalFilter()


@dataclass(frozen=True)
class Received:
    """What a receiver has to tell of some seconds.

    :param at: when it tells.
    :param counts: how many deliveries had each outcome, by connection and outcome.
    """

    at: datetime
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    refused: Sequence[Refused] = ()


@dataclass(frozen=True)
class Note:
    """A small JSON object that somebody left under a name; the next one of that name takes its place."""

    name: str
    value: dict[str, Any]
    noted_at: datetime


@dataclass(frozen=True)
class Sample:
    """A number at a time: the last one of its minute, or the sum of its hour.

    :param at: when the last part of it was told.
    """

    name: str
    at: datetime
    value: float


class Logbook(Protocol):
    """A part of the event store; its methods may wait for others and raise ``errors.EventStoreError``."""

    def note(self, name: str, value: Mapping[str, Any]) -> None:
        """Leave a note."""

    def notes(self, prefix: str) -> list[Note]:
        """Return the notes whose names begin so, by name."""

    def take_note(self, name: str) -> Note | None:
        """Remove a note and return it; of several who do, one gets it."""

    def keep_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refusals; of all that are kept the newest stay."""

    def keep_received(self, received: Received) -> None:
        """Keep what a receiver tells: counts by the hour, and the newest refusals."""

    def refusals(
        self, conn_id: str, wanted: RefusalFilter = EVERY_REFUSAL, *, before: int | None = None, limit: int = 50
    ) -> list[KeptRefusal]:
        """Return refusals of a connection, the newest first.

        :param before: only those with a lower number.
        """

    def sample(self, name: str, at: datetime, value: float) -> None:
        """Keep a number; of each minute the last one stays."""

    def samples(self, prefix: str, since: datetime) -> list[Sample]:
        """Return the numbers whose names begin so, from then on, by name and time."""

    def find_rise(self, name: str, value: float) -> tuple[Sample | None, Sample | None]:
        """Return the last number that is less, and the first one that is not, of one that only grows."""


REJECTED = "rejected"
"""The outcome of what was stored and could not be landed."""


def name_part(conn_id: str) -> str:
    """Return a connection's ID as a part of names, so that none begins like another: an ID may have slashes."""
    return quote(conn_id, safe="")


def received_name(conn_id: str, outcome: str) -> str:
    """Return the name under which deliveries of an outcome are counted."""
    return f"received/{name_part(conn_id)}/{outcome}"


def consumer_name(consumer: str) -> str:
    """Return the name under which a named reader's places are kept."""
    return f"consumer/{consumer}"


def reader_name(consumer: str) -> str:
    """Return the name of the note that says who a named reader is."""
    return f"reader/{consumer}"


def bucket_of(at: datetime, step: timedelta) -> int:
    """Return the number of the minute or hour that a time is in."""
    return int(at.timestamp() // step.total_seconds())


def end_of(prefix: str) -> str:
    """Return the first name after all those that begin so, by the order of their bytes.

    A letter of the prefix's own alphabet: the database's encoding may not have U+10FFFF, as EUC_JP has not.
    """
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
