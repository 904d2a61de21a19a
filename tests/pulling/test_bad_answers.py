"""Answers that are late, cut, refused, short or of another shape: a typed error, nothing lost, and right afterwards."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client import transport

SEARCH = {"path": "search/time_entries$"}
REPORT_FIELDS = ("user_id", "time_entries", "time_entries.id", "time_entries.seconds", "time_entries.start")

Bad = tuple[dict[str, Any], type[errors.TogglError], str]
"""The order of a fault, the error that it must end in, and words of its message."""

REFUSED: list[Bad] = [
    ({"status": 500}, errors.ServerTrouble, "answered 500: 500 Internal Server Error. Toggl has a problem"),
    ({"status": 400, "body": "Invalid workspace id"}, errors.PayloadRefused, "Invalid workspace id"),
    ({"status": 403, "body": "Workspace not found/accessible"}, errors.AccessDenied, "has no access here"),
    ({"status": 403, "body": "Incorrect username and/or password"}, errors.WrongCredentials, "token is not valid"),
    ({"status": 402, "body": "Workspace needs to have this feature enabled"}, errors.PlanLacksFeature, "plan does not"),
    ({"status": 402, "body": "Your quota will reset in 77 seconds."}, errors.QuotaExhausted, "is used up until"),
    ({"status": 429, "headers": {"Retry-After": "300"}}, errors.RateLimited, "too many requests at once"),
    ({"status": 302, "headers": {"Location": "https://example.com/"}}, errors.PayloadRefused, "to another host"),
]
BROKEN: list[Bad] = [
    ({"kind": "cut"}, errors.ConnectionTrouble, "the connection to|no complete response"),
    ({"kind": "cut", "fraction": 0}, errors.ConnectionTrouble, "the connection to|no complete response"),
    ({"kind": "not_json"}, errors.MalformedAnswer, "is not a JSON list"),
    ({"kind": "not_json", "body": '[{"row_number": 1'}, errors.MalformedAnswer, "It was not loaded"),
    ({"kind": "short_page", "drop_rows": 3, "keep_next": True}, errors.MalformedAnswer, "rows 1 to 60 were requested"),
    ({"kind": "drop_field", "field": "user_id"}, errors.MalformedAnswer, "cannot be read; the first: "),
    ({"kind": "drop_field", "field": "time_entries.at"}, errors.MalformedAnswer, r"time_entries\[0\]\.at: missing"),
    ({"kind": "set_field", "field": "time_entries.seconds", "value": 2**63}, errors.MalformedAnswer, "seconds"),
]


def name_of(value: Any) -> str | None:
    if not isinstance(value, dict):
        return ""
    return "-".join(str(part)[:24] for name, part in value.items() if name != "headers")


@pytest.mark.parametrize(
    "cases",
    [[({"kind": "status", **order}, *rest) for order, *rest in REFUSED], BROKEN],
    ids=["refused", "broken"],
)
def test_an_answer_that_is_no_use_is_a_typed_error_and_nothing_is_lost(workspace: Workspace, cases: list[Bad]):
    workspace.pull(page_size=100)
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=1, n=60)
    before = workspace.fingerprint()
    for order, error, words in cases:
        workspace.toggl.fault(**order, match=SEARCH, times=None)
        with pytest.raises(error, match=words) as caught:
            workspace.pull(page_size=60)
        assert type(caught.value) is error
        assert workspace.toggl.token not in repr(caught.value)
        workspace.toggl.clear_faults()
    assert workspace.fingerprint() == before
    workspace.pull(page_size=60)
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        {"kind": "cut"},
        {"kind": "not_json"},
        {"kind": "short_page", "drop_rows": 7},
    ],
    ids=name_of,
)
def test_a_single_bad_answer_is_asked_for_again_and_nobody_notices(
    workspace: Workspace, order: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    pages = set()

    def before_call(call: Any) -> None:
        page = call.payload["first_row_number"]
        # How many rows the last page should have is unknown.
        if page not in pages and page < 181:
            pages.add(page)
            workspace.toggl.fault(**order, match=SEARCH, times=1)

    caplog.set_level(logging.DEBUG)
    workspace.pull(page_size=60, before_call=before_call)
    assert len(pages) >= 3
    assert workspace.wrong("time_entries") == []
    assert workspace.toggl.token not in caplog.text


def test_a_first_load_that_breaks_at_its_third_page_keeps_the_first_two(workspace: Workspace):
    for order in ({"kind": "status", "status": 500}, {"kind": "cut"}, {"kind": "not_json"}):
        loaded = len(workspace.content())
        asked = 0

        def before_call(call: Any, order: dict[str, Any] = order) -> None:
            nonlocal asked
            asked += 1
            if asked == 2:
                workspace.toggl.fault(**order, match=SEARCH, times=None)

        with pytest.raises(errors.ApiError):
            workspace.pull(page_size=60, before_call=before_call)
        workspace.toggl.clear_faults()
        assert len(workspace.content()) == loaded + 60
        assert workspace.state()["watermark"] is None
    workspace.pull(page_size=60)
    assert workspace.wrong("time_entries") == []


def test_an_answer_that_does_not_come_in_time_is_an_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    workspace.pull()
    state = workspace.state()
    monkeypatch.setattr(transport, "TIMEOUTS", (1.0, 0.05))
    workspace.toggl.fault("slow", seconds=0.3, times=None)
    with pytest.raises(errors.ConnectionTrouble, match=r"POST /reports/api/v3/.*(failed|no complete response)"):
        workspace.pull()
    monkeypatch.undo()
    assert workspace.state() == state
    workspace.toggl.clear_faults()
    workspace.pull()
    assert workspace.wrong("time_entries") == []


def test_a_wrong_token_is_said_and_is_in_no_text(workspace: Workspace):
    workspace.toggl.token = "f" * 32
    for status in (401, 403):
        workspace.toggl.set(wrong_token_status=status)
        for stream in ("time_entries", "projects"):
            with pytest.raises((errors.WrongCredentials, errors.AccessDenied)) as caught:
                workspace.pull(stream)
            assert "f" * 32 not in repr(caught.value)


# -- lists -------------------------------------------------------------------------------------------------------------

LIST_FAULTS: list[tuple[dict[str, Any], type[errors.TogglError]]] = [
    ({"kind": "status", "status": 403, "body": "Forbidden"}, errors.AccessDenied),
    ({"kind": "cut"}, errors.ConnectionTrouble),
    ({"kind": "not_json", "body": '"text"'}, errors.MalformedAnswer),
    ({"kind": "drop_field", "field": "id"}, errors.MalformedAnswer),
]


@pytest.mark.parametrize("stream", ["projects", "tags", "tasks"])
def test_a_list_that_is_no_use_is_a_typed_error_and_nothing_is_lost(workspace: Workspace, stream: str):
    workspace.pull(stream)
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=1, n=25, kinds=[f"create_{stream[:-1]}", f"rename_{stream[:-1]}"])
    before = workspace.fingerprint(stream)
    for order, error in LIST_FAULTS:
        workspace.toggl.fault(**order, match={"path": f"/{stream}$"}, times=None)
        with pytest.raises(error):
            workspace.pull(stream)
        workspace.toggl.clear_faults()
    assert workspace.fingerprint(stream) == before
    workspace.pull(stream)
    assert workspace.wrong(stream) == []


def test_a_list_of_tasks_that_is_shorter_than_it_says_is_read_again(build):
    workspace: Workspace = build(entries=20, tasks=440)
    workspace.toggl.fault("short_page", drop_rows=2, match={"path": "/tasks$"}, times=1)
    workspace.pull("tasks")
    assert workspace.wrong("tasks") == []


def test_a_list_of_tasks_that_stays_shorter_than_it_says_is_an_error_and_heals(build):
    workspace: Workspace = build(entries=20, tasks=240)
    workspace.pull("tasks")
    before = len(workspace.content("tasks"))
    workspace.toggl.fault("short_page", drop_rows=2, match={"path": "/tasks$"}, times=None)
    with pytest.raises(errors.MalformedAnswer, match="says that it has 2"):
        workspace.pull("tasks", incremental=False)
    workspace.toggl.clear_faults()
    assert len(workspace.content("tasks")) == before
    workspace.pull("tasks")
    assert workspace.wrong("tasks") == []


@pytest.mark.parametrize("stream", ["clients", "tags", "project_users"])
def test_rows_that_a_whole_list_lacked_are_live_again_after_the_next_run(workspace: Workspace, stream: str):
    workspace.pull(stream)
    workspace.toggl.advance(60)
    workspace.toggl.fault("short_page", drop_rows=2, match={"path": f"/{stream}$"}, times=1)
    workspace.pull(stream)
    workspace.toggl.advance(60)
    workspace.pull(stream)
    assert workspace.wrong(stream) == []


# -- a row or a field --------------------------------------------------------------------------------------------------


def test_single_rows_that_lack_a_field_are_kept_aside_with_the_reason(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
):
    fields = (*REPORT_FIELDS, "time_entries.at")
    for row, field in enumerate(fields):
        workspace.toggl.fault("drop_field", field=field, row=row, match=SEARCH)
    summary = workspace.pull(page_size=60)
    assert (summary.rejected, summary.inserted) == (len(fields), 240 - len(fields))
    kept = workspace.rows("SELECT workspace_id, reason FROM toggl.rejected_records WHERE stream = 'time_entries'")
    assert {row["workspace_id"] for row in kept} == {workspace.id}
    entry = "time_entries[0]."
    assert sorted(row["reason"] for row in kept) == sorted(
        ["user_id: missing", "id: missing", *(f"{entry}{name}: missing" for name in ("id", "seconds", "start", "at"))]
    )
    assert "6 records rejected, see rejected_records" in caplog.text
    workspace.pull(incremental=False, since="2020-01-01")
    assert workspace.wrong("time_entries") == []


def test_fields_that_nobody_knows_are_skipped(workspace: Workspace):
    for path in (SEARCH["path"], "/tags$", "/projects$"):
        for field in ("invented", "time_entries.invented"):
            workspace.toggl.fault("set_field", field=field, value={"a": [1, None]}, match={"path": path}, times=None)
    for stream in ("time_entries", "tags", "projects"):
        assert workspace.pull(stream).rejected == 0
    assert workspace.wrong("time_entries", "tags", "projects") == []


def test_nobody_at_the_address_is_an_error(workspace: Workspace):
    workspace.pull("tags")
    url, workspace.toggl.url = workspace.toggl.url, "http://127.0.0.1:9"
    with pytest.raises(errors.ConnectionTrouble, match=r"127\.0\.0\.1:9"):
        workspace.pull("tags")
    workspace.toggl.url = url
    workspace.pull("tags")
    assert workspace.wrong("tags") == []
