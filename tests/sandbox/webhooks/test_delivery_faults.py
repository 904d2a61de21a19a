from __future__ import annotations

from typing import Any

import pytest
from support.repository import ROOT

from airflow_provider_toggl.sandbox.webhooks.delivery_faults import KINDS, DeliveryFaultError, read_fault


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fault_affects_one_event_by_default(kind: str) -> None:
    once = read_fault({"kind": kind})
    assert [once.strikes() for _ in range(3)] == [True, False, False]
    twice = read_fault({"kind": kind, "times": 2})
    assert [twice.strikes() for _ in range(3)] == [True, True, False]
    always = read_fault({"kind": kind, "times": None})
    assert [always.strikes() for _ in range(3)] == [True, True, True]


def test_a_probability_strikes_by_chance_the_same_with_the_same_seed() -> None:
    runs = [
        [read_fault({"kind": "drop", "probability": 0.3, "seed": seed}).strikes() for _ in range(1)]
        for seed in range(200)
    ]
    assert 30 < sum(run[0] for run in runs) < 90
    one, other = (read_fault({"kind": "drop", "probability": 0.5, "seed": 4}) for _ in range(2))
    assert [one.strikes() for _ in range(50)] == [other.strikes() for _ in range(50)]


def test_a_probability_can_be_limited_in_number() -> None:
    limited = read_fault({"kind": "drop", "probability": 1.0, "times": 2})
    assert sum(limited.strikes() for _ in range(9)) == 2
    assert (limited.left, limited.hits) == (0, 2)


def test_a_fault_shows_how_many_events_are_left() -> None:
    one = read_fault({"kind": "duplicate", "copies": 3, "times": 5})
    one.strikes()
    expected = {"kind": "duplicate", "copies": 3, "seconds": 0.0, "left": 4, "probability": None, "hits": 1}
    assert one.as_dict() == expected


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ({}, "kind must be one of"),
        ({"kind": "fire"}, "kind must be one of"),
        ({"kind": ["drop"]}, "kind must be one of"),
        ({"kind": "drop", "seconds": 1}, "drop has no option seconds"),
        ({"kind": "delay", "seconds": -1}, "seconds must be a number from 0"),
        ({"kind": "delay", "seconds": "1"}, "seconds must be a number"),
        ({"kind": "delay", "seconds": float("nan")}, "seconds must be a number"),
        ({"kind": "delay", "seconds": True}, "seconds must be a number"),
        ({"kind": "duplicate", "copies": 1.5}, "copies must be an integer"),
        ({"kind": "duplicate", "copies": 10**9}, "copies must be an integer from 0 to 1,000,000"),
        ({"kind": "drop", "times": 0.5}, "times must be an integer"),
        ({"kind": "drop", "times": -1}, "times must be an integer"),
        ({"kind": "drop", "probability": 1.1}, "probability must be from 0 to 1"),
        ({"kind": "drop", "seed": "x"}, "seed must be an integer"),
    ],
)
def test_a_malformed_fault_is_refused(shown: dict[str, Any], message: str) -> None:
    with pytest.raises(DeliveryFaultError, match=message):
        read_fault(shown)


def test_every_kind_and_option_is_documented() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    section = text.partition("### What goes wrong with deliveries")[2].partition("###")[0]
    words = {word for kind, options in KINDS.items() for word in (kind, *options)}
    assert [word for word in sorted({*words, "flood"}) if f"`{word}`" not in section] == []


def test_the_documents_name_every_endpoint_of_webhooks() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text().partition("## Webhooks")[2]
    for path in ("event_filters", "limits", "status", "subscriptions", "ping", "validate"):
        assert f"/{path}" in text
