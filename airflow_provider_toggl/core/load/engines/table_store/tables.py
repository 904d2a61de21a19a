"""The tables that a table store keeps, with their keys."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_toggl.core.load.tables.schemas import KEY, TABLES, VERSIONS, Column


@dataclass(frozen=True)
class StoredTable:
    """A table of a store.

    :param name: its name.
    :param columns: all columns in order; types are those of ``schemas.Column``.
    :param key: the columns that identify a row; empty for a table of one row.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


def _table(name: str, key: tuple[str, ...], *columns: tuple[str, str]) -> StoredTable:
    return StoredTable(name, tuple(Column(*column) for column in columns), key)


STATE_TABLES: dict[str, StoredTable] = {
    table.name: table
    for table in (
        _table("schema_version", ("version",), ("version", "bigint"), ("applied_at", "timestamp")),
        _table("settings", ("key",), ("key", "word"), ("value", "text")),
        _table(
            "sync_state",
            ("stream", "scope"),
            ("stream", "word"),
            ("scope", "key"),
            ("watermark", "timestamp"),
            ("cursor", "text"),
            ("last_run_at", "timestamp"),
            ("requests_spent", "bigint"),
        ),
        _table(
            "complete_lists",
            ("stream", "workspace_id"),
            ("stream", "word"),
            ("workspace_id", "bigint"),
            ("complete_at", "timestamp"),
        ),
        _table(
            "changed_days",
            ("workspace_id", "day"),
            ("workspace_id", "bigint"),
            ("day", "date"),
            ("seq", "bigint"),
            ("changed_at", "timestamp"),
        ),
        _table("change_counter", (), ("seq", "bigint")),
    )
}
"""Small tables, which are read as a whole when a transaction begins."""

REJECTED = _table(
    "rejected_records",
    (KEY,),
    ("id", "word"),
    ("stream", "word"),
    ("workspace_id", "bigint"),
    ("raw", "text"),
    ("reason", "text"),
    ("observed_at", "timestamp"),
    ("landed_at", "timestamp"),
)

ROW_TABLES: dict[str, StoredTable] = {
    REJECTED.name: REJECTED,
    VERSIONS.name: StoredTable(VERSIONS.name, VERSIONS.columns, (KEY,)),
    **{table.name: StoredTable(table.name, table.columns, (KEY,)) for table in TABLES.values()},
}
"""Large tables, of which only the rows that a transaction needs are read."""

STORED_TABLES: dict[str, StoredTable] = STATE_TABLES | ROW_TABLES
