from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from typing import Any

import requests
from support.sandboxes import SECRET, WebhookCaller, events_of
from support.servers.http import Callback, open_callback
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.server import start_sandbox
from airflow_provider_toggl.sandbox.workspace.world import STREAM_OF


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def outcomes(webhooks: WebhookCaller) -> dict[str, int]:
    shown: dict[str, int] = webhooks.sandbox.webhook_deliveries()["outcomes"]
    return shown


def made(webhooks: WebhookCaller) -> list[dict[str, Any]]:
    return webhooks.sandbox.webhook_events()


# --8<-- [start:webhook-test]
def test_a_receiver_gets_a_created_entry_twice(callback: Callback) -> None:
    with start_sandbox(entries=50) as toggl:
        auth = (toggl.token, "api_token")
        wanted = {
            "description": "mine",
            "url_callback": callback.url,
            "event_filters": [{"entity": "time_entry", "action": "*"}],
            "secret": "whsec-1",
            "enabled": True,
        }
        url = f"{toggl.url}/webhooks/api/v1/subscriptions/{toggl.workspace_id}"
        made = requests.post(url, json=wanted, auth=auth, timeout=30).json()
        assert made["validated_at"] is not None  # the callback answered with the code of its PING
        toggl.webhook_fault("duplicate", copies=1)
        toggl.mutate(seed=1, n=1, kinds=["create"])
        assert toggl.flush_webhooks() == 0
        ping, event, again = callback.bodies
        assert (ping["payload"], event["metadata"]["action"], again) == ("ping", "created", event)


# --8<-- [end:webhook-test]
def test_events_are_signed_over_their_bytes_and_have_the_headers(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_user_agent="Somebody/1.0")
    webhooks.track(description="<&> Übersicht\u2028")
    webhooks.flush()
    for asked in callback.server.asked:
        assert asked.method == "POST"
        assert asked.headers["X-Webhook-Signature-256"] == signature(asked.body)
        assert asked.headers["Content-Type"] == "application/json"
    event = callback.server.asked[-1]
    assert event.headers["User-Agent"] == "Somebody/1.0"
    assert b"\\u003c\\u0026\\u003e" in event.body
    assert b"\\u2028" in event.body
    assert "Übersicht".encode() in event.body
    webhooks.sandbox.set(webhook_escape_html=False)
    webhooks.track(description="<&>")
    webhooks.flush()
    assert b'"description":"<&>"' in callback.server.asked[-1].body


def test_the_event_of_a_write_has_its_request(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    entry = webhooks.track(description="new")
    path = f"/workspaces/{{ws}}/time_entries/{entry}"
    webhooks.toggl.write("PUT", path, {"description": "changed"})
    webhooks.toggl.write("DELETE", path)
    webhooks.flush()
    created, updated, deleted = events_of(callback)
    assert [one["metadata"]["action"] for one in (created, updated, deleted)] == ["created", "updated", "deleted"]
    assert [one["metadata"]["request_type"] for one in (created, updated, deleted)] == ["POST", "PUT", "DELETE"]
    assert updated["metadata"]["path"] == webhooks.toggl.fill("/api/v9" + path)
    assert updated["metadata"]["request_body"] == '{"description": "changed"}'
    assert "request_body" not in deleted["metadata"]
    assert (created["payload"]["description"], updated["payload"]["description"]) == ("new", "changed")
    assert deleted["payload"]["server_deleted_at"] == "2026-03-10T12:00:00+00:00"
    assert {one["payload"]["id"] for one in (created, updated, deleted)} == {entry}


def test_a_timer_that_another_one_stops_has_an_event_unless_switched_off(
    webhooks: WebhookCaller, subscribed: dict[str, Any]
) -> None:
    def start() -> list[str]:
        before = len(made(webhooks))
        webhooks.track(start="2026-03-10T11:59:00Z", duration=-1)
        return sorted(event["action"] for event in made(webhooks)[before:])

    start()
    assert start() == ["created", "updated"]
    webhooks.sandbox.set(webhook_side_effect_events=False)
    assert start() == ["created"]


def test_each_entry_of_a_bulk_edit_has_an_event_unless_switched_off(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    ids = [webhooks.track(), webhooks.track()]
    path = f"/workspaces/{{ws}}/time_entries/{ids[0]},{ids[1]}"
    ops = [{"op": "replace", "path": "/description", "value": "both"}]
    webhooks.toggl.write("PATCH", path, ops)
    assert [event["entity_id"] for event in made(webhooks)[2:]] == ids
    webhooks.sandbox.set(webhook_bulk_events=False)
    webhooks.toggl.write("PATCH", path, ops)
    webhooks.sandbox.mutate(seed=1, n=3, kinds=["bulk_edit"])
    assert len(made(webhooks)) == 4


def test_random_changes_have_events_and_nothing_else_has(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    done = webhooks.sandbox.mutate(seed=5, n=150)
    webhooks.flush()
    changed = {(stream, id_) for one in done for stream, ids in one["changed"].items() for id_ in ids}
    shown = {(STREAM_OF[body["metadata"]["model"]], body["payload"]["id"]) for body in events_of(callback)}
    assert shown == changed
    assert len({stream for stream, _ in shown}) >= 5
    assert {event["event_id"] for event in made(webhooks)} == {body["event_id"] for body in events_of(callback)}


def test_side_effects_of_random_changes_can_be_left_out(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.sandbox.set(webhook_side_effect_events=False)
    (done,) = webhooks.sandbox.mutate(seed=5, n=1, kinds=["delete_project"])
    assert done["changed"].keys() > {"projects"}
    assert [(event["entity"], event["action"]) for event in made(webhooks)] == [("project", "deleted")]


def test_a_deletion_may_have_a_payload_of_ids(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_deleted_payload="ids")
    webhooks.sandbox.mutate(seed=1, n=1, kinds=["delete_tag"])
    webhooks.flush()
    deleted = events_of(callback)[-1]
    assert deleted["metadata"]["action"] == "deleted"
    assert deleted["payload"].keys() == {"id", "wid"}


def test_first_come_is_first_served(webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback) -> None:
    webhooks.sandbox.mutate(seed=2, n=60)
    webhooks.flush()
    assert [body["event_id"] for body in events_of(callback)] == [event["event_id"] for event in made(webhooks)]


def test_several_go_at_once_when_allowed(webhooks: WebhookCaller) -> None:
    webhooks.sandbox.set(webhook_parallel=4)
    gate = threading.Barrier(4)
    with open_callback() as callback:
        webhooks.subscribe(callback.url)
        answer = callback.server.reply

        def together(asked: Any) -> bytes:
            gate.wait(10)
            return answer(asked)

        callback.server.reply = together
        webhooks.sandbox.mutate(seed=1, n=12, kinds=["create_tag"])
        webhooks.flush()
        assert len(events_of(callback)) == 12


def test_a_failure_is_tried_again_with_a_new_timestamp_and_signature(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="0.01,0.01,60")
    callback.status = 503
    webhooks.track()
    wait_until(lambda: len(events_of(callback)) == 3)
    assert webhooks.one()["has_pending_events"] is True
    bodies = [asked.body for asked in callback.server.asked[1:]]
    assert len(set(bodies)) > 1
    documents = [json.loads(body) for body in bodies]
    assert len({one.pop("timestamp") for one in documents}) > 1
    assert documents == [documents[0]] * 3
    assert all(asked.headers["X-Webhook-Signature-256"] == signature(asked.body) for asked in callback.server.asked)


def test_a_repeated_attempt_may_have_the_first_timestamp(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="0.01,0.01,0.01", webhook_timestamp_renewed=False)
    callback.status = 503
    webhooks.track()
    webhooks.flush()
    assert len(events_of(callback)) == 4
    assert len({asked.body for asked in callback.server.asked[1:]}) == 1


def test_a_callback_that_recovers_gets_it(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="0.01,0.3,0.01")
    callback.status = 500
    webhooks.track()
    wait_until(lambda: len(events_of(callback)) == 2)
    callback.status = 200
    webhooks.flush()
    (event,) = made(webhooks)
    assert (event["acknowledged"], event["given_up"], event["attempts"]) == (True, False, 3)
    logged = webhooks.call("GET", f"{webhooks.path(subscribed)}/events").json()["events"][0]
    assert (logged["failed_delivery_attempts"], logged["last_delivery_error"]) == (2, None)


def test_an_event_that_fails_too_often_is_given_up_and_logged(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="0.01,0.01")
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    (event,) = made(webhooks)
    assert (event["acknowledged"], event["given_up"], event["attempts"]) == (False, True, 3)
    logged = webhooks.call("GET", f"{webhooks.path(subscribed)}/events").json()["events"][0]
    assert logged["failed_delivery_attempts"] == 3
    assert logged["last_delivery_error"] == "responded with status 500 instead of 2xx"
    assert outcomes(webhooks) == {"ping_delivered": 1, "event_failed": 3}


def test_without_retries_one_failure_is_the_end(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="")
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    assert [event["attempts"] for event in made(webhooks)] == [1]


def test_a_subscription_is_disabled_after_so_many_in_a_row(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="", webhook_disable_after=3)
    callback.status = 500
    webhooks.sandbox.mutate(seed=1, n=9, kinds=["create_tag"])
    webhooks.flush()
    assert webhooks.one()["enabled"] is False
    assert len(events_of(callback)) == 3
    assert {event["given_up"] for event in made(webhooks)} == {True}
    webhooks.track()
    assert len(made(webhooks)) == 9
    callback.status = 200
    assert webhooks.call("PATCH", webhooks.path(subscribed), {"enabled": True}).json()["enabled"] is True
    webhooks.track()
    webhooks.flush()
    assert len(events_of(callback)) == 4


def test_a_success_starts_the_count_again(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="", webhook_disable_after=2)
    for status in (500, 200, 500, 200):
        callback.status = status
        webhooks.track()
        webhooks.flush()
    assert webhooks.one()["enabled"] is True


def test_a_disabled_subscription_gives_up_waiting_events(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="60")
    callback.status = 500
    webhooks.track()
    wait_until(lambda: outcomes(webhooks).get("event_failed") == 1)
    webhooks.call("PATCH", webhooks.path(subscribed), {"enabled": False})
    webhooks.flush()
    assert [event["given_up"] for event in made(webhooks)] == [True]


def test_the_same_bytes_may_come_again(webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback) -> None:
    webhooks.sandbox.webhook_fault("duplicate", copies=2)
    webhooks.track()
    webhooks.flush()
    bodies = [asked.body for asked in callback.server.asked[1:]]
    assert (len(bodies), len(set(bodies))) == (3, 1)
    assert [event["attempts"] for event in made(webhooks)] == [1]


def test_the_same_event_may_come_again_with_another_timestamp(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.webhook_fault("resend", copies=3)
    webhooks.track()
    webhooks.flush()
    events = events_of(callback)
    assert (len(events), len({one["event_id"] for one in events})) == (4, 1)
    assert len({one["timestamp"] for one in events}) > 1


def test_an_event_may_never_come(webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback) -> None:
    webhooks.sandbox.webhook_fault("drop")
    dropped, kept = webhooks.track(), webhooks.track()
    webhooks.flush()
    assert [one["payload"]["id"] for one in events_of(callback)] == [kept]
    assert [(one["entity_id"], one["dropped"]) for one in made(webhooks)] == [(dropped, True), (kept, False)]
    assert webhooks.call("GET", f"{webhooks.path(subscribed)}/events").json()["total"] == 1
    assert outcomes(webhooks)["dropped"] == 1


def test_an_event_may_be_late_and_overtaken(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.webhook_fault("delay", seconds=0.2)
    began = time.monotonic()
    late, soon = webhooks.track(), webhooks.track()
    webhooks.flush()
    assert time.monotonic() - began >= 0.2
    assert [one["payload"]["id"] for one in events_of(callback)] == [soon, late]


def test_events_may_be_out_of_order(webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback) -> None:
    webhooks.sandbox.webhook_fault("reorder", seconds=0.1, times=None)
    webhooks.sandbox.mutate(seed=1, n=20, kinds=["create_tag"])
    webhooks.flush()
    ids = [one["event_id"] for one in events_of(callback)]
    assert sorted(ids) == [event["event_id"] for event in made(webhooks)]
    assert ids != sorted(ids)


def test_a_signature_may_be_wrong_until_it_is_refused(webhooks: WebhookCaller, callback: Callback) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="0.01")
    webhooks.subscribe(callback.url)
    answer = callback.server.reply
    right: list[bool] = []

    def reply(asked: Any) -> bytes:
        right.append(asked.headers["X-Webhook-Signature-256"] == signature(asked.body))
        callback.status = 200 if right[-1] else 401
        return answer(asked)

    callback.server.reply = reply
    webhooks.sandbox.webhook_fault("wrong_signature")
    webhooks.track()
    webhooks.flush()
    assert right == [False, True]
    assert [event["acknowledged"] for event in made(webhooks)] == [True]


def test_a_callback_that_never_answers_is_left_after_the_timeout(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_timeout_seconds=0.05, webhook_retry_seconds="")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = webhooks.create(f"http://127.0.0.1:{silent.getsockname()[1]}/", description="silent", enabled=False)
    assert "TimeoutError" in answer.json()


def test_a_closed_sandbox_leaves_no_thread_and_does_not_wait_for_callbacks() -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as silent, open_callback() as callback:
        sandbox = start_sandbox(entries=5)
        webhooks = f"{sandbox.url}/webhooks/api/v1/subscriptions/{sandbox.workspace_id}"
        auth = (sandbox.token, "api_token")
        body = {
            "url_callback": callback.url,
            "event_filters": [{"entity": "*", "action": "*"}],
            "description": "x",
            "enabled": True,
        }
        sandbox.set(webhook_parallel=4, plan="premium")
        assert requests.post(webhooks, json=body, auth=auth, timeout=30).status_code == 200
        go = threading.Event()
        answer = callback.server.reply
        callback.server.reply = lambda asked: answer(asked) if go.wait(30) else b""
        sandbox.mutate(seed=1, n=20, kinds=["create_tag"])
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        probe = threading.Thread(
            target=lambda: _refused(webhooks, {**body, "url_callback": url, "description": "y"}, auth)
        )
        probe.start()
        held = silent.accept()[0]
        wait_until(lambda: len(callback.server.asked) >= 4)
        flush = threading.Thread(target=lambda: _ignored(lambda: sandbox.flush_webhooks(60)))
        flush.start()
        began = time.monotonic()
        sandbox.close()
        assert time.monotonic() - began < 5
        go.set()
        held.close()
        for thread in (probe, flush):
            thread.join(timeout=10)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread not in before])


def _refused(url: str, body: dict[str, Any], auth: tuple[str, str]) -> None:
    _ignored(lambda: requests.post(url, json=body, auth=auth, timeout=30))


def _ignored(call: Any) -> None:
    with contextlib.suppress(OSError, ValueError, requests.RequestException):  # its sandbox has ended
        call()
