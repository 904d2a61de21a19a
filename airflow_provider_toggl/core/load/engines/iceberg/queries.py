"""Queries over Iceberg tables, run by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.duckdb.memory import open_in_memory
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.engines.table_store.views import build_views

_WORD = re.compile(r"\w+")


def run(sql: str, parameters: Sequence[Any], read: Callable[[str], Any]) -> pa.Table:
    """Return the result of a query.

    :param read: returns the rows of a table as what DuckDB can query; called only for tables that the query names,
        itself or by a view.
    """
    views = build_views(DUCKDB)
    named = _find_named(sql, views)
    with open_in_memory() as connection:
        for name in STORED_TABLES:
            if name in named:
                connection.register(name, read(name))
        for name, view in views.items():
            if name in named:
                connection.execute(view.replace("create or replace view", "create temporary view"))
        return connection.sql(sql, params=list(parameters)).to_arrow_table()


def _find_named(sql: str, views: dict[str, str]) -> set[str]:
    """Return the words of a query and of the views that it names; tables are among them."""
    named: set[str] = set()
    texts = [sql]
    while texts:
        words = set(_WORD.findall(texts.pop().lower())) - named
        named |= words
        texts += [view for name, view in views.items() if name in words]
    return named
