"""Which projects the example of budgets warns of, in both databases that it names."""

from __future__ import annotations

from typing import Any

import pytest
from support.repository import load_example
from support.toggl_rows import NOON, at, decode, report_row

from airflow_provider_toggl.core.load.values import Progress

pytestmark = [pytest.mark.airflow, pytest.mark.newest]

HOUR = 3600
DAY = "2025-05-02T17:03:50+00:00"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the example."""
    monkeypatch.setenv("TOGGL_WORKSPACE_ID", "1")
    return load_example("toggl_budget_alert")


def tracked(id_: int, project_id: int, hours: int) -> Any:
    """Return a batch of one entry."""
    row = report_row(id_, project_id=project_id)
    row["time_entries"][0]["seconds"] = hours * HOUR
    return decode("time_entries", row)


def project(id_: int, **fields: Any) -> dict[str, Any]:
    known = {"id": id_, "workspace_id": 1, "name": f"Project {id_}", "active": True, "at": DAY}
    return {**known, "estimated_seconds": 10 * HOUR, **fields}


def load(warehouse: Any, *batches: Any) -> None:
    for batch in batches:
        warehouse.load([batch], Progress(batch.stream, "1", at(0), "", 1, NOON))


def find(warehouse: Any, example: Any) -> list[int]:
    with warehouse.transaction() as transaction:
        transaction.run(example.CREATE)
    return [row["id"] for row in warehouse.query(example.FIND, [0.8]).to_pylist()]


def test_a_project_is_found_from_80_percent_on_until_its_estimate_is_warned_of(warehouse: Any, example: Any) -> None:
    load(warehouse, decode("projects", project(1), project(2)))
    load(warehouse, tracked(1, 1, 7), tracked(2, 2, 8))
    assert find(warehouse, example) == [2]
    load(warehouse, tracked(3, 1, 1))
    assert find(warehouse, example) == [1, 2]
    with warehouse.transaction() as transaction:
        transaction.run("insert into budget_warnings values (?, ?)", [1, 10 * HOUR])
    assert find(warehouse, example) == [2]
    load(warehouse, decode("projects", project(1, estimated_seconds=9 * HOUR), seconds=60))
    assert find(warehouse, example) == [1, 2]


@pytest.mark.parametrize(
    "fields", [{"estimated_seconds": None}, {"estimated_seconds": 0}, {"active": False}, {"recurring": True}]
)
def test_a_project_without_a_budget_of_its_own_is_not_found(
    warehouse: Any, example: Any, fields: dict[str, Any]
) -> None:
    load(warehouse, decode("projects", project(1, **fields)), tracked(1, 1, 9))
    assert find(warehouse, example) == []
