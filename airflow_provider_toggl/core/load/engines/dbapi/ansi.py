"""An engine of which nothing is known but that Airflow has a ``DbApiHook`` for it: standard SQL, and what most have."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApiEngine, is_driver_error
from airflow_provider_toggl.core.load.engines.dialect import (
    NUMBER_AS_BOOLEAN_TEXT,
    Dialect,
    FactColumns,
    quote,
    whole_number_text,
)
from airflow_provider_toggl.core.load.tables.state import STATEMENTS, store_setting

ANSI = Dialect(
    name="SQL",
    types={
        "bigint": "bigint",
        "boolean": "smallint",
        "text": "varchar(16000)",
        "double": "double precision",
        "timestamp": "timestamp",
        "date": "date",
        "bigint_list": "varchar(16000)",
        "json": "varchar(16000)",
        "word": "varchar(64)",
        "key": "varchar(500)",
    },
    # The names of tags are for engines that can read JSON.
    facts=FactColumns(local_date='cast(entry."start" + span."offset_seconds" * interval \'1\' second as date)'),
    texts={
        "boolean": NUMBER_AS_BOOLEAN_TEXT,
        "double": whole_number_text("bigint", "varchar(64)"),
        **dict.fromkeys(("text", "json", "bigint_list"), "{0}"),
    },
    text="cast({0} as varchar(64))",
    length="char_length({0})",
    same="case when {0} = {1} or ({0} is null and {1} is null) then 1 else 0 end = 1",
    same_text="case when {0} = {1} or ({0} is null and {1} is null) then 1 else 0 end = 1",
    create_view="create view",
    instants="naive",
    has_booleans=False,
    has_nul=False,
    rejected_limit=16_000,
    text_limit=16_000,
)

# One writer at a time: the end of the transaction unlocks the row.
_LOCK_SCHEMA = """update "settings" set "value" = 'taken' where "key" = 'turn'"""


class AnsiEngine(DbApiEngine):
    """Loads into a database of an unknown engine.

    Writers wait for each other at a row of ``settings``, since no engine is known to have another lock.
    """

    dialect = ANSI
    has_lock_without_tables = False
    advice = MappingProxyType(
        {
            DatabaseFault.OTHER: (
                "This package has no dialect for this type of connection and writes standard SQL: temporary tables, "
                "window functions and md5 are needed."
            )
        }
    )
    _has_lock_row = False

    def configure(self) -> None:
        """Make the schema current in one of the ways that engines have.

        :raises ConfigurationError: none of them works.
        """
        with suppress(AttributeError, TypeError):
            self.connection.autocommit = False
        name, text = quote(self.schema), self.schema.replace("'", "''")
        ways = (f"set schema '{text}'", f"set search_path to {name}", f"use {name}", f"set current_schema = {name}")
        if not any(self._is_accepted(way) for way in ways):
            raise ConfigurationError(f"No way is known to make {self.schema!r} the current schema of this engine.")

    def begin(self, *, writing: bool) -> None:
        """Wait for the row, in the transaction that the driver began."""
        if writing and self._has_lock_row:
            self.run(_LOCK_SCHEMA)

    def has_tables(self) -> bool:
        """Return whether the schema has our tables."""
        self._has_lock_row = self._is_accepted(STATEMENTS["find_version"], commit=False)
        return self._has_lock_row

    def make_schema(self) -> None:
        """Create the schema; an engine that refuses will say so when tables are created."""
        self._is_accepted(f"create schema if not exists {quote(self.schema)}")
        self.configure()

    def check_schema(self) -> None:
        """Store the row that writers wait at."""
        store_setting(self, "turn", "taken")
        self._has_lock_row = True

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return that nothing is known of this engine's codes."""
        return DatabaseFault.OTHER

    def _is_accepted(self, sql: str, *, commit: bool = True) -> bool:
        """Run a statement and return whether the engine accepted it; roll back if not."""
        try:
            self.run(sql)
        except Exception as error:
            if not is_driver_error(error):
                raise
            self.rollback()
            return False
        if commit:
            self.connection.commit()
        return True
