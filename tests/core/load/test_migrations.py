from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.toggl_rows import NOON, entries, tags
from support.warehouses import rows

from airflow_provider_toggl.core.errors import SchemaTooNew
from airflow_provider_toggl.core.load import merge, migrations
from airflow_provider_toggl.core.load.dialects import DUCKDB
from airflow_provider_toggl.core.load.duckdb_session import DuckdbSession
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.schemas import TABLES
from airflow_provider_toggl.core.load.target import Landed, Sweep

MADE_BEFORE = Path(__file__).parent / "made_before"


@pytest.fixture
def made_before(warehouse: Path) -> Path:
    """A file whose tables the first version made, with rows in them."""
    with duckdb.connect(str(warehouse)) as db:
        db.execute("create schema toggl; use toggl;")
        db.execute((MADE_BEFORE / "duckdb_version_1.sql").read_text())
        db.execute("insert into schema_version values (1, now())")
        db.execute("insert into settings values ('timezone', 'Asia/Tokyo')")
        db.execute("insert into sync_state values ('time_entries', '7', null, '{}', ?, 5)", [NOON])
        session = DuckdbSession(db)
        session.insert(TABLES["time_entries"], entries(1, 2, start="2025-06-01T23:00:00Z").table)
    return warehouse


def test_a_warehouse_of_the_first_version_opens_and_goes_on(made_before: Path, target: DuckdbTarget) -> None:
    state = target.find_state("time_entries", "7")
    assert state is not None
    assert (state.watermark, state.last_run_at, state.requests_spent) == (None, NOON, 5)
    batch = entries(1, 2, 3, start="2025-06-01T23:00:00Z", seconds=1)
    landed = target.land([batch, tags(1)], note_days=True)
    assert (landed.inserted, landed.unchanged) == (2, 2)
    assert [str(day) for _, day in landed.changed_days] == ["2025-06-02"]
    assert target.land([tags(2, seconds=10)], None, Sweep(7, NOON)) == Landed(inserted=1)
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


def test_a_migration_says_in_the_tables_that_it_was_applied() -> None:
    with duckdb.connect() as db:
        session = DuckdbSession(db)
        migrations.apply_migration(session, 1, NOON)
        assert session.run(load_queries("tables")["find_version"]) == [(1,)]
        assert session.run(merge.count_rows(TABLES["tags"])) == [(0,)]
