"""What the doctor makes of facts, without any of what it looks at."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.package_sources import PACKAGE, ROOT

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.resources.subscriptions import Filter, Found, Limits
from airflow_provider_toggl.core.client.responses import Answer
from airflow_provider_toggl.core.errors import (
    DatabaseFault,
    EventStoreDamaged,
    EventStoreTooNew,
    EventStoreUnavailable,
    MalformedAnswer,
    NotFound,
    SchemaTooNew,
    ServerTrouble,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
    WrongCredentials,
)
from airflow_provider_toggl.core.events.store import StoreFacts
from airflow_provider_toggl.core.operate.doctor import (
    account,
    callback,
    store,
    subscription,
    triggerer,
    versions,
    warehouse,
)
from airflow_provider_toggl.core.operate.doctor.callback import ProbeResult, TogglPing
from airflow_provider_toggl.core.operate.doctor.states import CHECKS, CheckStatus
from airflow_provider_toggl.core.operate.doctor.timeout import CheckTimeout, within
from airflow_provider_toggl.core.operate.doctor.triggerer import TriggererFacts
from airflow_provider_toggl.core.operate.findings import Finding, Report, fine, skipped, trouble, unknown
from airflow_provider_toggl.core.operate.problems import BY_NAME, PROBLEMS

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
URL = "https://airflow.example.org/toggl/webhooks/toggl_default"


def names(findings: list[Finding] | Finding) -> list[str | None]:
    return [one.name for one in (findings if isinstance(findings, list) else [findings])]


# -- the catalogue and the report --------------------------------------------------------------------------------------


def test_every_trouble_has_a_step_a_meaning_and_a_cure_and_is_used() -> None:
    folder = ROOT / PACKAGE
    files = [*(folder / "core/operate/doctor").glob("*.py"), folder / "hooks/doctor.py"]
    code = "".join(path.read_text() for path in files if "catalogue" not in path.name)
    assert len(BY_NAME) == len(PROBLEMS)
    for one in PROBLEMS:
        assert one.step in CHECKS
        assert one.state in (CheckStatus.FAULT, CheckStatus.WARNING, CheckStatus.UNKNOWN)
        assert one.meaning.endswith((".", "?"))
        assert one.cure.endswith(".")
        assert f'"{one.name}"' in code, one.name


def test_the_page_has_each_trouble_with_its_meaning_and_its_cure() -> None:
    page = (ROOT / "docs/doctor.md").read_text()
    wanted = [f"| {one.step} | `{one.name}` | {one.state.value} | {one.meaning} | {one.cure} |" for one in PROBLEMS]
    assert [line for line in page.splitlines() if re.match(r"\| \w+ \| `\w+` \|", line)] == wanted


def test_a_report_is_in_the_order_of_the_steps_and_fails_by_a_fault_alone() -> None:
    report = Report.of([trouble("no_tables", "none"), unknown("clock", "no date"), fine("token", "good")], 3)
    assert [one.step for one in report.findings] == ["token", "clock", "warehouse"]
    assert report.exit_code == 0
    assert report.as_dict()["counts"] == {"ok": 1, "warning": 1, "fault": 0, "unknown": 1, "skipped": 0}
    worse = Report.of([*report.findings, trouble("wrong_token", "401")], 3)
    assert worse.exit_code == 1
    text = "\n".join(worse.lines())
    assert f"Cure: {BY_NAME['wrong_token'].cure}" in text
    assert text.endswith("3 requests sent to Toggl.")
    assert skipped("plan", "why").as_dict() == {
        "step": "plan",
        "state": "skipped",
        "what": "why",
        "trouble": None,
        "meaning": None,
        "cure": None,
    }


def test_work_that_hangs_is_left() -> None:
    ended = threading.Event()
    began = time.monotonic()
    with pytest.raises(CheckTimeout, match=r"within 0\.05 s"):
        within(0.05, lambda: ended.wait(60))
    ended.set()
    assert time.monotonic() - began < 30
    assert within(30, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 // 0)


# -- versions ----------------------------------------------------------------------------------------------------------

FITTING = versions.Versions(
    package="0.1.0",
    python="3.12.1",
    python_needed="<3.14,>=3.10",
    needed=("apache-airflow>=3.2", "duckdb>=1.4", 'apache-airflow-providers-postgres>=6.0; extra == "postgres"'),
    installed={"apache-airflow": "3.3.2", "apache-airflow-core": "3.3.2", "duckdb": "2.0.0"},
)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, [None]),
        ({"python": "3.14.0"}, ["unfit_version"]),
        ({"installed": {**FITTING.installed, "duckdb": "1.3.9"}}, ["unfit_version"]),
        ({"installed": {"apache-airflow": "3.3.2"}}, ["unfit_version"]),
        ({"installed": {**FITTING.installed, "apache-airflow-core": "2.11.0"}}, ["unfit_version"]),
        ({"installed": {**FITTING.installed, "apache-airflow-providers-postgres": "5.9"}}, ["unfit_version"]),
        ({"installed": {**FITTING.installed, "apache-airflow": "3.4.0"}}, ["untested_version"]),
        ({"installed": {**FITTING.installed, "apache-airflow": "3.4.0rc1"}}, ["untested_version"]),
    ],
)
def test_versions_are_held_against_what_is_asked_for(change: dict[str, Any], found: list[str | None]) -> None:
    assert names(versions.check_versions(replace(FITTING, **change))) == found


def test_what_is_installed_here_fits() -> None:
    assert names(versions.check_versions(versions.find_versions())) == [None]


# -- the account -------------------------------------------------------------------------------------------------------


def test_errors_of_toggl_are_told_apart() -> None:
    errors = (WrongCredentials("a"), ServerTrouble("a"), MalformedAnswer("a"), NotFound("a"))
    found = [account.judge_error("plan", error) for error in errors]
    assert [one.name for one in found] == ["wrong_token", "toggl_down", "not_toggl", None]
    assert (found[-1].step, found[-1].state) == ("plan", CheckStatus.UNKNOWN)


@pytest.mark.parametrize(
    ("off", "found"), [(0.4, None), (-4, None), (12, "clock_drifts"), (-31, "clock_off"), (3600, "clock_off")]
)
def test_a_clock_is_held_against_another(off: float, found: str | None) -> None:
    assert account.judge_offset("Toggl's clock", off).name == found


def test_toggl_s_clock_is_in_its_answer() -> None:
    headers = {"date": "Tue, 10 Mar 2026 12:00:00 GMT"}
    answer = Answer("GET", "/api/v9/me", 200, headers, b"{}", NOW.timestamp() + 100.5)
    assert "100.0 s ahead of Toggl's clock" in account.check_clock(answer).what
    assert account.check_clock(replace(answer, headers={})).state is CheckStatus.UNKNOWN


def test_each_lane_of_the_quota_is_told() -> None:
    lanes = {
        "user": Lane(30, 0, NOW.timestamp() + 90),
        "organization:1": Lane(240, 20, NOW.timestamp() + 60),
        "organization:2": Lane(30, 30, None),
        "organization:3": Lane(),
    }
    found = account.check_quota(lanes, NOW.timestamp())
    assert names(found) == ["quota_low", None, None, "quota_gone"]
    assert "user: 0 of 30 requests left, reset at 12:01:30 UTC (in 2 min)." in found[-1].what
    assert account.check_quota({}, 0)[0].state is CheckStatus.UNKNOWN


@pytest.mark.parametrize(
    ("flags", "total", "plan"),
    [
        ({}, 30, "Free"),
        ({"premium": True}, 240, "Starter"),
        ({"premium": True, "business_ws": True}, 600, "Premium"),
        ({"premium": True, "business_ws": True}, 5000, "Enterprise"),
    ],
)
def test_the_plan_is_that_of_the_flags_and_the_quota(flags: dict[str, bool], total: int, plan: str) -> None:
    workspace = {"organization_id": 4, **flags}
    found = account.check_plan(workspace, {"organization:4": Lane(total, 1, None)})
    assert found.what.startswith(f"{plan}: {total:,} requests an hour")


@pytest.mark.parametrize(
    ("row", "member", "found"),
    [
        ({"admin": True}, False, None),
        ({"role": "owner"}, False, None),
        ({"admin": False, "role": "user"}, False, "not_admin"),
        ({"admin": False}, True, "member_only"),
    ],
)
def test_who_is_no_administrator_sees_less(row: dict[str, Any], member: bool, found: str | None) -> None:
    assert account.check_rights(row, member=member).name == found


# -- store -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (EventStoreUnavailable("x", fault=DatabaseFault.DISK_FULL), "disk_full"),
        (EventStoreUnavailable("x", fault=DatabaseFault.READ_ONLY), "store_read_only"),
        (EventStoreUnavailable("x", fault=DatabaseFault.LOCKED), "store_locked"),
        (EventStoreUnavailable("x", fault=DatabaseFault.CONNECTION_LOST), "store_unreachable"),
        # Words decide nothing: paths and messages in other languages have any.
        (EventStoreUnavailable("/disk is full/is locked/x cannot be used: disk I/O error."), "store_unreachable"),
        (EventStoreDamaged("bad"), "store_damaged"),
        (EventStoreTooNew("new"), "store_too_new"),
    ],
)
def test_errors_of_the_store_are_told_apart(error: EventStoreUnavailable, found: str) -> None:
    assert store.judge_store_error(error).name == found


def test_a_store_s_facts_are_judged() -> None:
    good = StoreFacts("here", 2, free_bytes=10 << 30)
    check: Callable[..., list[Finding]] = lambda **change: store.check_store(replace(good, **change), seconds=0.002)  # noqa: E731
    assert names(check()) == [None]
    assert names(check(free_bytes=100 << 20)) == ["disk_low"]
    assert names(check(free_bytes=4096)) == ["disk_full"]
    assert names(check(risks=("a", "b"), damage="page 3")) == ["store_damaged", *["store_not_durable"] * 2]
    assert names(check(clock_off=-100.0)) == [None, "clock_off"]


# -- subscription and callback -----------------------------------------------------------------------------------------

OWN = Found(5, "airflow", (Filter("*", "*"),), f"{URL}?key=k", enabled=True, validated=True, secret="s")
OTHER = replace(OWN, subscription_id=6, callback_url="https://other.example.org/hook")


def test_the_own_subscription_is_that_which_leads_to_the_callback() -> None:
    disabled = replace(OWN, subscription_id=4, enabled=False)
    assert subscription.find_own([OTHER, disabled, OWN], URL, "toggl_default") == OWN
    assert subscription.find_own([OTHER, OWN], None, "toggl_default") == OWN
    assert subscription.find_own([OTHER], URL, "toggl_default") is None


@pytest.mark.parametrize(
    ("change", "limits", "found"),
    [
        ({}, Limits(1, 3), [None]),
        ({"enabled": False}, Limits(), ["subscription_disabled"]),
        ({"validated": False}, Limits(), ["subscription_unvalidated"]),
        ({"secret": "another"}, Limits(), ["wrong_secret"]),
        ({"secret": None}, Limits(), [None]),
        ({"has_pending_events": True}, Limits(), ["events_pending"]),
        ({"filters": tuple(Filter("tag", word) for word in "abcd")}, Limits(1, 3), ["plan_limit"]),
        ({}, Limits(0, 3), ["plan_limit"]),
    ],
)
def test_a_subscription_s_state_is_judged(change: dict[str, Any], limits: Limits, found: list[str | None]) -> None:
    own = replace(OWN, **change)
    told = subscription.check_subscription(own, [own], limits, wanted=URL, secrets=("s", "previous"))
    assert names(told) == found
    assert "key=k" not in str(told)


def test_a_missing_one_is_told_with_those_that_are_there() -> None:
    (found,) = subscription.check_subscription(None, [OTHER], Limits(), wanted=URL, secrets=())
    assert found.name == "no_subscription"
    assert "6 (airflow) → https://other.example.org/hook" in found.what


GONE, LEFT = TogglPing(arrived=True), TogglPing(arrived=False)
REFUSED = "URL endpoint x responded with status 401 instead of 200"
FAILED = "URL endpoint x request failed with error: y"


@pytest.mark.parametrize(
    ("knock", "pinged", "found"),
    [
        (ProbeResult(200, is_kept=True), GONE, None),
        (ProbeResult(None, "refused"), GONE, None),
        (ProbeResult(None, "refused"), LEFT, "callback_unreachable"),
        (ProbeResult(401), LEFT, "wrong_secret"),
        (ProbeResult(404), None, "unknown_connection"),
        (ProbeResult(503), None, "receiver_cannot_store"),
        (ProbeResult(302), None, "callback_refused"),
        (ProbeResult(200, is_kept=False), LEFT, "other_store"),
        (ProbeResult(200, is_kept=True), LEFT, "ping_lost"),
        (ProbeResult(200, is_kept=True), TogglPing(False, REFUSED), "wrong_secret"),
        (ProbeResult(200, is_kept=True), TogglPing(False, FAILED), "callback_unreachable"),
        (ProbeResult(200, is_kept=True), None, None),
        (None, None, None),
    ],
)
def test_where_a_delivery_gets_lost_is_told_apart(
    knock: ProbeResult | None, pinged: TogglPing | None, found: str | None
) -> None:
    (told,) = callback.check_callback(URL, knock, pinged)
    assert told.name == found
    assert (told.state is CheckStatus.SKIPPED) == (knock is None)


# -- triggerer and warehouse -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "answered", "found"),
    [
        (TriggererFacts((), None, 0), None, "triggerer_down"),
        (TriggererFacts((), 400.0, 0), None, "triggerer_down"),
        (TriggererFacts(("a",), 1.0, 0), None, "nothing_waits"),
        (TriggererFacts(("a",), 1.0, 3), None, "triggerer_blind"),
        (TriggererFacts(("a", "a"), 1.0, 3), 0.4, None),
    ],
)
def test_a_triggerer_is_judged(facts: TriggererFacts, answered: float | None, found: str | None) -> None:
    assert triggerer.check_triggerer(facts, answered, patience=2).name == found


def test_errors_of_the_warehouse_are_told_apart() -> None:
    errors = (WarehouseLocked("a"), WarehouseReadOnly("a"), SchemaTooNew("a"), WarehouseError("a"))
    found = [warehouse.judge_warehouse_error(error).name for error in errors]
    assert found == ["warehouse_locked", "warehouse_read_only", "schema_too_new", "warehouse_unreachable"]


def test_the_version_and_the_age_of_what_is_landed_are_judged() -> None:
    assert warehouse.check_version(3, 3, "here") is None
    old = warehouse.check_version(1, 3, "here")
    assert old is not None
    assert (old.name, "2 (days that changed), 3 (history)" in old.what) == ("schema_too_old", True)
    none = warehouse.check_version(0, 3, "here")
    assert none is not None
    assert none.name == "no_tables"
    landed = [("tags", NOW - timedelta(hours=30)), ("time_entries", NOW - timedelta(minutes=5))]
    (stale,) = warehouse.check_freshness("here", 3, landed, NOW)
    assert (stale.name, "tags (30 h ago)" in stale.what) == ("warehouse_stale", True)
    (fresh,) = warehouse.check_freshness("here", 3, landed[1:], NOW)
    assert (fresh.name, "last landed 5 min ago" in fresh.what) == (None, True)
    assert "nothing was landed yet" in warehouse.check_freshness("here", 3, [], NOW)[0].what
