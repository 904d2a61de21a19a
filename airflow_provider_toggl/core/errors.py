"""All errors of the package, in one tree.

::

    TogglError
    ├── ConfigurationError          a connection or an argument is invalid; no request was sent
    ├── ApiError                    a request to Toggl failed
    │   ├── WrongCredentials        401, or 403 on a request that needs no rights: the token is invalid
    │   ├── AccessDenied            403: the token is valid, but has no access to this workspace or object
    │   ├── NotFound                404
    │   ├── Gone                    410: the endpoint is retired
    │   ├── PlanLacksFeature        402 that is not about the quota: the workspace's plan does not include it
    │   ├── QuotaExhausted          402 of the hourly quota, or known without a request; has the time of the reset
    │   │   └── RateLimitStateUnavailable   the database in which hosts share the limits cannot be used now
    │   ├── RateLimited             429; has the time of the next try
    │   ├── PayloadRefused          other 4xx: Toggl's text says why
    │   ├── ServerTrouble           5xx after all tries
    │   ├── OutcomeUnknown          a write was sent, and it is unknown whether Toggl carried it out
    │   ├── NotApplied              Toggl accepted a write and did not apply it as sent
    │   ├── ConnectionTrouble       no response after all tries: DNS, network, TLS or timeout
    │   └── MalformedAnswer         an invalid response: not JSON, cut off, incomplete, or without required fields
    ├── WarehouseError              the warehouse could not do its part
    │   ├── WarehouseLocked         another process holds it, and the wait timed out
    │   ├── WarehouseReadOnly       it cannot be written to
    │   ├── SchemaTooNew            its tables are from a later version of this package
    │   └── AbsenceRefused          too many rows would be marked absent at once
    ├── FileStorageError            a file could not be written, read or listed
    │   └── FilesChanged            another task published files of the same stream at the same time
    ├── RateLimitStateError         the database in which hosts share the limits needs a repair or a right
    ├── DeliveryRefused             a delivery that is not from Toggl or not an event; has the status to answer
    └── EventStoreError             the event store could not do its part
        ├── EventStoreUnavailable   it cannot be reached, is locked or full; Toggl repeats deliveries that failed
        ├── EventStoreDamaged       its data is inconsistent
        ├── EventStoreTooNew        its tables are from a later version of this package
        └── EventNotFound           no event has that number

No message contains a secret. URLs in messages have no credentials and no query.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Literal


class DatabaseFault(Enum):
    """Why a database operation failed, the same for every engine.

    The reference of the errors lists the codes of each engine.
    """

    UNREACHABLE = "unreachable"
    """No connection: no such host, nothing listens there, or the server is starting or stopping."""
    CONNECTION_LOST = "connection lost"
    """The session ended: by the network, by a time limit on idle sessions, or by an administrator."""
    BAD_CREDENTIALS = "bad credentials"
    UNKNOWN_DATABASE = "unknown database"
    TOO_MANY_CONNECTIONS = "too many connections"
    LOCKED = "locked"
    """Another session holds a lock; this includes deadlocks and serialization failures."""
    CANCELED = "canceled"
    """A statement timeout or a person ended it."""
    MISSING_RIGHT = "missing right"
    READ_ONLY = "read-only"
    DISK_FULL = "disk full"
    OUT_OF_MEMORY = "out of memory"
    UNENCODABLE = "unencodable"
    """A character that the encoding of the database cannot represent."""
    MISSING_OBJECT = "missing object"
    """A table, column, function or schema does not exist."""
    CORRUPT = "corrupt"
    OTHER = "other"
    """Another reason; the error's class or text names it."""


class TogglError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(TogglError):
    """A connection or an argument is invalid. No request was sent to Toggl."""


class ApiError(TogglError):
    """A request to Toggl failed.

    :param message: what happened, why it matters and what to do.
    :param status: the HTTP status, None without a response.
    :param text: Toggl's error text, shortened.
    :param what: only what happened, without a full stop; by default the message.
    """

    def __init__(self, message: str, *, status: int | None = None, text: str = "", what: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.text = text
        self.what = what or message.removesuffix(".")


class WrongCredentials(ApiError):
    """The API token is invalid (401 as observed; 403 on a call that needs no rights, by Toggl's documentation)."""


class AccessDenied(ApiError):
    """The token is valid, but has no access to this workspace or object (403)."""


class NotFound(ApiError):
    """Toggl has no such object or endpoint (404): it was deleted, or belongs to another workspace."""


class Gone(ApiError):
    """The endpoint is retired and must not be called again (410)."""


class PlanLacksFeature(ApiError):
    """The workspace's plan does not include this feature (402 that is not about the quota)."""


class QuotaExhausted(ApiError):
    """No request may be sent before ``resets_at``.

    The hourly quota is used up, the rest of it is kept for people or for other tasks, many tasks wait for a permit, or
    the database of the shared limits cannot be used.

    :param resets_at: when to try again: for a quota, when the window ends or other tasks can have used their share. In
        UTC, by this machine's clock.
    :param lane: name of the quota lane: ``user`` or ``organization:<id>``.
    :param known_before: True if no request was sent, because this machine's records already said no.
    :param waits_for: what a task waits for until then: ``quota``, ``permit`` or ``database``.
    """

    def __init__(
        self,
        message: str,
        *,
        resets_at: datetime,
        lane: str,
        known_before: bool,
        waits_for: Literal["quota", "permit", "database"] = "quota",
        **more: Any,
    ) -> None:
        super().__init__(message, **more)
        self.waits_for = waits_for
        self.resets_at = resets_at
        self.lane = lane
        self.known_before = known_before


class RateLimitStateError(TogglError):
    """The database in which hosts share the rate limits lacks a right or a table, or a later version made its tables.

    Waiting does not help, so tasks fail. :class:`RateLimitStateUnavailable` is for what passes by itself.

    :param fault: the reason, as far as its error code shows.
    """

    def __init__(self, message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class RateLimitStateUnavailable(QuotaExhausted):
    """The database in which hosts share the rate limits cannot be used now, so no request may be sent.

    Tasks defer as they do while the quota is used up, and try again at ``resets_at``.

    :param fault: the reason, as far as its error code shows.
    """

    def __init__(
        self,
        message: str,
        *,
        fault: DatabaseFault = DatabaseFault.OTHER,
        resets_at: datetime | None = None,
        lane: str = "",
    ) -> None:
        super().__init__(
            message,
            resets_at=resets_at or datetime.now(timezone.utc) + timedelta(seconds=60),
            lane=lane,
            known_before=True,
            waits_for="database",
            what="The database of the shared rate limits cannot be used",
        )
        self.fault = fault


class RateLimited(ApiError):
    """Too many requests at once (429), after all tries.

    :param retry_at: when to try again, in UTC, by this machine's clock.
    :param reported: whether Toggl said when (``Retry-After``); otherwise it is a guess.
    """

    def __init__(self, message: str, *, retry_at: datetime, reported: bool, **more: Any) -> None:
        super().__init__(message, **{"status": 429, **more})
        self.retry_at = retry_at
        self.reported = reported


class PayloadRefused(ApiError):
    """Toggl refuses the request (4xx). The same request must not be sent again."""


class ServerTrouble(ApiError):
    """Toggl answered 5xx to every try."""


class OutcomeUnknown(ApiError):
    """A write was sent, and it is unknown whether Toggl carried it out. It was not sent again."""


class NotApplied(ApiError):
    """Toggl accepted a write, but its answer or a lookup shows that it was not applied as sent.

    :param entity_id: id of the object that the write made, where it made one.
    """

    entity_id: int | None = None


class ConnectionTrouble(ApiError):
    """No try got a complete response, because of DNS, the network, TLS, a timeout or a closed connection."""


class MalformedAnswer(ApiError):
    """A response is invalid: not JSON, incomplete, or without required fields."""


class WarehouseError(TogglError):
    """An operation of the warehouse failed.

    :param fault: the reason, as far as its error code shows.
    """

    def __init__(self, message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class WarehouseLocked(WarehouseError):
    """Another process kept the DuckDB file open or the schema busy, and the wait timed out."""


class WarehouseReadOnly(WarehouseError):
    """The database or its file cannot be written to, or the role lacks a right."""


class SchemaTooNew(WarehouseError):
    """The warehouse's tables are from a later version of this package."""


class AbsenceRefused(WarehouseError):
    """A complete list or report lacks an unusual share of the known rows. None was marked as missing in Toggl."""


class FileStorageError(TogglError):
    """A file in a file system or an object store could not be written, read, listed or deleted."""


class FilesChanged(FileStorageError):
    """Another task published files of the same stream at the same time. Nothing of this page was published."""


class DeliveryRefused(TogglError):
    """A request to the receiver is not stored: not from Toggl, malformed, too large, too slow, or at a bad time.

    :param outcome: the name of the outcome, see ``core/webhooks/delivery.py``.
    :param status: the HTTP status to answer: 4xx, or 503 if it cannot be checked or stored now.
    """

    def __init__(self, message: str, *, outcome: str, status: int) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status


class EventStoreError(TogglError):
    """An operation of the event store failed.

    :param fault: the reason, as far as its error code shows.
    """

    def __init__(self, message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class EventStoreUnavailable(EventStoreError):
    """The event store cannot be reached, is locked, full or read-only. A later try may succeed."""


class EventStoreDamaged(EventStoreError):
    """The data of the event store is inconsistent."""


class EventStoreTooNew(EventStoreError):
    """The event store's tables are from a later version of this package."""


class EventNotFound(EventStoreError):
    """The event store has no event with that number."""
