"""Which rate-limit state a connection uses."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.token_state import Permit, Wait
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import get_toggl_fields
from airflow_provider_toggl.hooks.limits import open_rate_limit_state
from airflow_provider_toggl.hooks.settings import state_dir

pytestmark = pytest.mark.airflow


def open_state(connections: Connections, **extra: Any) -> RateLimitState:
    connections.set("toggl_default", conn_type="toggl", password="secret", extra=extra)
    return open_rate_limit_state(get_toggl_fields("toggl_default"), "https://api.track.toggl.com", "secret")


def acquire(state: RateLimitState) -> object:
    return state.acquire("user", pace=Pace(1.0), reserve=0, now=time.time())


def test_hosts_share_the_limits_in_the_postgresql_database_of_the_events(
    connections: Connections, postgres_fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    connections.set("my_events", **postgres_fields)
    extra = {"event_store_conn_id": "my_events"}
    assert isinstance(acquire(open_state(connections, **extra)), Permit)
    connections.set_option("state_dir", "/nowhere/to/be/found")
    assert isinstance(acquire(open_state(connections, **extra)), Wait)
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    assert isinstance(acquire(open_state(connections, **extra)), Wait)
    assert isinstance(acquire(open_state(connections, **extra, pace_scope="host")), Permit)
    assert isinstance(acquire(open_state(connections, **extra, pace_scope="host")), Wait)


@pytest.mark.parametrize("named", [True, False])
def test_processes_of_one_host_share_the_limits_in_a_file(connections: Connections, named: bool) -> None:
    connections.set("my_events", conn_type="sqlite", host=str(state_dir() / "mine.sqlite"))
    extra = {"event_store_conn_id": "my_events"} if named else {}
    assert isinstance(acquire(open_state(connections, **extra)), Permit)
    assert isinstance(acquire(open_state(connections, **extra)), Wait)
    assert (state_dir() / "quota.sqlite").exists()


def test_a_missing_connection_is_reported(connections: Connections) -> None:
    with pytest.raises(ConfigurationError, match="There is no connection 'nowhere'"):
        open_state(connections, event_store_conn_id="nowhere")


def test_a_missing_driver_is_reported(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_toggl.core.client.limits.postgres_state", None)
    connections.set("my_events", conn_type="postgres", host="127.0.0.1")
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[postgres\]'"):
        open_state(connections, event_store_conn_id="my_events")
