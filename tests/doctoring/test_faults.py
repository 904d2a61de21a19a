"""Real faults: the doctor reports each with its check and its fix, and no other fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.disks import small_disk
from support.doctor_setup import DoctorReport, DoctorSetup, HostedReceiver, triggerer_job

from airflow_provider_toggl.core.client.resources.subscriptions import SubscriptionFilter
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.hooks.toggl import TogglHook

pytestmark = [pytest.mark.airflow, pytest.mark.newest]

VERSION_1 = Path(__file__).parents[1] / "core" / "load" / "made_before" / "duckdb_version_1.sql"
Examine = Callable[..., DoctorReport]
SHORT = ("--timeout", "4")
"""For a check that always times out."""


@pytest.fixture
def examine(setup: DoctorSetup, capsys: pytest.CaptureFixture[str]) -> Examine:
    return lambda *arguments: setup.examine(*arguments, capsys=capsys)


@pytest.fixture
def subscribed(setup: DoctorSetup) -> int:
    """The number of a healthy subscription; the warehouse has a load."""
    setup.load()
    return setup.subscribe()


def assert_fault(result: DoctorReport, name: str, *words: str, others: frozenset[str] = frozenset()) -> None:
    """Assert that a fault is reported with its check, text, meaning and fix, and no faults but the given others."""
    assert (result.code, result.report["ok"]) == (1, False)
    assert result.faults() == {name} | others
    found = result.fault(name)
    assert found == problem(name, found["text"]).as_dict()
    assert [word for word in words if word not in found["text"]] == []


def restart_receiver(setup: DoctorSetup, **how: Any) -> None:
    setup.receiver.close()
    setup.receiver = HostedReceiver(port=setup.receiver.port, **how)


def test_without_a_fault_none_is_reported(subscribed: int, examine: Examine) -> None:
    result = examine()
    assert (result.code, result.faults(), result.report["requests"]) == (0, set(), 6)
    assert {check: status for check, status in result.statuses().items() if status != "ok"} == {"triggerer": "unknown"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (lambda setup: setup.sandbox.change_user(is_admin=False), ("not_admin", "no administrator of workspace")),
        (lambda setup: setup.sandbox.advance(600), ("clock_off", "behind Toggl's clock")),
        (lambda setup: setup.sandbox.fault("status", status=503, times=None), ("toggl_down", "503")),
        (lambda setup: setup.receiver.close(), ("callback_unreachable", "http://127.0.0.1:", "refused")),
    ],
    ids=["a member", "a clock", "answers 5xx", "no receiver"],
)
def test_a_fault_of_toggl_or_of_the_callback(
    setup: DoctorSetup, subscribed: int, examine: Examine, fault: Callable[[DoctorSetup], None], expected: list[str]
) -> None:
    fault(setup)
    assert_fault(examine(*(SHORT if "callback_unreachable" in expected else ())), *expected)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token(setup: DoctorSetup, subscribed: int, examine: Examine, status: int) -> None:
    setup.sandbox.set(wrong_token_status=status)
    setup.connect(token="f" * 32)
    result = examine()
    assert_fault(result, "wrong_token", str(status))
    # Checks that need the token are skipped; the others are made.
    statuses = result.statuses()
    assert {statuses[check] for check in ("plan", "quota", "rights", "clock", "subscription")} == {"skipped"}
    assert {statuses[check] for check in ("store", "warehouse", "callback")} == {"ok"}
    assert result.report["requests"] == 1


def test_a_member_is_no_fault_if_intended(setup: DoctorSetup, subscribed: int, examine: Examine) -> None:
    setup.sandbox.change_user(is_admin=False)
    result = examine("--member")
    assert (result.code, result.statuses()["rights"]) == (0, "warning")


def test_a_plan_s_limit(setup: DoctorSetup, examine: Examine) -> None:
    setup.sandbox.set(plan="premium")
    setup.subscribe(tuple(SubscriptionFilter(word, "*") for word in ("time_entry", "project", "client", "tag")))
    assert examine().code == 0
    setup.sandbox.set(plan="free")
    assert_fault(examine(), "plan_limit", "4 filters", "allows 3")


def test_an_unvalidated_subscription(setup: DoctorSetup, examine: Examine) -> None:
    setup.connect(webhook_validation="asynchronous")
    number = setup.subscribe()
    assert_fault(examine(), "subscription_unvalidated", f"Subscription {number}", "not validated")


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "not listed"])
def test_a_wrong_secret_on_toggl_s_side(setup: DoctorSetup, subscribed: int, examine: Examine, is_listed: bool) -> None:
    setup.sandbox.set(webhook_list_returns_secret=is_listed)
    setup.connect(webhook_secret="another-secret-2b7a")
    # A running receiver reads the secrets again only after some seconds.
    restart_receiver(setup)
    result = examine(*(["--no-ping"] if is_listed else SHORT))
    assert_fault(result, "wrong_secret", *(["another secret"] if is_listed else ["refuses Toggl's", "401"]))
    assert "another-secret-2b7a" not in str(result.report)


def test_a_wrong_secret_on_the_receiver_s_side(setup: DoctorSetup, subscribed: int, examine: Examine) -> None:
    restart_receiver(setup, secret="older-secret-51b0")
    assert_fault(examine(*SHORT), "wrong_secret", "signed here with the connection's secret", "401")


@pytest.mark.parametrize("name", ["store_read_only", "disk_full"])
def test_a_store_that_cannot_be_written(setup: DoctorSetup, examine: Examine, name: str) -> None:
    setup.connect(webhook_secret=None, webhook_callback_url=None)
    with small_disk(setup.folder / "state", kilobytes=1024) as disk:
        with SqliteEventStore(disk / "events.sqlite") as store:
            store.prepare()
        if name == "store_read_only":
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        else:
            with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
        assert_fault(examine(), name, "events.sqlite")


def test_a_triggerer_that_is_down(setup: DoctorSetup, subscribed: int, examine: Examine) -> None:
    with triggerer_job(seconds_ago=300):
        assert_fault(examine(), "triggerer_down", "30", "s ago")


@pytest.fixture
def other_process(setup: DoctorSetup) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that keeps the warehouse open."""
    setup.load()
    program = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(setup.warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process
        process.kill()


def test_a_warehouse_that_is_locked(
    setup: DoctorSetup, other_process: subprocess.Popen[bytes], examine: Examine
) -> None:
    setup.subscribe()
    result = examine("--no-ping", *SHORT)
    assert_fault(result, "warehouse_locked", str(setup.warehouse), f"PID {other_process.pid}")


def test_a_schema_that_is_too_old(setup: DoctorSetup, examine: Examine) -> None:
    setup.subscribe()
    with duckdb.connect(str(setup.warehouse)) as db:
        db.execute("create schema toggl; use toggl;")
        db.execute(VERSION_1.read_text())
        db.execute("insert into schema_version values (1, now())")
    assert_fault(examine(), "schema_too_old", "version 1", "days that changed", "history")
    # The check changed nothing.
    with duckdb.connect(str(setup.warehouse)) as db:
        assert db.execute("select max(version) from toggl.schema_version").fetchall() == [(1,)]
    setup.load()
    assert examine().code == 0


def test_a_used_up_quota(setup: DoctorSetup, subscribed: int, examine: Examine) -> None:
    setup.sandbox.set(quota_enforced=True, user_quota=2)
    assert_fault(examine(), "quota_gone", "user")
    setup.sandbox.reset_requests()
    result = examine()
    assert_fault(result, "quota_gone", "user", "UTC")
    # The used-up quota is known now, so no request is sent.
    assert result.report["requests"] == 0 == setup.sandbox.requests()["total"]
    assert result.statuses()["token"] == "skipped"


def test_a_wait_after_a_429_is_not_an_unreachable_network(subscribed: int, examine: Examine) -> None:
    session = TogglHook("toggl_default").get_conn()
    session._state.hold_back(3600.0, SystemClock().now())
    result = examine(*SHORT)
    found = result.fault("rate_limited")
    assert (found["check"], "No request was sent" in found["text"]) == ("token", True)
    assert (result.faults(), result.report["requests"]) == (set(), 0)


def test_a_callback_without_a_secret(setup: DoctorSetup, examine: Examine) -> None:
    setup.load()
    setup.connect(webhook_secret=None)
    assert_fault(examine(), "no_webhook_secret", "webhook_callback_url", others=frozenset({"no_subscription"}))


def test_versions_that_do_not_fit(
    setup: DoctorSetup, subscribed: int, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apache_airflow", "apache_airflow_core"):
        about = setup.folder / "older" / f"{name}-2.11.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.11.0\n")
    monkeypatch.syspath_prepend(str(setup.folder / "older"))
    result = examine()
    assert (result.code, result.faults()) == (1, {"unfit_version"})
    (first, _) = result.of("versions")
    assert "apache-airflow 2.11.0 is installed" in first["text"]
    assert ">=3.2" in first["text"]
