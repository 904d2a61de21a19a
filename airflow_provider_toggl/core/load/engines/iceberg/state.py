"""The small tables as rows of one Iceberg table, and what its snapshots say about the other tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from airflow_provider_toggl.core.load.engines.iceberg.schemas import ROOT_TABLE, arrow_schema
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, StoredTable

_SNAPSHOTS, _CHANGED = "toggl.snapshots", "toggl.changed"


@dataclass(frozen=True)
class Pointer:
    """The snapshot of a table that belongs to a state.

    :param snapshot_id: its id.
    :param sequence_number: its number within the table.
    """

    snapshot_id: int
    sequence_number: int


@dataclass(frozen=True)
class Pointers:
    """The snapshots of all tables that belong to a state.

    :param snapshots: by table; tables that never got rows are missing.
    :param changed: the tables that the last commit changed, whose snapshots may not be current yet.
    """

    snapshots: Mapping[str, Pointer] = field(default_factory=dict)
    changed: tuple[str, ...] = ()

    def advance(self, staged: Mapping[str, Snapshot]) -> Pointers:
        """Return the pointers after a commit."""
        new = {name: Pointer(one.snapshot_id, one.sequence_number or 0) for name, one in staged.items()}
        return Pointers({**self.snapshots, **new}, tuple(sorted(staged)))

    def as_properties(self) -> dict[str, str]:
        """Return them as properties of a snapshot's summary."""
        pairs = {name: [one.snapshot_id, one.sequence_number] for name, one in sorted(self.snapshots.items())}
        return {_SNAPSHOTS: json.dumps(pairs), _CHANGED: json.dumps(self.changed)}


def find_pointers(root: Table) -> Pointers:
    """Return what the latest commit of this package says."""
    properties = find_properties(root, _SNAPSHOTS)
    if not properties:
        return Pointers()
    pairs = json.loads(properties[_SNAPSHOTS])
    return Pointers({name: Pointer(*pair) for name, pair in pairs.items()}, tuple(json.loads(properties[_CHANGED])))


def find_properties(table: Table, wanted: str) -> dict[str, str]:
    """Return the properties of the latest snapshot that has one of that name; others may have rewritten files since."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        properties = snapshot.summary.additional_properties if snapshot.summary else {}
        if wanted in properties:
            return dict(properties)
        parent_id = snapshot.parent_snapshot_id
        snapshot = table.metadata.snapshot_by_id(parent_id) if parent_id is not None else None
    return {}


def split_state(rows: pa.Table) -> dict[str, pa.Table]:
    """Return the rows of each small table."""
    tables = {}
    for name, table in STATE_TABLES.items():
        schema = arrow_schema(table.columns)
        tables[name] = rows.filter(pc.equal(rows["table_name"], name)).select(schema.names).cast(schema)
    return tables


def join_state(tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the rows of all small tables as those of one."""
    schema = arrow_schema(ROOT_TABLE.columns)
    parts = []
    for name, rows in tables.items():
        columns = [
            rows[column.name].cast(column.type)
            if column.name in rows.column_names
            else pa.nulls(len(rows), column.type)
            for column in schema
        ]
        columns[0] = pa.array([name] * len(rows), pa.string())
        parts.append(pa.Table.from_arrays(columns, schema=schema))
    return pa.concat_tables(parts)


def apply_change(stored: pa.Table, change: TableChange) -> pa.Table:
    """Return the rows of a small table after a change."""
    rows = change.rows.select(stored.column_names).cast(stored.schema)
    if not change.table.key:
        return rows
    gone = set(_keys(rows, change.table))
    kept = stored.filter(pa.array([key not in gone for key in _keys(stored, change.table)], pa.bool_()))
    return pa.concat_tables([kept, rows])


def _keys(rows: pa.Table, table: StoredTable) -> Sequence[tuple[object, ...]]:
    return list(zip(*(_plain(rows[name]).to_pylist() for name in table.key), strict=True))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
