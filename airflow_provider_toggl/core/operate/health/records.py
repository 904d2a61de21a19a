"""What tasks note about their work, beside the events, so that looking at it opens no warehouse and asks no Toggl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from airflow_provider_toggl.core.events.logbook import Logbook, Note, name_part
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.operate.health.facts import (
    DeclaredSubscription,
    LastReconciliation,
    SubscriptionState,
    instant,
)

APPROVAL_DAYS = 7
"""A person's leave for one run is good for so long."""


@dataclass(frozen=True)
class LoadRecord:
    """How far a stream is landed.

    :param watermark: RFC 3339, None while the first load goes on.
    :param warehouse: connection and schema.
    """

    workspace_id: int
    stream: str
    watermark: str | None
    ran_at: datetime
    warehouse: str


def subscriptions_key(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the name of the note that has a workspace's subscriptions, or what all of a connection begin with."""
    return f"subscriptions/{name_part(conn_id)}/{workspace_id}"


def declaration_key(conn_id: str) -> str:
    """Return the name of the note that has the subscription that a task last declared."""
    return f"declaration/{name_part(conn_id)}"


def load_key(conn_id: str, workspace_id: int | str = "", stream: str = "", warehouse: str = "") -> str:
    """Return the name of the note about a stream's last landing in a warehouse, or the prefix of a connection's."""
    return _of_stream("landing", conn_id, workspace_id, stream, warehouse)


def watermark_key(conn_id: str, workspace_id: int | str = "", stream: str = "", warehouse: str = "") -> str:
    """Return the name of a stream's watermarks in a warehouse over time, or the prefix of a connection's."""
    return _of_stream("watermark", conn_id, workspace_id, stream, warehouse)


def _of_stream(what: str, conn_id: str, workspace_id: int | str, stream: str, warehouse: str) -> str:
    key = f"{workspace_id}/{stream}/{name_part(warehouse)}" if stream else ""
    return f"{what}/{name_part(conn_id)}/{key}"


def stream_key(name: str) -> tuple[int, str, str]:
    """Return workspace, stream and warehouse of a name of the two above; earlier versions wrote no warehouse."""
    workspace_id, stream, *warehouse = name.split("/")[2:]
    return int(workspace_id), stream, unquote(warehouse[0]) if warehouse else ""


def reconciliation_key(conn_id: str, workspace_id: int | str = "", warehouse: str = "") -> str:
    """Return the name of the note about a workspace's last reconciliation in a warehouse, or a prefix of such."""
    return f"reconciliation/{name_part(conn_id)}/" + (f"{workspace_id}/{name_part(warehouse)}" if warehouse else "")


def approval_key(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the name of the note that allows one run of a workspace's reconciliation to mark any number absent.

    It is of a connection: who may act for one must not act for another that keeps its events in the same store.
    """
    return f"mass-absence/{name_part(conn_id)}/{workspace_id}"


def record_load(logbook: Logbook, conn_id: str, landing: LoadRecord) -> None:
    """Note how far a stream has been landed."""
    value = {"watermark": landing.watermark, "ran_at": instant(landing.ran_at), "warehouse": landing.warehouse}
    key = (conn_id, landing.workspace_id, landing.stream, landing.warehouse)
    logbook.note(load_key(*key), value)
    if landing.watermark is not None:
        logbook.sample(watermark_key(*key), landing.ran_at, parse_instant(landing.watermark).timestamp())


def loads_from(found: Sequence[Note]) -> dict[tuple[int, str, str], Mapping[str, Any]]:
    """Return what notes say of each workspace, stream and warehouse; of two notes about one, the later holds."""
    landings: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for note in sorted(found, key=lambda one: str(one.value.get("ran_at"))):
        workspace_id, stream, warehouse = stream_key(note.name)
        landings[workspace_id, stream, str(note.value.get("warehouse") or warehouse)] = note.value
    return landings


def record_reconciliation(
    logbook: Logbook, conn_id: str, summary: Mapping[str, Any], *, warehouse: str, ran_at: datetime, refused: str | None
) -> None:
    """Note what a reconciliation proved.

    :param summary: as ``ReconcileSummary.as_dict`` gives it.
    :param warehouse: connection and schema.
    :param refused: why it did not mark what is missing.
    """
    value = {**summary, "ran_at": instant(ran_at), "refused": refused, "warehouse": warehouse}
    logbook.note(reconciliation_key(conn_id, summary["workspace_id"], warehouse), value)


def reconciliations_from(found: Sequence[Note]) -> tuple[LastReconciliation, ...]:
    """Return what notes say of each workspace and warehouse.

    One that an earlier version wrote without a warehouse holds until a later one of its workspace is there.
    """
    read = sorted((reconciled_from(note.value) for note in found), key=lambda one: one.ran_at)
    newest = {(one.workspace_id, one.warehouse): one for one in read}
    named = {workspace_id for workspace_id, warehouse in newest if warehouse}
    return tuple(one for (workspace_id, warehouse), one in newest.items() if warehouse or workspace_id not in named)


def keys_of_warehouse(logbook: Logbook, conn_id: str, warehouse: str) -> list[str]:
    """Return the names of the notes about landings and reconciliations in a warehouse."""
    kept = [*logbook.notes(load_key(conn_id)), *logbook.notes(reconciliation_key(conn_id))]
    return [note.name for note in kept if note.value.get("warehouse") == warehouse]


def reconciled_from(value: Mapping[str, Any]) -> LastReconciliation:
    """Return what a note about a reconciliation says."""
    unproved: Mapping[str, int] = value.get("unproved") or {}
    return LastReconciliation(
        workspace_id=int(value["workspace_id"]),
        ran_at=parse_instant(str(value["ran_at"])),
        first=value.get("first"),
        last=value.get("last"),
        entries=int(value.get("entries") or 0),
        added=int(value.get("added") or 0),
        edited=int(value.get("edited") or 0),
        deleted=int(value.get("deleted") or 0),
        unproved=sum(unproved.values()),
        reasons=tuple(unproved),
        refused=value.get("refused"),
        warehouse=str(value.get("warehouse") or ""),
    )


def record_subscription_change(
    logbook: Logbook, conn_id: str, workspace_id: int, subscription_id: int, fields: Mapping[str, Any] | None
) -> None:
    """Bring the noted subscriptions of a workspace to what a request changed in them.

    :param fields: those that the subscription has now, as ``Found.as_dict`` names them; None: it is deleted, and
        declared no longer.
    """
    known = _find_note(logbook, subscriptions_key(conn_id, workspace_id))
    rows: dict[int, Mapping[str, Any]] = {}
    if known is not None:
        rows = {int(row["subscription_id"]): row for row in known.value["subscriptions"]}
    before = rows.pop(subscription_id, {})
    if fields is not None:
        rows[subscription_id] = {**before, **fields}
    if known is None and "subscription_id" not in (fields or {}):
        return  # Some fields of one subscription are no list of them.
    logbook.note(subscriptions_key(conn_id, workspace_id), {"subscriptions": list(rows.values())})
    declared = _find_note(logbook, declaration_key(conn_id)) if fields is None else None
    if declared is not None and declared.value.get("description") == before.get("description"):
        logbook.take_note(declaration_key(conn_id))


def _find_note(logbook: Logbook, name: str) -> Note | None:
    return next((note for note in logbook.notes(name) if note.name == name), None)


def subscriptions_from(rows: Sequence[Mapping[str, Any]]) -> tuple[SubscriptionState, ...]:
    """Return the subscriptions of a note, as ``Found.as_dict`` gave them."""
    return tuple(
        SubscriptionState(
            subscription_id=int(row["subscription_id"]),
            description=str(row.get("description") or ""),
            enabled=bool(row.get("enabled")),
            validated=bool(row.get("validated")),
            pending=bool(row.get("has_pending_events")),
            callback_url=str(row.get("callback_url") or ""),
            filters=tuple(row.get("filters") or ()),
        )
        for row in rows
    )


def find_declaration(logbook: Logbook, conn_id: str) -> DeclaredSubscription | None:
    """Return the subscription that a task last declared for a connection, None where none did."""
    note = _find_note(logbook, declaration_key(conn_id))
    if note is None:
        return None
    return DeclaredSubscription(
        str(note.value.get("description") or ""), enabled=note.value.get("enabled") is not False
    )


def find_connections(logbook: Logbook, since: datetime) -> set[str]:
    """Return the connections of which tasks have noted something since then.

    :param since: aware.
    """
    kinds = ("subscriptions", "declaration", "landing", "reconciliation", "waiting")
    found = [note for kind in kinds for note in logbook.notes(f"{kind}/") if note.noted_at >= since]
    return {unquote(note.name.split("/")[1]) for note in found}
