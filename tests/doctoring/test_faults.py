"""Fifteen real faults: the doctor reports each with its check and its fix, and no other fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

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
HASTILY = ("--timeout", "4")
"""For what is waited for in vain."""


@pytest.fixture
def examine(clinic: DoctorSetup, capsys: pytest.CaptureFixture[str]) -> Examine:
    return lambda *arguments: clinic.examine(*arguments, capsys=capsys)


@pytest.fixture
def subscribed(clinic: DoctorSetup) -> int:
    """The number of a healthy subscription, and a warehouse in which something was landed."""
    clinic.load()
    return clinic.subscribe()


def assert_fault(told: DoctorReport, name: str, *words: str, beside: set[str] | None = None) -> None:
    """The fault is reported with its check, its text, its meaning and its fix, and there are no others."""
    assert told.code == 1
    assert told.report["ok"] is False
    assert told.faults() == {name} | (beside or set())
    found = next(one for one in told.report["findings"] if one["problem"] == name)
    known = problem(name, found["text"]).as_dict()
    assert found == known
    for word in words:
        assert word in found["text"]


def test_without_a_fault_nothing_is_wrong(subscribed: int, examine: Examine) -> None:
    told = examine()
    assert told.faults() == set()
    assert told.code == 0
    assert {check: status for check, status in told.statuses().items() if status != "ok"} == {"triggerer": "unknown"}
    assert told.report["requests"] == 6


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token(clinic: DoctorSetup, subscribed: int, examine: Examine, status: int) -> None:
    clinic.sandbox.set(wrong_token_status=status)
    clinic.connect(token="f" * 32)
    told = examine()
    assert_fault(told, "wrong_token", str(status))
    # Checks that need the token are skipped; the others are made.
    statuses = told.statuses()
    assert {statuses[check] for check in ("plan", "quota", "rights", "clock", "subscription")} == {"skipped"}
    assert {statuses[check] for check in ("store", "warehouse", "callback")} == {"ok"}
    assert told.report["requests"] == 1


def test_lost_admin_rights(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.sandbox.change_user(is_admin=False)
    assert_fault(examine(), "not_admin", "no administrator", str(clinic.sandbox.workspace_id))
    told = examine("--member")
    assert (told.code, told.statuses()["rights"]) == (0, "warning")


def test_a_plan_s_limit(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.sandbox.set(plan="premium")
    words = ("created", "updated", "deleted")
    clinic.subscribe((*(SubscriptionFilter("time_entry", word) for word in words), SubscriptionFilter("tag", "*")))
    assert examine().code == 0
    clinic.sandbox.set(plan="free")
    assert_fault(examine(), "plan_limit", "4 filters", "allows 3")


def test_an_unvalidated_subscription(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.connect(webhook_validation="asynchronous")
    number = clinic.subscribe()
    assert_fault(examine(), "subscription_unvalidated", f"Subscription {number}", "not validated")


def test_an_unreachable_callback(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.receiver.close()
    assert_fault(examine(*HASTILY), "callback_unreachable", clinic.receiver.url, "refused")


@pytest.mark.parametrize("told_by_toggl", [True, False], ids=["listed", "not-listed"])
def test_a_wrong_secret_on_toggl_s_side(
    clinic: DoctorSetup, subscribed: int, examine: Examine, told_by_toggl: bool
) -> None:
    clinic.sandbox.set(webhook_list_returns_secret=told_by_toggl)
    clinic.connect(webhook_secret="another-secret-2b7a")
    # The receiver looks at the secrets anew, which it does not do at any moment; so more time than for the others.
    told = examine(*(["--no-ping"] if told_by_toggl else ["--timeout", "12"]))
    assert_fault(told, "wrong_secret", *(["another secret"] if told_by_toggl else ["refuses Toggl's", "401"]))
    assert "another-secret-2b7a" not in str(told.report)


def test_a_wrong_secret_on_the_receiver_s_side(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.receiver.close()
    clinic.receiver = HostedReceiver(secret="older-secret-51b0", port=clinic.receiver.port)
    try:
        assert_fault(examine(*HASTILY), "wrong_secret", "signed here with the connection's secret", "401")
    finally:
        clinic.receiver.close()


def test_a_clock_that_is_off(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.sandbox.advance(600)
    assert_fault(examine(), "clock_off", "behind Toggl's clock")


def test_a_store_that_is_read_only(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.connect(webhook_secret=None, webhook_callback_url=None)
    with small_disk(clinic.folder / "state", kilobytes=1024) as disk:
        make_store(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert_fault(examine(), "store_read_only", "events.sqlite")


def test_a_disk_that_is_full(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.connect(webhook_secret=None, webhook_callback_url=None)
    with small_disk(clinic.folder / "state", kilobytes=1024) as disk:
        make_store(disk)
        with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        told = examine()
        assert_fault(told, "disk_full")


def test_a_triggerer_that_is_down(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    with triggerer_job(seconds_ago=300):
        assert_fault(examine(), "triggerer_down", "30", "s ago")


@pytest.fixture
def stranger(clinic: DoctorSetup) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that keeps the warehouse open."""
    clinic.load()
    program = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(clinic.warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process
        process.kill()


def test_a_warehouse_that_is_locked(clinic: DoctorSetup, stranger: subprocess.Popen[bytes], examine: Examine) -> None:
    clinic.subscribe()
    told = examine("--no-ping", *HASTILY)
    assert_fault(told, "warehouse_locked", str(clinic.warehouse), f"PID {stranger.pid}")


def test_a_schema_that_is_too_old(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.subscribe()
    with duckdb.connect(str(clinic.warehouse)) as db:
        db.execute("create schema toggl; use toggl;")
        db.execute(VERSION_1.read_text())
        db.execute("insert into schema_version values (1, now())")
    assert_fault(examine(), "schema_too_old", "version 1", "days that changed", "history")
    # The check changed nothing.
    with duckdb.connect(str(clinic.warehouse)) as db:
        assert db.execute("select max(version) from toggl.schema_version").fetchall() == [(1,)]
    clinic.load()
    assert examine().code == 0


def test_toggl_answers_5xx(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.sandbox.fault("status", status=503, times=None)
    told = examine()
    assert_fault(told, "toggl_down", "503")
    assert told.report["requests"] == 2


def test_the_quota_is_gone(clinic: DoctorSetup, subscribed: int, examine: Examine) -> None:
    clinic.sandbox.set(quota_enforced=True, user_quota=2)
    told = examine()
    assert_fault(told, "quota_gone", "user")
    clinic.sandbox.reset_requests()
    told = examine()
    assert_fault(told, "quota_gone", "user", "UTC")
    # What is known before costs no request.
    assert told.report["requests"] == 0 == clinic.sandbox.requests()["total"]
    assert told.statuses()["token"] == "skipped"


def test_a_wait_after_a_429_is_not_an_unreachable_network(subscribed: int, examine: Examine) -> None:
    session = TogglHook("toggl_default").get_conn()
    session._state.hold_back(3600.0, SystemClock().now())
    told = examine(*HASTILY)
    found = told.fault("rate_limited")
    assert (found["check"], "No request was sent" in found["text"]) == ("token", True)
    assert told.faults() == set()
    assert told.report["requests"] == 0


def test_a_callback_without_a_secret(clinic: DoctorSetup, examine: Examine) -> None:
    clinic.load()
    clinic.connect(webhook_secret=None)
    told = examine()
    assert_fault(told, "no_webhook_secret", "webhook_callback_url", beside={"no_subscription"})


def test_versions_that_do_not_fit(
    clinic: DoctorSetup, subscribed: int, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apache_airflow", "apache_airflow_core"):
        about = clinic.folder / "older" / f"{name}-2.11.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.11.0\n")
    monkeypatch.syspath_prepend(str(clinic.folder / "older"))
    told = examine()
    assert told.code == 1
    assert told.faults() == {"unfit_version"}
    (first, _) = told.of("versions")
    assert "apache-airflow 2.11.0 is installed" in first["text"]
    assert ">=3.2" in first["text"]


def make_store(folder: Path) -> None:
    with SqliteEventStore(folder / "events.sqlite") as store:
        store.prepare()
