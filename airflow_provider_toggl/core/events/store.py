"""What an event store must be able to do, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from airflow_provider_toggl.core.events.listing import Delivery, DeliveryFilter, Kind
from airflow_provider_toggl.core.events.logbook import Logbook


@dataclass(frozen=True)
class NewEvent:
    """A verified delivery on its way into the store.

    :param subscription_id: Toggl's id of the subscription.
    :param event_id: Toggl's id of the event; an integer of any size.
    :param body: the bytes that were signed.
    :param received_at: when they came, UTC, by this machine's clock.
    :param conn_id: the connection whose secret signed them.
    :param workspace_id: the workspace that they speak of, None where they do not say.
    :param entity: Toggl's word for what changed (``time_entry``), None where they do not say.
    :param action: ``created``, ``updated``, ``deleted`` or whatever they say.
    :param entity_id: id of what changed.
    :param created_at: when it happened, UTC, by Toggl's clock; None where they do not say.
    :param oddity: what is unusual about them, in a few words; None where nothing is.
    :param copy_of: the place of the event that this is a copy of, to be read by everybody once more; not kept.
    """

    subscription_id: int
    event_id: int
    body: bytes
    received_at: datetime
    conn_id: str
    workspace_id: int | None = None
    entity: str | None = None
    action: str | None = None
    entity_id: int | None = None
    created_at: datetime | None = None
    oddity: str | None = None
    copy_of: int | None = None


@dataclass(frozen=True)
class StoredEvent:
    """An event of the store.

    :param seq: its place. Whoever has read up to a number misses nothing that is later found below it.
    :param event: what was appended.
    """

    seq: int
    event: NewEvent


@dataclass(frozen=True)
class Appended:
    """Where an event is in the store, and whether it was there before.

    :param seq: its place.
    :param duplicate: an event of the same subscription and id was there already; nothing was written.
    """

    seq: int
    duplicate: bool


@dataclass(frozen=True)
class Handshake:
    """The last signed validation PING of a subscription.

    :param validation_code: what Toggl wants to hear again.
    :param received_at: UTC, by this machine's clock.
    """

    subscription_id: int
    conn_id: str
    validation_code: str
    received_at: datetime


@dataclass(frozen=True)
class Mark:
    """A small note that one program leaves in the store for another: the last PING, a question and its answer.

    No event: nothing reads it but who knows its name.

    :param made_at: UTC, by the machine of who made it.
    """

    name: str
    value: str
    made_at: datetime


@dataclass(frozen=True)
class StoreFacts:
    """What is worth knowing of a store's health.

    :param where: the file or the schema; nothing secret.
    :param version: of its tables.
    :param risks: what could lose events that were acknowledged, in words; empty where nothing could.
    :param damage: what an integrity check found, None where it found nothing.
    :param free_bytes: on its disk, None where that cannot be told.
    :param clock_off: seconds that its server's clock is ahead of this machine's, None where it has none of its own.
    """

    where: str
    version: int
    risks: tuple[str, ...] = ()
    damage: str | None = None
    free_bytes: int | None = None
    clock_off: float | None = None


@dataclass(frozen=True)
class Consumer:
    """A named reader: it has done its work for everything up to ``seq``. Times are aware, in UTC."""

    name: str
    seq: int
    updated_at: datetime


class EventStore(Protocol):
    """A database of events; every method may wait for others and raises ``errors.EventStoreError``.

    May be used by several threads at once. Two processes may append and many read.
    """

    def prepare(self) -> None:
        """Make or upgrade the tables; costs one query where nothing is to do.

        :raises EventStoreTooNew: a later version of this package made the tables.
        """

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        """Store events in one durable transaction and return, for each, where it is.

        When this returns they are on disk. A later one of the same (subscription, event) is a duplicate, also within
        one call. An ``event_id`` of 0 or below tells nothing: there the body, less its ``timestamp``, tells duplicates.
        """

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        """Return events with a greater ``seq``, the lowest first."""

    def get(self, seq: int) -> StoredEvent:
        """Return one event.

        :raises EventNotFound: there is none of that number.
        """

    def read_earlier(self, stored: StoredEvent, limit: int) -> list[StoredEvent]:
        """Return events of the same entity and workspace with a lower ``seq``, the latest by Toggl's clock first.

        Empty where the event does not say which entity it is about. One that was damaged since is left out.

        :param limit: the most to return.
        """

    def last_seq(self) -> int:
        """Return the greatest ``seq`` that was ever given, 0 in a new store; retention does not lower it."""

    def count(self) -> int:
        """Return how many events are kept."""

    def seq_before(self, moment: datetime) -> int:
        """Return a ``seq`` after which every event is found that was received at or after that moment.

        For look-back: it may be lower than it had to be, never higher.

        :param moment: aware.
        """

    def place_from(self, moment: datetime, among: int) -> int | None:
        """Return the lowest ``seq`` of so many events, the first by time that were received then or later, if any.

        :param moment: aware.
        """

    def place_before(self, moment: datetime, among: int) -> int | None:
        """Return the greatest ``seq`` of so many events, the last by time that were received before, if any.

        :param moment: aware.
        """

    def first_seq(self) -> int:
        """Return the lowest ``seq`` that is kept, 0 in an empty store."""

    def kinds(self, conn_id: str) -> list[Kind]:
        """Return what deliveries of a connection are about: each entity with each action that there was."""

    def places(
        self, wanted: DeliveryFilter, kinds: Sequence[Kind], *, before: int, above: int, limit: int
    ) -> list[int]:
        """Return where to look for those that are wanted between two places, by an index, the newest first.

        Those of the wanted number; else the odd ones; else those of the kinds.

        :param before: only those with a lower ``seq``; ``above``: only those with a greater one.
        :param limit: of places; where there are fewer, there are no more.
        """

    def deliveries(self, wanted: DeliveryFilter, seqs: Sequence[int]) -> list[Delivery]:
        """Return those of some places that are wanted, the newest first."""

    def newest(self, conn_id: str) -> dict[str | None, datetime]:
        """Return when the newest event of each entity was received, of a connection."""

    @property
    def logbook(self) -> Logbook:
        """What is kept beside events for people who look."""

    def keep_handshake(self, handshake: Handshake) -> None:
        """Keep a subscription's validation code, over an earlier one."""

    def find_handshake(self, subscription_id: int) -> Handshake | None:
        """Return the last validation PING of a subscription, None where none came."""

    def keep_mark(self, mark: Mark) -> None:
        """Keep a mark durably, over an earlier one of its name."""

    def find_mark(self, name: str) -> Mark | None:
        """Return the mark of that name, None where there is none."""

    def inspect(self, patience: float) -> StoreFacts:
        """Look at the store's health; changes nothing.

        :param patience: seconds after which a check of all pages is left unfinished.
        """

    def find_consumer(self, name: str) -> Consumer | None:
        """Return how far a named reader is, None where nobody of that name ever committed."""

    def consumers(self) -> list[Consumer]:
        """Return all named readers, by name."""

    def commit(self, name: str, seq: int) -> Consumer:
        """Move a named reader on to ``seq``, never back, and return where it is then.

        :raises EventNotFound: nothing that far has been stored.
        """

    def forget_consumer(self, name: str) -> bool:
        """Remove a named reader, so that retention waits for it no longer; return whether there was one."""

    def prune(self, received_before: datetime, limit: int = 10_000) -> int:
        """Remove events received before that moment that every named reader has read; return how many.

        :param received_before: aware.
        :param limit: the most to remove in one transaction, so that appends wait for milliseconds.
        """

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as there is an event with a greater ``seq``, False after so many seconds without one.

        Blocks its thread; cheap while nothing happens.
        """

    def close(self) -> None:
        """Give back everything, and end a ``wait`` of another thread."""

    def __enter__(self) -> EventStore:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
