"""Health: all connections in a line each, and one with all that is known of it."""

from __future__ import annotations

from datetime import datetime, timezone

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_provider_toggl.hooks.health import read_charts, read_health, with_warehouse
from airflow_provider_toggl.page.access import ConnectionDep, ReaderDep
from airflow_provider_toggl.page.actions import ACTIONS
from airflow_provider_toggl.page.audit import find_entry
from airflow_provider_toggl.page.forms import PlaceQuery
from airflow_provider_toggl.page.rendering import render

router = APIRouter()


@router.get("/")
def show_connections(request: Request, reader: ReaderDep) -> HTMLResponse:
    """Show every connection in a line."""
    now = datetime.now(timezone.utc)
    healths = [read_health(conn_id, now) for conn_id in reader.connections()]
    return render(request, "connections.html", healths=healths, now=now)


@router.get("/c/{conn_id}")
def show_connection(
    request: Request,
    conn_id: ConnectionDep,
    reader: ReaderDep,
    *,
    done: PlaceQuery = None,
    warehouse: str | None = None,
) -> HTMLResponse:
    """Show all that is known of a connection.

    :param done: the audit entry of what was just done.
    :param warehouse: connection and schema of one to ask how fresh it is, instead of what tasks have noted.
    """
    now = datetime.now(timezone.utc)
    health, may_act = read_health(conn_id, now), reader.may_act(conn_id)
    if may_act and warehouse in {one.warehouse for one in health.streams} - {""}:
        # Who may not act must not make others wait for a file that only one process can have open.
        warehouse_conn_id, _, schema = str(warehouse).rpartition(".")
        health = with_warehouse(health, warehouse_conn_id, schema)
    return render(
        request,
        "connection.html",
        health=health,
        charts=read_charts(conn_id, now),
        actions=[action for action in ACTIONS.values() if action.is_offered] if may_act else [],
        entry=None if done is None else find_entry(done, reader.name),
        now=now,
    )
