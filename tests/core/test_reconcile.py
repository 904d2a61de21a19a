from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from support.metrics import recording
from support.pulls import Workspace
from support.sandboxes import NOON

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.reconcile.cursor import VerifiedWindow
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary, list_ids
from airflow_provider_toggl.core.reconcile.run import Reconcile

DAY = timedelta(days=1)
YEAR = 360


@pytest.fixture(scope="module", params=[True, False], ids=["ids", "sums"])
def gives_ids(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def since(days: int) -> str:
    return (NOON - days * DAY).date().isoformat()


def start_clean(workspace: Workspace) -> None:
    """Stop what runs and take out what has no length: what sums cannot prove costs a request of its own."""
    world = workspace.toggl.world
    for entry in list(world.time_entries.values()):
        if entry.duration <= 0:
            del world.time_entries[entry.id]
    world._running.clear()
    world.version += 1


def test_a_year_of_ten_thousand_entries_is_verified_in_three_requests_and_repaired_in_few(build, gives_ids: bool):
    workspace: Workspace = build(entries=10_000, days=YEAR, plan="premium", summary_gives_ids=gives_ids)
    start_clean(workspace)
    workspace.pull(since=since(YEAR + 2))
    assert workspace.reconcile(since=since(YEAR + 2)).requests == 3
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=1, n=50, kinds=["delete_entry"])
    workspace.toggl.mutate(seed=2, n=50, kinds=["late_edit"])
    summary = workspace.reconcile(since=since(YEAR + 2))
    assert (summary.deleted, summary.unverified) == (50, {})
    assert summary.requests <= (8 if gives_ids else 8 + 2 * 50), str(summary)
    assert workspace.wrong("time_entries") == []
    assert workspace.reconcile(since=since(YEAR + 2)).requests == 3


def test_a_day_of_many_pages_is_put_right_by_its_own_sums_in_two_requests(build):
    workspace: Workspace = build(entries=1500, days=12, plan="premium", summary_gives_ids=False)
    start_clean(workspace)
    workspace.pull()
    workspace.toggl.advance(10)
    gone = workspace.toggl.mutate(seed=1, n=3, kinds=["delete_entry"])
    entries = workspace.toggl.world.time_entries
    days = {entries[row["id"]].start.date() for row in gone}
    before = len(workspace.calls("/reports/"))
    summary = workspace.reconcile(page_size=50, overlap=timedelta(0))
    assert workspace.wrong("time_entries") == []
    assert (summary.deleted, summary.unverified) == (3, {})
    asked = [call for call in workspace.calls("/reports/")[before:] if "user_ids" in call["body"]]
    # One of them is for the sums of all days.
    assert len(asked) - 1 <= 2 * len(days)


def test_a_run_each_night_looks_for_the_changes_of_its_day_alone(build):
    # A few nights later, changes of further days ahead are read, see ``DAYS_AHEAD``.
    workspace: Workspace = build(entries=400, days=300, now=NOON + 20 * DAY, plan="premium", largest_page_size=20)
    start_clean(workspace)
    workspace.pull()
    workspace.reconcile()
    toggl = workspace.toggl
    requests: list[int] = []
    for night in range(14):
        toggl.advance(86_400)
        toggl.mutate(seed=night, n=10, kinds=["late_edit"])
        requests.append(workspace.reconcile().requests)
    assert workspace.wrong("time_entries") == []
    # What 14 nights have changed is seven pages.
    assert sorted(requests)[len(requests) // 2] <= 4
    assert max(requests) <= 6


def test_what_a_reconciliation_does_is_measured(build):
    workspace: Workspace = build(entries=200, days=60)
    workspace.pull()
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=1, n=5, kinds=["delete_entry"])
    with recording() as recorder:
        summary = workspace.reconcile()
    found: dict[str, float] = {}
    for tags, value in recorder.of(metrics.DIFFERENCES):
        found[tags["result"]] = found.get(tags["result"], 0) + value
    expected = {"added": summary.added, "edited": summary.edited, "deleted": summary.deleted}
    expected["unverified"] = sum(summary.unverified.values())
    assert found == {result: number for result, number in expected.items() if number}
    assert found["deleted"] == 5
    absent = [value for tags, value in recorder.of(metrics.LOADED_ROWS) if tags["result"] == "absent"]
    assert sum(absent) == 5
    assert sum(value for _, value in recorder.of(metrics.COMPARED_DAYS)) >= 60
    assert len(recorder.of(metrics.WATERMARK)) == 1


def test_a_warehouse_without_loads_is_read_completely_from_a_given_day(build):
    workspace: Workspace = build(entries=100, days=60)
    with pytest.raises(ConfigurationError, match="Load them "):
        workspace.reconcile()
    summary = workspace.reconcile(since=since(61))
    assert summary.added == 100
    assert workspace.wrong("time_entries") == []


def test_planned_entries_are_verified_too(build, gives_ids: bool):
    workspace: Workspace = build(entries=60, days=30, summary_gives_ids=gives_ids, plan="premium")
    world = workspace.toggl.world
    planned = [entry for entry in world.time_entries.values() if entry.stop is not None and entry.duration > 0][:4]
    for number, entry in enumerate(planned):
        fields = {"start": entry.start + (100 + number) * DAY, "stop": entry.stop + (100 + number) * DAY}
        world.change(entry, fields, world.owner)
    workspace.pull()
    workspace.toggl.advance(10)
    world.mark_deleted(planned[0], world.owner)
    summary = workspace.reconcile()
    assert (summary.windows, summary.deleted) == (2, 1)
    assert workspace.wrong("time_entries") == []


def test_a_range_that_toggl_refuses_is_asked_for_in_shorter_ones(build, gives_ids: bool):
    settings = {"report_range_days": 31, "report_range_counts": "inclusive", "summary_gives_ids": gives_ids}
    workspace: Workspace = build(entries=150, days=80, plan="premium", **settings)
    workspace.pull(since=since(82))
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=1, n=12, kinds=["delete_entry", "late_edit"])
    summary = workspace.reconcile()
    assert summary.windows == 3
    assert workspace.wrong("time_entries") == []


def test_a_run_that_failed_goes_on_where_it_was(build):
    workspace: Workspace = build(entries=200, days=900, plan="premium")
    workspace.pull()
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=1, n=9, kinds=["delete_entry"])
    started = workspace.now()
    sums: list[str] = []

    def fail_at_third(call: Any) -> None:
        if "/summary/" in call.path:
            sums.append(call.payload["start_date"])
            if len(sums) == 3:
                raise AccessDenied("ordered by the test", status=403)

    with pytest.raises(AccessDenied):
        workspace.reconcile(run_started=started, before_call=fail_at_third)
    workspace.reconcile(run_started=started, before_call=fail_at_third)
    assert len(sums) == len(set(sums)) + 1
    assert sums.count(sums[2]) == 2
    assert workspace.wrong("time_entries") == []


def test_the_state_of_reconciliation_is_stored_beside_the_pull_s(build):
    workspace: Workspace = build(entries=60, days=30)
    workspace.pull()
    before = workspace.state()
    summary = workspace.reconcile()
    state = workspace.state(scope=f"{workspace.id}/reconcile")
    assert state is not None
    assert state["watermark"].isoformat().replace("+00:00", "Z") == summary.watermark
    (proof,) = json.loads(state["cursor"])["verified"]
    assert (proof["entries"], proof["by_ids"], proof["unverified"]) == (60, True, {})
    assert state["requests_spent"] == summary.requests
    assert workspace.state() == before


def test_other_processes_can_use_the_warehouse_during_each_request(build):
    workspace: Workspace = build(entries=60, days=30, plan="premium")
    workspace.pull()
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=1, n=2, kinds=["delete_entry"])
    paths: list[str] = []

    def before_call(call: Any) -> None:
        paths.append(call.path.rpartition("/")[2])
        with build_duckdb_warehouse(workspace.path, lock_timeout=0) as other:
            assert other.counts()["time_entries"] > 0

    request = ReconcileRequest(workspace.id, workspace.now())
    with build_duckdb_warehouse(workspace.path, lock_timeout=0.2, hold_seconds=0) as target:
        session = workspace.session(before_call=before_call)
        assert Reconcile(session, target, request, clock=workspace.clock).run().deleted == 2
        with build_duckdb_warehouse(workspace.path, lock_timeout=0) as other:
            assert other.counts()["time_entries"] == 60
    assert {"me", "time_entries", str(workspace.id)} <= set(paths)


def test_the_summary_line_says_what_was_verified_and_what_not(build, caplog: pytest.LogCaptureFixture):
    summary = ReconcileSummary(7, "2026-01-01", "2026-11-23", 103_411, deleted=5, edited=2, requests=12, by_ids=True)
    assert str(summary) == "2026-01-01 to 2026-11-23: 103,411 entries, 5 deleted, 2 edited, 12 requests."
    summary.unverified = {"too new": 3}
    assert str(summary).endswith("12 requests. Not verified: 3 (too new).")
    assert "no differences" in str(ReconcileSummary(7, "2026-01-01", "2026-11-23", 5))
    assert list_ids(range(30)).endswith("18, 19, and 10 more")
    caplog.set_level(logging.INFO)
    workspace = build(entries=20, days=10)
    workspace.pull()
    workspace.reconcile()
    assert [r for r in caplog.records if r.getMessage().startswith(f"Time entries of workspace {workspace.id}, 2026")]


@pytest.mark.parametrize(
    "options",
    [
        *({"workspace_id": 0}, {"page_size": 0}, {"lag": -DAY}, {"overlap": -DAY}),
        *({"rules": DeletionRules(absent_share=share)} for share in (-0.1, 1.1)),
        {"rules": DeletionRules(absent_rows=-1)},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options: dict[str, Any]):
    ReconcileRequest(7, datetime.now(timezone.utc), rules=DeletionRules(absent_share=1.0, absent_rows=0))
    with pytest.raises(ConfigurationError, match=r"workspace_id|page_size|report_lag|overlap|absent_share"):
        ReconcileRequest(**{"workspace_id": 7, "run_started": datetime.now(timezone.utc), **options})


def test_a_summary_adds_up_what_its_windows_could_not_verify() -> None:
    first, moment = date(2026, 3, 1), datetime(2026, 3, 9, tzinfo=timezone.utc)
    windows = [
        VerifiedWindow(first + n * DAY, first + n * DAY, moment, moment, 10, n == 0, {"changing": 2, "other": n})
        for n in range(2)
    ]
    summary = ReconcileSummary(1)
    summary.set_windows(windows)
    assert summary.unverified == {"changing": 4, "other": 1}
    assert (summary.first, summary.last, summary.entries, summary.windows) == ("2026-03-01", "2026-03-02", 20, 2)
    assert summary.by_ids is None
    summary.set_windows(windows[:1])
    assert (summary.unverified, summary.by_ids) == ({"changing": 2, "other": 0}, True)
