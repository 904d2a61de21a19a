"""The history built from events and pulls has exactly the changes that were made in the sandbox."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.event_stores import open_sqlite
from support.pulls import Workspace
from support.sandboxes import ApiCaller, SandboxHost, build_still_world
from support.webhook_stream import WebhookStream, drain

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: Everything that changes how an entry is written somewhere; the seeds take turns at the values.
SWITCHES: dict[str, tuple[Any, ...]] = {
    "webhook_keys": ("legacy", "newer"),
    "webhook_id_key": ("named", "entity_id", "both"),
    "webhook_no_tags": ("captured", "empty", "null"),
    "webhook_deleted_payload": ("full", "ids", "null"),
    "v9_at": ("micros", "seconds"),
    "no_tags": ("null", "empty"),
    "running_duration": ("minus_one", "minus_start"),
    "report_no_description_is_empty": (True, False),
    "report_running_seconds": ("elapsed", "negative"),
    "report_times": ("user", "utc"),
    "tag_deletion_moves_at": (False, True),
    "task_deletion_moves_at": (True, False),
    "plan": ("premium", "free"),
}
DOCS = Path(__file__).parents[2] / "docs"
STATE = (
    "time_entry_id",
    "updated_at",
    "user_id",
    "project_id",
    "task_id",
    "description",
    "billable",
    "tag_ids",
    "start",
    "stop",
    "duration",
)


def settings_of(seed: int) -> dict[str, Any]:
    return {name: values[seed % len(values)] for name, values in SWITCHES.items()}


class Truth:
    """Every state that an entry of a world ever had."""

    def __init__(self, world: World) -> None:
        self.states = {_state(entry) for entry in world.time_entries.values() if entry.deleted_at is None}
        world.listeners.append(self._note)

    def _note(self, change: WorldChange) -> None:
        if isinstance(change.obj, TimeEntry):
            self.states.add(_state(change.obj))


def _state(entry: TimeEntry) -> tuple[Any, ...]:
    return (
        entry.id,
        entry.at.replace(microsecond=0),
        entry.user_id,
        entry.project_id,
        entry.task_id,
        entry.description or None,
        entry.billable,
        str(sorted(entry.tag_ids)),
        entry.start,
        entry.stop,
        None if entry.stop is None else entry.duration,
    )


def states(warehouse: Path) -> set[tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in STATE)
    with build_duckdb_warehouse(warehouse) as target:
        table = target.query(f"select {names} from time_entry_versions where kind = 'state'")
    return set(zip(*(column.to_pylist() for column in table.columns), strict=True))


def example(name: str, changes: dict[str, str]) -> str:
    """Return a query of the documentation, with something else in some places."""
    text = (DOCS / "examples" / f"{name}.sql").read_text()
    for this, that in changes.items():
        assert this in text
        text = text.replace(this, that)
    return text


def begin(host: SandboxHost, folder: Path, **settings: Any) -> tuple[World, Workspace]:
    """Pull a new workspace into a warehouse that keeps its history."""
    world = build_still_world(entries=60, days=20, **settings)
    workspace = Workspace(host.serve(world), folder / "warehouse.duckdb")
    with build_duckdb_warehouse(workspace.path) as target:
        target.keep_history(True)
    workspace.pull()
    return world, workspace


@pytest.mark.parametrize("seed", range(3))
def test_events_and_pulls_of_the_same_changes_make_the_same_history(
    pull_host: SandboxHost, tmp_path: Path, seed: int
) -> None:
    world, workspace = begin(pull_host, tmp_path, **settings_of(seed))
    truth, stream = Truth(world), WebhookStream(world, seed)
    with open_sqlite(tmp_path / "events.sqlite") as store:
        for _ in range(2):
            stream.change(100)
            # Later than any lag, so that a pull sees all of it.
            world.advance(600)
            coming = stream.deliveries()
            store.append(coming[: len(coming) // 2])
            drain(store, workspace.path)
            workspace.pull()
            store.append(coming[len(coming) // 2 :])
            drain(store, workspace.path)
    found = states(workspace.path)
    assert found - truth.states == set()
    if world.settings.webhook_deleted_payload == "full":
        assert truth.states - found == set()
    assert len(found) > 100


def test_who_changed_the_invoiced_entry(pull_host: SandboxHost, tmp_path: Path) -> None:
    world, workspace = begin(pull_host, tmp_path)
    other = next(user for user in world.users.values() if user is not world.owner)
    other.is_admin = True
    workspace.pull("users")
    stream = WebhookStream(world, 1)
    invoiced = next(entry for entry in world.time_entries.values() if entry.description and entry.stop is not None)
    before, start = invoiced.description, invoiced.start
    caller = ApiCaller(workspace.toggl, other.token)
    path = f"/workspaces/{{ws}}/time_entries/{invoiced.id}"
    changed_at = world.now().replace(microsecond=0)
    moved = (start - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert caller.write("PUT", path, {"description": "Padded", "start": moved}).status_code == 200
    world.advance(60)
    assert caller.write("DELETE", path).status_code == 200
    with open_sqlite(tmp_path / "events.sqlite") as store:
        store.append(stream.deliveries(lateness=0))
        drain(store, workspace.path)
    with build_duckdb_warehouse(workspace.path) as target:
        one = example("who_changed_an_entry", {"3050537739": str(invoiced.id)})
        first, *found = target.query(one).to_pylist()
        all_ = example(
            "changed_after_invoice",
            {"changed_at >= '2026-04-01": "changed_at >= '2026-03-10", "'2026-03-01": "'2026-01-01"},
        )
        late = target.query(all_)
    assert (first["kind"], first["changed_by_name"]) == ("found", None)
    assert set(late["time_entry_id"].to_pylist()) == {invoiced.id}
    changes = {row["field"]: (row["old_value"], row["new_value"]) for row in found if row["kind"] == "updated"}
    assert changes["description"] == (before, "Padded")
    assert changes["start"] == (start.strftime("%Y-%m-%dT%H:%M:%SZ"), moved)
    assert changes.keys() <= {"description", "start", "duration"}
    assert {row["changed_by_name"] for row in found} == {other.fullname}
    assert [row["kind"] for row in found][-1] == "deleted"
    assert {row["changed_at"] for row in found if row["kind"] == "updated"} == {changed_at}


def test_a_change_that_only_a_pull_found_has_no_author(pull_host: SandboxHost, tmp_path: Path) -> None:
    world, workspace = begin(pull_host, tmp_path)
    entry = next(entry for entry in world.time_entries.values() if entry.stop is not None)
    world.advance(600)
    ApiCaller(workspace.toggl).write("PUT", f"/workspaces/{{ws}}/time_entries/{entry.id}", {"description": "Unheard"})
    world.advance(600)
    workspace.pull()
    sql = "select new_value, changed_by from time_entry_changes where time_entry_id = ? and kind = 'updated'"
    with build_duckdb_warehouse(workspace.path) as target:
        assert target.query(sql, [entry.id]).to_pylist() == [{"new_value": "Unheard", "changed_by": None}]
