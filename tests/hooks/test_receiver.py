from __future__ import annotations

import asyncio

import pytest
from support.connections import Connections, all_logs
from support.deliveries import PREVIOUS_SECRET, SECRET, STARTED_ENTRY, send_request, sign

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.hooks.receiver import (
    build_receiver,
    find_receiving_connection,
    get_receiving_connection,
    open_receiving_store,
)

pytestmark = pytest.mark.airflow


def set_connection(connections: Connections, conn_id: str = "toggl_default", **extra: object) -> None:
    connections.set(conn_id, conn_type="toggl", password="0" * 32, extra=extra)


def test_a_connection_has_both_secrets_its_workspace_and_its_store(connections: Connections) -> None:
    set_connection(
        connections,
        webhook_secret=SECRET,
        previous_webhook_secret=PREVIOUS_SECRET,
        workspace_id="7",
        event_store_conn_id="events",
    )
    found = find_receiving_connection("toggl_default")
    assert found is not None
    assert found.secrets == (SECRET, PREVIOUS_SECRET)
    assert (found.workspace_id, found.store, found.echo_validation) == (7, "events", True)


@pytest.mark.parametrize("workspace", [None, "", "mine", [1]])
def test_a_workspace_that_is_not_a_number_is_none(connections: Connections, workspace: object) -> None:
    set_connection(connections, webhook_secret=SECRET, previous_webhook_secret="", workspace_id=workspace)
    found = find_receiving_connection("toggl_default")
    assert found is not None
    assert (found.workspace_id, found.secrets, found.store) == (None, (SECRET,), "")


def test_an_asynchronous_validation_is_not_echoed(connections: Connections) -> None:
    set_connection(connections, webhook_secret=SECRET, webhook_validation="asynchronous")
    assert get_receiving_connection("toggl_default").echo_validation is False


def test_a_missing_connection_is_not_found() -> None:
    assert find_receiving_connection("no_such_connection") is None
    with pytest.raises(ConfigurationError, match="no_such_connection"):
        get_receiving_connection("no_such_connection")


def test_a_connection_without_a_secret_cannot_receive(connections: Connections) -> None:
    set_connection(connections)
    with pytest.raises(ConfigurationError, match=r"webhook_secret.*long random text"):
        get_receiving_connection("toggl_default")


def test_a_delivery_is_stored_in_the_default_store(connections: Connections) -> None:
    set_connection(connections, webhook_secret=SECRET)
    with all_logs() as lines:
        answered = asyncio.run(
            send_request(build_receiver(["toggl_default"]), STARTED_ENTRY, signature=sign(STARTED_ENTRY))
        )
    assert answered.status == 200
    with open_receiving_store("") as store:
        assert isinstance(store, SqliteEventStore)
        assert [one.event.body for one in store.read(0)] == [STARTED_ENTRY]
    assert not [line for line in lines if SECRET in line]
