from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.connections import Connections

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.core.operate.doctor.context import CHECKS
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    return main(["doctor", *arguments])


@pytest.mark.usefixtures("connections")
def test_a_missing_connection_is_reported_with_its_fix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("--conn-id", "toggl_nowhere") == 1
    lines = capsys.readouterr().out.splitlines()
    index = next(index for index, line in enumerate(lines) if line.startswith("fault    connection"))
    assert "There is no connection 'toggl_nowhere'" in lines[index]
    assert lines[index + 1].split()[0] == "Meaning:"
    assert lines[index + 2].split()[0] == "Fix:"
    assert lines[-1].endswith("0 requests sent to Toggl.")


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "soon"], ["--fast"]])
def test_invalid_arguments_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(*arguments)


def test_it_works_in_a_shell_without_a_running_airflow(tmp_path: Path) -> None:
    fields = {"conn_type": "toggl", "host": "http://127.0.0.1:1", "password": "t" * 32, "extra": {"workspace_id": 7}}
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_TOGGL_DEFAULT": json.dumps(fields),
    }
    command = [str(Path(sys.executable).with_name("airflow")), "toggl", "doctor", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    printed = json.loads(done.stdout)
    found = {one["check"]: (one["status"], one["problem"]) for one in printed["findings"]}
    assert found["token"] == ("fault", "toggl_unreachable")
    assert found["store"] == found["versions"] == ("ok", None)
    # There is not even a metadata database.
    assert found["triggerer"] == ("unknown", None)
    assert "t" * 32 not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "token"),
        ({"password": "t" * 32, "extra": "[1, 2]"}, "extra"),
        ({"password": "t" * 32, "extra": "{oops"}, "extra"),
    ],
)
def test_a_connection_without_a_token_or_with_an_invalid_extra_is_a_fault(
    connections: Connections, capsys: pytest.CaptureFixture[str], fields: dict[str, str], word: str
) -> None:
    connections.set("toggl_default", conn_type="toggl", **fields)
    assert call("--json") == 1
    report = json.loads(capsys.readouterr().out)
    (found,) = [one for one in report["findings"] if one["status"] == "fault"]
    assert (found["problem"], word in found["text"]) == ("connection_wrong", True)
    assert (report["ok"], report["requests"]) == (False, 0)
    assert {one["check"] for one in report["findings"]} == set(CHECKS)


SLOW_SECRETS = """
import time
from airflow.secrets import BaseSecretsBackend
class Slow(BaseSecretsBackend):
    def get_connection(self, conn_id):
        time.sleep(3600)
"""


def test_a_secrets_backend_that_hangs_does_not_hang_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "slow_secrets.py").write_text(SLOW_SECRETS)
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": "slow_secrets.Slow",
        "PYTHONPATH": str(tmp_path),
    }
    command = [sys.executable, "-m", "airflow_provider_toggl", "doctor", "--json", "--timeout", "1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1, done.stderr
    faults = [one for one in json.loads(done.stdout)["findings"] if one["status"] == "fault"]
    assert {one["problem"] for one in faults} == {"connection_missing", "warehouse_unreachable"}
    assert "No result within 1 s" in faults[0]["text"]


def test_the_cost_is_printed_first_and_not_exceeded(
    sandbox: RunningSandbox, connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.set(
        "toggl_default",
        conn_type="toggl",
        host=sandbox.url,
        password=sandbox.token,
        extra={"workspace_id": sandbox.workspace_id, "requests_per_second": 100},
    )
    sandbox.reset_requests()
    call()
    said = capsys.readouterr()
    assert said.err.splitlines()[0].startswith("Sends 3 requests to Toggl; with webhooks 2 more, and 1 or 2 more")
    assert sandbox.requests()["total"] == 3
    assert said.out.splitlines()[-1].endswith("3 requests sent to Toggl.")
