"""Every error of the package, in one tree.

::

    TogglError
    ├── ConfigurationError          the connection or the arguments are wrong; nothing was asked of Toggl
    ├── ApiError                    Toggl was asked, and this is what came of it
    │   ├── WrongCredentials        401, or 403 on a call that needs no rights: the token is not valid
    │   ├── AccessDenied            403: the token is valid, this workspace or object is not its to see
    │   ├── NotFound                404
    │   ├── Gone                    410: never ask again
    │   ├── PlanLacksFeature        402 without quota: the workspace's plan does not have it
    │   ├── QuotaExhausted          402 of the hourly quota, or known beforehand; carries when it resets
    │   ├── RateLimited             429; carries when to try again
    │   ├── PayloadRefused          other 4xx: Toggl's own text says what it did not like
    │   ├── ServerTrouble           5xx after all tries
    │   ├── OutcomeUnknown          a write was sent, and whether Toggl carried it out cannot be found out
    │   ├── NotApplied              Toggl answered that a write was done, and what is there is not what was asked
    │   ├── ConnectionTrouble       no answer after all tries: name, network, TLS, time-out
    │   └── MalformedAnswer         an answer that is not what it should be: not JSON, cut, short, fields missing
    ├── WarehouseError              the database that rows land in
    │   ├── WarehouseLocked         another process holds it, and waiting was not enough
    │   ├── WarehouseReadOnly       it can be read, not written
    │   ├── SchemaTooNew            its tables were made by a later version of this package
    │   └── AbsenceRefused          too many rows would be marked absent at once
    ├── DeliveryRefused             a delivery that is not Toggl's, or is no event; carries the status to answer
    └── EventStoreError             the database that keeps delivered events
        ├── EventStoreUnavailable   it cannot be reached, is locked or full; what was not acknowledged comes again
        ├── EventStoreDamaged       what it holds contradicts itself
        ├── EventStoreTooNew        its tables were made by a later version of this package
        └── EventNotFound           there is no event of that number

No message of any of them contains a secret; URLs in them have no credentials and no query string.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum


class DatabaseFault(Enum):
    """Why a database did not do what it was asked, the same for every engine.

    ``docs/errors.md`` lists which codes of which engine stand for which of them.
    """

    UNREACHABLE = "unreachable"
    """No connection: no such host, nothing listens there, or the server is starting or stopping."""
    CONNECTION_LOST = "connection lost"
    """The session ended: by the network, by a time limit on idle sessions, or by an administrator."""
    BAD_CREDENTIALS = "bad credentials"
    UNKNOWN_DATABASE = "unknown database"
    TOO_MANY_CONNECTIONS = "too many connections"
    LOCKED = "locked"
    """Another session holds what is needed; a deadlock and a serialization failure among it."""
    CANCELED = "canceled"
    """A time limit on statements ended it, or a person did."""
    MISSING_RIGHT = "missing right"
    READ_ONLY = "read-only"
    DISK_FULL = "disk full"
    OUT_OF_MEMORY = "out of memory"
    UNENCODABLE = "unencodable"
    """A character that the encoding of the database cannot hold."""
    MISSING_OBJECT = "missing object"
    """A table, column, function or schema that is not there."""
    CORRUPT = "corrupt"
    OTHER = "other"
    """None of these; the engine's own text says what it is."""


class TogglError(Exception):
    """Anything this package raises on purpose."""


class ConfigurationError(TogglError):
    """The connection or the arguments are wrong; nothing was asked of Toggl."""


class ApiError(TogglError):
    """Toggl was asked, and this is what came of it.

    :param message: what happened, what it means and what to do.
    :param status: the HTTP status, where there was an answer.
    :param text: what Toggl said of it, shortened.
    :param what: what happened, without what to do and without a full stop; the message where it is not given.
    """

    def __init__(self, message: str, *, status: int | None = None, text: str = "", what: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.text = text
        self.what = what or message.removesuffix(".")


class WrongCredentials(ApiError):
    """The API token is not valid (401 by observation, 403 by Toggl's documents)."""


class AccessDenied(ApiError):
    """The token is valid, but this workspace or object is not its to see (403)."""


class NotFound(ApiError):
    """There is nothing at that address (404)."""


class Gone(ApiError):
    """The address is retired and must never be asked again (410)."""


class PlanLacksFeature(ApiError):
    """The workspace's plan does not have this feature (402 that is not about the quota)."""


class QuotaExhausted(ApiError):
    """The hourly quota is used up, or what is left of it is kept for people or for other tasks.

    :param resets_at: when the window ends, or others can have used their share of it; in UTC, by this machine's clock.
    :param lane: which budget it is: ``user`` or ``organization:<id>``.
    :param known_before: True when no request was sent because the refusal was known beforehand.
    """

    def __init__(
        self,
        message: str,
        *,
        resets_at: datetime,
        lane: str,
        known_before: bool,
        status: int | None = None,
        text: str = "",
        what: str = "",
    ) -> None:
        super().__init__(message, status=status, text=text, what=what)
        self.resets_at = resets_at
        self.lane = lane
        self.known_before = known_before


class RateLimited(ApiError):
    """Too many requests at once (429), still so after all tries.

    :param retry_at: when to try again, in UTC, by this machine's clock.
    :param reported: whether Toggl said when (``Retry-After``); otherwise it is a guess.
    """

    def __init__(
        self, message: str, *, retry_at: datetime, reported: bool, status: int = 429, text: str = "", what: str = ""
    ) -> None:
        super().__init__(message, status=status, text=text, what=what)
        self.retry_at = retry_at
        self.reported = reported


class PayloadRefused(ApiError):
    """Toggl refuses the request as it is; the same request must not be sent again (4xx)."""


class ServerTrouble(ApiError):
    """Toggl answered 5xx to every try."""


class OutcomeUnknown(ApiError):
    """A write was sent, and whether Toggl carried it out cannot be found out; it was not sent again."""


class NotApplied(ApiError):
    """Toggl answered that a write was done, and what is there is not what was asked.

    :param entity_id: id of the object that the write made, where it made one.
    """

    def __init__(self, message: str, *, entity_id: int | None = None) -> None:
        super().__init__(message)
        self.entity_id = entity_id


class ConnectionTrouble(ApiError):
    """No whole answer came to any try: name, network, TLS, time-out or a cut connection."""


class MalformedAnswer(ApiError):
    """An answer that is not what it should be: not JSON, short, or with fields missing."""


class WarehouseError(TogglError):
    """The database that rows land in could not do its part.

    :param fault: why, as far as its code tells.
    """

    def __init__(self, message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class WarehouseLocked(WarehouseError):
    """Another process holds the warehouse, and waiting was not enough."""


class WarehouseReadOnly(WarehouseError):
    """The warehouse can be read but not written."""


class SchemaTooNew(WarehouseError):
    """The warehouse's tables were made by a later version of this package."""


class AbsenceRefused(WarehouseError):
    """A complete list, or a report, lacks an unusual share of the known rows; none of them was marked absent."""


class DeliveryRefused(TogglError):
    """A delivery that is not Toggl's, or is no event.

    :param outcome: the counter that it goes to.
    :param status: the HTTP status to answer, 4xx.
    """

    def __init__(self, message: str, *, outcome: str, status: int) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status


class EventStoreError(TogglError):
    """The database that keeps delivered events could not do its part.

    :param fault: why, as far as its code tells.
    """

    def __init__(self, message: str, *, fault: DatabaseFault = DatabaseFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class EventStoreUnavailable(EventStoreError):
    """The event store cannot be reached, is locked, full or read-only; trying later may help."""


class EventStoreDamaged(EventStoreError):
    """What the event store holds contradicts itself."""


class EventStoreTooNew(EventStoreError):
    """The event store's tables were made by a later version of this package."""


class EventNotFound(EventStoreError):
    """There is no event of that number in the store."""
