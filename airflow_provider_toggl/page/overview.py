"""Health: all connections in a table, and one with all that is known of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.listing import DeliveryFilter, list_deliveries
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.operate.health.timeline import find_loaded_seq, find_rejected
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.health import read_charts, read_from_warehouse, read_health
from airflow_provider_toggl.page.access import ConnectionDep, ViewerDep
from airflow_provider_toggl.page.actions import ACTIONS
from airflow_provider_toggl.page.audit import find_entry
from airflow_provider_toggl.page.forms import SeqQuery
from airflow_provider_toggl.page.rendering import render

router = APIRouter()

LATEST = 10
"""Deliveries that stand on the page of a connection."""


@router.get("/")
def show_connections(request: Request, reader: ViewerDep) -> HTMLResponse:
    """Show every connection in a row."""
    now = datetime.now(timezone.utc)
    healths = [read_health(conn_id, now) for conn_id in reader.connections()]
    return render(request, "connections.html", healths=healths)


@router.get("/c/{conn_id}")
def show_connection(
    request: Request,
    conn_id: ConnectionDep,
    reader: ViewerDep,
    *,
    done: SeqQuery = None,
    warehouse: str | None = None,
) -> HTMLResponse:
    """Show all that is known of a connection.

    :param done: the audit entry of what was just done.
    :param warehouse: connection and schema of one to ask how fresh it is, instead of what tasks have noted.
    """
    now = datetime.now(timezone.utc)
    health, may_act = read_health(conn_id, now), reader.may_act(conn_id)
    is_noted = not (may_act and warehouse in {one.warehouse for one in health.streams} - {""})
    if not is_noted:
        # Who may not act must not make others wait for a file that only one process can have open.
        warehouse_conn_id, _, schema = str(warehouse).rpartition(".")
        health = read_from_warehouse(health, warehouse_conn_id, schema)
    return render(
        request,
        "connection.html",
        health=health,
        is_noted=is_noted,
        charts=read_charts(conn_id, now),
        **_latest(health),
        actions=[action for action in ACTIONS.values() if action.is_offered] if may_act else [],
        entry=None if done is None else find_entry(done, reader.name),
    )


def _latest(health: Health) -> dict[str, Any]:
    """Return the latest deliveries, and how far they are landed; None of a connection that has no webhooks."""
    found: dict[str, Any] = {"latest": None, "landed": None, "rejected": frozenset()}
    if health.last_delivery is None:
        return found
    with suppress(TogglError), open_event_store(health.conn_id) as store:
        latest = list_deliveries(store, DeliveryFilter(health.conn_id), limit=LATEST).deliveries
        rejected = find_rejected(store, health.conn_id, [one.seq for one in latest])
        found = {"latest": latest, "landed": find_loaded_seq(store, health.conn_id), "rejected": rejected}
    return found
