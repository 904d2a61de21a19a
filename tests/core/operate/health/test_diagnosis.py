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
    LastReconciliation,
    StreamFreshness,
    SubscriptionState,
)
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
    """Return a landing that events wait for, the oldest of them so long."""
    return replace(LOADER, pending=pending, behind=pending, oldest_pending_at=None if age is None else NOW - age)


SUBSCRIPTION: list[tuple[str, dict[str, Any], str, str]] = [
    ("no webhooks are used", {}, "unused", "not used"),
    ("none are used, and Toggl was asked", {"subscriptions": ()}, "unused", "not used"),
    ("only the receiver is set up", {"receives": True}, "unknown", "not checked"),
    ("only a secret is set", {"has_secret": True}, "unknown", "not checked"),
    ("something was delivered", {"last_delivery": NOW}, "unknown", "not checked"),
    ("it is declared, and Toggl was never asked", {"declared": DECLARED}, "unknown", "not checked"),
    ("the receiver waits for one", {"subscriptions": (), "receives": True}, "no_subscription", "missing"),
    ("a declared one is gone", {"subscriptions": (), "declared": DECLARED}, "no_subscription", "missing"),
    ("it was just ensured", {"subscriptions": (OWN,), "listed_at": NOW, "declared": DECLARED}, "ok", "enabled"),
    ("it is disabled", {"subscriptions": (OFF,), "listed_at": NOW}, "subscription_disabled", "disabled"),
    (
        "it is not validated",
        {"subscriptions": (UNVALIDATED,), "listed_at": NOW},
        "subscription_unvalidated",
        "not validated",
    ),
    (
        "it is disabled, as declared",
        {"subscriptions": (OFF,), "listed_at": NOW, "declared": DECLARED_OFF},
        "unused",
        "disabled",
    ),
    (
        "it is enabled, declared off",
        {"subscriptions": (OWN,), "listed_at": NOW, "declared": DECLARED_OFF},
        "ok",
        "enabled",
    ),
    ("another program's is off", {"subscriptions": (OWN, OTHERS), "listed_at": NOW}, "ok", "enabled"),
    (
        "which is its own is not known",
        {"subscriptions": (OTHERS,), "listed_at": NOW},
        "subscription_disabled",
        "disabled",
    ),
    (
        "Toggl could not deliver",
        {"subscriptions": (PENDING,), "listed_at": NOW - HOUR},
        "events_pending",
        "undelivered",
    ),
    (
        "it could not, and has since",
        {"subscriptions": (PENDING,), "listed_at": NOW - HOUR, "last_delivery": NOW - MINUTE},
        "ok",
        "enabled",
    ),
    ("it was last seen long ago", {"subscriptions": (OWN,), "listed_at": NOW - 9 * DAY}, "unknown", "not checked"),
    (
        "it was, and deliveries still come",
        {"subscriptions": (OWN,), "listed_at": NOW - 9 * DAY, "last_delivery": NOW - HOUR},
        "ok",
        "enabled",
    ),
    ("the store is down", {"unknown": {"subscription": "It is locked."}}, "unknown", "unknown"),
]
FRESHNESS: list[tuple[str, dict[str, Any], str, str]] = [
    ("nothing is loaded", {}, "unused", "not used"),
    ("a stream is fresh", {"streams": (ENTRIES,)}, "ok", "60 min"),
    ("the oldest of two counts", {"streams": (ENTRIES, TAGS)}, "ok", "2 h"),
    ("a stream is stale", {"streams": (TAGS, OLD)}, "data_stale", "2 d"),
    ("another warehouse of the same stream is fresh", {"streams": (ENTRIES, OLD)}, "data_stale", "2 d"),
    ("a clock is ahead", {"streams": (replace(ENTRIES, watermark=NOW + MINUTE),)}, "ok", "0 s"),
    ("a first load waits", {"waiting": (task(),)}, "waiting", "first load"),
    ("a first load waits beside a fresh stream", {"streams": (TAGS,), "waiting": (task(),)}, "waiting", "first load"),
    ("a first load goes on", {"streams": (LOADING,)}, "waiting", "first load"),
    (
        "a first load was given up",
        {"streams": (replace(LOADING, ran_at=NOW - 2 * DAY),)},
        "first_load_stopped",
        "first load",
    ),
    (
        "a first load of days waits",
        {"streams": (replace(LOADING, ran_at=NOW - 2 * DAY),), "waiting": (task(),)},
        "waiting",
        "first load",
    ),
    ("a stale stream is being loaded", {"streams": (OLD,), "waiting": (task(),)}, "waiting", "2 d"),
    (
        "a stale stream is being loaded into another warehouse",
        {"streams": (OLD,), "waiting": (task(warehouse="other.toggl"),)},
        "data_stale",
        "2 d",
    ),
    (
        "a stale stream is being loaded into its own warehouse",
        {"streams": (OLD,), "waiting": (task(warehouse=OLD.warehouse),)},
        "waiting",
        "2 d",
    ),
    ("another stream waits", {"streams": (OLD,), "waiting": (task(stream="tags"),)}, "data_stale", "2 d"),
    ("a fresh stream waits", {"streams": (ENTRIES,), "waiting": (task(),)}, "ok", "60 min"),
    ("a task without a stream waits", {"waiting": (task(stream=None),)}, "unused", "not used"),
    ("the store is down", {"unknown": {"freshness": "It is locked."}}, "unknown", "unknown"),
]
PENDING_EVENTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("nobody lands events", {}, "unused", "not used"),
    ("others read them", {"consumers": (READER,)}, "unused", "not used"),
    ("every event is landed", {"consumers": (LOADER, READER)}, "ok", "0"),
    ("some came just now", {"consumers": (queue(3, MINUTE),)}, "ok", "3"),
    ("some have waited for hours", {"consumers": (queue(3, 2 * HOUR), LOADER)}, "events_not_loaded", "3"),
    (
        "one landing is late, another has more",
        {"consumers": (queue(2, 2 * HOUR), queue(9, MINUTE))},
        "events_not_loaded",
        "2",
    ),
    ("very many wait", {"consumers": (queue(MAX_PENDING, MINUTE),)}, "ok", "500+"),
    ("the store is down", {"unknown": {"pending_events": "It is locked."}}, "unknown", "unknown"),
]
QUOTA: list[tuple[str, dict[str, Any], str, str]] = [
    ("no request was sent", {}, "unused", "no requests"),
    ("some is left", {"lanes": (USER,)}, "ok", "18 / 30"),
    ("the tightest lane counts", {"lanes": (ORGANIZATION, USER)}, "ok", "18 / 30"),
    ("Toggl has not told what is left", {"lanes": (LaneQuota("user", None, None, None),)}, "unused", "not known"),
    ("the total is not published", {"lanes": (replace(USER, total=24),)}, "ok", "18 / 24+"),
    ("the total is not known", {"lanes": (LaneQuota("user", None, 5, None),)}, "ok", "5"),
    ("nothing is left", {"lanes": (replace(USER, remaining=0), ORGANIZATION)}, "waiting", "0 / 30"),
    (
        "a task waits, with a reserve left",
        {"lanes": (replace(USER, remaining=2),), "waiting": (task(),)},
        "waiting",
        "2 / 30",
    ),
    ("a task waits on another host", {"waiting": (task(),)}, "waiting", "used up"),
    ("a wait for it is over", {"lanes": (USER,), "waiting": (task(until=NOW - MINUTE),)}, "ok", "18 / 30"),
    ("a task waits for its turn", {"lanes": (USER,), "waiting": (task("permit"),)}, "ok", "18 / 30"),
    ("there is no token", {"unknown": {"quota": "No token."}}, "unknown", "unknown"),
]
RECONCILIATION: list[tuple[str, dict[str, Any], str, str]] = [
    ("it is not used", {}, "unused", "not used"),
    ("it ran this night", {"reconciliations": (RECONCILED,)}, "ok", "5 h"),
    (
        "it has not run for long",
        {"reconciliations": (replace(RECONCILED, ran_at=NOW - 9 * DAY),)},
        "reconciliation_outdated",
        "9 d",
    ),
    (
        "some could not be proved",
        {"reconciliations": (replace(RECONCILED, unverified=4),)},
        "entries_unverified",
        "4 unverified",
    ),
    (
        "it refused",
        {"reconciliations": (replace(RECONCILED, refused="Reports lack 900"),)},
        "deletions_refused",
        "refused",
    ),
    (
        "it ran in one warehouse, and refused in the other",
        {"reconciliations": (RECONCILED, replace(RECONCILED, refused="no", warehouse="first.toggl"))},
        "deletions_refused",
        "refused",
    ),
    ("the store is down", {"unknown": {"reconciliation": "It is locked."}}, "unknown", "unknown"),
]
WAITING: list[tuple[str, dict[str, Any], str, str]] = [
    ("none waits", {}, "unused", "none"),
    ("one waits", {"waiting": (task(),)}, "waiting", "1 task"),
    ("two wait", {"waiting": (task(), task("rate"))}, "waiting", "2 tasks"),
    ("one is about to go on", {"waiting": (task(until=NOW - MINUTE),)}, "waiting", "1 task"),
    ("the store is down", {"unknown": {"waiting": "It is locked."}}, "unknown", "unknown"),
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


@pytest.mark.parametrize(("part", "facts", "changes", "result", "label"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_facts_have_one_result_and_label(
    part: str, facts: str, changes: dict[str, Any], result: str, label: str
) -> None:
    assert result_of(replace(NEW, **changes), part) == (result, label)


def test_every_part_has_a_table_of_cases() -> None:
    assert [one.check for one in diagnose(NEW)] == list(PARTS) == list(TABLE)


def test_a_label_is_a_number_or_two_words() -> None:
    for _, _, changes, _, _ in CASES:
        for finding in diagnose(replace(NEW, **changes)):
            assert len(finding.label.replace(" / ", "/").split()) <= 2, finding


@pytest.mark.parametrize(
    ("facts", "changes", "status"),
    [
        ("nothing uses it", {}, "unused"),
        ("it only receives", {"subscriptions": (OWN,), "listed_at": NOW, "consumers": (LOADER,)}, "ok"),
        ("it only reconciles", {"reconciliations": (RECONCILED,), "lanes": (USER,)}, "ok"),
        (
            "its first load waits for the quota",
            {"waiting": (task(),), "lanes": (replace(USER, remaining=0),)},
            "waiting",
        ),
        ("a part is not known", {"streams": (ENTRIES,), "unknown": {"quota": "No token."}}, "unknown"),
        ("somebody must act", {"streams": (OLD,), "unknown": {"quota": "No token."}}, "warning"),
        ("something does not work", {"streams": (OLD,), "subscriptions": (OFF,)}, "fault"),
    ],
    ids=str,
)
def test_a_connection_has_the_worst_status_of_its_parts(facts: str, changes: dict[str, Any], status: str) -> None:
    assert worst_status(diagnose(replace(NEW, **changes))).value == status


def test_a_connection_that_does_not_exist_has_only_that_finding() -> None:
    health = replace(NEW, unknown={"connection": "There is no connection 'nope'"})
    (finding,) = diagnose(health)
    assert (finding.check, finding.status, finding.label) == ("connection", CheckStatus.FAULT, "not found")


def test_quota_and_waiting_have_the_time_of_the_reset_or_of_the_end_of_the_wait() -> None:
    times = {one.check: one.at for one in diagnose(replace(NEW, lanes=(USER,), waiting=(task(),))) if one.at}
    assert times == {"quota": NOW + 50 * MINUTE, "waiting": NOW + 50 * MINUTE}
    (quota,) = [one for one in diagnose(replace(NEW, lanes=(USER,))) if one.check == "quota"]
    assert quota.at == USER.resets_at


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
    told = json.loads(json.dumps(health_as_dict(health)))
    assert told["status"] == "warning"
    assert told["streams"][0]["watermark"] == "2026-03-08T12:30:00Z"
    assert told["waiting"][0]["until"] == "2026-03-10T13:20:00Z"
    findings = {one["check"]: one for one in told["findings"]}
    assert findings["quota"]["label"] == "18 / 30"
    assert (findings["freshness"]["problem"], findings["freshness"]["status"]) == ("data_stale", "warning")
    assert findings["freshness"]["fix"]
