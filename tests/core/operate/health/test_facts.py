"""The states of a connection, as a table: facts, and the state and label that a person sees for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.core.operate.health.facts import (
    LEVELS,
    MAX_PENDING,
    PARTS,
    ConsumerPosition,
    DeclaredSubscription,
    Health,
    LaneQuota,
    LastReconciliation,
    StreamFreshness,
    SubscriptionState,
    ago,
    span,
)
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

NEW = Health("toggl_default", NOW, workspace_id=1)
"""A connection that was just made: nothing has used it."""

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

LANDING = ConsumerPosition("lake.toggl", 9, 0, NOW, lands_in="lake.toggl")
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
    return replace(LANDING, pending=pending, behind=pending, waiting_since=None if age is None else NOW - age)


SUBSCRIPTION: list[tuple[str, dict[str, Any], str, str]] = [
    ("no webhooks are used", {}, "unused", "not used"),
    ("none are used, and Toggl was asked", {"subscriptions": ()}, "unused", "not used"),
    ("only the receiver is set up", {"receives": True}, "unknown", "not checked"),
    ("only a secret is set", {"has_secret": True}, "unknown", "not checked"),
    ("something was delivered", {"last_delivery": NOW}, "unknown", "not checked"),
    ("it is declared, and Toggl was never asked", {"declared": DECLARED}, "unknown", "not checked"),
    ("the receiver waits for one", {"subscriptions": (), "receives": True}, "attention", "missing"),
    ("a declared one is gone", {"subscriptions": (), "declared": DECLARED}, "attention", "missing"),
    ("it was just ensured", {"subscriptions": (OWN,), "told_at": NOW, "declared": DECLARED}, "good", "enabled"),
    ("it is disabled", {"subscriptions": (OFF,), "told_at": NOW}, "attention", "disabled"),
    ("it is not validated", {"subscriptions": (UNVALIDATED,), "told_at": NOW}, "attention", "not validated"),
    (
        "it is disabled, as declared",
        {"subscriptions": (OFF,), "told_at": NOW, "declared": DECLARED_OFF},
        "unused",
        "disabled",
    ),
    (
        "it is enabled, declared off",
        {"subscriptions": (OWN,), "told_at": NOW, "declared": DECLARED_OFF},
        "good",
        "enabled",
    ),
    ("another program's is off", {"subscriptions": (OWN, OTHERS), "told_at": NOW}, "good", "enabled"),
    ("which is its own is not known", {"subscriptions": (OTHERS,), "told_at": NOW}, "attention", "disabled"),
    ("Toggl could not deliver", {"subscriptions": (PENDING,), "told_at": NOW - HOUR}, "attention", "undelivered"),
    (
        "it could not, and has since",
        {"subscriptions": (PENDING,), "told_at": NOW - HOUR, "last_delivery": NOW - MINUTE},
        "good",
        "enabled",
    ),
    ("it was last seen long ago", {"subscriptions": (OWN,), "told_at": NOW - 9 * DAY}, "unknown", "not checked"),
    (
        "it was, and deliveries still come",
        {"subscriptions": (OWN,), "told_at": NOW - 9 * DAY, "last_delivery": NOW - HOUR},
        "good",
        "enabled",
    ),
    ("the store is down", {"unknown": {"subscription": "It is locked."}}, "unknown", "unknown"),
]
FRESHNESS: list[tuple[str, dict[str, Any], str, str]] = [
    ("nothing is loaded", {}, "unused", "not used"),
    ("a stream is fresh", {"streams": (ENTRIES,)}, "good", "60 min"),
    ("the oldest of two counts", {"streams": (ENTRIES, TAGS)}, "good", "2 h"),
    ("a stream is stale", {"streams": (TAGS, OLD)}, "attention", "2 d"),
    ("another warehouse of the same stream is fresh", {"streams": (ENTRIES, OLD)}, "attention", "2 d"),
    ("a clock is ahead", {"streams": (replace(ENTRIES, watermark=NOW + MINUTE),)}, "good", "0 s"),
    ("a first load waits", {"waiting": (task(),)}, "waiting", "first load"),
    ("a first load waits beside a fresh stream", {"streams": (TAGS,), "waiting": (task(),)}, "waiting", "first load"),
    ("a first load goes on", {"streams": (LOADING,)}, "waiting", "first load"),
    ("a first load was given up", {"streams": (replace(LOADING, ran_at=NOW - 2 * DAY),)}, "attention", "first load"),
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
        "attention",
        "2 d",
    ),
    (
        "a stale stream is being loaded into its own warehouse",
        {"streams": (OLD,), "waiting": (task(warehouse=OLD.warehouse),)},
        "waiting",
        "2 d",
    ),
    ("another stream waits", {"streams": (OLD,), "waiting": (task(stream="tags"),)}, "attention", "2 d"),
    ("a fresh stream waits", {"streams": (ENTRIES,), "waiting": (task(),)}, "good", "60 min"),
    ("a task without a stream waits", {"waiting": (task(stream=None),)}, "unused", "not used"),
    ("the store is down", {"unknown": {"freshness": "It is locked."}}, "unknown", "unknown"),
]
LANDINGS: list[tuple[str, dict[str, Any], str, str]] = [
    ("nobody lands events", {}, "unused", "not used"),
    ("others read them", {"readers": (READER,)}, "unused", "not used"),
    ("every event is landed", {"readers": (LANDING, READER)}, "good", "0 pending"),
    ("some came just now", {"readers": (queue(3, MINUTE),)}, "good", "3 pending"),
    ("some have waited for hours", {"readers": (queue(3, 2 * HOUR), LANDING)}, "attention", "3 pending"),
    (
        "one landing is late, another has more",
        {"readers": (queue(2, 2 * HOUR), queue(9, MINUTE))},
        "attention",
        "2 pending",
    ),
    ("very many wait", {"readers": (queue(MAX_PENDING, MINUTE),)}, "good", "500+ pending"),
    ("the store is down", {"unknown": {"landing": "It is locked."}}, "unknown", "unknown"),
]
QUOTA: list[tuple[str, dict[str, Any], str, str]] = [
    ("no request was sent", {}, "unused", "no requests"),
    ("some is left", {"lanes": (USER,)}, "good", "18 / 30"),
    ("the tightest lane counts", {"lanes": (ORGANIZATION, USER)}, "good", "18 / 30"),
    ("Toggl has not told what is left", {"lanes": (LaneQuota("user", None, None, None),)}, "unused", "not known"),
    ("the total is not published", {"lanes": (replace(USER, total=24),)}, "good", "18 / 24+"),
    ("the total is not known", {"lanes": (LaneQuota("user", None, 5, None),)}, "good", "5"),
    ("nothing is left", {"lanes": (replace(USER, remaining=0), ORGANIZATION)}, "waiting", "0 / 30"),
    (
        "a task waits, with a reserve left",
        {"lanes": (replace(USER, remaining=2),), "waiting": (task(),)},
        "waiting",
        "2 / 30",
    ),
    ("a task waits on another host", {"waiting": (task(),)}, "waiting", "used up"),
    ("a wait for it is over", {"lanes": (USER,), "waiting": (task(until=NOW - MINUTE),)}, "good", "18 / 30"),
    ("a task waits for its turn", {"lanes": (USER,), "waiting": (task("permit"),)}, "good", "18 / 30"),
    ("there is no token", {"unknown": {"quota": "No token."}}, "unknown", "unknown"),
]
RECONCILIATION: list[tuple[str, dict[str, Any], str, str]] = [
    ("it is not used", {}, "unused", "not used"),
    ("it ran this night", {"reconciled": (RECONCILED,)}, "good", "5 h"),
    ("it has not run for long", {"reconciled": (replace(RECONCILED, ran_at=NOW - 9 * DAY),)}, "attention", "9 d"),
    ("some could not be proved", {"reconciled": (replace(RECONCILED, unproved=4),)}, "attention", "4 unproved"),
    ("it refused", {"reconciled": (replace(RECONCILED, refused="Reports lack 900"),)}, "attention", "refused"),
    (
        "it ran in one warehouse, and refused in the other",
        {"reconciled": (RECONCILED, replace(RECONCILED, refused="no", warehouse="first.toggl"))},
        "attention",
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
    "landing": LANDINGS,
    "quota": QUOTA,
    "reconciliation": RECONCILIATION,
    "waiting": WAITING,
}
CASES = [(part, *case) for part, cases in TABLE.items() for case in cases]


def state_of(health: Health, part: str) -> tuple[str, str]:
    (finding,) = [one for one in health.findings() if one.part == part]
    assert finding.text
    return finding.level, finding.label


@pytest.mark.parametrize(("part", "facts", "changes", "level", "label"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_facts_make_one_state_and_label(part: str, facts: str, changes: dict[str, Any], level: str, label: str) -> None:
    assert state_of(replace(NEW, **changes), part) == (level, label)


def test_every_part_has_one_state_in_the_order_of_the_page_and_a_table_of_cases() -> None:
    assert [one.part for one in NEW.findings()] == list(PARTS) == list(TABLE)


def test_a_label_is_a_number_or_two_words() -> None:
    for _, _, changes, _, _ in CASES:
        for finding in replace(NEW, **changes).findings():
            assert len(finding.label.replace(" / ", "/").split()) <= 2, finding


@pytest.mark.parametrize(
    ("facts", "changes", "level"),
    [
        ("nothing uses it", {}, "unused"),
        ("it only pulls", {"streams": (ENTRIES,), "lanes": (USER,)}, "good"),
        ("it only receives", {"subscriptions": (OWN,), "told_at": NOW, "readers": (LANDING,)}, "good"),
        ("it only reconciles", {"reconciled": (RECONCILED,), "lanes": (USER,)}, "good"),
        (
            "it uses everything",
            {
                "subscriptions": (OWN,),
                "told_at": NOW,
                "readers": (LANDING,),
                "streams": (ENTRIES,),
                "lanes": (USER,),
                "reconciled": (RECONCILED,),
            },
            "good",
        ),
        (
            "its first load waits for the quota",
            {"waiting": (task(),), "lanes": (replace(USER, remaining=0),)},
            "waiting",
        ),
        ("a part is not known", {"streams": (ENTRIES,), "unknown": {"quota": "No token."}}, "unknown"),
        ("somebody must act", {"streams": (OLD,), "unknown": {"quota": "No token."}}, "attention"),
    ],
    ids=str,
)
def test_a_connection_is_as_the_parts_that_it_uses(facts: str, changes: dict[str, Any], level: str) -> None:
    assert replace(NEW, **changes).level == level


def test_of_a_connection_that_is_not_there_that_alone_is_said() -> None:
    health = replace(NEW, unknown={"connection": "Airflow does not find connection 'nope'"})
    assert [(one.part, one.level, one.label) for one in health.findings()] == [("connection", "attention", "not found")]
    assert health.level == "attention"


def test_a_label_of_quota_and_of_waiting_comes_with_the_moment_at_which_it_goes_on() -> None:
    moments = {one.part: one.at for one in replace(NEW, lanes=(USER,), waiting=(task(),)).findings() if one.at}
    assert moments == {"quota": NOW + 50 * MINUTE, "waiting": NOW + 50 * MINUTE}
    (quota,) = [one for one in replace(NEW, lanes=(USER,)).findings() if one.part == "quota"]
    assert quota.at == USER.resets_at


def test_a_text_has_the_facts() -> None:
    health = replace(
        NEW,
        streams=(ENTRIES, TAGS),
        waiting=(task(stream="projects"),),
        reconciled=(RECONCILED,),
        subscriptions=(OFF,),
        refused=12,
        lanes=(USER,),
    )
    assert {one.part: one.text for one in health.findings()} == {
        "subscription": "subscription 7 is disabled; no delivery stored; 12 refused in 24 h",
        "freshness": "2 streams, oldest tags in lake.toggl, 2 h ago; first load of projects, 28,000 rows so far",
        "landing": "no task lands events",
        "quota": "user: 18 of 30 left, resets in 30 min; 1 task waiting",
        "reconciliation": "5 h ago: 48,213 entries, 2 added, 3 deleted",
        "waiting": "toggl.time_entries (manual__1) waits for the hourly quota of Toggl, until 2026-03-10T13:20:00Z; "
        "28 requests sent of about 63 known so far, done about 2026-03-10T14:30:00Z or later",
    }


def test_a_total_that_may_be_larger_is_not_told_as_the_quota() -> None:
    (quota,) = [one for one in replace(NEW, lanes=(replace(USER, total=24),)).findings() if one.part == "quota"]
    assert quota.text == "user: 18 of 24 or more left, resets in 30 min"


def test_it_is_plain_json() -> None:
    told = json.loads(json.dumps(replace(NEW, streams=(ENTRIES,), lanes=(USER,), waiting=(task(),)).as_dict()))
    assert told["level"] in LEVELS
    assert told["streams"][0]["watermark"] == "2026-03-10T11:30:00Z"
    assert told["waiting"][0]["until"] == "2026-03-10T13:20:00Z"
    assert {one["part"]: one["label"] for one in told["findings"]}["quota"] == "18 / 30"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d"), (-60, "60 s")]
)
def test_a_time_is_said_in_its_largest_sensible_unit(seconds: float, text: str) -> None:
    assert span(abs(seconds)) == text
    assert ago(NOW - timedelta(seconds=seconds), NOW) == (f"in {text}" if seconds < 0 else f"{text} ago")
