"""What goes into an event store and comes out of it. All times are aware, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class NewEvent:
    """A verified delivery to be appended to the store.

    :param subscription_id: Toggl's id of the subscription.
    :param event_id: Toggl's id of the event; an integer of any size.
    :param body: the bytes that were signed.
    :param received_at: by this machine's clock.
    :param conn_id: the connection whose secret signed them.
    :param workspace_id: the workspace of what changed, None where the body does not say.
    :param entity: Toggl's word for what changed (``time_entry``), None where the body does not say.
    :param action: ``created``, ``updated``, ``deleted`` or whatever the body says.
    :param entity_id: id of what changed.
    :param created_at: when it happened, by Toggl's clock; None where the body does not say.
    :param anomaly: what is unexpected about the delivery, in a few words; None where nothing is.
    :param copy_of: the ``seq`` of the event that this is a copy of, to be read by every consumer again; not stored.
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
    anomaly: str | None = None
    copy_of: int | None = None


@dataclass(frozen=True)
class StoredEvent:
    """An event of the store.

    :param seq: its number. A reader that has read up to a number misses nothing that becomes visible below it later.
    :param event: what was appended.
    """

    seq: int
    event: NewEvent


@dataclass(frozen=True)
class Appended:
    """The result of appending one event.

    :param seq: the event's number in the store.
    :param duplicate: the store had an event of the same subscription and id; nothing was written.
    """

    seq: int
    duplicate: bool


@dataclass(frozen=True)
class Handshake:
    """The last signed validation PING of a subscription.

    :param validation_code: what Toggl expects in the response.
    :param received_at: by this machine's clock.
    """

    subscription_id: int
    conn_id: str
    validation_code: str
    received_at: datetime


@dataclass(frozen=True)
class Consumer:
    """A named reader that has done its work for every event up to ``seq``."""

    name: str
    seq: int
    updated_at: datetime


@dataclass(frozen=True)
class StoreFacts:
    """The state of a store, as far as its database shows it.

    :param where: the file or the schema; nothing secret.
    :param version: of its tables.
    :param risks: what could lose acknowledged events, in words; empty where nothing could.
    :param damage: what an integrity check found, None where it found nothing.
    :param free_bytes: on its disk, None where that is unknown.
    :param clock_off: seconds that its server's clock is ahead of this machine's, None where it has none of its own.
    """

    where: str
    version: int
    risks: tuple[str, ...] = ()
    damage: str | None = None
    free_bytes: int | None = None
    clock_off: float | None = None


@dataclass(frozen=True)
class Delivery:
    """A stored event without its bytes.

    :param size: how many bytes it has.
    """

    seq: int
    subscription_id: int
    event_id: int
    conn_id: str
    workspace_id: int | None
    entity: str | None
    action: str | None
    entity_id: int | None
    created_at: datetime | None
    received_at: datetime
    anomaly: str | None
    size: int


@dataclass(frozen=True)
class EventType:
    """What deliveries of a connection are about: an entity and an action.

    :param key: by which the store's index finds them.
    """

    key: str
    entity: str | None
    action: str | None


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries of a connection to list; a field that is None does not restrict them.

    :param number: an id of Toggl's: the event's, or that of what changed.
    :param only_anomalies: only deliveries about which something is unexpected.
    :param above: only those with a greater ``seq``; ``up_to``: none with a greater one.
    :param received_from: aware; likewise ``received_until``, which is excluded.
    """

    conn_id: str
    entity: str | None = None
    action: str | None = None
    number: int | None = None
    only_anomalies: bool = False
    above: int = 0
    up_to: int | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None

    def has(self, event_type: EventType) -> bool:
        """Whether deliveries of an event type may match."""
        return self.entity in (None, event_type.entity) and self.action in (None, event_type.action)
