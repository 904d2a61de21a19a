from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections, all_logs
from support.event_stores import new_event

from airflow_provider_toggl.core.errors import ConfigurationError, EventStoreUnavailable
from airflow_provider_toggl.core.events.model import Appended
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store, resolve_store_conn_id

pytestmark = pytest.mark.airflow


def name_store(connections: Connections, conn_id: str, store_conn_id: str | None) -> None:
    extra = {} if store_conn_id is None else {"event_store_conn_id": store_conn_id}
    connections.set(conn_id, conn_type="toggl", password="t" * 32, extra=extra)


# -- which one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [None, ""])
def test_without_a_name_it_is_a_file_in_the_state_folder(
    connections: Connections, tmp_path: Path, named: str | None
) -> None:
    name_store(connections, "my_toggl", named)
    assert resolve_store_conn_id("my_toggl") == ""
    for ask in (
        lambda: open_event_store("my_toggl"),
        lambda: open_event_store(event_store_conn_id=""),
        lambda: open_event_store("not looked at", event_store_conn_id=""),
        open_event_store,
    ):
        with ask() as store:
            assert store.last_seq() == 0
    assert default_store_path() == tmp_path / "state" / "events.sqlite"
    assert default_store_path().exists()


@pytest.mark.parametrize("form", ["host", "sqlite:///{0}", "sqlite://{1}"])
def test_a_sqlite_connection_names_a_file(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "other" / "e.sqlite"
    if form == "host":
        connections.set("my_events", conn_type="sqlite", host=str(path))
    else:
        uri = form.format(str(path).lstrip("/"), str(path).replace("/", "%2F"))
        monkeypatch.setenv("AIRFLOW_CONN_MY_EVENTS", uri)
    name_store(connections, "my_toggl", "my_events")
    assert resolve_store_conn_id("my_toggl") == "my_events"
    with open_event_store("my_toggl") as store:
        assert store.append([new_event(1)]) == [Appended(1, False)]
    with open_event_store(event_store_conn_id="my_events") as store:
        assert store.count() == 1
    assert path.exists()


def test_a_postgres_connection_names_a_server(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, postgres_fields: dict[str, Any]
) -> None:
    connections.set("my_events", **postgres_fields, extra={"sslmode": "disable", "cursor": "dictcursor"})
    name_store(connections, "my_toggl", "my_events")
    with open_event_store("my_toggl") as store:
        assert store.append([new_event(1)]) == [Appended(1, False)]
    uri = "postgresql://{login}@{host}:{port}/{schema}".format(**postgres_fields)
    monkeypatch.setenv("AIRFLOW_CONN_MY_EVENTS", uri)
    with open_event_store(event_store_conn_id="my_events") as store:
        assert store.count() == 1


def test_it_can_be_opened_in_a_thread_of_an_event_loop(connections: Connections) -> None:
    name_store(connections, "my_toggl", None)

    async def work() -> int:
        store = await asyncio.to_thread(open_event_store, "my_toggl")
        with store:
            return await asyncio.to_thread(store.last_seq)

    assert asyncio.run(work()) == 0


# -- which cannot be ---------------------------------------------------------------------------------------------------


def test_a_connection_that_is_missing_is_reported_and_nothing_else_is_taken_for_it(connections: Connections) -> None:
    name_store(connections, "my_toggl", "nowhere_at_all")
    for ask in (
        lambda: open_event_store("my_toggl"),
        lambda: open_event_store("not_there_either"),
        lambda: resolve_store_conn_id("not_there_either"),
    ):
        with pytest.raises(
            ConfigurationError,
            match=r"There is no connection '(nowhere_at_all|not_there_either)'.*airflow connections list",
        ):
            ask()
    assert not default_store_path().exists()


def test_a_server_s_password_is_shown_nowhere(connections: Connections) -> None:
    password = "s3cret-of-the-server"
    fields = {"host": "127.0.0.1", "port": 1, "login": "me", "password": password, "schema": "d"}
    connections.set("my_events", conn_type="postgres", **fields)
    with all_logs() as lines, pytest.raises(EventStoreUnavailable) as caught:
        open_event_store(event_store_conn_id="my_events")
    assert password not in f"{caught.value!r} {lines}"


# -- imports -----------------------------------------------------------------------------------------------------------


def test_a_missing_driver_is_reported(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg.conninfo", None)
    connections.set("my_events", conn_type="postgres", host="127.0.0.1")
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[postgres\]'"):
        open_event_store(event_store_conn_id="my_events")
