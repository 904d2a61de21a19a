from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from support.deliveries import SECRET, STARTED_ENTRY, VALIDATION_PING, sign
from support.servers.receivers import ReceiverProcess

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.cli import receiver
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = pytest.mark.airflow


def call(*arguments: str) -> int:
    return main(["receiver", *arguments])


def test_it_prints_its_address_receives_logs_and_terminates(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path, arguments=["--verbose"]) as running:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/toggl/webhooks/toggl_default", running.address())
        assert running.deliver(STARTED_ENTRY).status_code == 200
        assert running.deliver(VALIDATION_PING).json()["validation_code"]
        assert running.deliver(STARTED_ENTRY, signature=sign(b"")).status_code == 401
        assert running.stop() in (0, -signal.SIGTERM)
        with SqliteEventStore(running.store_path) as store:
            assert [one.event.body for one in store.read(0)] == [STARTED_ENTRY]
        assert "1 stored" in running.log()
        assert "None of the connection's webhook secrets signed" in running.log()
        assert "Traceback" not in running.log()
        assert SECRET not in running.log()


@pytest.mark.parametrize(
    ("option", "arguments", "expected"),
    [
        (None, [], ("toggl_default",)),
        ("toggl_default, other", [], ("toggl_default", "other")),
        ("toggl_default, other", ["--connections", "other"], ("other",)),
    ],
)
def test_the_arguments_or_the_option_name_the_connections(
    monkeypatch: pytest.MonkeyPatch, option: str | None, arguments: list[str], expected: tuple[str, ...]
) -> None:
    if option:
        monkeypatch.setenv("AIRFLOW__TOGGL__RECEIVER_CONNECTIONS", option)
    checked: list[object] = []

    def check_ready(conn_ids: object) -> None:
        checked.append(conn_ids)
        raise ConfigurationError("enough")

    monkeypatch.setattr(receiver, "check_ready", check_ready)
    assert call(*arguments) == 1
    assert checked == [expected]


@pytest.mark.parametrize(("conn_id", "word"), [("no_such_connection",) * 2, ("toggl_default", "webhook_secret")])
def test_it_does_not_start_without_a_connection_or_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], conn_id: str, word: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps({"conn_type": "toggl", "password": "x"}))
    assert call("--connections", conn_id, "--port", "0") == 1
    assert word in capsys.readouterr().err


def test_a_port_in_use_is_an_error(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path / "state"))
    fields = {"conn_type": "toggl", "extra": {"webhook_secret": SECRET}}
    monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", json.dumps(fields))
    with receiver._listen("127.0.0.1", 0) as taken:
        assert call("--port", str(taken.getsockname()[1])) == 1
    assert "in use" in capsys.readouterr().err
