"""The warehouse of the dashboard's test: a sandbox's workspace, loaded by the sync and modelled by dbt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from support.dbt_project import DbtProject, Place, execute
from support.pulls import Workspace, build_pull_world
from support.sandboxes import SandboxHost
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.core.sync.pull import Pull

VARIABLES = {
    "toggl_today": "2026-03-10",
    "toggl_timezone": "Europe/Berlin",
    "toggl_weekly_hours": 40,
    **{f"toggl_using_{name}": True for name in ("workspace_users", "workspaces", "timesheets")},
}


def build_models(host: SandboxHost, folder: Path, place: Place) -> None:
    """Load a workspace with people, rates, budgets and timesheets into a warehouse, and build the models.

    :param folder: for the files of dbt.
    :param place: an empty warehouse.
    """
    world = build_pull_world(seed=3, entries=1500, days=63, plan="premium")
    for index, project in enumerate(world.projects.values()):
        project.estimated_seconds = (20, 60, 150)[index % 3] * 3600
    workspace = Workspace(host.serve(world), Path("unused"))
    since = (world.now() - timedelta(days=64)).date().isoformat()
    location = WarehouseLocation("duckdb" if isinstance(place, Path) else "postgres", str(place))
    for stream in STREAMS:
        more = {"since": since} if stream == "time_entries" else {}
        with location.open() as target:
            Pull(workspace.session(), target, workspace.request(stream, **more), clock=workspace.clock).run()
    execute(place, _more_terms(list(world.projects)))
    # make dbt runs the tests of the models.
    DbtProject(folder / "project", place).run(
        "build", "--exclude-resource-type", "test", "--vars", json.dumps(VARIABLES)
    )


def _more_terms(projects: list[int]) -> Iterator[str]:
    """Yield what writes terms that the sandbox does not have: a second currency, ends, fees and a cost of everybody."""
    yield "update toggl.workspace_users set labor_cost = 31.5 where labor_cost is null"
    for index, project_id in enumerate(projects):
        if index % 3 == 0:
            yield f"update toggl.projects set end_date = date '2026-03-31' where id = {project_id}"
        if index % 4 == 0:
            yield f"update toggl.projects set currency = 'EUR', fixed_fee = 4000 where id = {project_id}"
            yield f"update toggl.time_entries set currency = 'EUR' where project_id = {project_id}"
