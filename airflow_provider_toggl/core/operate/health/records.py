"""The records of loads, reconciliations, subscriptions and approvals that tasks leave in the activity log.

Each record has a key, and the keys of a connection share a prefix. Health is read from them, so it needs neither a
request to Toggl nor the warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_toggl.core.instants import parse_instant, rfc3339
from airflow_provider_toggl.core.keys import quote_key

if TYPE_CHECKING:
    from airflow_provider_toggl.core.events.activity_log import ActivityLog, StatusEntry

APPROVAL_DAYS = 7
"""Days for which an approval of a mass deletion is valid."""
LOAD_PREFIX = "load"
"""The first part of the keys of loads, as earlier versions wrote it."""


@dataclass(frozen=True)
class SubscriptionState:
    """A webhook subscription as Toggl last reported it.

    :param pending: whether Toggl has events that it could not deliver yet.
    """

    subscription_id: int
    description: str
    enabled: bool
    validated: bool
    pending: bool
    callback_url: str = ""
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class LastReconciliation:
    """The result of the last reconciliation of a workspace.

    :param refused: why it stopped before marking deletions, None if it did not.
    :param warehouse: connection and schema; empty in records of an earlier version of this package.
    """

    workspace_id: int
    ran_at: datetime
    first: str | None
    last: str | None
    entries: int
    added: int
    edited: int
    deleted: int
    unverified: int
    reasons: tuple[str, ...] = ()
    refused: str | None = None
    warehouse: str = ""


def subscriptions_key(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the key of a workspace's list of subscriptions, or the prefix of those of a connection."""
    return f"subscriptions/{quote_key(conn_id)}/{workspace_id}"


def declaration_key(conn_id: str) -> str:
    """Return the key of the subscription that a task last declared."""
    return f"declaration/{quote_key(conn_id)}"


def load_key(conn_id: str, workspace_id: int | str = "", stream: str = "", warehouse: str = "") -> str:
    """Return the key of a stream's last load into a warehouse, or the prefix of those of a connection."""
    return _stream_key(LOAD_PREFIX, conn_id, workspace_id, stream, warehouse)


def watermark_key(conn_id: str, workspace_id: int | str = "", stream: str = "", warehouse: str = "") -> str:
    """Return the key of a stream's watermarks over time, or the prefix of those of a connection."""
    return _stream_key("watermark", conn_id, workspace_id, stream, warehouse)


def _stream_key(what: str, conn_id: str, workspace_id: int | str, stream: str, warehouse: str) -> str:
    key = f"{workspace_id}/{stream}/{quote_key(warehouse)}" if stream else ""
    return f"{what}/{quote_key(conn_id)}/{key}"


def parse_stream_key(key: str) -> tuple[int, str, str]:
    """Return workspace, stream and warehouse of a load or watermark key; earlier versions wrote no warehouse."""
    workspace_id, stream, *warehouse = key.split("/")[2:]
    return int(workspace_id), stream, unquote(warehouse[0]) if warehouse else ""


def reconciliation_key(conn_id: str, workspace_id: int | str = "", warehouse: str = "") -> str:
    """Return the key of a workspace's last reconciliation, or the prefix of those of a connection."""
    return f"reconciliation/{quote_key(conn_id)}/" + (f"{workspace_id}/{quote_key(warehouse)}" if warehouse else "")


def approval_key(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the key of the approval of one mass deletion in a workspace, or the prefix of those of a connection.

    It belongs to a connection: who may edit one must not approve for another that shares the event store.
    """
    return f"mass-absence/{quote_key(conn_id)}/{workspace_id}"


def claimed_approval_key(conn_id: str, workspace_id: int, run: str) -> str:
    """Return the key of the approval that one run has claimed, so that no other uses it."""
    return f"mass-absence-claimed/{quote_key(conn_id)}/{workspace_id}/{quote_key(run)}"


def record_load(
    activity_log: ActivityLog,
    conn_id: str,
    *,
    workspace_id: int,
    stream: str,
    watermark: str | None,
    ran_at: datetime,
    warehouse: str,
    skipped: str = "",
) -> None:
    """Record how far a stream has been loaded.

    :param watermark: RFC 3339, None during the first load.
    :param warehouse: connection and schema.
    :param skipped: why Toggl refused the stream; empty if it did not.
    """
    key = (conn_id, workspace_id, stream, warehouse)
    value = {"watermark": watermark, "ran_at": rfc3339(ran_at), "warehouse": warehouse, "skipped": skipped}
    activity_log.set_status(load_key(*key), value)
    if watermark is not None and not skipped:
        activity_log.record_measurement(watermark_key(*key), ran_at, parse_instant(watermark).timestamp())


def loads_from(found: Sequence[StatusEntry]) -> dict[tuple[int, str, str], Mapping[str, Any]]:
    """Return the latest record of each workspace, stream and warehouse."""
    loads: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for entry in sorted(found, key=lambda one: str(one.value.get("ran_at"))):
        workspace_id, stream, warehouse = parse_stream_key(entry.name)
        loads[workspace_id, stream, str(entry.value.get("warehouse") or warehouse)] = entry.value
    return loads


def record_reconciliation(
    activity_log: ActivityLog,
    conn_id: str,
    summary: Mapping[str, Any],
    *,
    warehouse: str,
    ran_at: datetime,
    refused: str | None,
) -> None:
    """Record the result of a reconciliation.

    :param summary: as ``ReconcileSummary.as_dict`` returns it.
    :param warehouse: connection and schema.
    :param refused: why it did not mark deletions, None if it did.
    """
    value = {**summary, "ran_at": rfc3339(ran_at), "refused": refused, "warehouse": warehouse}
    activity_log.set_status(reconciliation_key(conn_id, summary["workspace_id"], warehouse), value)


def reconciliations_from(found: Sequence[StatusEntry]) -> tuple[LastReconciliation, ...]:
    """Return the last reconciliation of each workspace and warehouse.

    A record that an earlier version wrote without a warehouse is used until its workspace has a newer record.
    """
    read = sorted((_reconciliation_from(entry.value) for entry in found), key=lambda one: one.ran_at)
    newest = {(one.workspace_id, one.warehouse): one for one in read}
    named = {workspace_id for workspace_id, warehouse in newest if warehouse}
    return tuple(one for (workspace_id, warehouse), one in newest.items() if warehouse or workspace_id not in named)


def _reconciliation_from(value: Mapping[str, Any]) -> LastReconciliation:
    # Records of earlier versions have it as ``unproved``.
    unverified: Mapping[str, int] = value.get("unverified") or value.get("unproved") or {}
    return LastReconciliation(
        workspace_id=int(value["workspace_id"]),
        ran_at=parse_instant(str(value["ran_at"])),
        first=value.get("first"),
        last=value.get("last"),
        entries=int(value.get("entries") or 0),
        added=int(value.get("added") or 0),
        edited=int(value.get("edited") or 0),
        deleted=int(value.get("deleted") or 0),
        unverified=sum(unverified.values()),
        reasons=tuple(unverified),
        refused=value.get("refused"),
        warehouse=str(value.get("warehouse") or ""),
    )


def keys_of_warehouse(activity_log: ActivityLog, conn_id: str, warehouse: str) -> list[str]:
    """Return the keys of the records about loads into a warehouse and its reconciliations."""
    kept = [*activity_log.list_status(load_key(conn_id)), *activity_log.list_status(reconciliation_key(conn_id))]
    return [entry.name for entry in kept if entry.value.get("warehouse") == warehouse]


def record_subscription_change(
    activity_log: ActivityLog, conn_id: str, workspace_id: int, subscription_id: int, fields: Mapping[str, Any] | None
) -> None:
    """Update the recorded subscriptions of a workspace after a request changed one of them.

    :param fields: the new values, named as in ``Subscription.as_dict``. None: the subscription was deleted and is no
        longer declared.
    """
    known = _find_record(activity_log, subscriptions_key(conn_id, workspace_id))
    rows: dict[int, Mapping[str, Any]] = {}
    if known is not None:
        rows = {int(row["subscription_id"]): row for row in known.value["subscriptions"]}
    before = rows.pop(subscription_id, {})
    if fields is not None:
        rows[subscription_id] = {**before, **fields}
    if known is None and "subscription_id" not in (fields or {}):
        return  # A few fields of one subscription are not a list of subscriptions.
    activity_log.set_status(subscriptions_key(conn_id, workspace_id), {"subscriptions": list(rows.values())})
    declared = _find_record(activity_log, declaration_key(conn_id)) if fields is None else None
    if declared is not None and declared.value.get("description") == before.get("description"):
        activity_log.take_status(declaration_key(conn_id))


def _find_record(activity_log: ActivityLog, key: str) -> StatusEntry | None:
    return next((entry for entry in activity_log.list_status(key) if entry.name == key), None)


def subscriptions_from(rows: Sequence[Mapping[str, Any]]) -> tuple[SubscriptionState, ...]:
    """Return subscriptions from rows as ``Subscription.as_dict`` returns them."""
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


def find_declaration(activity_log: ActivityLog, conn_id: str) -> Mapping[str, Any] | None:
    """Return the subscription that a task last declared for a connection, None if none did."""
    entry = _find_record(activity_log, declaration_key(conn_id))
    return None if entry is None else entry.value


def find_connections(activity_log: ActivityLog, since: datetime) -> set[str]:
    """Return the connections about which tasks have recorded something since a time.

    :param since: aware.
    """
    kinds = ("subscriptions", "declaration", LOAD_PREFIX, "reconciliation", "waiting")
    found = [entry for kind in kinds for entry in activity_log.list_status(f"{kind}/") if entry.recorded_at >= since]
    return {unquote(entry.name.split("/")[1]) for entry in found}
