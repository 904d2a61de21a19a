"""What tasks note about their work, beside the events, so that looking at it opens no warehouse and asks no Toggl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.events.logbook import Logbook, name_part
from airflow_provider_toggl.core.health.state import Reconciled, SubscriptionState, instant
from airflow_provider_toggl.core.instants import parse_instant

ALLOWED_FOR_DAYS = 7
"""A person's leave for one run is good for so long."""


@dataclass(frozen=True)
class Landing:
    """How far a stream is landed.

    :param watermark: RFC 3339, None while the first load goes on.
    :param warehouse: connection and schema.
    """

    workspace_id: int
    stream: str
    watermark: str | None
    ran_at: datetime
    warehouse: str


def subscriptions_name(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the name of the note that has a workspace's subscriptions, or what all of a connection begin with."""
    return f"subscriptions/{name_part(conn_id)}/{workspace_id}"


def declaration_name(conn_id: str) -> str:
    """Return the name of the note that has the subscription that a task last declared."""
    return f"declaration/{name_part(conn_id)}"


def landing_name(conn_id: str, workspace_id: int | str = "", stream: str = "") -> str:
    """Return the name of the note about a stream's last landing, or what all those of a connection begin with."""
    return f"landing/{name_part(conn_id)}/" + (f"{workspace_id}/{stream}" if stream else "")


def watermark_name(conn_id: str, workspace_id: int | str = "", stream: str = "") -> str:
    """Return the name of the numbers that a stream's watermark had, or what all those of a connection begin with."""
    return f"watermark/{name_part(conn_id)}/" + (f"{workspace_id}/{stream}" if stream else "")


def reconciliation_name(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the name of the note about a workspace's last reconciliation."""
    return f"reconciliation/{name_part(conn_id)}/{workspace_id}"


def allowance_name(conn_id: str, workspace_id: int | str = "") -> str:
    """Return the name of the note that allows one run of a workspace's reconciliation to mark any number absent.

    It is of a connection: who may act for one must not act for another that keeps its events in the same store.
    """
    return f"mass-absence/{name_part(conn_id)}/{workspace_id}"


def note_landing(logbook: Logbook, conn_id: str, landing: Landing) -> None:
    """Note how far a stream has been landed."""
    value = {"watermark": landing.watermark, "ran_at": instant(landing.ran_at), "warehouse": landing.warehouse}
    logbook.note(landing_name(conn_id, landing.workspace_id, landing.stream), value)
    if landing.watermark is not None:
        moment = parse_instant(landing.watermark).timestamp()
        logbook.sample(watermark_name(conn_id, landing.workspace_id, landing.stream), landing.ran_at, moment)


def note_reconciliation(
    logbook: Logbook, conn_id: str, summary: Mapping[str, Any], *, ran_at: datetime, refused: str | None
) -> None:
    """Note what a reconciliation proved.

    :param summary: as ``ReconcileSummary.as_dict`` gives it.
    :param refused: why it did not mark what is missing.
    """
    value = {**summary, "ran_at": instant(ran_at), "refused": refused}
    logbook.note(reconciliation_name(conn_id, summary["workspace_id"]), value)


def reconciled_from(value: Mapping[str, Any]) -> Reconciled:
    """Return what a note about a reconciliation says."""
    unproved: Mapping[str, int] = value.get("unproved") or {}
    return Reconciled(
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
    )


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
