"""What the steps of a landing ask of an open transaction, whatever the engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

import pyarrow as pa

from airflow_provider_toggl.core.load.dialects import Dialect
from airflow_provider_toggl.core.load.schemas import TableSchema

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Session(Protocol):
    """A transaction in the warehouse, with our schema as the current one.

    SQL has ``?`` for parameters and double quotes around identifiers; datetimes among parameters are aware.
    """

    @property
    def dialect(self) -> Dialect:
        """The engine's words."""

    @property
    def longest_text(self) -> int:
        """How many characters of a rejected record are kept."""

    @property
    def longest_row(self) -> int | None:
        """How many bytes a statement with the values of one row may have, None where there is no limit."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows, none for a statement that has none."""

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds; instants as ``timestamp('us', 'UTC')``."""

    def count_stored(self, table: TableSchema, rows: pa.Table) -> int:
        """Return how many stored rows have a key of the given rows."""

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Put rows in that have no rivals."""

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Make rows known as ``merge.INCOMING``."""

    def unstage(self) -> None:
        """Forget what was staged."""


def instants_of(column: pa.ChunkedArray) -> list[datetime | None]:
    """Return a column's instants as aware datetimes, for which Arrow needs a library of zones."""
    micros = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    return [None if value is None else _EPOCH + timedelta(microseconds=value) for value in micros]
