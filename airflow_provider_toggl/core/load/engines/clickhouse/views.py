"""The SQL of the views: for each table its rows as of the latest commit, and the facts and the history over them."""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``tables`` and of ``schemas``
from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_provider_toggl.core.load.engines.clickhouse.tables import COMMITS, COMPACTIONS, TYPES, stored
from airflow_provider_toggl.core.load.engines.dialect import Dialect, FactColumns, quote
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.engines.table_store.views import build_views
from airflow_provider_toggl.core.load.tables.schemas import VERSIONS

OVERLAP_SECONDS = 30
"""Seconds for which views still read commits that are compacted.

A query looks at its tables one after another. Without this, one that looked at the compacted rows just before a
compaction, and at the commits just after it, would miss commits.
"""

LAST_VIEW = "time_entry_history"
"""The view that is created last."""

COMPACTED = (
    f'(select max("revision") from {quote(COMPACTIONS)} '
    f'where "compacted_at" < now64(6) - toIntervalSecond({OVERLAP_SECONDS}))'
)
"""The revision up to which views read compacted rows only."""

_ZONE = """(select ifNull(max("value"), 'UTC') from "settings" where "key" = 'timezone')"""

_TAGS = '(select tuple(groupArray("id"), groupArray(tuple("name")).1) from "tags")'

DIALECT = Dialect(
    name="ClickHouse",
    types=TYPES,
    facts=FactColumns(
        local_date=f'toDate32(toTimeZone(entry."start", {_ZONE}))',
        # With constants, transform looks tags up in a hash table; a map or a join takes many times as long.
        tag_names=f'arrayMap(tag_id -> transform(tag_id, {_TAGS}.1, {_TAGS}.2, NULL), entry."tag_ids")',
        # A double would be cut, not rounded, on its way to a decimal.
        amount='toDecimal128(entry."billable_amount_cents", 2) / 100',
        joins="",
    ),
    text="toString({0})",
    instant_text="formatDateTime({0}, '%Y-%m-%dT%H:%i:%SZ', 'UTC')",
    same_text="coalesce({0} = {1}, {0} is null and {1} is null)",
)


def create_all_views() -> Iterator[str]:
    """Yield the statements that create the views, or replace them."""
    for table in STORED_TABLES.values():
        yield f"create or replace view {quote(table.name)} as {current_rows(table, _public_columns(table))}"
    for statement in build_views(DIALECT).values():
        # In a join, ClickHouse would name a column such as entry."user_id" "entry.user_id" if another table has it too.
        yield re.sub(r'^( +\w+\.("\w+"))(,?)$', r"\1 as \2\3", statement, flags=re.MULTILINE)


def current_rows(table: StoredTable, columns: str, condition: str = "1") -> str:
    """Return the query of a table's rows as of the latest commit.

    :param columns: the result's expressions over the table's columns.
    :param condition: on columns of the table's key, or that never change.
    """
    newest = newest_changes(table, condition)
    key = ", ".join(map(quote, table.key))
    # A table without a key has one row.
    is_unchanged = (
        f"({key}) not in (select {key} from ({newest}))" if table.key else f"not exists (select 1 from ({newest}))"
    )
    return (
        f"select {columns} from {quote(stored(table))} final where {condition} and {is_unchanged}\n"
        f'union all\nselect {columns} from ({newest}) where "is_deleted" = 0'
    )


def newest_changes(table: StoredTable, condition: str) -> str:
    """Return the query of the latest change of each row in commits that views read beside compacted rows."""
    by = f" by {', '.join(map(quote, table.key))}" if table.key else ""
    changes = select_changes(table, f'"revision" > {COMPACTED} and {condition}')
    return f'{changes} order by "revision" desc limit 1{by}'


def select_changes(table: StoredTable, condition: str) -> str:
    """Return the query of the changes of a table in commits: its columns, ``is_deleted`` and ``revision``."""
    names = [column.name for column in table.columns] + ["is_deleted"]
    changes = ", ".join(f"change.{quote(name)} as {quote(name)}" for name in names)
    return (
        f'select {changes}, "revision" from {quote(COMMITS)} array join {quote(table.name)} as change '
        f'where "is_empty" = 0 and {condition}'
    )


def _public_columns(table: StoredTable) -> str:
    names = [quote(column.name) for column in table.columns]
    if table.name in (VERSIONS.name, "rates"):
        # The history asks for the version before the first one, and amounts for the rate of an entry without one: null
        # and not 0.
        names[0] = f"toNullable({names[0]}) as {names[0]}"
    return ", ".join(names)
