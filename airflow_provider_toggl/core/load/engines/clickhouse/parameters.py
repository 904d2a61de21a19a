"""Queries with ``?`` for parameters, as ClickHouse takes them: ``{p0:Int64}`` with the values beside the query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError

_TOKENS = re.compile(
    r"""
    '(?:[^'\\]|\\.|'')*'          # a text
    | "(?:[^"\\]|\\.|"")*"        # an identifier
    | `(?:[^`\\]|\\.|``)*`        # an identifier
    | --[^\n]* | /\*.*?\*/        # a comment
    | \?
    """,
    re.VERBOSE | re.DOTALL,
)


def bind(sql: str, parameters: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return a query with named parameters, and their values.

    :param sql: with ``?`` for parameters; one in a text, a quoted identifier or a comment is none.
    :param parameters: datetimes are aware.
    :raises ConfigurationError: there are more or fewer parameters than ``?``, or one is of a type that has no
        counterpart.
    """
    values: dict[str, Any] = {}
    left = list(parameters)

    def replace(match: re.Match[str]) -> str:
        if match.group() != "?":
            return match.group()
        if not left:
            raise _wrong_number(sql, parameters)
        value = left.pop(0)
        if value is None:
            return "NULL"
        name = f"p{len(values)}"
        type_, values[name] = _convert(value)
        return f"{{{name}:{type_}}}"

    bound = _TOKENS.sub(replace, sql)
    if left:
        raise _wrong_number(sql, parameters)
    return bound, values


def literal(value: int | str) -> str:
    """Return a whole number or a text as SQL."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _convert(value: Any) -> tuple[str, Any]:
    # The client would write instants in the server's time zone.
    if isinstance(value, datetime):
        return "DateTime64(6, 'UTC')", value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f").zfill(26)
    if isinstance(value, date):
        return "Date32", value.isoformat()
    if isinstance(value, bool):
        return "Bool", "true" if value else "false"
    if isinstance(value, int):
        return "Int64", value
    if isinstance(value, float):
        return "Float64", value
    if isinstance(value, str):
        return "String", value
    raise ConfigurationError(
        f"A query has a parameter of type {type(value).__name__}; ClickHouse takes texts, numbers, booleans, dates and "
        "aware datetimes here."
    )


def _wrong_number(sql: str, parameters: Sequence[Any]) -> ConfigurationError:
    wanted = sum(match.group() == "?" for match in _TOKENS.finditer(sql))
    return ConfigurationError(f"A query has {wanted} question marks for {len(parameters)} parameters.")
