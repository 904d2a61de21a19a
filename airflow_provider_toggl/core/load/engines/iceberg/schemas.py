"""The Iceberg tables: their columns, partitions and properties."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, MonthTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES, STATE_TABLES, StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

ROOT = "toggl_state"
"""The table of all small tables. Its snapshots decide which snapshots of the other tables count."""

_TYPES: dict[str, IcebergType] = {
    "bigint": LongType(),
    "boolean": BooleanType(),
    "double": DoubleType(),
    "timestamp": TimestamptzType(),
    "date": DateType(),
    "amount": DecimalType(18, 2),
}
_MONTHS = {"time_entries": "start", "time_entry_facts": "local_date"}
"""Tables with partitions, one for each month of a column in UTC."""

PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    # Another engine that deletes rows rewrites files, as this package does.
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def _merge_columns() -> tuple[Column, ...]:
    columns: dict[str, Column] = {}
    for table in STATE_TABLES.values():
        for column in table.columns:
            columns.setdefault(column.name, column)
    return (Column("table_name", "word"), *columns.values())


ROOT_TABLE = StoredTable(ROOT, _merge_columns(), ())
"""Rows of all small tables: the table's name, and the columns of all of them."""

FACTS = "time_entry_facts"
"""The table that is a copy of the view of that name, if it is kept."""

FACTS_TABLE = StoredTable(
    FACTS,
    tuple(
        Column(name, type_)
        for name, type_ in (
            ("time_entry_id", "bigint"),
            ("workspace_id", "bigint"),
            ("user_id", "bigint"),
            ("user_name", "text"),
            ("client_id", "bigint"),
            ("client_name", "text"),
            ("project_id", "bigint"),
            ("project_name", "text"),
            ("task_id", "bigint"),
            ("task_name", "text"),
            ("tag_ids", "bigint_list"),
            ("tag_names", "text_list"),
            ("description", "text"),
            ("billable", "boolean"),
            ("start", "timestamp"),
            ("stop", "timestamp"),
            ("local_date", "date"),
            ("hours", "double"),
            ("amount", "amount"),
            ("currency", "text"),
        )
    ),
    ("time_entry_id",),
)

ALL_TABLES: dict[str, StoredTable] = {**ROW_TABLES, ROOT: ROOT_TABLE}
"""In the order in which they are created: the one that says that all exist comes last."""


def build_schema(table: StoredTable) -> Schema:
    """Return a table's columns; ids of fields are assigned when it is created."""
    fields, element = [], 1000
    for number, column in enumerate(table.columns, start=1):
        kind = _TYPES.get(column.type, StringType())
        if column.type.endswith("_list"):
            element += 1
            kind = ListType(
                element, _TYPES.get(column.type.removesuffix("_list"), StringType()), element_required=False
            )
        is_key = (column.name,) == table.key
        fields.append(NestedField(number, column.name, kind, required=is_key))
    return Schema(*fields, identifier_field_ids=[1] if len(table.key) == 1 else [])


def build_partitions(table: StoredTable, schema: Schema) -> PartitionSpec:
    """Return how a table is partitioned."""
    if table.name not in _MONTHS:
        return PartitionSpec()
    name = _MONTHS[table.name]
    return PartitionSpec(PartitionField(schema.find_field(name).field_id, 1000, MonthTransform(), f"{name}_month"))


def build_order(table: StoredTable, schema: Schema) -> SortOrder:
    """Return the order of the rows of each file: by key."""
    return SortOrder(*(SortField(schema.find_field(name).field_id, IdentityTransform()) for name in table.key))


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return columns as Arrow types."""
    texts = {
        "word": pa.string(),
        "key": pa.string(),
        "text_list": pa.list_(pa.string()),
        "amount": pa.decimal128(18, 2),
    }
    return pa.schema([(c.name, texts.get(c.type) or COLUMN_TYPES[c.type].arrow) for c in columns])


def month_of(table: StoredTable) -> str | None:
    """Return the column whose months are a table's partitions, None without partitions."""
    return _MONTHS.get(table.name)
