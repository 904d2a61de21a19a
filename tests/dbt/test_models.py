"""Every model equals what plain Python computes from the sandbox's records."""

from __future__ import annotations

import csv
import math
import random
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.dbt_project import DBT, EXAMPLE, SCHEMA, DbtProject, Place, documented_models, execute
from support.dbt_truth import EXCHANGE_RATES, Case, Expected, Past, Rows, add_budgets, change, falsify
from support.pulls import Workspace
from support.sandboxes import SandboxHost
from support.servers.postgres import PostgresServer
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.reconcile.request import ReconcileRequest
from airflow_provider_toggl.core.reconcile.run import Reconcile
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.core.sync.pull import Pull
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.seed_entries import clock_changes
from airflow_provider_toggl.sandbox.workspace.world import World

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(DBT is None, reason="dbt, which TOGGL_DBT names, is not installed: make dbt"),
]

Worlds = list[tuple[World, Past]]
SEEDS = 50

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
    reporting_currency="EUR",
)
NIGHT = Case(
    "Africa/Cairo",
    optional=True,
    working_hours_period="week",
    weekly_hours=20,
    today=date(2026, 4, 26),
    rounding_minutes=15,
    rounding="up",
    reporting_currency="USD",
    exchange_rates="market.exchange_rates",
    exchange_rate_days=0,
)

KEYS = {
    "dim_user": ("user_id",),
    "dim_client": ("client_id",),
    "dim_project": ("project_id",),
    "dim_task": ("task_id",),
    "fct_time_entries": ("time_entry_id",),
    "fct_time_entry_days": ("time_entry_id", "local_date"),
    "utilization": ("workspace_id", "user_id", "week"),
    "project_profitability": ("workspace_id", "project_id", "currency"),
    "budget_burn": ("project_id", "budget_kind"),
    "unbilled": ("workspace_id", "project_id", "currency"),
    "approvals": ("timesheet_id",),
    "fct_converted_amounts": ("time_entry_id",),
    "missing_exchange_rates": ("currency", "local_date"),
    "stg_toggl_track__expenses": ("expense_id",),
    "stg_toggl_track__invoices": ("invoice_id",),
}
#: Streams of which something is deleted or reopened between two loads.
DELETED = ("time_entries", "timesheets", "invoices", "expenses")
OPTIONAL = ("approvals", "stg_toggl_track__expenses", "stg_toggl_track__invoices")
CONVERTED = ("fct_converted_amounts", "missing_exchange_rates")


def build_worlds(seeds: range) -> Worlds:
    """Build one world for each seed, with IDs of its own."""
    worlds: Worlds = []
    for seed in seeds:
        settings = Settings()
        plan = ("premium", "premium", "premium", "starter", "free")[seed % 5]
        settings.update({"quota_enforced": False, "plan": plan, "labor_costs_shown": seed % 7 != 6})
        world = build_world(
            seed=seed,
            entries=90,
            # With four, one had left before the first load: nobody can know what that person cost.
            users=3,
            days=60,
            projects=12,
            timezone=ZONES[seed % len(ZONES)],
            now=NOWS[seed // 3 % len(NOWS)],
            workspace_id=7_000_001 + seed,
            settings=settings,
        )
        world.workspace.default_currency = ("USD", "EUR")[seed % 2]
        add_nights(world)
        add_budgets(world, random.Random(seed))
        worlds.append((world, Past(world.now())))
    return worlds


def add_nights(world: World) -> None:
    """Add time entries of four hours around each change of clocks in the zones."""
    now = int(world.now().timestamp())
    for zone in ZONES:
        for moment in clock_changes(zone, now - 60 * 86_400, now):
            start, stop = (datetime.fromtimestamp(moment + hours * 3600, timezone.utc) for hours in (-2, 2))
            entry = TimeEntry(
                world.next_id("time_entry"), world.workspace.id, world.owner.id, start, stop, 4 * 3600, stop
            )
            world.load(entry)


def load(host: SandboxHost, worlds: Worlds, location: WarehouseLocation, place: Place, folder: Path) -> None:
    """Pull all worlds into one warehouse, before and after they change; a build sees the timesheets of both times."""
    with keep_open(place):
        for world, past in worlds:
            pull(host, world, location, DELETED)
            past.loaded_at = world.now()
            past.note_timesheets(world)
    DbtProject(folder, place).build({"toggl_using_timesheets": True}, "+snap_toggl_track__timesheets")
    with keep_open(place):
        for seed, (world, past) in enumerate(worlds):
            change(world, seed)
            workspace = pull(host, world, location, STREAMS)
            with location.open() as target:
                request = ReconcileRequest(workspace.id, workspace.now())
                Reconcile(workspace.session(), target, request, clock=workspace.clock).run()
            past.note_timesheets(world)
            execute(place, falsify(world, past, random.Random(seed)))


def keep_open(place: Place) -> AbstractContextManager[Any]:
    """Keep a DuckDB file open. Otherwise each of some thousand loads opens it and writes all of it."""
    return duckdb.connect(str(place)) if isinstance(place, Path) else nullcontext()


def pull(host: SandboxHost, world: World, location: WarehouseLocation, streams: Iterable[str]) -> Workspace:
    """Pull streams of a world, whose server goes on."""
    workspace = Workspace(host.serve(world), Path("unused"))
    # Amounts change with rates, and not the entries: only a load of fixed days reads them again.
    days = {"since": (world.now() - timedelta(days=420)).date(), "incremental": False}
    with location.open() as target:
        for stream in streams:
            request = workspace.request(stream, **(days if stream == "time_entries" else {}))
            Pull(workspace.session(), target, request, clock=workspace.clock).run()
    return workspace


@pytest.fixture(scope="module")
def duckdb_worlds(pull_host: SandboxHost, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Worlds]:
    """A DuckDB file with fifty workspaces."""
    folder = tmp_path_factory.mktemp("dbt")
    path, worlds = folder / "warehouse.duckdb", build_worlds(range(SEEDS))
    load(pull_host, worlds, WarehouseLocation("duckdb", str(path)), path, folder / "project")
    return path, worlds


@pytest.fixture(scope="module")
def postgres_worlds(
    pull_host: SandboxHost, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Worlds]:
    """A PostgreSQL database with ten workspaces."""
    postgres.execute("create database dbt_models")
    dsn = postgres.dsn.replace("dbname=postgres", "dbname=dbt_models")
    worlds = build_worlds(range(10))
    load(pull_host, worlds, WarehouseLocation("postgres", dsn), dsn, tmp_path_factory.mktemp("dbt") / "project")
    return dsn, worlds


def test_the_workspaces_have_each_unusual_case(duckdb_worlds: tuple[Path, Worlds]) -> None:
    _, worlds = duckdb_worlds
    expected = Expected(worlds, FULL)
    approvals = expected.approvals().values()
    for name in ("times_reopened", "edited_after_approval", "deleted_after_approval"):
        assert any(row[name] for row in approvals), name
    assert {row["amount_source"] for row in expected.fct_time_entries().values()} == {"report", "rates", None}
    assert {row["cost_source"] for row in expected.fct_time_entries().values()} == {"present", "rates", None}
    assert {source for _, source in expected.available_hours().values()} == {"toggl", None}
    assert {row["status"] for row in expected.budget_burn().values()} == {"over", "at_risk", "on_track"}
    assert {row["currency"] for row in expected.stg_toggl_track__expenses().values()} == {"USD", "GBP"}
    assert any(row["is_deleted"] for row in expected.stg_toggl_track__invoices().values())
    assert len(expected.fct_time_entry_days()) > len(expected.stopped)
    converted = expected.fct_converted_amounts().values()
    ages = {row["exchange_rate_date"] and (row["local_date"] - row["exchange_rate_date"]).days for row in converted}
    assert ages == {None, *range(8)}
    assert {row["currency"] for row in converted if row["converted_amount"] is not None} == {"EUR", "GBP", "USD"}


@pytest.mark.parametrize("case", [PLAIN, FULL, NIGHT], ids=["plain", "full", "night"])
def test_the_models_equal_the_truth_of_the_sandbox_on_duckdb(
    duckdb_worlds: tuple[Path, Worlds], tmp_path: Path, case: Case
) -> None:
    file, worlds = duckdb_worlds
    project = DbtProject(tmp_path / "project", Path(shutil.copy(file, tmp_path / "warehouse.duckdb")))
    check(project, Expected(worlds, case))


@pytest.mark.parametrize("case", [PLAIN, replace(FULL, exchange_rates="market.exchange_rates")], ids=["plain", "full"])
def test_the_models_equal_the_truth_of_the_sandbox_on_postgres(
    postgres_worlds: tuple[str, Worlds], tmp_path: Path, case: Case
) -> None:
    dsn, worlds = postgres_worlds
    check(DbtProject(tmp_path / "project", dsn), Expected(worlds, case))


def test_two_exchange_rates_of_one_day_are_an_error(empty_warehouse: Path, tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", Path(shutil.copy(empty_warehouse, tmp_path / "warehouse.duckdb")))
    columns, *rates = csv.reader((EXAMPLE / "exchange_rates.csv").read_text().splitlines())
    project.add_seed("exchange_rates", [columns, *rates, rates[0]])
    with pytest.raises(AssertionError, match="Failure in test toggl_track_unique_together_int_toggl_track__exchange"):
        project.build({"toggl_reporting_currency": "EUR"}, "+int_toggl_track__exchange_rates")


def check(project: DbtProject, expected: Expected) -> None:
    """Build the models, and compare them with the truth and with their documentation."""
    case = expected.case
    if case.reporting_currency is not None:
        bring_exchange_rates(project, case.exchange_rates)
    output = project.build(case.variables())
    assert f"WARN={int(case.reporting_currency is not None)} " in output  # rates are missing
    assert wrong(project, expected) == []
    assert undocumented(project) == []
    if case.reporting_currency is not None:
        by_project = project.rows((EXAMPLE / "converted_by_project.sql").read_text())
        rows = expected.fct_converted_amounts().values()
        unconverted = [row for row in rows if row["amount"] is not None and row["converted_amount"] is None]
        assert sum(row["amounts_without_rate"] for row in by_project) == len(unconverted)
        assert same(sum(row["revenue"] or 0 for row in by_project), sum(row["converted_amount"] or 0 for row in rows))


def bring_exchange_rates(project: DbtProject, name: str) -> None:
    """Add the user's exchange rates: as a seed of the project, or as a table if the name has a schema."""
    if "." not in name:
        project.add_seed(name, [("date", "from_currency", "to_currency", "rate"), *EXCHANGE_RATES])
        return
    values = ", ".join(f"('{day}', '{source}', '{target}', {rate})" for day, source, target, rate in EXCHANGE_RATES)
    types = "date timestamp, from_currency varchar(3), to_currency varchar(3), rate decimal(18, 8)"
    schema = name.partition(".")[0]
    execute(
        project.place,
        [f"create schema {schema}", f"create table {name} ({types})", f"insert into {name} values {values}"],
    )


def wrong(project: DbtProject, expected: Expected) -> list[str]:
    """Return how the models differ from the truth; at least one row of each is compared."""
    found = []
    for model, key in KEYS.items():
        if model in OPTIONAL and not expected.case.optional:
            continue
        if model in CONVERTED and expected.case.reporting_currency is None:
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
