from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ALL, SECRET, ApiCaller, WebhookCaller, events_of
from support.servers.http import Callback, http_response, open_callback, tiny_server

from airflow_provider_toggl.sandbox.server import free_port

#: Nobody listens there, and nobody is asked: what is refused before the probe.
NOWHERE = "http://127.0.0.1:9/"
WORDS = "can only contain letters, numbers and '_' or be '*' to match all"


def filters(*names: str) -> list[dict[str, str]]:
    return [dict(zip(("entity", "action"), name.split("."), strict=True)) for name in names]


def test_filters_and_status_are_public(webhooks: WebhookCaller) -> None:
    webhooks.toggl.session.auth = None
    entities = webhooks.call("GET", "event_filters").json()
    assert len(entities) == 9
    assert all(actions == ["created", "updated", "deleted"] for actions in entities.values())
    assert webhooks.call("GET", "status").json() == {"status": "OK"}
    assert webhooks.call("GET", webhooks.all).status_code == 401


@pytest.mark.parametrize(("plan", "limits"), [("free", (1, 3)), ("premium", (3, 12))])
def test_limits_are_those_of_the_plan(webhooks: WebhookCaller, plan: str, limits: tuple[int, int]) -> None:
    webhooks.sandbox.set(plan=plan)
    shown = webhooks.call("GET", f"limits/{webhooks.sandbox.workspace_id}").json()
    assert (shown["max_webhooks"], shown["max_events_per_webhook"]) == limits


def test_a_subscription_is_made_validated_and_listed(webhooks: WebhookCaller, callback: Callback) -> None:
    made = webhooks.subscribe(callback.url, event_filters=filters("time_entry.*", "project.created"))
    assert made["validated_at"] is not None
    assert made == {
        "subscription_id": made["subscription_id"],
        "workspace_id": webhooks.sandbox.workspace_id,
        "user_id": webhooks.world.owner.id,
        "enabled": True,
        "description": "airflow",
        "event_filters": filters("time_entry.*", "project.created"),
        "url_callback": callback.url,
        "validated_at": made["validated_at"],
        "has_pending_events": False,
        "created_at": "2026-03-10T12:00:00.25Z",
        "secret": SECRET,
    }
    assert webhooks.one() == made
    (ping,) = callback.bodies
    assert ping["payload"] == "ping"
    assert ping["subscription_id"] == made["subscription_id"]


def test_without_a_secret_one_is_made_up(webhooks: WebhookCaller, callback: Callback) -> None:
    assert len(webhooks.subscribe(callback.url, secret=None)["secret"]) == 20


def test_it_is_disabled_unless_it_says_otherwise_and_probed_all_the_same(
    webhooks: WebhookCaller, callback: Callback
) -> None:
    assert webhooks.subscribe(callback.url, enabled=None)["enabled"] is False
    assert callback.pings == 1


def test_a_callback_that_fails_its_probe_makes_no_subscription(webhooks: WebhookCaller) -> None:
    gone = f"http://127.0.0.1:{free_port('127.0.0.1')}/hook"
    with open_callback(status=500) as failing, tiny_server() as elsewhere:
        elsewhere.reply = lambda _: http_response(302, location=failing.url)
        answers = {url: webhooks.create(url) for url in (failing.url, gone, elsewhere.url, "ftp://x/", "no-url")}
        texts = {url: answer.json() for url, answer in answers.items()}
        assert {answer.status_code for answer in answers.values()} == {400}
        assert texts[failing.url] == f"URL endpoint {failing.url} responded with status 500 instead of 200"
        assert texts[elsewhere.url] == f"URL endpoint {elsewhere.url} responded with status 302 instead of 200"
        assert texts[gone].startswith(f"URL endpoint {gone} request failed with error: ")
        assert "unsupported protocol scheme" in texts["ftp://x/"]
        assert failing.pings == 1
    assert webhooks.call("GET", webhooks.all).json() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description": ""}, "Subscription description must not be empty"),
        ({"description": None}, "Subscription description must not be empty"),
        ({"description": 5}, "Invalid JSON input"),
        ({"enabled": "yes"}, "Invalid JSON input"),
        ({"event_filters": []}, "The list of event filters must not be empty"),
        ({"event_filters": None}, "The list of event filters must not be empty"),
        ({"event_filters": ["*"]}, "Invalid JSON input"),
        (
            {"event_filters": filters("tag.*", "task.*", "client.*", "project.*")},
            "The limit of 3 event filters for your subscription has been exceeded as you're trying to set 4 filters",
        ),
        (
            {"event_filters": filters("tag.*", "tag.*")},
            "The following event filter appears more than once for your subscription: tag:*",
        ),
        (
            {"event_filters": filters(".created")},
            "The entity field for each subscription event filter must be non-empty",
        ),
        ({"event_filters": filters("tag.")}, "The action field for each subscription event filter must be non-empty"),
        (
            {"event_filters": filters("time-entry.*")},
            f"The value 'time-entry' for the filter entity {WORDS} entities",
        ),
        (
            {"event_filters": filters("tag.del!")},
            f"The value 'del!' for the filter action {WORDS} actions",
        ),
        ({"event_filters": filters("tag.removed")}, "Invalid value 'removed' for event filter action"),
    ],
)
def test_an_invalid_subscription_is_refused_with_the_documented_text(
    webhooks: WebhookCaller, changes: dict[str, Any], message: str
) -> None:
    answer = webhooks.create(NOWHERE, **changes)
    assert (answer.status_code, answer.json()) == (400, message)
    assert webhooks.sandbox.webhook_deliveries()["outcomes"] == {}


def test_an_unknown_entity_is_accepted_and_has_no_events(webhooks: WebhookCaller, callback: Callback) -> None:
    webhooks.subscribe(callback.url, event_filters=filters("unheard_of.created"))
    webhooks.sandbox.mutate(seed=1, n=10)
    assert webhooks.sandbox.webhook_events() == []


def test_errors_can_be_plain_text(webhooks: WebhookCaller) -> None:
    webhooks.sandbox.set(webhook_errors="text")
    answer = webhooks.create(NOWHERE, description="")
    assert answer.text == "Subscription description must not be empty"
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_star_may_count_as_all_that_it_lets_through(webhooks: WebhookCaller, callback: Callback) -> None:
    webhooks.sandbox.set(webhook_star_counts="events")
    answer = webhooks.create(callback.url)
    assert answer.status_code == 400
    assert "trying to set 27 filters" in answer.json()
    webhooks.subscribe(callback.url, event_filters=filters("tag.*"))


def test_a_description_belongs_to_one(webhooks: WebhookCaller, callback: Callback) -> None:
    webhooks.sandbox.set(plan="premium")
    webhooks.subscribe(callback.url)
    ws = webhooks.sandbox.workspace_id
    answer = webhooks.create(callback.url)
    assert answer.json() == f"Subscription description 'airflow' is already in use for workspace {ws}"


def test_no_more_are_enabled_than_the_plan_has(webhooks: WebhookCaller, callback: Callback) -> None:
    first = webhooks.subscribe(callback.url)
    message = (
        f"User {webhooks.world.owner.id} already reached the limit of 1 enabled subscriptions for workspace "
        f"{webhooks.sandbox.workspace_id}"
    )
    answer = webhooks.create(callback.url, description="second")
    assert (answer.status_code, answer.json()) == (400, message)
    second = webhooks.subscribe(callback.url, description="second", enabled=False)
    assert webhooks.call("PATCH", webhooks.path(second), {"enabled": True}).json() == message
    webhooks.call("PATCH", webhooks.path(first), {"enabled": False})
    assert webhooks.call("PATCH", webhooks.path(second), {"enabled": True}).json()["enabled"] is True


def test_enabling_probes_and_disabling_does_not(webhooks: WebhookCaller, callback: Callback) -> None:
    made = webhooks.subscribe(callback.url)
    assert webhooks.call("PATCH", webhooks.path(made), {"enabled": False}).json()["enabled"] is False
    assert callback.pings == 1
    callback.status = 500
    answer = webhooks.call("PATCH", webhooks.path(made), {"enabled": True})
    assert answer.status_code == 400
    assert answer.json() == f"URL endpoint {callback.url} responded with status 500 instead of 200"
    assert webhooks.one()["enabled"] is False
    assert webhooks.call("PATCH", webhooks.path(made), {"enabled": "yes"}).json() == "Invalid JSON input"


def test_a_ping_has_the_code_only_while_it_is_needed(webhooks: WebhookCaller, callback: Callback) -> None:
    made = webhooks.subscribe(callback.url)
    assert webhooks.call("POST", f"ping/{webhooks.path(made).partition('/')[2]}").json() == {"status": "OK"}
    assert ["validation_code" in body for body in callback.bodies] == [True, False]


def test_a_callback_that_does_not_say_the_code_is_validated_by_the_link(
    webhooks: WebhookCaller, callback: Callback
) -> None:
    callback.echoes = False
    made = webhooks.subscribe(callback.url)
    assert (made["validated_at"], made["enabled"]) == (None, True)
    webhooks.track()
    assert webhooks.sandbox.webhook_events() == []
    link = callback.bodies[0]["validation_code_url"]
    assert link.startswith(webhooks.toggl.url)
    answer = webhooks.toggl.session.get(link, auth=("", ""), timeout=30)
    assert (answer.status_code, answer.json()) == (200, "OK")
    again = webhooks.toggl.session.get(link, auth=("", ""), timeout=30)
    assert again.json() == f"subscription {made['subscription_id']} has already been validated"
    webhooks.track()
    webhooks.flush()
    assert len(events_of(callback)) == 1


def test_a_wrong_code_validates_nothing(webhooks: WebhookCaller, callback: Callback) -> None:
    callback.echoes = False
    made = webhooks.subscribe(callback.url)
    id_, ws = made["subscription_id"], webhooks.sandbox.workspace_id
    for workspace, subscription, code in ((ws, id_, "abc"), (ws, 5, "abc"), (1, id_, callback.codes[id_])):
        answer = webhooks.call("GET", f"validate/{workspace}/{subscription}/{code}")
        message = f"subscription {subscription} for workspace {workspace} and validation code '{code}' was not found"
        assert (answer.status_code, answer.json()) == (400, message)
    assert webhooks.one()["validated_at"] is None


def test_the_answer_to_a_creation_may_not_know_yet_that_it_is_validated(
    webhooks: WebhookCaller, callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_validated_in_answer=False)
    assert webhooks.subscribe(callback.url)["validated_at"] is None
    assert webhooks.one()["validated_at"] is not None


def replaced(webhooks: WebhookCaller, made: dict[str, Any], **changes: Any) -> Any:
    names = ("url_callback", "event_filters", "description", "enabled")
    body = {**{name: made[name] for name in names}, **changes}
    return webhooks.call("PUT", webhooks.path(made), body)


def test_a_subscription_is_replaced_and_keeps_its_secret_unless_it_gets_another(
    webhooks: WebhookCaller, callback: Callback
) -> None:
    made = webhooks.subscribe(callback.url)
    shown = replaced(webhooks, made, description="new", event_filters=filters("tag.*")).json()
    assert (shown["description"], shown["event_filters"], shown["secret"]) == ("new", filters("tag.*"), SECRET)
    assert shown["updated_at"] == "2026-03-10T12:00:00.25Z"
    assert shown["validated_at"] == made["validated_at"]
    assert replaced(webhooks, shown, secret="another").json()["secret"] == "another"


@pytest.mark.parametrize(
    ("switch", "echoes", "validated"), [(True, True, True), (True, False, False), (False, False, True)]
)
def test_another_url_is_probed_and_validated_again_unless_switched_off(
    webhooks: WebhookCaller, callback: Callback, switch: bool, echoes: bool, validated: bool
) -> None:
    webhooks.sandbox.set(webhook_url_change_unvalidates=switch)
    made = webhooks.subscribe(callback.url)
    with open_callback(echoes=echoes) as other:
        shown = replaced(webhooks, made, url_callback=other.url).json()
        assert other.pings == 1
        assert ("validation_code" in other.bodies[0]) is switch
        assert (shown["url_callback"], shown["validated_at"] is not None) == (other.url, validated)


def test_a_replacement_whose_probe_fails_changes_nothing(webhooks: WebhookCaller, callback: Callback) -> None:
    made = webhooks.subscribe(callback.url)
    with open_callback(status=500) as other:
        answer = replaced(webhooks, made, url_callback=other.url, description="new")
        assert answer.status_code == 400
        assert answer.json() == f"URL endpoint {other.url} responded with status 500 instead of 2xx"
    assert webhooks.one() == made
    webhooks.track()
    webhooks.flush()
    assert len(events_of(callback)) == 1


def test_a_deleted_subscription_is_not_found_and_does_not_count(webhooks: WebhookCaller, callback: Callback) -> None:
    made = webhooks.subscribe(callback.url)
    shown = webhooks.call("DELETE", webhooks.path(made)).json()
    assert (shown["enabled"], shown["deleted_at"]) == (False, "2026-03-10T12:00:00.25Z")
    id_, ws = made["subscription_id"], webhooks.sandbox.workspace_id
    requests: list[tuple[str, str, Any]] = [
        ("DELETE", webhooks.path(made), None),
        ("PATCH", webhooks.path(made), {"enabled": True}),
        ("PUT", webhooks.path(made), {}),
        ("GET", f"{webhooks.path(made)}/events", None),
        ("POST", f"ping/{ws}/{id_}", None),
    ]
    for method, path, body in requests:
        answer = webhooks.call(method, path, body)
        assert (answer.status_code, answer.json()) == (404, f"subscription {id_} for workspace {ws} was not found")
    assert webhooks.call("GET", webhooks.all).json() == []
    webhooks.subscribe(callback.url)


@pytest.mark.parametrize("path", ["subscriptions/1", "limits/1"])
def test_another_workspace_is_not_accessible(webhooks: WebhookCaller, path: str) -> None:
    answer = webhooks.call("GET", path)
    assert (answer.status_code, answer.json()) == (403, "User not found/accessible for workspace")


def test_only_a_token_signs_in(webhooks: WebhookCaller) -> None:
    webhooks.toggl.session.auth = (webhooks.world.owner.email, webhooks.world.settings.password)
    assert webhooks.toggl.get("/me").status_code == 200
    assert webhooks.call("GET", webhooks.all).status_code == 401


def test_who_is_no_administrator_sees_only_their_own(webhooks: WebhookCaller, callback: Callback) -> None:
    webhooks.sandbox.set(plan="premium")
    theirs = webhooks.subscribe(callback.url)
    person = next(one for one in webhooks.world.users.values() if not one.is_admin and one.deleted_at is None)
    caller = ApiCaller(webhooks.sandbox, person.token)
    colleague = WebhookCaller(caller)
    own = colleague.subscribe(callback.url, description="own")
    assert [one["subscription_id"] for one in colleague.call("GET", colleague.all).json()] == [own["subscription_id"]]
    assert colleague.call("DELETE", webhooks.path(theirs)).status_code == 404
    shown = {one["description"]: one.get("secret") for one in webhooks.call("GET", webhooks.all).json()}
    assert shown == {"airflow": SECRET, "own": None}
    caller.close()


def test_lists_may_keep_secrets_to_themselves(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.sandbox.set(webhook_list_returns_secret=False)
    assert "secret" not in webhooks.one()


def test_the_event_log_has_pages_newest_first(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_events_page=2)
    for _ in range(3):
        webhooks.track()
    webhooks.flush()
    path = f"{webhooks.path(subscribed)}/events"
    first, second, past = (webhooks.call("GET", f"{path}?offset={offset}").json() for offset in (0, 2, 9))
    assert (first["total"], past) == (3, {"total": 3, "events": []})
    shown = [*first["events"], *second["events"]]
    assert [one["event_id"] for one in shown] == [one["event_id"] for one in reversed(events_of(callback))]
    own = {"last_delivery_attempt", "last_delivery_error", "failed_delivery_attempts", "timestamp"}
    logged = {name: value for name, value in shown[0].items() if name not in own}
    sent = {name: value for name, value in events_of(callback)[-1].items() if name != "timestamp"}
    assert logged == sent
    assert (shown[0]["last_delivery_error"], shown[0]["failed_delivery_attempts"]) == (None, 0)
    assert webhooks.call("GET", f"{path}?offset=x").status_code == 400


def test_the_log_reaches_back_a_week(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    path = f"{webhooks.path(subscribed)}/events"
    webhooks.track()
    webhooks.flush()
    webhooks.sandbox.advance(7 * 86_400 - 1)
    assert webhooks.call("GET", path).json()["total"] == 1
    webhooks.sandbox.advance(2)
    assert webhooks.call("GET", path).json() == {"total": 0, "events": []}


def test_the_log_may_be_withdrawn(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.sandbox.set(webhook_events_log=False)
    assert webhooks.call("GET", f"{webhooks.path(subscribed)}/events").status_code == 404


@pytest.mark.parametrize("count", [False, True])
def test_calls_take_quota_only_when_switched_on(webhooks: WebhookCaller, count: bool) -> None:
    webhooks.sandbox.set(quota_enforced=True, webhook_calls_count=count)
    statuses = [webhooks.call("GET", webhooks.all).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [402 if count else 200]
    assert webhooks.call("GET", "status").status_code == 200


def test_other_requests_go_on_while_a_callback_is_probed(webhooks: WebhookCaller) -> None:
    with tiny_server() as server:
        others: list[int] = []

        def reply(_: Any) -> bytes:
            caller = ApiCaller(webhooks.sandbox)
            others.append(caller.get("/me").status_code)
            caller.close()
            return http_response(200, b"{}")

        server.reply = reply
        webhooks.subscribe(server.url, event_filters=ALL)
        assert others == [200]
