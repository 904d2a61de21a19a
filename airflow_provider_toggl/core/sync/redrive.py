"""Redrive rejected records: load those that are readable now, and remove them from ``rejected_records``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.errors import DeliveryRefused, MalformedAnswer
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.load.decode.events import UNKNOWN_ENTITIES, decode_events
from airflow_provider_toggl.core.load.decode.records import Observation, RecordBatch, decode_page
from airflow_provider_toggl.core.load.engines.contract import instants_of
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.engines.contract import Session

log = logging.getLogger(__name__)

#: Records that are in memory at once.
MAX_RECORDS = 10_000

_FIND = (
    'select "id", "stream", "workspace_id", "raw", "observed_at" from "rejected_records" '
    'where "id" > ? order by "id" limit {limit}'
)
_REMOVE = 'delete from "rejected_records" where "id" = ?'


@dataclass(frozen=True)
class RedriveResult:
    """How many records were tried, and how many of them are loaded now."""

    tried: int
    loaded: int


def redrive_rejected(target: Warehouse) -> RedriveResult:
    """Try to load every rejected record again. Loading is a merge, so newer rows stay as they are.

    A record is removed from ``rejected_records`` after its rows are loaded, so nothing is lost if this stops in
    between.
    """
    tried, loaded, after = 0, 0, ""
    while True:
        found = target.query(_FIND.format(limit=MAX_RECORDS), [after])
        if not found.num_rows:
            break
        tried, loaded = tried + found.num_rows, loaded + _load_some(target, found)
        after = found["id"][-1].as_py()
    log.info("%s of %s loaded.", f"{loaded:,}", plural(tried, "rejected record"))
    return RedriveResult(tried, loaded)


def _load_some(target: Warehouse, found: pa.Table) -> int:
    """Try some records, and return how many of them were loaded."""
    columns = [found[name].to_pylist() for name in ("id", "stream", "workspace_id", "raw")]
    records = list(zip(*columns, instants_of(found["observed_at"]), strict=True))
    readable: dict[str, list[RecordBatch]] = {}
    for key, stream, workspace_id, raw, observed_at in records:
        if read := _read(stream, int(workspace_id), str(raw), observed_at):
            readable[key] = read
    done = list(readable)
    if done and target.load([batch for read in readable.values() for batch in read]).rejected:
        # The warehouse may reject a readable record too: then find out which ones by loading each alone.
        done = [key for key, read in readable.items() if not target.load(read).rejected]
    if done:
        target.run_transaction(partial(_remove, done))
    return len(done)


def _remove(keys: list[str], session: Session) -> None:
    session.fetch_keys("rejected_records", keys)
    session.run_many(_REMOVE, [[key] for key in keys])


def _read(stream: str, workspace_id: int, raw: str, observed_at: datetime) -> list[RecordBatch]:
    """Return the batches of a record; an empty list where it is still not readable."""
    event = _find_event(raw, observed_at)
    try:
        if event is not None:
            batches = list(decode_events([event]).batches)
        elif stream == UNKNOWN_ENTITIES:
            return []
        else:
            batches = [decode_page(stream, f"[{raw}]".encode(), Observation(workspace_id, observed_at))]
    except MalformedAnswer:
        return []
    if any(batch.rejected for batch in batches):
        return []
    return [batch for batch in batches if batch.rows]


def _find_event(raw: str, observed_at: datetime) -> NewEvent | None:
    """Return the event whose body the record is; None where the record is a row of a page."""
    body = raw.encode()
    try:
        return parse_message(body).to_event(body, observed_at, "")
    except DeliveryRefused:
        return None
