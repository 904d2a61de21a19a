"""Observations of few time entries in every way that there is, and what a warehouse's history makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from support.observations import WORKSPACE, at, decode, report_row, v9_entry
from support.told_events import body, entry_payload, event
from support.warehouses import rows

from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.warehouse import Warehouse

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def pulled(id_: int = 1, *, changed: float = 0.0, seconds: float | None = None, **fields: Any) -> RecordBatch:
    """Return a report's row of an entry that was changed and observed so many seconds after noon."""
    moment = at(int(changed)).isoformat()
    return decode("time_entries", report_row(id_, at=moment, **fields), seconds=changed if seconds is None else seconds)


def told(
    action: str, id_: int = 1, *, changed: float = 0.0, seconds: float | None = None, by: int | None = 10, **fields: Any
) -> RecordBatch:
    """Return an event of an entry that was changed at one moment after noon and told at that or another one."""
    payload = entry_payload(id_, at=at(int(changed)).isoformat(), **fields)
    return told_as(action, payload, seconds=changed if seconds is None else seconds, by=by)


def told_as(action: str, payload: Any, *, seconds: float, by: int | None = 10) -> RecordBatch:
    """Return an event with any payload."""
    actor = {"event_user_id": None if by is None else str(by)}
    raw = body("time_entry", action, payload, seconds=seconds, metadata=actor, creator_id=by)
    (batch,) = decode_events([event(raw)]).batches
    return batch


def absent(id_: int = 1, *, seconds: float) -> RecordBatch:
    """Return what a complete report tells of an entry that it had not."""
    row = {"id": id_, "workspace_id": WORKSPACE, "tag_ids": [], "observed_at": EPOCH, "absent_at": at(seconds)}
    return RecordBatch("time_entries", pa.Table.from_pylist([row], schema=ARROW_SCHEMAS["time_entries"]))


def changes(target: Warehouse, id_: int = 1) -> list[tuple[Any, ...]]:
    """Return the changes of an entry: kind, field, old, new, when in seconds after noon, by whom."""
    sql = (
        'select "kind", "field", "old_value", "new_value", "changed_at", "changed_by" from "time_entry_changes" '
        'where "time_entry_id" = ? order by "step", coalesce("field", \'\')'
    )
    return [(*told, when and (when - at(0)).total_seconds(), by) for *told, when, by in rows(target, sql, [id_])]


def kept(target: Warehouse) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return all versions and all changes."""
    every = 'select * from "time_entry_versions" order by "id"'
    view = 'select * from "time_entry_changes"'
    return rows(target, every), sorted(rows(target, view), key=repr)


def contradictions(target: Warehouse) -> list[tuple[Any, ...]]:
    """Return the entries whose last version is not their row, or whose last change does not say if they are live."""
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
    """Return observations of entries that are changed, also in silence, deleted, absent and back.

    No two are of the same millisecond: of those that are, the row is decided by another number than the history.
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
        return told_as("deleted", payload, seconds=changed + later, by=by)
    action = chance.choice(("created", "updated", "updated"))
    return told(action, id_, changed=changed, seconds=changed + later, by=by, tag_ids=tag_ids or None, **fields)
