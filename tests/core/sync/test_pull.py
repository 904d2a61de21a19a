from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any
from unittest.mock import Mock

import pytest
from support.fakes import answer, fake_session, replies
from support.metrics import recording
from support.pulls import STREAMS, Workspace
from support.sandboxes import NOON
from support.truth import truth

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import AbsenceRefused, AccessDenied, ConfigurationError, QuotaExhausted
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest, PullSummary

TODAY = NOON.date()
DAY = timedelta(days=1)


def fail_from_page(number: int) -> Any:
    """Return what lets a run fail when it asks for that page, from 1."""
    asked = 0

    def before_call(call: Any) -> None:
        nonlocal asked
        asked += 1
        if asked >= number:
            raise AccessDenied("ordered by the test", status=403)

    return before_call


def edit(workspace: Workspace, entry_id: int, description: str) -> None:
    """Change an entry as its owner would, now."""
    world = workspace.toggl.world
    world.change(world.time_entries[entry_id], {"description": description}, world.owner)


def entries_by_start(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the live entries, oldest first."""
    live = [row for row in truth(workspace.toggl.url, "time_entries").values() if not row["deleted_at"]]
    return sorted(live, key=lambda row: (row["start"], row["id"]))


# -- a first load ------------------------------------------------------------------------------------------------------


def test_a_first_load_brings_the_whole_workspace(workspace: Workspace):
    summaries = workspace.pull_all(page_size=50)
    assert workspace.wrong() == []
    assert {name: summary.rows for name, summary in summaries.items()}["time_entries"] == 240
    assert all(summary.inserted == summary.rows for summary in summaries.values())
    before = {stream: workspace.content(stream) for stream in STREAMS}
    summaries = workspace.pull_all()
    assert {stream: workspace.content(stream) for stream in STREAMS} == before
    assert all(summary.inserted == summary.absent == summary.rejected == 0 for summary in summaries.values())


def test_what_a_pull_does_is_measured_and_its_lines_have_fields(workspace: Workspace, caplog: pytest.LogCaptureFixture):
    with recording() as recorder, caplog.at_level(logging.INFO):
        summary = workspace.pull(page_size=50)
    by = {"by": "pull", "stream": "time_entries"}
    loaded = recorder.of(metrics.LOADED_ROWS)
    assert {tags["result"] for tags, _ in loaded} == {"inserted"}
    assert sum(value for _, value in loaded) == 240
    assert len(recorder.of(metrics.PAGES)) == len(recorder.of(metrics.LOAD_TIME)) == summary.pages
    assert recorder.of(metrics.RUN_REQUESTS) == [(by, summary.requests)]
    assert sum(value for _, value in recorder.of(metrics.REQUESTS)) == summary.requests
    ((tags, mark),) = recorder.of(metrics.WATERMARK)
    assert tags == {**by, "workspace": str(summary.workspace_id), "warehouse": ""}
    assert datetime.fromtimestamp(mark, timezone.utc) == parse_instant(str(summary.watermark))
    last = caplog.records[-1]
    assert (vars(last)["rows"], vars(last)["stream"], vars(last)["by"]) == (240, "time_entries", "pull")


def test_rows_are_asked_for_unrounded_with_amounts_and_one_by_one(workspace: Workspace):
    workspace.pull()
    for page in workspace.pages():
        asked = {name: page[name] for name in ("rounding", "rounding_minutes", "grouped", "hide_amounts")}
        assert asked == {"rounding": 0, "rounding_minutes": 0, "grouped": False, "hide_amounts": False}


def test_the_watermark_is_not_reported_before_the_whole_history_is_read(build):
    workspace = build(entries=200, days=900)
    with pytest.raises(AccessDenied):
        workspace.pull(before_call=fail_from_page(3))
    assert workspace.state()["watermark"] is None
    assert workspace.pull().watermark is not None


# -- later runs --------------------------------------------------------------------------------------------------------


def test_one_run_after_500_changes_of_every_kind_ends_with_the_truth(build):
    workspace = build(seed=1, entries=400)
    workspace.pull_all()
    workspace.toggl.advance(3600)
    assert len(workspace.toggl.mutate(seed=1, n=500)) == 500
    workspace.pull_all(page_size=200)
    assert workspace.wrong(with_deletions=False) == []


def test_a_first_load_and_a_run_after_scattered_changes_take_few_requests(build):
    workspace = build(entries=2_000, days=365)
    assert workspace.pull_all()["time_entries"].requests <= 5
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=5, n=100)
    summaries = workspace.pull_all()
    assert summaries["time_entries"].requests <= 3
    assert sum(summary.requests for summary in summaries.values()) <= 11
    assert workspace.wrong(with_deletions=False) == []


def test_an_edit_of_an_entry_of_three_years_ago_is_found_by_one_run(build):
    workspace = build(entries=300, days=1090)
    workspace.pull(since=TODAY - 1090 * DAY)
    workspace.toggl.advance(3600)
    edit(workspace, entries_by_start(workspace)[3]["id"], "found after three years")
    workspace.toggl.reset_requests()
    assert workspace.pull().requests <= 3
    assert workspace.wrong("time_entries") == []


def test_entries_that_are_moved_between_the_years_are_found(build):
    workspace = build(entries=150, days=700)
    workspace.pull(since=TODAY - 720 * DAY)
    workspace.toggl.advance(3600)
    world, rows = workspace.toggl.world, entries_by_start(workspace)
    year = timedelta(days=366)
    for row in [row for row in rows[:20] if row["stop"]]:
        entry = world.time_entries[row["id"]]
        world.change(entry, {"start": entry.start + year, "stop": entry.stop + year}, world.owner)
    workspace.pull()
    assert workspace.wrong("time_entries") == []


# -- interrupted runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 3, 6])
def test_a_run_that_fails_at_any_page_goes_on_there(workspace: Workspace, page: int):
    started = workspace.now()
    with pytest.raises(AccessDenied):
        workspace.pull(page_size=60, run_started=started, before_call=fail_from_page(page))
    assert len(workspace.content()) == min(60 * (page - 1), 240)
    workspace.pull(page_size=60, run_started=started)
    assert workspace.wrong("time_entries") == []
    asked = [(page["start_date"], page["first_row_number"]) for page in workspace.pages()]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("page", [2, 5])
def test_a_new_run_after_a_broken_first_load_brings_what_changed_meanwhile(workspace: Workspace, page: int):
    with pytest.raises(AccessDenied):
        workspace.pull(page_size=60, before_call=fail_from_page(page))
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=page, n=60)
    workspace.pull(page_size=60)
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize("stream", ["projects", "tags"])
def test_a_new_run_after_a_broken_list_brings_what_changed_meanwhile(build, stream: str):
    workspace = build(entries=20, projects=450, tags=450, tasks=450)
    with pytest.raises(AccessDenied):
        workspace.pull(stream, before_call=fail_from_page(3))
    assert len(workspace.content(stream)) == 400
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=3, n=40, kinds=[f"rename_{stream[:-1]}", f"create_{stream[:-1]}"])
    workspace.pull(stream)
    assert workspace.wrong(stream) == []


def test_a_used_up_quota_is_known_before_a_request_is_wasted_and_pages_stay(build):
    workspace = build(entries=300, quota_enforced=True, organization_quota=4, quota_window_seconds=600)
    session = workspace.session()
    with pytest.raises(QuotaExhausted) as caught:
        workspace.pull(page_size=50, session=session)
    assert caught.value.known_before
    assert len(workspace.content()) == 200
    assert workspace.toggl.requests()["by_status"] == {"200": 4}
    workspace.toggl.advance(601)
    workspace.toggl.set(organization_quota=100)
    workspace.pull(page_size=50)
    assert workspace.wrong("time_entries") == []


def test_a_quota_that_slides_is_waited_for_again_and_again_and_never_overdrawn(build):
    quota = {"quota_enforced": True, "quota_kind": "sliding", "organization_quota": 3, "quota_window_seconds": 90}
    workspace: Workspace = build(**quota)
    started, waits = workspace.now(), 0
    while waits < 20:
        try:
            workspace.pull(page_size=30, run_started=started)
            break
        except QuotaExhausted as error:
            waits += 1
            left = error.resets_at - workspace.now()
            # The other end's clock is moved on, and this host's book is a new one each time.
            workspace.toggl.advance(left.total_seconds())
    assert workspace.wrong("time_entries") == []
    assert 2 <= waits <= 8
    assert workspace.toggl.requests()["by_status"] == {"200": 10}


@pytest.mark.parametrize("stream", ["time_entries", "tags"])
def test_a_run_that_was_started_by_a_clock_ahead_of_ours_ends(workspace: Workspace, stream: str):
    started = workspace.now() + timedelta(seconds=40)
    assert workspace.pull(stream, run_started=started).requests <= 3
    assert workspace.pull(stream, run_started=started).requests == 0
    assert workspace.wrong(stream) == []


def test_a_try_that_did_not_wait_reads_again_what_it_has_read_before(workspace: Workspace):
    for _ in range(2):
        assert workspace.pull("tags", attempt_key="attempt").requests == 1


# -- fixed ranges ------------------------------------------------------------------------------------------------------


def test_a_fixed_range_brings_its_days_and_moves_no_watermark(workspace: Workspace):
    workspace.pull()
    before = workspace.state()
    first, last = TODAY - 30 * DAY, TODAY - 10 * DAY
    workspace.toggl.reset_requests()
    summary = workspace.pull(incremental=False, since=first, until=last)
    assert [(page["start_date"], page["end_date"]) for page in workspace.pages()] == [(str(first), str(last))]
    assert summary.rows > 0
    assert workspace.state() == before


def test_a_fixed_range_up_to_today_goes_on_after_midnight(workspace: Workspace):
    started = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=timezone.utc) - timedelta(seconds=1)
    days = {"incremental": False, "since": TODAY - 70 * DAY, "run_started": started, "page_size": 60}
    with pytest.raises(AccessDenied):
        workspace.pull(**days, before_call=fail_from_page(3))
    workspace.pull(**days)
    (state,) = workspace.rows("SELECT scope FROM toggl.sync_state")
    # The run's own tomorrow, not that of whichever part of it reads on.
    assert state["scope"].endswith(f"..{TODAY}")


def test_until_as_a_moment_has_the_day_of_every_zone(workspace: Workspace):
    moment = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=timezone.utc) - 10 * DAY
    workspace.pull(incremental=False, since=TODAY - 30 * DAY, until=moment)
    assert workspace.pages()[-1]["end_date"] == (moment.date() + DAY).isoformat()


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_is_read_whole_again_when_that_is_asked_for(workspace: Workspace):
    rows = workspace.pull("projects").rows
    workspace.toggl.advance(3600)
    assert workspace.pull("projects", incremental=False).rows == rows


def test_a_deleted_tag_is_marked_and_one_that_comes_back_is_live(workspace: Workspace):
    workspace.pull("tags")
    world = workspace.toggl.world
    tag = next(iter(world.tags.values()))
    workspace.toggl.advance(60)
    world.mark_deleted(tag)
    assert workspace.pull("tags").absent == 1
    assert workspace.wrong("tags") == []
    workspace.toggl.advance(60)
    world.change(tag, {"deleted_at": None})
    workspace.pull("tags")
    assert workspace.wrong("tags") == []


def test_a_list_that_lacks_too_many_rows_at_once_is_an_error_until_the_limit_is_raised(build):
    workspace = build(tags=60)
    workspace.pull("tags")
    tags = iter(list(workspace.toggl.world.tags.values()))

    def delete(number: int) -> None:
        workspace.toggl.advance(60)
        for tag in islice(tags, number):
            workspace.toggl.world.mark_deleted(tag)

    delete(20)
    assert workspace.pull("tags").absent == 20
    before = workspace.content("tags"), workspace.state("tags")
    delete(21)
    with pytest.raises(AbsenceRefused):
        workspace.pull("tags")
    assert (workspace.content("tags"), workspace.state("tags")) == before
    assert workspace.pull("tags", absent_share=1.0).absent == 21
    assert workspace.wrong("tags") == []


# -- summary and log ---------------------------------------------------------------------------------------------------


def test_the_summary_is_what_xcom_can_hold_and_says_what_was_done(workspace: Workspace):
    begun = workspace.clock.now()
    summary = workspace.pull(page_size=100)
    assert 0 < summary.seconds <= workspace.clock.now() - begun + 0.001
    decoded = json.loads(json.dumps(summary.as_dict()))
    assert decoded == summary.as_dict()
    assert decoded["stream"] == "time_entries"
    assert decoded["workspace_id"] == workspace.id
    assert (decoded["rows"], decoded["inserted"], decoded["updated"], decoded["rejected"]) == (240, 240, 0, 0)
    assert decoded["requests"] == decoded["pages"] == len(workspace.pages())
    assert decoded["watermark"].endswith("Z")
    assert decoded["deferrals"] == 0
    assert str(summary).startswith(f"time_entries of workspace {workspace.id}: 240 rows in {decoded['pages']} pages; ")


def test_a_summary_goes_on_counting_after_a_wait(workspace: Workspace):
    started, summary = workspace.now(), PullSummary("time_entries", workspace.id)
    with pytest.raises(AccessDenied):
        workspace.pull(page_size=60, run_started=started, summary=summary, before_call=fail_from_page(3))
    assert (summary.rows, summary.pages, summary.requests) == (120, 2, 3)
    assert "first load not finished" in str(summary)
    kept = PullSummary(**json.loads(json.dumps(summary.as_dict())))
    assert workspace.pull(page_size=60, run_started=started, summary=kept).rows == 240


def new_pull(**counts: int) -> Pull:
    """Return a pull of a list, after an earlier part with these counts."""
    session, _, _ = fake_session(replies(answer()))
    return Pull(
        session, Mock(), PullRequest("projects", 7, NOON), summary=PullSummary("projects", 7, **counts), loader=Mock()
    )


@pytest.mark.parametrize("count", ["inserted", "updated", "absent", "unchanged"])
def test_a_list_that_changed_before_a_wait_has_changed_after_it(count: str):
    assert new_pull(**{count: 1}).changes.has_changed(7, "projects") is (count != "unchanged")


@pytest.mark.parametrize(
    ("shares", "left"),
    [((), 1), ((0.1,), 1), ((0.1, 0.2), 8), ((0.1, 0.2, 1.0, 0.1, 0.2), 8)],
    ids=["nothing is read", "a page is read", "pages are read", "it is read once more"],
)
def test_the_pages_that_are_left_of_a_list_are_estimated_from_those_that_were_read(shares: list[float], left: int):
    pull = new_pull()
    for share in shares:
        pull._pace = pull._pace.after(Page("projects", b"[]", 0, NOON, None, "{}", 1, where="all", share=share))
    assert pull.estimate().requests == left


def test_the_log_says_the_cost_before_the_progress_and_the_end(build, caplog: pytest.LogCaptureFixture):
    workspace = build(quota_enforced=True)
    workspace.pull("tags")
    caplog.set_level(logging.INFO, "airflow_provider_toggl.core.sync.pull")
    caplog.clear()
    workspace.pull()
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("core.sync.pull")]
    assert "about" in lines[0]
    assert "requests" in lines[0]
    assert "240 rows in 1 page" in lines[1]
    assert "requests left" in lines[1]
    (first, *_) = (vars(record) for record in caplog.records if "in 1 page" in record.getMessage())
    assert (first["requests"], first["pages"]) == (1, 1)
    assert first["seconds"] >= 0
    assert lines[-1].startswith(f"time_entries of workspace {workspace.id}: ")


def test_unexpected_durations_are_counted_and_reported(workspace: Workspace, caplog: pytest.LogCaptureFixture):
    world = workspace.toggl.world
    entry = next(entry for entry in world.time_entries.values() if entry.stop and not entry.deleted_at)
    entry.duration += 17
    summary = workspace.pull()
    assert summary.unexpected_durations == 1
    assert "; 1 with unexpected durations; " in str(summary)
    assert "1 entry with a duration that is not the time from start to stop" in caplog.text


# -- requests that cannot be -------------------------------------------------------------------------------------------

BAD_REQUESTS = [
    ({"workspace_id": 0}, "workspace_id is 0; it must be a positive number"),
    ({"page_size": 0}, "page_size is 0; it must be from 1 to 10000"),
    ({"page_size": 10_001}, "page_size is 10001"),
    ({"windows_per_run": 0}, "windows_per_run must be at least 1"),
    ({"lag": timedelta(seconds=-1)}, "report_lag must not be negative"),
    ({"stream": "projects", "since": "2026-01-01"}, "since and until are for time_entries; projects is read"),
    ({"until": "2026-01-01"}, "set incremental=False"),
    ({"incremental": False}, "give since"),
]


@pytest.mark.parametrize(("options", "words"), BAD_REQUESTS)
def test_a_request_that_cannot_be_is_refused_with_its_name(options: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        PullRequest(**{"stream": "time_entries", "workspace_id": 7, "run_started": NOON, **options})
