"""The statements that read and change tables in Snowflake; nothing here talks to a database.

Names are not qualified: the connection has the schema as its current one.
"""

# ruff: noqa: S608 - the only values put into these statements are names of ours, whole numbers and escaped texts
from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_provider_toggl.core.load.engines.snowflake.dialect import SNOWFLAKE, name_of
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

COMMITS = name_of("toggl_commits")
"""One row with the number of commits. Changing it first keeps every other commit waiting."""

CREATE_COMMITS = f'create table if not exists {COMMITS} as select 0::number(19, 0) as "REVISION"'
"""A table that comes with its row: of two sessions that create it at once, one creates it."""

COMMITTED, CONFLICT, FAILED = "committed", "conflict", "failed"
"""What a commit's script returns; after the last one come the error's code and text."""

KEYS = "keys"
"""The column of a staged file of keys."""

_STATE_COLUMNS = max(len(table.columns) for table in STATE_TABLES.values())


def read_state() -> str:
    """Return the query of all small tables and the revision, as of one moment: one statement sees one moment.

    Its columns are the table's name, which is null for the revision, and the values as texts. The text of the query
    never changes, so Snowflake answers it from its result cache, without a warehouse, until somebody commits.
    """
    parts = [_as_texts("null", COMMITS, ['cast("REVISION" as varchar)'])]
    parts += [
        _as_texts(f"'{table.name}'", name_of(table.name), [_as_text(column) for column in table.columns])
        for table in STATE_TABLES.values()
    ]
    return " union all ".join(parts)


def _as_texts(name: str, table: str, values: list[str]) -> str:
    filled = [*values, *["null"] * (_STATE_COLUMNS - len(values))]
    columns = ", ".join(f'{value} as "C{number}"' for number, value in enumerate(filled))
    return f'select {name} as "NAME", {columns} from {table}'


def _as_text(column: Column) -> str:
    return f"cast({read_column(column)} as varchar)"


def read_column(column: Column) -> str:
    """Return the expression that a column is read by: instants as microseconds since 1970, dates and lists as texts.

    The connector's own instants have nanoseconds, which begin in 1677 and end in 2262.
    """
    name = name_of(column.name)
    if column.type == "timestamp":
        return f"date_part(epoch_microsecond, {name})"
    if column.type == "date":
        return f"to_char({name}, 'YYYY-MM-DD')"
    return f"to_json({name})" if column.type == "bigint_list" else name


def read_rows(table: StoredTable, condition: str) -> str:
    """Return the query of the rows that meet a condition, with columns as :func:`read_column` reads them."""
    columns = ", ".join(f"{read_column(column)} as {name_of(column.name)}" for column in table.columns)
    return f"select {columns} from {name_of(table.name)} where {condition}"


def is_listed(table: StoredTable, keys: Iterable[int | str]) -> str:
    """Return the condition that a row's key is one of some, which are part of the statement."""
    return f"{name_of(table.key[0])} in ({', '.join(map(_literal, keys))})"


def is_staged(table: StoredTable, file: str) -> str:
    """Return the condition that a row's key is in a staged file."""
    column = Column(KEYS, table.columns[0].type)
    return f"{name_of(table.key[0])} in (select {_staged_value(column)} from {file})"


def is_of(workspace_id: int | None) -> str:
    """Return the condition that a row is of a workspace, or of any."""
    return "true" if workspace_id is None else f"{name_of('workspace_id')} = {int(workspace_id)}"


def _literal(key: int | str) -> str:
    if isinstance(key, int):
        return str(key)
    # A backslash begins an escape sequence in Snowflake's texts.
    return "'" + key.replace("\\", "\\\\").replace("'", "''") + "'"


def put_files(folder: str, stage: str) -> str:
    """Return the statement that uploads all files of a folder, instead of those with the same names."""
    return f"put 'file://{folder}/*' @{stage} auto_compress = false overwrite = true"


def _staged_value(column: Column) -> str:
    """Return the expression of a value in a staged file; see ``files.to_file``."""
    value = f"$1:{column.name}"
    if column.type == "timestamp":
        return f"to_timestamp_tz({value}::number(38, 0), 6)"
    if column.type == "date":
        return f"to_date({value}::varchar, 'YYYY-MM-DD')"
    if column.type == "bigint_list":
        return f"parse_json({value}::varchar)::array"
    return f"{value}::{SNOWFLAKE.types[column.type]}"


def insert_rows(table: StoredTable, file: str) -> str:
    """Return the statement that inserts the rows of a staged file."""
    return f"insert into {name_of(table.name)} ({_names(table)}) select {_staged_values(table)} from {file}"


def merge_rows(table: StoredTable, file: str) -> str:
    """Return the statement that inserts the rows of a staged file, or replaces those with the same keys."""
    name = name_of(table.name)
    same = " and ".join(f"{name}.{name_of(key)} = source.{name_of(key)}" for key in table.key)
    others = [name_of(column.name) for column in table.columns if column.name not in table.key]
    updates = ", ".join(f"{other} = source.{other}" for other in others)
    values = ", ".join(f"source.{name_of(column.name)}" for column in table.columns)
    return (
        f"merge into {name} using (select {_staged_values(table)} from {file}) as source on {same} "
        f"when matched then update set {updates} "
        f"when not matched then insert ({_names(table)}) values ({values})"
    )


def delete_rows(table: StoredTable, condition: str = "true") -> str:
    """Return the statement that deletes the rows that meet a condition."""
    return f"delete from {name_of(table.name)} where {condition}"


def _names(table: StoredTable) -> str:
    return ", ".join(name_of(column.name) for column in table.columns)


def _staged_values(table: StoredTable) -> str:
    return ", ".join(f"{_staged_value(column)} as {name_of(column.name)}" for column in table.columns)


def commit(revision: int, statements: Sequence[str]) -> str:
    """Return the script that runs statements in one transaction if the revision is still the same.

    The server runs it to its end even if the client is gone. It returns errors as a text, since an error that leaves
    a script has another code.

    :return: a script that returns ``COMMITTED``, ``CONFLICT``, or ``FAILED`` with code and text of the error.
    """
    lines = [
        "begin",
        "begin transaction;",
        f'update {COMMITS} set "REVISION" = "REVISION" + 1 where "REVISION" = {int(revision)};',
        f"if (sqlrowcount = 0) then rollback; return '{CONFLICT}'; end if;",
        *(f"{statement};" for statement in statements),
        "commit;",
        f"return '{COMMITTED}';",
        "exception",
        f"when other then let outcome varchar := '{FAILED} ' || sqlcode || ' ' || sqlerrm; rollback; return outcome;",
        "end;",
    ]
    return "\n".join(lines)
