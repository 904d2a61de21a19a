"""What engines behind DB-API drivers want done around a landing: opening, taking turns, transactions, errors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.dbapi_session import DbApiSession
from airflow_provider_toggl.core.load.dialects import ANSI, MYSQL, SQLITE, Dialect
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.steps import find_setting, store_setting

GO_ON = "Nothing was lost: what was landed before is there, and the next run goes on from it."


class Engine(ABC):
    """The ways of an engine.

    :param schema: of all tables and views.
    :param lock_timeout: seconds to wait for another landing.
    """

    dialect: Dialect
    statement_bytes: int | None = None
    """The longest statement that the server takes, known after ``configure``; None where there is no such limit."""

    def __init__(self, schema: str, lock_timeout: float) -> None:
        self.check_schema_name(schema)
        self.schema = schema
        self.lock_timeout = lock_timeout

    def check_schema_name(self, schema: str) -> None:  # noqa: B027 - most engines need nothing here
        """Refuse a name that the engine would cut or cannot have."""

    @abstractmethod
    def configure(self, connection: Any, session: DbApiSession) -> None:
        """Set up a new connection and make the schema the current one, where there is one."""

    @abstractmethod
    def make_schema(self, connection: Any, session: DbApiSession) -> None:
        """Make the schema where there is none and make it the current one."""

    @abstractmethod
    def has_tables(self, connection: Any, session: DbApiSession) -> bool:
        """Return whether there is anything of ours in the schema."""

    def check_schema(self, session: DbApiSession) -> None:  # noqa: B027 - most engines need nothing here
        """Refuse a place whose tables belong to another schema."""

    def begin(self, session: DbApiSession) -> None:  # noqa: B027 - most engines need nothing here
        """Begin a transaction that may write, when it is our turn."""

    def take_turn(self, session: DbApiSession) -> None:  # noqa: B027 - most engines need nothing here
        """Wait until no other landing is at work, within a transaction, where it is not waited for before."""

    def commit(self, connection: Any, session: DbApiSession) -> None:
        """End the transaction and let the next one have its turn."""
        connection.commit()

    def end_reading(self, connection: Any) -> None:  # noqa: B027 - most engines need nothing here
        """Leave no transaction open after a question."""

    def rollback(self, connection: Any) -> None:
        """Take back the transaction."""
        connection.rollback()

    def find_unencodable(self, session: DbApiSession, characters: str) -> str:
        """Return those of some characters that the columns of our tables cannot hold."""
        return ""

    @abstractmethod
    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what a driver's error means."""

    def translate(self, error: Exception, where: str) -> WarehouseError:
        """Return a driver's error as one of ours, with what to do."""
        fault = self.find_fault(error)
        words = f"{where}: {first_line(error)}"
        if fault is DatabaseFault.LOCKED and faults.find_mysql_number(error) in faults.COLLISIONS:
            return WarehouseLocked(f"{words} {faults.COLLIDED} {GO_ON}", fault=fault)
        if fault is DatabaseFault.LOCKED:
            return self.locked(words)
        advice = self.advice.get(fault) or faults.ADVICE.get(fault, "")
        if fault in (DatabaseFault.READ_ONLY, DatabaseFault.MISSING_RIGHT):
            return WarehouseReadOnly(f"{words} {advice}", fault=fault)
        go_on = GO_ON if fault in (DatabaseFault.UNREACHABLE, DatabaseFault.CONNECTION_LOST) else ""
        return WarehouseError(" ".join(part for part in (words, advice, go_on) if part), fault=fault)

    @property
    def advice(self) -> dict[DatabaseFault, str]:
        """What to do about faults where it is not what ``faults.ADVICE`` says."""
        return {}

    def locked(self, words: str) -> WarehouseLocked:
        """Return the error of a warehouse that others keep."""
        return WarehouseLocked(
            f"{words} Another landing or session kept it for more than {self.lock_timeout:g} s; wait longer "
            f"(warehouse_lock_timeout) or end that session. {GO_ON}",
            fault=DatabaseFault.LOCKED,
        )


class Sqlite(Engine):
    """SQLite: a file is a schema, and one writes at a time."""

    dialect = SQLITE

    def configure(self, connection: Any, session: DbApiSession) -> None:
        """Wait for others, begin transactions only where told to, and know md5."""
        connection.isolation_level = None
        connection.create_function("md5", 1, _md5, deterministic=True)
        session.run(f"pragma busy_timeout = {max(1, round(self.lock_timeout * 1000))}")

    def make_schema(self, connection: Any, session: DbApiSession) -> None:
        """Do nothing: the file is the schema."""

    def has_tables(self, connection: Any, session: DbApiSession) -> bool:
        """Return whether there is anything of ours in the file.

        :raises ConfigurationError: it is the file of an event store, whose table of versions has the same name.
        """
        if session.run(load_queries("sqlite")["find_event_store"])[0][0]:
            raise ConfigurationError(
                "The SQLite file of the warehouse has the tables of an event store: give the warehouse a file of its "
                "own in warehouse_conn_id."
            )
        return bool(session.run(load_queries("sqlite")["find_tables"])[0][0])

    def check_schema(self, session: DbApiSession) -> None:
        """Refuse a second schema in a file.

        :raises ConfigurationError: the tables in the file belong to another one.
        """
        held = find_setting(session, "schema", "")
        if not held:
            store_setting(session, "schema", self.schema)
        elif held != self.schema:
            raise ConfigurationError(
                f"The tables in this SQLite file are those of schema {held!r}, not of {self.schema!r}. SQLite has one "
                "schema a file: name a connection with another file."
            )

    def begin(self, session: DbApiSession) -> None:
        """Begin as the only one that writes."""
        session.run("begin immediate")

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what a result code of SQLite means."""
        return faults.find_sqlite_fault(error)

    @property
    def advice(self) -> dict[DatabaseFault, str]:
        """What to do about a file."""
        return {
            DatabaseFault.READ_ONLY: (
                "The user that Airflow's tasks run as needs to write the file and the directory it is in."
            )
        }


_MOST = "18446744073709551615"
MYSQL_SETTINGS: dict[str, str] = {
    # How statements are read, and that what cannot be stored is an error.
    "sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "sql_auto_is_null": "0",
    "time_zone": "'+00:00'",
    # Tables that take part in transactions, and transactions that end where we say so.
    "default_storage_engine": "'InnoDB'",
    "default_tmp_storage_engine": "'InnoDB'",
    "autocommit": "1",
    "completion_type": "0",
    "unique_checks": "1",
    # Nothing is cut, rounded or left out.
    "group_concat_max_len": "1000000",
    "div_precision_increment": "4",
    "max_sort_length": "1024",
    # Rows with long texts are sorted; MySQL's own default is too small for some of them.
    "sort_buffer_size": "greatest(@@sort_buffer_size, 2097152)",
    "sql_select_limit": _MOST,
    "max_join_size": _MOST,
    "sql_safe_updates": "0",
    "net_read_timeout": "600",
    "net_write_timeout": "600",
}
"""What we set in each session, by name and as SQL.

Left as they are: ``wait_timeout`` (a session that it ends is opened again), and what only decides about speed and
space.
"""
MYSQL_SETTINGS_WHERE_KNOWN: dict[str, str] = {
    # Time limits are for people's queries. How long a task may take is Airflow's execution_timeout.
    "max_statement_time": "0",
    "max_execution_time": "0",
    # A landing computes between its statements, for longer than the limit that some servers set.
    "idle_transaction_timeout": "600",
    "idle_write_transaction_timeout": "600",
    "idle_readonly_transaction_timeout": "600",
    "alter_algorithm": "'DEFAULT'",
}
"""The same, of variables that only MySQL has, or MariaDB, or later versions of one."""
_LONGEST_NAME = 64


class Mysql(Engine):
    """MySQL and MariaDB: a database is a schema, and making tables ends a transaction."""

    dialect = MYSQL
    _ignores_case = False

    def check_schema_name(self, schema: str) -> None:
        """Refuse a name of more than 64 characters, or one that names of databases cannot be.

        :raises ConfigurationError: it is one.
        """
        if (
            not schema
            or len(schema) > _LONGEST_NAME
            or schema.endswith(" ")
            or "\0" in schema
            or max(schema) > "\uffff"
        ):
            raise ConfigurationError(
                f"The schema {schema!r} has {len(schema)} characters; MySQL and MariaDB take names of 1 to "
                f"{_LONGEST_NAME} characters up to U+FFFF, without NUL and without a blank at the end. Choose another "
                "name."
            )

    def configure(self, connection: Any, session: DbApiSession) -> None:
        """Make the server speak standard SQL, Unicode and UTC in this session."""
        for name, arguments in (
            ("set_charset_collation", ("utf8mb4", "utf8mb4_bin")),
            ("set_character_set", ("utf8mb4",)),
        ):
            if hasattr(connection, name):
                getattr(connection, name)(*arguments)
        session.run("set names utf8mb4 collate utf8mb4_bin")
        # First, and without parameters: what drivers make of these depends on the mode.
        wait = str(max(1, round(self.lock_timeout)))
        _set_variables(session, {**MYSQL_SETTINGS, "innodb_lock_wait_timeout": wait, "lock_wait_timeout": wait})
        marks = ", ".join("?" for _ in MYSQL_SETTINGS_WHERE_KNOWN)
        found = session.run(
            f"show session variables where variable_name in ({marks})", list(MYSQL_SETTINGS_WHERE_KNOWN)
        )
        known = {str(name).lower() for name, _ in found}
        _set_variables(session, {name: MYSQL_SETTINGS_WHERE_KNOWN[name] for name in known})
        # A landing waits for its turn before it begins, so what it reads first is what the one before has left. READ
        # COMMITTED would do too, but servers with binlog_format=STATEMENT write nothing in it.
        session.run("set session transaction isolation level repeatable read, read write")
        ((packet, ignores_case),) = session.run("select @@max_allowed_packet, @@lower_case_table_names")
        self.statement_bytes, self._ignores_case = int(packet), bool(int(ignores_case))
        if session.run(load_queries("mysql")["find_schema"], [self.schema])[0][0]:
            session.run(f"use {merge.quote(self.schema)}")

    def make_schema(self, connection: Any, session: DbApiSession) -> None:
        """Make the database."""
        if not session.run(load_queries("mysql")["find_schema"], [self.schema])[0][0]:
            session.run(f"create database if not exists {merge.quote(self.schema)} character set utf8mb4")
        session.run(f"use {merge.quote(self.schema)}")

    def has_tables(self, connection: Any, session: DbApiSession) -> bool:
        """Return whether there is anything of ours in the database."""
        return bool(session.run(load_queries("mysql")["find_tables"])[0][0])

    def begin(self, session: DbApiSession) -> None:
        """Wait for others, then begin.

        :raises WarehouseLocked: another landing goes on for too long.
        """
        waited = session.run(load_queries("mysql")["take_turn"], [self._lock, max(1, round(self.lock_timeout))])
        if waited[0][0] != 1:
            raise self.locked(f"Schema {self.schema!r} is in use.")
        session.run("start transaction")

    def commit(self, connection: Any, session: DbApiSession) -> None:
        """Commit, then let the next one."""
        session.run("commit")
        session.run(load_queries("mysql")["end_turn"], [self._lock])

    @property
    def _lock(self) -> str:
        # Names of locks are those of the whole server, and not longer than 64 characters.
        schema = self.schema.lower() if self._ignores_case else self.schema
        return "toggl " + hashlib.sha256(schema.encode()).hexdigest()[:40]

    def find_unencodable(self, session: DbApiSession, characters: str) -> str:
        """Return what a column cannot hold that somebody has given another character set than we did."""
        lost = ""
        for (name,) in session.run(load_queries("mysql")["find_narrow_charsets"]):
            for character in characters:
                kept = session.run(
                    f"select convert(convert(? using {merge.quote(str(name))}) using utf8mb4)", [character]
                )
                lost += "" if kept[0][0] == character else character
        return lost

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what the number of an error of MySQL means."""
        return faults.find_mysql_fault(error)

    @property
    def advice(self) -> dict[DatabaseFault, str]:
        """What the user of the connection must be allowed to do."""
        return {
            DatabaseFault.MISSING_RIGHT: (
                f"The connection's user needs all rights on the database {self.schema!r}, CREATE TEMPORARY TABLES and "
                "CREATE VIEW among them, and CREATE where the database does not exist yet: "
                f"grant all on `{self.schema}`.* to its user, or let an administrator create it."
            )
        }


class Ansi(Engine):
    """An engine of which nothing is known but that Airflow has a hook for it: standard SQL, and what most have."""

    dialect = ANSI

    def configure(self, connection: Any, session: DbApiSession) -> None:
        """Make the schema the current one, in one of the ways that engines have."""
        with suppress(AttributeError, TypeError):
            connection.autocommit = False
        name, text = merge.quote(self.schema), self.schema.replace("'", "''")
        ways = (f"set schema '{text}'", f"set search_path to {name}", f"use {name}", f"set current_schema = {name}")
        for way in ways:
            try:
                session.run(way)
            except Exception as error:
                if not is_driver_error(error):
                    raise
                connection.rollback()
            else:
                connection.commit()
                return
        raise ConfigurationError(f"No way is known to make {self.schema!r} the current schema of this engine.")

    def make_schema(self, connection: Any, session: DbApiSession) -> None:
        """Make the schema; an engine that cannot will say so when tables are made."""
        try:
            session.run(f"create schema if not exists {merge.quote(self.schema)}")
        except Exception as error:
            if not is_driver_error(error):
                raise
            connection.rollback()
        else:
            connection.commit()
        self.configure(connection, session)

    def has_tables(self, connection: Any, session: DbApiSession) -> bool:
        """Return whether there is anything of ours in the schema."""
        try:
            session.run(load_queries("tables")["find_version"])
        except Exception as error:
            if not is_driver_error(error):
                raise
            connection.rollback()
            return False
        return True

    def check_schema(self, session: DbApiSession) -> None:
        """Make the row that landings take turns at."""
        store_setting(session, "turn", "taken")

    def end_reading(self, connection: Any) -> None:
        """End the transaction that the driver began by itself."""
        connection.commit()

    def take_turn(self, session: DbApiSession) -> None:
        """Wait for the row."""
        session.run(load_queries("ansi")["take_turn"])

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return that nothing is known of this engine's codes."""
        return DatabaseFault.OTHER

    @property
    def advice(self) -> dict[DatabaseFault, str]:
        """Say what is expected of an engine that nobody has tried."""
        return {
            DatabaseFault.OTHER: (
                "This package has no dialect for this type of connection and writes standard SQL: temporary tables, "
                "window functions and md5 are needed."
            )
        }


def _set_variables(session: DbApiSession, values: Mapping[str, str]) -> None:
    if values:
        session.run("set " + ", ".join(f"session {name} = {value}" for name, value in values.items()))


ENGINES: dict[str, type[Engine]] = {"sqlite": Sqlite, "mysql": Mysql, "ansi": Ansi}


def is_driver_error(error: BaseException) -> bool:
    """Return whether an error is one that PEP 249 tells drivers to raise; each has its own class of this name."""
    return any(kind.__name__ == "Error" for kind in type(error).__mro__)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
