"""What every database of the package promises, on each engine, for tables of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core.databases.database import Database, DatabaseErrors, DatabaseSession
from airflow_provider_toggl.core.databases.postgres_schema import PostgresSchema
from airflow_provider_toggl.core.databases.sqlite_database import SqliteDatabase
from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseLocked, WarehouseReadOnly

Build = Callable[..., Database]

ERRORS = DatabaseErrors("parts list", WarehouseLocked, WarehouseReadOnly, WarehouseError, "nothing is lost")
STATEMENTS = {
    "add": "insert into {schema}.parts (name) values (:name)",
    "list": "select name from {schema}.parts order by name",
    "rename": "update {schema}.parts set name = :name",
}
VERSIONS = "create table {schema}.schema_version (version integer primary key, applied_at bigint not null)"
MIGRATIONS = [[VERSIONS, "create table {schema}.parts (name text primary key)"]]


@pytest.fixture(params=["sqlite", "postgres"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Build]:
    """Builds the same database, each time with connections of its own."""
    schema, built = f"Parts 100% {uuid.uuid4().hex}", list[Database]()
    # Looked up here, because a fixture cannot be looked up in several threads.
    dsn = request.getfixturevalue("postgres").dsn if request.param == "postgres" else ""

    def build(migrations: list[list[str]] = MIGRATIONS) -> Database:
        options = {"statements": STATEMENTS, "errors": ERRORS, "clock": FakeClock()}
        database: Database
        if request.param == "sqlite":
            steps = [[text.format(schema="main") for text in step] for step in migrations]
            database = SqliteDatabase(
                tmp_path / "parts.sqlite", migrations=steps, own_table="parts", busy_timeout=5, **options
            )
        else:
            database = PostgresSchema(dsn, schema, migrations=migrations, connect_timeout=5, **options)
        built.append(database)
        return database

    yield build
    for database in built:
        database.close()


def test_what_was_written_is_read_by_name(build: Build) -> None:
    database = build()
    database.prepare()
    database.execute("add", name="100% :name")
    assert database.fetch("list") == [("100% :name",)]
    assert database.execute("rename", name="bolt") == 1
    assert build().fetch("list") == [("bolt",)]


def test_a_transaction_is_whole_or_undone(build: Build) -> None:
    database = build()
    database.prepare()

    def add_two(session: DatabaseSession, *, fail: bool) -> int:
        session.execute("add", name="a")
        if fail:
            raise ZeroDivisionError
        session.execute("add", name="b")
        return len(session.fetch("list"))

    with pytest.raises(ZeroDivisionError):
        database.transact(lambda session: add_two(session, fail=True))
    assert database.fetch("list") == []
    assert database.transact(lambda session: add_two(session, fail=False)) == 2


def test_several_prepare_at_once_and_migrate_once(build: Build) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: build().prepare(), range(4)))
    later = build([*MIGRATIONS, ["insert into {schema}.parts values ('new')"]])
    later.prepare()
    later.prepare()
    assert later.fetch("list") == [("new",)]


def test_errors_are_those_of_the_part_and_name_its_database(build: Build) -> None:
    database = build()
    if isinstance(database, SqliteDatabase):
        database.file.create()
    with pytest.raises(WarehouseReadOnly, match="parts list"):
        database.fetch("list")
    build([*MIGRATIONS, []]).prepare()
    with pytest.raises(WarehouseError, match=r"parts list .* is of version 2; .* knows 1\. Upgrade"):
        database.prepare()
    database.close()
    with pytest.raises(WarehouseLocked, match="The parts list was closed"):
        database.fetch("list")


@pytest.mark.parametrize("build", ["sqlite"], indirect=True)  # a schema is chosen by its name
def test_a_file_with_other_tables_is_refused(build: Build) -> None:
    database = build([["create table {schema}.other (a integer)", VERSIONS]])
    database.prepare()
    with pytest.raises(ConfigurationError, match="give the parts list a file of its own"):
        build().prepare()
