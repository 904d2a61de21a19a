"""Every table has a primary key, in new warehouses and in those that earlier versions made."""

from __future__ import annotations

from datetime import datetime

import pytest
from support.fakes import FakeClock
from support.toggl_rows import NOON, at, entries, tags
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.errors import WarehouseError
from airflow_provider_toggl.core.load.engines.contract import Session
from airflow_provider_toggl.core.load.engines.dbapi.mysql import MysqlEngine
from airflow_provider_toggl.core.load.merging.changed_days import find_days
from airflow_provider_toggl.core.load.tables import migrations
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.values import LoadResult, Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse

_KEYS = {
    "duckdb": """select table_name from duckdb_constraints()
        where constraint_type = 'PRIMARY KEY' and schema_name = 'toggl'""",
    "postgres": """select table_name from information_schema.table_constraints
        where constraint_type = 'PRIMARY KEY' and table_schema = current_schema()""",
    "mysql": """select table_name from information_schema.table_constraints
        where constraint_type = 'PRIMARY KEY' and table_schema = database()""",
    "sqlite": """select m.name from sqlite_master as m join pragma_table_info(m.name) as c
        where m.type = 'table' and c.pk = 1""",
}
_KEYS["ansi"] = _KEYS["postgres"]
BESIDE = {
    "schema_version", "settings", "sync_state", "rejected_records", "complete_lists", "changed_days", "change_counter",
    "time_entry_versions",
}  # fmt: skip


@pytest.fixture(autouse=True)
def has_keys(unprepared: WarehouseLocation) -> None:
    """Skip stores that only keep tables: they have keys of their own kind, or none."""
    if unprepared.is_table_store:
        pytest.skip("keys are the store's own matter")


def keyed(place: WarehouseLocation, target: Warehouse) -> set[str]:
    return {name for (name,) in rows(target, _KEYS[place.engine])}


def wanted(place: WarehouseLocation) -> set[str]:
    names = BESIDE | TABLES.keys()
    if place.engine not in ("duckdb", "postgres"):
        names |= {"zone_offsets"}
    # An index there costs as much as all the rest of a load, and no server asks for it.
    return names - {"time_entry_versions"} if place.engine == "duckdb" else names


def as_version_three(session: Session, version: int, now: datetime) -> None:
    """Make what the package made before it gave each table a key."""
    for number in range(version + 1, 4):
        migrations.apply_migration(session, number, now)


def make_version_three(place: WarehouseLocation, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "apply_migrations", as_version_three)
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
        with place.open(clock=clock) as target:
            target.prepare("Asia/Tokyo")
            target.keep_history(True)
            target.load([entries(1, start="2025-05-01T23:00:00Z"), tags(1)], Progress("tags", "7", at(1), "1", 1, NOON))
            assert "schema_version" not in keyed(place, target)


def test_every_table_of_a_new_warehouse_has_a_key(place: WarehouseLocation, target: Warehouse) -> None:
    target.prepare()
    assert keyed(place, target) == wanted(place)
    version = rows(target, 'select "version" from "schema_version" order by "version"')
    assert version == [(number,) for number in range(1, len(migrations.MIGRATIONS) + 1)]


def test_every_table_of_an_older_warehouse_gets_one_and_keeps_its_rows(
    unprepared: WarehouseLocation, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version_three(unprepared, clock, monkeypatch)
    with unprepared.open(clock=clock) as target:
        assert keyed(unprepared, target) == wanted(unprepared)
        newest = len(migrations.MIGRATIONS)
        assert rows(target, 'select max("version"), count(*) from "schema_version"') == [(newest, newest)]
        ((day,),) = rows(target, 'select "local_date" from "time_entry_facts"')
        assert str(day) == "2025-05-02"
        with target.transaction() as session:
            found = find_days(session)
        assert found.cursor >= 1
        assert target.load([entries(1, 2, seconds=9, start="2025-05-01T23:00:00Z")], collect_days=True).inserted == 1
        with target.transaction() as session:
            assert find_days(session).cursor == found.cursor + 1
        left = [name for name in keyed(unprepared, target) if name.endswith(("_keyed", "_keyless"))]
        assert left == []


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "older"])
@pytest.mark.parametrize("at_statement", range(2, 24, 5))
@pytest.mark.parametrize("unprepared", [pytest.param("mysql", marks=pytest.mark.xdist_group("mariadb"))], indirect=True)
def test_tables_that_were_half_made_are_finished_by_the_next_one(
    unprepared: WarehouseLocation, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, *, is_new: bool, at_statement: int
) -> None:
    # Other engines take back tables that were made.
    if not is_new:
        make_version_three(unprepared, clock, monkeypatch)
    run, count = MysqlEngine.run, 0

    def failing(self: MysqlEngine, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        nonlocal count
        count += sql.startswith(("create", "drop", "insert", "rename"))
        if count == at_statement:
            return run(self, "this is where it breaks")
        return run(self, sql, parameters)

    with monkeypatch.context() as patch, unprepared.open(clock=clock) as target:
        patch.setattr(MysqlEngine, "run", failing)
        try:
            target.prepare()
        except WarehouseError:
            assert count >= at_statement
        else:
            pytest.skip("there are fewer statements")
    with unprepared.open(clock=clock) as target:
        assert keyed(unprepared, target) == wanted(unprepared)
        assert rows(target, 'select count(*) from "change_counter"') == [(1,)]
        inserted = target.load([entries(1, 2, seconds=9), tags(1, seconds=9)])
        assert inserted in (LoadResult(inserted=3), LoadResult(inserted=1, unchanged=1, updated=1))
