from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.sync.entry_counts import EntriesCounter

DAY = timedelta(days=1)


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=900, days=200, seed=4, report_includes_running=False)


def last_days(workspace: Workspace, days: int) -> Window:
    today = workspace.toggl.world.now().date()
    return Window(today - days * DAY, today + DAY)


def counter(workspace: Workspace, page_size: int = 100) -> EntriesCounter:
    return EntriesCounter(workspace.session(), workspace.id, page_size)


def test_a_year_is_counted_exactly_by_one_request_and_one_more_for_the_page(workspace: Workspace):
    asked = counter(workspace)
    live = [one for one in workspace.toggl.truth("time_entries") if not one["deleted_at"] and not one["running"]]
    found = asked.count(last_days(workspace, 300))
    assert (found.rows, found.exact) == (len(live), True)
    assert found.projects == {one["project_id"] for one in live} - {None}
    assert len(workspace.calls()) == 2
    asked.count(last_days(workspace, 100))
    assert len(workspace.calls()) == 3


def test_where_no_ids_are_given_the_number_is_estimated(workspace: Workspace):
    workspace.toggl.set(summary_gives_ids=False)
    for entry in list(workspace.toggl.world.time_entries.values())[::2]:
        entry.stop, entry.duration = entry.start, 0
    found = counter(workspace, page_size=300).count(last_days(workspace, 300))
    assert not found.exact
    assert found.rows == pytest.approx(900, rel=0.15)
    assert len(workspace.calls()) == 2


def test_a_year_that_fits_into_one_page_is_counted_by_that(workspace: Workspace):
    workspace.toggl.set(summary_gives_ids=False)
    found = counter(workspace, page_size=1000).count(last_days(workspace, 300))
    assert found.exact
    assert 895 <= found.rows <= 900


def test_days_without_entries_have_none(workspace: Workspace):
    today = workspace.toggl.world.now().date()
    found = counter(workspace).count(Window(today - 900 * DAY, today - 600 * DAY))
    assert (found.rows, found.exact) == (0, True)
    assert len(workspace.calls()) == 1


def test_the_page_that_toggl_gives_is_learned(workspace: Workspace):
    workspace.toggl.set(largest_page_size=40)
    asked = counter(workspace)
    asked.count(last_days(workspace, 300))
    assert asked.page_size == 40


def test_the_page_that_toggl_gives_is_learned_from_the_next_row_where_its_size_is_not_named(workspace: Workspace):
    workspace.toggl.set(largest_page_size=40)
    asked = counter(workspace)
    request = asked._session.request

    def request_unnamed(*call: Any, **options: Any) -> TogglResponse:
        found = request(*call, **options)
        return replace(found, headers={name: found.headers[name] for name in found.headers if name != "x-page-size"})

    asked._session.request = request_unnamed  # type: ignore[method-assign]
    asked.count(last_days(workspace, 300))
    assert asked.page_size == 40


def test_a_shorter_range_is_learned_from_a_refusal(workspace: Workspace):
    workspace.toggl.set(report_range_days=90)
    asked = counter(workspace)
    found = asked.count(last_days(workspace, 300))
    assert 895 <= found.rows <= 900
    assert asked.span_days == 90


def test_an_answer_of_another_shape_than_documented_is_an_error(workspace: Workspace):
    workspace.toggl.fault("not_json", times=1, match={"path": "summary"})
    with pytest.raises(MalformedAnswer, match=r"summary.*not the documented report"):
        counter(workspace).count(last_days(workspace, 300))
