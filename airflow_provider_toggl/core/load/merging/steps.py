"""The steps of a load in an open transaction, the same on each engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.errors import AbsenceRefused
from airflow_provider_toggl.core.load.decode.records import RecordBatch, RejectedRecord
from airflow_provider_toggl.core.load.engines.contract import Session, instants_of
from airflow_provider_toggl.core.load.merging import history, rule
from airflow_provider_toggl.core.load.merging.changed_days import record_days
from airflow_provider_toggl.core.load.tables.schemas import KEY, TABLES, TableSchema
from airflow_provider_toggl.core.load.tables.state import STATEMENTS, find_setting, store_progress
from airflow_provider_toggl.core.load.tables.zones import local_days
from airflow_provider_toggl.core.load.values import MOST_CHANGED_IDS, LoadResult, Progress, Sweep

_KEYS_IN_A_LIST = 500


@dataclass
class ChangedEntries:
    """The time entries that a load really changed, in bounded memory.

    :param zone: IANA name of the zone of local days.
    """

    zone: str
    days: set[tuple[int, date]] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Add rows that are new or changed: key, workspace, start, and the start before if there was one."""
        for name in ("start", "old_start"):
            if name in rows.column_names:
                self.days |= local_days(rows["workspace_id"], rows[name], self.zone)
        self.ids += rows[KEY].slice(0, MOST_CHANGED_IDS - len(self.ids)).to_pylist()


def load_batches(
    session: Session,
    batches: Sequence[RecordBatch],
    progress: Progress | None,
    sweep: tuple[str, Sweep] | None,
    now: datetime,
) -> LoadResult:
    """Merge batches, and store everything that belongs to them.

    :param sweep: the stream that was listed, and the sweep.
    :param now: for what is stored with a time of this machine.
    :raises AbsenceRefused: the sweep would mark too many rows.
    """
    changed = ChangedEntries(find_setting(session, "timezone", "UTC"))
    by_stream: dict[str, list[RecordBatch]] = {}
    for batch in batches:
        by_stream.setdefault(batch.stream, []).append(batch)
    merged = {stream: merge_batches(session, stream, group, changed) for stream, group in by_stream.items()}
    parts = merged.values()
    history.keep_versions(session, batches)
    store_rejected(session, [record for batch in batches for record in batch.rejected], now)
    if progress is not None:
        store_progress(session, progress)
    absent = mark_missing(session, *sweep, changed) if sweep else 0
    written = {stream: part.inserted + part.updated for stream, part in merged.items()}
    if sweep:
        written[sweep[0]] = written.get(sweep[0], 0) + absent
    record_days(session, changed.days, now)
    return LoadResult(
        inserted=sum(part.inserted for part in parts),
        updated=sum(part.updated for part in parts),
        unchanged=sum(part.unchanged for part in parts),
        rejected=sum(part.rejected for part in parts),
        absent=absent,
        changed_days=frozenset(changed.days),
        changed_ids=tuple(changed.ids),
        written=written,
    )


def merge_batches(
    session: Session, stream: str, batches: Sequence[RecordBatch], changed: ChangedEntries | None = None
) -> LoadResult:
    """Merge all batches of one stream at once, which takes a third of the time of merging them one by one.

    :param changed: where changed time entries are added.
    """
    rejected = sum(len(batch.rejected) for batch in batches)
    rows = pa.concat_tables([batch.table for batch in batches])
    if not rows.num_rows:
        return LoadResult(rejected=rejected)
    table = TABLES[stream]
    changed = changed if stream == "time_entries" else None
    is_unique = pc.count_distinct(rows[KEY]).as_py() == rows.num_rows
    has_list = session.run(STATEMENTS["find_complete_list"], [stream])[0][0]
    if is_unique and not has_list and not session.has_stored(table, rows[KEY].to_pylist()):
        session.insert(table, rows)
        inserted, updated = rows.num_rows, 0
        if changed:
            changed.add(rows.select([KEY, "workspace_id", "start"]))
    else:
        session.stage(table, rows)
        inserted, updated = _merge_staged(session, table, is_unique, bool(has_list), changed)
        session.unstage()
    return LoadResult(inserted, updated, rows.num_rows - inserted - updated, rejected)


def _merge_staged(
    session: Session, table: TableSchema, is_unique: bool, has_list: bool, changed: ChangedEntries | None
) -> tuple[int, int]:
    """Merge the staged rows; return how many are new and how many changed."""
    dialect = session.dialect
    source = rule.INCOMING
    if not is_unique:
        session.run(rule.pick_unique(table, dialect))
        source = rule.UNIQUE
    session.run(rule.copy_stored(table, dialect, source))
    session.run(rule.merge_with_stored(table, dialect, source))
    if has_list:
        session.run(rule.mark_absent(rule.MERGED), [table.name, table.name])
    ((inserted, updated),) = session.run(rule.count_merged())
    if changed and inserted + updated:
        changed.add(session.table(rule.find_changed()))
    for statement in rule.put_merged(table, dialect):
        session.run(statement)
    for name in (rule.UNIQUE, rule.STORED, rule.MERGED):
        session.run(dialect.drop_temporary.format(name))
    return int(inserted), int(updated)


def store_rejected(session: Session, records: Iterable[RejectedRecord], now: datetime) -> None:
    """Store each rejected record once, however often it comes, with the latest reason."""
    latest: dict[str, RejectedRecord] = {}
    for record in sorted(records, key=lambda record: record.observed_at):
        text = f"{record.stream}\n{record.workspace_id}\n{record.raw}"
        latest[hashlib.sha256(text.encode(errors="replace")).hexdigest()] = record
    if not latest:
        return
    session.fetch_keys("rejected_records", list(latest))
    known = _find_rejected(session, list(latest))
    limit = session.rejected_limit
    session.run_many(
        STATEMENTS["insert_rejected"],
        [
            [key, r.stream, r.workspace_id, r.raw[:limit], r.reason[:limit], r.observed_at, now]
            for key, r in latest.items()
            if key not in known
        ],
    )
    session.run_many(
        STATEMENTS["update_rejected"],
        [[r.reason[:limit], r.observed_at, key] for key, r in latest.items() if known.get(key, now) < r.observed_at],
    )


def _find_rejected(session: Session, keys: Sequence[str]) -> dict[str, Any]:
    """Return which of these records are stored, with the time of each."""
    found: dict[str, Any] = {}
    for begin in range(0, len(keys), _KEYS_IN_A_LIST):
        some = keys[begin : begin + _KEYS_IN_A_LIST]
        marks = ", ".join("?" for _ in some)
        table = session.table(f"{STATEMENTS['find_rejected']} ({marks})", some)
        found |= zip(table[0].to_pylist(), instants_of(table[1]), strict=True)
    return found


def mark_missing(session: Session, stream: str, sweep: Sweep, changed: ChangedEntries | None = None) -> int:
    """Mark the rows absent that a complete list lacked; return how many live rows that are.

    :raises AbsenceRefused: they are more than the sweep allows.
    """
    table = TABLES[stream]
    since = [sweep.complete_at, sweep.workspace_id]
    session.fetch_workspace(stream, sweep.workspace_id)
    live, missing = session.run(rule.count_live(table), since)[0]
    if missing > sweep.limit_rows and missing > sweep.limit_share * live:
        raise AbsenceRefused(
            f"The complete list of {stream} in workspace {sweep.workspace_id} lacks {missing} of {live} live rows "
            f"({missing / live:.0%}), more than absent_rows={sweep.limit_rows} and "
            f"absent_share={sweep.limit_share:.0%} allow. Nothing of it was loaded. Somebody cleaned up, or the token "
            "has lost rights. If they were really deleted, run once with absent_share=1.0."
        )
    if changed and stream == "time_entries" and missing:
        changed.add(session.table(rule.find_missing(table), since))
    key = [stream, sweep.workspace_id]
    if session.run(STATEMENTS["count_complete_list"], key)[0][0]:
        session.run(STATEMENTS["update_complete_list"], [sweep.complete_at, *key, sweep.complete_at])
    else:
        session.run(STATEMENTS["insert_complete_list"], [sweep.complete_at, *key])
    session.run(rule.mark_absent(stream), [stream, stream])
    return int(missing)
