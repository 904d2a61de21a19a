from __future__ import annotations

import os
import pwd
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers import mariadb as mariadb_support
from support.servers.mariadb import PASSWORD, MariadbServer, find_mariadb, running_mariadb
from support.toggl_rows import at, entries, tags
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.dbapi_target import DbApi, DbApiTarget
from airflow_provider_toggl.core.load.target import Landed, Progress, Target


def needs_mariadb(test: Any) -> Any:
    missing = pytest.mark.skipif(find_mariadb() is None, reason="MariaDB is not installed")
    return pytest.mark.xdist_group("mariadb")(missing(test))


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with running_mariadb() as server:
        yield server


def sqlite(path: Path, **options: object) -> DbApiTarget:
    target = WarehouseLocation("sqlite", str(path)).open(**options)
    assert isinstance(target, DbApiTarget)
    promised: Target = target
    assert promised is target
    return target


# -- SQLite ------------------------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_one_schema(tmp_path: Path) -> None:
    with sqlite(tmp_path / "w.sqlite") as target:
        target.land([tags(1)])
    with sqlite(tmp_path / "w.sqlite", schema="other") as target:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="those of schema 'toggl', not of 'other'"):
                target.land([tags(2)])
    with sqlite3.connect(tmp_path / "w.sqlite") as db:
        assert db.execute("select id, seen_at from tags").fetchall() == [(1, "2025-06-01T12:00:00.000000Z")]
        assert db.execute("select count(*) from time_entry_facts").fetchall() == [(0,)]


def test_a_sqlite_file_that_others_write_is_waited_for_and_they_are_told(tmp_path: Path) -> None:
    with sqlite(tmp_path / "w.sqlite") as one, sqlite(tmp_path / "w.sqlite", lock_timeout=0.1) as two:
        one.prepare()
        with one._transaction():
            assert two.counts()["tags"] == 0
            with pytest.raises(WarehouseLocked, match=r"locked.*0\.1 s"):
                two.land([tags(1)])
        assert two.land([tags(1)]).inserted == 1


def test_a_sqlite_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with sqlite(tmp_path / "nowhere" / "w.sqlite") as target, pytest.raises(WarehouseReadOnly, match="unable to open"):
        target.prepare()


# -- MySQL -------------------------------------------------------------------------------------------------------------


@needs_mariadb
def test_a_server_that_is_made_touches_no_temporary_file_of_another() -> None:
    others = Path(tempfile.gettempdir(), f"#sql-temptable-{os.getpid()}-1-1.MAI")
    others.touch()
    if os.geteuid() == 0:
        os.chown(others, *pwd.getpwnam("nobody")[2:4])
    with running_mariadb():
        assert others.exists()
    others.unlink()


@pytest.mark.parametrize("schema", ["select", "Mein Schema", 'quoted "twice"', "äöü"])
@needs_mariadb
def test_a_database_may_have_any_name(server: MariadbServer, schema: str) -> None:
    with WarehouseLocation("mysql", str(server.port), schema).open() as target:
        assert target.land([entries(1, 1, 2)]).inserted == 2
        assert target.land([entries(1, 2, seconds=1, description="new")]).updated == 2


@needs_mariadb
def test_a_user_that_may_not_make_a_database_uses_one_that_is_there(server: MariadbServer) -> None:
    server.execute("create user clerk@'%' identified by 'secret-of-clerk'")
    api = DbApi(lambda: mariadb_support.connect(server.port, "clerk", "secret-of-clerk"), "%s", "mysql", "here")
    with DbApiTarget(api, schema="of_clerk") as target:
        with pytest.raises(WarehouseReadOnly, match="let an administrator create it"):
            target.prepare()
        server.execute("create database of_clerk", "grant all on of_clerk.* to clerk@'%'")
        assert target.land([tags(1)]).inserted == 1


@needs_mariadb
def test_whoever_holds_the_turn_for_too_long_is_said(server: MariadbServer) -> None:
    place = WarehouseLocation("mysql", str(server.port), "busy")
    with place.open() as one, place.open(lock_timeout=1) as two:
        one.prepare()
        with one._transaction():
            assert two.counts()["tags"] == 0
            with pytest.raises(WarehouseLocked, match="'busy' is in use"):
                two.land([tags(1)])
        assert two.land([tags(1)]).inserted == 1


@needs_mariadb
def test_no_message_has_the_password(server: MariadbServer) -> None:
    for port, password in ((server.port, "wrong" + PASSWORD), (1, PASSWORD)):
        api = DbApi(
            lambda port=port, password=password: mariadb_support.connect(port, "toggl", password), "%s", "mysql", "x"
        )  # type: ignore[misc]
        with pytest.raises(WarehouseError) as told:
            DbApiTarget(api).prepare()
        assert PASSWORD not in f"{told.value}{told.value.__cause__}"


def delete_while_the_server_dies(target: DbApiTarget, server: MariadbServer) -> None:
    with target._transaction() as session:
        session.run('delete from "tags"')
        server.restart(signal.SIGKILL)
        session.run("select 1")


@needs_mariadb
def test_a_server_that_dies_takes_back_one_landing_and_the_next_one_goes_on(server: MariadbServer) -> None:
    target = WarehouseLocation("mysql", str(server.port), "dying").open()
    assert isinstance(target, DbApiTarget)
    with target:
        progress = Progress("tags", "7", None, "1", 1, at(0))
        target.land([tags(1)], progress)
        with pytest.raises(WarehouseError, match="Nothing was lost"):
            delete_while_the_server_dies(target, server)
        state = target.find_state("tags", "7")
        assert state is not None
        assert (state.cursor, target.counts()["tags"]) == ("1", 1)
        assert target.land([tags(1, 2, seconds=1)], progress) == Landed(inserted=1, unchanged=1)


# -- engines that nobody knows -----------------------------------------------------------------------------------------


def test_an_engine_that_cannot_do_what_is_needed_says_so(tmp_path: Path) -> None:
    api = DbApi(lambda: sqlite3.connect(tmp_path / "w.db"), "?", "ansi", "an unknown one")
    with DbApiTarget(api) as target, pytest.raises(ConfigurationError, match="No way is known to make 'toggl'"):
        target.prepare()
    assert rows(sqlite(tmp_path / "new.sqlite"), "select 1 as one") == [(1,)]
