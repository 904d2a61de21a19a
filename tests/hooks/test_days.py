from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections
from support.toggl_rows import WORKSPACE, entries
from support.truth import rows

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.hooks.days import compute_changed_days, find_changed_days

pytestmark = pytest.mark.airflow

MAY = [date(2025, 5, day) for day in range(1, 32)]


@pytest.fixture
def warehouse(connections: Connections) -> Path:
    return connections.duckdb()


def load(path: Path, day: int, *ids: int, seconds: float = 0.0) -> None:
    with build_duckdb_warehouse(path) as target:
        target.load([entries(*ids, start=f"2025-05-{day:02}T10:00:00Z", seconds=seconds)])


# --8<-- [start:compute]
def compute_hours_by_user() -> None:
    with compute_changed_days("hours_by_user", workspace_id=7) as changed:
        run = changed.session.run
        run('create table if not exists hours_by_user ("day" date, user_id bigint, hours double precision)')
        for day in changed.days:
            run('delete from hours_by_user where "day" = ?', [day])
            run(
                "insert into hours_by_user select local_date, user_id, sum(hours) from time_entry_facts "
                "where local_date = ? group by local_date, user_id",
                [day],
            )


# --8<-- [end:compute]


def count(day: date, session: Any) -> None:
    session.run("delete from toggl.mine where day = ?", [day])
    session.run("insert into toggl.mine select ?, count(*) from time_entry_facts where local_date = ?", [day, day])


def test_days_are_found_by_cursor(warehouse: Path) -> None:
    assert find_changed_days().days == ()
    load(warehouse, 1, 1)
    first = find_changed_days()
    assert first.days == (MAY[0],)
    load(warehouse, 3, 2)
    assert find_changed_days(first.cursor).days == (MAY[2],)
    assert find_changed_days(workspace_id=WORKSPACE + 1).days == ()


def test_a_reader_computes_what_changed_once_and_again_what_failed(warehouse: Path) -> None:
    load(warehouse, 1, 1, 2)
    with compute_changed_days("mine") as changed:
        changed.session.run("create table toggl.mine (day date, entries bigint)")
        for day in changed.days:
            count(day, changed.session)
    load(warehouse, 3, 2, seconds=5)
    with pytest.raises(RuntimeError), compute_changed_days("mine") as changed:  # noqa: PT012 - what is in it fails
        count(changed.days[0], changed.session)
        raise RuntimeError
    with compute_changed_days("mine") as changed:
        assert changed.days == (MAY[0], MAY[2])
        for day in changed.days:
            count(day, changed.session)
    with compute_changed_days("mine") as changed:
        assert changed.days == ()
    with compute_changed_days("another", workspace_id=WORKSPACE) as changed:
        assert changed.days == (MAY[0], MAY[2])
    assert rows(warehouse, "select * from toggl.mine order by day") == [
        {"day": MAY[0], "entries": 1},
        {"day": MAY[2], "entries": 1},
    ]


def test_the_documented_example_computes(warehouse: Path) -> None:
    for number in (1, 2):
        load(warehouse, number, number)
        compute_hours_by_user()
        compute_hours_by_user()
    found = rows(warehouse, 'select "day", user_id, hours from toggl.hours_by_user order by 1')
    assert [(row["day"], row["user_id"], row["hours"]) for row in found] == [(MAY[0], 10, 0.75), (MAY[1], 10, 0.75)]
