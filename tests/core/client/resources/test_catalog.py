from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import FakeClock, FakeTransport, answer, fake_session

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.catalog import (
    LOOKUP_DELAYS,
    CatalogClient,
    CatalogItem,
    CatalogItemSpec,
    find_match,
)
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest

KINDS = [
    CatalogItemSpec("project", "x"),
    CatalogItemSpec("client", "x"),
    CatalogItemSpec("tag", "x"),
    CatalogItemSpec("task", "x", 5),
]
PATHS = {"project": "/projects", "client": "/clients", "tag": "/tags", "task": "/projects/5/tasks"}
CUT = errors.ConnectionTrouble("cut.")


def build(reply: Callable[[OutgoingRequest], TogglResponse]) -> tuple[CatalogClient, FakeTransport, FakeClock]:
    session, transport, clock = fake_session(reply)
    return CatalogClient(session, 7, clock=clock), transport, clock


def asked(transport: FakeTransport) -> list[str]:
    return [f"{call.method} {call.path.removeprefix('/api/v9/workspaces/7')}" for call in transport.calls]


def row(number: int = 3, name: str = "x", **more: Any) -> dict[str, Any]:
    return {"id": number, "name": name, **more}


def listing(*lists: list[Any], post: Any = None) -> Callable[[OutgoingRequest], TogglResponse]:
    """Return a reply to GETs with these lists in turn, the last one repeated, and to POSTs with ``post``."""
    left = list(lists)
    posts = list(post) if isinstance(post, list) else [post]

    def reply(call: OutgoingRequest) -> TogglResponse:
        if call.method == "GET":
            return answer(200, left.pop(0) if len(left) > 1 else left[0], call=call)
        line = posts.pop(0)
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, TogglResponse) else answer(200, line, call=call)

    return reply


@pytest.mark.parametrize("wanted", KINDS, ids=lambda one: one.kind)
def test_finding_an_existing_object_costs_one_request(wanted: CatalogItemSpec):
    catalog, transport, _ = build(listing([row(2, "xx"), row(project_id=5)]))
    done = catalog.ensure(wanted)
    assert (done.value.entity_id, done.created) == (3, False)
    assert asked(transport) == [f"GET {PATHS[wanted.kind]}"]


@pytest.mark.parametrize("wanted", KINDS, ids=lambda one: one.kind)
def test_creating_a_missing_object_costs_two_requests(wanted: CatalogItemSpec):
    catalog, transport, _ = build(listing([], post=row(9, project_id=5)))
    done = catalog.ensure(wanted)
    assert (done.value.entity_id, done.created) == (9, True)
    assert asked(transport) == [f"GET {PATHS[wanted.kind]}", f"POST {PATHS[wanted.kind]}"]


def test_a_new_object_has_the_further_fields_and_a_project_is_active():
    catalog, transport, _ = build(listing([], post=row()))
    catalog.ensure(CatalogItemSpec("project", "x", 8, {"color": "#06a893"}))
    assert transport.calls[-1].payload == {"active": True, "name": "x", "color": "#06a893", "client_id": 8}


def test_lists_are_filtered_by_name_and_include_archived_objects():
    asks = {}
    for wanted in KINDS:
        catalog, transport, _ = build(listing([row(project_id=5)]))
        catalog.ensure(wanted)
        asks[wanted.kind] = dict(transport.calls[0].params)
    assert asks == {
        "project": {"active": "both", "name": "x", "per_page": 200, "page": 1},
        "client": {"status": "both", "name": "x"},
        "tag": {"search": "x", "per_page": 200, "page": 1},
        "task": {},
    }


def test_pages_are_read_until_the_object_is_found_or_they_end():
    pages = [[row(number, f"x {number}") for number in some] for some in (range(1, 3), range(3, 5))]
    catalog, transport, _ = build(listing(*pages, [row(5, "x")]))
    assert catalog.ensure(CatalogItemSpec("tag", "x")).value.entity_id == 5
    assert [call.params["page"] for call in transport.calls] == [1, 2, 3]
    catalog, transport, _ = build(listing(*pages, [], post=row(6)))
    assert catalog.ensure(CatalogItemSpec("tag", "x")).created
    assert len(transport.calls) == 4


def test_an_ignored_page_number_does_not_loop():
    catalog, transport, _ = build(listing([row(1, "xx")], post=row()))
    assert catalog.ensure(CatalogItemSpec("tag", "x")).created
    assert asked(transport) == ["GET /tags", "GET /tags", "POST /tags"]


def test_a_page_shorter_than_the_page_size_is_the_last():
    catalog, transport, _ = build(
        lambda call: answer(200, [row(1, "xx")] if call.method == "GET" else row(), headers={"x-page-size": "200"})
    )
    catalog.ensure(CatalogItemSpec("project", "x"))
    assert asked(transport) == ["GET /projects", "POST /projects"]


def test_deleted_objects_count_for_the_length_of_a_page():
    pages = [[row(1, "xx"), row(2, "xx", deleted_at="2026-03-10T12:00:00Z")], [row(3)]]
    catalog, transport, _ = build(
        lambda call: answer(200, pages[min(len(transport.calls), 2) - 1], call=call, headers={"x-page-size": "2"})
    )
    assert catalog.ensure(CatalogItemSpec("tag", "x")).value.entity_id == 3
    assert asked(transport) == ["GET /tags", "GET /tags"]


def test_a_lost_answer_is_looked_up_before_it_is_sent_again():
    catalog, transport, _ = build(listing([], [row()], post=CUT))
    assert not catalog.ensure(CatalogItemSpec("client", "x")).created
    assert asked(transport) == ["GET /clients", "POST /clients", "GET /clients"]


def taken(text: str = "Name has already been taken") -> TogglResponse:
    return answer(400, text)


def test_an_object_that_another_task_created_first_is_found():
    catalog, transport, clock = build(listing([], [], [row()], post=taken()))
    done = catalog.ensure(CatalogItemSpec("client", "x"))
    assert (done.value.entity_id, done.created) == (3, False)
    assert asked(transport) == ["GET /clients", "POST /clients", "GET /clients", "GET /clients"]
    assert LOOKUP_DELAYS[1] in clock.slept


def test_names_match_without_case_only_if_toggl_says_the_name_is_taken():
    catalog, _, _ = build(listing([row(name="X")], post=taken("a tag with the name 'x' already exists")))
    assert not catalog.ensure(CatalogItemSpec("client", "x")).created
    catalog, _, _ = build(listing([row(name="X")], post=row(4)))
    assert catalog.ensure(CatalogItemSpec("client", "x")).created


def test_another_refusal_is_raised():
    catalog, transport, _ = build(listing([], post=taken("Client name maximum length is 255")))
    with pytest.raises(errors.PayloadRefused, match="maximum length"):
        catalog.ensure(CatalogItemSpec("client", "x"))
    assert len(transport.calls) == 2


@pytest.mark.parametrize(
    "wanted", [CatalogItemSpec("tag", " "), CatalogItemSpec("task", "x")], ids=lambda one: one.kind
)
def test_an_invalid_spec_is_refused_before_a_request_is_sent(wanted: CatalogItemSpec):
    catalog, transport, _ = build(listing([]))
    with pytest.raises(errors.ConfigurationError):
        catalog.ensure(wanted)
    assert transport.calls == []


@pytest.mark.parametrize("body", [{"data": []}, "x", ["x"], [{"id": 1}], [{"name": "x"}]], ids=str)
def test_a_response_that_is_not_a_list_is_an_error_and_nothing_is_created(body: Any):
    catalog, transport, _ = build(listing(body))
    with pytest.raises(errors.MalformedAnswer):
        catalog.ensure(CatalogItemSpec("client", "x"))
    assert asked(transport) == ["GET /clients"]


def test_the_response_for_a_new_tag_may_be_a_list():
    assert CatalogItem.from_http("tag", [row()]) == CatalogItem.from_http("tag", row())


def test_of_several_matches_active_and_old_ones_come_first():
    rows = [row(1, active=False), row(9), row(4), row(3, name="X")]
    found = [CatalogItem.from_http("project", one) for one in rows]
    best = find_match(CatalogItemSpec("project", "x"), found)
    assert best
    assert best.entity_id == 4
    assert find_match(CatalogItemSpec("project", "x", 8), found) is None


def test_a_deleted_object_does_not_match():
    gone = {"server_deleted_at": "2026-11-20T08:00:00Z"}
    catalog, _, _ = build(listing([row(**gone)], post=row(4)))
    assert catalog.ensure(CatalogItemSpec("client", "x")).created
