"""The defaults of a server, a database, a role or a file change neither what is loaded nor what is read."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from support.database_settings import exercise_store, exercise_warehouse
from support.event_stores import StoreLocation
from support.servers.mariadb import MariadbServer, running_mariadb
from support.servers.postgres import PostgresServer
from support.warehouses import WarehouseLocation

numbers = itertools.count(1)
MakeDatabase = Callable[..., tuple[str, str]]

# Each group is set at once.
POSTGRES = {
    "formats": """
        datestyle = 'German, DMY'; intervalstyle = 'sql_standard'; timezone = 'Asia/Kathmandu'; bytea_output = 'escape';
        client_encoding = 'LATIN1'; extra_float_digits = -15; search_path = 'nowhere'; array_nulls = off;
        default_transaction_isolation = 'serializable'; default_transaction_deferrable = on; synchronous_commit = off;
        default_transaction_read_only = on; session_replication_role = replica; exit_on_error = on
    """,
    "strictness": """
        datestyle = 'SQL, MDY'; intervalstyle = 'iso_8601'; timezone = '<+03>-03'; search_path = public, pg_catalog;
        standard_conforming_strings = off; transform_null_equals = on; client_min_messages = 'debug5';
        default_transaction_isolation = 'repeatable read'; synchronous_commit = local; check_function_bodies = off;
        quote_all_identifiers = on; track_activities = off; default_with_oids = off; lc_messages = 'C.UTF-8'
    """,
    "planner": """
        datestyle = 'Postgres, DMY'; row_security = off; xmloption = document; backslash_quote = off; lc_numeric = 'C';
        jit_above_cost = 0; plan_cache_mode = force_generic_plan; enable_indexscan = off; work_mem = '64kB';
        temp_buffers = '800kB'; debug_parallel_query = on; enable_seqscan = off; enable_sort = off;
        log_statement = 'all'; log_error_verbosity = 'verbose'; default_toast_compression = pglz
    """,
    "time limits": "statement_timeout = '5ms'; lock_timeout = '1ms'; client_connection_check_interval = '1ms'",
    "transaction time": "transaction_timeout = '60ms'",
    "idle time": "idle_in_transaction_session_timeout = '20ms'; idle_session_timeout = '20ms'",
}
MYSQL = {
    "latin1": """
        sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'; time_zone = '+05:45'; autocommit = 0;
        completion_type = 'CHAIN'; character_set_server = 'latin1'; character_set_database = 'latin1';
        character_set_client = 'latin1'; default_storage_engine = 'MyISAM'; default_tmp_storage_engine = 'MEMORY'
    """,
    "zero dates": """
        sql_mode = 'NO_ZERO_DATE,NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY,NO_AUTO_VALUE_ON_ZERO'; completion_type = 'RELEASE';
        tx_isolation = 'READ-UNCOMMITTED'; character_set_results = 'latin1'; low_priority_updates = 1;
        collation_connection = 'latin1_swedish_ci'; alter_algorithm = 'INSTANT'; big_tables = 1
    """,
    "oracle": """
        sql_mode = 'ORACLE'; tx_isolation = 'SERIALIZABLE'; max_allowed_packet = 65536; unique_checks = 0;
        foreign_key_checks = 0; innodb_force_primary_key = 1; auto_increment_increment = 7
    """,
    "traditional": """
        sql_mode = 'TRADITIONAL,TIME_ROUND_FRACTIONAL,HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT,IGNORE_SPACE'; sql_notes = 0;
        collation_server = 'utf8mb4_general_ci'; lc_time_names = 'de_DE'; lc_messages = 'de_DE'; tx_read_only = 1
    """,
    "lenient": """
        sql_mode = ''; innodb_strict_mode = 0; old_mode = ''; explicit_defaults_for_timestamp = 0; sql_safe_updates = 1;
        sql_select_limit = 1; max_join_size = 1; sql_auto_is_null = 1; div_precision_increment = 0;
        optimizer_switch = 'derived_merge=off,semijoin=off'; standard_compliant_cte = 0
    """,
    "limits": """
        group_concat_max_len = 4; max_sort_length = 64; sort_buffer_size = 1024; join_buffer_size = 128;
        tmp_table_size = 1024; max_statement_time = 0.01; net_write_timeout = 1; lock_wait_timeout = 1;
        innodb_lock_wait_timeout = 1; wait_timeout = 1; idle_transaction_timeout = 1
    """,
}
DUCKDB = """
    TimeZone = 'Asia/Kathmandu'; default_null_order = 'nulls_first'; default_order = 'desc'; threads = 2;
    default_collation = 'nocase'; integer_division = true; ieee_floating_point_ops = false; memory_limit = '1GB';
    preserve_insertion_order = true; enable_external_access = false
"""


def split(settings: str) -> list[str]:
    return re.split(r";\s+", settings.strip())


def on_sqlite(folder: Path, name: str = "events") -> StoreLocation:
    return StoreLocation("sqlite", str(folder / f"{name}.sqlite"))


@pytest.fixture(scope="module")
def reference(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of it with a server's own defaults."""
    folder = tmp_path_factory.mktemp("reference")
    _, dsn = make_database()
    files = {engine: WarehouseLocation(engine, str(folder / f"w.{engine}")) for engine in ("sqlite", "duckdb")}
    return {
        "postgres": exercise_warehouse(WarehouseLocation("postgres", dsn), StoreLocation("postgres", dsn)),
        "store": exercise_store(StoreLocation("postgres", dsn, "other")),
        **{engine: exercise_warehouse(place, on_sqlite(folder, engine)) for engine, place in files.items()},
    }


@pytest.fixture(scope="module")
def mysql_reference(mariadb: MariadbServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = WarehouseLocation("mysql", str(mariadb.port), "reference")
    return exercise_warehouse(place, on_sqlite(tmp_path_factory.mktemp("reference")))


def assert_as_usual(dsn: str, reference: dict[str, Any]) -> None:
    assert exercise_store(StoreLocation("postgres", dsn, "other")) == reference["store"]
    found = exercise_warehouse(WarehouseLocation("postgres", dsn), StoreLocation("postgres", dsn))
    assert found == reference["postgres"]


@pytest.mark.xdist_group("configured-postgres")
@pytest.mark.parametrize("settings", POSTGRES.values(), ids=POSTGRES)
def test_no_default_of_a_postgres_database_changes_anything(
    postgres: PostgresServer, make_database: MakeDatabase, reference: dict[str, Any], settings: str
) -> None:
    name, dsn = make_database()
    for setting in split(settings):
        # Not every version has each of them.
        with suppress(psycopg.Error):
            postgres.execute(f"alter database {name} set {setting}")
    assert_as_usual(dsn, reference)


@pytest.mark.xdist_group("configured-postgres")
def test_no_default_of_a_postgres_role_changes_anything(
    postgres: PostgresServer, make_database: MakeDatabase, reference: dict[str, Any]
) -> None:
    name, dsn = make_database()
    role = f"role_of_{name}"
    postgres.execute(f"create role {role} login")
    postgres.execute(f"grant create, temporary on database {name} to {role}")
    settings = "datestyle = 'German, DMY'; timezone = 'Asia/Kathmandu'; client_encoding = 'LATIN1'"
    for setting in split(f"{settings}; statement_timeout = '5ms'; default_transaction_read_only = on"):
        postgres.execute(f"alter role {role} set {setting}")
    assert_as_usual(dsn.replace("user=postgres", f"user={role}"), reference)


@pytest.mark.xdist_group("configured-postgres")
def test_where_changes_of_all_tables_are_published_updates_are_possible(
    make_database: MakeDatabase, reference: dict[str, Any]
) -> None:
    _, dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("create publication everything for all tables")
    assert_as_usual(dsn, reference)


@pytest.mark.xdist_group("configured-postgres")
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "EUC_JP"])
def test_a_database_may_have_another_encoding(
    make_database: MakeDatabase, reference: dict[str, Any], encoding: str
) -> None:
    _, dsn = make_database(f"encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'")
    found = exercise_warehouse(WarehouseLocation("postgres", dsn), StoreLocation("postgres", dsn))
    if encoding == "SQL_ASCII":
        assert found == reference["postgres"]
    assert exercise_store(StoreLocation("postgres", dsn, "other")) == reference["store"]


@contextmanager
def configured(server: MariadbServer, setting: str) -> Iterator[None]:
    """Set a global variable, which new sessions begin with, for a while."""
    name = setting.split(" = ", maxsplit=1)[0]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"select @@global.{name}")
        ((before,),) = cursor.fetchall()
    server.execute(f"set global {setting}")
    try:
        yield
    finally:
        value = str(before) if isinstance(before, (int, float)) else f"'{before}'" if before else "default"
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"set global {name} = {value}")


@pytest.mark.xdist_group("mariadb")
@pytest.mark.parametrize("settings", MYSQL.values(), ids=MYSQL)
def test_no_default_of_a_mysql_server_changes_anything(
    mariadb: MariadbServer, mysql_reference: dict[str, Any], tmp_path: Path, settings: str
) -> None:
    place = WarehouseLocation("mysql", str(mariadb.port), f"configured_{next(numbers)}")
    with ExitStack() as changed:
        for setting in split(settings):
            changed.enter_context(configured(mariadb, setting))
        assert exercise_warehouse(place, on_sqlite(tmp_path)) == mysql_reference
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select distinct engine from information_schema.tables "
            "where table_type = 'BASE TABLE' and table_schema = %s",
            [place.schema],
        )
        assert cursor.fetchall() == [("InnoDB",)]


@pytest.mark.xdist_group("mariadb")
@pytest.mark.parametrize(
    "options",
    [
        ("--log-bin", "--binlog-format=STATEMENT", "--lower-case-table-names=1", "--innodb-force-primary-key=1"),
        (
            *("--log-bin", "--binlog-format=MIXED", "--innodb-default-row-format=compact", "--innodb-strict-mode=0"),
            *("--innodb-file-per-table=0", "--character-set-server=ucs2"),
        ),
        (
            *("--log-bin", "--binlog-format=ROW", "--binlog-row-image=MINIMAL", "--gtid-strict-mode=1"),
            *("--innodb-default-row-format=redundant", "--character-set-server=utf8mb3"),
            *("--skip-character-set-client-handshake", "--innodb-autoinc-lock-mode=2"),
        ),
    ],
    ids=["statement", "mixed", "row"],
)
def test_a_mysql_server_may_be_started_in_odd_ways(
    mysql_reference: dict[str, Any], tmp_path: Path, options: tuple[str, ...]
) -> None:
    with running_mariadb(*options, "--server-id=1") as server:
        place = WarehouseLocation("mysql", str(server.port), "Toggl_Warehouse")
        assert exercise_warehouse(place, on_sqlite(tmp_path)) == mysql_reference


@pytest.mark.parametrize(
    "pragmas",
    ["pragma encoding = 'UTF-16'; pragma page_size = 512; pragma auto_vacuum = full", "pragma journal_mode = wal"],
)
def test_a_sqlite_file_may_be_of_any_kind(reference: dict[str, Any], tmp_path: Path, pragmas: str) -> None:
    place = WarehouseLocation("sqlite", str(tmp_path / "w.sqlite"))
    with sqlite3.connect(place.where) as db:
        db.executescript(f"{pragmas}; create table others (a)")
    assert exercise_warehouse(place, on_sqlite(tmp_path)) == reference["sqlite"]


def test_no_setting_of_another_duckdb_session_of_the_process_changes_anything(
    reference: dict[str, Any], tmp_path: Path
) -> None:
    place = WarehouseLocation("duckdb", str(tmp_path / "w.duckdb"))
    with duckdb.connect(place.where) as other:
        for setting in split(DUCKDB):
            with suppress(duckdb.CatalogException):
                other.execute(f"set global {setting}")
        assert exercise_warehouse(place, on_sqlite(tmp_path)) == reference["duckdb"]
