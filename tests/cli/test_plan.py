from __future__ import annotations

import json
import re

import pytest

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.cli.plan import announce_wait
from airflow_provider_toggl.core.client.session import WAIT_REASONS
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.sandbox.workspace.seed import build_world

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    return main(["plan", *arguments])


@pytest.fixture
def toggl(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path))
    with RunningSandbox(build_world(entries=300, plan="free")) as sandbox:
        fields = {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token}
        fields["extra"] = {"workspace_id": sandbox.workspace_id, "requests_per_second": 200}
        monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
        file = {"conn_type": "duckdb", "host": str(tmp_path / "warehouse.duckdb")}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(file))
        yield sandbox


@pytest.mark.usefixtures("toggl")
def test_the_plan_is_printed_as_text(capsys):
    assert call() == 0
    printed = capsys.readouterr().out
    assert "300 time entries to load (counted)" in printed
    assert "28 requests an hour available" in printed
    assert "on Free" in printed
    assert "If it begins now, it ends about" in printed


def test_json_has_the_numbers_also_for_a_warehouse(toggl: RunningSandbox, capsys):
    assert call("--json", "--warehouse-conn-id", "warehouse", "--since", "2025-01-01") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["workspace_id"] == toggl.workspace_id
    assert plan["an_hour"] == 28
    assert plan["streams"]["time_entries"]["exact"]


@pytest.mark.usefixtures("toggl")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("--since", "soon"), "since"), (("--warehouse-conn-id", "nowhere"), "nowhere"), (("--conn-id", "no"), "no")],
    ids=["since", "warehouse", "connection"],
)
def test_a_wrong_argument_is_named_and_exits_with_1(capsys, arguments: tuple[str, str], word: str):
    assert call(*arguments) == 1
    assert word in capsys.readouterr().err


def test_the_cost_of_the_plan_itself_is_printed_before_a_request_is_sent(toggl: RunningSandbox, capsys):
    toggl.fault("status", status=401, times=None)
    assert call("--since", "2024-06-01") == 1
    first, *_ = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"This plan takes about \d requests\.", first)
    toggl.clear_faults()
    assert call() == 0
    assert call() == 0
    said = capsys.readouterr().err
    assert "This plan takes one request for each year of the history and about 4 more." in said
    assert re.search(r"about 4 more; 2\d available for organization:\d+\.", said)


@pytest.mark.parametrize("since", [None, "2025-01-01", "2021-01-01"])
def test_the_plan_costs_the_announced_requests(toggl: RunningSandbox, capsys, since: str | None):
    assert call(*([] if since is None else ["--since", since])) == 0
    said = capsys.readouterr().err
    spent = toggl.requests()["total"]
    if since is None:
        assert spent <= 2 + 4
    else:
        assert abs(int(re.findall(r"about (\d+) requests", said)[0]) - spent) <= 1


def test_a_plan_stopped_by_the_quota_prints_its_progress_and_the_reset(toggl: RunningSandbox, capsys):
    toggl.set(organization_quota=6)
    assert call("--since", "2020-01-01") == 1
    said = capsys.readouterr().err
    assert re.search(r"The hourly quota of Toggl for \S+ is used up until \S+ \S+ UTC\.", said)
    assert re.search(r"The plan stopped after 5 requests: 300 entries since 202\d-\d\d-\d\d counted\.", said)


def test_a_plan_stopped_by_a_429_prints_the_reason_once(toggl: RunningSandbox, capsys):
    toggl.fault("status", status=429, headers={"Retry-After": "120"}, times=None)
    assert call() == 1
    said = capsys.readouterr().err
    assert len(re.findall(r"429: too many requests at once .* Try again after \d\d:\d\d:\d\d UTC", said)) == 1
    assert "The plan stopped after 1 request: nothing is counted yet." in said
    assert "quota" not in said.replace("/me/quota", "")


@pytest.mark.parametrize("reason", WAIT_REASONS)
def test_a_long_wait_is_printed_with_its_end_on_standard_error(reason: str, capsys: pytest.CaptureFixture[str]):
    with announce_wait(reason, 1_780_000_000.0, 3):
        printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"Waiting for {WAIT_REASONS[reason]} until 20:26:40 UTC.\n"
