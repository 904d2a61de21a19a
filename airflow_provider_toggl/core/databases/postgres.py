"""PostgreSQL for the warehouse and the event store: session settings, names of schemas, and the meaning of errors.

The settings override the defaults of server, database and role.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault

SESSION_SETTINGS: dict[str, str] = {
    # How values are written as text, which psycopg and our queries read.
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    # How statements are parsed.
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # Time limits are for interactive queries; Airflow's execution_timeout limits tasks.
    "statement_timeout": "0",
    "transaction_timeout": "0",
    # Notices are not read.
    "client_min_messages": "warning",
}
"""What is set when a session or a transaction begins.

Not set: ``idle_session_timeout`` (a session that it ends is opened again, except for one that listens),
``synchronous_commit`` of the warehouse (its cursor is in the same transaction), and what only affects speed and space.
"""

CONNECT_PARAMETERS: dict[str, str] = {"client_encoding": "UTF8"}
"""What is sent with the first packet, before the defaults of roles apply."""

#: The first server version that has a setting.
_SINCE = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
LONGEST_NAME = 63
"""Bytes of a name; PostgreSQL cuts longer ones without an error."""


def build_settings(db: psycopg.Connection[Any], settings: Mapping[str, str], *, local: bool) -> sql.Composed:
    """Return the statements that set session settings, to be sent in one message.

    :param local: only until the end of the transaction, so that a pooler's next client is not affected.
    """
    version = db.info.server_version
    known = {name: value for name, value in settings.items() if _SINCE.get(name, 0) <= version}
    # A limit on statements also applies to the second one, unless it is lifted before.
    first = sql.SQL("set {}statement_timeout = {}; select ").format(
        sql.SQL("local " if local else ""), sql.Literal(known["statement_timeout"])
    )
    calls = [
        sql.SQL("set_config({}, {}, {})").format(sql.Literal(name), sql.Literal(value), sql.Literal(local))
        for name, value in known.items()
    ]
    return first + sql.SQL(", ").join(calls)


def find_fault(error: psycopg.Error) -> DatabaseFault:
    """Return what an error means."""
    if error.sqlstate:
        return faults.find_postgres_fault(error.sqlstate)
    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return DatabaseFault.OTHER  # psycopg refused the statement itself
    return DatabaseFault.CONNECTION_LOST


def find_refusal(error: psycopg.Error) -> DatabaseFault:
    """Return why no connection was made."""
    if error.sqlstate:
        return faults.find_postgres_fault(error.sqlstate)
    return faults.find_by_text(faults.POSTGRES_REFUSALS, str(error), DatabaseFault.UNREACHABLE)


def check_schema_name(schema: str) -> None:
    """Return if PostgreSQL takes the name of a schema without cutting it.

    :raises ConfigurationError: it is empty, has a NUL character, or is longer than 63 bytes.
    """
    size = len(schema.encode(errors="replace"))
    if not schema or "\0" in schema or size > LONGEST_NAME:
        raise ConfigurationError(
            f"The schema {schema!r} has {size} bytes; PostgreSQL takes names of 1 to {LONGEST_NAME} bytes without NUL "
            "characters and cuts longer ones, so that two schemas could become one. Choose a shorter name."
        )
