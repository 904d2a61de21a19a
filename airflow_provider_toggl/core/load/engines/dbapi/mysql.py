"""The MySQL and MariaDB engine: a database is a schema, and creating a table commits the transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi, DbApiEngine
from airflow_provider_toggl.core.load.engines.dialect import (
    NUMBER_AS_BOOLEAN_TEXT,
    Dialect,
    FactColumns,
    quote,
    whole_number_text,
)

_UNICODE = "character set utf8mb4 collate utf8mb4_bin"

# A server may default to an older format, whose keys and rows are too short for our texts; no session can change that.
_DYNAMIC = "row_format=dynamic"

MYSQL = Dialect(
    name="MySQL",
    types={
        "bigint": "bigint",
        "boolean": "tinyint(1)",
        "text": f"longtext {_UNICODE}",
        "double": "double",
        "timestamp": "datetime(6)",
        "date": "date",
        # Not json, which MySQL stores rewritten.
        "bigint_list": f"longtext {_UNICODE}",
        "json": f"longtext {_UNICODE}",
        "word": f"varchar(64) {_UNICODE}",
        "key": f"varchar(500) {_UNICODE}",
    },
    facts=FactColumns(
        local_date='cast(date_add(entry."start", interval span."offset_seconds" second) as date)',
        tag_names="""coalesce((
        select concat(
            '[', group_concat(coalesce(json_quote(tag."name"), 'null') order by given."place" separator ', '), ']'
        )
        from json_table(entry."tag_ids", '$[*]' columns ("place" for ordinality, "id" bigint path '$')) as given
            left join "tags" as tag on tag."id" = given."id"
    ), '[]')""",
    ),
    texts={
        "timestamp": "cast(timestampdiff(microsecond, '1970-01-01', {0}) as char)",
        "double": whole_number_text("signed", "char"),
        "boolean": NUMBER_AS_BOOLEAN_TEXT,
        **dict.fromkeys(("text", "json", "bigint_list"), "{0}"),
    },
    text="cast({0} as char)",
    length="char_length({0})",
    instant_text="date_format({0}, '%Y-%m-%dT%H:%i:%sZ')",
    same="{0} <=> {1}",
    # Collations of MySQL ignore trailing blanks.
    same_text="cast({0} as binary) <=> cast({1} as binary)",
    key_texts=("text", "json", "bigint_list"),
    # Without the key, each row of one table would be compared with each of the other.
    temporary=f"create temporary table {{0}} (primary key (id)) {_DYNAMIC} as",
    drop_temporary="drop temporary table if exists {0}",
    row_key="toggl_row bigint not null auto_increment primary key",
    table_options=_DYNAMIC,
    upsert="duplicate",
    add_key="rename",
    # It has no "create index if not exists", and keeps the tables of a migration that failed after them.
    version_index="inline",
    instants="naive",
    has_booleans=False,
)
_STATEMENTS = load_statements(__package__, "mysql.sql")
_LONGEST_NAME = 64

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
"""Settings of each session, by name and as SQL.

Left as they are: ``wait_timeout`` (a session that it ends is opened again), and what only affects speed and space.
"""
MYSQL_SETTINGS_WHERE_KNOWN: dict[str, str] = {
    # Time limits are for people's queries. How long a task may take is Airflow's execution_timeout.
    "max_statement_time": "0",
    "max_execution_time": "0",
    # A load computes between its statements, for longer than the limit that some servers set.
    "idle_transaction_timeout": "600",
    "idle_write_transaction_timeout": "600",
    "idle_readonly_transaction_timeout": "600",
    "alter_algorithm": "'DEFAULT'",
}
"""The same for variables that only MySQL has, or MariaDB, or later versions of one."""


class MysqlEngine(DbApiEngine):
    """Loads into a database of a MySQL or MariaDB server."""

    dialect = MYSQL
    _ignores_case = False

    def __init__(self, api: DbApi, *, schema: str = "toggl", lock_timeout: float = 300.0) -> None:
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
        super().__init__(api, schema=schema, lock_timeout=lock_timeout)
        self.advice = {
            DatabaseFault.MISSING_RIGHT: (
                f"The connection's user needs all rights on the database {schema!r}, CREATE TEMPORARY TABLES and "
                "CREATE VIEW among them, and CREATE where the database does not exist yet: "
                f"grant all on `{schema}`.* to its user, or let an administrator create it."
            )
        }

    def configure(self) -> None:
        """Make the session use standard SQL, Unicode and UTC, and the database where it exists."""
        for name, arguments in (
            ("set_charset_collation", ("utf8mb4", "utf8mb4_bin")),
            ("set_character_set", ("utf8mb4",)),
        ):
            if hasattr(self.connection, name):
                getattr(self.connection, name)(*arguments)
        self.run("set names utf8mb4 collate utf8mb4_bin")
        # First, and without parameters: how drivers write parameters depends on the mode.
        wait = str(self._whole_lock_timeout)
        self._set_variables({**MYSQL_SETTINGS, "innodb_lock_wait_timeout": wait, "lock_wait_timeout": wait})
        marks = ", ".join("?" for _ in MYSQL_SETTINGS_WHERE_KNOWN)
        found = self.run(f"show session variables where variable_name in ({marks})", list(MYSQL_SETTINGS_WHERE_KNOWN))
        known = {str(name).lower() for name, _ in found}
        self._set_variables({name: MYSQL_SETTINGS_WHERE_KNOWN[name] for name in known})
        # A load has the lock before it begins its transaction, so its first read sees what the load before stored. READ
        # COMMITTED would do too, but servers with binlog_format=STATEMENT write nothing in it.
        self.run("set session transaction isolation level repeatable read, read write")
        ((packet, ignores_case),) = self.run("select @@max_allowed_packet, @@lower_case_table_names")
        self.row_limit, self._ignores_case = int(packet), bool(int(ignores_case))
        if self.run(_STATEMENTS["find_schema"], [self.schema])[0][0]:
            self.run(f"use {quote(self.schema)}")

    def begin(self, *, writing: bool) -> None:
        """Wait for the schema's lock, then begin.

        :raises WarehouseLocked: another process has it for too long.
        """
        if writing:
            if self.run(_STATEMENTS["lock_schema"], [self._lock_name, self._whole_lock_timeout])[0][0] != 1:
                raise self.build_error(DatabaseFault.LOCKED, f"Schema {self.schema!r} is in use.", "")
            self.run("start transaction")

    def commit(self, *, writing: bool) -> None:
        """Commit, then release the lock."""
        if writing:
            self.run("commit")
            self.run(_STATEMENTS["unlock_schema"], [self._lock_name])

    def has_tables(self) -> bool:
        """Return whether the database has our tables."""
        return bool(self.run(_STATEMENTS["find_tables"])[0][0])

    def make_schema(self) -> None:
        """Create the database if it does not exist, and make it current."""
        if not self.run(_STATEMENTS["find_schema"], [self.schema])[0][0]:
            self.run(f"create database if not exists {quote(self.schema)} character set utf8mb4")
        self.run(f"use {quote(self.schema)}")

    def find_unencodable(self, characters: str) -> str:
        """Return the characters that a column cannot hold whose character set somebody has changed."""
        lost = ""
        for (name,) in self.run(_STATEMENTS["find_narrow_charsets"]):
            for character in characters:
                kept = self.run(f"select convert(convert(? using {quote(str(name))}) using utf8mb4)", [character])
                lost += "" if kept[0][0] == character else character
        return lost

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what an error number of MySQL means."""
        return faults.find_mysql_fault(error)

    @property
    def _whole_lock_timeout(self) -> int:
        return max(1, round(self.lock_timeout))

    @property
    def _lock_name(self) -> str:
        # Names of locks are those of the whole server, and not longer than 64 characters.
        schema = self.schema.lower() if self._ignores_case else self.schema
        return "toggl " + hashlib.sha256(schema.encode()).hexdigest()[:40]

    def _set_variables(self, values: Mapping[str, Any]) -> None:
        if values:
            self.run("set " + ", ".join(f"session {name} = {value}" for name, value in values.items()))
