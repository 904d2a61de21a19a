from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from support.pulls import Workspace
from support.repository import keep_for_the_docs
from support.toggl_rows import WORKSPACE, decode, report_row
from support.webhook_events import received_event, webhook_body

from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.report.chart import draw_png
from airflow_provider_toggl.report.pictures import build_pictures, draw_pictures
from airflow_provider_toggl.report.weeks import (
    NO_CLIENT,
    OTHERS,
    WeeklyReport,
    build_report,
    monday_of,
)

BERLIN = ZoneInfo("Europe/Berlin")


def truth(workspace: Workspace) -> tuple[dict[date, int], dict[str, int]]:
    """Return the seconds of each week and the cents of each currency as they are in the sandbox."""
    seconds: dict[date, int] = {}
    cents: dict[str, int] = {}
    for row in workspace.toggl.truth("time_entries"):
        if row["deleted_at"] or row["running"]:
            continue
        week = monday_of(local_day(row["start"]))
        seconds[week] = seconds.get(week, 0) + row["duration"]
        if row["billable_amount_cents"] is not None:
            cents[row["currency"]] = cents.get(row["currency"], 0) + row["billable_amount_cents"]
    return seconds, cents


def report_of(workspace: Workspace, weeks: int = 60, last: date = date(2026, 12, 31)) -> WeeklyReport:
    with build_duckdb_warehouse(workspace.path) as target:
        return build_report(target, workspace.id, weeks, last)


def shown(report: WeeklyReport) -> tuple[dict[date, int], dict[str, int]]:
    """Return the seconds of each week and the cents of each currency as the report has them."""
    seconds: dict[date, int] = {}
    for (week, _), some in report.seconds.items():
        seconds[week] = seconds.get(week, 0) + some
    return seconds, {currency: sum(amounts.values()) for currency, amounts in report.cents.items()}


def local_day(instant: str) -> date:
    return datetime.fromisoformat(instant.replace("Z", "+00:00")).astimezone(BERLIN).date()


class Office:
    """Somebody who works in the sandbox's workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.url = f"{workspace.toggl.url}/api/v9/workspaces/{workspace.id}"

    def call(self, method: str, path: str, payload: Any = None) -> Any:
        auth = (self.workspace.toggl.token, "api_token")
        answer = requests.request(method, f"{self.url}/{path}", json=payload, auth=auth, timeout=30)
        assert answer.ok, answer.text
        return answer.json() if answer.content and method != "DELETE" else None

    def track(self, start: str, seconds: int, project_id: int | None = None) -> int:
        begin = datetime.fromisoformat(start)
        entry = {
            "created_with": "test",
            "workspace_id": self.workspace.id,
            "project_id": project_id,
            "start": begin.isoformat(),
            "stop": (begin + timedelta(seconds=seconds)).isoformat(),
            "duration": seconds,
        }
        return int(self.call("POST", "time_entries", entry)["id"])

    def load_deletion(self, entry_id: int) -> None:
        """Load the webhook event of a deleted entry."""
        body = webhook_body(
            action="deleted",
            payload={"id": entry_id},
            metadata={"workspace_id": str(self.workspace.id)},
            created_at=(datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat(),
        )
        with build_duckdb_warehouse(self.workspace.path) as target:
            target.load(decode_events([received_event(body)]).batches)


def test_what_was_pulled_is_drawn_with_its_amounts(build: Callable[..., Workspace], tmp_path: Path) -> None:
    # The report is of the latest weeks, so this world has today's date.
    now = datetime.now(timezone.utc)
    workspace = build(entries=600, days=90, plan="enterprise", timezone="Europe/Berlin", now=now)
    with build_duckdb_warehouse(workspace.path) as target:
        target.prepare("Europe/Berlin")
    workspace.pull_all()
    workspace.pull("workspace_users")
    workspace.pull("timesheets")
    with build_duckdb_warehouse(workspace.path) as target:
        report = build_report(target, workspace.id, 20)
        latest = build_report(target, workspace.id, 12)
        pictures = build_pictures(target, workspace.id, latest)
    assert shown(report) == truth(workspace)
    draw_png(latest, tmp_path / "weekly.png", dpi=80)
    keep_for_the_docs(tmp_path / "weekly.png", "weekly-report.png")
    assert [path.stem for path in draw_pictures(pictures, tmp_path, dpi=80)] == ["utilization", "approvals"]
    keep_for_the_docs(tmp_path / "utilization.png", "weekly-utilization.png")


def test_figures_are_the_truth_after_each_change(build: Callable[..., Workspace]) -> None:
    workspace = build(entries=200, days=40, plan="enterprise", timezone="Europe/Berlin")
    office = Office(workspace)
    with build_duckdb_warehouse(workspace.path) as target:
        target.prepare("Europe/Berlin")
    workspace.pull_all()
    assert shown(report_of(workspace)) == truth(workspace)
    assert all(truth(workspace))

    # Both days of a year on which Berlin's clocks change; on each an entry across midnight, and one over the change.
    project = next(row for row in workspace.toggl.truth("projects") if row["client_id"] and row["active"])
    office.track("2026-03-29T00:30:00+01:00", 3 * 3600, project["id"])
    moved = office.track("2026-03-29T23:30:00+02:00", 3600)
    office.track("2026-10-25T00:30:00+02:00", 4 * 3600)
    office.track("2026-10-25T23:30:00+01:00", 7200, project["id"])
    workspace.pull()
    assert shown(report_of(workspace)) == truth(workspace)

    # Of two answers within a second, the newer one is not known.
    workspace.toggl.advance(2)
    office.call("PUT", f"time_entries/{moved}", {"start": "2026-04-02T22:30:00Z", "stop": "2026-04-02T23:30:00Z"})
    workspace.pull()
    assert shown(report_of(workspace)) == truth(workspace)

    office.call("DELETE", f"time_entries/{moved}")
    office.load_deletion(moved)
    assert shown(report_of(workspace)) == truth(workspace)

    workspace.toggl.advance(2)
    office.call("PUT", f"clients/{project['client_id']}", {"name": "Renamed & Co"})
    workspace.pull("clients")
    report = report_of(workspace, weeks=1, last=date(2026, 3, 29))
    assert report.weeks == [date(2026, 3, 23)]
    assert report.clients == ["Renamed & Co"]
    assert report.hours(date(2026, 3, 23)) == 3
    assert (report.zone, report.as_of is not None) == ("Europe/Berlin", True)


# -- reading -----------------------------------------------------------------------------------------------------------

MONDAY = date(2025, 12, 29)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb") as target:
        yield target


def read(target: Warehouse, *rows: dict[str, Any], clients: dict[int, str | None]) -> WeeklyReport:
    """Return the report of entries whose projects have the numbers of their clients."""
    projects = decode("projects", *({"id": id_, "name": "p", "client_id": id_} for id_ in clients))
    named = decode("clients", *({"id": id_, "name": name} for id_, name in clients.items() if name is not None))
    target.load([decode("time_entries", *rows), projects, named])
    return build_report(target, WORKSPACE, 2, date(2026, 1, 7))


def entry(id_: int, client: int | None, seconds: int = 3600, day: str = "2025-12-31", **fields: Any) -> dict[str, Any]:
    return report_row(
        id_, project_id=client, seconds=seconds, start=f"{day}T10:00:00Z", stop=f"{day}T20:00:00Z", **fields
    )


def test_currencies_are_never_summed(target: Warehouse) -> None:
    billed = {"billable": True, "hourly_rate_in_cents": 1}
    report = read(
        target,
        entry(1, 1, billable_amount_in_cents=1050, currency="EUR", **billed),
        entry(2, 1, billable_amount_in_cents=2000, currency="USD", **billed),
        entry(3, None, billable_amount_in_cents=1, currency="EUR", **billed),
        entry(4, 1, currency="CHF"),
        clients={1: "Client"},
    )
    assert report.clients == ["Client", NO_CLIENT]
    assert report.hours(MONDAY) == 4
    assert {currency: report.amount(currency, MONDAY) for currency in report.cents} == {"EUR": 10.51, "USD": 20}
    assert report.amount("EUR", MONDAY, NO_CLIENT) == 0.01


def test_weeks_begin_on_monday_also_where_the_year_ends(target: Warehouse) -> None:
    days = ("2025-12-28", "2025-12-29", "2026-01-04", "2026-01-05", "2026-01-11", "2026-01-12")
    report = read(target, *(entry(n, 1, 3600 << n, day) for n, day in enumerate(days)), clients={1: "Client"})
    assert report.weeks == [MONDAY, date(2026, 1, 5)]
    assert [report.hours(week) for week in report.weeks] == [2 + 4, 8 + 16]
    assert monday_of(date(2026, 1, 1)) == MONDAY


def test_the_largest_clients_have_names_and_the_rest_are_others(target: Warehouse) -> None:
    rows = [entry(n, n, 3600 * (20 - n)) for n in range(1, 13)]
    names = {n: f"client {n:02}" for n in range(1, 13)}
    report = read(target, *rows, entry(99, None, 360_000), clients=names)
    assert report.clients == [*(f"client {n:02}" for n in range(1, 9)), OTHERS, NO_CLIENT]
    assert report.hours(MONDAY, OTHERS) == 11 + 10 + 9 + 8
    assert report.hours(MONDAY) == sum(20 - n for n in range(1, 13)) + 100


def test_clients_of_one_name_are_distinguished(target: Warehouse) -> None:
    rows = [entry(n, n, 3600 * (9 - n)) for n in range(1, 5)]
    report = read(target, *rows, clients={1: "Twin", 2: "Twin", 3: "others", 4: None})
    assert report.clients == ["Twin (1)", "Twin (2)", "others (3)", "client 4"]


def test_an_empty_warehouse_has_an_empty_report(target: Warehouse) -> None:
    report = build_report(target, WORKSPACE, weeks=3)
    assert (len(report.weeks), report.clients, report.cents, report.as_of) == (3, [], {}, None)
    assert report.zone == "UTC"
