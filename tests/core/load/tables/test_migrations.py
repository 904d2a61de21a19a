from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.toggl_rows import NOON, entries, tags
from support.warehouses import DIALECTS, rows

from airflow_provider_toggl.core.errors import SchemaTooNew
from airflow_provider_toggl.core.load.engines.dialect import Dialect
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB, DuckdbEngine
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables import migrations
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.tables.state import STATEMENTS
from airflow_provider_toggl.core.load.values import LoadResult, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse

MADE_BEFORE = Path(__file__).parents[1] / "made_before"


@pytest.fixture
def made_before(warehouse: Path) -> Path:
    """A file whose tables the first version made, with rows in them."""
    engine = DuckdbEngine(warehouse)
    engine.open()
    engine.make_schema()
    engine.run((MADE_BEFORE / "duckdb_version_1.sql").read_text())
    engine.run("insert into schema_version values (1, now())")
    engine.run("insert into settings values ('timezone', 'Asia/Tokyo')")
    engine.run("insert into sync_state values ('time_entries', '7', null, '{}', ?, 5)", [NOON])
    engine.insert(TABLES["time_entries"], entries(1, 2, start="2025-06-01T23:00:00Z").table)
    engine.close()
    return warehouse


def test_a_warehouse_of_the_first_version_opens_and_goes_on(made_before: Path, target: Warehouse) -> None:
    state = target.find_state("time_entries", "7")
    assert state is not None
    assert (state.watermark, state.ran_at, state.requests_spent) == (None, NOON, 5)
    batch = entries(1, 2, 3, start="2025-06-01T23:00:00Z", seconds=1)
    loaded = target.load([batch, tags(1)], collect_days=True)
    assert (loaded.inserted, loaded.unchanged) == (2, 2)
    assert [str(day) for _, day in loaded.changed_days] == ["2025-06-02"]
    assert target.load([tags(2, seconds=10)], None, Sweep(7, NOON)) == LoadResult(inserted=1)
    assert len(rows(target, "select local_date, tag_names from time_entry_facts")) == 3
    assert rows(target, "select max(version) from schema_version") == [(len(migrations.MIGRATIONS),)]
    assert [str(day) for (day,) in rows(target, 'select "day" from changed_days where seq = 1')] == []
    assert [str(day) for (day,) in rows(target, 'select "day" from changed_days')] == ["2025-06-02"]


def test_what_version_one_makes_never_changes(tmp_path: Path) -> None:
    found = []
    for name, script in (("old", (MADE_BEFORE / "duckdb_version_1.sql").read_text()), ("new", None)):
        with duckdb.connect(str(tmp_path / name)) as db:
            for statement in [script] if script else migrations.MIGRATIONS[0](DUCKDB):
                db.execute(statement)
            columns = "select table_name, column_name, data_type, is_nullable from duckdb_columns() order by all"
            found.append(db.execute(columns).fetchall())
    assert found[0] == found[1]


def test_a_version_that_is_known_passes_and_a_later_one_does_not() -> None:
    migrations.check_version(len(migrations.MIGRATIONS), "here")
    with pytest.raises(SchemaTooNew, match=r"The tables in here are of version \d+;"):
        migrations.check_version(len(migrations.MIGRATIONS) + 1, "here")


def test_a_migration_is_recorded_in_the_tables(warehouse: Path) -> None:
    engine = DuckdbEngine(warehouse)
    engine.open()
    engine.make_schema()
    migrations.apply_migration(engine, 1, NOON)
    assert engine.run(STATEMENTS["find_version"]) == [(1,)]
    assert engine.run(rule.count_rows(TABLES["tags"])) == [(0,)]
    engine.close()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_views_are_written_in_the_words_of_a_dialect(dialect: Dialect) -> None:
    live, facts = migrations.create_views(dialect)
    assert live.startswith(f'{dialect.create_view} "live_time_entries" as')
    assert f'{dialect.facts.local_date} as "local_date"' in facts
    assert ('"zone_offsets"' in facts) == (not dialect.has_zones)
