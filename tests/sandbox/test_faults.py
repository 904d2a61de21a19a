from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_toggl.sandbox.faults import (
    API_KINDS,
    DELIVERY_KINDS,
    ArmedFaults,
    MalformedFault,
    change_body,
    hidden_entries_of,
    rows_of,
)


@pytest.fixture
def faults() -> ArmedFaults:
    return ArmedFaults(API_KINDS)


@pytest.fixture
def delivery_faults() -> ArmedFaults:
    return ArmedFaults(DELIVERY_KINDS)


def hits(faults: ArmedFaults, times: int, method: str = "GET", path: str = "/api/v9/me") -> list[int]:
    return [len(faults.strike(method, path, before_quota=False)) for _ in range(times)]


def test_a_fault_affects_one_request_by_default(faults: ArmedFaults) -> None:
    faults.inject({"kind": "status", "status": 500})
    assert hits(faults, 3) == [1, 0, 0]
    assert faults.as_list() == []


def test_times_is_how_many_matching_requests_are_hit(faults: ArmedFaults) -> None:
    faults.inject({"kind": "slow", "seconds": 1, "times": 2})
    assert hits(faults, 3) == [1, 1, 0]


def test_times_null_stays_until_it_is_cleared(faults: ArmedFaults) -> None:
    faults.inject({"kind": "slow", "seconds": 1, "times": None})
    assert hits(faults, 50) == [1] * 50
    assert faults.clear() == 1
    assert hits(faults, 1) == [0]


def test_a_probability_repeats_with_its_seed(faults: ArmedFaults) -> None:
    order = {"kind": "status", "status": 502, "probability": 0.4, "seed": 11}
    faults.inject(order)
    first = hits(faults, 200)
    faults.clear()
    faults.inject(order)
    assert hits(faults, 200) == first
    assert 50 < sum(first) < 110


def test_a_probability_can_be_limited_in_times(faults: ArmedFaults) -> None:
    faults.inject({"kind": "status", "status": 502, "probability": 1, "times": 3})
    assert sum(hits(faults, 10)) == 3


def test_only_matching_requests_are_hit_and_counted(faults: ArmedFaults) -> None:
    faults.inject({"kind": "status", "status": 500, "match": {"method": "post", "path": r"/search/time_entries$"}})
    assert hits(faults, 2, "GET", "/x/search/time_entries") == [0, 0]
    assert hits(faults, 2, "POST", "/x/search/users") == [0, 0]
    assert hits(faults, 2, "POST", "/x/search/time_entries") == [1, 0]


def test_several_faults_hit_one_request(faults: ArmedFaults) -> None:
    faults.inject({"kind": "slow", "seconds": 1})
    faults.inject({"kind": "cut"})
    assert [fault.kind for fault in faults.strike("GET", "/", before_quota=False)] == ["slow", "cut"]


def test_faults_before_the_quota_are_separate(faults: ArmedFaults) -> None:
    faults.inject({"kind": "status", "status": 503, "before_quota": True})
    assert hits(faults, 1) == [0]
    assert len(faults.strike("GET", "/", before_quota=True)) == 1


def test_the_list_of_faults_shows_options_and_counts(faults: ArmedFaults) -> None:
    faults.inject({"kind": "short_page", "drop_rows": 3, "match": {"path": "clients"}, "times": 5})
    hits(faults, 2, path="/clients")
    assert faults.as_list() == [
        {
            "id": 1,
            "kind": "short_page",
            "drop_rows": 3,
            "keep_next": False,
            "match": {"path": "clients"},
            "left": 3,
            "probability": None,
            "seed": 0,
            "hits": 2,
        }
    ]


@pytest.mark.parametrize("kind", API_KINDS)
def test_every_kind_can_be_injected(faults: ArmedFaults, kind: str) -> None:
    needed: dict[str, Any] = {"status": 500, "seconds": 1, "field": "id", "value": None}
    order = {name: needed[name] for name, default in API_KINDS[kind].items() if default is ...}
    assert faults.inject({"kind": kind, **order}).kind == kind


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([], "JSON object"),
        ({}, "kind must be one of"),
        ({"kind": "fire"}, "kind must be one of"),
        ({"kind": "slow"}, "needs seconds"),
        ({"kind": "slow", "seconds": -1}, "seconds must be"),
        ({"kind": "slow", "seconds": True}, "seconds must be"),
        ({"kind": "slow", "seconds": 1, "status": 500}, "has no option status"),
        ({"kind": "status", "status": 99}, "status must be"),
        ({"kind": "status", "status": 500, "headers": {"a": 1}}, "headers must be"),
        ({"kind": "status", "status": 500, "before_quota": 1}, "before_quota must be"),
        ({"kind": "cut", "fraction": 1}, "fraction must be"),
        ({"kind": "hang_up", "takes_effect": "no"}, "takes_effect must be"),
        ({"kind": "hang_up", "late_seconds": -1}, "late_seconds must be"),
        ({"kind": "short_page", "drop_rows": 0}, "drop_rows must be"),
        ({"kind": "hide_entries", "share": 1.5}, "share must be"),
        ({"kind": "hide_entries", "ids": [1, "2"]}, "ids must be"),
        ({"kind": "drop_field", "field": ""}, "field must be"),
        ({"kind": "drop_field", "field": "id", "row": -1}, "row must be"),
        ({"kind": "cut", "times": 0}, "times must be"),
        ({"kind": "cut", "probability": 2}, "probability must be"),
        ({"kind": "cut", "seed": "a"}, "seed must be"),
        ({"kind": "cut", "match": {"status": 1}}, "match must be"),
        ({"kind": "cut", "match": {"path": 1}}, "must be texts"),
        ({"kind": "cut", "match": {"path": "("}}, "not a regular expression"),
    ],
)
def test_a_malformed_fault_is_refused_with_the_reason(faults: ArmedFaults, order: Any, message: str) -> None:
    with pytest.raises(MalformedFault, match=message):
        faults.inject(order)
    assert faults.as_list() == []


@pytest.mark.parametrize("kind", DELIVERY_KINDS)
def test_a_fault_of_deliveries_affects_one_event_by_default_and_stays_listed(
    delivery_faults: ArmedFaults, kind: str
) -> None:
    delivery_faults.inject({"kind": kind})
    assert [list(delivery_faults.strike_event()) for _ in range(3)] == [[kind], [], []]
    assert [(fault["left"], fault["hits"]) for fault in delivery_faults.as_list()] == [(0, 1)]


def test_faults_of_one_kind_affect_one_event_each(delivery_faults: ArmedFaults) -> None:
    for seconds in (1, 2):
        delivery_faults.inject({"kind": "delay", "seconds": seconds})
    struck = [delivery_faults.strike_event() for _ in range(3)]
    assert struck == [{"delay": {"seconds": 1}}, {"delay": {"seconds": 2}}, {}]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"kind": ["drop"]}, "kind must be one of"),
        ({"kind": "slow", "seconds": 1}, "kind must be one of"),
        ({"kind": "drop", "seconds": 1}, "drop has no option seconds"),
        ({"kind": "drop", "match": {}}, "drop has no option match"),
        ({"kind": "delay", "seconds": float("nan")}, "seconds must be a number"),
        ({"kind": "duplicate", "copies": 1.5}, "copies must be an integer"),
        ({"kind": "duplicate", "copies": 10**9}, "copies must be an integer from 0 to 1,000,000"),
    ],
)
def test_a_malformed_fault_of_deliveries_is_refused_with_the_reason(
    delivery_faults: ArmedFaults, order: Any, message: str
) -> None:
    with pytest.raises(MalformedFault, match=message):
        delivery_faults.inject(order)


def test_a_field_can_be_dropped_from_all_rows_or_from_one(faults: ArmedFaults) -> None:
    body = [{"id": 1, "at": "x"}, {"id": 2, "at": "y"}]
    everywhere = faults.inject({"kind": "drop_field", "field": "at"})
    once = faults.inject({"kind": "drop_field", "field": "at", "row": 1})
    assert change_body(body, [everywhere]) == [{"id": 1}, {"id": 2}]
    assert change_body(body, [once]) == [{"id": 1, "at": "x"}, {"id": 2}]
    assert body[0] == {"id": 1, "at": "x"}


def test_a_field_can_be_set_added_and_reached_below_a_list(faults: ArmedFaults) -> None:
    body = {"data": [{"time_entries": [{"id": 1, "stop": "x"}, {"id": 2}]}]}
    deep = faults.inject({"kind": "set_field", "field": "time_entries.stop", "value": None})
    added = faults.inject({"kind": "set_field", "field": "colour", "value": "red"})
    assert change_body(body, [deep, added]) == {
        "data": [{"time_entries": [{"id": 1, "stop": None}, {"id": 2, "stop": None}], "colour": "red"}]
    }


def test_a_body_without_rows_is_one_row(faults: ArmedFaults) -> None:
    assert change_body({"id": 1, "at": "x"}, [faults.inject({"kind": "drop_field", "field": "at"})]) == {"id": 1}


def test_rows_are_the_list_or_what_an_envelope_holds() -> None:
    assert rows_of([1]) == [1]
    assert rows_of({"data": [2], "page": 1}) == [2]
    assert rows_of({"groups": [3]}) == [3]
    assert rows_of({"id": 1}) is None
    assert rows_of("text") is None


def test_the_hidden_share_depends_on_ids_alone(faults: ArmedFaults) -> None:
    ids = list(range(4_294_000_000, 4_294_020_000, 7))
    everything, some, named = hidden_entries_of(
        [
            faults.inject({"kind": "hide_entries"}),
            faults.inject({"kind": "hide_entries", "share": 0.25, "seed": 9}),
            faults.inject({"kind": "hide_entries", "ids": ids[:5]}),
            faults.inject({"kind": "slow", "seconds": 1}),
        ]
    )
    assert all(map(everything.hides, ids))
    assert 0.2 < sum(map(some.hides, ids)) / len(ids) < 0.3
    assert list(filter(named.hides, ids)) == ids[:5]
