"""What engines behind DB-API drivers want done around a landing: opening, taking turns, transactions, errors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.land import merge
from airflow_provider_toggl.core.land.dbapi_session import DbApiSession
from airflow_provider_toggl.core.land.dialects import ANSI, MYSQL, SQLITE, Dialect
from airflow_provider_toggl.core.land.queries import load_queries
from airflow_provider_toggl.core.land.steps import find_setting, store_setting

GO_ON = "Nothing was lost: what was landed before is there, and the next run goes on from it."


class Engine(ABC):
    """The ways of an engine.

    :param schema: of all tables and views.
    :param lock_timeout: seconds to wait for another landing.
    """

    dialect: Dialect

    def __init__(self, schema: str, lock_timeout: float) -> None:
        self.schema = schema
        self.lock_timeout = lock_timeout

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

    @abstractmethod
    def translate(self, error: Exception, where: str) -> WarehouseError:
        """Return what a driver's error means."""

    def locked(self, words: str) -> WarehouseLocked:
        """Return the error of a warehouse that others keep."""
        return WarehouseLocked(
            f"{words} Another landing or session kept it for more than {self.lock_timeout:g} s; wait longer "
            f"(warehouse_lock_timeout) or end that session. {GO_ON}"
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
        """Return whether there is anything of ours in the file."""
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

    def translate(self, error: Exception, where: str) -> WarehouseError:
        """Return what SQLite's words mean."""
        text = str(error)
        words = f"{where}: {text}."
        if "locked" in text or "busy" in text:
            return self.locked(words)
        if "readonly" in text or "unable to open" in text:
            return WarehouseReadOnly(
                f"{words} The user that Airflow's tasks run as needs to write the file and the directory it is in."
            )
        return WarehouseError(words)


class Mysql(Engine):
    """MySQL and MariaDB: a database is a schema, and making tables ends a transaction."""

    dialect = MYSQL

    def configure(self, connection: Any, session: DbApiSession) -> None:
        """Make the server speak standard SQL, Unicode and UTC in this session."""
        for name, arguments in (
            ("set_charset_collation", ("utf8mb4", "utf8mb4_bin")),
            ("set_character_set", ("utf8mb4",)),
        ):
            if hasattr(connection, name):
                getattr(connection, name)(*arguments)
        modes = "ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
        for statement in (
            "set names utf8mb4 collate utf8mb4_bin",
            f"set session sql_mode = '{modes}'",
            "set session time_zone = '+00:00'",
            "set session transaction isolation level read committed",
            f"set session innodb_lock_wait_timeout = {max(1, round(self.lock_timeout))}",
            "set session group_concat_max_len = 1000000",
            "set autocommit = 1",
        ):
            session.run(statement)
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
        return "toggl " + hashlib.sha256(self.schema.encode()).hexdigest()[:40]

    def translate(self, error: Exception, where: str) -> WarehouseError:
        """Return what the number of an error of MySQL means."""
        number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
        words = f"{where}: {_first_line(error)}"
        if number in (1205, 1213, 3572):
            return self.locked(words)
        if number in (1044, 1142, 1227, 1370):
            return WarehouseReadOnly(
                f"{words} The connection's user needs all rights on the database {self.schema!r}, and the right to "
                "create it where there is none: grant them, or let an administrator create it."
            )
        if number in (1290, 1792, 1836):
            return WarehouseReadOnly(f"{words} The server takes no writes: name the primary one.")
        # -1: the driver noticed by itself.
        if number in (-1, 1053, 1927, 2002, 2003, 2005, 2006, 2013, 2055):
            return WarehouseError(f"{words} The server cannot be reached, or the connection was cut. {GO_ON}")
        return WarehouseError(words)


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

    def translate(self, error: Exception, where: str) -> WarehouseError:
        """Return the driver's words, and that nobody has tried this engine."""
        return WarehouseError(
            f"{where}: {_first_line(error)} This package has no dialect for this type of connection and writes "
            "standard SQL: temporary tables, window functions and md5 are needed."
        )


ENGINES: dict[str, type[Engine]] = {"sqlite": Sqlite, "mysql": Mysql, "ansi": Ansi}


def is_driver_error(error: BaseException) -> bool:
    """Return whether an error is one that PEP 249 tells drivers to raise; each has its own class of this name."""
    return any(kind.__name__ == "Error" for kind in type(error).__mro__)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n", maxsplit=1)[0].split()).rstrip(".") + "."


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
