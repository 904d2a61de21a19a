from __future__ import annotations

import argparse
import json
import re
import signal
from pathlib import Path

import pytest
from support.deliveries import SECRET, STARTED_ENTRY, VALIDATION_PING, event_body, sign
from support.receivers import ReceiverProcess

from airflow_provider_toggl.cli import receiver
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    receiver.add_arguments(parser)
    return receiver.run(parser.parse_args(arguments))


def test_it_prints_its_address_receives_and_terminates(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path) as running:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/toggl/webhooks/toggl_default", running.address())
        assert running.deliver(STARTED_ENTRY).status_code == 200
        assert running.deliver(VALIDATION_PING).json()["validation_code"]
        assert running.deliver(STARTED_ENTRY, signature=None).status_code == 401
        assert running.stop() in (0, -signal.SIGTERM)
        with SqliteEventStore(running.store_path) as store:
            assert [one.event.body for one in store.read(0)] == [STARTED_ENTRY]
        assert "1 stored" in running.log()
        assert "Traceback" not in running.log()
        assert SECRET not in running.log()


def test_the_option_or_the_arguments_name_the_connections(tmp_path: Path) -> None:
    fields = json.dumps({"conn_type": "toggl", "extra": {"webhook_secret": "of-the-other"}})
    env = {"AIRFLOW_CONN_OTHER": fields, "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default, other"}
    with ReceiverProcess(tmp_path / "option", env=env) as running:
        assert running.deliver(event_body(1)).status_code == 200
        assert running.deliver(event_body(1), conn_id="other", secret="of-the-other").status_code == 200
        assert running.deliver(event_body(2), conn_id="other").status_code == 401
    with ReceiverProcess(tmp_path / "argument", env=env, arguments=["--connections", "other"]) as running:
        assert running.deliver(event_body(1), conn_id="other", secret="of-the-other").status_code == 200
        assert running.deliver(event_body(1)).status_code == 404


def test_it_does_not_start_for_a_connection_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--connections", "no_such_connection", "--port", "0") == 1
    assert "no_such_connection" in capsys.readouterr().err


def test_it_does_not_start_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps({"conn_type": "toggl", "password": "x"}))
    assert call("--port", "0") == 1
    assert "webhook_secret" in capsys.readouterr().err


def test_a_port_in_use_is_an_error(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path / "state"))
    fields = {"conn_type": "toggl", "extra": {"webhook_secret": SECRET}}
    monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
    with receiver._listen("127.0.0.1", 0) as taken:
        assert call("--port", str(taken.getsockname()[1])) == 1
    assert "in use" in capsys.readouterr().err


def test_verbose_logs_the_reason_of_each_refusal(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path, arguments=["--verbose"]) as running:
        running.deliver(STARTED_ENTRY, signature=sign(b""))
        running.wait_until_log_has("None of the connection's webhook secrets signed")
