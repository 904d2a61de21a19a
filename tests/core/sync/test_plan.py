from __future__ import annotations

import json
from datetime import timedelta

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.core.sync.plan import LoadPlan, build_plan, format_hours

LISTS = sum(stream.listing not in ("report", "histories") for stream in STREAMS.values())


def plan(workspace: Workspace, *, with_warehouse: bool = False, session=None, **options) -> LoadPlan:
    session = session or workspace.session()
    if not with_warehouse:
        return build_plan(session, workspace.id, clock=workspace.clock, **options)
    with build_duckdb_warehouse(workspace.path) as target:
        return build_plan(session, workspace.id, target=target, clock=workspace.clock, **options)


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=1500, days=900, seed=4)


@pytest.mark.parametrize("gives_ids", [True, False], ids=["with ids", "without ids"])
def test_the_planned_requests_are_those_that_the_load_takes(workspace: Workspace, gives_ids: bool):
    workspace.toggl.set(summary_gives_ids=gives_ids)
    session = workspace.session()
    planned = plan(workspace, session=session, page_size=100)
    workspace.toggl.reset_requests()
    for stream in STREAMS:
        workspace.pull(stream, session=session, **({"page_size": 100} if stream == "time_entries" else {}))
    spent = workspace.toggl.requests()["total"]
    assert planned.exact is gives_ids
    if gives_ids:
        assert planned.streams["time_entries"].requests == len(workspace.pages())
        assert planned.rows == 1500
        # The refusals of goals and audit log are checked by one request more each.
        assert planned.requests == spent - 2
    else:
        assert planned.rows == pytest.approx(1500, rel=0.15)
        assert planned.requests == pytest.approx(spent, rel=0.15)


@pytest.mark.parametrize(("gives_ids", "a_year"), [(True, 1), (False, 2)], ids=["with ids", "without ids"])
def test_a_plan_takes_a_request_or_two_for_each_year_and_few_more(workspace: Workspace, gives_ids: bool, a_year: int):
    workspace.toggl.set(summary_gives_ids=gives_ids)
    planned = plan(workspace, page_size=100)
    years = 3
    log = workspace.toggl.requests()
    assert planned.asked == log["total"]
    assert log["by_lane"]["user"] == 1
    assert log["by_lane"]["organization"] <= 3 + a_year * years
    assert log["by_lane"]["organization"] <= 2 + 2 * years
    assert planned.each_reconciliation == 3 * years
    assert planned.each_run == years + LISTS


def test_a_night_of_all_streams_for_40_people_and_200_projects_takes_25_requests_at_most(build):
    workspace = build(entries=400, users=40, projects=200, plan="premium")
    for stream in STREAMS:
        workspace.pull(stream)
    workspace.toggl.mutate(seed=1, n=50)
    session = workspace.session()
    workspace.toggl.reset_requests()
    for stream in STREAMS:
        workspace.pull(stream, session=session)
    assert workspace.toggl.requests()["total"] <= 25
    planned = plan(workspace, with_warehouse=True, session=session)
    assert planned.each_run <= 25


def test_since_ends_the_history_of_a_plan(workspace: Workspace):
    since = workspace.toggl.world.now().date() - timedelta(days=100)
    planned = plan(workspace, since=since)
    assert planned.asked <= 4
    assert min(part.first for part in planned.parts) == since
    assert planned.rows < 300


def test_a_since_that_is_none_is_refused_before_anything_is_asked(workspace: Workspace):
    with pytest.raises(ConfigurationError, match="since"):
        plan(workspace, since="soon")
    assert workspace.calls() == []


def test_only_what_is_missing_in_the_warehouse_is_planned(workspace: Workspace):
    def stop_at_the_ninth(call: object, calls: list[object] = []) -> None:  # noqa: B006 - counts
        calls.append(call)
        if len(calls) > 8:
            raise AccessDenied("ordered by the test", status=403)

    whole = plan(workspace, page_size=100)
    with pytest.raises(AccessDenied):
        workspace.pull(page_size=100, before_call=stop_at_the_ninth)
    rest = plan(workspace, with_warehouse=True, page_size=100)
    loaded = workspace.rows("SELECT count(*) AS n FROM toggl.time_entries")[0]["n"]
    assert rest.rows == 1500 - loaded
    assert rest.streams["time_entries"].requests == whole.streams["time_entries"].requests - 8


def test_of_a_warehouse_that_is_complete_nothing_is_left_to_load(workspace: Workspace):
    for stream in STREAMS:
        workspace.pull(stream)
    planned = plan(workspace, with_warehouse=True)
    assert (planned.requests, planned.rows, planned.asked) == (0, 0, 1)
    assert planned.each_run == 3 + LISTS


def test_what_others_used_of_the_quota_is_not_spare(build):
    workspace = build(entries=50, quota_enforced=True, plan="starter")
    stranger = workspace.session(book=RateLimitState(None, "elsewhere"))
    for _ in range(10):
        stranger.request("GET", f"/api/v9/workspaces/{workspace.id}")
    session = workspace.session()
    session.reserve = 5
    planned = plan(workspace, session=session)
    assert (planned.total, planned.by_others) == (240, 10)
    assert planned.an_hour == 240 - 5 - 10
    # What was asked of the user's lane is none of this one's.
    assert planned.spare == 240 - 5 - 10 - (planned.asked - 1)


def test_where_the_user_s_quota_is_used_up_a_plan_uses_the_last_known_window(build):
    workspace = build(entries=50, quota_enforced=True, plan="starter")
    session = workspace.session()
    for _ in range(30):
        session.request("GET", "/api/v9/me")
    planned = plan(workspace, session=session)
    assert planned.rows == 50
    assert planned.total is not None


def test_a_token_of_several_organizations_asks_for_the_workspace_s(workspace: Workspace):
    session = workspace.session()
    lanes = session.read_quota()
    session.read_quota = lambda: {**lanes, "organization:77": lanes["user"]}  # type: ignore[method-assign]
    assert plan(workspace, session=session).lane == f"organization:{workspace.toggl.world.organization.id}"


def test_a_plan_has_the_hours_on_each_of_toggl_s_plans_and_here(build):
    workspace = build(entries=500, quota_enforced=True, plan="free", days=200)
    workspace.toggl.set(largest_page_size=10)
    session = workspace.session()
    session.reserve = 2
    planned = plan(workspace, session=session)
    assert planned.page_size == 10
    # 50 pages, a year without entries, the days ahead, and the lists, in windows of 28.
    assert planned.requests == 52 + LISTS
    assert planned.hours["Free"] == pytest.approx(2.0, abs=0.02)
    assert planned.hours["Starter"] < 0.1
    assert planned.hours_here == pytest.approx(2.0, abs=0.1)
    in_hours = (planned.ends_at - utc(workspace.toggl.world.now().timestamp())) / timedelta(hours=1)
    assert in_hours == pytest.approx(2.0, abs=0.1)


def test_a_plan_is_json(workspace: Workspace):
    decoded = json.loads(json.dumps(plan(workspace).as_dict()))
    assert decoded["rows"] == 1500
    assert decoded["streams"].keys() == STREAMS.keys()
    assert decoded["ends_at"].endswith("Z")


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.001, "1 min"), (1.2, "72 min"), (1.5, "1.5 h"), (4.25, "4.2 h"), (26.2, "26 h"), (96, "4.0 days")],
)
def test_hours_are_formatted_in_their_largest_sensible_unit(hours: float, words: str):
    assert format_hours(hours) == words
