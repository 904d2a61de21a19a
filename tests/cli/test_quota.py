from __future__ import annotations

import argparse
import json

import pytest

from airflow_provider_toggl.cli.quota import add_arguments, run
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
    with RunningSandbox(build_world(entries=20, plan="free")) as sandbox:
        fields = {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token}
        monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
        yield sandbox


@pytest.mark.usefixtures("toggl")
def test_each_lane_is_printed_with_its_reset(capsys):
    assert call() == 0
    printed = capsys.readouterr().out
    assert "user" in printed
    assert "organization:" in printed
    assert "UTC" in printed


@pytest.mark.usefixtures("toggl")
def test_json_has_the_numbers(capsys):
    assert call("--json") == 0
    lanes = json.loads(capsys.readouterr().out)
    assert lanes["user"]["total"] == 30


def test_a_wrong_token_says_so_and_ends_with_1(toggl, monkeypatch, capsys):
    fields = {"conn_type": "toggl", "host": toggl.url, "password": "f" * 32}
    monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
    assert call() == 1
    assert "API token is not valid" in capsys.readouterr().err


def test_a_connection_that_is_not_there_is_a_line_and_ends_with_1(capsys):
    assert call("--conn-id", "toggl_nowhere") == 1
    captured = capsys.readouterr()
    assert "toggl_nowhere" in captured.err
    assert captured.out == ""
