from __future__ import annotations

import argparse
import json

import pytest

from airflow_provider_toggl.cli.plan import add_arguments, run
from airflow_provider_toggl.sandbox.seed import build_world
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


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
def test_the_plan_is_told_to_people(capsys):
    assert call() == 0
    printed = capsys.readouterr().out
    assert "300 time entries to load (counted)" in printed
    assert "28 requests an hour spare" in printed
    assert "on Free" in printed
    assert "Begun now, it ends about" in printed


def test_json_has_the_numbers_also_of_a_warehouse(toggl: RunningSandbox, capsys):

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
def test_what_is_wrong_is_said_and_ends_with_1(capsys, arguments: tuple[str, str], word: str):
    assert call(*arguments) == 1
    assert word in capsys.readouterr().err
