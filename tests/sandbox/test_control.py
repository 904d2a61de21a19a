from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller, WebhookCaller, events_of
from support.servers.http import Callback

from airflow_provider_toggl.sandbox.control import MOST_CALLS, RequestLog
from airflow_provider_toggl.sandbox.server import ControlRefused


@pytest.mark.parametrize(
    ("method", "name", "body", "message"),
    [
        ("GET", "truth/estimates", None, r"No such stream: estimates\. Streams: time_entries"),
        ("POST", "mutate", {"seed": 1, "n": -1}, "n from 0"),
        ("POST", "mutate", {"seed": "x", "n": 1}, "integers"),
        ("POST", "mutate", {"n": 1, "kinds": "late_edit"}, "list of texts"),
        ("POST", "mutate", {"n": 1, "kinds": ["no such kind"]}, "no such kind"),
        ("POST", "mutate", {"n": 1, "count": 3}, "Unknown fields: count"),
        ("POST", "mutate", [1], "must be a JSON object"),
        *(("POST", "clock", {"advance_seconds": one}, "advance_seconds") for one in (-1, "1", None, True, 1e12)),
        ("POST", "faults", {"kind": "fire"}, "kind must be one of"),
        ("PATCH", "settings", {"largest_page_size": 9, "plan": "gold"}, "plan must be one of"),
        ("PATCH", "workspace", {"rounding_minutes": 7}, "rounding is"),
        ("PATCH", "users/5", {"is_admin": True}, "No such user: 5"),
        ("PATCH", "users/someone", {}, "No such user: someone"),
        ("PATCH", "users/owner", {"timezone": "Mars/Olympus"}, "No such time zone: Mars/Olympus"),
        ("PATCH", "users/owner", {"is_admin": 1}, "true or false"),
        ("PATCH", "users/owner", {"name": "x"}, "Unknown fields: name"),
        ("POST", "webhooks/faults", {"kind": "fire"}, "kind must be one of"),
        ("POST", "webhooks/faults", {"kind": "flood", "copies": 0}, "copies must be an integer of 1 or more"),
        ("POST", "webhooks/faults", {"kind": "flood", "times": 2}, "Unknown fields: times"),
        ("POST", "webhooks/redeliver", {"event_ids": 5}, "event_ids must be a list of ids"),
        ("POST", "webhooks/redeliver", {"event_ids": [[5]]}, "event_ids must be a list of ids"),
        ("POST", "webhooks/redeliver", {"events": "all"}, "Unknown fields: events"),
        ("POST", "webhooks/flush", {"timeout": "1"}, "timeout must be a number"),
        ("POST", "webhooks/flush", {"timeout": 1e9}, "timeout must be a number of seconds, at most 300"),
        ("GET", "webhooks/events?after=x", None, "after must be an integer"),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason_and_changes_nothing(
    toggl: ApiCaller, method: str, name: str, body: Any, message: str
) -> None:
    version, settings = toggl.world.version, toggl.world.settings.as_dict()
    with pytest.raises(ControlRefused, match=f"400: .*{message}"):
        toggl.sandbox.control(method, name, body)
    assert (toggl.world.version, toggl.world.settings.as_dict()) == (version, settings)


def test_a_body_that_is_not_json_is_an_error(toggl: ApiCaller) -> None:
    answer = toggl.session.post(toggl.url + "/sandbox/mutate", data=b"{", timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "The body is not JSON."})


@pytest.mark.parametrize(("path", "kind"), [("faults", "slow"), ("webhooks/faults", "delay")])
def test_faults_are_listed_and_cleared(toggl: ApiCaller, path: str, kind: str) -> None:
    injected = toggl.sandbox.control("POST", path, {"kind": kind, "seconds": 2, "times": 3})
    assert toggl.sandbox.control("GET", path) == [injected]
    assert toggl.sandbox.control("DELETE", path) == {"cleared": 1}
    assert toggl.sandbox.control("GET", path) == []


def test_mutations_are_returned_and_visible_in_the_truth(toggl: ApiCaller) -> None:
    before = toggl.sandbox.truth("time_entries")
    done = toggl.sandbox.mutate(seed=5, n=20, kinds=["late_edit", "delete_entry"])
    assert len(done) == 20
    assert {one["kind"] for one in done} <= {"late_edit", "delete_entry"}
    assert toggl.sandbox.truth("time_entries") != before


def test_the_clock_advances_by_the_given_seconds(toggl: ApiCaller) -> None:
    assert toggl.sandbox.control("POST", "clock", {"advance_seconds": 60.5})["now"] == "2026-03-10T12:01:00.750000Z"
    assert toggl.sandbox.control("GET", "clock")["offset_seconds"] == 60.5


def test_the_control_api_s_own_requests_are_not_counted(toggl: ApiCaller) -> None:
    toggl.sandbox.health()
    toggl.sandbox.truth("tags")
    assert toggl.sandbox.requests()["total"] == 0


def test_resetting_the_counts_leaves_the_quota_and_resetting_the_quota_the_counts(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    toggl.get("/me")
    toggl.sandbox.reset_requests()
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "28"
    toggl.sandbox.reset_quota()
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "29"
    assert toggl.sandbox.requests()["total"] == 2


def test_settings_are_read_and_changed(toggl: ApiCaller) -> None:
    assert toggl.sandbox.control("GET", "settings")["plan"] == "free"
    assert toggl.sandbox.set(plan="premium", largest_page_size=5)["largest_page_size"] == 5


def test_a_changed_setting_counts_for_a_report_that_was_asked_before(toggl: ApiCaller) -> None:
    running = [row for row in toggl.search_all() if row["time_entries"][0]["stop"] is None]
    toggl.sandbox.set(report_includes_running=False)
    left = [row for row in toggl.search_all() if row["time_entries"][0]["stop"] is None]
    assert len(left) < len(running)


def test_the_rounding_of_the_workspace_can_be_changed(toggl: ApiCaller) -> None:
    toggl.sandbox.control("PATCH", "workspace", {"rounding": 1, "rounding_minutes": 15})
    seconds = [one["seconds"] for row in toggl.search_all() for one in row["time_entries"] if one["stop"]]
    assert all(value % 900 == 0 for value in seconds)


def test_rights_and_zone_of_a_user_can_be_changed(toggl: ApiCaller) -> None:
    user = next(one for one in toggl.world.users.values() if not one.is_admin)
    shown = toggl.sandbox.change_user(user.id, is_admin=True, timezone="Asia/Tokyo", inactive=True)
    assert (shown["id"], shown["is_admin"], shown["timezone"], shown["inactive"]) == (user.id, True, "Asia/Tokyo", True)
    assert toggl.sandbox.change_user(is_admin=False)["id"] == toggl.world.owner.id


def test_its_health_says_whose_token_it_takes(toggl: ApiCaller) -> None:
    health = toggl.sandbox.health()
    assert (health["status"], health["token"]) == ("ok", toggl.world.owner.token)
    assert health["time_entries"] == 300


def test_events_are_listed_oldest_first_with_their_state(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    entry = webhooks.track()
    webhooks.flush()
    (event,) = webhooks.sandbox.webhook_events()
    assert event == {
        "event_id": 2**53 - 100,
        "subscription_id": subscribed["subscription_id"],
        "entity": "time_entry",
        "action": "created",
        "entity_id": entry,
        "acknowledged": True,
        "given_up": False,
        "dropped": False,
        "attempts": 1,
    }
    later = webhooks.track()
    assert [one["entity_id"] for one in webhooks.sandbox.webhook_events(after=1)] == [later]


def test_deliveries_are_counted_and_the_last_ones_shown(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="")
    webhooks.track()
    webhooks.flush()
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    shown = webhooks.sandbox.webhook_deliveries()
    assert shown["outcomes"] == {"ping_delivered": 1, "event_delivered": 1, "event_failed": 1}
    assert [(one["kind"], one["status"]) for one in shown["attempts"]] == [
        ("ping", 200),
        ("event", 200),
        ("event", 500),
    ]
    assert shown["pending"] == 0


def test_events_are_delivered_again_all_or_some(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    for _ in range(3):
        webhooks.track()
    webhooks.flush()
    ids = [event["event_id"] for event in webhooks.sandbox.webhook_events()]
    assert webhooks.sandbox.redeliver_webhooks(ids[1:2]) == 1
    webhooks.flush()
    assert webhooks.sandbox.redeliver_webhooks() == 3
    webhooks.flush()
    assert [one["event_id"] for one in events_of(callback)] == [*ids, ids[1], *ids]
    assert [event["attempts"] for event in webhooks.sandbox.webhook_events()] == [1, 1, 1]
    assert webhooks.sandbox.redeliver_webhooks([5]) == 0


def test_dropped_and_given_up_events_can_be_redelivered(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="")
    webhooks.sandbox.webhook_fault("drop")
    webhooks.track()
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    callback.status = 200
    webhooks.sandbox.redeliver_webhooks()
    webhooks.flush()
    shown = {(one["acknowledged"], one["dropped"], one["given_up"]) for one in webhooks.sandbox.webhook_events()}
    assert shown == {(True, False, False)}


def test_a_flood_sends_everything_again_many_times(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_parallel=4)
    webhooks.sandbox.mutate(seed=1, n=5, kinds=["create_tag"])
    webhooks.flush()
    assert webhooks.sandbox.webhook_fault("flood", copies=6) == {"kind": "flood", "sent": 30}
    webhooks.flush()
    assert len(events_of(callback)) == 35


def test_a_flush_returns_what_is_pending_after_its_timeout(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.sandbox.webhook_fault("delay", seconds=60)
    webhooks.track()
    assert webhooks.sandbox.flush_webhooks(0.05) == 1


def test_a_flood_has_a_limit(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.track()
    with pytest.raises(ControlRefused, match="more than 1,000,000"):
        webhooks.sandbox.webhook_fault("flood", copies=1_000_001)


def call(lane: str = "user", status: int = 200) -> dict[str, object]:
    return {"lane": lane, "status": status, "path": "/api/v9/me"}


def test_requests_are_counted_by_endpoint_lane_and_status_until_a_reset() -> None:
    log = RequestLog()
    log.add("GET /me", call())
    log.add("GET /me", call(status=402))
    log.add("POST /x", call("organization"))
    shown = log.as_dict()
    assert shown["total"] == 3
    assert shown["by_endpoint"] == {"GET /me": 2, "POST /x": 1}
    assert shown["by_lane"] == {"user": 2, "organization": 1, "none": 0}
    assert shown["by_status"] == {"200": 2, "402": 1}
    assert len(shown["calls"]) == 3
    log.reset()
    assert log.as_dict() == RequestLog().as_dict()


def test_the_counts_go_on_when_the_oldest_calls_are_forgotten() -> None:
    log = RequestLog()
    for status in range(MOST_CALLS + 5):
        log.add("GET /me", call(status=status))
    shown = log.as_dict()
    assert shown["total"] == MOST_CALLS + 5
    assert [shown["calls"][0]["status"], len(shown["calls"])] == [5, MOST_CALLS]
