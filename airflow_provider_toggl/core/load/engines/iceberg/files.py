"""Data files: written with the statistics that this package prunes by, and found again by them."""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestFile
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.typedef import Record
from pyiceberg.types import PrimitiveType

from airflow_provider_toggl.core.load.engines.iceberg.schemas import arrow_schema, month_of
from airflow_provider_toggl.core.load.engines.table_store.tables import StoredTable

MOST_ROWS = 100_000
"""Rows of a data file; a changed row costs writing its whole file again."""

_ROWS_IN_GROUP = 20_000
_BOUNDED = ("id", "workspace_id", "start")
"""Columns whose least and greatest values are stored with each file."""


@dataclass(frozen=True)
class LiveFile:
    """A data file of a snapshot.

    :param entry: its entry in a manifest.
    :param manifest: the path of that manifest.
    :param low: the least key in it; None if unknown.
    :param high: the greatest.
    :param deletes: files of another engine that delete rows of it.
    """

    entry: ManifestEntry
    manifest: str
    low: Any
    high: Any
    deletes: frozenset[DataFile] = frozenset()

    @property
    def path(self) -> str:
        """The file's address."""
        return str(self.entry.data_file.file_path)

    @property
    def rows(self) -> int:
        """The number of rows, without deletions by other engines."""
        return int(self.entry.data_file.record_count)

    def may_hold(self, ordered: Sequence[Any]) -> int:
        """Return how many of some ordered keys are between its least and greatest one."""
        if self.low is None or self.high is None:
            return len(ordered)
        return bisect_right(ordered, self.high) - bisect_left(ordered, self.low)


class FileIndex:
    """The data files of a table's snapshots. Manifests never change, so each is read once."""

    def __init__(self) -> None:
        self._manifests: dict[str, list[LiveFile]] = {}

    def list_files(self, table: Table, snapshot: Snapshot | None, stored: StoredTable) -> list[LiveFile]:
        """Return the data files of a snapshot."""
        if snapshot is None:
            return []
        manifests = snapshot.manifests(table.io)
        if any(manifest.content == ManifestContent.DELETES for manifest in manifests):
            return self._with_deletes(table, snapshot, manifests, stored)
        read = {one.manifest_path: self._read(table, one, stored) for one in manifests}
        self._manifests = read
        return [file for files in read.values() for file in files]

    def _read(self, table: Table, manifest: ManifestFile, stored: StoredTable) -> list[LiveFile]:
        known = self._manifests.get(manifest.manifest_path)
        if known is not None:
            return known
        return [
            _live_file(table, entry, manifest.manifest_path, stored)
            for entry in manifest.fetch_manifest_entry(table.io)
        ]

    def _with_deletes(
        self, table: Table, snapshot: Snapshot, manifests: Iterable[ManifestFile], stored: StoredTable
    ) -> list[LiveFile]:
        """Return the files with the deletions that another engine wrote beside them."""
        deletes = {
            task.file.file_path: frozenset(task.delete_files)
            for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files()
        }
        return [
            LiveFile(file.entry, file.manifest, file.low, file.high, deletes.get(file.path, frozenset()))
            for manifest in manifests
            if manifest.content == ManifestContent.DATA
            for file in self._read(table, manifest, stored)
        ]


def _live_file(table: Table, entry: ManifestEntry, manifest: str, stored: StoredTable) -> LiveFile:
    if not stored.key:
        return LiveFile(entry, manifest, None, None)
    field, data = table.schema().find_field(stored.key[0]), entry.data_file
    low, high = ((values or {}).get(field.field_id) for values in (data.lower_bounds, data.upper_bounds))
    # Other engines cut the bounds of texts.
    if stored.columns[0].type != "bigint" or low is None or high is None:
        return LiveFile(entry, manifest, None, None)
    return LiveFile(entry, manifest, from_bytes(field.field_type, low), from_bytes(field.field_type, high))


# Reading


def read_files(table: Table, files: Sequence[LiveFile], stored: StoredTable, columns: Sequence[str]) -> pa.Table:
    """Return columns of all rows of data files."""
    wanted = arrow_schema(column for column in stored.columns if column.name in columns)
    if not files:
        return wanted.empty_table()
    plain = [file for file in files if not file.deletes]
    parts = [open_dataset(table, plain, wanted).to_table()] if plain else []
    marked = [FileScanTask(file.entry.data_file, set(file.deletes)) for file in files if file.deletes]
    if marked:
        scan = ArrowScan(table.metadata, table.io, table.schema().select(*columns), AlwaysTrue())
        parts.append(scan.to_table(marked).select(wanted.names))
    return pa.concat_tables([part.cast(wanted) for part in parts])


def open_dataset(table: Table, files: Sequence[LiveFile], wanted: pa.Schema) -> ds.Dataset:
    """Return data files as one set of rows that is read when it is used; missing columns are null."""
    system: Any = None
    paths = []
    for file in files:
        source = table.io.new_input(file.path)
        system, path = native_file(source)
        paths.append(path)
    return ds.dataset(paths, schema=wanted, format="parquet", filesystem=system)


def native_file(source: Any) -> tuple[Any, str]:
    """Return Arrow's file system and the path in it of a file of pyiceberg."""
    system = getattr(source, "_filesystem", None)
    if system is not None:
        return system, source._path  # noqa: SLF001 - pyiceberg has no public way to Arrow's file system
    from pyarrow.fs import FSSpecHandler, PyFileSystem  # noqa: PLC0415 - only catalogs with "py-io-impl" of fsspec

    return PyFileSystem(FSSpecHandler(source._fs)), source.location  # noqa: SLF001 - as above


# Writing


def write_files(table: Table, rows: pa.Table, stored: StoredTable) -> Iterator[DataFile]:
    """Write rows into new data files: one for each partition and so many rows, ordered by key."""
    spec = our_spec(table, stored)
    file_schema = schema_to_pyarrow(table.schema().select(*rows.column_names), include_field_ids=True)
    for partition, part in _split(rows, stored):
        ordered = _order(part, stored)
        for begin in range(0, ordered.num_rows, MOST_ROWS):
            yield _write_file(table, ordered.slice(begin, MOST_ROWS), file_schema, spec, partition)


def our_spec(table: Table, stored: StoredTable) -> PartitionSpec:
    """Return the partitions that the table was created with; somebody may have added others since."""
    specs = table.metadata.specs()
    count = 1 if month_of(stored) else 0
    return next((spec for spec in specs.values() if len(spec.fields) == count), table.spec())


def _split(rows: pa.Table, stored: StoredTable) -> Iterator[tuple[Record, pa.Table]]:
    name = month_of(stored)
    if name is None:
        yield Record(), rows
        return
    # Without a zone: Arrow has none on some systems, and Iceberg counts months in UTC.
    moments = rows[name].cast(pa.timestamp("us"))
    months = pc.add(pc.multiply(pc.subtract(pc.year(moments), 1970), 12), pc.subtract(pc.month(moments), 1))
    for month in pc.unique(months).to_pylist():
        chosen = pc.is_null(months) if month is None else pc.equal(months, month)
        yield Record(month), rows.filter(chosen)


def _order(rows: pa.Table, stored: StoredTable) -> pa.Table:
    if not stored.key:
        return rows
    keys = rows[stored.key[0]].combine_chunks()
    if len(keys) < 2 or pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py():
        return rows
    return rows.take(pc.sort_indices(keys))


def _write_file(
    table: Table, rows: pa.Table, file_schema: pa.Schema, spec: PartitionSpec, partition: Record
) -> DataFile:
    path = table.location_provider().new_data_location(_name_in(spec, partition, table))
    output = table.io.new_output(path)
    texts = [field.name for field in file_schema if field.type in (pa.string(), pa.large_string())]
    columns = [_as(rows[field.name], field.type) for field in file_schema]
    with output.create(overwrite=True) as stream:
        pq.write_table(
            pa.Table.from_arrays(columns, schema=file_schema),
            stream,
            compression="zstd",
            compression_level=1,
            use_dictionary=texts,
            row_group_size=_ROWS_IN_GROUP,
            store_schema=False,
        )
    low, high, nulls = _measure(table, rows)
    written = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition,
        record_count=rows.num_rows,
        file_size_in_bytes=len(output),
        lower_bounds=low,
        upper_bounds=high,
        null_value_counts=nulls,
    )
    written.spec_id = spec.spec_id
    return written


def _name_in(spec: PartitionSpec, partition: Record, table: Table) -> str:
    folder = f"{spec.partition_to_path(partition, table.schema())}/" if spec.fields else ""
    return f"{folder}{uuid.uuid4()}.parquet"


def _as(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == wanted else column.cast(wanted)


def _measure(table: Table, rows: pa.Table) -> tuple[dict[int, bytes], dict[int, bytes], dict[int, int]]:
    low: dict[int, bytes] = {}
    high: dict[int, bytes] = {}
    nulls: dict[int, int] = {}
    for name in _BOUNDED:
        if name not in rows.column_names:
            continue
        field, values = table.schema().find_field(name), rows[name]
        nulls[field.field_id] = values.null_count
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())
        if len(values) > values.null_count and isinstance(field.field_type, PrimitiveType):
            found = pc.min_max(values)
            low[field.field_id] = to_bytes(field.field_type, found["min"].as_py())
            high[field.field_id] = to_bytes(field.field_type, found["max"].as_py())
    return low, high, nulls
