"""The versions of a warehouse's tables, and the migrations from each to the next."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.errors import SchemaTooNew
from airflow_provider_toggl.core.load.engines.contract import Session
from airflow_provider_toggl.core.load.engines.dialect import Dialect, quote
from airflow_provider_toggl.core.load.merging import changed_days, history_sql, rule
from airflow_provider_toggl.core.load.tables.amounts import create_amounts
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.tables.state import STATEMENTS

Migration = Callable[[Dialect], list[str]]

_FIRST_STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")


def _first_tables(dialect: Dialect) -> list[str]:
    beside = load_statements(__package__, "tables.sql")
    return [
        *(
            sql.format(**dialect.types)
            for name, sql in beside.items()
            if _has_table(name.removeprefix("create_"), dialect)
        ),
        *(rule.create_table(TABLES[stream], dialect) for stream in _FIRST_STREAMS),
        *create_views(dialect),
    ]


def _has_table(name: str, dialect: Dialect) -> bool:
    return name != "zone_offsets" or not dialect.has_zones


def create_views(dialect: Dialect) -> list[str]:
    """Return the statements that create ``live_time_entries`` and ``time_entry_facts``."""
    words = {"create_view": dialect.create_view, **asdict(dialect.facts)}
    return [statement.format(**words) for statement in load_statements(__package__, "views.sql").values()]


_SECOND_STREAMS = (
    "workspace_users",
    "timesheet_setups",
    "timesheets",
    "organization_users",
    "currencies",
    "project_groups",
    "invoices",
    "expenses",
    "goals",
    "alerts",
    "time_entry_constraints",
    "workspaces",
    "organizations",
    "audit_log",
    "timesheet_history",
    "project_periods",
)


def _second_tables(dialect: Dialect) -> list[str]:
    return [rule.create_table(TABLES[stream], dialect) for stream in _SECOND_STREAMS]


def _add_rates(dialect: Dialect) -> list[str]:
    return [rule.create_table(TABLES["rates"], dialect), *create_amounts(dialect)]


_KEYS = {"schema_version": "version", "zone_offsets": "begin_at", "change_counter": "seq"}
"""The tables that the first versions created without a primary key, each with its key now."""


def _add_keys(dialect: Dialect) -> list[str]:
    """Return the statements that add a primary key to the tables without one."""
    return [statement for name in _KEYS if _has_table(name, dialect) for statement in _add_key(name, dialect)]


def _add_key(name: str, dialect: Dialect) -> list[str]:
    if dialect.add_key == "alter":
        return [f"alter table {quote(name)} add primary key ({quote(_KEYS[name])})"]
    table, copy, old = (quote(f"{name}{suffix}") for suffix in ("", "_keyed", "_keyless"))
    columns = ", ".join(map(quote, _COLUMNS[name]))
    create, fill = _create_keyed(name, dialect), f"select distinct {columns} from"
    if dialect.add_key == "rename":
        # Each statement commits and may come twice, so the table itself always exists.
        return [
            f"drop table if exists {copy}, {old}",
            create.replace(f"create table if not exists {table}", f"create table {copy}"),
            f"insert into {copy} ({columns}) {fill} {table}",
            f"rename table {table} to {old}, {copy} to {table}",
            f"drop table {old}",
        ]
    # SQLite can neither add a key to a table nor rename a table that a view names.
    return [
        f"create temporary table {copy} as {fill} {table}",
        f"drop table {table}",
        create,
        f"insert into {table} ({columns}) {fill} {copy}",
        f"drop table {copy}",
    ]


_COLUMNS = {
    "schema_version": ("version", "applied_at"),
    "zone_offsets": ("begin_at", "end_at", "offset_seconds"),
    "change_counter": ("seq",),
}


def _create_keyed(name: str, dialect: Dialect) -> str:
    columns = ", ".join(
        f"{quote(column)} {dialect.types['timestamp' if column.endswith('_at') else 'bigint']} not null"
        + (" primary key" if column == _KEYS[name] else "")
        for column in _COLUMNS[name]
    )
    return f"create table if not exists {quote(name)} ({columns})"


# The n-th brings tables of version n-1 to version n. Released ones never change; a changed view is a new migration.
MIGRATIONS: tuple[Migration, ...] = (
    _first_tables,
    changed_days.create_days,
    history_sql.create_tables,
    _add_keys,
    _second_tables,
    _add_rates,
)


def create_all(dialect: Dialect) -> list[str]:
    """Return the statements that create the empty tables and the views of the current version; each may come twice.

    They are those of all migrations, except that each table has its key from the start: some servers refuse to create
    one without a key.
    """
    keyed = [_create_keyed(name, dialect) for name in _KEYS if _has_table(name, dialect)]
    later = [sql for make in MIGRATIONS if make is not _add_keys for sql in make(dialect)]
    statements = keyed + [_AS_FIRST.sub(r"\1 if not exists ", sql) for sql in later if not _NEEDLESS.match(sql)]
    if not dialect.table_options:
        return statements
    return [f"{sql} {dialect.table_options}" if sql.startswith("create table") else sql for sql in statements]


_AS_FIRST = re.compile("^(create table) (?!if not exists )")
_NEEDLESS = re.compile(rf"""insert into|create table (if not exists )?"?({"|".join(_KEYS)})\b""")
"""What a new warehouse does not need: rows derived from older ones, and tables without a key."""


def check_version(version: int, where: str) -> None:
    """Refuse tables of a later version of this package.

    :param where: how the error names the warehouse.
    :raises SchemaTooNew: they are.
    """
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"The tables in {where} are of version {version}; this version of airflow-provider-toggl "
            f"knows {len(MIGRATIONS)}. Upgrade the package, or load into another schema."
        )


def apply_migrations(session: Session, version: int, now: datetime) -> None:
    """Bring tables to the current version, and record it in them.

    :param version: their version, 0 if there are none.
    """
    if version and session.has_current_tables:
        for number in range(version + 1, len(MIGRATIONS) + 1):
            session.run(STATEMENTS["insert_version"], [number, now])
        return
    if version:
        for number in range(version + 1, len(MIGRATIONS) + 1):
            apply_migration(session, number, now)
        return
    for statement in create_all(session.dialect):
        session.run(statement)
    if not session.run(changed_days.STATEMENTS["count_counters"])[0][0]:
        session.run(changed_days.STATEMENTS["insert_counter"])
    if not session.dialect.has_zones:
        # Imported here: it needs pyarrow, and every operator imports this module.
        from airflow_provider_toggl.core.load.tables.zones import store_offsets  # noqa: PLC0415 - see above

        store_offsets(session, "UTC")
    # The last one first: on an engine whose DDL commits, tables without a version are created again, and one suffices.
    for number in range(len(MIGRATIONS), 0, -1):
        session.run(STATEMENTS["insert_version"], [number, now])


def apply_migration(session: Session, number: int, now: datetime) -> None:
    """Bring tables of the version before to that number, and record it in them."""
    for statement in MIGRATIONS[number - 1](session.dialect):
        session.run(statement)
    session.run(STATEMENTS["insert_version"], [number, now])
