from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import build_still_world

from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route, Router
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse


def request_with(query: dict[str, list[str]] | None = None, body: bytes = b"") -> ApiRequest:
    world = build_still_world(entries=1)
    return ApiRequest(world, world.owner, {}, query or {}, body)


def nothing(request: ApiRequest) -> ApiResponse:
    return ApiResponse(None)


@pytest.fixture
def routes() -> Router:
    return Router(
        [
            Route("GET", "/me/time_entries/current", nothing, "user"),
            Route("GET", "/me/time_entries/{entry_id}", nothing, "user"),
            Route("PATCH", "/ws/{ws}/entries/{ids:any}", nothing, "organization"),
        ]
    )


def test_a_path_finds_its_endpoint_and_gives_the_numbers_in_it(routes: Router) -> None:
    route, names, _ = routes.find("GET", "/me/time_entries/77")
    assert route is not None
    assert (route.template, names) == ("/me/time_entries/{entry_id}", {"entry_id": "77"})


def test_the_first_route_that_fits_is_taken_and_a_trailing_slash_is_no_matter(routes: Router) -> None:
    route, _, _ = routes.find("GET", "/me/time_entries/current/")
    assert route is not None
    assert route.template.endswith("current")


def test_a_name_for_anything_takes_a_list_of_ids_and_is_shown_plainly(routes: Router) -> None:
    route, names, _ = routes.find("PATCH", "/ws/7/entries/1,2,3")
    assert route is not None
    assert (names, route.shown) == ({"ws": "7", "ids": "1,2,3"}, "/ws/{ws}/entries/{ids}")


def test_an_unknown_path_differs_from_an_unknown_method(routes: Router) -> None:
    assert routes.find("GET", "/nowhere") == (None, {}, False)
    assert routes.find("DELETE", "/me/time_entries/77") == (None, {}, True)
    assert routes.find("GET", "/me/time_entries/x")[0] is None


def test_query_parameters_are_read_by_type() -> None:
    request = request_with({"a": ["1", "2"], "b": ["true"], "c": ["0"], "d": ["1,2", "3"], "e[]": ["4"], "f": [""]})
    assert (request.integer("a"), request.boolean("b"), request.boolean("c")) == (2, True, False)
    assert (request.integers("d"), request.integers("e"), request.text("f")) == ([1, 2, 3], [4], None)
    assert (request.integer("z"), request.boolean("z"), request.integers("z")) == (None, None, None)


@pytest.mark.parametrize("read", ["integer", "boolean", "integers"])
def test_a_parameter_of_another_type_is_refused_with_its_name(read: str) -> None:
    with pytest.raises(ErrorResponse, match="400: Invalid since"):
        getattr(request_with({"since": ["yesterday"]}), read)("since")


def test_a_refusal_may_have_words_of_its_own() -> None:
    with pytest.raises(ErrorResponse, match="400: a number, please"):
        request_with({"since": ["x"]}).integer("since", "a number, please")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ErrorResponse, match="400: Invalid JSON input"):
        request_with(body=body).json()


@pytest.mark.parametrize(("body", "value"), [(b"[1]", [1]), (b'"x"', "x")])
def test_a_body_that_is_no_object_is_refused_where_one_is_needed(body: bytes, value: Any) -> None:
    request = request_with(body=body)
    assert request.json() == value
    with pytest.raises(ErrorResponse, match="Invalid JSON input"):
        request.json_object()


def test_without_a_lag_the_entries_are_the_world_s_own() -> None:
    request = request_with()
    assert request.entries() is request.world.time_entries


def test_under_a_lag_the_entries_are_as_they_were() -> None:
    request = request_with()
    (entry,) = [one for one in request.world.time_entries.values() if one.deleted_at is None]
    request.world.change(entry, {"description": "new"})
    request.lag_seconds = 60
    assert request.entries()[entry.id].description != "new"
