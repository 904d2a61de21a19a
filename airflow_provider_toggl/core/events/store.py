"""The event store: events that were delivered, in order, and how far each consumer has read them.

``append`` stores deliveries before they are acknowledged. Readers go on from a ``seq`` by ``read`` and ``wait``. What
is recorded beside the events (refused deliveries, numbers over time, status entries) is in ``activity_log``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.databases.database import DatabaseSession
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    EventNotFound,
    EventStoreDamaged,
    EventStoreError,
)
from airflow_provider_toggl.core.events import rows
from airflow_provider_toggl.core.events.activity_log import ActivityLog, record_position
from airflow_provider_toggl.core.events.engine import EventEngine
from airflow_provider_toggl.core.events.model import (
    Appended,
    Consumer,
    Delivery,
    DeliveryFilter,
    EventType,
    Handshake,
    NewEvent,
    StoredEvent,
    StoreFacts,
)

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)

MAX_CONSUMER_NAME = 250
"""Characters of a consumer's name."""
DEFAULT_STORE = "default"
"""The name, in metrics, of the store that no connection names."""


class EventStore:
    """A database of events; every method may block and raises ``errors.EventStoreError``.

    Several threads may use it at once. Any number of processes may append and read. What a method has written is on
    disk when it returns.

    :param engine: the database.
    :param clock: used for the times of commits and status entries.
    """

    def __init__(self, engine: EventEngine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock
        self.activity_log = ActivityLog(engine, clock)

    def prepare(self) -> None:
        """Create or migrate the tables; costs one query where nothing is to do.

        :raises EventStoreTooNew: a later version of this package made the tables.
        :raises ConfigurationError: the database belongs to something else.
        """
        self.engine.prepare()

    def close(self) -> None:
        """Close the connections, and end a ``wait`` of another thread."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def inspect(self, patience: float) -> StoreFacts:
        """Return the state of the database; changes nothing.

        :param patience: seconds after which a check of all pages is abandoned.
        """
        return self.engine.inspect(patience)

    # -- events --------------------------------------------------------------------------------------------------------

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        """Store events in one durable transaction and return, for each, where it is.

        A later one of the same (subscription, event) is a duplicate, also within one call. An ``event_id`` of 0 or
        below identifies nothing: there the body without its ``timestamp`` decides.
        """
        if not events:
            return []
        try:
            return self.engine.append([rows.event_to_row(event) for event in events])
        except EventStoreError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
        # The body has the original texts; the columns beside it are for lists and filters.
        return self.engine.append([rows.event_to_row(rows.escape_event(event)) for event in events])

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        """Return events with a greater ``seq``, the lowest first."""
        return [rows.event_from_row(row) for row in self.engine.fetch("read_events", after=after, limit=limit)]

    def get(self, seq: int) -> StoredEvent:
        """Return one event.

        :raises EventNotFound: there is none of that number.
        """
        found = self.engine.fetch("find_event", seq=seq)
        if not found:
            raise EventNotFound(
                f"The event store has no event {seq}. Retention may have removed it; `airflow toggl events list` shows "
                "what is there."
            )
        return rows.event_from_row(found[0])

    def read_earlier(self, stored: StoredEvent, limit: int) -> list[StoredEvent]:
        """Return events of the same entity and workspace with a lower ``seq``, the latest by Toggl's clock first.

        Empty where the event has no ``entity_id``. Damaged events are left out.

        :param limit: the most to return.
        """
        event = stored.event
        if event.entity_id is None:
            return []
        found = self.engine.fetch(
            "read_earlier",
            entity=event.entity,
            entity_id=event.entity_id,
            workspace_id=event.workspace_id,
            before=stored.seq,
            limit=limit,
        )
        earlier = []
        for row in found:
            with suppress(EventStoreDamaged):
                earlier.append(rows.event_from_row(row))
        return earlier

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as there is an event with a greater ``seq``, False after so many seconds without one.

        Blocks its thread, at little cost.
        """
        return self.engine.wait(after, timeout)

    def count(self) -> int:
        """Return how many events are kept."""
        return self._get_number("count_events")

    def first_seq(self) -> int:
        """Return the lowest ``seq`` that is kept, 0 in an empty store."""
        return self._get_number("first_seq")

    def last_seq(self) -> int:
        """Return the greatest ``seq`` that was ever given, 0 in a new store; retention does not lower it."""
        return self._get_number("last_seq")

    def seq_before(self, moment: datetime) -> int:
        """Return a ``seq`` after which every event is found that was received at or after a moment.

        It may be lower than necessary, never higher.

        :param moment: aware.
        """
        return self._get_number("seq_before", moment=rows.to_microseconds(moment))

    def prune(self, received_before: datetime, limit: int = 10_000) -> int:
        """Remove events received before a moment that every consumer has read; return how many.

        :param received_before: aware.
        :param limit: the most to remove in one transaction, so that appends wait for milliseconds.
        """
        return self.engine.execute("prune_events", received_before=rows.to_microseconds(received_before), limit=limit)

    # -- deliveries, for lists -----------------------------------------------------------------------------------------

    def first_seq_since(self, moment: datetime, among: int) -> int | None:
        """Return the lowest ``seq`` of the first events, by time, that were received at or after a moment, if any.

        :param moment: aware.
        :param among: how many events by time: their order by ``seq`` differs where several receivers have several
            clocks.
        """
        return self._find_number("first_seq_since", moment=rows.to_microseconds(moment), limit=among)

    def last_seq_before(self, moment: datetime, among: int) -> int | None:
        """Return the greatest ``seq`` of the last events, by time, that were received before a moment, if any.

        :param moment: aware.
        :param among: as in ``first_seq_since``.
        """
        return self._find_number("last_seq_before", moment=rows.to_microseconds(moment), limit=among)

    def list_event_types(self, conn_id: str) -> list[EventType]:
        """Return each entity with each action that a connection's deliveries have."""
        # A key is connection, entity and action with a space between; "!" follows the space.
        found = self.engine.fetch("list_event_types", first=f"{conn_id} ", last=f"{conn_id}!")
        return [rows.event_type_from_key(key, conn_id) for (key,) in found]

    def find_seqs(
        self, wanted: DeliveryFilter, event_types: Sequence[EventType], *, before: int, above: int, limit: int
    ) -> list[int]:
        """Return, by an index and newest first, the numbers of deliveries among which all that match are.

        Those of the filter's number; else those with an anomaly; else those of the event types.

        :param before: only those with a lower ``seq``; ``above``: only those with a greater one.
        :param limit: the most to return; where there are fewer, there are no more.
        """
        values = {**rows.filter_values(wanted), "before": before, "above": above, "limit": limit}
        if wanted.number is not None:
            found = self.engine.fetch("seqs_of_number", **values)
        elif wanted.only_anomalies:
            found = self.engine.fetch("seqs_of_anomalies", **values)
        else:
            keys = [event_type.key for event_type in event_types]
            found = self.engine.fetch_each("seqs_of_event_type", keys, **values)
        return sorted((seq for (seq,) in found), reverse=True)[:limit]

    def read_deliveries(self, wanted: DeliveryFilter, seqs: Sequence[int]) -> list[Delivery]:
        """Return those of some deliveries that match a filter, newest first."""
        found = self.engine.fetch("list_deliveries", **rows.filter_values(wanted), seqs=list(seqs))
        return [rows.delivery_from_row(row) for row in found]

    def find_newest_by_entity(self, conn_id: str) -> dict[str | None, datetime]:
        """Return when the newest event of each entity of a connection was received."""
        newest: dict[str | None, datetime] = {}
        keys = [event_type.key for event_type in self.list_event_types(conn_id)]
        for entity, received_at in self.engine.fetch_each("newest_of_event_type", keys):
            moment = rows.from_microseconds(received_at)
            newest[entity] = max(moment, newest.get(entity, moment))
        return newest

    # -- handshakes ----------------------------------------------------------------------------------------------------

    def record_handshake(self, handshake: Handshake) -> None:
        """Record a subscription's validation code in place of an earlier one."""
        self.engine.execute(
            "set_handshake",
            subscription_key=rows.number_key(handshake.subscription_id),
            conn_id=handshake.conn_id,
            validation_code=rows.json_text_to_bytes(handshake.validation_code),
            received_at=rows.to_microseconds(handshake.received_at),
        )

    def find_handshake(self, subscription_id: int) -> Handshake | None:
        """Return the last validation PING of a subscription, None where none was received."""
        found = self.engine.fetch("find_handshake", subscription_key=rows.number_key(subscription_id))
        return rows.handshake_from_row(subscription_id, found[0]) if found else None

    # -- consumers -----------------------------------------------------------------------------------------------------

    def find_consumer(self, name: str) -> Consumer | None:
        """Return how far a consumer has read, None where it never committed."""
        check_consumer_name(name)
        found = self.engine.fetch("find_consumer", name=name)
        return rows.consumer_from_row(found[0]) if found else None

    def consumers(self) -> list[Consumer]:
        """Return all consumers, by name."""
        return [rows.consumer_from_row(row) for row in self.engine.fetch("list_consumers")]

    def commit(self, name: str, seq: int) -> Consumer:
        """Move a consumer on to ``seq``, never back, and return where it is then.

        :raises EventNotFound: nothing that far has been stored; an event that comes there later would be skipped.
        """
        check_consumer_name(name)
        last_seq = self.last_seq()
        if not 0 <= seq <= last_seq:
            raise EventNotFound(
                f"The event store has no place {seq}; its last is {last_seq}. Was it moved or begun anew since?"
            )
        now = utc(self._clock.now())

        def move(session: DatabaseSession) -> Consumer:
            session.execute("move_consumer", name=name, seq=seq, updated_at=rows.to_microseconds(now))
            consumer = rows.consumer_from_row(session.fetch("find_consumer", name=name)[0])
            record_position(session, name, consumer.seq, now)
            return consumer

        return self.engine.transact(move)

    def forget_consumer(self, name: str) -> bool:
        """Remove a consumer, so that retention no longer waits for it; return whether there was one."""
        check_consumer_name(name)
        return self.engine.execute("remove_consumer", name=name) > 0

    def _find_number(self, statement: str, **values: int) -> int | None:
        ((number,),) = self.engine.fetch(statement, **values)
        return None if number is None else int(number)

    def _get_number(self, statement: str, **values: int) -> int:
        return self._find_number(statement, **values) or 0


def check_consumer_name(name: str) -> None:
    """Return if a name can be a consumer's.

    :raises ConfigurationError: it is empty, too long, or has characters that cannot be printed.
    """
    if not name or len(name) > MAX_CONSUMER_NAME or not name.isprintable():
        raise ConfigurationError(
            f"A consumer's name has 1 to {MAX_CONSUMER_NAME} printable characters; this is none: {name[:40]!r}."
        )


def measure_store(store: EventStore, name: str) -> None:
    """Send the last ``seq`` of a store, and how many events each consumer has yet to read; costs two queries.

    Sends nothing where the store cannot be used: its other callers report that.

    :param name: the store's connection, empty for the default one.
    """
    try:
        last_seq, consumers = store.last_seq(), store.consumers()
    except EventStoreError as error:
        log.debug("No metrics of the event store: %s", error)
        return
    metrics.LAST_SEQ.set(last_seq, store=name or DEFAULT_STORE)
    for consumer in consumers:
        metrics.LAG.set(max(0, last_seq - consumer.seq), store=name or DEFAULT_STORE, consumer=consumer.name)
