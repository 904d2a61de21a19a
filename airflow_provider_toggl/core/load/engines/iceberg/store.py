"""A table store of Apache Iceberg tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    TableAlreadyExistsError,
)
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import RemoveSnapshotsUpdate, TableUpdate

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.iceberg import errors, queries
from airflow_provider_toggl.core.load.engines.iceberg.files import (
    FileIndex,
    LiveFile,
    open_dataset,
    read_files,
    write_files,
)
from airflow_provider_toggl.core.load.engines.iceberg.schemas import (
    ALL_TABLES,
    PROPERTIES,
    ROOT,
    ROOT_TABLE,
    arrow_schema,
    build_order,
    build_partitions,
    build_schema,
)
from airflow_provider_toggl.core.load.engines.iceberg.snapshots import (
    add_snapshot,
    build_snapshot,
    descends,
    make_current,
    require_current,
)
from airflow_provider_toggl.core.load.engines.iceberg.state import (
    Pointers,
    apply_change,
    find_pointers,
    find_properties,
    join_state,
    split_state,
)
from airflow_provider_toggl.core.load.engines.table_store.contract import (
    CommitConflict,
    StoredState,
    TableChange,
    TableStore,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES, STATE_TABLES, StoredTable

log = logging.getLogger(__name__)

HELD_ROWS = 200_000
"""Rows of files that were read and may be replaced soon, beyond which they are read again instead."""


class IcebergStore(TableStore):
    """Keeps each table of rows in an Iceberg table, and all small tables in one more, ``toggl_state``.

    A commit first adds snapshots to the tables of rows that are not current yet. One commit of ``toggl_state`` then
    stores the state with the ids of these snapshots: that is when the load counts. At last they become current. Where
    a process ends before that, the next :meth:`read_state` makes them current.

    :param connect: returns the catalog.
    :param schema: the namespace; a dot separates its levels.
    """

    name = "Iceberg"

    def __init__(self, connect: Callable[[], Catalog], schema: str, where: str) -> None:
        super().__init__(schema, where)
        self._connect = connect
        self._catalog: Catalog | None = None
        self._tables: dict[str, Table] = {}
        self._indexes: dict[str, FileIndex] = {}
        self._held: dict[str, pa.Table] = {}
        self._revision: int | None = None
        self._pointers = Pointers()
        self._is_settled = False
        self._state: dict[str, pa.Table] = {}

    # The connection

    def open(self) -> None:
        """Open the catalog."""
        if self._catalog is None:
            self._catalog = self._connect()

    def close(self) -> None:
        """Close the catalog."""
        catalog, self._catalog = self._catalog, None
        self._forget()
        if catalog is not None and hasattr(catalog, "close"):
            catalog.close()

    def exists(self) -> bool:
        """Return whether the table that is created last is there."""
        return self.has_table(ROOT)

    def create(self) -> None:
        """Create the namespace, and tables and columns that are missing."""
        with suppress(NamespaceAlreadyExistsError):
            self._open_catalog.create_namespace_if_not_exists(self._namespace)
        for stored in ALL_TABLES.values():
            self.ensure_table(stored)

    def ensure_table(self, stored: StoredTable) -> None:
        """Create a table, or its missing columns."""
        identifier, schema = self._identify(stored.name), build_schema(stored)
        if not self._open_catalog.table_exists(identifier):
            try:
                self._open_catalog.create_table(
                    identifier,
                    schema,
                    partition_spec=build_partitions(stored, schema),
                    sort_order=build_order(stored, schema),
                    properties=PROPERTIES,
                )
            except TableAlreadyExistsError:
                pass
            except ValueError as error:
                raise ConfigurationError(
                    f"{self.where}: the catalog does not know where to put table {stored.name!r} ({error}). Add "
                    '"warehouse", the address of a folder or bucket, to the extra of the connection, or give the '
                    "namespace a location."
                ) from None
        table = self._open_catalog.load_table(identifier)
        missing = [field for field in schema.fields if field.name not in table.schema().column_names]
        if missing:
            with table.update_schema() as update:
                for field in missing:
                    update.add_column(field.name, field.field_type)

    # Reading

    def read_state(self) -> StoredState:
        """Return the small tables; makes snapshots current that a process left before."""
        self._read_root()
        self._settle()
        return StoredState(self._revision or 0, dict(self._state))

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        """Return the stored rows with these keys; opens only files whose range of keys has one of them."""
        found = self._find_files(table, keys)
        names = [column.name for column in table.columns]
        parts = [rows.filter(pc.is_in(rows[table.key[0]], keys)) for rows in self._hold(table, found)]
        return pa.concat_tables(parts) if parts else arrow_schema(table.columns).empty_table().select(names)

    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        """Return all stored rows of a workspace, or of all workspaces."""
        loaded = self._load(table.name)
        wanted = arrow_schema(table.columns)
        files = self._list_files(table)
        if any(file.deletes for file in files):
            rows = read_files(loaded, files, table, wanted.names)
            return rows if workspace_id is None else rows.filter(pc.equal(rows["workspace_id"], workspace_id))
        if not files:
            return wanted.empty_table()
        chosen = None if workspace_id is None else pc.equal(pc.field("workspace_id"), workspace_id)
        return open_dataset(loaded, files, wanted).to_table(filter=chosen)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query by DuckDB; it reads the columns that it uses, of tables that it names."""
        self._read_root()
        return queries.run(sql, parameters, self._read_for_query)

    def _read_for_query(self, name: str) -> Any:
        if name in STATE_TABLES:
            return self._state[name]
        table = ROW_TABLES[name]
        loaded = self._load(name, again=True)
        wanted, files = arrow_schema(table.columns), self._list_files(table)
        if not files or any(file.deletes for file in files):
            return read_files(loaded, files, table, wanted.names)
        return open_dataset(loaded, files, wanted)

    # Committing

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        """Store changes, all of them or none."""
        if revision != self._revision:
            raise CommitConflict(self.where)
        self._settle()
        state = dict(self._state)
        staged = {}
        for change in changes:
            if change.table.name in STATE_TABLES:
                state[change.table.name] = apply_change(state[change.table.name], change)
            else:
                staged[change.table.name] = self._stage_change(change)
        self._commit_root(state, staged)
        self._held.clear()

    def _stage_change(self, change: TableChange) -> Snapshot:
        table, stored = self._load(change.table.name), change.table
        wanted = arrow_schema(stored.columns)
        rows = change.rows.select(wanted.names).cast(wanted)
        if change.is_append:
            return self._stage(stored, list(write_files(table, rows, stored)), [])
        gone = pa.concat_arrays([change.replaced, change.deleted])
        affected = self._find_files(stored, gone)
        kept = [part.filter(pc.invert(pc.is_in(part[stored.key[0]], gone))) for part in self._hold(stored, affected)]
        return self._stage(stored, list(write_files(table, pa.concat_tables([*kept, rows]), stored)), affected)

    def _stage(self, stored: StoredTable, added: Sequence[DataFile], removed: Sequence[LiveFile]) -> Snapshot:
        """Add a snapshot to a table that is not current yet."""
        table, base = self._load(stored.name), self._find_snapshot(stored.name)
        snapshot = build_snapshot(table, base, self._list_files(stored), added, removed, properties={})
        before = table.metadata.last_sequence_number
        try:
            self._update(stored.name, base, add_snapshot(snapshot))
        except (ValueError, BadRequestError):
            # Catalogs refuse a number of a snapshot that another process has taken, REST catalogs as a bad request.
            if self._load(stored.name, again=True).metadata.last_sequence_number == before:
                raise
            raise CommitConflict(self.where) from None
        return snapshot

    def _commit_root(self, state: Mapping[str, pa.Table], staged: Mapping[str, Snapshot]) -> None:
        """Store the state with the snapshots that belong to it, and make them current."""
        root, base = self._load(ROOT), self._load(ROOT).current_snapshot()
        pointers = self._pointers.advance(staged)
        live = self._list_files(ROOT_TABLE)
        added = list(write_files(root, join_state(state), ROOT_TABLE))
        snapshot = build_snapshot(root, base, live, added, live, properties=pointers.as_properties())
        self._update(ROOT, base, make_current(root, snapshot.snapshot_id, snapshot))
        self._state, self._pointers, self._is_settled = dict(state), pointers, not staged
        self._revision = snapshot.sequence_number
        try:
            self._settle()
        except Exception as error:
            problem = self.translate(error)
            if problem is None:
                raise
            # The load is stored: the next one makes its snapshots current.
            log.warning("The load is stored, but other engines see it only after the next load: %s", problem)

    def _settle(self) -> None:
        """Make the snapshots current that the last commit added."""
        if self._is_settled:
            return
        for name in self._pointers.changed:
            table, wanted = self._load(name), self._find_snapshot(name)
            current = table.current_snapshot()
            if wanted is None or (current is not None and current.snapshot_id == wanted.snapshot_id):
                continue
            try:
                self._update(name, current, make_current(table, wanted.snapshot_id))
            except CommitConflict:
                # Another process did the same, or another engine committed in between: then ours goes first, since
                # its state is stored already.
                table = self._load(name, again=True)
                if not descends(table, table.current_snapshot(), wanted):
                    log.warning("%s: a commit of another program to table %s was replaced.", self.where, name)
                    self._update(name, table.current_snapshot(), make_current(table, wanted.snapshot_id))
        self._is_settled = True

    def _update(self, name: str, current: Snapshot | None, updates: Sequence[TableUpdate]) -> None:
        """Change a table's metadata if its current snapshot is still the same."""
        table = self._load(name)
        try:
            response = self._open_catalog.commit_table(table, require_current(table, current), tuple(updates))
        except CommitFailedException:
            raise CommitConflict(self.where) from None
        # As pyiceberg's own transactions do after a commit.
        self._open_catalog._delete_old_metadata(table.io, table.metadata, response.metadata)  # noqa: SLF001 - see above
        table.metadata, table.metadata_location = response.metadata, response.metadata_location

    # For maintenance, and for tables that are derived from the others

    def has_table(self, name: str) -> bool:
        """Return whether the namespace has a table."""
        return bool(self._open_catalog.table_exists(self._identify(name)))

    def load_table(self, name: str, *, again: bool = False) -> Table:
        """Return a table.

        :param again: read its metadata again.
        """
        return self._load(name, again=again)

    def list_live_files(self, stored: StoredTable) -> list[LiveFile]:
        """Return the data files that belong to the state that was read last."""
        return self._list_files(stored)

    def replace_files(self, stored: StoredTable, added: Sequence[DataFile], removed: Sequence[LiveFile]) -> None:
        """Replace files of a table by others with the same rows.

        :raises CommitConflict: another process committed since the state was read.
        """
        self._settle()
        self._commit_root(self._state, {stored.name: self._stage(stored, added, removed)})

    def commit_table(
        self,
        stored: StoredTable,
        added: Sequence[DataFile],
        removed: Sequence[LiveFile],
        properties: Mapping[str, str],
    ) -> None:
        """Change a table that does not belong to the state.

        :param properties: are stored with the change.
        :raises CommitConflict: another process changed it.
        """
        table, base = self._load(stored.name), self._load(stored.name).current_snapshot()
        snapshot = build_snapshot(table, base, self._list_files(stored), added, removed, properties=properties)
        self._update(stored.name, base, make_current(table, snapshot.snapshot_id, snapshot))

    def find_properties(self, name: str, wanted: str) -> dict[str, str]:
        """Return this package's properties of the latest snapshot of a table that has one of that name."""
        table = self._load(name, again=True)
        properties = find_properties(table, wanted)
        return {key: value for key, value in properties.items() if key.startswith("toggl.")}

    def expire(self, name: str, before: datetime) -> int:
        """Forget snapshots of a table that are older, are not current and belong to no state; return how many."""
        table = self._load(name, again=True)
        pointer = self._pointers.snapshots.get(name)
        needed = {pointer.snapshot_id if pointer else None, *(ref.snapshot_id for ref in table.metadata.refs.values())}
        old = [
            one.snapshot_id
            for one in table.metadata.snapshots
            if one.timestamp_ms < before.timestamp() * 1000 and one.snapshot_id not in needed
        ]
        if old:
            self._update(name, table.current_snapshot(), [RemoveSnapshotsUpdate(snapshot_ids=old)])
        return len(old)

    # Tables, snapshots and files

    @property
    def _open_catalog(self) -> Catalog:
        if self._catalog is None:
            raise WarehouseError(f"{self.where} is not open.")
        return self._catalog

    @property
    def _namespace(self) -> tuple[str, ...]:
        return tuple(self.schema.split("."))

    def _identify(self, name: str) -> tuple[str, ...]:
        return (*self._namespace, name)

    def _load(self, name: str, *, again: bool = False) -> Table:
        if again or name not in self._tables:
            table = self._open_catalog.load_table(self._identify(name))
            self._check_columns(table, name)
            self._tables[name] = table
        return self._tables[name]

    def _check_columns(self, table: Table, name: str) -> None:
        """Refuse a table whose columns somebody has changed; more columns do no harm."""
        stored = ALL_TABLES.get(name)
        for wanted in build_schema(stored).fields if stored else ():
            found = next((field for field in table.schema().fields if field.name == wanted.name), None)
            if found is None:
                problem = f"table {name!r} lacks column {wanted.name!r}; somebody removed or renamed it."
            elif str(found.field_type) != str(wanted.field_type):
                problem = (
                    f"column {wanted.name!r} of table {name!r} is {found.field_type} instead of "
                    f"{wanted.field_type}; somebody changed it."
                )
            else:
                continue
            raise WarehouseError(
                f"{self.where}: {problem} Roll the table's schema back, or load into another schema.",
                fault=DatabaseFault.MISSING_OBJECT,
            )

    def _read_root(self) -> None:
        """Read the state if another one is current by now."""
        root = self._load(ROOT, again=True)
        snapshot = root.current_snapshot()
        revision = snapshot.sequence_number or 0 if snapshot else 0
        if revision == self._revision:
            return
        rows = read_files(root, self._list_files(ROOT_TABLE), ROOT_TABLE, [c.name for c in ROOT_TABLE.columns])
        self._held.clear()
        self._state, self._pointers = split_state(rows), find_pointers(root)
        self._revision, self._is_settled = revision, False
        for name in self._pointers.changed:
            self._load(name, again=True)

    def _find_snapshot(self, name: str) -> Snapshot | None:
        """Return the snapshot of a table that belongs to the state; another engine may have rewritten its files."""
        table, pointer = self._load(name), self._pointers.snapshots.get(name)
        if name == ROOT or pointer is None:
            return table.current_snapshot()
        wanted = table.metadata.snapshot_by_id(pointer.snapshot_id)
        if wanted is None:
            table = self._load(name, again=True)
            wanted = table.metadata.snapshot_by_id(pointer.snapshot_id)
        current = table.current_snapshot()
        if wanted is None:
            if current is None or (current.sequence_number or 0) < pointer.sequence_number:
                raise WarehouseError(
                    f"{self.where}: the last load's snapshot of table {name!r} was removed before it became current, "
                    "so its rows are lost. Load from the beginning into another schema, and expire only snapshots that "
                    "are days old.",
                    fault=DatabaseFault.CORRUPT,
                )
            return current
        return current if descends(table, current, wanted) else wanted

    def _list_files(self, stored: StoredTable) -> list[LiveFile]:
        snapshot = self._find_snapshot(stored.name)
        index = self._indexes.setdefault(stored.name, FileIndex())
        return index.list_files(self._load(stored.name), snapshot, stored)

    def _find_files(self, stored: StoredTable, keys: pa.Array) -> list[LiveFile]:
        """Return the files that hold one of some keys."""
        ordered = sorted(keys.to_pylist())
        table, found, wanted = self._load(stored.name), [], pa.array(ordered, keys.type)
        for file in self._list_files(stored):
            inside = file.may_hold(ordered)
            if not inside:
                continue
            # Where many keys lie in its range, it holds some of them for all but certain.
            if file.path not in self._held and inside < file.rows / 2:
                ids = read_files(table, [file], stored, [stored.key[0]])[0]
                if not pc.any(pc.is_in(ids, wanted)).as_py():
                    continue
            found.append(file)
        return found

    def _hold(self, stored: StoredTable, files: Sequence[LiveFile]) -> list[pa.Table]:
        """Return the rows of files, and keep them: a load that reads rows often replaces some of them."""
        names, parts = [column.name for column in stored.columns], []
        if sum(rows.num_rows for rows in self._held.values()) > HELD_ROWS:
            self._held.clear()
        for file in files:
            if file.path not in self._held:
                self._held[file.path] = read_files(self._load(stored.name), [file], stored, names)
            parts.append(self._held[file.path])
        return parts

    def _forget(self) -> None:
        self._tables.clear()
        self._indexes.clear()
        self._held.clear()
        self._state.clear()
        self._revision, self._pointers, self._is_settled = None, Pointers(), False

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of pyiceberg, its catalogs or a file system as one of this package."""
        return errors.translate(error, self.where)
