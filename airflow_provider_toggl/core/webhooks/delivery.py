"""What becomes of a delivery: the decisions, without any I/O.

In this order, and the first that applies is the answer:

====================  ======  ==================================================================================
outcome               status  when
====================  ======  ==================================================================================
unknown_connection    404     the path names no connection that receives; nothing is looked up
method                405     not a POST
too_large             413     over the cap, by its Content-Length or while it is read
unsigned              401     no signature header
malformed_signature   400     two of them, or another form
malformed             400     a Content-Length that is no number
busy                  503     more is waiting than may
too_slow              408     the body did not come in time
cut                   none    the sender hung up before the end
no_connection         503     the connection cannot be looked up now: a secrets backend is down, or it was removed
wrong_signature       401     no live secret signed the bytes, also among those looked up after they had come
malformed             400     signed, but not a JSON object with an integer ``event_id`` and ``subscription_id``
ping                  200     a PING; its validation code is said again
unavailable           503     the event store is down, locked, full or slow
failed                503     a fault of this program
duplicate             200     it is in the store already
stored                200     it is on disk
====================  ======  ==================================================================================
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.message import Message, parse_message
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.webhooks.signature import OPTIONAL_SPACE

CAP = 1 << 20
"""Bytes of the largest body that is read; Toggl's have less than 10,000."""

CLOCK_OFF = 300.0
"""Seconds between Toggl's ``timestamp`` and this machine's clock that are noted as unusual."""

# Within a JSON text a quotation mark is escaped, so this is a key.
_TIMESTAMP_KEY = b'"timestamp"'
_TIMESTAMP = re.compile(rb'\s*:\s*"([^"\\]{1,40})"')


@dataclass(frozen=True)
class Outcome:
    """One way that a request can end.

    :param name: the name of its counter.
    :param status: the HTTP status that is answered.
    :param retry_after: seconds after which the sender should try again, None where that would not help.
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
METHOD = Outcome("method", 405)
TOO_SLOW = Outcome("too_slow", 408)
TOO_LARGE = Outcome("too_large", 413)
CUT = Outcome("cut", 400)  # there is nobody to answer
BUSY = Outcome("busy", 503, retry_after=5)
NO_CONNECTION = Outcome("no_connection", 503, retry_after=30)
UNAVAILABLE = Outcome("unavailable", 503, retry_after=30)
FAILED = Outcome("failed", 503, retry_after=60)

OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (
        STORED,
        DUPLICATE,
        PING,
        MALFORMED,
        MALFORMED_SIGNATURE,
        UNSIGNED,
        WRONG_SIGNATURE,
        UNKNOWN_CONNECTION,
        METHOD,
        TOO_SLOW,
        TOO_LARGE,
        CUT,
        BUSY,
        NO_CONNECTION,
        UNAVAILABLE,
        FAILED,
    )
}


@dataclass(frozen=True)
class ReceivingConnection:
    """A connection that deliveries may come in for.

    :param secrets: all that may have signed, the current one first.
    :param workspace_id: the only workspace whose events are expected, None where none is set.
    :param store: which event store they go to, as ``open_store`` understands it.
    :param echoes: whether the answer to a validation PING says its code; otherwise somebody else validates with it.
    """

    conn_id: str
    secrets: tuple[str, ...] = field(repr=False)
    workspace_id: int | None = None
    store: str = ""
    echoes: bool = True


@dataclass(frozen=True)
class Ping:
    """A signed PING.

    :param mark: says in the store that it came.
    :param handshake: its validation code, where it has one.
    """

    mark: StatusEntry
    handshake: Handshake | None = None


def refuse(outcome: Outcome, message: str) -> DeliveryRefused:
    """Return the refusal that has this outcome.

    :param message: what was wrong, for the log.
    """
    return DeliveryRefused(message, outcome=outcome.name, status=outcome.status)


def check_head(method: str, lengths: list[bytes], *, cap: int) -> None:
    """Return when the body may be read.

    :param lengths: the values of ``Content-Length``.
    :param cap: bytes that a body may have.
    :raises DeliveryRefused: it is not a POST, or too long, or has no sensible length.
    """
    if method != "POST":
        raise refuse(METHOD, "Deliveries are POSTed.")
    for value in lengths:
        length = value.strip(OPTIONAL_SPACE)
        if not length.isdigit() or len(lengths) > 1:
            raise refuse(MALFORMED, "The Content-Length is not one number.")
        if len(length) > 18 or int(length) > cap:
            raise refuse(TOO_LARGE, f"The body is announced with more than {cap:,} bytes.")


def read_delivery(connection: ReceivingConnection, body: bytes, received_at: datetime) -> NewEvent | Ping:
    """Return what rightly signed bytes are: an event, however odd, or a PING.

    :param received_at: aware, by this machine's clock.
    :raises DeliveryRefused: they are not a JSON object with an integer ``event_id`` and ``subscription_id``.
    """
    message = parse_message(body)
    if message.is_ping:
        mark = StatusEntry(ping_mark(connection.conn_id, message.subscription_id), "", received_at)
        code = message.validation_code
        if code is None:
            return Ping(mark)
        return Ping(mark, Handshake(message.subscription_id, connection.conn_id, code, received_at))
    return NewEvent(
        subscription_id=message.subscription_id,
        event_id=message.event_id,
        body=body,
        received_at=received_at,
        conn_id=connection.conn_id,
        workspace_id=message.workspace_id,
        entity=message.entity,
        action=message.action,
        entity_id=message.entity_id,
        created_at=message.created_at,
        anomaly="; ".join((*message.oddities, *_circumstances(connection, message, body, received_at))) or None,
    )


def ping_mark(conn_id: str, subscription_id: int) -> str:
    """Return the name of the store's mark that tells when a subscription's last signed PING came."""
    return f"ping:{conn_id}:{subscription_id}"


def outcome_of(appended: Appended) -> Outcome:
    """Return the outcome of an event that is in the store."""
    return DUPLICATE if appended.duplicate else STORED


def echo(handshake: Handshake) -> bytes:
    """Return the body that proves to Toggl that its PING was understood."""
    return json.dumps({"validation_code": handshake.validation_code}).encode()


def _circumstances(
    connection: ReceivingConnection, message: Message, body: bytes, received_at: datetime
) -> tuple[str, ...]:
    """Return what is unusual about this delivery of a message, in a few words each."""
    odd = []
    if None not in (connection.workspace_id, message.workspace_id) and connection.workspace_id != message.workspace_id:
        odd.append("another workspace than the connection's")
    sent_at = _sent_at(body)
    if sent_at is not None:
        off = abs((sent_at - received_at).total_seconds())
        if off > CLOCK_OFF:
            odd.append(f"timestamp {off:.0f} s off")
    return tuple(odd)


def _sent_at(body: bytes) -> datetime | None:
    """Return the envelope's ``timestamp`` without decoding all of it again: Toggl writes it after the payload."""
    place = body.rfind(_TIMESTAMP_KEY)
    found = _TIMESTAMP.match(body, place + len(_TIMESTAMP_KEY)) if place >= 0 else None
    if found is None:
        return None
    try:
        return parse_instant(found[1].decode())
    except ValueError:
        return None
