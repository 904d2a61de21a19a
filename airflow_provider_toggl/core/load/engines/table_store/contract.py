"""What a table store must do so that a :class:`~.engine.TableStoreEngine` can load into it.

A store needs no transactions over several statements, no temporary tables and no MERGE. It needs one way to make the
changes of a load visible together, and only if nobody else committed since they were computed. docs/recipes.md says
step by step how to add one. The suite ``tests/core/load/contracts`` runs on every engine and says when it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.engines.table_store.tables import StoredTable


class CommitConflict(WarehouseLocked):
    """Another process committed to the store since its state was read; nothing was stored."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: another process committed at the same time, so nothing of this load was stored. It is repeated "
            "a few times; if it fails still, let fewer tasks load into this schema at once.",
            fault=DatabaseFault.LOCKED,
        )


@dataclass(frozen=True)
class StoredState:
    """The small tables of a store at one moment.

    :param revision: the number of commits so far; each commit makes it one greater.
    :param tables: the rows of each of ``tables.STATE_TABLES``.
    """

    revision: int
    tables: Mapping[str, pa.Table]


@dataclass(frozen=True)
class TableChange:
    """What a commit changes in one table.

    :param table: the table.
    :param rows: whole rows, one for each key, to insert or to replace the stored ones by. For a table without a key,
        all its rows.
    :param replaced: the keys of stored rows that ``rows`` replaces; empty for a table of the state.
    :param deleted: the keys of stored rows to delete; only for tables with a key of one column.
    """

    table: StoredTable
    rows: pa.Table
    replaced: pa.Array
    deleted: pa.Array

    @property
    def is_append(self) -> bool:
        """Whether all rows are new."""
        return not len(self.replaced) and not len(self.deleted)


class TableStore(ABC):
    """One schema of a database, catalog or bucket that keeps tables.

    Methods let the client library's errors through; :meth:`translate` says what they mean. After an error the store is
    closed and opened again.

    Rows have all columns of their table, in the types of ``decode.column_types.COLUMN_TYPES``: instants are
    ``timestamp('us', 'UTC')``, lists ``list<int64>``, JSON is text; ``word`` and ``key`` are text, too. A list that is
    null must not become an empty one.

    :param schema: the schema, dataset or namespace of the tables.
    :param where: how errors name the store; contains no secret.
    """

    name: str
    """The store, as errors name it."""

    text_limit: int | None = None
    """Characters that a text holds, None where there is no limit that matters."""

    def __init__(self, schema: str, where: str) -> None:
        self.schema = schema
        self.where = where

    @abstractmethod
    def open(self) -> None:
        """Connect."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; without a connection, do nothing."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether our tables are there; creates nothing. Called while it is open."""

    @abstractmethod
    def create(self) -> None:
        """Create what is missing: schema, tables, columns and views. Several processes may do so at once.

        Called for a new schema, and after an upgrade for tables that an earlier version of this package created. The
        tables are ``tables.STORED_TABLES``. The views are those of ``views.build_views``; a store without views lets
        :meth:`query` create them in DuckDB.
        """

    @abstractmethod
    def read_state(self) -> StoredState:
        """Return the small tables and the revision, as of one moment."""

    @abstractmethod
    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        """Return the stored rows with these keys, in any order.

        :param table: one of ``tables.ROW_TABLES``.
        :param keys: distinct values of the table's key; often none of them is stored and all are greater than the
            stored ones.
        """

    @abstractmethod
    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        """Return all stored rows of a workspace, or of all workspaces."""

    @abstractmethod
    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        """Store changes, all of them or none; readers see all of them or none in the tables of the streams.

        It must be safe to end the process at any moment: rows are never stored without their progress (``sync_state``)
        for longer than until the next commit or :meth:`read_state`, which complete or discard what was begun.

        :param revision: the revision of the state that the changes were computed from; the new one is one greater.
        :raises CommitConflict: the store has another revision by now.
        """

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query over all tables and views.

        :param sql: with ``?`` for parameters and double quotes around identifiers; names without a schema are those of
            this store's schema. The package's own queries use only SQL that each engine understands; a person's may use
            all of this engine's.
        :param parameters: datetimes are aware.
        :return: instants as ``timestamp('us', 'UTC')``, the whole numbers of our tables as ``int64``, lists as such or
            as JSON texts. Columns of our tables and views have the names that our statements give them, in lower case.
        """

    @abstractmethod
    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return a client library's error as one of this package, None for an error that is not the library's."""

    def check_zone(self, timezone: str) -> None:  # noqa: B027 - most stores know all zones
        """Refuse a time zone that the store's views cannot use.

        :raises ConfigurationError: they cannot.
        """

    def find_holders(self) -> list[str]:
        """Return descriptions of the sessions that write now, where the store can list them."""
        return []

    def read_clock(self) -> float | None:
        """Return the server's time in seconds since the epoch, None without a server."""
        return None
