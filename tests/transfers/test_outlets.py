from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from support.connections import Connections
from support.toggl_rows import WORKSPACE, decode, entries, report_row, tags

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.outlets import Outlets
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow

ENTRIES, DAYS, TAGS, ALL = (Asset(f"toggl://{WORKSPACE}/{name}") for name in ("time_entries", "days", "tags", "events"))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb") as target:
        yield target


class Run:
    """One try of a loading task that gets its batches one by one."""

    def __init__(
        self,
        target: Warehouse,
        *outlets: Any,
        run_id: str = "run",
        max_partitions: int = 366,
        progress: Any = None,
    ) -> None:
        self.events = OutletEventAccessors()
        ti = SimpleNamespace(dag_id="dag", run_id=run_id, task_id="load", map_index=-1)
        context: Any = {"outlet_events": self.events, "ti": ti}
        self.task = TogglEventsToSqlOperator(task_id="load", outlets=list(outlets))
        self.target = target
        self.changes = Changes()
        self._outlets = Outlets(self.task, context, max_partitions)
        self._outlets.begin(target, self.changes, progress)

    def load(self, *batches: Any) -> Run:
        loaded = self.target.load(batches, collect_days=True)
        self.changes.collect_batches(batches)
        self.changes.collect_days(loaded)
        return self

    def report(self) -> dict[str, dict[str, Any]]:
        """Return the extras of the assets that get an event."""
        self._outlets.report(self.target, self.changes)
        return {outlet.uri: self.events[outlet].extra for outlet in self.task.outlets}

    def wait(self) -> Any:
        """Defer; return what the task keeps for itself."""
        progress: dict[str, Any] = {}
        self._outlets.keep(self.changes, progress)
        return json.loads(json.dumps(progress))

    def days(self) -> list[str]:
        """Return the days that get an event of their own, or are in the extra where Airflow has no partitions."""
        event: Any = self.events[DAYS]
        return sorted(event.partition_keys if hasattr(event, "add_partitions") else event.extra["days"])


def on(day: int, *ids: int, seconds: float = 0.0) -> Any:
    return entries(*ids, start=f"2025-05-{day:02}T10:00:00Z", seconds=seconds)


def many_days(first: int, last: int) -> Any:
    return decode(
        "time_entries", *(report_row(day, start=f"2025-05-{day:02}T10:00:00Z") for day in range(first, last + 1))
    )


def test_only_days_that_changed_are_reported(target: build_duckdb_warehouse) -> None:
    Run(target, ENTRIES, DAYS, run_id="first").load(on(1, 1, 2), on(2, 3)).report()
    run = Run(target, ENTRIES, DAYS).load(on(1, 1, 2, seconds=5), on(4, 3, seconds=5))
    extras = run.report()
    assert extras[ENTRIES.uri] == {
        "observations": 3,
        "ids": [3],
        "days": ["2025-05-02", "2025-05-04"],
        "is_complete": True,
        "since": 1,
        "cursor": 2,
    }
    assert run.days() == ["2025-05-02", "2025-05-04"]
    assert extras[DAYS.uri] | {"count": 2, "left": 0, "cursor": 2} == extras[DAYS.uri]


def test_without_a_change_there_is_no_event(target: Warehouse) -> None:
    other = Asset("s3://bucket/rows")
    assert set(Run(target, ENTRIES, DAYS, ALL, TAGS, other).load(on(1, 1), tags(1)).report()) == {
        ENTRIES.uri,
        DAYS.uri,
        ALL.uri,
        TAGS.uri,
        other.uri,
    }
    again = Run(target, ENTRIES, DAYS, ALL, TAGS, other, run_id="again").load(on(1, 1, seconds=5))
    assert again.report() == {other.uri: {}}


def test_the_asset_of_all_streams_has_each_stream_that_changed(target: build_duckdb_warehouse) -> None:
    extras = Run(target, ALL).load(on(1, 1), tags(1, 2)).report()[ALL.uri]["streams"]
    assert {name: extra["ids"] for name, extra in extras.items()} == {"time_entries": [1], "tags": [1, 2]}
    assert extras["time_entries"]["days"] == ["2025-05-01"]


def test_what_a_failed_try_loaded_is_reported_by_the_next_one(target: build_duckdb_warehouse) -> None:
    Run(target, ENTRIES, DAYS).load(on(1, 1))
    after = Run(target, ENTRIES, DAYS).load(on(2, 2))
    extras = after.report()[ENTRIES.uri]
    assert extras["days"] == after.days() == ["2025-05-01", "2025-05-02"]
    # Of the first one only the days are known.
    assert (extras["ids"], extras["is_complete"]) == ([2], False)


def test_what_was_loaded_before_a_wait_is_reported_after_it(target: build_duckdb_warehouse) -> None:
    kept = Run(target, ENTRIES, DAYS).load(on(1, 1)).wait()
    after = Run(target, ENTRIES, DAYS, progress=kept).load(on(2, 2))
    extras = after.report()[ENTRIES.uri]
    assert extras["days"] == after.days() == ["2025-05-01", "2025-05-02"]
    assert (extras["ids"], extras["observations"], extras["is_complete"]) == ([1, 2], 2, True)


def test_what_a_failed_try_reported_is_reported_again_by_the_next_one(target: build_duckdb_warehouse) -> None:
    Run(target, DAYS).load(on(1, 1)).report()
    retry = Run(target, DAYS)
    retry.report()
    assert retry.days() == ["2025-05-01"]
    assert Run(target, DAYS, run_id="another").report() == {}


def test_the_days_of_a_first_load_are_reported_in_parts(target: build_duckdb_warehouse) -> None:
    extras = []
    first = Run(target, DAYS, max_partitions=2, run_id="0").load(many_days(1, 5))
    left = [first.report()[DAYS.uri]["left"]]
    extras += first.days()
    for number in (1, 2):
        run = Run(target, DAYS, max_partitions=2, run_id=str(number))
        left.append(run.report()[DAYS.uri]["left"])
        extras += run.days()
    assert left == [3, 1, 0]
    assert sorted(extras) == [f"2025-05-{day:02}" for day in range(1, 6)]
    assert Run(target, DAYS, max_partitions=2, run_id="3").report() == {}


def test_each_asset_has_its_own_place(target: Warehouse) -> None:
    Run(target, ENTRIES).load(on(1, 1)).report()
    later = Run(target, DAYS, run_id="later")
    later.report()
    assert later.days() == ["2025-05-01"]
    assert Run(target, Asset("toggl://8/days"), run_id="other").report() == {}


# -- another workspace than is loaded ----------------------------------------------------------------------------------

HERE, ELSEWHERE = 7, 8
LOADERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "pull": ("workspace_id", lambda **more: TogglToSqlOperator(task_id="load", stream="clients", **more)),
    "reconcile": ("workspace_id", lambda **more: TogglReconcileOperator(task_id="load", **more)),
    "drain": ("only_workspace_id", lambda **more: TogglEventsToSqlOperator(task_id="load", **more)),
}
REFUSAL = rf"Workspace {HERE} is loaded \(.*\), but the outlets have toggl://{ELSEWHERE}/clients of another"


@pytest.fixture
def unused(connections: Connections, tmp_path: Path) -> Path:
    """The warehouse of the default connections, whose Toggl must not be asked."""
    connections.set(
        "toggl_default",
        conn_type="toggl",
        host="http://127.0.0.1:1",
        password="t" * 32,
        extra={"workspace_id": HERE, "event_store_conn_id": "events"},
    )
    connections.set("events", conn_type="sqlite", host=str(tmp_path / "events.sqlite"))
    return connections.duckdb()


def run_context(map_index: int = -1) -> Any:
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="load", map_index=map_index, try_number=1)
    return {"ti": ti, "outlet_events": OutletEventAccessors()}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("workspace", [HERE, str(HERE), f" {HERE} "])
def test_an_outlet_of_another_workspace_is_refused_when_the_dag_is_parsed(loader: str, workspace: Any) -> None:
    parameter, build = LOADERS[loader]
    with pytest.raises(ConfigurationError, match=REFUSAL):
        build(**{parameter: workspace}, outlets=[toggl_asset(ELSEWHERE, "clients")])
    build(**{parameter: workspace}, outlets=[toggl_asset(HERE, "clients"), Asset("s3://bucket/rows")])
    build(outlets=[toggl_asset(ELSEWHERE, "clients")])
    build(**{parameter: "{{ params.workspace }}"}, outlets=[toggl_asset(ELSEWHERE, "clients")])


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("source", ["connection", "template"])
def test_an_outlet_of_another_workspace_is_refused_before_anything_is_loaded(
    unused: Path, loader: str, source: str
) -> None:
    parameter, build = LOADERS[loader]
    task = build(outlets=[toggl_asset(ELSEWHERE, "clients")])
    if source == "template":
        setattr(task, parameter, str(HERE))
    with pytest.raises(ConfigurationError, match=REFUSAL):
        task.execute(run_context())
    assert not unused.exists()
    assert not (unused.parent / "events.sqlite").exists()


@pytest.mark.parametrize("loader", ["pull", "reconcile"])
def test_a_mapped_task_may_have_the_outlets_of_all_its_workspaces(unused: Path, loader: str) -> None:
    _, build = LOADERS[loader]
    both = [toggl_asset(HERE, "clients"), toggl_asset(ELSEWHERE, "clients")]
    # Of another workspace alone is wrong there too.
    with pytest.raises(ConfigurationError, match=REFUSAL):
        build(outlets=both[1:]).execute(run_context(map_index=0))
    with pytest.raises(ConfigurationError, match=REFUSAL):
        build(outlets=both).execute(run_context())
    # It gets as far as its warehouse.
    with pytest.raises(ConfigurationError, match="There is no connection 'nowhere'"):
        build(outlets=both, warehouse_conn_id="nowhere").execute(run_context(map_index=0))


def test_a_drain_of_a_shared_store_may_have_outlets_of_further_workspaces(unused: Path) -> None:
    both = [toggl_asset(HERE, "clients"), toggl_asset(ELSEWHERE, "clients")]
    TogglEventsToSqlOperator(task_id="load", outlets=both).execute(run_context())
    with pytest.raises(ConfigurationError, match=REFUSAL):
        TogglEventsToSqlOperator(task_id="load", only_conn_id="toggl_default", outlets=both).execute(run_context())


def test_a_drain_of_a_store_that_is_named_by_itself_needs_no_toggl_connection(
    unused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TOGGL_DEFAULT")
    task = TogglEventsToSqlOperator(
        task_id="load", event_store_conn_id="events", outlets=[toggl_asset(ELSEWHERE, "clients")]
    )
    assert task.execute(run_context())["events"] == 0
