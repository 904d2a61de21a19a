from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from support.connections import WEBHOOK_SECRET, Connections, all_logs
from support.truth import live, rows
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator

pytestmark = pytest.mark.airflow

TOKEN = "token-5b2f81"


@pytest.fixture
def warehouse(connections: Connections) -> Path:
    """The warehouse of the default connections, which are set; there is no Toggl behind them."""
    connections.set(
        "toggl_default",
        conn_type="toggl",
        host="http://127.0.0.1:9",
        password=TOKEN,
        extra={"workspace_id": 7, "webhook_secret": WEBHOOK_SECRET},
    )
    return connections.duckdb()


@pytest.fixture
def store(warehouse: Path, tmp_path: Path) -> Iterator[SqliteEventStore]:
    """The default event store."""
    path = tmp_path / "state" / "events.sqlite"
    path.parent.mkdir(exist_ok=True)
    with open_store(path) as store:
        yield store


def open_store(path: Path) -> SqliteEventStore:
    store = SqliteEventStore(path)
    store.prepare()
    return store


def put(store: SqliteEventStore, *bodies: bytes, conn_id: str = "toggl_default") -> int:
    return store.append([received_event(raw, conn_id=conn_id) for raw in bodies])[-1].seq


def entry_events(first: int, last: int, **fields: Any) -> list[bytes]:
    return [webhook_body(payload=entry_payload(id_, **fields), seconds=id_) for id_ in range(first, last + 1)]


def drain(*, context: Any = None, **options: Any) -> dict[str, Any]:
    return TogglEventsToSqlOperator(task_id="drain", **options).execute(context or {})


def test_stored_events_become_rows_without_a_request(store: SqliteEventStore, warehouse: Path) -> None:
    last = put(store, *entry_events(1, 3), webhook_body("tag", payload={"id": 5, "name": "A tag"}, seconds=9))
    summary = drain()
    assert {name: summary[name] for name in ("events", "streams", "inserted", "last_seq")} == {
        "events": 4,
        "streams": {"time_entries": 3, "tags": 1},
        "inserted": 4,
        "last_seq": last,
    }
    assert json.loads(json.dumps(summary)) == summary
    assert set(live(warehouse, "time_entries")) == {1, 2, 3}
    assert drain()["events"] == 0


def test_a_store_that_nothing_was_received_for_yet_is_empty(warehouse: Path) -> None:
    assert drain()["events"] == 0


def test_the_store_may_be_named_by_the_connection_or_the_task(
    store: SqliteEventStore, warehouse: Path, connections: Connections, tmp_path: Path
) -> None:
    put(store, *entry_events(1, 1))
    with open_store(tmp_path / "other.sqlite") as other:
        put(other, *entry_events(2, 3))
    connections.set("other_events", conn_type="sqlite", host=str(tmp_path / "other.sqlite"))
    connections.set(
        "second", conn_type="toggl", password="another-token", extra={"event_store_conn_id": "other_events"}
    )
    assert drain(toggl_conn_id="second")["events"] == 2
    assert drain(event_store_conn_id="other_events")["events"] == 0
    assert drain(event_store_conn_id="")["events"] == 1
    scopes = [row["scope"] for row in rows(warehouse, "select scope from toggl.sync_state order by scope")]
    assert scopes == ["default", "other_events"]


def test_some_of_the_events_in_another_schema(store: SqliteEventStore, warehouse: Path) -> None:
    put(store, *entry_events(1, 2), conn_id="ours")
    put(store, *entry_events(3, 3, workspace_id=8, wid=8), conn_id="theirs")
    assert drain(schema="ours", only_conn_id="ours")["events"] == 2
    assert drain(schema="eight", only_workspace_id="8")["events"] == 1
    assert set(live(warehouse, "time_entries", "eight")) == {3}
    names = [consumer.name for consumer in store.consumers()]
    assert names == ["duckdb_default.eight?workspace_id=8", "duckdb_default.ours?conn_id=ours"]
    drain(consumer="mine")
    assert store.find_consumer("mine") is not None


def test_max_events_ends_a_run_early(store: SqliteEventStore, warehouse: Path) -> None:
    put(store, *entry_events(1, 5))
    assert [drain(max_events=3)["events"] for _ in range(3)] == [3, 2, 0]


def test_the_zone_of_the_facts_may_be_set(store: SqliteEventStore, warehouse: Path) -> None:
    put(store, *entry_events(1, 1, start="2025-05-01T02:00:00Z", stop="2025-05-01T03:00:00Z"))
    drain(facts_timezone="America/New_York")
    (row,) = rows(warehouse, "select local_date from toggl.time_entry_facts")
    assert str(row["local_date"]) == "2025-04-30"


def test_history_has_who_did_it_and_stays_on(store: SqliteEventStore, warehouse: Path) -> None:
    put(store, *entry_events(1, 1))
    drain(keep_history=True)
    put(store, webhook_body("time_entry", "deleted", {"id": 1}, seconds=60, metadata={"event_user_id": "11"}))
    drain()
    found = rows(warehouse, "select kind, changed_by from toggl.time_entry_changes order by step")
    assert [tuple(row.values()) for row in found] == [("created", 10), ("deleted", 11)]


# -- assets ------------------------------------------------------------------------------------------------------------


def test_asset_events_say_what_changed(store: SqliteEventStore, warehouse: Path) -> None:
    uris = ("toggl://7/time_entries", "toggl://7/tags", "toggl://8/time_entries", "toggl://7/events")
    assets = [Asset(uri) for uri in uris]
    other = Asset("s3://bucket/rows")
    put(store, *entry_events(1, 2))
    events = OutletEventAccessors()
    drain(context={"outlet_events": events}, outlets=[*assets, other])
    entries = {"observations": 2, "ids": [1, 2], "days": ["2025-05-01"], "is_complete": True}
    entries |= {"since": 0, "cursor": 1}
    assert events[assets[0]].extra == entries
    assert events[assets[1]].extra == events[assets[2]].extra == {}
    assert events[assets[3]].extra["streams"]["time_entries"] == entries
    assert events[other].extra == {}


DRAINS = """
from airflow.sdk import DAG, Asset
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator

with DAG("drains", schedule=None) as dag:
    TogglEventsToSqlOperator(task_id="drain", outlets=[Asset("toggl://7/time_entries")])
"""


@pytest.fixture
def drains(dag_file: Callable[[str, str], Any]) -> Any:
    """A DAG of one task."""
    return dag_file("drains", DRAINS)


def test_in_a_dag_run_the_summary_is_left_and_no_secret_nor_what_people_wrote(
    store: SqliteEventStore, warehouse: Path, drains: Any
) -> None:
    put(
        store,
        *entry_events(1, 3, description="Confidential"),
        webhook_body("invoice", payload={"note": "Confidential"}, seconds=9),
    )
    with all_logs() as lines:
        run = drains.test()
    assert run.state == "success"
    (task,) = run.get_task_instances()
    summary = task.xcom_pull(task_ids="drain")
    assert (summary["events"], summary["inserted"], summary["rejected"]) == (4, 3, 1)
    for word in (TOKEN, WEBHOOK_SECRET, "Confidential"):
        assert [line for line in lines if word in line] == []
        assert word not in json.dumps(summary)


def test_a_new_store_under_the_same_name_is_loaded_from_its_beginning(
    store: SqliteEventStore, warehouse: Path, tmp_path: Path
) -> None:
    put(store, *entry_events(1, 3))
    drain()
    store.close()
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").mkdir()
    with open_store(tmp_path / "state" / "events.sqlite") as anew:
        put(anew, *entry_events(4, 9))
    summary = drain()
    assert (summary["events"], summary["restarted"]) == (6, True)
    assert set(live(warehouse, "time_entries")) == set(range(1, 10))
