"""The SQLite engine: a file is a schema, and one connection writes at a time."""

from __future__ import annotations

import hashlib
from types import MappingProxyType

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApiEngine
from airflow_provider_toggl.core.load.engines.dialect import (
    NUMBER_AS_BOOLEAN_TEXT,
    Dialect,
    FactColumns,
    whole_number_text,
)
from airflow_provider_toggl.core.load.tables.state import find_setting, store_setting

SQLITE = Dialect(
    name="SQLite",
    types={
        "bigint": "integer",
        "boolean": "boolean",
        "text": "text",
        "double": "real",
        "timestamp": "text",
        "date": "text",
        "bigint_list": "text",
        "json": "text",
        "word": "text",
        "key": "text",
    },
    facts=FactColumns(
        local_date="""date(substr(entry."start", 1, 19), span."offset_seconds" || ' seconds')""",
        tag_names="""(
        select json_group_array(named."name")
        from (
            select tag."name"
            from json_each(entry."tag_ids") as given left join "tags" as tag on tag."id" = given."value"
            order by given."key"
        ) as named
    )""",
        amount='round(entry."billable_amount_cents" / 100.0, 2)',
    ),
    texts={
        "timestamp": (
            "cast(cast(strftime('%s', {0}) as integer) * 1000000 + cast(substr({0}, 21, 6) as integer) as text)"
        ),
        "double": whole_number_text("integer", "text"),
        "boolean": NUMBER_AS_BOOLEAN_TEXT,
    },
    text="cast({0} as text)",
    instant_text="substr({0}, 1, 19) || 'Z'",
    same="{0} is {1}",
    same_text="{0} is {1}",
    create_view="create view if not exists",
    upsert="conflict",
    add_key="copy",
    version_index="statement",
    instants="text",
    has_booleans=False,
)
_STATEMENTS = load_statements(__package__, "sqlite.sql")


class SqliteEngine(DbApiEngine):
    """Loads into an SQLite file."""

    dialect = SQLITE
    advice = MappingProxyType(
        {
            DatabaseFault.READ_ONLY: (
                "The user that Airflow's tasks run as needs to write the file and the directory it is in."
            )
        }
    )

    def configure(self) -> None:
        """Set the lock timeout, begin no transactions implicitly, and define md5."""
        self.connection.isolation_level = None
        self.connection.create_function("md5", 1, _md5, deterministic=True)
        self.run(f"pragma busy_timeout = {max(1, round(self.lock_timeout * 1000))}")

    def begin(self, *, writing: bool) -> None:
        """Begin as the only writer."""
        if writing:
            self.run("begin immediate")

    def has_tables(self) -> bool:
        """Return whether the file has our tables.

        :raises ConfigurationError: it is the file of an event store, whose table of versions has the same name.
        """
        if self.run(_STATEMENTS["find_event_store"])[0][0]:
            raise ConfigurationError(
                "The SQLite file of the warehouse has the tables of an event store: give the warehouse a file of its "
                "own in warehouse_conn_id."
            )
        return bool(self.run(_STATEMENTS["find_tables"])[0][0])

    def make_schema(self) -> None:
        """Do nothing: the file is the schema."""

    def check_schema(self) -> None:
        """Refuse a second schema in a file."""
        stored = find_setting(self, "schema", "")
        if not stored:
            store_setting(self, "schema", self.schema)
        elif stored != self.schema:
            raise ConfigurationError(
                f"The tables in this SQLite file are those of schema {stored!r}, not of {self.schema!r}. SQLite has "
                "one schema a file: name a connection with another file."
            )

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what a result code of SQLite means."""
        return faults.find_sqlite_fault(error)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
