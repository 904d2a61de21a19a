"""The outcomes of a delivery, the check of its head, and what of a verified body is stored. No I/O.

``handler`` calls these functions, and verifies the signature with ``signature`` before it calls ``read_delivery``.

The checks run in the order of this table, and the first one that fails decides the answer:

====================  ======  ==================================================================================
outcome               status  when
====================  ======  ==================================================================================
unknown_connection    404     the path names no connection that receives; nothing is looked up
method                405     not a POST
too_large             413     over the limit, by its Content-Length or while it is read
unsigned              401     no signature header
malformed_signature   400     two signature headers, or one of another form
malformed             400     the Content-Length is not a number
busy                  503     too many bytes or deliveries are waiting
too_slow              408     the body did not arrive in time
cut                   none    the sender disconnected before the end of the body
no_connection         503     the connection was removed, or its lookup failed
wrong_signature       401     no current secret signed the body, after the secrets were looked up again
malformed             400     signed, but not a JSON object with an integer ``event_id`` and ``subscription_id``
ping                  200     a PING; its validation code is returned
unavailable           503     the event store is down, locked, full or slow
failed                503     an unexpected error of this program
duplicate             200     the event is in the store already
stored                200     the event is on disk
====================  ======  ==================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.message import Message, parse_message
from airflow_provider_toggl.core.events.model import Handshake, NewEvent
from airflow_provider_toggl.core.instants import parse_instant

MAX_BODY_BYTES = 1 << 20
"""Size of the largest body that is accepted. Toggl's have less than 10,000 bytes."""

OPTIONAL_SPACE = b" \t"
"""Bytes that may surround a header's value (RFC 9110, 5.5); some servers pass them on."""

MAX_CLOCK_DIFFERENCE = 300.0
"""Seconds between Toggl's ``timestamp`` and this machine's clock above which an event is recorded as unusual."""

# Within a JSON string a quotation mark is escaped, so these bytes can only be a key.
_TIMESTAMP_KEY = b'"timestamp"'
_TIMESTAMP = re.compile(rb'\s*:\s*"([^"\\]{1,40})"')


@dataclass(frozen=True)
class Outcome:
    """One way that a request can end.

    :param name: in metrics, logs and answers.
    :param status: the HTTP status of the answer.
    :param retry_after: seconds after which the sender should try again, None where trying again would not help.
    """

    name: str
    status: int
    retry_after: int | None = None


STORED = Outcome("stored", 200)
DUPLICATE = Outcome("duplicate", 200)
PING = Outcome("ping", 200)
MALFORMED = Outcome("malformed", 400)
MALFORMED_SIGNATURE = Outcome("malformed_signature", 400)
UNSIGNED = Outcome("unsigned", 401)
WRONG_SIGNATURE = Outcome("wrong_signature", 401)
UNKNOWN_CONNECTION = Outcome("unknown_connection", 404)
METHOD_NOT_ALLOWED = Outcome("method", 405)
TOO_SLOW = Outcome("too_slow", 408)
TOO_LARGE = Outcome("too_large", 413)
CUT = Outcome("cut", 400)  # never sent: the sender has disconnected
BUSY = Outcome("busy", 503, retry_after=5)
NO_CONNECTION = Outcome("no_connection", 503, retry_after=30)
UNAVAILABLE = Outcome("unavailable", 503, retry_after=30)
FAILED = Outcome("failed", 503, retry_after=60)

OUTCOMES: dict[str, Outcome] = {one.name: one for one in list(globals().values()) if isinstance(one, Outcome)}


@dataclass(frozen=True)
class ReceivingConnection:
    """What the receiver needs of an Airflow connection.

    :param secrets: webhook secrets that may have signed a delivery, the current one first.
    :param workspace_id: the workspace whose events are expected, None where the connection names none.
    :param store: the event store for its deliveries, as ``open_store`` takes it.
    :param echo_validation: whether the answer to a validation PING contains its code. If not, another program
        validates the subscription with it.
    """

    conn_id: str
    secrets: tuple[str, ...] = field(repr=False)
    workspace_id: int | None = None
    store: str = ""
    echo_validation: bool = True


@dataclass(frozen=True)
class Ping:
    """A signed PING.

    :param mark: records in the store when it came.
    :param handshake: its validation code, None where it has none.
    """

    mark: StatusEntry
    handshake: Handshake | None = None


def refusal(outcome: Outcome, reason: str) -> DeliveryRefused:
    """Return the error that refuses a delivery with this outcome.

    :param reason: what was wrong, for the log. The sender does not see it.
    """
    return DeliveryRefused(reason, outcome=outcome.name, status=outcome.status)


def check_head(method: str, content_lengths: list[bytes], *, max_bytes: int) -> None:
    """Raise unless the body may be read.

    :param content_lengths: all values of the ``Content-Length`` header.
    :param max_bytes: size that a body may have.
    :raises DeliveryRefused: the request is not a POST, or its length is too large or not one number.
    """
    if method != "POST":
        raise refusal(METHOD_NOT_ALLOWED, "Only POST is allowed.")
    for value in content_lengths:
        length = value.strip(OPTIONAL_SPACE)
        if not length.isdigit() or len(content_lengths) > 1:
            raise refusal(MALFORMED, "The Content-Length is not one number.")
        if len(length) > 18 or int(length) > max_bytes:
            raise refusal(TOO_LARGE, f"The Content-Length is more than {max_bytes:,} bytes.")


def read_delivery(connection: ReceivingConnection, body: bytes, received_at: datetime) -> NewEvent | Ping:
    """Return the event or the PING that a verified body is. Unusual values are recorded and refuse nothing.

    :param received_at: aware, by this machine's clock.
    :raises DeliveryRefused: the body is not a JSON object with an integer ``event_id`` and ``subscription_id``.
    """
    message = parse_message(body)
    if message.is_ping:
        mark = StatusEntry(last_ping_key(connection.conn_id, message.subscription_id), "", received_at)
        code = message.validation_code
        if code is None:
            return Ping(mark)
        return Ping(mark, Handshake(message.subscription_id, connection.conn_id, code, received_at))
    anomalies = _find_anomalies(connection, message, body, received_at)
    return message.to_event(body, received_at, connection.conn_id, *anomalies)


def last_ping_key(conn_id: str, subscription_id: int) -> str:
    """Return the key under which the store keeps when a subscription's last signed PING came."""
    return f"ping:{conn_id}:{subscription_id}"


def _find_anomalies(
    connection: ReceivingConnection, message: Message, body: bytes, received_at: datetime
) -> tuple[str, ...]:
    found = []
    if None not in (connection.workspace_id, message.workspace_id) and connection.workspace_id != message.workspace_id:
        found.append("another workspace than the connection's")
    sent_at = _find_timestamp(body)
    if sent_at is not None:
        difference = abs((sent_at - received_at).total_seconds())
        if difference > MAX_CLOCK_DIFFERENCE:
            found.append(f"timestamp {difference:.0f} s off")
    return tuple(found)


def _find_timestamp(body: bytes) -> datetime | None:
    """Return the envelope's ``timestamp``, found in the bytes: Toggl writes it after the payload."""
    position = body.rfind(_TIMESTAMP_KEY)
    found = _TIMESTAMP.match(body, position + len(_TIMESTAMP_KEY)) if position >= 0 else None
    if found is None:
        return None
    try:
        return parse_instant(found[1].decode())
    except ValueError:
        return None
