"""Tables of facts, each with the status and the label that it must have."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.core.operate.findings import CheckStatus, worst_status
from airflow_provider_toggl.core.operate.health.diagnosis import PARTS, diagnose, health_as_dict
from airflow_provider_toggl.core.operate.health.facts import (
    MAX_PENDING,
    ConsumerPosition,
    DeclaredSubscription,
    Health,
    LaneQuota,
    StreamFreshness,
)
from airflow_provider_toggl.core.operate.health.records import LastReconciliation, SubscriptionState
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

NEW = Health("toggl_default", NOW, workspace_id=1)
"""A new connection that was never used."""

OWN = SubscriptionState(
    7, "airflow", enabled=True, validated=True, pending=False, callback_url="https://a.b/toggl/webhooks/toggl_default"
)
OFF = replace(OWN, enabled=False)
UNVALIDATED = replace(OWN, validated=False)
PENDING = replace(OWN, pending=True)
OTHERS = SubscriptionState(8, "zapier", enabled=False, validated=False, pending=True, callback_url="https://c.d/hook")
DECLARED = DeclaredSubscription("airflow")
DECLARED_OFF = DeclaredSubscription("airflow", enabled=False)

ENTRIES = StreamFreshness("time_entries", 1, NOW - HOUR, NOW, NOW, "lake.toggl")
TAGS = StreamFreshness("tags", 1, NOW - 2 * HOUR, NOW, None, "lake.toggl")
OLD = replace(ENTRIES, watermark=NOW - 2 * DAY, warehouse="first.toggl")
LOADING = replace(ENTRIES, watermark=None, ran_at=NOW)

LOADER = ConsumerPosition("lake.toggl", 9, 0, NOW, loads_into="lake.toggl")
READER = ConsumerPosition("dashboard", 9, 400, NOW)

USER = LaneQuota("user", 30, 18, NOW + HOUR / 2)
ORGANIZATION = LaneQuota("organization:9", 240, 200, NOW + HOUR)

RECONCILED = LastReconciliation(
    1, NOW - 5 * HOUR, "2026-01-01", "2026-03-11", 48_213, 2, 0, 3, 0, warehouse="lake.toggl"
)


def task(reason: str = "quota", stream: str | None = "time_entries", **changes: Any) -> WaitingTask:
    waiting = WaitingTask(
        task="toggl.time_entries (manual__1)",
        workspace_id=1,
        stream=stream,
        reason="quota",
        since=NOW,
        until=NOW + 50 * MINUTE,
        requests_done=28,
        requests_left=35,
        done_at=NOW + 2 * HOUR,
        rows_done=28_000,
    )
    return replace(waiting, reason=reason, **changes)


def queue(pending: int, age: timedelta | None) -> ConsumerPosition:
    """Return a loader with pending events, the oldest of that age."""
    return replace(LOADER, pending=pending, behind=pending, oldest_pending_at=None if age is None else NOW - age)


def case(description: str, result: str, label: str, **facts: Any) -> tuple[str, str, str, dict[str, Any]]:
    """Return a row of the tables below: the problem, or else the status, and the label that facts must have."""
    return description, result, label, facts


def listed(description: str, result: str, label: str, *found: SubscriptionState, **facts: Any) -> Any:
    """Return a row for subscriptions that Toggl has just listed."""
    return case(description, result, label, **{"subscriptions": found, "listed_at": NOW, **facts})


def reconciled(description: str, result: str, label: str, **changes: Any) -> Any:
    return case(description, result, label, reconciliations=(replace(RECONCILED, **changes),))


STALE_LOADING = replace(LOADING, ran_at=NOW - 2 * DAY)
SUBSCRIPTION = [
    case("no webhooks are used", "unused", "not used"),
    case("none exist and none are declared", "unused", "not used", subscriptions=()),
    case("only the receiver is set up", "unknown", "not checked", receives=True),
    case("only a secret is set", "unknown", "not checked", has_secret=True),
    case("something was delivered", "unknown", "not checked", last_delivery=NOW),
    case("declared, never listed", "unknown", "not checked", declared=DECLARED),
    case("the receiver is set up, none exists", "no_subscription", "missing", subscriptions=(), receives=True),
    case("a declared one does not exist", "no_subscription", "missing", subscriptions=(), declared=DECLARED),
    listed("it was just ensured", "ok", "enabled", OWN, declared=DECLARED),
    listed("it is disabled", "subscription_disabled", "disabled", OFF),
    listed("it is not validated", "subscription_unvalidated", "not validated", UNVALIDATED),
    listed("it is disabled, declared on", "subscription_disabled", "disabled", OFF, declared=DECLARED),
    listed("it is disabled, as declared", "unused", "disabled", OFF, declared=DECLARED_OFF),
    listed("it is enabled, declared off", "ok", "enabled", OWN, declared=DECLARED_OFF),
    listed("another program's is off", "ok", "enabled", OWN, OTHERS),
    listed("which is its own is not known", "subscription_disabled", "disabled", OTHERS),
    listed("Toggl could not deliver", "events_pending", "undelivered", PENDING),
    listed("it could not, and has since", "ok", "enabled", PENDING, listed_at=NOW - HOUR, last_delivery=NOW - MINUTE),
    listed("it was last listed long ago", "unknown", "not checked", OWN, listed_at=NOW - 9 * DAY),
    listed("it was, and deliveries still come", "ok", "enabled", OWN, listed_at=NOW - 9 * DAY, last_delivery=NOW),
]
FRESHNESS = [
    case("nothing is loaded", "unused", "not used"),
    case("a stream is fresh", "ok", "60 min", streams=(ENTRIES,)),
    case("the oldest of two counts", "ok", "2 h", streams=(ENTRIES, TAGS)),
    case("a stream is stale", "data_stale", "2 d", streams=(TAGS, OLD)),
    case("another warehouse of the same stream is fresh", "data_stale", "2 d", streams=(ENTRIES, OLD)),
    case("a clock is ahead", "ok", "0 s", streams=(replace(ENTRIES, watermark=NOW + MINUTE),)),
    case("a first load waits", "waiting", "first load", waiting=(task(),)),
    case("a first load waits beside a fresh stream", "waiting", "first load", streams=(TAGS,), waiting=(task(),)),
    case("a first load goes on", "waiting", "first load", streams=(LOADING,)),
    case("a first load stopped", "first_load_stopped", "first load", streams=(STALE_LOADING,)),
    case("a first load of days waits", "waiting", "first load", streams=(STALE_LOADING,), waiting=(task(),)),
    case("a stale stream is being loaded", "waiting", "2 d", streams=(OLD,), waiting=(task(),)),
    case("another warehouse is being loaded", "data_stale", "2 d", streams=(OLD,), waiting=(task(warehouse="other"),)),
    case("its warehouse is being loaded", "waiting", "2 d", streams=(OLD,), waiting=(task(warehouse=OLD.warehouse),)),
    case("another stream waits", "data_stale", "2 d", streams=(OLD,), waiting=(task(stream="tags"),)),
    case("a fresh stream waits", "ok", "60 min", streams=(ENTRIES,), waiting=(task(),)),
    case("a task without a stream waits", "unused", "not used", waiting=(task(stream=None),)),
]
PENDING_EVENTS = [
    case("no task loads events", "unused", "not used"),
    case("others read them", "unused", "not used", consumers=(READER,)),
    case("every event is loaded", "ok", "0", consumers=(LOADER, READER)),
    case("some came just now", "ok", "3", consumers=(queue(3, MINUTE),)),
    case("some have waited for hours", "events_not_loaded", "3", consumers=(queue(3, 2 * HOUR), LOADER)),
    case("another has more", "events_not_loaded", "2", consumers=(queue(2, 2 * HOUR), queue(9, MINUTE))),
    case("very many wait", "ok", "500+", consumers=(queue(MAX_PENDING, MINUTE),)),
]
QUOTA = [
    case("no request was sent", "unused", "no requests"),
    case("some is left", "ok", "18 / 30", lanes=(USER,)),
    case("the tightest lane counts", "ok", "18 / 30", lanes=(ORGANIZATION, USER)),
    case("Toggl has not reported it", "unused", "not known", lanes=(LaneQuota("user", None, None, None),)),
    case("the total is not published", "ok", "18 / 24+", lanes=(replace(USER, total=24),)),
    case("the total is not known", "ok", "5", lanes=(LaneQuota("user", None, 5, None),)),
    case("nothing is left", "waiting", "0 / 30", lanes=(replace(USER, remaining=0), ORGANIZATION)),
    case("a reserve is left", "waiting", "2 / 30", lanes=(replace(USER, remaining=2),), waiting=(task(),)),
    case("a task waits on another host", "waiting", "used up", waiting=(task(),)),
    case("a wait for it is over", "ok", "18 / 30", lanes=(USER,), waiting=(task(until=NOW - MINUTE),)),
    case("a task waits for a permit", "ok", "18 / 30", lanes=(USER,), waiting=(task("permit"),)),
]
RECONCILIATION = [
    case("it is not used", "unused", "not used"),
    case("it ran this night", "ok", "5 h", reconciliations=(RECONCILED,)),
    reconciled("it has not run for long", "reconciliation_outdated", "9 d", ran_at=NOW - 9 * DAY),
    reconciled("some could not be verified", "entries_unverified", "4 unverified", unverified=4),
    reconciled("it refused", "deletions_refused", "refused", refused="Reports lack 900"),
    case(
        "it ran in one warehouse, and refused in the other",
        "deletions_refused",
        "refused",
        reconciliations=(RECONCILED, replace(RECONCILED, refused="no", warehouse="first.toggl")),
    ),
]
WAITING = [
    case("none waits", "unused", "none"),
    case("one waits", "waiting", "1 task", waiting=(task(),)),
    case("two wait", "waiting", "2 tasks", waiting=(task(), task("rate"))),
    case("one is about to go on", "waiting", "1 task", waiting=(task(until=NOW - MINUTE),)),
]
TABLE = {
    "subscription": SUBSCRIPTION,
    "freshness": FRESHNESS,
    "pending_events": PENDING_EVENTS,
    "quota": QUOTA,
    "reconciliation": RECONCILIATION,
    "waiting": WAITING,
}
CASES = [(part, *case) for part, cases in TABLE.items() for case in cases]


def result_of(health: Health, part: str) -> tuple[str, str]:
    """Return the problem of a part, or else its status, and the label."""
    (finding,) = [one for one in diagnose(health) if one.check == part]
    assert finding.text
    return finding.problem.name if finding.problem else finding.status.value, finding.label


@pytest.mark.parametrize(
    ("part", "description", "result", "label", "facts"), CASES, ids=[f"{one[0]}: {one[1]}" for one in CASES]
)
def test_facts_have_one_result_and_label(
    part: str, description: str, result: str, label: str, facts: dict[str, Any]
) -> None:
    assert result_of(replace(NEW, **facts), part) == (result, label)


def test_every_part_has_a_table_of_cases() -> None:
    assert [one.check for one in diagnose(NEW)] == list(PARTS) == list(TABLE)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_cannot_be_read_is_unknown(part: str) -> None:
    assert result_of(replace(NEW, unknown={part: "It is locked."}), part) == ("unknown", "unknown")


def test_a_label_is_a_number_or_two_words() -> None:
    for *_, facts in CASES:
        for finding in diagnose(replace(NEW, **facts)):
            assert len(finding.label.replace(" / ", "/").split()) <= 2, finding


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, "unused"),
        ({"subscriptions": (OWN,), "listed_at": NOW, "consumers": (LOADER,)}, "ok"),
        ({"reconciliations": (RECONCILED,), "lanes": (USER,)}, "ok"),
        ({"waiting": (task(),), "lanes": (replace(USER, remaining=0),)}, "waiting"),
        ({"streams": (ENTRIES,), "unknown": {"quota": "No token."}}, "unknown"),
        ({"streams": (OLD,), "unknown": {"quota": "No token."}}, "warning"),
        ({"streams": (OLD,), "subscriptions": (OFF,)}, "fault"),
    ],
)
def test_a_connection_has_the_worst_status_of_its_parts(facts: dict[str, Any], status: str) -> None:
    assert worst_status(diagnose(replace(NEW, **facts))).value == status


def test_a_connection_that_does_not_exist_has_only_that_finding() -> None:
    health = replace(NEW, unknown={"connection": "There is no connection 'nope'"})
    (finding,) = diagnose(health)
    assert (finding.check, finding.status, finding.label) == ("connection", CheckStatus.FAULT, "not found")


def test_quota_and_waiting_have_the_time_of_the_reset_or_of_the_end_of_the_wait() -> None:
    times = {one.check: one.at for one in diagnose(replace(NEW, lanes=(USER,), waiting=(task(),))) if one.at}
    assert times == {"quota": NOW + 50 * MINUTE, "waiting": NOW + 50 * MINUTE}
    (quota,) = [one for one in diagnose(replace(NEW, lanes=(USER,))) if one.check == "quota"]
    assert quota.at == USER.resets_at


def test_a_first_load_without_a_number_of_rows_is_named_without_one() -> None:
    health = replace(NEW, waiting=(task(stream="tasks", rows_done=None),))
    (freshness,) = [one for one in diagnose(health) if one.check == "freshness"]
    assert freshness.text == "first load of tasks"


def test_a_text_has_the_facts() -> None:
    health = replace(
        NEW,
        streams=(ENTRIES, TAGS),
        waiting=(task(stream="projects"),),
        reconciliations=(RECONCILED,),
        subscriptions=(OFF,),
        refused=12,
        lanes=(USER, replace(ORGANIZATION, total=220)),
        consumers=(queue(3, 2 * HOUR),),
    )
    assert {one.check: one.text for one in diagnose(health)} == {
        "subscription": "subscription 7 is disabled; no delivery stored; 12 refused in 24 h",
        "freshness": "2 streams, oldest tags in lake.toggl, 2 h ago; first load of projects, 28,000 rows so far",
        "pending_events": "3 pending; lake.toggl: oldest 2 h ago",
        "quota": "user: 18 of 30 left, resets in 30 min; "
        "organization:9: 200 of 220 or more left, resets in 60 min; 1 task waiting",
        "reconciliation": "5 h ago: 48,213 entries, 2 added, 3 deleted",
        "waiting": "toggl.time_entries (manual__1) waits for the hourly quota of Toggl, until 2026-03-10T13:20:00Z; "
        "28 requests sent of at least 63, done 2026-03-10T14:30:00Z or later",
    }


def test_facts_and_findings_are_plain_json() -> None:
    health = replace(NEW, streams=(OLD,), lanes=(USER,), waiting=(task(stream="tags"),))
    printed = json.loads(json.dumps(health_as_dict(health)))
    assert printed["status"] == "warning"
    assert printed["streams"][0]["watermark"] == "2026-03-08T12:30:00Z"
    assert printed["waiting"][0]["until"] == "2026-03-10T13:20:00Z"
    findings = {one["check"]: one for one in printed["findings"]}
    assert findings["quota"]["label"] == "18 / 30"
    assert (findings["freshness"]["problem"], findings["freshness"]["status"]) == ("data_stale", "warning")
    assert findings["freshness"]["fix"]
