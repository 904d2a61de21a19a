"""The steps of one landing on an open transaction, the same on each engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.errors import AbsenceRefused
from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.records import Batch, Rejected
from airflow_provider_toggl.core.load.schemas import KEY, TABLES, TableSchema
from airflow_provider_toggl.core.load.session import Session, instants_of
from airflow_provider_toggl.core.load.target import MOST_CHANGED_IDS, Landed, Progress, Sweep
from airflow_provider_toggl.core.load.zones import local_days


@dataclass
class Noted:
    """The time entries that a landing really changed, in bounded memory.

    :param zone: of local days.
    """

    zone: str
    days: set[tuple[int, date]] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Take note of rows that are new or changed: key, workspace, start, and start before where there is one."""
        for name in ("start", "old_start"):
            if name in rows.column_names:
                self.days |= local_days(rows["workspace_id"], rows[name], self.zone)
        self.ids += rows[KEY].slice(0, MOST_CHANGED_IDS - len(self.ids)).to_pylist()


def merge_batches(session: Session, stream: str, batches: Sequence[Batch], noted: Noted | None = None) -> Landed:
    """Merge all batches of one stream at once, which costs a third of merging them one by one.

    :param noted: where to take note of changed time entries.
    """
    table = TABLES[stream]
    rows = pa.concat_tables([batch.table for batch in batches])
    rejected = sum(len(batch.rejected) for batch in batches)
    noted = noted if stream == "time_entries" else None
    if not rows.num_rows:
        return Landed(rejected=rejected)
    is_unique = pc.count_distinct(rows[KEY]).as_py() == rows.num_rows
    has_list = session.run(load_queries("landing")["find_complete_list"], [stream])[0][0]
    if is_unique and not has_list and not session.count_stored(table, rows):
        session.insert(table, rows)
        inserted, updated = rows.num_rows, 0
        if noted:
            noted.add(rows.select([KEY, "workspace_id", "start"]))
    else:
        session.stage(table, rows)
        inserted, updated = _merge_staged(session, table, is_unique, bool(has_list), noted)
        session.unstage()
    return Landed(inserted, updated, rows.num_rows - inserted - updated, rejected)


def _merge_staged(
    session: Session, table: TableSchema, is_unique: bool, has_list: bool, noted: Noted | None
) -> tuple[int, int]:
    dialect = session.dialect
    source = merge.INCOMING
    if not is_unique:
        session.run(merge.pick_unique(table, dialect))
        source = merge.UNIQUE
    session.run(merge.copy_stored(table, dialect, source))
    session.run(merge.merge_with_stored(table, dialect, source))
    if has_list:
        session.run(merge.mark_absent(merge.MERGED), [table.name, table.name])
    ((inserted, updated),) = session.run(merge.count_merged())
    if noted and inserted + updated:
        noted.add(session.table(merge.find_changed()))
    for statement in merge.put_merged(table, dialect):
        session.run(statement)
    for name in merge.TEMPORARY:
        session.run(dialect.drop.format(name))
    return int(inserted), int(updated)


def keep_rejected(session: Session, records: Iterable[Rejected], landed_at: datetime) -> None:
    """Keep each rejected record once, however often it comes, with the latest reason."""
    latest: dict[str, Rejected] = {}
    for record in sorted(records, key=lambda record: record.observed_at):
        text = f"{record.stream}\n{record.workspace_id}\n{record.raw}"
        latest[hashlib.sha256(text.encode(errors="replace")).hexdigest()] = record
    if not latest:
        return
    queries = load_queries("landing")
    known = _find_rejected(session, list(latest))
    limit = session.longest_text
    session.run_many(
        queries["insert_rejected"],
        [
            [key, r.stream, r.workspace_id, r.raw[:limit], r.reason[:limit], r.observed_at, landed_at]
            for key, r in latest.items()
            if key not in known
        ],
    )
    session.run_many(
        queries["update_rejected"],
        [
            [r.reason[:limit], r.observed_at, key]
            for key, r in latest.items()
            if known.get(key, landed_at) < r.observed_at
        ],
    )


def _find_rejected(session: Session, keys: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for begin in range(0, len(keys), 500):
        some = keys[begin : begin + 500]
        marks = ", ".join("?" for _ in some)
        table = session.table(load_queries("landing")["find_rejected"] + f" ({marks})", some)
        found |= zip(table[0].to_pylist(), instants_of(table[1]), strict=True)
    return found


def store_progress(session: Session, progress: Progress) -> None:
    """Store how far the stream has come, beside its rows; what requests were spent adds up."""
    queries = load_queries("landing")
    key = [progress.stream, progress.scope]
    values = [progress.watermark, progress.cursor, progress.ran_at, progress.requests_spent]
    known = session.run(queries["count_state"], key)[0][0]
    session.run(queries["update_state" if known else "insert_state"], [*values, *key])


def store_setting(session: Session, key: str, value: str) -> None:
    """Change what views ask."""
    queries = load_queries("landing")
    found = session.run(queries["find_setting"], [key])
    if not found:
        session.run(queries["insert_setting"], [value, key])
    elif found[0][0] != value:
        session.run(queries["update_setting"], [value, key])


def find_setting(session: Session, key: str, otherwise: str) -> str:
    """Return a setting, or what holds where it was never set."""
    found = session.run(load_queries("landing")["find_setting"], [key])
    return str(found[0][0]) if found else otherwise


def sweep_stream(session: Session, stream: str, sweep: Sweep, noted: Noted | None = None) -> int:
    """Mark what a complete list had not, and return how many live rows that takes.

    :raises AbsenceRefused: they are too many to be believed.
    """
    table, queries = TABLES[stream], load_queries("landing")
    since = [sweep.complete_at, sweep.workspace_id]
    live, vanishing = session.run(merge.count_live(table), since)[0]
    if vanishing > sweep.limit_rows and vanishing > sweep.limit_share * live:
        raise AbsenceRefused(
            f"The complete list of {stream} in workspace {sweep.workspace_id} lacks {vanishing} of {live} live rows "
            f"({vanishing / live:.0%}), more than absent_rows={sweep.limit_rows} and "
            f"absent_share={sweep.limit_share:.0%} allow. Nothing of it was landed. Somebody cleaned up, or the token "
            "has lost rights. If they were really deleted, run once with absent_share=1.0."
        )
    if noted and stream == "time_entries" and vanishing:
        noted.add(session.table(merge.find_vanishing(table), since))
    key = [stream, sweep.workspace_id]
    known = session.run(queries["count_complete_list"], key)[0][0]
    if known:
        session.run(queries["update_complete_list"], [sweep.complete_at, *key, sweep.complete_at])
    else:
        session.run(queries["insert_complete_list"], [sweep.complete_at, *key])
    session.run(merge.mark_absent(stream), [stream, stream])
    return int(vanishing)
