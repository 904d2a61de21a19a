from __future__ import annotations

from datetime import timedelta

import pytest
from support.fakes import START, fake_session
from support.pulls import Workspace

from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.cursor import HistoriesCursor
from airflow_provider_toggl.core.extract.histories import Histories, HistoriesReader
from airflow_provider_toggl.core.streams import get_stream


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_watermark_is_when_the_lists_were_read_and_never_moves_back(days: int) -> None:
    read_up_to = utc(START)
    watermark = read_up_to + timedelta(days=days)
    session, _, clock = fake_session(lambda call: pytest.fail(f"{call.path} was requested"))
    reader = HistoriesReader(
        session,
        get_stream("timesheet_history"),
        7,
        Histories(read_up_to={"timesheets": read_up_to}),
        HistoriesCursor(),
        run_started=read_up_to,
        watermark=watermark,
        clock=clock,
    )
    (page,) = reader.pages()
    assert page.watermark == max(read_up_to, watermark)


@pytest.fixture
def workspace(build) -> Workspace:
    workspace = build(entries=10, plan="premium", users=3)
    workspace.pull("timesheets")
    return workspace


def test_an_answer_that_is_no_list_is_asked_for_once_more_and_not_loaded(workspace: Workspace) -> None:
    workspace.toggl.fault("status", status=200, body={"id": 1}, match={"path": "/history$"}, times=None)
    with pytest.raises(MalformedAnswer, match="the answer is no list of objects"):
        workspace.pull("timesheet_history")
    assert len(workspace.calls("/history")) == 2
    assert workspace.content("timesheet_history") == []


def test_histories_that_the_plan_no_longer_has_are_skipped_and_read_once_it_has_them(workspace: Workspace) -> None:
    workspace.toggl.set(plan="starter")
    assert workspace.pull("timesheet_history").skipped.startswith(
        "timesheet_history is not part of the workspace's plan."
    )
    workspace.toggl.set(plan="premium")
    assert workspace.pull("timesheet_history", incremental=False).skipped == ""
    assert workspace.wrong("timesheet_history") == []
