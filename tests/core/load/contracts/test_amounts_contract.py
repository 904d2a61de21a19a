"""What time entries are worth by the rates that held at their start, on every engine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from support.toggl_rows import NOON, WORKSPACE, at, decode, report_row
from support.warehouses import rows

from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.rates import FIELDS, PRECEDENCE

DAY = timedelta(days=1)
IDS = {"user_id": 10, "project_id": 20, "task_id": 30}

Load = Callable[..., None]


def rate_row(id_: int, level: str = "project", **fields: Any) -> dict[str, Any]:
    """Return a rate as the reader completes it."""
    own = {name: IDS[name] for name in FIELDS[level]}  # type: ignore[index]
    return {
        "id": id_,
        "workspace_id": WORKSPACE,
        "type": "billable_rates",
        "level": level,
        "level_id": 1,
        "amount": float(id_),
        "currency": "EUR",
        **own,
        **{name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()},
    }


def entry_row(id_: int = 1, start: datetime = NOON, seconds: int = 3600, **fields: Any) -> dict[str, Any]:
    stop = start + timedelta(seconds=seconds)
    given = {"start": start.isoformat(), "stop": stop.isoformat(), "seconds": seconds, "billable": True, **IDS}
    return report_row(id_, **{**given, "currency": "EUR", **fields})


def load(target: Warehouse, entries: list[dict[str, Any]], rates: list[dict[str, Any]]) -> None:
    target.load([decode("time_entries", *entries), decode("rates", *rates)])


def amounts(target: Warehouse, columns: str, view: str = "time_entry_amounts") -> list[Any]:
    names = ", ".join(f'"{name}"' for name in columns.split())
    return rows(target, f'select {names} from "{view}" order by "time_entry_id"')


def test_an_entry_is_worth_the_rate_that_held_when_it_started(target: Warehouse) -> None:
    new_year = NOON + DAY
    rates = [
        rate_row(50, end=new_year),
        rate_row(60, start=new_year),
        rate_row(20, "workspace_user", type="labor_costs"),
    ]
    entries = [entry_row(1), entry_row(2, new_year - timedelta(seconds=1)), entry_row(3, new_year, seconds=1800)]
    load(target, entries, rates)
    assert amounts(target, "rate rate_level rate_id amount amount_cents currency") == [
        (50, "project", 50, 50, 5000, "EUR"),
        (50, "project", 50, 50, 5000, "EUR"),
        (60, "project", 60, 30, 3000, "EUR"),
    ]
    assert amounts(target, "labor_cost labor_cost_level cost") == [
        (20, "workspace_user", 20),
        (20, "workspace_user", 20),
        (20, "workspace_user", 10),
    ]


def test_what_is_not_billable_has_a_cost_and_no_price(target: Warehouse) -> None:
    load(target, [entry_row(billable=False)], [rate_row(50), rate_row(20, "project_user", type="labor_costs")])
    assert amounts(target, "rate amount labor_cost cost") == [(None, None, 20, 20)]


def test_a_running_entry_has_a_rate_and_no_amount(target: Warehouse) -> None:
    load(target, [entry_row(stop=None, seconds=-1)], [rate_row(50)])
    assert amounts(target, "rate amount amount_cents") == [(50, None, None)]


def test_a_rate_that_the_token_may_not_see_is_null_and_not_0(target: Warehouse) -> None:
    load(target, [entry_row()], [rate_row(50), rate_row(60, "task", amount=None)])
    assert amounts(target, "rate rate_id amount") == [(None, 60, None)]


def test_a_deleted_rate_never_held(target: Warehouse) -> None:
    load(target, [entry_row()], [rate_row(50), rate_row(60, "task", deleted_at=at(-9))])
    assert amounts(target, "rate") == [(50,)]


def test_entries_whose_report_says_something_else_are_listed(target: Warehouse) -> None:
    reported = {
        1: {"billable_amount_in_cents": 5000},
        2: {"billable_amount_in_cents": 4000},
        3: {"billable_amount_in_cents": 5000, "currency": "USD"},
        4: {"billable_amount_in_cents": None},
        5: {"billable_amount_in_cents": 700, "project_id": 99},
        6: {"billable_amount_in_cents": None, "project_id": 99},
        7: {"billable_amount_in_cents": 0, "billable": False},
    }
    load(target, [entry_row(id_, task_id=None, **fields) for id_, fields in reported.items()], [rate_row(50)])
    found = amounts(target, "time_entry_id amount_cents reported_amount_cents", "time_entry_amount_differences")
    assert found == [(2, 5000, 4000), (3, 5000, 5000), (4, 5000, None), (5, None, 700)]


def draw(rng: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return entries and rates of few objects and days, so that rates overlap and entries start at their limits."""

    def day() -> datetime | None:
        return rng.choice([None, *(NOON + n * DAY for n in range(-3, 4))])

    entries = [
        entry_row(
            id_,
            NOON + rng.randrange(-4, 5) * DAY,
            rng.randrange(0, 40_000),
            billable=rng.random() < 0.8,
            user_id=rng.choice((10, 11)),
            project_id=(project := rng.choice((20, 21, None))),
            task_id=rng.choice((30, 31, None)) if project else None,
        )
        for id_ in range(1, 200)
    ]
    rates = []
    for id_ in range(1, 60):
        kind = rng.choice(("billable_rates", "labor_costs"))
        level = rng.choice(PRECEDENCE[kind])  # type: ignore[index]
        own = {name: IDS[name] + rng.randrange(2) for name in FIELDS[level]}
        dates = {"start": day(), "end": day(), "created_at": day()}
        deleted = {"deleted_at": at(-5)} if rng.random() < 0.2 else {}
        rates.append(rate_row(id_, level, type=kind, amount=rng.randrange(1, 20_000) / 100, **own, **dates, **deleted))
    return entries, rates


def find(kind: str, entry: dict[str, Any], rates: list[dict[str, Any]]) -> Any:
    """Return the rate that held at an entry's start, by a search from the widest level to the narrowest."""
    start, found = entry["time_entries"][0]["start"], None
    for level in ("workspace", "workspace_user", "project", "project_user", "task"):
        if kind == "labor_costs" and not level.endswith("_user"):
            continue
        candidates = [
            rate
            for rate in rates
            if (rate["type"], rate["level"], "deleted_at" in rate) == (kind, level, False)
            and all(rate[name] == entry[name] for name in FIELDS[level])  # type: ignore[index]
            and (rate["start"] or "") <= start
            and (rate["end"] is None or start < rate["end"])
        ]
        found = max(candidates, key=lambda one: (one["start"] or "", one["created_at"] or "", one["id"]), default=found)
    return found


def cents(rate: Any, seconds: int) -> int | None:
    """Return hours times rate in cents; half of one is rounded up."""
    return rate and math.floor(Fraction(str(rate["amount"])) * 100 * seconds / 3600 + Fraction(1, 2))


@pytest.mark.parametrize("seed", range(3))
def test_the_views_find_what_a_plain_search_finds(target: Warehouse, seed: int) -> None:
    entries, rates = draw(random.Random(seed))
    load(target, entries, rates)
    expected = []
    for row in entries:
        entry = row["time_entries"][0]
        rate = find("billable_rates", row, rates) if row["billable"] else None
        cost = find("labor_costs", row, rates)
        price = cents(rate, entry["seconds"])
        expected.append((entry["id"], rate and rate["id"], rate and rate["level"], price, cost and cost["id"]))
    assert amounts(target, "time_entry_id rate_id rate_level amount_cents labor_cost_id") == expected
