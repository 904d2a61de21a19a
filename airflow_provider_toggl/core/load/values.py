"""What goes into a load and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

MOST_CHANGED_IDS = 1_000
"""A load returns at most so many ids of changed rows."""


@dataclass(frozen=True)
class Progress:
    """How far a stream is loaded; stored in the transaction of the rows that it describes.

    :param stream: name of the stream.
    :param scope: which part of the stream, for example a workspace's id.
    :param watermark: everything changed before this instant (UTC, Toggl's clock) is loaded; None while not known.
    :param cursor: opaque JSON text that says where to continue.
    :param requests_spent: when stored, the requests that these rows took; when read, the total of all loads.
    :param ran_at: the time of the load, UTC.
    """

    stream: str
    scope: str
    watermark: datetime | None
    cursor: str
    requests_spent: int
    ran_at: datetime


@dataclass(frozen=True)
class Sweep:
    """A stream was listed completely: rows of the warehouse that the list lacked are to be marked absent.

    The stream is that of the progress or, without one, of the batches.

    :param workspace_id: whose list.
    :param complete_at: Toggl's clock when the list began (UTC): each row on it has ``seen_at`` at or after this.
    :param limit_share: share (0 to 1) of the live rows. Marking more than this and more than ``limit_rows`` raises
        ``AbsenceRefused``.
    :param limit_rows: so many rows may be marked at once, whatever their share.
    """

    workspace_id: int
    complete_at: datetime
    limit_share: float = 0.2
    limit_rows: int = 20


@dataclass(frozen=True)
class LoadResult:
    """What a load did.

    A row is ``updated`` when a field changed, or when it was live and is not, or the other way round. It is
    ``unchanged`` otherwise: seen again, older than the stored row, or repeated in the load.

    :param rejected: records that were stored in ``rejected_records``.
    :param absent: live rows that a sweep marked absent.
    :param changed_days: on request: workspace and local day of each time entry that is new or updated, in the zone of
        ``time_entry_facts``; one that moved has its old day and its new one here.
    :param changed_ids: on request: ids of such time entries, the first ``MOST_CHANGED_IDS``.
    :param written: how many rows of each stream's table are new, updated or absent.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    absent: int = 0
    changed_days: frozenset[tuple[int, date]] = frozenset()
    changed_ids: tuple[int, ...] = ()
    written: Mapping[str, int] = field(default_factory=dict, compare=False)
