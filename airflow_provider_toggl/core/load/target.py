"""What a warehouse must be able to do for landing, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.records import Batch
    from airflow_provider_toggl.core.load.session import Session


@dataclass(frozen=True)
class Progress:
    """How far a stream has come; stored in the transaction of the rows it speaks of.

    :param stream: name of the stream.
    :param scope: what of the stream, for example a workspace's id.
    :param watermark: everything changed before this instant (UTC, Toggl's clock) is landed; None while not known.
    :param cursor: opaque JSON text that says where to go on.
    :param requests_spent: requests that these rows took; added to the stored total.
    :param ran_at: when, in UTC.
    """

    stream: str
    scope: str
    watermark: datetime | None
    cursor: str
    requests_spent: int
    ran_at: datetime


@dataclass(frozen=True)
class SyncState:
    """A stored progress; ``requests_spent`` is the total so far. Times are aware, in UTC."""

    stream: str
    scope: str
    watermark: datetime | None
    cursor: str
    last_run_at: datetime
    requests_spent: int


@dataclass(frozen=True)
class Sweep:
    """A complete list of a stream was read: what the warehouse has and the list had not is absent.

    The stream is that of the progress or, without one, of the batches.

    :param workspace_id: whose list.
    :param complete_at: Toggl's clock when its reading began (UTC): each row on it has ``seen_at`` at or after this.
    :param limit_share: largest share (0 to 1) of the live rows that may vanish at once.
    :param limit_rows: so many rows may vanish at once whatever their share.
    """

    workspace_id: int
    complete_at: datetime
    limit_share: float = 0.2
    limit_rows: int = 20


MOST_CHANGED_IDS = 1_000
"""So many ids of changed rows are told at most."""


@dataclass(frozen=True)
class Landed:
    """What a landing did.

    Rows that are new, that changed, that are as before (seen again at most), rejected ones, and those that a sweep
    marked absent. A row has changed when it has other fields, or when it was live and is not, or the other way round.

    :param changed_days: where asked for: workspace and local day of each time entry that is new or changed, by the zone
        of ``time_entry_facts``; one that moved has its old day and its new one here.
    :param changed_ids: ids of such time entries, the first ``MOST_CHANGED_IDS``.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    absent: int = 0
    changed_days: frozenset[tuple[int, date]] = frozenset()
    changed_ids: tuple[int, ...] = ()


class Target(Protocol):
    """A warehouse that rows land in; every method may wait for others and raises ``errors.WarehouseError``."""

    def prepare(self, timezone: str | None = None) -> None:
        """Make or upgrade schema, tables and views; costs one query where nothing is to do.

        :param timezone: IANA name of the zone of local dates in the views; None leaves it as it is, UTC at first.
        :raises SchemaTooNew: a later version of this package made the tables.
        """

    def keep_history(self, kept: bool) -> None:
        """Keep every version of a time entry from now on, or stop; costs one query where nothing is to do."""

    def find_state(self, stream: str, scope: str) -> SyncState | None:
        """Return how far the stream has come in that scope, None when it was never landed."""

    def land(
        self,
        batches: Sequence[Batch],
        progress: Progress | None = None,
        sweep: Sweep | None = None,
        *,
        note_days: bool = False,
    ) -> Landed:
        """Merge rows, keep rejected records, store progress and mark what is absent, in one transaction.

        :param note_days: tell in ``changed_days`` and ``changed_ids`` which time entries really changed.
        :raises AbsenceRefused: the sweep would mark too many rows; nothing of this call is stored.
        """

    def transaction(self) -> AbstractContextManager[Session]:
        """Begin a transaction for statements of one's own; it is stored at the end, or taken back on an error."""

    def counts(self) -> dict[str, int]:
        """Return the number of rows in each stream's table, deleted and absent ones among them."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds; names without a schema are looked up in this warehouse's.

        :param sql: in the engine's words, with ``?`` for parameters and double quotes around identifiers.
        :param parameters: datetimes aware.
        :return: instants as ``timestamp('us', 'UTC')``; lists as JSON texts where the engine has none.
        """

    def release(self, force: bool = False) -> None:
        """Let other processes at the warehouse; the next call takes it again.

        :param force: at once; else only when it was held for a while, since giving and taking have their cost.
        """

    def close(self) -> None:
        """Give back everything."""

    def __enter__(self) -> Target:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
