"""Health of the Toggl connections of this Airflow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import ConfigurationError, TogglError
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.hooks.connections import ConnectionNotFound, find_connection, get_toggl_fields
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store
from airflow_provider_toggl.hooks.settings import receiver_connections
from airflow_provider_toggl.hooks.toggl import TogglHook

if TYPE_CHECKING:
    from airflow_provider_toggl.core.client.session import TogglSession
    from airflow_provider_toggl.core.operate.health.charts import Chart
    from airflow_provider_toggl.core.operate.health.collect import HealthSources
    from airflow_provider_toggl.core.operate.health.facts import Health

# Only the page and the command read health: what they alone need is imported in functions.

WAREHOUSE_LOCK_TIMEOUT = 5.0
"""Seconds that a person waits for a warehouse that another process writes to."""

_VARIABLE = "AIRFLOW_CONN_"


def list_toggl_connections() -> tuple[str, ...]:
    """Return the IDs of the known Toggl connections, sorted.

    These are the connections of Airflow's database and of environment variables, those in
    ``[toggl] receiver_connections``, those about which a task recorded something in the default event store in the last
    8 days, and the default connection if it exists. Other secrets backends cannot be listed.
    """
    found = {*receiver_connections(), *_of_environment(), *_of_database(), *_of_default_store()}
    default = TogglHook.default_conn_name
    if default not in found and find_connection(default, parameter="toggl_conn_id") is not None:
        found.add(default)
    return tuple(sorted(found))


def read_health(conn_id: str, now: datetime | None = None) -> Health:
    """Return what is recorded about a connection. Blocks; sends no request to Toggl and opens no warehouse.

    :param now: aware; the current time by default.
    """
    from airflow_provider_toggl.core.operate.health.collect import HealthSources, collect_health  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.operate.health.facts import Health  # noqa: PLC0415 - see above

    now = now or datetime.now(timezone.utc)
    try:
        sources = _sources(conn_id)
    except ConfigurationError as error:
        if not isinstance(error, ConnectionNotFound) or conn_id not in _of_default_store():
            return Health(conn_id, now, unknown={"connection": str(error).rstrip(".")})
        # Workers have it, for example from their environment; this process does not.
        sources = HealthSources(conn_id, lambda: open_event_store(event_store_conn_id=""), dict)
    return collect_health(sources, now)


def read_from_warehouse(health: Health, warehouse_conn_id: str, schema: str) -> Health:
    """Return health with the freshness of streams as the warehouse has it; unknown if it cannot be read. Blocks."""
    from airflow_provider_toggl.core.operate.health.collect import read_streams  # noqa: PLC0415 - see above
    from airflow_provider_toggl.hooks.warehouse import open_warehouse  # noqa: PLC0415 - see above

    try:
        with open_warehouse(warehouse_conn_id, schema=schema, lock_timeout=WAREHOUSE_LOCK_TIMEOUT) as target:
            return read_streams(target, health, f"{warehouse_conn_id}.{schema}")
    except TogglError as error:
        return replace(health, streams=(), unknown={**health.unknown, "freshness": str(error)})


def read_charts(conn_id: str, now: datetime | None = None) -> list[Chart]:
    """Return the charts of a connection, without those that cannot be read. Blocks.

    :param now: aware; the current time by default.
    """
    from airflow_provider_toggl.core.events.activity_log import received_key  # noqa: PLC0415 - see above
    from airflow_provider_toggl.core.operate.health import charts as build  # noqa: PLC0415 - see above

    now = now or datetime.now(timezone.utc)
    begin = build.hours_until(now)[0]
    charts = []
    with suppress(TogglError), open_event_store(conn_id) as store:
        charts.append(
            build.deliveries_chart(store.activity_log.list_measurements(received_key(conn_id, ""), begin), now)
        )
        # A stream that is loaded once a day has its watermark from before the first hour shown.
        marks = store.activity_log.list_measurements(records.watermark_key(conn_id), begin - timedelta(days=2))
        charts.append(build.freshness_chart(marks, now))
    with suppress(TogglError, ValueError):
        charts.append(build.requests_chart(TogglHook(conn_id).get_conn().hourly_usage(begin.timestamp()), now))
    return charts


def find_declaration(conn_id: str) -> Mapping[str, Any]:
    """Return the subscription that a task last declared for a connection, empty if none is known. Blocks."""
    with suppress(TogglError), open_event_store(conn_id) as store:
        return records.find_declaration(store.activity_log, conn_id) or {}
    return {}


def _sources(conn_id: str) -> HealthSources:
    from airflow_provider_toggl.core.operate.health.collect import HealthSources  # noqa: PLC0415 - see above

    fields = get_toggl_fields(conn_id)
    store_conn_id = fields.event_store_conn_id
    return HealthSources(
        conn_id=conn_id,
        open_store=lambda: open_event_store(event_store_conn_id=store_conn_id),
        lanes=lambda: _open_session(conn_id).lanes(),
        shares=lambda: _open_session(conn_id).shares(),
        workspace_id=fields.workspace_id,
        receives=conn_id in receiver_connections(),
        has_secret=bool(fields.webhook_secret),
    )


def _open_session(conn_id: str) -> TogglSession:
    try:
        return TogglHook(conn_id).get_conn()
    except ValueError as error:
        # Raised by libraries for an invalid base URL.
        raise ConfigurationError(str(error)) from None


def _of_environment() -> set[str]:
    return {
        name.removeprefix(_VARIABLE).lower()
        for name, value in os.environ.items()
        if name.startswith(_VARIABLE) and _is_toggl(value)
    }


def _is_toggl(value: str) -> bool:
    if not value.lstrip().startswith("{"):
        return value.startswith("toggl:")
    try:
        decoded = json.loads(value)
    except ValueError:
        return False
    return isinstance(decoded, dict) and decoded.get("conn_type") == TogglHook.conn_type


def _of_default_store() -> set[str]:
    if not default_store_path().exists():
        return set()
    from airflow_provider_toggl.core.operate.health.diagnosis import OUTDATED_AFTER  # noqa: PLC0415 - see above

    since = datetime.now(timezone.utc) - OUTDATED_AFTER
    with suppress(TogglError), open_event_store(event_store_conn_id="") as store:
        return records.find_connections(store.activity_log, since)
    return set()


def _of_database() -> set[str]:
    # Only the API server and commands call this; tasks have no access to this database.
    from airflow.models.connection import Connection  # noqa: PLC0415 - importing this module must not load the models
    from airflow.utils.session import create_session  # noqa: PLC0415 - likewise
    from sqlalchemy import select  # noqa: PLC0415 - likewise

    with create_session(scoped=False) as session:
        rows = session.scalars(select(Connection.conn_id).where(Connection.conn_type == TogglHook.conn_type))
        return {str(conn_id) for conn_id in rows}
