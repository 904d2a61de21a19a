from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, conf
from airflow.sdk.exceptions import TaskDeferred
from support.connections import WEBHOOK_SECRET, Connections, all_logs
from support.truth import STREAMS, differences, entry_differences, live, rows

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.hooks.health import read_from_warehouse, read_health
from airflow_provider_toggl.hooks.warehouse import read_df
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = pytest.mark.airflow


@pytest.fixture
def warehouse(sandbox: RunningSandbox, connections: Connections) -> Path:
    """The warehouse of the default connections, which are set."""
    connections.toggl(sandbox)
    return connections.duckdb()


def context(**more: Any) -> Any:
    """Return what a task gets: here it needs its run's start only."""
    return {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)), **more}


def load(stream: str = "time_entries", **options: Any) -> dict[str, Any]:
    """Run a task of a new run to its end."""
    return TogglToSqlOperator(task_id="load", stream=stream, **options).execute(context())


def defer(operator: TogglToSqlOperator, run: Callable[[], Any]) -> TaskDeferred:
    """Run a task until it defers."""
    with pytest.raises(TaskDeferred) as caught:
        run()
    return caught.value


# -- the operator ------------------------------------------------------------------------------------------------------


def test_every_stream_is_loaded(sandbox: RunningSandbox, warehouse: Path):
    for stream in STREAMS:
        load(stream)
    assert differences(warehouse, sandbox.url) == []


def test_two_workspaces_with_tokens_of_their_own_are_loaded_into_one_schema(connections: Connections):
    path = connections.duckdb()
    with (
        start_sandbox(entries=30, token="a" * 32) as one,
        start_sandbox(entries=40, token="b" * 32, workspace_id=7_000_002) as two,
    ):
        for name, sandbox in (("toggl_one", one), ("toggl_two", two)):
            connections.toggl(sandbox, name)
            for stream in STREAMS:
                load(stream, toggl_conn_id=name)
                assert load(stream, toggl_conn_id=name)["inserted"] == 0
        # Toggl's list of users has those who left.
        for stream in set(STREAMS) - {"users"}:
            true = {row["id"] for toggl in (one, two) for row in toggl.truth(stream) if row["deleted_at"] is None}
            assert set(live(path, stream)) == true
        found = rows(path, "SELECT workspace_id, count(*) AS n FROM toggl.live_time_entries GROUP BY 1 ORDER BY 1")
        assert [(row["workspace_id"], row["n"]) for row in found] == [(one.workspace_id, 30), (two.workspace_id, 40)]


def test_the_summary_is_returned_for_xcom(sandbox: RunningSandbox, warehouse: Path):
    summary = load(page_size=50)
    assert json.loads(json.dumps(summary)) == summary
    wanted = {"stream": "time_entries", "workspace_id": sandbox.workspace_id, "rows": 120, "inserted": 120, "pages": 5}
    assert summary | wanted == summary
    assert summary["deferrals"] == 0
    assert summary["watermark"].endswith("Z")


def test_rendered_texts_are_understood(sandbox: RunningSandbox, warehouse: Path):
    day = (datetime.now(timezone.utc) - timedelta(days=30)).isoformat(sep=" ")
    options = {"workspace_id": str(sandbox.workspace_id), "since": day, "until": "", "schema": "other"}
    load(**options, facts_timezone="Asia/Tokyo")
    assert len(live(warehouse, "time_entries", "other")) == 120


def test_history_begins_with_the_first_load(sandbox: RunningSandbox, warehouse: Path):
    load(keep_history=True)
    found = read_df("select kind, count(*) as rows from time_entry_changes group by all", df_type="arrow")
    assert found.to_pylist() == [{"kind": "found", "rows": 120}]


def test_a_stream_that_does_not_exist_is_refused_where_the_dag_is_written():
    with pytest.raises(errors.ConfigurationError, match=r"There is no stream 'timers'\. Streams: time_entries"):
        TogglToSqlOperator(task_id="load", stream="timers")


def test_a_task_without_a_workspace_says_which_there_are(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox, workspace_id=None)
    connections.duckdb()
    with pytest.raises(errors.ConfigurationError, match=f"The token can see: {sandbox.workspace_id} "):
        load()
    assert load(workspace_id=sandbox.workspace_id)["rows"] == 120


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "2026-01-01T00:00"}, "since is .* without a zone"),
        ({"since": "2099-01-01"}, "in the future"),
        ({"stream": "tags", "since": "2026-01-01"}, "since and until are for time_entries"),
        ({"warehouse_conn_id": "nowhere_at_all"}, "There is no connection 'nowhere_at_all'"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_asked(
    sandbox: RunningSandbox, warehouse: Path, options: dict[str, Any], words: str
):
    with pytest.raises(errors.ConfigurationError, match=words):
        load(**options)
    assert sandbox.requests()["total"] == 0


def test_how_long_reports_may_lag_is_an_option(sandbox: RunningSandbox, warehouse: Path, connections: Connections):
    connections.set_option("report_lag", "1000")
    marks = [load(schema="one")["watermark"], load(schema="two", report_lag=10)["watermark"]]
    one, two = (datetime.fromisoformat(mark.replace("Z", "+00:00")) for mark in marks)
    assert 980 < (two - one).total_seconds() < 1060


# -- waiting for the quota ---------------------------------------------------------------------------------------------


def test_a_used_up_quota_defers_until_it_resets_and_goes_on_at_the_next_page(
    sandbox: RunningSandbox, warehouse: Path, connections: Connections
):
    sandbox.set(quota_enforced=True, organization_quota=5, quota_window_seconds=1800)
    before = datetime.now(timezone.utc)
    operator, run = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20), context()
    deferred = defer(operator, lambda: operator.execute(run))
    assert isinstance(deferred.trigger, TogglWaitTrigger)
    assert before + timedelta(seconds=1799) <= deferred.trigger.moment <= before + timedelta(seconds=1860)
    assert deferred.method_name == "resume"
    assert json.loads(json.dumps(deferred.kwargs)) == deferred.kwargs
    assert (deferred.kwargs["summary"]["rows"], deferred.kwargs["summary"]["deferrals"]) == (100, 1)
    assert rows(warehouse, "SELECT count(*) AS n FROM toggl.time_entries") == [{"n": 100}]
    assert sandbox.requests()["by_status"] == {"200": 5}
    # Half an hour later, maybe on another worker.
    sandbox.reset_quota()
    connections.set_option("state_dir", str(warehouse.parent / "another host"))
    another = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20)
    kwargs = json.loads(json.dumps(deferred.kwargs))
    summary = another.resume_execution(deferred.method_name, {**kwargs, "event": {"moment": "then"}}, run)
    assert (summary["rows"], summary["requests"], summary["deferrals"]) == (120, 8, 1)
    assert entry_differences(warehouse, sandbox.url) == []
    asked = [(call["body"]["start_date"], call["body"]["first_row_number"]) for call in sandbox.requests()["calls"]]
    assert len(asked) == len(set(asked))


def test_tasks_that_wait_for_the_same_reset_do_not_come_back_all_at_once(sandbox: RunningSandbox, warehouse: Path):
    sandbox.set(quota_enforced=True, organization_quota=1)
    load("tags")
    moments = []
    for _ in range(4):
        operator = TogglToSqlOperator(task_id="load", stream="clients")
        moments.append(defer(operator, lambda operator=operator: operator.execute(context())).trigger.moment)
    assert len(set(moments)) == 4
    assert max(moments) - min(moments) < timedelta(seconds=2)


def test_a_long_retry_after_defers_until_then(sandbox: RunningSandbox, warehouse: Path):
    sandbox.fault("status", status=429, headers={"Retry-After": "240"}, times=None)
    operator, before = TogglToSqlOperator(task_id="load", stream="tags"), datetime.now(timezone.utc)
    deferred = defer(operator, lambda: operator.execute(context()))
    assert timedelta(seconds=238) < deferred.trigger.moment - before < timedelta(seconds=300)
    assert sandbox.requests()["total"] == 1


@pytest.mark.parametrize(
    "order", [{"status": 429, "headers": {"Retry-After": "240"}}, {"status": 402, "body": "quota"}]
)
def test_a_task_that_may_not_defer_fails_instead(sandbox: RunningSandbox, warehouse: Path, order: dict[str, Any]):
    sandbox.fault("status", **order, times=None)
    with pytest.raises((errors.QuotaExhausted, errors.RateLimited)):
        load("tags", deferrable=False)


def test_a_task_that_failed_goes_on_at_its_next_try(sandbox: RunningSandbox, warehouse: Path):
    ti = SimpleNamespace(dag_id="d", task_id="load", run_id="r", map_index=-1, max_tries=3, try_number=1)
    run = context(ti=ti)
    operator = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=50)
    sandbox.set(quota_enforced=True, organization_quota=1)
    defer(operator, lambda: operator.execute(run))
    sandbox.set(quota_enforced=False)
    sandbox.fault("status", status=400, body="no", times=1)
    again = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=50, toggl_conn_id="toggl_default")
    (warehouse.parent / "state" / "quota.sqlite").unlink(missing_ok=True)
    with pytest.raises(errors.PayloadRefused):
        again.execute(run)
    ti.try_number = 2
    assert again.execute(run)["rows"] == 70
    assert entry_differences(warehouse, sandbox.url) == []


# -- plans -------------------------------------------------------------------------------------------------------------


def test_a_stream_that_the_plan_has_not_is_skipped(sandbox: RunningSandbox, warehouse: Path):
    sandbox.fault("status", status=402, body="Tasks are a premium feature", match={"path": "/tasks$"}, times=None)
    with pytest.raises(AirflowSkipException, match=r"^tasks is not part of the workspace's plan\. .*premium feature"):
        load("tasks")


def test_a_stream_that_the_token_may_not_read_is_skipped_and_the_reason_is_recorded(
    sandbox: RunningSandbox, warehouse: Path
):
    sandbox.fault("status", status=403, body="Operation Forbidden", match={"path": "/invoices$"}, times=None)
    with pytest.raises(AirflowSkipException, match=r"^invoices needs a plan with invoices.*Operation Forbidden"):
        load("invoices")
    (one,) = read_health("toggl_default").streams
    assert (one.stream, one.watermark) == ("invoices", None)
    assert "Operation Forbidden" in one.skipped
    (stored,) = read_from_warehouse(read_health("toggl_default"), "duckdb_default", "toggl").streams
    assert stored.skipped == one.skipped


def test_time_entries_that_the_plan_has_not_are_an_error(sandbox: RunningSandbox, warehouse: Path):
    sandbox.fault("status", status=402, body="Workspace needs to have this feature enabled", times=None)
    with pytest.raises(errors.PlanLacksFeature):
        load()


# -- in a real run -----------------------------------------------------------------------------------------------------


WAITS = """
from airflow.sdk import DAG
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG("waits", schedule=None) as dag:
    TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20)
"""


@pytest.fixture
def waits(dag_file: Callable[[str, str], Any]) -> Any:
    """A DAG of one task."""
    return dag_file("waits", WAITS)


def test_a_dag_run_without_a_scheduler_waits_for_a_quota_by_itself_and_leaves_its_summary(
    sandbox: RunningSandbox, warehouse: Path, waits: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("airflow_provider_toggl.operators.quota_deferral.SPREAD_SECONDS", 0.1)
    text = "You have hit your hourly limit for API calls. Your quota will reset in 1 seconds."
    sandbox.fault("status", status=402, body=text)
    with all_logs() as lines:
        run = waits.test()
    assert run.state == "success"
    (task,) = run.get_task_instances()
    summary = task.xcom_pull(task_ids="load")
    assert summary["rows"] == 120
    assert summary["deferrals"] == 1
    assert sandbox.requests()["by_status"] == {"200": 8, "402": 1}
    assert entry_differences(warehouse, sandbox.url) == []
    for secret in (sandbox.token, WEBHOOK_SECRET):
        assert [line for line in lines if secret in line] == []
        assert secret not in json.dumps(summary)


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_what_a_task_leaves_behind(
    sandbox: RunningSandbox, warehouse: Path, capsys: pytest.CaptureFixture[str]
):
    sandbox.set(quota_enforced=True, organization_quota=3)
    operator = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20)
    operator.render_template_fields({})
    with all_logs() as lines:
        deferred = defer(operator, lambda: operator.execute(context()))
    # A task's own logger writes there.
    lines += capsys.readouterr()
    left = [
        repr(operator),
        repr(deferred.trigger.serialize()),
        repr(deferred.kwargs),
        repr({name: getattr(operator, name) for name in operator.template_fields}),
        *lines,
    ]
    for secret in (sandbox.token, WEBHOOK_SECRET):
        assert [text for text in left if secret in text] == []
        assert secret.encode() not in warehouse.read_bytes()


def test_the_log_says_until_when_a_task_waits_and_what_is_done(
    sandbox: RunningSandbox, warehouse: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    sandbox.set(quota_enforced=True, organization_quota=3)
    operator = TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20)
    defer(operator, lambda: operator.execute(context()))
    said = caplog.text + capsys.readouterr().out
    for fact in (
        r"The hourly quota of Toggl for workspace:\d+ is used up\.",
        r"Waits for the hourly quota of Toggl until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, 60 min from now\.",
        r"Done so far: 3 requests, 60 rows\.",
        r"Left: at least \d+ requests?\.",
        r"Done at 20\d\d-\d\d-\d\d \d\d:\d\d UTC or later\.",
        r"So far: time_entries of workspace .*60 rows in 3 pages",
        r"The task holds no worker slot until then\.",
    ):
        assert len(re.findall(fact, said)) == 1, fact


def test_the_options_of_the_provider_are_known_to_airflow():
    assert conf.get("toggl", "report_lag") == "300"
    assert conf.get("toggl", "warehouse_lock_timeout") == "300"
