"""Routes of health: the table of connections, and the page of one connection."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.listing import list_deliveries
from airflow_provider_toggl.core.events.model import DeliveryFilter
from airflow_provider_toggl.core.operate.findings import worst_status
from airflow_provider_toggl.core.operate.health.diagnosis import diagnose
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.operate.health.timeline import find_loaded_seq, find_rejected
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.health import read_charts, read_from_warehouse, read_health
from airflow_provider_toggl.page.access import ConnectionDep, SeqQuery, ViewerDep
from airflow_provider_toggl.page.actions import ACTIONS
from airflow_provider_toggl.page.audit import find_entry
from airflow_provider_toggl.page.rendering import render

router = APIRouter()

LATEST = 10
"""Deliveries on the page of a connection."""


@router.get("/")
def show_connections(request: Request, viewer: ViewerDep) -> HTMLResponse:
    """Show a table of all connections."""
    now = datetime.now(timezone.utc)
    connections = {conn_id: diagnose(read_health(conn_id, now)) for conn_id in viewer.connections()}
    return render(request, "connections.html", connections=connections)


@router.get("/c/{conn_id}")
def show_connection(
    request: Request,
    conn_id: ConnectionDep,
    viewer: ViewerDep,
    *,
    done: SeqQuery = None,
    warehouse: str | None = None,
) -> HTMLResponse:
    """Show everything that is known about a connection.

    :param done: the audit entry of an action that was just run.
    :param warehouse: connection and schema of a warehouse to read freshness from, instead of from tasks' records.
    """
    now = datetime.now(timezone.utc)
    health, may_act = read_health(conn_id, now), viewer.may_act(conn_id)
    is_recorded = not (may_act and warehouse in {one.warehouse for one in health.streams} - {""})
    if not is_recorded:
        # Only for people who may act: reading can block loads into a file that one process can open at a time.
        warehouse_conn_id, _, schema = str(warehouse).rpartition(".")
        health = read_from_warehouse(health, warehouse_conn_id, schema)
    findings = diagnose(health)
    return render(
        request,
        "connection.html",
        health=health,
        findings=findings,
        status=worst_status(findings),
        is_recorded=is_recorded,
        charts=read_charts(conn_id, now),
        **_latest_deliveries(health),
        actions=[action for action in ACTIONS.values() if action.is_offered] if may_act else [],
        entry=None if done is None else find_entry(done, viewer.name),
    )


def _latest_deliveries(health: Health) -> dict[str, Any]:
    """Return the latest deliveries and how far they are loaded; ``latest`` is None without any delivery."""
    found: dict[str, Any] = {"latest": None, "loaded_seq": None, "rejected": frozenset()}
    if health.last_delivery is None:
        return found
    with suppress(TogglError), open_event_store(health.conn_id) as store:
        latest = list_deliveries(store, DeliveryFilter(health.conn_id), limit=LATEST).deliveries
        rejected = find_rejected(store, health.conn_id, [one.seq for one in latest])
        found = {"latest": latest, "loaded_seq": find_loaded_seq(store, health.conn_id), "rejected": rejected}
    return found
