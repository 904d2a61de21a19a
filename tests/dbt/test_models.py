"""Every model equals what plain Python computes from the sandbox's records."""

from __future__ import annotations

import math
import shutil
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.dbt_project import DBT, SCHEMA, DbtProject, Place, create_optional_tables, documented_models, execute
from support.dbt_truth import Case, Expected, Rows, Terms, draw_terms, sql, statements
from support.pulls import STREAMS, Workspace
from support.sandboxes import SandboxHost
from support.servers.postgres import PostgresServer
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.sync.pull import Pull
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.seed_entries import clock_changes
from airflow_provider_toggl.sandbox.workspace.world import World

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(DBT is None, reason="dbt, which TOGGL_DBT names, is not installed: make dbt"),
]

Worlds = list[tuple[World, Terms]]

#: In Havana, clocks change at midnight: it is skipped in spring, and comes twice in autumn.
ZONES = ("America/Havana", "Europe/Berlin", "Africa/Cairo")
NOWS = (
    datetime(2026, 3, 10, 12, tzinfo=timezone.utc),
    datetime(2026, 4, 28, 12, tzinfo=timezone.utc),
    datetime(2025, 11, 10, 12, tzinfo=timezone.utc),
)

PLAIN = Case("Europe/Berlin", optional=False, weekly_hours=40, cost_currency="USD")
FULL = Case(
    "America/Havana",
    optional=True,
    week_start=7,
    utilization="all",
    working_days=4,
    revenue="fixed_fee",
    effective_rate="billable",
    forecast_days=14,
    budget_warning=0.5,
    billed_tag="meeting",
    billed_until=date(2026, 1, 15),
)
NIGHT = Case("Africa/Cairo", optional=True, working_hours_period="week", weekly_hours=20, today=date(2026, 4, 26))

KEYS = {
    "fct_time_entries": ("time_entry_id",),
    "fct_time_entry_days": ("time_entry_id", "local_date"),
    "utilization": ("workspace_id", "user_id", "week"),
    "project_profitability": ("workspace_id", "project_id", "currency"),
    "budget_burn": ("project_id", "budget_kind"),
    "unbilled": ("workspace_id", "project_id", "currency"),
    "approvals": ("timesheet_id",),
}


def build_worlds(seeds: range) -> Worlds:
    """Build one world for each seed, with IDs of its own."""
    worlds: Worlds = []
    for seed in seeds:
        settings = Settings()
        settings.update({"quota_enforced": False, "plan": "free" if seed % 5 == 4 else "premium"})
        world = build_world(
            seed=seed,
            entries=90,
            users=4,
            days=60,
            projects=12,
            timezone=ZONES[seed % len(ZONES)],
            now=NOWS[seed // 3 % len(NOWS)],
            workspace_id=7_000_001 + seed,
            settings=settings,
        )
        add_nights(world)
        worlds.append((world, draw_terms(world, seed)))
    return worlds


def add_nights(world: World) -> None:
    """Add time entries of four hours around each change of clocks in the zones."""
    now = int(world.now().timestamp())
    for zone in ZONES:
        for change in clock_changes(zone, now - 60 * 86_400, now):
            start, stop = (datetime.fromtimestamp(change + hours * 3600, timezone.utc) for hours in (-2, 2))
            entry = TimeEntry(
                world.next_id("time_entry"), world.workspace.id, world.owner.id, start, stop, 4 * 3600, stop
            )
            world.load(entry)


def load(host: SandboxHost, worlds: Worlds, location: WarehouseLocation, place: Place) -> None:
    """Pull all worlds into one warehouse, and write their terms into it."""
    for world, _ in worlds:
        workspace = Workspace(host.serve(world), Path("unused"))
        since = (world.now() - timedelta(days=70)).date().isoformat()
        for stream in STREAMS:
            more = {"since": since} if stream == "time_entries" else {}
            with location.open() as target:
                Pull(workspace.session(), target, workspace.request(stream, **more), clock=workspace.clock).run()
    create_optional_tables(place)
    execute(place, (text for world, terms in worlds for text in statements(world, terms)))


@pytest.fixture(scope="module")
def duckdb_worlds(pull_host: SandboxHost, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Worlds]:
    """A DuckDB file with fifty workspaces."""
    path = tmp_path_factory.mktemp("dbt") / "warehouse.duckdb"
    worlds = build_worlds(range(50))
    load(pull_host, worlds, WarehouseLocation("duckdb", str(path)), path)
    return path, worlds


@pytest.fixture(scope="module")
def postgres_worlds(pull_host: SandboxHost, postgres: PostgresServer) -> tuple[str, Worlds]:
    """A PostgreSQL database with ten workspaces."""
    postgres.execute("create database dbt_models")
    dsn = postgres.dsn.replace("dbname=postgres", "dbname=dbt_models")
    worlds = build_worlds(range(10))
    load(pull_host, worlds, WarehouseLocation("postgres", dsn), dsn)
    return dsn, worlds


@pytest.mark.parametrize("case", [PLAIN, FULL, NIGHT], ids=["plain", "full", "night"])
def test_the_models_equal_the_truth_of_the_sandbox_on_duckdb(
    duckdb_worlds: tuple[Path, Worlds], tmp_path: Path, case: Case
) -> None:
    file, worlds = duckdb_worlds
    project = DbtProject(tmp_path / "project", Path(shutil.copy(file, tmp_path / "warehouse.duckdb")))
    project.build(case.variables())
    assert wrong(project, Expected(worlds, case)) == []
    assert undocumented(project) == []


@pytest.mark.parametrize("case", [PLAIN, FULL], ids=["plain", "full"])
def test_the_models_equal_the_truth_of_the_sandbox_on_postgres(
    postgres_worlds: tuple[str, Worlds], tmp_path: Path, case: Case
) -> None:
    dsn, worlds = postgres_worlds
    project = DbtProject(tmp_path / "project", dsn)
    project.build(case.variables())
    assert wrong(project, Expected(worlds, case)) == []
    assert undocumented(project) == []


def test_a_timesheet_that_was_reopened_is_known_from_the_builds_before(empty_warehouse: Path, tmp_path: Path) -> None:
    warehouse = Path(shutil.copy(empty_warehouse, tmp_path / "warehouse.duckdb"))
    project = DbtProject(tmp_path / "project", warehouse)
    create_optional_tables(warehouse)
    first, second = datetime(2026, 3, 2, 9, tzinfo=timezone.utc), datetime(2026, 3, 4, 9, tzinfo=timezone.utc)
    columns = "id, workspace_id, member_id, start_date, end_date, status, seen_at"
    row = "id, 1, 1, date '2026-02-23', date '2026-03-01', 'submitted', current_timestamp"
    execute(warehouse, [f"insert into toggl.timesheets ({columns}) select {row} from range(3) as t(id)"])
    for changes in (
        [(0, "approved", first), (1, "approved", first)],
        [(0, "open", None), (1, "approved", second), (2, "rejected", second)],
    ):
        project.build_part("+approvals", FULL.variables())
        for id_, status, at in changes:
            values = f"status = {sql(status)}, approved_or_rejected_at = {sql(at)}"
            execute(warehouse, [f"update toggl.timesheets set {values} where id = {id_}"])
    project.build_part("+approvals", FULL.variables())
    query = f"select timesheet_id, status, approved_at, times_reopened from {SCHEMA}.approvals order by 1"
    assert [tuple(row.values()) for row in project.rows(query)] == [
        (0, "open", first, 1),
        (1, "approved", second, 1),
        (2, "rejected", None, 0),
    ]


def wrong(project: DbtProject, expected: Expected) -> list[str]:
    """Return how the models differ from the truth; at least one row of each is compared."""
    found = []
    for model, key in KEYS.items():
        if model == "approvals" and not expected.case.optional:
            continue
        wanted: Rows = getattr(expected, model)()
        assert wanted
        actual = {tuple(row[name] for name in key): row for row in project.rows(f"select * from {SCHEMA}.{model}")}
        found += [f"{model} has no {one}" for one in wanted.keys() - actual.keys()]
        found += [f"{model} has {one}, which should not be" for one in actual.keys() - wanted.keys()]
        for one in wanted.keys() & actual.keys():
            found += [
                f"{model} {one}: {name} is {actual[one][name]!r}, not {value!r}"
                for name, value in wanted[one].items()
                if not same(actual[one][name], value)
            ]
    return found[:20]


def same(actual: Any, wanted: Any) -> bool:
    """Return whether values are equal, numbers up to what sums of doubles lose."""
    if isinstance(actual, int | float | Decimal) and isinstance(wanted, int | float):
        return math.isclose(float(actual), wanted, rel_tol=1e-9, abs_tol=1e-5)
    return bool(actual == wanted)


def undocumented(project: DbtProject) -> list[str]:
    """Return the columns of models that are not documented, and those that are documented and not there."""
    query = f"""
        select table_name, column_name from information_schema.columns
        where table_schema = '{SCHEMA}' and table_name not like 'snap%'
    """
    actual = {(row["table_name"], row["column_name"]) for row in project.rows(query)}
    built = {table for table, _ in actual}
    wanted = {(model, column) for model, columns in documented_models().items() for column in columns if model in built}
    return sorted(f"{table}.{column}" for table, column in actual ^ wanted)
