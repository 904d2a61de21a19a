"""The judgement of the doctor, without sending requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import Mock

import pytest
from support.fakes import answer, fake_session, replies

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.resources.subscriptions import (
    Subscription,
    SubscriptionFilter,
    SubscriptionLimits,
)
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.errors import (
    ApiError,
    ConnectionTrouble,
    DatabaseFault,
    EventStoreDamaged,
    EventStoreTooNew,
    EventStoreUnavailable,
    MalformedAnswer,
    NotFound,
    PayloadRefused,
    QuotaExhausted,
    SchemaTooNew,
    ServerTrouble,
    TogglError,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
    WrongCredentials,
)
from airflow_provider_toggl.core.events.model import StoreFacts
from airflow_provider_toggl.core.operate.doctor import account, databases, versions, webhooks
from airflow_provider_toggl.core.operate.doctor.context import (
    NEEDS_ANSWER,
    NEEDS_QUOTA,
    CheckContext,
    CheckOptions,
    CheckTimeout,
    run_within,
)
from airflow_provider_toggl.core.operate.doctor.databases import TriggererFacts
from airflow_provider_toggl.core.operate.doctor.webhooks import ProbeResult, TogglPing
from airflow_provider_toggl.core.operate.findings import CheckStatus, Finding, ok, unknown
from airflow_provider_toggl.core.operate.problems import problem

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
URL = "https://airflow.example.org/toggl/webhooks/toggl_default"


def names(findings: list[Finding] | Finding) -> list[str | None]:
    found = findings if isinstance(findings, list) else [findings]
    return [one.problem.name if one.problem else None for one in found]


def name(finding: Finding) -> str | None:
    return names(finding)[0]


# -- the context -------------------------------------------------------------------------------------------------------


def test_a_report_is_in_the_order_of_the_checks() -> None:
    context = CheckContext(CheckOptions())
    context.add(problem("no_tables", "none"), unknown("clock", "no date"))
    context.skip("why", "store", "token")
    assert [one.check for one in context.report().findings] == ["token", "clock", "store", "warehouse"]
    assert (context.has("no_tables"), context.has("disk_low")) == (True, False)


def test_an_address_for_deliveries_is_enough_to_check_webhooks() -> None:
    assert not CheckContext(CheckOptions()).uses_webhooks
    assert CheckContext(CheckOptions(callback_url=URL)).uses_webhooks


def test_a_check_that_hangs_is_abandoned() -> None:
    ended = threading.Event()
    began = time.monotonic()
    with pytest.raises(CheckTimeout, match=r"within 0\.05 s"):
        run_within(0.05, lambda: ended.wait(60))
    ended.set()
    assert time.monotonic() - began < 30
    assert run_within(30, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run_within(30, lambda: 1 // 0)


# -- versions ----------------------------------------------------------------------------------------------------------

FITTING = versions.Versions(
    package="0.1.0",
    python="3.12.1",
    python_needed="<3.14,>=3.10",
    needed=(
        'tomli>=2.0; python_version < "3"',
        "apache-airflow>=3.2",
        "duckdb>=1.4",
        'apache-airflow-providers-postgres>=6.0; extra == "postgres"',
    ),
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
def test_versions_are_compared_with_the_requirements(change: dict[str, Any], found: list[str | None]) -> None:
    assert names(versions.check_versions(replace(FITTING, **change))) == found


def test_the_installed_versions_fit() -> None:
    assert names(versions.check_versions(versions.find_versions())) == [None]


def test_a_python_that_does_not_fit_is_named_with_what_is_needed() -> None:
    (found,) = versions.check_versions(replace(FITTING, python="3.14.0"))
    assert found.text.startswith("Python 3.14.0 is installed; ")
    assert found.text.endswith(" 0.1.0 needs <3.14,>=3.10.")


# -- the account -------------------------------------------------------------------------------------------------------


def test_errors_of_toggl_have_different_problems() -> None:
    errors = (WrongCredentials("a"), ServerTrouble("a"), MalformedAnswer("a"), NotFound("a"))
    found = [account.judge_error("plan", error) for error in errors]
    assert names(found) == ["wrong_token", "toggl_down", "not_toggl", None]
    assert (found[-1].check, found[-1].status) == ("plan", CheckStatus.UNKNOWN)


def test_a_refused_token_is_reported_and_what_needs_it_is_skipped() -> None:
    context = CheckContext(CheckOptions(), session=fake_session(replies(answer(401, b"")))[0])
    account.check_account(context)
    assert [(one.check, name(one)) for one in context.findings] == [
        ("token", "wrong_token"),
        *((check, None) for check in ("plan", "quota", "rights", "clock")),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QuotaExhausted("a", resets_at=NOW, lane="user", known_before=True), NEEDS_QUOTA),
        (ServerTrouble("a"), NEEDS_ANSWER),
    ],
)
def test_a_check_whose_request_failed_is_skipped_with_the_reason(error: TogglError, reason: str) -> None:
    context = CheckContext(CheckOptions())
    account.add_failure(context, "rights", error)
    assert (context.findings[-1].check, context.findings[-1].text) == ("rights", reason)


@pytest.mark.parametrize(
    ("off", "found"), [(0.4, None), (-4, None), (12, "clock_drifts"), (-31, "clock_off"), (3600, "clock_off")]
)
def test_a_clock_is_compared_with_another(off: float, found: str | None) -> None:
    assert name(account.judge_clock("Toggl's clock", off)) == found


def test_toggl_s_clock_is_in_its_answer() -> None:
    headers = {"date": "Tue, 10 Mar 2026 12:00:00 GMT"}
    answer = TogglResponse("GET", "/api/v9/me", 200, headers, b"{}", NOW.timestamp() + 100.5)
    assert "100.0 s ahead of Toggl's clock" in account.judge_answer_clock(answer).text
    assert account.judge_answer_clock(replace(answer, headers={})).status is CheckStatus.UNKNOWN


def test_each_lane_of_the_quota_has_a_finding() -> None:
    lanes = {
        "user": Lane(30, 0, NOW.timestamp() + 90),
        "organization:1": Lane(240, 20, NOW.timestamp() + 60),
        "organization:2": Lane(30, 30, None),
        "organization:3": Lane(),
    }
    found = account.judge_quota(lanes, NOW.timestamp())
    assert names(found) == ["quota_low", None, None, "quota_gone"]
    assert "user: 0 of 30 left, resets in 90 s." in found[-1].text
    assert account.judge_quota({}, 0)[0].status is CheckStatus.UNKNOWN


@pytest.mark.parametrize(
    ("flags", "total", "plan"),
    [
        ({}, 30, "Free"),
        ({"premium": True}, 240, "Starter"),
        ({"premium": True, "business_ws": True}, 600, "Premium"),
        ({"premium": True, "business_ws": True}, 5000, "Enterprise"),
    ],
)
def test_the_plan_follows_from_the_flags_and_the_quota(flags: dict[str, bool], total: int, plan: str) -> None:
    workspace = {"organization_id": 4, **flags}
    found = account.judge_plan(workspace, {"organization:4": Lane(total, 1, None)})
    assert found.text.startswith(f"{plan}: {total:,} requests per hour")


@pytest.mark.parametrize(
    ("row", "member", "found"),
    [
        ({"admin": True}, False, None),
        ({"role": "owner"}, False, None),
        ({"admin": False, "role": "user"}, False, "not_admin"),
        ({"admin": False}, True, "member_only"),
    ],
)
def test_a_member_is_a_fault_unless_intended(row: dict[str, Any], member: bool, found: str | None) -> None:
    assert name(account.judge_rights(row, member=member)) == found


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
def test_errors_of_the_store_have_different_problems(error: EventStoreUnavailable, found: str) -> None:
    assert name(databases.judge_store_error(error)) == found


def test_a_store_s_facts_are_judged() -> None:
    good = StoreFacts("here", 2, free_bytes=10 << 30)
    check: Callable[..., list[Finding]] = lambda **change: databases.judge_store(replace(good, **change), seconds=0.002)  # noqa: E731
    assert names(check()) == [None]
    assert names(check(free_bytes=100 << 20)) == ["disk_low"]
    assert names(check(free_bytes=4096)) == ["disk_full"]
    assert names(check(risks=("a", "b"), damage="page 3")) == ["store_damaged", *["store_not_durable"] * 2]
    assert names(check(clock_off=-100.0)) == [None, "clock_off"]


# -- subscription and callback -----------------------------------------------------------------------------------------

OWN = Subscription(
    5, "airflow", (SubscriptionFilter("*", "*"),), f"{URL}?key=k", enabled=True, validated=True, secret="s"
)
OTHER = replace(OWN, subscription_id=6, callback_url="https://other.example.org/hook")


def test_the_own_subscription_leads_to_the_callback() -> None:
    disabled = replace(OWN, subscription_id=4, enabled=False)
    assert webhooks.find_own([OTHER, disabled, OWN], URL, "toggl_default") == OWN
    assert webhooks.find_own([OTHER, OWN], None, "toggl_default") == OWN
    assert webhooks.find_own([OTHER], URL, "toggl_default") is None


@pytest.mark.parametrize(
    ("change", "limits", "found"),
    [
        ({}, SubscriptionLimits(1, 3), [None]),
        ({"enabled": False}, SubscriptionLimits(), ["subscription_disabled"]),
        ({"validated": False}, SubscriptionLimits(), ["subscription_unvalidated"]),
        ({"secret": "another"}, SubscriptionLimits(), ["wrong_secret"]),
        ({"secret": None}, SubscriptionLimits(), [None]),
        ({"has_pending_events": True}, SubscriptionLimits(), ["events_pending"]),
        (
            {"filters": tuple(SubscriptionFilter("tag", word) for word in "abcd")},
            SubscriptionLimits(1, 3),
            ["plan_limit"],
        ),
        ({}, SubscriptionLimits(0, 3), ["plan_limit"]),
    ],
)
def test_a_subscription_s_state_is_judged(
    change: dict[str, Any], limits: SubscriptionLimits, found: list[str | None]
) -> None:
    own = replace(OWN, **change)
    judged = webhooks.judge_subscription(own, [own], limits, expected=URL, secrets=("s", "previous"))
    assert names(judged) == found
    assert "key=k" not in str(judged)


def test_a_missing_subscription_is_reported_with_the_existing_ones() -> None:
    (found,) = webhooks.judge_subscription(None, [OTHER], SubscriptionLimits(), expected=URL, secrets=())
    assert name(found) == "no_subscription"
    assert "6 (airflow) → https://other.example.org/hook" in found.text


GONE, LEFT = TogglPing(arrived=True), TogglPing(arrived=False)
REFUSED = "URL endpoint x responded with status 401 instead of 200"
FAILED = "URL endpoint x request failed with error: y"


@pytest.mark.parametrize(
    ("probe", "ping", "found"),
    [
        (ProbeResult(200, is_stored=True), GONE, None),
        (ProbeResult(None, "refused"), GONE, None),
        (ProbeResult(None, "refused"), LEFT, "callback_unreachable"),
        (ProbeResult(401), LEFT, "wrong_secret"),
        (ProbeResult(404), None, "unknown_connection"),
        (ProbeResult(503), None, "receiver_cannot_store"),
        (ProbeResult(302), None, "callback_refused"),
        (ProbeResult(200, is_stored=False), LEFT, "other_store"),
        (ProbeResult(200, is_stored=True), LEFT, "ping_lost"),
        (ProbeResult(200, is_stored=True), TogglPing(False, REFUSED), "wrong_secret"),
        (ProbeResult(200, is_stored=True), TogglPing(False, FAILED), "callback_unreachable"),
        (ProbeResult(200, is_stored=True), None, None),
        (None, None, None),
    ],
)
def test_the_place_where_a_delivery_is_lost_is_identified(
    probe: ProbeResult | None, ping: TogglPing | None, found: str | None
) -> None:
    judged = webhooks.judge_callback(URL, probe, ping)
    assert name(judged) == found
    assert (judged.status is CheckStatus.SKIPPED) == (probe is None)


@pytest.mark.parametrize(
    ("own", "error", "ping"),
    [
        (replace(OWN, enabled=False), None, LEFT),
        (OWN, PayloadRefused("a", text="x?key=k failed."), TogglPing(False, "x failed")),
        (OWN, ConnectionTrouble("cut."), TogglPing(False, "cut")),
    ],
)
def test_a_ping_that_does_not_arrive_has_what_toggl_says(
    own: Subscription, error: ApiError | None, ping: TogglPing
) -> None:
    client, store = Mock(), Mock()
    client.set_enabled.side_effect = error
    store.activity_log.find_status.return_value = None
    assert webhooks.request_ping(client, own, "toggl_default", store, timeout=0) == ping
    assert client.set_enabled.called is own.enabled


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
    assert name(databases.judge_triggerer(facts, answered, timeout=2)) == found


def test_errors_of_the_warehouse_have_different_problems() -> None:
    errors = (WarehouseLocked("a"), WarehouseReadOnly("a"), SchemaTooNew("a"), WarehouseError("a"))
    found = [name(databases.judge_warehouse_error(error)) for error in errors]
    assert found == ["warehouse_locked", "warehouse_read_only", "schema_too_new", "warehouse_unreachable"]


def test_the_version_of_the_tables_is_judged() -> None:
    assert name(databases.judge_schema(3, 3, "here")) is None
    old = databases.judge_schema(1, 3, "here")
    assert (name(old), "2 (days that changed), 3 (history)" in old.text) == ("schema_too_old", True)
    assert name(databases.judge_schema(0, 3, "here")) == "no_tables"


def test_the_age_of_the_last_loads_is_judged() -> None:
    loads = [("tags", NOW - timedelta(hours=30)), ("time_entries", NOW - timedelta(minutes=5))]
    stale = databases.judge_loads("here", loads, NOW)
    assert (name(stale), "tags (30 h ago)" in stale.text) == ("data_stale", True)
    assert databases.judge_loads("here", loads[1:], NOW) == ok("freshness", "Last load 5 min ago.")
    assert databases.judge_loads("here", [], NOW) == ok("freshness", "Nothing loaded yet.")
