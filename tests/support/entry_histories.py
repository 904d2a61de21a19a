"""Histories of time entries: observations of every kind, the merge rule as a model, and the warehouse's history."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from support.toggl_rows import WORKSPACE, at, decode, report_row, v9_entry
from support.warehouses import rows
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def pulled(id_: int = 1, *, changed: float = 0.0, seconds: float | None = None, **fields: Any) -> RecordBatch:
    """Return a report row of an entry; ``changed`` and ``seconds`` (observed) count from noon."""
    moment = at(int(changed)).isoformat()
    return decode("time_entries", report_row(id_, at=moment, **fields), seconds=changed if seconds is None else seconds)


def event(
    action: str, id_: int = 1, *, changed: float = 0.0, seconds: float | None = None, by: int | None = 10, **fields: Any
) -> RecordBatch:
    """Return an event of an entry; ``changed`` and ``seconds`` (of the event) count from noon."""
    payload = entry_payload(id_, at=at(int(changed)).isoformat(), **fields)
    return event_with(action, payload, seconds=changed if seconds is None else seconds, by=by)


def event_with(action: str, payload: Any, *, seconds: float, by: int | None = 10) -> RecordBatch:
    """Return the batch of an event with any payload."""
    actor = {"event_user_id": None if by is None else str(by)}
    raw = webhook_body("time_entry", action, payload, seconds=seconds, metadata=actor, creator_id=by)
    (batch,) = decode_events([received_event(raw)]).batches
    return batch


def absent(id_: int = 1, *, seconds: float) -> RecordBatch:
    """Return the observation of a complete report without the entry."""
    row = {"id": id_, "workspace_id": WORKSPACE, "tag_ids": [], "observed_at": EPOCH, "absent_at": at(seconds)}
    return RecordBatch("time_entries", pa.Table.from_pylist([row], schema=ARROW_SCHEMAS["time_entries"]))


def changes(target: Warehouse, id_: int = 1) -> list[tuple[Any, ...]]:
    """Return the changes of an entry: kind, field, old value, new value, seconds after noon, user."""
    sql = (
        'select "kind", "field", "old_value", "new_value", "changed_at", "changed_by" from "time_entry_changes" '
        'where "time_entry_id" = ? order by "step", coalesce("field", \'\')'
    )
    return [(*row, when and (when - at(0)).total_seconds(), by) for *row, when, by in rows(target, sql, [id_])]


def kept(target: Warehouse) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return all versions and all changes."""
    every = 'select * from "time_entry_versions" order by "id"'
    view = 'select * from "time_entry_changes"'
    return rows(target, every), sorted(rows(target, view), key=repr)


def contradictions(target: Warehouse) -> list[tuple[Any, ...]]:
    """Return the entries whose last version differs from their row, or whose last change has another state."""
    fields = ("user_id", "project_id", "description", "billable", "start", "stop", "duration")
    same = " and ".join(f'(v."{name}" = e."{name}" or v."{name}" is null and e."{name}" is null)' for name in fields)
    last = (
        'select v.*, row_number() over (partition by "time_entry_id" order by "updated_at" desc, '
        '"last_observed_at" desc, "id" desc) as place from "time_entry_versions" as v where "kind" = \'state\''
    )
    other = (
        f'select e."id" from ({last}) as v join "time_entries" as e on e."id" = v."time_entry_id" '
        f"where place = 1 and not ({same})"
    )
    changed = (
        'select c.*, row_number() over (partition by "time_entry_id" order by "step" desc) as place '
        'from "time_entry_changes" as c where "field" is null'
    )
    is_gone = "case when c.\"kind\" in ('deleted', 'absent') then 1 else 0 end"
    gone = (
        f'select e."id" from "time_entries" as e join ({changed}) as c on c."time_entry_id" = e."id" '
        f"where place = 1 and {is_gone} = case when {rule.is_live('e')} then 1 else 0 end"
    )
    return rows(target, other) + rows(target, gone)


def draw_history(chance: random.Random, ids: Sequence[int], count: int) -> list[RecordBatch]:
    """Return observations of entries that are changed (with and without an event), deleted, absent and restored.

    No two have the same millisecond, because row and history break such ties differently.
    """
    return [_draw(chance, chance.choice(ids), number / 1000) for number in range(count)]


def _draw(chance: random.Random, id_: int, moment: float) -> RecordBatch:
    changed, later = chance.randrange(6), chance.choice((0.0, 0.0, 0.25, 3.0)) + moment
    fields: dict[str, Any] = {"description": chance.choice((None, "", "a", "a "))}
    tag_ids = chance.choice(([], [1], [2, 1], [1, 2]))
    way = chance.randrange(6)
    if way == 0:
        return pulled(id_, changed=changed, seconds=changed + later, tag_ids=tag_ids, **fields)
    if way == 1:
        gone = chance.choice((None, None, at(changed + later).isoformat()))
        entry = v9_entry(id_, at=at(changed + 0.3).isoformat(), tag_ids=tag_ids, server_deleted_at=gone, **fields)
        return decode("time_entries", entry, seconds=changed + later)
    if way == 2:
        return absent(id_, seconds=changed + later)
    by = chance.choice((None, 10, 11))
    if way == 3:
        payload = chance.choice((None, {"id": id_}, entry_payload(id_, at=at(changed).isoformat(), **fields)))
        if payload is None:
            payload = {"id": id_}
        return event_with("deleted", payload, seconds=changed + later, by=by)
    action = chance.choice(("created", "updated", "updated"))
    return event(action, id_, changed=changed, seconds=changed + later, by=by, tag_ids=tag_ids or None, **fields)


LOWEST = datetime.min.replace(tzinfo=timezone.utc)
ENTRIES = TABLES["time_entries"]


@dataclass(frozen=True)
class EntryObservation:
    """One observation of one entry: few values, so that ties and changes without a new version are common."""

    id: int
    updated: int | None
    observed: int
    description: str | None
    tag_ids: tuple[int, ...]
    deleted: int | None

    def batch(self) -> RecordBatch:
        changed = None if self.updated is None else at(self.updated).isoformat()
        deleted = None if self.deleted is None else at(self.deleted).isoformat()
        row = v9_entry(self.id, description=self.description, tag_ids=list(self.tag_ids), at=changed)
        row["server_deleted_at"] = deleted
        return decode("time_entries", row, seconds=self.observed)


@st.composite
def entry_observations(draw: st.DrawFn) -> EntryObservation:
    deleted = draw(st.none() | st.none() | st.integers(0, 6))
    # Only a deleted entry may lack its last update: without it, other entries are rejected.
    updated = draw(st.integers(0, 3) if deleted is None else st.none() | st.integers(0, 3))
    return EntryObservation(
        id=draw(st.integers(1, 3)),
        updated=updated,
        observed=draw(st.integers(0, 6)),
        description=draw(st.none() | st.sampled_from(["", "a", "b", "A", "a ", "é", "a|b", "1:a"])),
        tag_ids=draw(st.sampled_from([(), (1,), (1, 2)])),
        deleted=deleted,
    )


def merge_by_rule(batches: Iterable[RecordBatch]) -> list[dict[str, Any]]:
    """Return the rows that the merge rule makes of observations, without a database."""
    rows: dict[int, dict[str, Any]] = {}
    for batch in batches:
        for new in batch.table.to_pylist():
            old = rows.setdefault(new["id"], new)
            best = max((old, new), key=lambda row: (row["updated_at"] or LOWEST, row["observed_at"], digest(row)))
            known = {name: [row[name] for row in (old, new) if row[name]] for name in ("seen_at", "deleted_at")}
            rows[new["id"]] = {**best, **{name: max(values, default=None) for name, values in known.items()}}
    return [rows[id_] for id_ in sorted(rows)]


def digest(row: dict[str, Any]) -> str:
    texts = (text_of(row[column.name], column.type) for column in ENTRIES.own)
    return hashlib.md5("".join("-" if text is None else f"{len(text)}:{text}" for text in texts).encode()).hexdigest()


def text_of(value: Any, type_: str) -> str | None:
    if value is None:
        return None
    if type_ == "timestamp":
        return str(round((value - EPOCH).total_seconds() * 1_000_000))
    return str(value).lower() if type_ == "boolean" else str(value)
