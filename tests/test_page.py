"""The page without a browser: permissions, forms, contents and errors."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from airflow.api_fastapi.app import create_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.routing import APIRoute
from support.airflow_home import free_port
from support.connections import Connections
from support.deliveries import SECRET, event_body
from support.event_stores import new_event

from airflow_provider_toggl.core.client.resources.subscriptions import Subscription, SubscriptionFilter
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.activity_log import REJECTED, DeliveryCounts, RefusedDelivery, reader_key
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask
from airflow_provider_toggl.hooks.activity import (
    record_declaration,
    record_load,
    record_reconciliation,
    record_subscriptions,
    record_waiting,
)
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.page import action_routes, deliveries, overview
from airflow_provider_toggl.page.action_routes import make_token
from airflow_provider_toggl.page.actions import ACTIONS, ActionRequest
from airflow_provider_toggl.page.app import build_page
from airflow_provider_toggl.page.audit import begin_entry, end_entry, find_entry
from airflow_provider_toggl.page.rendering import clock, since, whole

pytestmark = pytest.mark.airflow

CONN_ID = "toggl_default"
NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _connected(connections: Connections) -> None:
    extra = {"workspace_id": 1, "webhook_secret": SECRET}
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32, extra=extra)


# -- actions ----------------------------------------------------------------------------------------------------------


def run(name: str, **values: str) -> str:
    return ACTIONS[name].run(
        ActionRequest(CONN_ID, "somebody", values, lambda conn_id: not conn_id.startswith("locked"))
    )


def test_a_replayed_delivery_is_stored_again_with_its_bytes_each_time() -> None:
    with open_event_store(CONN_ID) as store:
        store.append([new_event(1, body=event_body(1), entity="time_entry")])
    assert "with seq 2" in run("replay-delivery", delivery="1")
    assert "with seq 3" in run("replay-delivery", delivery="1")
    with open_event_store(CONN_ID) as store:
        first, *copies = [stored.event for stored in store.read(0)]
        assert [(one.body, one.event_id, one.entity) for one in copies] == [(first.body, 1, "time_entry")] * 2
        assert {one.anomaly for one in copies} == {"replayed from seq 1 by somebody"}
        # What Toggl delivers again is a duplicate all the same.
        assert store.append([new_event(1)])[0].duplicate


def test_a_delivery_of_another_connection_is_not_replayed() -> None:
    with open_event_store(CONN_ID) as store:
        store.append([new_event(1, conn_id="other")])
    with pytest.raises(ConfigurationError, match="does not belong to connection"):
        run("replay-delivery", delivery="1")


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 30, "1;", str(2**63), "٣"])
def test_a_field_for_a_number_accepts_nothing_else(text: str) -> None:
    with pytest.raises(ConfigurationError, match="subscription is"):
        run("ping", subscription=text)


def test_a_mass_deletion_is_approved() -> None:
    assert "workspace 1 may mark" in run("approve-mass-deletion", workspace="1")
    assert read_health(CONN_ID).approvals == (1,)


def test_rejected_records_are_loaded_only_into_a_connection_that_the_person_may_edit() -> None:
    with pytest.raises(ConfigurationError, match="You may not edit"):
        run("redrive-rejected", warehouse="locked_away", schema="toggl")


def test_fields_have_the_known_values() -> None:
    health = read_health(CONN_ID)
    fields = {name: [(one.name, one.value) for one in action.fields(health)] for name, action in ACTIONS.items()}
    assert fields["ping"] == [("subscription", "")]
    assert fields["ensure"] == [("description", "airflow"), ("filters", "*:*")]
    assert fields["redrive-rejected"] == [("warehouse", "duckdb_default"), ("schema", "toggl")]
    assert fields["approve-mass-deletion"] == [("workspace", "1")]


# -- the audit log ----------------------------------------------------------------------------------------------------


def test_an_audit_entry_is_added_before_and_gets_its_outcome_after() -> None:
    number = begin_entry("ping", "somebody", {"conn_id": CONN_ID})
    entry = find_entry(number, "somebody")
    assert entry is not None
    assert (entry.event, entry.details) == ("ping", {"conn_id": CONN_ID})
    end_entry(number, "it went well", failed=False)
    entry = find_entry(number, "somebody")
    assert entry is not None
    assert entry.details["outcome"] == "it went well"
    assert find_entry(number, "another") is None


# -- forms and texts --------------------------------------------------------------------------------------------------


def test_a_token_is_valid_for_one_person_purpose_and_hour() -> None:
    token = make_token("me", "a/ping", 3600.0)
    assert token == make_token("me", "a/ping", 7199.0)
    assert len({token, make_token("you", "a/ping", 3600.0), make_token("me", "b/ping", 3600.0)}) == 3
    assert token != make_token("me", "a/ping", 7200.0)


def test_times_and_numbers_are_formatted() -> None:
    assert (clock(NOW), clock(None)) == ("2026-03-10 12:00:00", "-")
    assert (whole(1234567), whole(None), since(None)) == ("1,234,567", "-", "-")
    assert since(datetime.now(timezone.utc)) == "0 s ago"


# -- answers ----------------------------------------------------------------------------------------------------------


def get(app: Any, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], str]:
    """Ask the page without a server; return status, headers and text of its answer."""
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": f"/toggl-page{where}",
        "raw_path": where.encode(),
        "root_path": "/toggl-page",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "server": ("localhost", 80),
        "client": ("localhost", 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]).decode()


FORM = "application/x-www-form-urlencoded"


def act(page: FastAPI, name: str, *, user: str = "somebody", **values: str) -> tuple[int, dict[str, str], str]:
    """Post the form of an action, with its token."""
    form = urlencode({"token": make_token(user, f"{CONN_ID}/{name}"), **values}).encode()
    return get(page, f"/c/{CONN_ID}/act/{name}", "POST", form, content_type=FORM)


@pytest.fixture
def page() -> Iterator[FastAPI]:
    """The page, asked by somebody who may do everything."""
    create_auth_manager()
    app = build_page()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="somebody", role="ADMIN")
    yield app
    purge_cached_app()


def test_every_answer_allows_only_the_package_s_own_files(page: FastAPI) -> None:
    status, headers, text = get(page, "/")
    assert (status, CONN_ID in text) == (200, True)
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert not re.search(r"<script>|<style|style=|\son\w+=|https?://", text)


def test_every_static_file_that_a_page_names_exists_with_its_licence(page: FastAPI) -> None:
    folder = files("airflow_provider_toggl.page") / "static"
    named = re.findall(r"/static/([\w./-]+)", get(page, "/")[2])
    assert len(named) > 6
    assert [name for name in named if not (folder / name).is_file()] == []
    assert "MIT" in (folder / "uplot" / "LICENSE").read_text()


def cells(text: str, conn_id: str = CONN_ID) -> dict[str, tuple[str, str]]:
    """Return the status and the text of each cell in the row of a connection."""
    row = text.split(f'data-conn-id="{conn_id}"')[1].split("</tr>", maxsplit=1)[0]
    found = re.findall(r'data-part="(\w+)"[^>]*>\s*<span class="label (\w+)">(.*?)</span>', row, re.DOTALL)
    return {part: (level, " ".join(re.sub("<[^>]*>", "", words).split())) for part, level, words in found}


def test_the_overview_is_one_table_whose_cells_are_a_number_or_two_words(page: FastAPI) -> None:
    text = get(page, "/")[2]
    assert text.count("<table") == 1
    assert re.findall(r'<th scope="col">(.*?)</th>', text) == [
        "Connection",
        "Status",
        "Subscription",
        "Data freshness",
        "Pending events",
        "Quota",
        "Last reconciliation",
        "Waiting tasks",
    ]
    assert cells(text) == {
        "subscription": ("unknown", "not checked"),
        "freshness": ("unused", "not used"),
        "pending_events": ("unused", "not used"),
        "quota": ("unused", "no requests"),
        "reconciliation": ("unused", "not used"),
        "waiting": ("unused", "none"),
    }
    assert "No stream loaded yet" in get(page, f"/c/{CONN_ID}")[2]


def test_a_first_load_that_waits_for_the_quota_is_in_the_overview_and_on_its_page(page: FastAPI) -> None:
    now = datetime.now(timezone.utc)
    until = now + timedelta(minutes=50)
    waiting = WaitingTask("toggl.entries (r)", 1, "time_entries", "quota", now, until, 28, 35, None, 28_000)
    record_waiting(CONN_ID, waiting)
    found = cells(get(page, "/")[2])
    assert found["freshness"] == ("waiting", "first load")
    assert found["quota"] == ("waiting", f"used up · {until:%H:%M}")
    assert found["waiting"] == ("waiting", f"1 task · {until:%H:%M}")
    text = get(page, f"/c/{CONN_ID}")[2]
    assert re.search(r"Waiting tasks.*toggl\.entries \(r\).*>28<.*>35<.*>28,000<", text, re.DOTALL)


def test_a_connection_that_airflow_does_not_find_is_shown_as_missing(page: FastAPI, connections: Connections) -> None:
    connections.set_option("receiver_connections", "gone")
    assert re.search(r'data-conn-id="gone".*?not found', get(page, "/")[2], re.DOTALL)
    assert "There is no connection" in get(page, "/c/gone")[2]


@pytest.mark.parametrize("path", ["/", f"/c/{CONN_ID}", f"/c/{CONN_ID}/deliveries", f"/c/{CONN_ID}/deliveries/1"])
def test_every_time_can_be_shown_in_the_zone_of_the_ui(page: FastAPI, path: str) -> None:
    with open_event_store(CONN_ID) as store:
        store.append([new_event(1, body=event_body(1), entity="time_entry", received_at=NOW)])
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=NOW.isoformat(), warehouse="duckdb_default.toggl")
    text = get(page, path)[2]
    moments = re.findall(r"<time ([^>]*)>", text)
    assert path == "/" or moments
    assert all(re.match(r'datetime="[\dT:.-]+Z" data-format="(full|short|hour|title)"', one) for one in moments)
    assert 'Times: <span class="zone">UTC</span>' in text


def test_a_skipped_stream_is_listed_with_its_reason(page: FastAPI) -> None:
    skipped = {"workspace_id": 1, "stream": "timesheets", "watermark": None, "warehouse": "duckdb_default.toggl"}
    record_load(CONN_ID, **skipped, skipped="timesheets is not part of the plan.")
    assert "skipped: timesheets is not part of the plan." in get(page, f"/c/{CONN_ID}")[2]


def test_only_pages_without_a_form_refresh_and_not_while_a_warehouse_is_read(
    page: FastAPI, connections: Connections
) -> None:
    connections.duckdb()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=None, warehouse="duckdb_default.toggl")
    paths = ["/", f"/c/{CONN_ID}", f"/c/{CONN_ID}/deliveries", f"/c/{CONN_ID}/act/ping"]
    paths.append(f"/c/{CONN_ID}?warehouse=duckdb_default.toggl")
    assert ["data-refresh" in get(page, path)[2] for path in paths] == [True, True, False, False, False]
    text = get(page, f"/c/{CONN_ID}")[2]
    live = re.findall(r'id="([\w-]+)"[^>]*data-live', text)
    assert len(live) == text.count("data-live") == len(set(live)) > 5


def test_a_warehouse_is_forgotten() -> None:
    for warehouse in ("first.toggl", "second.toggl"):
        record_load(CONN_ID, workspace_id=1, stream="tags", watermark=None, warehouse=warehouse)
    assert "1 record" in run("forget-warehouse", warehouse="first.toggl")
    assert [one.warehouse for one in read_health(CONN_ID).streams] == ["second.toggl"]
    with pytest.raises(ConfigurationError, match="There are no records"):
        run("forget-warehouse", warehouse="third.toggl")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/c/nowhere", 404),
        (f"/c/{CONN_ID}/deliveries/99", 404),
        (f"/c/{CONN_ID}/deliveries?id=abc", 422),
        (f"/c/{CONN_ID}/deliveries?since=yesterday", 422),
        (f"/c/{CONN_ID}/deliveries?outcome=lost", 422),
        (f"/c/{CONN_ID}/act/nothing", 404),
        ("/nothing", 404),
    ],
)
def test_missing_pages_and_invalid_values_have_an_error_page(page: FastAPI, path: str, status: int) -> None:
    found, _, text = get(page, path)
    assert (found, "All connections" in text) == (status, True)


HOSTILE = """<script>alert(1)</script>"><img src=x onerror=alert(2)>'</pre></textarea>{{ 1234567 * 3 }}"""
"""What somebody might call a project, or write into any text that is shown."""


def record_hostile_texts() -> None:
    """Record the hostile text wherever the page shows texts of others."""
    with open_event_store(CONN_ID) as store:
        body = json.dumps({"description": HOSTILE, "event_id": HOSTILE}).encode()
        store.append([new_event(1, body=body, anomaly=HOSTILE, entity=HOSTILE, action=HOSTILE)])
        kinds = {"entity": HOSTILE, "action": HOSTILE}
        store.activity_log.record_refusals(
            [
                RefusedDelivery(CONN_ID, HOSTILE, HOSTILE, 1, NOW, NOW),
                RefusedDelivery(CONN_ID, REJECTED, HOSTILE, 1, NOW, NOW, seq=1, **kinds),
            ]
        )
        store.activity_log.record_received(DeliveryCounts(datetime.now(timezone.utc), {(CONN_ID, HOSTILE): 1}))
        store.activity_log.set_status(reader_key("reader"), {"kind": "loader", "warehouse": HOSTILE})
        store.commit("reader", 1)
    subscription = Subscription(
        7, HOSTILE, (SubscriptionFilter(HOSTILE, HOSTILE),), "https://example.org", enabled=True, validated=True
    )
    record_subscriptions(CONN_ID, 1, [subscription])
    record_declaration(CONN_ID, {"description": HOSTILE, "filters": [HOSTILE]})
    record_load(CONN_ID, workspace_id=1, stream=HOSTILE.replace("/", ""), watermark=NOW.isoformat(), warehouse=HOSTILE)
    record_reconciliation(CONN_ID, {"workspace_id": 1, "unverified": {HOSTILE: 1}}, warehouse=HOSTILE, refused=HOSTILE)


def test_texts_of_others_are_shown_as_texts(page: FastAPI) -> None:
    record_hostile_texts()
    number = begin_entry("ping", "somebody", {"conn_id": CONN_ID})
    end_entry(number, HOSTILE, failed=True)
    query = urlencode(dict.fromkeys(("entity", "action"), HOSTILE))
    paths = ["/", *(f"/c/{CONN_ID}{path}" for path in (f"?done={number}", "/deliveries", f"/deliveries?{query}"))]
    paths += [f"/c/{CONN_ID}/deliveries{path}" for path in ("?outcome=refused", "?outcome=rejected", "/1?body=1")]
    paths += [f"/c/{CONN_ID}/deliveries?outcome=refused&{query}"]
    paths += [f"/c/{CONN_ID}/act/{name}" for name in ACTIONS]
    shown = 0
    for path in paths:
        status, headers, text = get(page, path)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        assert not re.search(r"<script>|<img|</pre></text|3703701", text), path
        shown += "&lt;script&gt;" in text
    # The line of each connection says little of others; the actions that ask for a text offer it.
    assert shown >= len(paths) - 9


@pytest.mark.parametrize("path", [f"/c/{quote(HOSTILE, safe='')}", f"/c/{CONN_ID}/act/{quote('<script>', safe='')}"])
def test_an_address_is_shown_as_a_text(page: FastAPI, path: str) -> None:
    status, _, text = get(page, path)
    assert (status, "<script>" in text, "<img" in text) == (404, False, False)


@pytest.mark.parametrize(
    "path",
    [f"/deliveries/{10**30}", "/deliveries/-1", "/deliveries/<b>", f"/deliveries?before={10**30}", f"?done={10**30}"],
)
def test_numbers_that_no_row_can_have_are_invalid(page: FastAPI, path: str) -> None:
    status, headers, text = get(page, f"/c/{CONN_ID}{path}")
    assert (status, "All connections" in text, "<b>" in text) == (422, True, False)
    assert "content-security-policy" in headers


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("outcome=loaded", [2, 1]),
        ("outcome=pending", [4, 3]),
        ("outcome=unusual", [3]),
        ("entity=tag&action=deleted", [3]),
        ("id=%2377", [4]),
        ("since=2026-03-10T13:30&until=2026-03-10T15:01", [3, 2]),
        ("before=3", [2, 1]),
    ],
)
def test_deliveries_are_filtered(page: FastAPI, query: str, seqs: list[int]) -> None:
    rows = [
        {"entity": "tag", "action": "created"},
        {"entity": "project", "action": "created", "event_id": 8_000_000_002},
        {"entity": "tag", "action": "deleted", "anomaly": "no workspace"},
        {"entity": "time_entry", "action": "updated", "entity_id": 77},
    ]
    hour = timedelta(hours=1)
    with open_event_store(CONN_ID) as store:
        events = [new_event(n, received_at=NOW + n * hour) for n in range(1, 5)]
        store.append([replace(event, **row) for event, row in zip(events, rows, strict=True)])
        store.activity_log.set_status(reader_key("loader"), {"kind": "loader", "warehouse": "a.b"})
        store.commit("loader", 2)
    text = get(page, f"/c/{CONN_ID}/deliveries?{query}")[2]
    assert [int(seq) for seq in re.findall(r'data-label="Seq"><a href="[^"]*/(\d+)"', text)] == seqs


def test_refused_deliveries_are_filtered_by_time_only(page: FastAPI) -> None:
    hour = timedelta(hours=1)
    with open_event_store(CONN_ID) as store:
        store.activity_log.record_refusals(
            [RefusedDelivery(CONN_ID, "unsigned", f"at {n}", 1, NOW + n * hour, NOW + n * hour) for n in (0, 1)]
        )
    url = f"/c/{CONN_ID}/deliveries?outcome=refused"
    assert re.findall(r"at \d", get(page, url)[2]) == ["at 1", "at 0"]
    assert re.findall(r"at \d", get(page, f"{url}&since=2026-03-10T12:30")[2]) == ["at 1"]
    assert re.findall(r"at \d", get(page, f"{url}&until=2026-03-10T12:30")[2]) == ["at 0"]
    for query in ("entity=tag", "action=updated", "id=5", "entity=tag&id=5"):
        text = get(page, f"{url}&{query}")[2]
        assert re.findall(r"at \d", text) == []
        assert "can be filtered by time only" in text
        assert 'href="?outcome=refused"' in text


def test_rejected_deliveries_are_filtered_by_time_and_content(page: FastAPI) -> None:
    def rejected(number: int, entity: str) -> RefusedDelivery:
        about = {"seq": number, "entity": entity, "action": "updated", "entity_id": number, "event_id": 70 + number}
        return RefusedDelivery(CONN_ID, REJECTED, f"at {number}", 1, NOW, NOW, **about)  # type: ignore[arg-type]

    with open_event_store(CONN_ID) as store:
        store.activity_log.record_refusals([rejected(1, "tag"), rejected(2, "project")])
    for query, found in (
        ("", ["at 2", "at 1"]),
        ("entity=tag", ["at 1"]),
        ("action=deleted", []),
        ("id=71", ["at 1"]),
        ("since=2026-03-11T00:00", []),
    ):
        text = get(page, f"/c/{CONN_ID}/deliveries?outcome=rejected&{query}")[2]
        assert re.findall(r"at \d", text) == found, query


def test_a_damaged_store_is_reported(page: FastAPI) -> None:
    open_event_store(CONN_ID).close()
    default_store_path().write_bytes(b"no database at all" * 100)
    status, _, text = get(page, f"/c/{CONN_ID}")
    assert (status, "is damaged" in text) == (200, True)
    for path in ("", "/1"):
        status, _, text = get(page, f"/c/{CONN_ID}/deliveries{path}")
        assert (status, "is damaged" in text) == (503, True)


def test_only_a_recorded_warehouse_is_opened_and_only_on_request(page: FastAPI, connections: Connections) -> None:
    path = connections.duckdb()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=None, warehouse="duckdb_default.toggl")
    assert get(page, f"/c/{CONN_ID}")[0] == get(page, f"/c/{CONN_ID}?warehouse=duckdb_default.other")[0] == 200
    assert not path.exists()
    assert get(page, f"/c/{CONN_ID}?warehouse=duckdb_default.toggl")[0] == 200
    assert path.exists()


def test_a_post_that_is_not_a_form_of_this_page_is_refused(page: FastAPI) -> None:
    url = f"/c/{CONN_ID}/act/ping"
    assert get(page, url, "POST", b"{}", content_type="application/json")[0] == 415
    assert get(page, url, "POST", b"a=" + b"x" * 20_000, content_type=FORM)[0] == 413
    assert get(page, url, "POST", b"token=x", content_type=FORM)[0] == 403
    assert get(page, url, "POST", "token=ä\ud800".encode("utf-8", "surrogatepass"), content_type=FORM)[0] == 403
    token = urlencode({"token": make_token("somebody", f"{CONN_ID}/ping"), "subscription": "x"}).encode()
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "none"}, {"origin": "null"}):
        assert get(page, url, "POST", token, content_type=FORM, **headers)[0] == 403


def test_a_failed_action_shows_its_reason_and_is_in_the_audit_log(page: FastAPI) -> None:
    status, headers, _ = act(page, "ping", subscription="x")
    place = urlsplit(headers["location"])
    assert (status, place.path) == (303, f"/toggl-page/c/{CONN_ID}")
    text = get(page, f"/c/{CONN_ID}?{place.query}")[2]
    assert "Failed" in text
    assert "must be a whole number" in text
    entry = find_entry(int(parse_qs(place.query)["done"][0]), "somebody")
    assert entry is not None
    assert "token" not in entry.details


def routes() -> list[tuple[str, str]]:
    """Return method and address of all that the page answers, but for its files."""
    values = {"conn_id": CONN_ID, "seq": "1", "action": "ping"}
    # Not of the application: whether it takes routes over or keeps their routers is FastAPI's to decide.
    known = [*overview.router.routes, *deliveries.router.routes, *action_routes.router.routes]
    answered = [one for one in known if isinstance(one, APIRoute)]
    return [(method, one.path.format(**values)) for one in answered for method in one.methods]


def test_without_permission_only_static_files_are_served(page: FastAPI) -> None:
    page.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="nobody", role=None)
    assert len(routes()) >= 6
    for method, path in routes():
        status, headers, text = get(page, path, method)
        assert (status, "You may not" in text) == (403, True), path
        assert "content-security-policy" in headers
    page.dependency_overrides.clear()
    assert {get(page, path, method)[0] for method, path in routes()} == {303, 401}


def test_a_viewer_sees_no_body_and_runs_no_action(page: FastAPI) -> None:
    with open_event_store(CONN_ID) as store:
        store.append([new_event(1, body=b'{"description": "what they did"}')])
    page.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="viewer", role="VIEWER")
    url = f"/c/{CONN_ID}/deliveries/1"
    status, _, text = get(page, url)
    assert (status, "what they did" in text, "body=1" in text, "replay" in text) == (200, False, False, False)
    assert get(page, f"{url}?body=1")[0] == 403
    for name in ACTIONS:
        assert get(page, f"/c/{CONN_ID}/act/{name}")[0] == 403
        assert act(page, name, user="viewer", delivery="1")[0] == 403
    with open_event_store(CONN_ID) as store:
        assert store.count() == 1


def test_redirects_stay_below_the_page(page: FastAPI) -> None:
    for delivery in ("//evil.example", "https://evil.example", "../../../x", "1\r\nSet-Cookie: a=b"):
        status, headers, _ = act(page, "replay-delivery", delivery=delivery)
        assert (status, "set-cookie" in headers) == (303, False)
        assert re.fullmatch(rf"/toggl-page/c/{CONN_ID}/deliveries/[\w.%-]+\?done=\d+", headers["location"])


def test_no_secret_is_shown_if_the_store_cannot_be_reached(page: FastAPI, connections: Connections) -> None:
    extra = {"workspace_id": 1, "webhook_secret": SECRET, "event_store_conn_id": "events"}
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32, extra=extra)
    connections.set(
        "events", conn_type="postgres", host="127.0.0.1", port=free_port(), login="toggl", password="not-for-eyes"
    )
    for path in ("/", f"/c/{CONN_ID}", f"/c/{CONN_ID}/deliveries", f"/c/{CONN_ID}/deliveries/1"):
        status, _, text = get(page, path)
        assert status == (503 if "deliveries" in path else 200)
        assert [secret for secret in (SECRET, "t" * 32, "not-for-eyes") if secret in text] == []
        assert "event store" in text


def test_without_a_session_the_login_is_shown(page: FastAPI) -> None:
    page.dependency_overrides.clear()
    status, headers, _ = get(page, f"/c/{CONN_ID}?done=1")
    place = urlsplit(headers["location"])
    assert (status, place.netloc, place.path) == (303, "", "/api/v2/auth/login")
    assert parse_qs(place.query) == {"next": [f"/toggl-page/c/{CONN_ID}?done=1"]}
