"""What a store records beside its events: refused deliveries, numbers over time, and status entries.

Refusals and numbers over time are bounded. A status entry stays until it is replaced or taken; tasks also use them to
claim work and to remember attempts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.databases.database import Database, DatabaseSession, Row
from airflow_provider_toggl.core.errors import DatabaseFault, EventStoreError
from airflow_provider_toggl.core.events.rows import (
    escape_text,
    from_microseconds,
    number_values,
    to_microseconds,
    to_optional_microseconds,
)
from airflow_provider_toggl.core.keys import quote_key

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

MEASUREMENTS_KEPT_FOR = timedelta(days=14)
"""How long numbers over time are kept."""
MAX_REFUSALS = 5_000
"""How many refusals are kept, the newest ones."""
MAX_REASON = 300
"""Characters kept of a reason."""
REJECTED = "rejected"
"""The outcome of a delivery that was stored and could not be loaded."""


@dataclass(frozen=True)
class RefusedDelivery:
    """Deliveries of one connection that were refused for one reason within some seconds.

    :param outcome: as in the receiver's table of decisions, or ``REJECTED``.
    :param reason: what was wrong.
    :param times: how many there were.
    :param first_at: when the first was received, UTC, by the receiver's clock.
    :param size: bytes that the last one announced, None where it did not.
    :param seq: its number in the store where it was stored. Only then are the following fields known, and nothing else
        of its body.
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
class StoredRefusal:
    """A refusal of the log, by its number."""

    number: int
    refused: RefusedDelivery


@dataclass(frozen=True)
class RefusalFilter:
    """Which refusals to list; a field that is None does not restrict them.

    :param rejected: only those that could not be loaded, or only those that were not stored.
    :param lowest: only those of events of this ``seq`` or a later one; ``highest``: or an earlier one.
    :param entity: unknown of what was not stored; likewise ``action`` and ``number``.
    :param number: an id of Toggl's: the event's, or that of what changed.
    :param at_from: aware; the last of them was received then or later. ``at_until``: the first was received before.
    """

    rejected: bool | None = None
    lowest: int | None = None
    highest: int | None = None
    entity: str | None = None
    action: str | None = None
    number: int | None = None
    at_from: datetime | None = None
    at_until: datetime | None = None


ALL_REFUSALS = RefusalFilter()


@dataclass(frozen=True)
class DeliveryCounts:
    """What a receiver answered within some seconds.

    :param at: the end of these seconds.
    :param counts: how many deliveries had each outcome, by connection and outcome.
    """

    at: datetime
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    refused: Sequence[RefusedDelivery] = ()


@dataclass(frozen=True)
class StatusEntry:
    """A small JSON value under a name, for another program or for a person; a later one of that name replaces it."""

    name: str
    value: Any
    recorded_at: datetime


@dataclass(frozen=True)
class Measurement:
    """A number at a time: the last one of its minute, or the sum of its hour.

    :param at: when its last part was recorded.
    """

    name: str
    at: datetime
    value: float


class ActivityLog:
    """A part of the event store; its methods may block and raise ``errors.EventStoreError``.

    :param database: the store's.
    :param clock: used for the times of status entries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # -- status entries ------------------------------------------------------------------------------------------------

    def set_status(self, name: str, value: Any, recorded_at: datetime | None = None) -> None:
        """Record a JSON value under a name, in place of an earlier one.

        :param recorded_at: aware; None for now.
        """
        moment = utc(self._clock.now()) if recorded_at is None else recorded_at
        self._database.execute("set_status", name=name, value=json.dumps(value), recorded_at=to_microseconds(moment))

    def find_status(self, name: str) -> StatusEntry | None:
        """Return the entry of a name, None where there is none."""
        return next(map(_status_from_row, self._database.fetch("find_status", name=name)), None)

    def list_status(self, prefix: str) -> list[StatusEntry]:
        """Return the entries whose names begin with a prefix, by name."""
        found = self._database.fetch("list_status", first=prefix, end=find_prefix_end(prefix))
        return [_status_from_row(row) for row in found]

    def take_status(self, name: str) -> StatusEntry | None:
        """Remove an entry and return it; of several callers one gets it."""

        def take(session: DatabaseSession) -> StatusEntry | None:
            found = session.fetch("lock_status", name=name)
            session.execute("remove_status", name=name)
            return _status_from_row(found[0]) if found else None

        return self._database.transact(take)

    def rename_status(self, name: str, new_name: str) -> StatusEntry | None:
        """Rename an entry, replacing any that has the new name, and return it; None if there is none.

        If several processes rename it at once, one gets it.
        """

        def rename(session: DatabaseSession) -> StatusEntry | None:
            for _, value, recorded_at in session.fetch("lock_status", name=name):
                session.execute("remove_status", name=name)
                session.execute("set_status", name=new_name, value=value, recorded_at=recorded_at)
                return _status_from_row((new_name, value, recorded_at))
            return None

        return self._database.transact(rename)

    # -- refused deliveries --------------------------------------------------------------------------------------------

    def record_refusals(self, refused: Sequence[RefusedDelivery]) -> None:
        """Record refused deliveries; the oldest ones beyond ``MAX_REFUSALS`` are removed."""
        self._record_storable(refused, _insert_refusals)

    def record_received(self, received: DeliveryCounts) -> None:
        """Record what a receiver answered: counts by the hour, and refused deliveries."""

        def record(session: DatabaseSession, refused: Sequence[RefusedDelivery]) -> None:
            # In one order, so that two receivers do not wait for each other.
            for (conn_id, outcome), count in sorted(received.counts.items()):
                measurement = Measurement(received_key(conn_id, outcome), received.at, count)
                _record(session, "add_measurement", measurement, HOUR)
            _insert_refusals(session, refused)

        self._record_storable(received.refused, record)

    def list_refusals(
        self, conn_id: str, wanted: RefusalFilter = ALL_REFUSALS, *, before: int | None = None, limit: int = 50
    ) -> list[StoredRefusal]:
        """Return refusals of a connection, newest first.

        :param before: only those with a lower number.
        """
        found = self._database.fetch(
            "list_refusals",
            conn_id=conn_id,
            before=2**63 - 1 if before is None else before,
            limit=limit,
            rejected=wanted.rejected,
            lowest=wanted.lowest,
            highest=wanted.highest,
            entity=wanted.entity,
            action=wanted.action,
            at_from=to_optional_microseconds(wanted.at_from),
            at_until=to_optional_microseconds(wanted.at_until),
            **number_values(wanted.number),
        )
        return [_refusal_from_row(row) for row in found]

    # -- numbers over time ---------------------------------------------------------------------------------------------

    def record_measurement(self, name: str, at: datetime, value: float) -> None:
        """Record a number; the last one of each minute is kept."""
        measurement = Measurement(name, at, value)
        self._database.transact(lambda session: _record(session, "set_measurement", measurement, MINUTE))

    def list_measurements(self, prefix: str, since: datetime) -> list[Measurement]:
        """Return the numbers from a time on whose names begin with a prefix, by name and time."""
        found = self._database.fetch(
            "list_measurements", first=prefix, end=find_prefix_end(prefix), since=to_microseconds(since)
        )
        return [_measurement_from_row(row) for row in found]

    def find_crossing(self, name: str, value: float) -> tuple[Measurement | None, Measurement | None]:
        """Return the last number below a value and the first one that reaches it, of a number that only grows."""
        below, reached = (
            next(map(_measurement_from_row, self._database.fetch(statement, name=name, value=value)), None)
            for statement in ("last_below", "first_reached")
        )
        return below, reached

    def _record_storable(
        self,
        refused: Sequence[RefusedDelivery],
        record: Callable[[DatabaseSession, Sequence[RefusedDelivery]], None],
    ) -> None:
        """Record refusals, in ASCII where the encoding of the database lacks a character of them."""
        try:
            self._database.transact(lambda session: record(session, refused))
        except EventStoreError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
            escaped = [
                replace(
                    one,
                    reason=escape_text(one.reason) or "",
                    entity=escape_text(one.entity),
                    action=escape_text(one.action),
                )
                for one in refused
            ]
            self._database.transact(lambda session: record(session, escaped))


def record_position(session: DatabaseSession, consumer: str, seq: int, at: datetime) -> None:
    """Record, within a transaction, how far a consumer has read now."""
    _record(session, "set_measurement", Measurement(consumer_key(consumer), at, seq), MINUTE)


def _record(session: DatabaseSession, statement: str, measurement: Measurement, step: timedelta) -> None:
    name, at = measurement.name, measurement.at
    bucket = find_bucket(at, step)
    session.execute(statement, name=name, bucket=bucket, at=to_microseconds(at), value=measurement.value)
    session.execute("prune_measurements", name=name, oldest=find_bucket(at - MEASUREMENTS_KEPT_FOR, step))


def _insert_refusals(session: DatabaseSession, refused: Sequence[RefusedDelivery]) -> None:
    for one in refused:
        values = {
            **vars(one),
            # No database takes a NUL in a text.
            "reason": one.reason[:MAX_REASON].replace("\0", " ").encode("utf-8", "replace").decode(),
            "event_id": None if one.event_id is None else str(one.event_id),
            "first_at": to_microseconds(one.first_at),
            "last_at": to_microseconds(one.last_at),
        }
        session.execute("insert_refusal", **values)
    if refused:
        session.execute("prune_refusals", kept=MAX_REFUSALS)


def _refusal_from_row(row: Row) -> StoredRefusal:
    number, *known, event_id, first_at, last_at = row
    names = ("conn_id", "outcome", "reason", "times", "seq", "size", "entity", "action", "entity_id")
    refused = RefusedDelivery(
        **dict(zip(names, known, strict=True)),
        event_id=None if event_id is None else int(event_id),
        first_at=from_microseconds(first_at),
        last_at=from_microseconds(last_at),
    )
    return StoredRefusal(number, refused)


def _status_from_row(row: Row) -> StatusEntry:
    name, value, recorded_at = row
    return StatusEntry(name, json.loads(value), from_microseconds(recorded_at))


def _measurement_from_row(row: Row) -> Measurement:
    name, at, value = row
    return Measurement(name, from_microseconds(at), value)


def received_key(conn_id: str, outcome: str) -> str:
    """Return the name under which deliveries of an outcome are counted."""
    return f"received/{quote_key(conn_id)}/{outcome}"


def consumer_key(consumer: str) -> str:
    """Return the name under which a consumer's positions are recorded."""
    return f"consumer/{consumer}"


def reader_key(consumer: str) -> str:
    """Return the name of the status entry that describes a consumer."""
    return f"reader/{consumer}"


def find_bucket(at: datetime, step: timedelta) -> int:
    """Return the number of the minute or hour that a time is in."""
    return int(at.timestamp() // step.total_seconds())


def find_prefix_end(prefix: str) -> str:
    """Return the first name after all those that begin with a prefix, by the order of their bytes.

    Its last character is next to one of the prefix, because every encoding of a database has that: EUC_JP, for one,
    lacks U+10FFFF.
    """
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
