"""Links of a task instance in Airflow's UI: to the page of its Toggl connection, and to its report in Toggl.

In Airflow 3 the worker calls ``get_link`` when a task ends or defers, and stores the URL as an XCom (``finalize`` of
Airflow's ``task_runner``); the UI reads it from there. An empty URL shows no button. The URLs have IDs and days alone,
and nothing of the connection but its ID.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_toggl.core.arguments import parse_day, parse_id
from airflow_provider_toggl.core.client.addresses import DEFAULT_BASE_URL, check_base_url
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import get_toggl_connection
from airflow_provider_toggl.hooks.settings import TogglFields
from airflow_provider_toggl.plugin import page_link

REPORTS = "https://track.toggl.com/reports/detailed"


def report_link(workspace_id: int, since: date | None, until: date | None) -> str:
    """Return the URL of Toggl's detailed report of some days, or of the present month without a first day.

    Toggl documents no such URLs; these are as its web application has them.
    """
    if since is None:
        return f"{REPORTS}/{workspace_id}/period/thisMonth"
    last = max(since, until or datetime.now(timezone.utc).date())
    return f"{REPORTS}/{workspace_id}/from/{since.isoformat()}/to/{last.isoformat()}"


class TogglPageLink(BaseOperatorLink):
    """To the page of the task's Toggl connection in Airflow: its state, quota and deliveries."""

    name = "Toggl connection"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the page."""
        conn_id = str(operator.toggl_conn_id or "").strip()
        return f"{page_link()}/c/{quote(conn_id, safe='')}" if conn_id else ""


class TogglReportLink(BaseOperatorLink):
    """To the detailed report in Toggl of the time entries that the task reads."""

    name = "Report in Toggl"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL of the report; empty for another stream, a sandbox, or a workspace that is not known."""
        if getattr(operator, "stream", "time_entries") != "time_entries":
            return ""
        try:
            workspace_id = _find_workspace(operator.toggl_conn_id, operator.workspace_id)
            since, until = (_day(name, getattr(operator, name)) for name in ("since", "until"))
        except ConfigurationError:
            # The task's own error says what is wrong.
            return ""
        return "" if workspace_id is None else report_link(workspace_id, since, until)


def _find_workspace(toggl_conn_id: str, workspace_id: Any) -> int | None:
    """Return the task's workspace, None if it is unknown or not one of Toggl itself.

    :raises ConfigurationError: the connection cannot be used.
    """
    connection = get_toggl_connection(toggl_conn_id)
    url = check_base_url(connection.host, allow_plain_http=True, port=connection.port, scheme=connection.schema)
    if url != DEFAULT_BASE_URL:
        return None
    given: int | None = parse_id("workspace_id", workspace_id)
    return TogglFields(toggl_conn_id, connection.extra_dejson).workspace_id if given is None else given


def _day(name: str, value: Any) -> date | None:
    parsed: date | datetime | None = parse_day(name, value)
    return parsed.date() if isinstance(parsed, datetime) else parsed
