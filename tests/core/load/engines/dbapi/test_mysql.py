from __future__ import annotations

import signal

import pytest
from support.servers import mariadb as mariadb_support
from support.servers.mariadb import PASSWORD, MariadbServer
from support.toggl_rows import entries, tags
from support.warehouses import WarehouseLocation, check_that_a_dying_server_rolls_back

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi
from airflow_provider_toggl.core.load.engines.dbapi.mysql import MysqlEngine
from airflow_provider_toggl.core.load.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("mariadb")


class OperationalError(Exception):
    """As a driver of MySQL raises it."""


class Error(OperationalError):
    """As PEP 249 names it."""


@pytest.fixture
def server(mariadb: MariadbServer) -> MariadbServer:
    return mariadb


@pytest.mark.parametrize("schema", ["select", "Mein Schema", 'quoted "twice"', "äöü"])
def test_a_database_may_have_any_name(server: MariadbServer, schema: str) -> None:
    with WarehouseLocation("mysql", str(server.port), schema).open() as target:
        assert target.load([entries(1, 1, 2)]).inserted == 2
        assert target.load([entries(1, 2, seconds=1, description="new")]).updated == 2


def test_a_writer_that_takes_too_long_is_an_error(server: MariadbServer) -> None:
    place = WarehouseLocation("mysql", str(server.port), "busy")
    with place.open() as one, place.open(lock_timeout=1) as two:
        one.prepare()
        with one.transaction():
            assert two.counts()["tags"] == 0
            with pytest.raises(WarehouseLocked, match="'busy' is in use"):
                two.load([tags(1)])
        assert two.load([tags(1)]).inserted == 1


@pytest.mark.parametrize(
    ("port", "password", "fault"),
    [(None, f"wrong{PASSWORD}", DatabaseFault.BAD_CREDENTIALS), (1, PASSWORD, DatabaseFault.UNREACHABLE)],
)
def test_why_the_server_lets_nobody_in_is_reported_without_the_password(
    server: MariadbServer, port: int | None, password: str, fault: DatabaseFault
) -> None:
    api = DbApi(lambda: mariadb_support.connect(port or server.port, "toggl", password), "%s", "x")
    with Warehouse(MysqlEngine(api)) as target, pytest.raises(WarehouseError) as caught:
        target.prepare()
    assert caught.value.fault is fault
    assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"


def test_a_server_that_dies_rolls_back_one_load_and_the_next_one_continues(server: MariadbServer) -> None:
    with WarehouseLocation("mysql", str(server.port), "dying").open() as target:
        check_that_a_dying_server_rolls_back(target, lambda: server.restart(signal.SIGKILL))


@pytest.mark.parametrize(
    ("number", "text", "meaning", "words"),
    [
        (1205, "Lock wait timeout", WarehouseLocked, "Nothing was lost"),
        (1044, "Access denied", WarehouseReadOnly, "all rights on the database 'toggl'"),
        (1290, "--read-only", WarehouseReadOnly, "name the primary one"),
        (2013, "Lost connection\nto a server", WarehouseError, "the next run continues"),
        (1969, "max_statement_time exceeded", WarehouseError, "A time limit"),
        (1064, "Syntax", WarehouseError, "here: (1064"),
    ],
)
def test_an_error_of_mysql_says_what_to_do(number: int, text: str, meaning: type[WarehouseError], words: str) -> None:
    error = MysqlEngine(DbApi(lambda: None, "%s", "here")).translate(Error(number, text))
    assert type(error) is meaning
    assert words in str(error)
    assert "\n" not in str(error)
