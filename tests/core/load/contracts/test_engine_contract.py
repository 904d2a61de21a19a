"""What every engine does for the warehouse, beneath loads."""

from __future__ import annotations

import pytest
from support.toggl_rows import entries
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse

TABLE = TABLES["time_entries"]


def test_rows_are_inserted_counted_and_staged(target: Warehouse) -> None:
    with target.transaction() as session:
        session.insert(TABLE, entries(1, 5, *range(9, 2009)).table)
        cases = ((10_000, 11_000), (2, 5), (1, 9), (6, 7), (*range(6, 9), *range(10**6, 10**6 + 1000), 9))
        assert [session.has_stored(TABLE, ids) for ids in cases] == [False, True, True, False, True]
        for id_ in (7, 8):
            session.stage(TABLE, entries(id_).table)
            assert session.table(f'select "id" from {rule.INCOMING} where "id" > ?', [6]).to_pydict() == {"id": [id_]}
            session.unstage()
        session.run_many('delete from "time_entries" where "id" = ?', [[1], [5]])
        session.run_many("never run", [])
        assert session.run(rule.count_rows(TABLE)) == [(2000,)]


def test_more_rows_than_are_read_at_once_come_whole_and_in_order(
    target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dbapi.engine", "postgres.engine"):
        monkeypatch.setattr(f"airflow_provider_toggl.core.load.engines.{name}.CHUNK", 100)
    with target.transaction() as session:
        session.insert(TABLE, entries(*range(1, 251)).table)
        found = session.table(
            """select "id", case when "id" % 2 = 0 then 'a' end as t from "time_entries" order by 1"""
        )
        assert found["id"].to_pylist() == list(range(1, 251))
        assert found["t"].null_count == 125


def test_an_error_rolls_back_and_closes_the_connection(target: Warehouse) -> None:
    target.prepare()

    def fail() -> None:
        with target.transaction() as session:
            session.insert(TABLE, entries(1).table)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not target._engine.is_open
    assert target.query('select "id" from "time_entries"').num_rows == 0


def test_the_engine_translates_its_drivers_errors_and_no_others(place: WarehouseLocation) -> None:
    engine = place.build_engine(schema="toggl")
    assert engine.translate(ValueError("not of a driver")) is None
    assert (engine.find_holders(), engine.is_open) == ([], False)
    assert (engine.read_clock() is None) == (place.engine not in ("bigquery", "postgres"))
