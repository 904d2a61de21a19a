"""Queries over Iceberg tables, run by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.duckdb.memory import open_in_memory
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.merging.history_sql import create_changes, create_history
from airflow_provider_toggl.core.load.tables.amounts import create_amounts
from airflow_provider_toggl.core.load.tables.migrations import create_views

_WORD = re.compile(r"\w+")


def run(sql: str, parameters: Sequence[Any], read: Callable[[str], Any]) -> pa.Table:
    """Return the result of a query.

    :param read: returns the rows of a table as what DuckDB can query; called only for tables that the query names,
        itself or by a view.
    """
    views = build_views()
    named = _find_named(sql, views)
    with open_in_memory() as connection:
        for name in STORED_TABLES:
            if name in named:
                connection.register(name, read(name))
        for name, view in views.items():
            if name in named:
                connection.execute(view.replace("create or replace view", "create temporary view"))
        return connection.sql(sql, params=list(parameters)).to_arrow_table()


def build_views() -> dict[str, str]:
    """Return the statement that creates each view, by its name."""
    views = (*create_views(DUCKDB), *create_amounts(DUCKDB), create_changes(DUCKDB), create_history(DUCKDB))
    return {_name_of(view): view for view in views}


def _name_of(view: str) -> str:
    return view.split('"', 2)[1]


def _find_named(sql: str, views: dict[str, str]) -> set[str]:
    """Return the words of a query and of the views that it names; tables are among them."""
    named: set[str] = set()
    texts = [sql]
    while texts:
        words = set(_WORD.findall(texts.pop().lower())) - named
        named |= words
        texts += [view for name, view in views.items() if name in words]
    return named
