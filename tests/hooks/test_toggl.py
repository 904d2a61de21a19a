from __future__ import annotations

import inspect
import traceback
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np
import pendulum
import pytest
from support.argument_values import ODD, kind_of, refusal_of
from support.connections import WEBHOOK_SECRET, Connections, all_logs

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

# Rates need what a warehouse has.
READABLE = [name for name, stream in STREAMS.items() if stream.listing != "histories"]

pytestmark = pytest.mark.airflow

TODAY = datetime.now(timezone.utc).date()


@pytest.fixture
def hook(sandbox: RunningSandbox, connections: Connections) -> TogglHook:
    """The hook of a connection to the sandbox."""
    connections.toggl(sandbox)
    return TogglHook()


def asked(sandbox: RunningSandbox) -> list[str]:
    """Return what was asked of the sandbox, in order."""
    return [f"{call['method']} {call['path']}" for call in sandbox.requests()["calls"]]


# -- the test of a connection ------------------------------------------------------------------------------------------


def test_a_connection_that_works_says_who_where_which_plan_and_what_is_left(connections: Connections):
    with start_sandbox(entries=10, days=5) as sandbox:
        connections.toggl(sandbox)
        done, words = TogglHook().test_connection()
    assert (done, words) == (
        True,
        (
            "Ada Lindqvist (Europe/Berlin); workspace 'Sandbox workspace', plan Free; "
            "requests left this hour: 29 of 30 for organization:8000001, 28 of 30 for user."
        ),
    )


@pytest.mark.parametrize("plan", ["Free", "Starter", "Premium", "Enterprise"])
def test_the_plan_is_named(sandbox: RunningSandbox, hook: TogglHook, plan: str):
    sandbox.set(plan=plan.lower())
    assert f"plan {plan};" in hook.test_connection()[1]


def test_a_connection_without_a_workspace_works_and_says_which_is_the_default(
    sandbox: RunningSandbox, connections: Connections
):
    connections.toggl(sandbox, workspace_id=None)
    done, words = TogglHook().test_connection()
    assert done
    assert f"no workspace_id set; the default one is {sandbox.workspace_id}" in words


#: All fields are tested in test_settings.py and test_connections.py, and all hosts in tests/core/client.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong token": (
        {"token": "0" * 32},
        "GET /api/v9/me was answered 403: Incorrect username and/or password. The API token is not valid: copy it",
    ),
    "no token": ({"token": ""}, "Connection 'toggl_default' has no API token: put it into the password (Toggl: "),
    "no access": (
        {"workspace_id": 42},
        "GET /api/v9/workspaces/42 was answered 403: User does not have access to this resource. The token is valid ",
    ),
    "workspace": ({"workspace_id": "seven"}, "workspace_id is 'seven'; it must be an ID, a whole number above 0"),
    "pace": ({"requests_per_second": 0}, "requests_per_second is 0; it must be a number above 0 and up to 1,000"),
    "host": ({"host": "https://me:secret@example.com"}, "The connection's host must have no credentials"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_test_of_a_connection_reports_what_is_wrong(sandbox: RunningSandbox, connections: Connections, fault: str):
    fields, words = FAULTS[fault]
    sandbox.set(wrong_token_status=403)
    connections.toggl(sandbox, **fields)
    done, said = TogglHook().test_connection()
    assert not done
    assert said.startswith(words)
    assert "secret" not in said
    assert sandbox.token not in said


TOGGL_2 = "Toggl 2.0 is another product with another API, and this package works with Toggl Track only."


@pytest.mark.parametrize("token", ["toggl_sk_4f8a0c", " toggl_sk_4f8a0c\n"])
def test_a_token_of_toggl_2_is_refused_everywhere(
    sandbox: RunningSandbox, connections: Connections, capsys: pytest.CaptureFixture[str], token: str
):
    connections.toggl(sandbox, token=token)
    works, message = TogglHook().test_connection()
    assert not works
    assert TOGGL_2 in message
    with pytest.raises(errors.ConfigurationError, match=TOGGL_2):
        TogglToSqlOperator(task_id="load", stream="projects").execute(
            {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc))}
        )
    for command in ("doctor", "quota", "plan"):
        assert main([command]) != 0
        printed = "".join(capsys.readouterr())
        assert TOGGL_2 in printed
        assert "4f8a0c" not in printed + message
    assert asked(sandbox) == []


@pytest.mark.parametrize("body", ["[]", '"hello"', "null", "<html>a proxy</html>"])
def test_a_host_that_is_not_toggl_is_reported(sandbox: RunningSandbox, hook: TogglHook, body: str):
    sandbox.fault("not_json", body=body, times=None)
    done, words = hook.test_connection()
    assert not done
    assert "GET /api/v9/me" in words


def test_a_used_up_quota_is_reported_with_its_reset(connections: Connections):
    with start_sandbox(entries=10, days=5) as sandbox:
        sandbox.set(organization_quota=1)
        connections.toggl(sandbox)
        assert TogglHook().test_connection()[0]
        done, words = TogglHook().test_connection()
    assert not done
    assert "is used up until" in words


def test_fields_of_a_form_may_be_text(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox, quota_reserve=" 5 ", requests_per_second="0.5", workspace_id=f" {sandbox.workspace_id} ")
    hook = TogglHook()
    assert (hook.get_conn().reserve, hook.get_conn().pace.requests_per_second) == (5, 0.5)
    assert hook.get_workspace_id() == hook.get_workspace_id("") == sandbox.workspace_id
    assert hook.get_workspace_id(8) == 8


# -- workspaces --------------------------------------------------------------------------------------------------------


def test_the_error_for_a_missing_workspace_lists_the_workspaces(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox, workspace_id=None)
    hook = TogglHook()
    with pytest.raises(errors.ConfigurationError) as caught:
        hook.get_workspace_id()
    assert str(caught.value) == (
        "There is no workspace_id: set it in connection 'toggl_default', or in the task. "
        f"The token can see: {sandbox.workspace_id} (Sandbox workspace)."
    )
    assert hook.get_workspace_id(7) == 7
    assert hook.get_workspace_id("7") == 7
    with pytest.raises(errors.ConfigurationError, match="workspace_id is 'x'"):
        hook.get_workspace_id("x")


def test_several_connections_work_side_by_side(sandbox: RunningSandbox, connections: Connections):
    with start_sandbox(seed=8, entries=40, days=20, token="f" * 32) as other:
        connections.toggl(sandbox, "toggl_one")
        connections.toggl(other, "toggl_two")
        one, two = TogglHook("toggl_one"), TogglHook(toggl_conn_id="toggl_two")
        rows = {
            name: sum(len(page) for page in hook.time_entries(since=TODAY - timedelta(days=40)))
            for name, hook in {"one": one, "two": two}.items()
        }
        assert rows == {"one": 120, "two": 40}
        assert one.get_conn() is not two.get_conn()
        assert set(asked(other)) == {f"POST /reports/api/v3/workspace/{other.workspace_id}/search/time_entries"}


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", READABLE)
def test_a_page_is_requested_when_it_is_needed(hook: TogglHook, sandbox: RunningSandbox, stream: str):
    sandbox.set(plan="premium")
    pages = getattr(hook, stream)()
    assert asked(sandbox) == []
    # The audit log has months without a record.
    first = next(page for page in pages if page)
    assert isinstance(first[0], dict)
    ending = STREAMS[stream].path.rpartition("}")[2]
    assert [call for call in asked(sandbox) if call.endswith(ending)][-1:] == asked(sandbox)[-1:]
    rows = [*first, *(row for page in pages for row in page)]
    live = [row for row in sandbox.truth(stream) if not row["deleted_at"] or stream == "users"]
    assert len(rows) == len(live)


def test_pages_have_the_requested_size(hook: TogglHook, sandbox: RunningSandbox):
    pages = hook.time_entries(page_size=50)
    assert len(next(pages)) == 50
    assert len(asked(sandbox)) == 1
    assert [len(page) for page in pages] == [50, 20]


def test_time_entries_are_those_of_the_requested_days(hook: TogglHook):
    first, last = TODAY - timedelta(days=9), TODAY - timedelta(days=5)
    rows = [row for page in hook.time_entries(since=first, until=last) for row in page]
    days = {date.fromisoformat(row["time_entries"][0]["start"][:10]) for row in rows}
    assert min(days) >= first
    assert max(days) <= last
    assert rows


def test_the_error_for_an_unknown_stream_lists_the_streams(hook: TogglHook, sandbox: RunningSandbox):
    for ask in (lambda: next(hook.pages("timers")), lambda: hook.get_df("timers"), lambda: hook.estimate("timers")):
        with pytest.raises(errors.ConfigurationError, match=r"There is no stream 'timers'\. Streams: time_entries"):
            ask()
    assert asked(sandbox) == []


def test_any_request_can_be_sent(hook: TogglHook, sandbox: RunningSandbox):
    answer = hook.request("get", "/api/v9/me", params={"with_related_data": "false"})
    assert answer.json()["fullname"] == "Ada Lindqvist"
    assert hook.get_conn().spent == 1
    with pytest.raises(errors.NotFound):
        hook.request("GET", "/api/v9/nothing")
    with pytest.raises(errors.PayloadRefused):
        hook.request("POST", f"/api/v9/workspaces/{sandbox.workspace_id}/tags", payload={"name": ""})
    made = hook.request("POST", f"/api/v9/workspaces/{sandbox.workspace_id}/tags", payload={"name": "from a task"})
    assert made.status == 200
    assert [tag["name"] for tag in sandbox.truth("tags")].count("from a task") == 1


@pytest.mark.parametrize("path", [".example.com/api/v9/me", ""])
def test_a_path_cannot_send_the_token_elsewhere(hook: TogglHook, sandbox: RunningSandbox, path: str):
    with pytest.raises(errors.ConfigurationError, match="must start with a slash"):
        hook.request("GET", path)
    assert asked(sandbox) == []


def test_two_hooks_with_one_token_share_its_quota(connections: Connections):
    with start_sandbox(entries=10, days=5) as sandbox:
        sandbox.set(user_quota=3)
        connections.toggl(sandbox)
        for _ in range(3):
            TogglHook().request("GET", "/api/v9/me")
        with pytest.raises(errors.QuotaExhausted) as caught:
            TogglHook().request("GET", "/api/v9/me")
        assert caught.value.known_before
        assert sandbox.requests()["by_status"] == {"200": 3}


def test_an_estimate_sends_no_request(connections: Connections):
    with start_sandbox(entries=10, days=5) as sandbox:
        connections.toggl(sandbox)
        hook = TogglHook()
        next(hook.tags())
        sandbox.reset_requests()
        estimate = hook.estimate("time_entries", rows=100_500)
        assert (estimate.requests, estimate.spare, estimate.waits) == (101, 29, 3)
        assert hook.estimate("time_entries", requests=4).waits == 0
        assert hook.estimate("time_entries").requests == 1
        assert asked(sandbox) == []


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", READABLE)
def test_a_frame_has_the_names_and_types_of_the_table(hook: TogglHook, sandbox: RunningSandbox, stream: str):
    sandbox.set(plan="premium")
    table = hook.get_df(stream, df_type="arrow")
    assert table.schema.equals(ARROW_SCHEMAS[stream])
    live = {row["id"] for row in sandbox.truth(stream) if not row["deleted_at"] or stream == "users"}
    assert set(table["id"].to_pylist()) == live


def test_a_pandas_frame_keeps_whole_numbers_whole_and_times_in_utc(hook: TogglHook):
    frame = hook.get_df("time_entries")
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert list(types) == list(ARROW_SCHEMAS["time_entries"].names)
    assert frame["project_id"].isna().any()
    assert {types[name] for name in ("id", "project_id", "task_id", "duration")} == {"Int64"}
    assert types["billable"] == "boolean"
    assert {types[name] for name in ("start", "stop", "updated_at", "seen_at")} == {"datetime64[us, UTC]"}
    assert frame["duration"].sum() > 0


def test_a_polars_frame_has_the_same_rows(hook: TogglHook):
    import polars as pl

    frame = hook.get_df("time_entries", df_type="polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == ARROW_SCHEMAS["time_entries"].names
    assert (frame["id"].dtype, frame["tag_ids"].dtype) == (pl.Int64, pl.List(pl.Int64))
    assert frame["start"].dtype == pl.Datetime("us", "UTC")
    assert frame.height == 120


def test_an_empty_workspace_gives_an_empty_frame_of_the_same_form(connections: Connections):
    with start_sandbox(entries=0, users=1, projects=0, clients=0, tags=0, tasks=0, groups=0, days=5) as sandbox:
        connections.toggl(sandbox)
        for df_type in ("pandas", "polars"):
            frame = TogglHook().get_df("projects", df_type=df_type)
            assert len(frame) == 0
            assert list(frame.columns) == ARROW_SCHEMAS["projects"].names


def test_an_unknown_df_type_fails_before_a_request_is_sent(hook: TogglHook, sandbox: RunningSandbox):
    with pytest.raises(errors.ConfigurationError, match="df_type is 'excel'; it must be one of pandas, polars, arrow"):
        hook.get_df("tags", df_type="excel")  # type: ignore[arg-type]
    assert asked(sandbox) == []


def test_a_frame_has_each_entry_once_even_if_rows_move_between_pages(hook: TogglHook, sandbox: RunningSandbox):
    sandbox.set(largest_page_size=50)
    world = sandbox.world
    oldest = min(
        (entry for entry in world.time_entries.values() if not entry.deleted_at), key=lambda entry: entry.start
    )
    session = hook.get_conn()
    send = session._transport.send

    def moving(*arguments: Any) -> Any:
        answer = send(*arguments)
        world.store(type(oldest)(**{**vars(oldest), "id": world.next_id("time_entry")}))
        return answer

    session._transport.send = moving
    ids = hook.get_df("time_entries", df_type="arrow")["id"].to_pylist()
    assert len(ids) == len(set(ids)) >= 120


def test_a_row_that_a_frame_cannot_contain_is_logged(hook: TogglHook, sandbox: RunningSandbox):
    sandbox.fault("drop_field", field="user_id", row=3)
    with all_logs() as lines:
        assert len(hook.get_df("time_entries")) == 119
    assert any("user_id: missing" in line for line in lines)


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_log_error_or_representation(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox)
    sandbox.set(plan="premium")
    hook, texts = TogglHook(), []
    with all_logs() as lines:
        hook.test_connection()
        for stream in READABLE:
            list(hook.pages(stream))
        hook.get_df("time_entries")
        for order in ({"kind": "status", "status": 403, "body": "no"}, {"kind": "cut"}, {"kind": "not_json"}):
            sandbox.fault(**order, times=None)
            try:
                hook.request("POST", "/api/v9/me", idempotent=False)
                hook.request("GET", "/api/v9/me").json()
            except errors.TogglError as error:
                texts += [repr(error), str(error), "".join(traceback.format_exception(error))]
            sandbox.clear_faults()
        texts.append(hook.test_connection()[1])
    texts += [repr(hook), repr(hook.get_conn()), repr(vars(hook)["_session"]), *lines]
    assert len(lines) > 20
    assert len(texts) > len(lines) + 6
    for secret in (sandbox.token, WEBHOOK_SECRET):
        assert [text for text in texts if secret in text] == []


def test_the_hook_is_what_the_provider_says(hook: TogglHook):
    from airflow_provider_toggl.get_provider_info import get_provider_info

    (kind,) = get_provider_info()["connection-types"]
    assert (TogglHook.conn_type, TogglHook.hook_name) == (kind["connection-type"], kind["hook-name"])
    assert f"{TogglHook.__module__}.{TogglHook.__name__}" == kind["hook-class-name"]
    assert (TogglHook.conn_name_attr, TogglHook.default_conn_name) == ("toggl_conn_id", "toggl_default")


# -- arguments ---------------------------------------------------------------------------------------------------------

#: What else a method needs.
NEEDED: dict[str, dict[str, Any]] = {
    "request": {"method": "GET", "path": "/api/v9/me"},
    "pages": {"stream": "time_entries"},
    "get_df": {"stream": "time_entries"},
    "estimate": {"stream": "tags"},
}
ARGUMENTS = [
    (method, name, str(each.annotation))
    for method in ("request", "get_workspace_id", "pages", "time_entries", "get_df", "estimate")
    for name, each in inspect.signature(getattr(TogglHook, method)).parameters.items()
    if name not in ("self", "more")
]


def test_every_public_method_is_tested_with_unusual_arguments():
    without_arguments = set(READABLE) - {"time_entries"}
    without_arguments |= {"get_conn", "test_connection"}
    public = {name for name in vars(TogglHook) if not name.startswith("_") and callable(getattr(TogglHook, name))}
    assert public == {method for method, *_ in ARGUMENTS} | without_arguments


@pytest.mark.parametrize(("method", "name", "annotation"), ARGUMENTS, ids=str)
def test_a_method_accepts_an_argument_or_names_it_before_a_request_is_sent(
    sandbox: RunningSandbox, hook: TogglHook, method: str, name: str, annotation: str
):
    sandbox.reset_requests()
    kind = kind_of("TogglHook", "time_zone" if name in ("path", "params") else name, annotation)
    for value in kind.refused:
        said = refusal_of(lambda: getattr(hook, method)(**{**NEEDED.get(method, {}), name: value}))  # noqa: B023 - called at once
        assert name in said or "no stream" in said, (value, said)
    if method in ("pages", "time_entries", "get_workspace_id", "estimate"):
        for value, _ in kind.accepted:
            first = {"since": "2026-01-01"} if name == "until" else {}
            getattr(hook, method)(**{**NEEDED.get(method, {}), **first, name: value})
    assert sandbox.requests()["total"] == 0
    if method in ("pages", "time_entries", "get_workspace_id", "estimate"):
        for value in ODD:
            refusal_of(lambda: getattr(hook, method)(**{**NEEDED.get(method, {}), name: value}))  # noqa: B023 - called at once


def test_days_and_ids_of_every_kind_give_the_same_rows(sandbox: RunningSandbox, hook: TogglHook):
    first = TODAY - timedelta(days=10)
    wanted = hook.get_df("time_entries", since=first, df_type="arrow").num_rows
    assert wanted
    day = pendulum.date(first.year, first.month, first.day)
    for since in (day, first.isoformat(), f"{first:%Y%m%d}", np.datetime64(first)):
        rows = [row for page in hook.time_entries(since=since, workspace_id=str(sandbox.workspace_id)) for row in page]
        assert sum(len(row["time_entries"]) for row in rows) == wanted


def test_a_request_takes_what_a_template_or_an_xcom_gives(sandbox: RunningSandbox, hook: TogglHook):
    path = f"/api/v9/workspaces/{sandbox.workspace_id}/projects"
    rows = hook.request("get", path, params={"active": "both", "per_page": np.int64(1), "page": 1.0}).json()
    assert len(rows) == 1
