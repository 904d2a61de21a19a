"""The versions of a warehouse's tables, and how one becomes the next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from airflow_provider_toggl.core.errors import SchemaTooNew
from airflow_provider_toggl.core.land import history_sql, merge
from airflow_provider_toggl.core.land.days import create_days
from airflow_provider_toggl.core.land.dialects import Dialect
from airflow_provider_toggl.core.land.queries import load_queries
from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.session import Session

Migration = Callable[[Dialect], list[str]]

# A stream that comes later has a migration of its own.
_FIRST_STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")


def _first_tables(dialect: Dialect) -> list[str]:
    named, engine = load_queries("tables"), load_queries(dialect.file)
    beside = [sql for name, sql in named.items() if name.startswith("create_")]
    if not dialect.has_zones:
        beside.append(named["offsets_of_zone"])
    return [
        *(sql.format(**dialect.types) for sql in beside),
        *(merge.create_table(TABLES[stream], dialect) for stream in _FIRST_STREAMS),
        *(sql for name, sql in engine.items() if name.startswith("create_")),
    ]


# The n-th brings tables of version n-1 to version n. Released ones never change; a view that changes is a new one.
MIGRATIONS: tuple[Migration, ...] = (_first_tables, create_days, history_sql.create_tables)


def check_version(version: int, where: str) -> None:
    """Refuse a warehouse that is ahead of this package.

    :raises SchemaTooNew: a later version of this package made the tables.
    """
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"The tables in {where} are of version {version}; this version of airflow-provider-toggl "
            f"knows {len(MIGRATIONS)}. Upgrade the package, or land into another schema."
        )


def apply_migration(session: Session, number: int, now: datetime) -> None:
    """Bring tables of the version before to that number, and say so in them."""
    for statement in MIGRATIONS[number - 1](session.dialect):
        session.run(statement)
    session.run(load_queries("tables")["insert_version"], [number, now])
