"""Health with Airflow behind it: which Toggl connections there are, and where what is known of them is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.errors import ConfigurationError, TogglError
from airflow_provider_toggl.core.events.logbook import received_name
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.charts import (
    Chart,
    deliveries_chart,
    freshness_chart,
    hours_until,
    requests_chart,
)
from airflow_provider_toggl.core.operate.health.collect import HealthSources, collect_health
from airflow_provider_toggl.core.operate.health.facts import OUTDATED_AFTER, Health
from airflow_provider_toggl.hooks.connections import ConnectionNotFound, find_connection, get_toggl_fields
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store
from airflow_provider_toggl.hooks.settings import receiver_connections
from airflow_provider_toggl.hooks.toggl import TogglHook

PATIENCE = 5.0
"""Seconds that somebody who looks waits for a warehouse that another process is writing."""

_VARIABLE = "AIRFLOW_CONN_"


def list_toggl_connections() -> tuple[str, ...]:
    """Return the IDs of the Toggl connections that can be listed, in order.

    Those of Airflow's database and of environment variables, those that deliveries may come in for, those of which a
    task has noted something in the default event store lately, and the default one where it is there. Other secrets
    backends list nothing: name theirs in ``[toggl] receiver_connections``.
    """
    found = {*receiver_connections(), *_of_environment(), *_of_database(), *_of_default_store()}
    if TogglHook.default_conn_name not in found and _has(TogglHook.default_conn_name):
        found.add(TogglHook.default_conn_name)
    return tuple(sorted(found))


def read_health(conn_id: str, now: datetime | None = None) -> Health:
    """Return the health of a connection; asks nothing of Toggl, opens no warehouse. Blocks.

    :param now: aware; this moment by default.
    """
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
    """Return health with what a warehouse says of its streams; where it cannot be read, that is unknown. Blocks."""
    from airflow_provider_toggl.core.operate.health.warehouse import read_streams  # noqa: PLC0415 - heavy; few ask for it
    from airflow_provider_toggl.hooks.warehouse import open_target  # noqa: PLC0415 - likewise

    try:
        with open_target(warehouse_conn_id, schema=schema, lock_timeout=PATIENCE) as target:
            return read_streams(target, health, f"{warehouse_conn_id}.{schema}")
    except TogglError as error:
        return replace(health, streams=(), unknown={**health.unknown, "freshness": str(error)})


def read_charts(conn_id: str, now: datetime | None = None) -> list[Chart]:
    """Return the charts of a connection; what cannot be found out is left out. Blocks.

    :param now: aware; this moment by default.
    """
    now = now or datetime.now(timezone.utc)
    begin = hours_until(now)[0]
    charts = []
    with suppress(TogglError), open_event_store(conn_id) as store:
        charts.append(deliveries_chart(store.logbook.samples(received_name(conn_id, ""), begin), now))
        # A stream that is landed once a day had its watermark before the first hour that is shown.
        marks = store.logbook.samples(records.watermark_key(conn_id), begin - timedelta(days=2))
        charts.append(freshness_chart(marks, now))
    with suppress(TogglError, ValueError):
        charts.append(requests_chart(TogglHook(conn_id).get_conn().tallies(begin.timestamp()), now))
    return charts


def find_declaration(conn_id: str) -> dict[str, Any]:
    """Return the subscription that a task last declared for a connection, nothing where none is known. Blocks."""
    with suppress(TogglError), open_event_store(conn_id) as store:
        for note in store.logbook.notes(records.declaration_key(conn_id)):
            if note.name == records.declaration_key(conn_id):
                return note.value
    return {}


def _sources(conn_id: str) -> HealthSources:
    fields = get_toggl_fields(conn_id)
    store_conn_id = fields.event_store_conn_id
    return HealthSources(
        conn_id=conn_id,
        open_store=lambda: open_event_store(event_store_conn_id=store_conn_id),
        lanes=lambda: _lanes(conn_id),
        workspace_id=fields.workspace_id,
        receives=conn_id in receiver_connections(),
        has_secret=bool(fields.webhook_secret),
    )


def _lanes(conn_id: str) -> Mapping[str, Lane]:
    try:
        return TogglHook(conn_id).get_conn().lanes()
    except ValueError as error:
        # Libraries raise it for a base URL that is none.
        raise ConfigurationError(str(error)) from None


def _has(conn_id: str) -> bool:
    return find_connection(conn_id, parameter="toggl_conn_id") is not None


def _of_environment() -> set[str]:
    found = set()
    for name, value in os.environ.items():
        if name.startswith(_VARIABLE) and _is_toggl(value):
            found.add(name.removeprefix(_VARIABLE).lower())
    return found


def _is_toggl(value: str) -> bool:
    if not value.lstrip().startswith("{"):
        return value.startswith("toggl:")
    try:
        decoded = json.loads(value)
    except ValueError:
        return False
    return isinstance(decoded, dict) and decoded.get("conn_type") == TogglHook.conn_type


def _of_default_store() -> set[str]:
    """Return the connections of which a task has noted something in the default store lately."""
    if not default_store_path().exists():
        return set()
    since = datetime.now(timezone.utc) - OUTDATED_AFTER
    with suppress(TogglError), open_event_store(event_store_conn_id="") as store:
        return records.find_connections(store.logbook, since)
    return set()


def _of_database() -> set[str]:
    # Only the API server and commands come here; tasks have no access to this database.
    from airflow.models.connection import Connection  # noqa: PLC0415 - importing this module must not load the models
    from airflow.utils.session import create_session  # noqa: PLC0415 - likewise
    from sqlalchemy import select  # noqa: PLC0415 - likewise

    with create_session(scoped=False) as session:
        rows = session.scalars(select(Connection.conn_id).where(Connection.conn_type == TogglHook.conn_type))
        return {str(conn_id) for conn_id in rows}
