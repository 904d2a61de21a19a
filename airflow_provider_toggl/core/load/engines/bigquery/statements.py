"""The statements of the store, built from its tables; nothing here talks to BigQuery."""

# ruff: noqa: S608 - the only names put into these statements are ours, and project and dataset in backticks
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_toggl.core.load.engines.bigquery.dialect import BIGQUERY, create_all_views, quote
from airflow_provider_toggl.core.load.engines.bigquery.values import PLAIN, TYPED, rows_part
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.tables.schemas import KEY

REVISION = "load_revision"
CONFLICT = "another commit came first"
"""The text of the error of a commit whose state is outdated."""

_PARTITIONS = {"time_entries": f"partition by timestamp_trunc({quote('start')}, month)"}


def create_missing(dataset: str, stored: Mapping[str, Iterable[str]]) -> str:
    """Return the script that creates what is missing.

    :param dataset: project and dataset, with a point between them.
    :param stored: the columns of each table that is there.
    """
    statements = []
    for name, table in STORED_TABLES.items():
        if name not in stored:
            statements.append(_create_table(dataset, table))
            continue
        there = set(stored[name])
        statements += [
            f"alter table {_of(dataset, name)} add column if not exists {quote(column.name)} "
            f"{BIGQUERY.types[column.type]}"
            for column in table.columns
            if column.name not in there
        ]
    statements += create_all_views(dataset)
    # The last one: with it the tables count as there.
    statements.append(f"create table if not exists {_of(dataset, REVISION)} as select 0 as {quote('revision')}")
    return ";\n".join(statement.strip().rstrip(";") for statement in statements) + ";"


def _create_table(dataset: str, table: StoredTable) -> str:
    columns = ", ".join(
        f"{quote(column.name)} {BIGQUERY.types[column.type]}" + (" not null" if column.name in table.key else "")
        for column in table.columns
    )
    cluster = f"cluster by {quote(KEY)}" if table.key == (KEY,) else ""
    return (
        f"create table if not exists {_of(dataset, table.name)} ({columns}) {_PARTITIONS.get(table.name, '')} {cluster}"
    )


def read_columns(dataset: str) -> str:
    """Return the query of tables and their columns."""
    return f"select table_name, column_name from {_of(dataset, 'INFORMATION_SCHEMA')}.COLUMNS"


def read_state(dataset: str) -> str:
    """Return the query of the revision and all small tables: one row for each of theirs, as a table and a text."""
    parts = [f"select '' as name, cast({quote('revision')} as string) as content from {_of(dataset, REVISION)}"]
    for name, table in STATE_TABLES.items():
        texts = ", ".join(PLAIN.get(column.type, "{0}").format(quote(column.name)) for column in table.columns)
        parts.append(f"select '{name}', to_json_string([{texts}]) from {_of(dataset, name)}")
    return "\nunion all ".join(parts)


def read_rows(dataset: str, table: StoredTable, key_type: str) -> str:
    """Return the query of the rows with some keys. Parameters: ``low``, ``high`` and ``keys``, a JSON array."""
    # The range lets BigQuery skip blocks of a clustered table; the list alone does not.
    return (
        f"select {_names(table)} from {_of(dataset, table.name)} "
        f"where {quote(KEY)} between @low and @high and {quote(KEY)} in ({_listed('keys', key_type)})"
    )


def read_workspace(dataset: str, table: StoredTable, workspace_id: int | None) -> str:
    """Return the query of all rows of a workspace, or of all. Parameter: ``workspace_id``."""
    where = "" if workspace_id is None else f" where {quote('workspace_id')} = @workspace_id"
    return f"select {_names(table)} from {_of(dataset, table.name)}{where}"


def commit(dataset: str, revision: int, changes: Sequence[TableChange], staging: str) -> str:
    """Return the script that stores changes.

    It has no parameters: the table of ``values.build_parts`` has all values.

    :param staging: that table; it is dropped at the end.
    """
    at, staged, number = _of(dataset, REVISION), _of(dataset, staging), quote("revision")
    stored = f"coalesce(max({number}), -1)"
    refuse = f"error(concat('{CONFLICT}, number ', cast({stored} as string)))"
    statements = [
        "begin transaction",
        f"select case when {stored} = {revision} then 'current' else {refuse} end as revision from {at}",
        # Two commits at once both change this row, and BigQuery ends one of them.
        f"update {at} set {number} = {revision + 1} where true",
    ]
    for place, change in enumerate(changes):
        part = rows_part(place)
        if len(change.deleted):
            key = _value(change.table, 0)
            statements.append(
                f"delete from {_of(dataset, change.table.name)} where {quote(KEY)} in "
                f"(select {key} from {staged} where part = {part + 1})"
            )
        if change.rows.num_rows:
            statements += _store(dataset, change, _rows_of(change.table, staged, part))
    statements += ["commit transaction", f"drop table if exists {staged}"]
    return ";\n".join(statements) + ";"


def _store(dataset: str, change: TableChange, source: str) -> list[str]:
    table, names = change.table, _names(change.table)
    target = _of(dataset, table.name)
    insert = f"insert into {target} ({names}) select {names} from {source}"
    if not table.key:
        return [f"delete from {target} where true", insert]
    if table.key == (KEY,) and change.is_append:
        # Reads nothing of the table.
        return [insert]
    same = [f"t.{quote(name)} = s.{quote(name)}" for name in table.key]
    if table.key == (KEY,) and key_type_of(table) == "int64":
        keys = change.rows[KEY].to_pylist()
        same.append(f"t.{quote(KEY)} between {min(keys)} and {max(keys)}")
    updates = ", ".join(
        f"{quote(column.name)} = s.{quote(column.name)}" for column in table.columns if column.name not in table.key
    )
    merge = f"merge into {target} as t using {source} as s on {' and '.join(same)}"
    return [f"{merge} when matched then update set {updates} when not matched then insert ({names}) values ({names})"]


def key_type_of(table: StoredTable) -> str:
    """Return BigQuery's type of a table's first column, which is its key if it has one of one column."""
    return BIGQUERY.types[table.columns[0].type]


def _rows_of(table: StoredTable, staged: str, part: int) -> str:
    columns = ", ".join(f"{_value(table, place)} as {quote(one.name)}" for place, one in enumerate(table.columns))
    return f"(select {columns} from {staged} where part = {part})"


def _value(table: StoredTable, place: int) -> str:
    return TYPED.get(table.columns[place].type, "{0}").format(f"json_value(content, '$[{place}]')")


def _listed(parameter: str, key_type: str) -> str:
    return f"select cast(one as {key_type}) from unnest(json_value_array(@{parameter})) as one"


def _names(table: StoredTable) -> str:
    return ", ".join(quote(column.name) for column in table.columns)


def _of(dataset: str, table: str) -> str:
    return quote(f"{dataset}.{table}")
