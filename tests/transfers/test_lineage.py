from __future__ import annotations

import sys
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from support.connections import Connections
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.load.tables.schemas import TABLES, VERSIONS
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow
TI = SimpleNamespace()


@pytest.fixture
def openlineage() -> None:
    """Airflow's provider of OpenLineage, which is in the environment of the newest Airflow only."""
    pytest.importorskip("airflow.providers.openlineage")


@pytest.fixture
def offline(connections: Connections) -> Connections:
    """Connections to a warehouse and to a workspace that nobody serves."""
    connections.set("toggl_default", conn_type="toggl", host="http://127.0.0.1:9", extra={"workspace_id": 7})
    connections.set("warehouse", conn_type="mysql", host="db", login="etl", password="s3cret-password")
    return connections


def context() -> Any:
    return {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc))}


def load(**options: Any) -> TogglToSqlOperator:
    return TogglToSqlOperator(task_id="load", **{"stream": "tags", "warehouse_conn_id": "warehouse", **options})


def reads(lineage: Any) -> list[tuple[str, str]]:
    return [(each.namespace, each.name) for each in lineage.inputs]


def writes(lineage: Any) -> list[tuple[str, str]]:
    return [(each.namespace, each.name) for each in lineage.outputs]


def counts(lineage: Any) -> dict[str, int]:
    return {
        each.name.split(".")[-1]: each.outputFacets["outputStatistics"].rowCount
        for each in lineage.outputs
        if each.outputFacets
    }


@pytest.mark.usefixtures("openlineage", "offline")
def test_a_load_that_starts_has_its_stream_as_input_and_its_table_as_output():
    lineage = load(schema=" time ", workspace_id="9").get_openlineage_facets_on_start()
    assert reads(lineage) == [("toggl://9", "tags")]
    assert writes(lineage) == [("mysql://db:3306", "time.tags")]
    assert counts(lineage) == {}
    assert [(field.name, field.type) for field in lineage.outputs[0].facets["schema"].fields] == [
        (column.name, column.type) for column in TABLES["tags"].columns
    ]
    assert "s3cret" not in repr(lineage)


@pytest.mark.usefixtures("openlineage", "offline")
def test_the_workspace_is_the_connection_s_by_default():
    assert reads(load().get_openlineage_facets_on_start()) == [("toggl://7", "tags")]


@pytest.mark.usefixtures("openlineage", "offline")
def test_a_template_that_was_not_rendered_is_no_name():
    lineage = load(schema="{{ params.schema }}", workspace_id=9).get_openlineage_facets_on_failure(TI)
    assert (reads(lineage), writes(lineage)) == ([("toggl://9", "tags")], [])


@pytest.mark.usefixtures("openlineage", "offline")
def test_a_missing_connection_leaves_out_what_it_would_name():
    lineage = load(warehouse_conn_id="nowhere").get_openlineage_facets_on_start()
    assert (reads(lineage), writes(lineage)) == ([("toggl://7", "tags")], [])
    lineage = load(toggl_conn_id="nowhere").get_openlineage_facets_on_start()
    assert (reads(lineage), writes(lineage)) == ([], [("mysql://db:3306", "toggl.tags")])


@pytest.mark.usefixtures("openlineage", "offline")
@pytest.mark.parametrize("stream", ["time_entries", "tags"])
def test_with_history_time_entries_are_written_with_their_versions(stream: str):
    lineage = load(stream=stream, keep_history=True).get_openlineage_facets_on_start()
    versions = [("mysql://db:3306", f"toggl.{VERSIONS.name}")] if stream == "time_entries" else []
    assert writes(lineage) == [("mysql://db:3306", f"toggl.{stream}"), *versions]


@pytest.mark.usefixtures("offline")
def test_without_the_provider_of_openlineage_there_is_no_lineage(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert load().get_openlineage_facets_on_start() is None
    assert load().get_openlineage_facets_on_complete(TI) is None
    assert load().get_openlineage_facets_on_failure(TI) is None


@pytest.mark.usefixtures("openlineage")
def test_loads_and_reconciliations_count_the_rows_that_they_wrote(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox)
    path = connections.duckdb("warehouse")
    written = []
    for _ in range(2):
        task = load(stream="time_entries")
        task.execute(context())
        lineage = task.get_openlineage_facets_on_complete(TI)
        assert writes(lineage) == [(f"duckdb://{path}", "warehouse.toggl.time_entries")]
        written.append(counts(lineage)["time_entries"])
    assert written == [120, 0]
    sandbox.mutate(seed=1, n=3, kinds=["delete_entry"])
    reconcile = TogglReconcileOperator(task_id="reconcile", warehouse_conn_id="warehouse")
    done = reconcile.execute(context())
    lineage = reconcile.get_openlineage_facets_on_complete(TI)
    assert reads(lineage) == [(f"toggl://{sandbox.workspace_id}", "time_entries")]
    assert counts(lineage) == {"time_entries": done["added"] + done["edited"] + done["deleted"]}


@pytest.mark.usefixtures("openlineage")
def test_a_load_that_fails_counts_what_it_loaded_before(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox)
    connections.duckdb("warehouse")
    sandbox.set(quota_enforced=True, organization_quota=2)
    task = load(stream="time_entries", page_size=50, deferrable=False)
    with pytest.raises(errors.QuotaExhausted):
        task.execute(context())
    assert counts(task.get_openlineage_facets_on_failure(TI)) == {"time_entries": 100}


@pytest.mark.usefixtures("openlineage")
def test_a_drain_reads_events_and_counts_the_rows_of_each_table(offline: Connections):
    offline.duckdb("warehouse")
    with open_event_store("toggl_default") as store:
        store.append([received_event(webhook_body(payload=entry_payload(id_), seconds=id_)) for id_ in (1, 2)])
    task = TogglEventsToSqlOperator(task_id="drain", warehouse_conn_id="warehouse")
    task.execute({})
    lineage = task.get_openlineage_facets_on_complete(TI)
    assert reads(lineage) == [("toggl://7", "events")]
    assert counts(lineage) == {**dict.fromkeys(STREAM_BY_ENTITY.values(), 0), "time_entries": 2}
