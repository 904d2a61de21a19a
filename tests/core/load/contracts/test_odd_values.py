"""Whatever a field has: each engine loads the other rows, in every zone and with history; rejects can be retried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.toggl_rows import NOON, WORKSPACE
from support.unusual_values import ObjectForms, literals_for, object_with
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.load.decode.event_shapes import EVENT_SHAPES
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.decode.records import MANY_REJECTED, Observation, RecordBatch, decode_page
from airflow_provider_toggl.core.load.decode.records import Attribution as OfEvents
from airflow_provider_toggl.core.load.engines.dbapi.ansi import ANSI
from airflow_provider_toggl.core.load.merging.changed_days import find_days, find_fact_days
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.redrive import redrive_rejected

ZONES = ["Pacific/Pago_Pago", "Pacific/Kiritimati"]
# One key of each type of columns: what an engine takes depends on the type alone.
KEYS = {
    "time_entry": ["duration", "billable", "description", "start", "stop", "at", "tag_ids", "server_deleted_at"],
    "project": ["rate", "start_date", "created_at", "recurring_parameters", "name"],
}


def corpus() -> list[ObjectForms]:
    types = {
        (entity, key): field.type
        for entity, shape in EVENT_SHAPES.items()
        for field in shape.payload.fields
        for key in field.keys
    }
    places = [(entity, key) for entity, keys in KEYS.items() for key in keys]
    literals = [(*place, literal) for place in places for literal in literals_for(types[place])]
    return [object_with(*each, id_=number) for number, each in enumerate(literals, 1)]


CORPUS = corpus()


def pages() -> list[RecordBatch]:
    """Return the corpus as lists and reports write it, in pages so small that none is refused as a whole."""
    texts = [(known.stream, text) for known in CORPUS for text in (known.page, known.report) if text is not None]
    batches = []
    for stream in TABLES:
        own = [text for of, text in texts if of == stream]
        for begin in range(0, len(own), MANY_REJECTED - 1):
            page = b"[" + b",".join(own[begin : begin + MANY_REJECTED - 1]) + b"]"
            batches.append(decode_page(stream, page, Observation(WORKSPACE, NOON)))
    return batches


def load_in_both_zones(target: Warehouse, batches: list[RecordBatch]) -> dict[str, int]:
    """Load batches with history and changed days, in one zone and then the other; return what is there."""
    target.keep_history(True)
    for zone in ZONES:
        target.set_timezone(zone)
        target.load(batches, collect_days=True)
        with target.transaction() as session:
            # Before and after, engines and this package know other offsets of some zones.
            days = {day for _, day in find_fact_days(session) if 2000 <= day.year < 2040}
            assert days
            assert days <= set(find_days(session).days)
        assert rows(target, 'select "time_entry_id", "local_date" from "time_entry_facts"')
        without_day = 'select count(*) from "time_entry_facts" where "local_date" is null'
        assert rows(target, without_day) == [(0,)]
    for table in (*TABLES, "time_entry_versions"):
        target.query(f'select * from "{table}"')
    return target.counts() | {"rejected": rows(target, 'select count(*) from "rejected_records"')[0][0]}


def with_short_texts(batch: RecordBatch) -> RecordBatch:
    """Return a batch without texts that the columns of an engine that is not known cannot hold."""
    kept = pa.array([True] * batch.rows, pa.bool_())
    for field in batch.table.schema:
        if pa.types.is_string(field.type):
            sizes = pc.fill_null(pc.utf8_length(batch.table[field.name].combine_chunks()), 0)
            kept = pc.and_(kept, pc.less(sizes, ANSI.rejected_limit))
    known = batch.attribution and OfEvents(
        batch.attribution.actor_ids.filter(kept), batch.attribution.actions.filter(kept)
    )
    return replace(batch, table=batch.table.filter(kept), attribution=known)


def expected(batches: list[RecordBatch]) -> dict[str, Any]:
    ids: dict[str, set[int]] = {stream: set() for stream in TABLES}
    for batch in batches:
        ids[batch.stream] |= set(batch.table["id"].to_pylist())
    rejected = {(one.stream, one.raw) for batch in batches for one in batch.rejected}
    return {stream: len(some) for stream, some in ids.items()} | {"rejected": len(rejected)}


@pytest.mark.parametrize("way", ["pages", "events"])
def test_every_engine_loads_decoded_rows_and_stores_rejected_records(place: WarehouseLocation, way: str) -> None:
    batches = pages() if way == "pages" else list(decode_events([known.event for known in CORPUS]).batches)
    if place.engine == "ansi":
        batches = [with_short_texts(batch) for batch in batches]
    with place.open() as target:
        there = load_in_both_zones(target, batches)
        assert there == expected(batches)
        assert min(there[name] for name in ("time_entries", "projects", "rejected")) > 20
        if way == "pages":
            tried_again = redrive_rejected(target)
            assert (tried_again.tried, tried_again.loaded) == (there["rejected"], 0)
            assert target.counts() | {"rejected": there["rejected"]} == there


def test_entries_that_earlier_versions_loaded_at_the_ends_of_the_calendar_stop_no_load(
    place: WarehouseLocation,
) -> None:
    entry = '{"id": %d, "start": "2026-01-01T08:00:00Z", "stop": null, "duration": 0, "at": "2026-01-01T08:00:00Z"}'
    page = ("[" + ",".join(entry % number for number in (1, 2, 3)) + "]").encode()
    later = page.replace(b'"at": "2026-01-01T08:00:00Z"', b'"at": "2026-01-02T08:00:00Z"')
    with place.open() as target:
        target.set_timezone(ZONES[0])
        target.load([decode_page("time_entries", page, Observation(WORKSPACE, NOON))])
        zero = "0001-01-01T00:00:00.000000Z" if place.engine == "sqlite" else "0001-01-01 00:00:00"
        last = "9999-12-31T23:59:59.000000Z" if place.engine == "sqlite" else "9999-12-31 23:59:59"
        with target.transaction() as session:
            session.fetch_workspace("time_entries", None)
            session.run(f'update "time_entries" set "start" = \'{zero}\' where "id" = 1')
            session.run(f'update "time_entries" set "start" = \'{last}\' where "id" = 2')
        for zone in (*ZONES, ZONES[0]):
            target.set_timezone(zone)
        with target.transaction() as session:
            assert len({day for _, day in find_fact_days(session)}) == 1
        loaded = target.load([decode_page("time_entries", later, Observation(WORKSPACE, NOON))], collect_days=True)
        assert loaded.updated == 3
