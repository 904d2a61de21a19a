from __future__ import annotations

from datetime import datetime, timezone

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.model import Handshake
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.subscriptions import find_validation_code, open_webhooks

pytestmark = pytest.mark.airflow

NOW = datetime(2026, 11, 20, 9, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def connected(connections: Connections) -> None:
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra={"workspace_id": 7})


def test_the_code_of_the_last_ping_is_found():
    assert find_validation_code("toggl_default", 5) is None
    with open_event_store("toggl_default") as store:
        store.record_handshake(Handshake(5, "toggl_default", "abc", NOW))
    assert find_validation_code("toggl_default", 5) == "abc"


def test_a_store_that_is_down_is_logged_and_has_no_code(connections: Connections, caplog: pytest.LogCaptureFixture):
    store = {"event_store_conn_id": "store"}
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra=store)
    connections.set("store", conn_type="sqlite", host="/proc/none/events.sqlite")
    assert find_validation_code("toggl_default", 5) is None
    assert "validation codes cannot be read" in caplog.text


def test_the_workspace_is_the_connection_s_by_default():
    assert open_webhooks("toggl_default").workspace_id == 7
    assert open_webhooks("toggl_default", 8).workspace_id == 8
    with pytest.raises(ConfigurationError, match="workspace_id"):
        open_webhooks("toggl_default", "x")
