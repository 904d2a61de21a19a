from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from support.pulls import Workspace
from support.repository import ROOT

from airflow_provider_toggl.core.extract.audit_log import FIRST_REQUESTS, KEPT, LAG
from airflow_provider_toggl.core.instants import parse_instant


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=20, plan="premium")


def spans_of(workspace: Workspace) -> list[tuple[Any, Any]]:
    paths = [call["path"].split("/")[-2:] for call in workspace.calls("/audit_logs/")]
    return [(parse_instant(begin), parse_instant(end)) for begin, end in paths]


def test_the_first_load_reads_all_that_toggl_keeps_in_adjacent_spans(workspace: Workspace) -> None:
    summary = workspace.pull("audit_log")
    spans = spans_of(workspace)
    assert len(spans) == FIRST_REQUESTS
    overlaps = {end - begin for (_, end), (begin, _) in pairwise(spans)}
    assert overlaps == {timedelta(seconds=1)}
    assert spans[-1][1] - spans[0][0] == KEPT + timedelta(seconds=1)
    assert summary.inserted == len(workspace.toggl.truth("audit_log"))
    assert workspace.wrong("audit_log") == []


def test_a_later_run_takes_one_request_and_reads_the_last_hour_again(workspace: Workspace) -> None:
    workspace.pull("audit_log")
    read_up_to = spans_of(workspace)[-1][1]
    workspace.toggl.mutate(seed=4, n=8, kinds=["create_project", "delete_tag", "delete_entry"])
    workspace.toggl.advance(7200)
    workspace.clock.ahead += 7200
    summary = workspace.pull("audit_log")
    assert summary.inserted > 0
    assert workspace.wrong("audit_log") == []
    (*_, (begin, end)) = spans = spans_of(workspace)
    assert len(spans) == FIRST_REQUESTS + 1
    assert abs(read_up_to - LAG - begin) <= timedelta(seconds=90)
    assert end - begin > LAG


class Killed(Exception):
    """The worker ends."""


def test_a_first_load_that_stops_goes_on_with_the_span_after_the_last_one(workspace: Workspace) -> None:
    def stop(_: Any) -> None:
        if len(spans_of(workspace)) == 3:
            raise Killed

    with pytest.raises(Killed):
        workspace.pull("audit_log", before_call=stop)
    assert workspace.state("audit_log")["watermark"] is None
    assert workspace.pull("audit_log").watermark is not None
    # One more request reads what happened since the first run began.
    spans = spans_of(workspace)
    assert len({begin for begin, _ in spans}) == len(spans) == FIRST_REQUESTS + 1
    assert workspace.wrong("audit_log") == []


def test_records_stay_when_toggl_keeps_them_no_longer(workspace: Workspace) -> None:
    workspace.pull("audit_log")
    kept = workspace.content("audit_log")
    workspace.toggl.advance(KEPT.total_seconds())
    workspace.clock.ahead += KEPT.total_seconds()
    workspace.pull("audit_log", incremental=False)
    assert workspace.content("audit_log") == kept


def test_a_record_with_its_time_under_another_key_is_kept_whole(workspace: Workspace) -> None:
    workspace.toggl.set(audit_log_time="at")
    workspace.pull("audit_log")
    for row in workspace.content("audit_log"):
        assert row["created_at"] is not None
        assert '"at": ' in row["record"]


def test_a_plan_without_the_log_is_skipped(workspace: Workspace) -> None:
    workspace.toggl.set(plan="starter")
    summary = workspace.pull("audit_log")
    assert "audit_log needs a plan with the audit log" in summary.skipped
    assert (summary.rows, summary.requests) == (0, 3)


def test_who_deleted_which_entry_is_in_the_log_unless_it_was_the_entry_s_own_user(workspace: Workspace) -> None:
    workspace.pull("audit_log")
    deleted = workspace.toggl.mutate(seed=1, n=10, kinds=["delete_entry"])
    entries = {row["id"]: row["user_id"] for row in workspace.toggl.truth("time_entries")}
    workspace.pull("audit_log")
    workspace.pull("users")
    found = workspace.rows((ROOT / "docs" / "examples" / "who_deleted_an_entry.sql").read_text())
    owner = workspace.toggl.world.owner
    assert {row["time_entry_id"] for row in found} == {one["id"] for one in deleted if entries[one["id"]] != owner.id}
    assert {row["deleted_by"] for row in found} == {owner.fullname}
