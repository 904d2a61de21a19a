"""Rejected records, landed again: what a later version can read, or what was repaired, leaves ``rejected_records``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import DeliveryRefused, MalformedAnswer
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.store import NewEvent
from airflow_provider_toggl.core.load.events import STRAYS, decode_events
from airflow_provider_toggl.core.load.records import Batch, Observation, decode_page
from airflow_provider_toggl.core.load.session import instants_of
from airflow_provider_toggl.core.load.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

MOST = 10_000
"""Records that are in memory at once."""

_FIND = (
    'select "id", "stream", "workspace_id", "raw", "observed_at" from "rejected_records" '
    'where "id" > ? order by "id" limit {most}'
)
_REMOVE = 'delete from "rejected_records" where "id" = ?'


@dataclass(frozen=True)
class RedriveResult:
    """How many records were tried, and how many of them are landed now."""

    tried: int
    landed: int


def redrive_rejected(target: Target) -> RedriveResult:
    """Try to land every rejected record once more; merges, so what is known better stays.

    A record leaves ``rejected_records`` after its rows are landed, so that nothing is lost if this stops between.
    """
    tried, landed, after = 0, 0, ""
    while True:
        found = target.query(_FIND.format(most=MOST), [after])
        if not found.num_rows:
            break
        tried, landed = tried + found.num_rows, landed + _land_some(target, found)
        after = found["id"][-1].as_py()
    log.info("%d of %d rejected records are landed now.", landed, tried)
    return RedriveResult(tried, landed)


def _land_some(target: Target, found: pa.Table) -> int:
    """Try these records, and return how many of them were landed."""
    columns = [found[name].to_pylist() for name in ("id", "stream", "workspace_id", "raw")]
    records = list(zip(*columns, instants_of(found["observed_at"]), strict=True))
    readable: dict[str, list[Batch]] = {}
    for key, stream, workspace_id, raw, observed_at in records:
        if read := _read(stream, int(workspace_id), str(raw), observed_at):
            readable[key] = read
    done = list(readable)
    if done and target.land([batch for read in readable.values() for batch in read]).rejected:
        # Some can be read and still not be stored: only what landed may leave.
        done = [key for key, read in readable.items() if not target.land(read).rejected]
    if done:
        with target.transaction() as session:
            session.run_many(_REMOVE, [[key] for key in done])
    return len(done)


def _read(stream: str, workspace_id: int, raw: str, observed_at: datetime) -> list[Batch]:
    """Return the rows of a record, nothing where it still cannot be landed."""
    event = _find_event(raw, observed_at)
    try:
        if event is not None:
            batches = list(decode_events([event]).batches)
        elif stream == STRAYS:
            return []
        else:
            batches = [decode_page(stream, f"[{raw}]".encode(), Observation(workspace_id, observed_at))]
    except MalformedAnswer:
        return []
    if any(batch.rejected for batch in batches):
        return []
    return [batch for batch in batches if batch.rows]


def _find_event(raw: str, observed_at: datetime) -> NewEvent | None:
    """Return the event whose whole body the record is, None where it is a row of an answer."""
    body = raw.encode()
    try:
        message = parse_message(body)
    except DeliveryRefused:
        return None
    fields: dict[str, Any] = {
        name: getattr(message, name)
        for name in ("workspace_id", "entity", "action", "entity_id", "created_at", "oddity")
    }
    return NewEvent(
        subscription_id=message.subscription_id,
        event_id=message.event_id,
        body=body,
        received_at=observed_at,
        conn_id="",
        **fields,
    )
